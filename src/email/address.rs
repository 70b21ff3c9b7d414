//! Addresses of e-mail: `local@domain`, where both may have letters of any language (RFC 6532).

use lettre::Address;
use url::Host;

/// The most characters of an address, and of what stands before the `@`.
const CHARS_MAX: usize = 254;
const LOCAL_CHARS_MAX: usize = 64;

/// The address that a text is, with its domain as DNS writes it; none where it is no address, or one
/// that says more, such as a name.
pub fn parse(text: &str) -> Option<Address> {
    let (local, domain) = text.rsplit_once('@')?;
    if text.chars().count() > CHARS_MAX || local.chars().count() > LOCAL_CHARS_MAX {
        return None;
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return None;
    }
    let Ok(Host::Domain(domain)) = Host::parse(domain) else { return None };
    // One label is a machine of somebody's own network, and not an address of the world.
    let is_public = domain.contains('.') && !domain.ends_with('.');
    is_public.then(|| Address::new(local, domain).ok()).flatten()
}

/// Returns the part before the `@`, which names somebody of whom only an address is known.
pub fn local_part(address: &str) -> &str {
    address.rsplit_once('@').map_or(address, |(local, _)| local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_local_part_and_a_domain() {
        for (text, expected) in [
            ("ana@example.com", "ana@example.com"),
            ("ana.sousa+desk@mail.example.com", "ana.sousa+desk@mail.example.com"),
            ("o'neil@example.com", "o'neil@example.com"),
            ("josé@example.com", "josé@example.com"),
            ("josé@bücher.example", "josé@xn--bcher-kva.example"),
            ("ana@EXAMPLE.com", "ana@example.com"),
        ] {
            assert_eq!(parse(text).map(|it| it.to_string()).as_deref(), Some(expected), "{text}");
        }
        let long = format!("{}@example.com", "a".repeat(65));
        for text in [
            "",
            "ana",
            "@example.com",
            "ana@",
            "ana@localhost",
            "ana@example.com.",
            "ana@127.0.0.1",
            "ana@[127.0.0.1]",
            "ana@example.com\r\nBcc: eve@example.com",
            "ana@exam\nple.com",
            "ana sousa@example.com",
            "Ana <ana@example.com>",
            "ana@example.com,eve@example.com",
            "ana@example.com>",
            "a@b@example.com",
            "ana..sousa@example.com",
            &long,
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
