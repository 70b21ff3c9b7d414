//! The words of a text: what a search compares, by Unicode and for every script.
//!
//! It stands beside the schema because what it makes is stored: a change of it needs a step.

use std::collections::HashSet;

use icu_casemap::CaseMapperBorrowed;
use icu_normalizer::DecomposingNormalizerBorrowed;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointMapDataBorrowed};
use unicode_segmentation::UnicodeSegmentation;

/// The most characters of a word that are told apart: words that differ only behind them are alike.
pub const WORD_LENGTH_MAX: usize = 64;

/// The most bytes of the words that are added to a row's own: a tsvector takes 1 MiB, of which title
/// and description need no more than the rest.
pub const ADDED_BYTES_MAX: usize = 200_000;

/// The bytes of a lexeme beside its word: the number of its workspace.
const LEXEME_BYTES: usize = 8;

/// The zero width space, which separates words, unlike the other format characters.
const ZERO_WIDTH_SPACE: char = '\u{200b}';

/// The words of a text, each once, in the order in which they first occur.
///
/// Letters and digits make a word; everything else separates words, and so does Unicode's default
/// word segmentation, to which each ideograph is a word. Compatibility forms are resolved (NFKD),
/// marks and format characters removed, and letters folded by the full case folding of Unicode: `Ü`
/// is `u`, and `ß` is `ss`.
pub fn words(text: &str) -> Vec<String> {
    let mut known = HashSet::new();
    let mut words = Vec::new();
    let mut add = |word: String| {
        if known.insert(word.clone()) {
            words.push(word);
        }
    };
    if text.is_ascii() {
        let runs = text.split(|char: char| !char.is_ascii_alphanumeric());
        runs.filter(|run| !run.is_empty()).for_each(|run| {
            add(run[..run.len().min(WORD_LENGTH_MAX)].to_ascii_lowercase());
        });
        return words;
    }
    for segment in folded(text).unicode_words() {
        let runs = segment.split(|char: char| !char.is_alphanumeric());
        runs.filter(|run| !run.is_empty())
            .for_each(|run| add(run.chars().take(WORD_LENGTH_MAX).collect()));
    }
    words
}

/// Joins words as they are stored: each between spaces, so that the beginning and the end of one
/// can be looked for in the text.
pub fn joined<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let mut text = String::new();
    for word in words {
        if text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
        text.push(' ');
    }
    text
}

/// The stored words with those of `more` that are not among them, as many as fit in
/// 200 kB; none where none is added.
pub fn with_words(stored: &str, more: &[String]) -> Option<String> {
    let known: HashSet<_> = stored.split(' ').collect();
    let mut left = ADDED_BYTES_MAX.saturating_sub(stored.len() + known.len() * LEXEME_BYTES);
    let fits = |word: &&str| {
        let bytes = word.len() + 1 + LEXEME_BYTES;
        let fits = bytes <= left;
        left = left.saturating_sub(bytes);
        fits
    };
    let new = more.iter().map(String::as_str).filter(|word| !known.contains(word));
    let added = joined(new.take_while(fits));
    match (stored, added.as_str()) {
        (_, "") => None,
        ("", _) => Some(added),
        (_, added) => Some(format!("{stored}{}", &added[1..])),
    }
}

fn folded(text: &str) -> String {
    let (nfkd, fold) = (DecomposingNormalizerBorrowed::new_nfkd(), CaseMapperBorrowed::new());
    let categories = CodePointMapData::<GeneralCategory>::new();
    // Without marks first: one of them, the iota below, would be folded to a letter.
    let letters = without_marks(&nfkd.normalize(text), categories);
    // What was folded may be composed.
    let folded = without_marks(&nfkd.normalize(&fold.fold_string(&letters)), categories);
    // The syllables of Hangul, of which a beginning would not be one of a word.
    icu_normalizer::ComposingNormalizerBorrowed::new_nfc().normalize(&folded).into_owned()
}

fn without_marks(
    text: &str,
    categories: CodePointMapDataBorrowed<'static, GeneralCategory>,
) -> String {
    let is_kept = |char: &char| {
        let category = categories.get(*char);
        let is_mark = GeneralCategoryGroup::Mark.contains(category);
        let is_format = category == GeneralCategory::Format && *char != ZERO_WIDTH_SPACE;
        !is_mark && !is_format
    };
    text.chars().filter(is_kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_letters_and_digits_folded() {
        for (text, expected) in [
            ("", &[][..]),
            (" *\"' -- (OR) ", &["or"]),
            ("The printer, the PRINTER!", &["the", "printer"]),
            ("user_name@Example.com 10.0.0.1", &["user", "name", "example", "com", "10", "0", "1"]),
            ("Straße STRASSE Grüße", &["strasse", "grusse"]),
            ("ΟΔΟΣ οδός ᾳ", &["οδοσ", "α"]),
            ("İstanbul ıstanbul", &["istanbul", "ıstanbul"]),
            ("e\u{301}le\u{300}ve ﬁne Ａ１", &["eleve", "fine", "a1"]),
            ("東京 都", &["東", "京", "都"]),
            ("한국어 \u{1112}\u{1161}\u{11ab}국어", &["한국어"]),
            ("שָׁלוֹם مُحَمَّد", &["שלום", "محمد"]),
            ("co\u{ad}operate a\u{200b}b", &["cooperate", "a", "b"]),
            ("can't 🙂 ™", &["can", "t", "tm"]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
        assert_eq!(words(&"x".repeat(100)), ["x".repeat(WORD_LENGTH_MAX)]);
        assert_eq!(words(&"ü".repeat(100)), ["u".repeat(WORD_LENGTH_MAX)]);
    }

    #[test]
    fn ascii_and_the_rest_of_unicode_are_cut_alike() {
        for text in ["can't stop", "3.14 a,b;c", "snake_case", "a-b/c:d"] {
            let other = words(&format!("{text} ü"));
            let of_ascii = words(text);
            assert!(of_ascii.iter().all(|word| other.contains(word)), "{text}: {other:?}");
            let more: Vec<_> = other.iter().filter(|word| !of_ascii.contains(word)).collect();
            assert_eq!(more, ["u"], "{text}");
        }
    }

    #[test]
    fn stored_words_stand_between_spaces() {
        assert_eq!(joined([]), "");
        assert_eq!(joined(["a", "b"]), " a b ");
        let more = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(with_words("", &more(&["a"])).as_deref(), Some(" a "));
        assert_eq!(with_words(" a b ", &more(&["b", "c"])).as_deref(), Some(" a b c "));
        assert_eq!(with_words(" a b ", &more(&["b"])), None);
        let many: Vec<_> = (0..100_000).map(|number| number.to_string()).collect();
        let full = with_words("", &many).unwrap();
        assert!(full.len() < ADDED_BYTES_MAX);
        assert_eq!(with_words(&full, &more(&["more"])), None);
    }
}
