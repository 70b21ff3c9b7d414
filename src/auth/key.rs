//! The text of an API key: how it is made, checked and hashed.
//!
//! `orq_<8-character id>_<30 secret characters><6 characters of CRC-32>`, all base62. The checksum
//! covers everything before it, so a mistyped key is refused without I/O. The text never leaves
//! this type but by [`KeyText::reveal`].

use std::fmt;

use sha2::{Digest, Sha256};

use crate::id;

const PREFIX: &str = "orq_";
const ID_LEN: usize = 8;
const SECRET_LEN: usize = 30;
const CHECKSUM_LEN: usize = 6;
const LEN: usize = PREFIX.len() + ID_LEN + 1 + SECRET_LEN + CHECKSUM_LEN;

/// A key of the right shape with the right checksum. Whether it is accepted is another question.
#[derive(Clone)]
pub struct KeyText(String);

/// The SHA-256 of a whole key: what the store holds of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl KeyText {
    /// A new key.
    pub fn generate() -> Self {
        let body = format!("{PREFIX}{}_{}", id::base62(ID_LEN), id::base62(SECRET_LEN));
        let checksum = checksum(body.as_bytes());
        Self(body + std::str::from_utf8(&checksum).expect("base62 is ASCII"))
    }

    /// The key that `text` is, if its shape and checksum are right.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (body, sum) = bytes.split_at_checked(LEN - CHECKSUM_LEN)?;
        let id_end = PREFIX.len() + ID_LEN;
        let shaped = bytes.len() == LEN
            && text.starts_with(PREFIX)
            && bytes[id_end] == b'_'
            && bytes[PREFIX.len()..id_end].iter().all(u8::is_ascii_alphanumeric)
            && bytes[id_end + 1..].iter().all(u8::is_ascii_alphanumeric);
        (shaped && sum == checksum(body)).then(|| Self(text.to_owned()))
    }

    /// The public id of the key.
    pub fn id(&self) -> &str {
        &self.0[PREFIX.len()..PREFIX.len() + ID_LEN]
    }

    /// The last four characters, to recognise the key by.
    pub fn last_four(&self) -> &str {
        &self.0[LEN - 4..]
    }

    /// Returns the hash that the store holds of the key.
    pub fn hash(&self) -> KeyHash {
        KeyHash(Sha256::digest(self.0.as_bytes()).into())
    }

    /// The whole text, for the one answer that shows it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Returns true if `text` can be the id of a key.
pub fn can_be_id(text: &str) -> bool {
    text.len() == ID_LEN && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Returns true if `text` holds something that is shaped like a key.
pub fn holds_key(text: &str) -> bool {
    find(text).is_some()
}

/// Cuts everything that is shaped like a key out of `text`, but for its public id.
pub fn redact(text: &mut String) {
    while let Some(at) = find(text) {
        text.replace_range(at + PREFIX.len() + ID_LEN..at + LEN, "…");
    }
}

/// Returns the place at which the first thing that is shaped like a key begins; its checksum may be
/// wrong.
fn find(text: &str) -> Option<usize> {
    let shaped = |at: &usize| {
        let key = text.as_bytes()[*at..].get(..LEN);
        key.is_some_and(|key| {
            let (id, rest) = key[PREFIX.len()..].split_at(ID_LEN);
            id.iter().chain(&rest[1..]).all(u8::is_ascii_alphanumeric) && rest[0] == b'_'
        })
    };
    text.match_indices(PREFIX).map(|(at, _)| at).find(shaped)
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}_…", self.id())
    }
}

/// The CRC-32 of `body` as six base62 digits, most significant first.
fn checksum(body: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut rest = crc32fast::hash(body) as usize;
    let mut digits = [b'0'; CHECKSUM_LEN];
    for digit in digits.iter_mut().rev() {
        *digit = id::BASE62[rest % 62];
        rest /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_has_the_published_shape() {
        let key = KeyText::generate();
        let text = key.reveal();
        assert_eq!(text.len(), 49);
        assert!(text.starts_with("orq_"));
        assert_eq!(key.id(), &text[4..12]);
        assert_eq!(key.last_four(), &text[45..]);
        assert!(KeyText::parse(text).is_some());
        assert!(!format!("{key:?}").contains(&text[13..]));
    }

    #[test]
    fn a_key_in_a_text_is_cut_but_for_its_id() {
        let key = KeyText::generate();
        let mut text = format!("orq_ {} is no field, nor is {}é", key.reveal(), key.reveal());
        assert!(holds_key(&text));
        redact(&mut text);
        let id = key.id();
        assert_eq!(text, format!("orq_ orq_{id}… is no field, nor is orq_{id}…é"));
        assert!(!holds_key(&text));
    }

    #[test]
    fn one_changed_character_anywhere_is_noticed() {
        let key = KeyText::generate();
        for at in 0..LEN {
            let mut bytes = key.reveal().as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
            let changed = String::from_utf8(bytes).expect("still ASCII");
            assert!(KeyText::parse(&changed).is_none(), "position {at}");
        }
        for wrong in ["", "orq_", &key.reveal()[..48], &format!("{}a", key.reveal()), "orq_ÄÖÜäöü"]
        {
            assert!(KeyText::parse(wrong).is_none(), "{wrong}");
        }
    }
}
