//! Slugs: the names of articles in addresses.

use deunicode::deunicode_with_tofu;
use rest::Violations;

use crate::service::free::Named;
use crate::store::articles::Article;

/// The most characters of a slug.
const SLUG_MAX: usize = 80;

/// Refuses what can be no slug.
pub fn check(slug: Option<&str>, violations: &mut Violations) {
    let Some(slug) = slug.filter(|slug| !slug.is_empty()) else { return };
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !slug.chars().all(fits) || is_number(slug) {
        let remedy = "slug must be of small letters, digits and hyphens, and not digits alone";
        violations.add("slug", "INVALID_VALUE", remedy);
    }
}

impl Named for Article {
    fn named(self, slug: String) -> Self {
        Self { slug, ..self }
    }
}

/// The slug of a title, whatever its script: its letters and digits in ASCII, with a hyphen for whatever is between them.
pub fn of_title(title: &str) -> String {
    let ascii = deunicode_with_tofu(title, " ").to_ascii_lowercase();
    let words = ascii.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let slug = cut(words.collect::<Vec<_>>().join("-"), SLUG_MAX);
    match slug.as_str() {
        "" => "article".to_owned(),
        // Digits alone would be an id.
        digits if is_number(digits) => cut(format!("article-{digits}"), SLUG_MAX),
        _ => slug,
    }
}

/// The slug with this number behind it; the first has none.
pub fn numbered(slug: &str, number: u64) -> String {
    if number == 1 {
        return slug.to_owned();
    }
    let number = format!("-{number}");
    cut(slug.to_owned(), SLUG_MAX - number.len()) + &number
}

fn cut(mut slug: String, length: usize) -> String {
    slug.truncate(length);
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

fn is_number(slug: &str) -> bool {
    slug.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_of_any_script_has_a_slug() {
        for (title, slug) in [
            ("Reset your password", "reset-your-password"),
            ("  VPN: geht's nicht?!  ", "vpn-geht-s-nicht"),
            ("Größe ändern – für Ägypten", "grosse-andern-fur-agypten"),
            ("Сброс пароля", "sbros-parolia"),
            ("重置密码", "zhong-zhi-mi-ma"),
            ("2024", "article-2024"),
            ("---", "article"),
            ("", "article"),
        ] {
            assert_eq!(of_title(title), slug, "{title}");
        }
        let long = of_title(&"word ".repeat(50));
        assert!(long.len() <= SLUG_MAX && !long.ends_with('-'), "{long}");
        assert_eq!(numbered(&"a".repeat(80), 12).len(), 80);
    }
}
