//! Case folding: what makes two texts equal whatever their case, by Unicode and for every script.
//!
//! It stands beside the schema because what it makes is stored: a change of it needs a step.

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizerBorrowed;

/// The text as it is compared: composed (NFC), folded by the full case folding of Unicode, and
/// composed again. `ΟΔΟΣ`, `οδος` and `οδοσ` are the same, and so are `Straße` and `STRASSE`.
pub fn case_folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let nfc = ComposingNormalizerBorrowed::new_nfc();
    let composed = nfc.normalize(text);
    let folded = CaseMapper::new().fold_string(&composed).into_owned();
    nfc.normalize(&folded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_differ_in_case_alone_are_folded_alike() {
        for (one, other) in [
            ("ΟΔΟΣ@x.gr", "οδος@x.gr"),
            ("οδοσ@x.gr", "οδος@x.gr"),
            ("Straße@x.de", "STRASSE@X.DE"),
            ("ÉLAN@x.fr", "e\u{301}lan@X.fr"),
            ("ﬁne@x", "FINE@x"),
            ("Kelvin\u{212a}@x", "kelvink@x"),
        ] {
            assert_eq!(case_folded(one), case_folded(other), "{one} {other}");
        }
        for (one, other) in [("a@x", "b@x"), ("elan@x", "élan@x"), ("ı@x", "i@x")] {
            assert_ne!(case_folded(one), case_folded(other), "{one} {other}");
        }
    }
}
