//! The opaque text of a cursor: a place in one list, bound to the workspace, filters and order of
//! that list.
//!
//! It is no secret and no permission. The checksum tells text that was never a cursor from one
//! that is used with other filters, so that the caller can say which it is.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::pages::{CursorKey, KeyValue};

const VERSION: u8 = 2;
const LIST_BYTES: usize = 8;
const NO_VALUE: u8 = 0;
const NUMBER: u8 = 1;
const TEXT: u8 = 2;

/// The reason why a cursor is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CursorError {
    /// The text is no cursor.
    Malformed,
    /// It was made with other filters or another order.
    OtherList,
}

impl CursorKey {
    /// The cursor of this place in a list. `list` is a text that no other list has: it names the
    /// workspace, what is listed, and the filters.
    pub fn encode_in(&self, list: &str) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(hash(list));
        bytes.extend(self.id.to_be_bytes());
        match &self.value {
            None => bytes.push(NO_VALUE),
            Some(KeyValue::Number(number)) => {
                bytes.push(NUMBER);
                bytes.extend(number.to_be_bytes());
            }
            Some(KeyValue::Text(text)) => {
                bytes.push(TEXT);
                bytes.extend(text.as_bytes());
            }
        }
        bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place that `text` names in the list with this text.
    pub fn decode_in(text: &str, list: &str) -> Result<Self, CursorError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError::Malformed)?;
        let (made_in, key) = parse(&bytes).ok_or(CursorError::Malformed)?;
        if made_in == hash(list) { Ok(key) } else { Err(CursorError::OtherList) }
    }
}

fn parse(bytes: &[u8]) -> Option<([u8; LIST_BYTES], CursorKey)> {
    let (body, checksum) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(body).to_be_bytes() != *checksum {
        return None;
    }
    let (version, rest) = body.split_first()?;
    let (list, rest) = rest.split_first_chunk::<LIST_BYTES>()?;
    let (id, rest) = rest.split_first_chunk::<8>()?;
    let (kind, rest) = rest.split_first()?;
    let value = match (*kind, rest) {
        (NO_VALUE, []) => None,
        (NUMBER, rest) => Some(KeyValue::Number(i64::from_be_bytes(rest.try_into().ok()?))),
        // No row has U+0000, which PostgreSQL refuses in any text.
        (TEXT, rest) if rest.contains(&0) => return None,
        (TEXT, rest) => Some(KeyValue::Text(std::str::from_utf8(rest).ok()?.to_owned())),
        _ => return None,
    };
    (*version == VERSION).then_some((*list, CursorKey { value, id: i64::from_be_bytes(*id) }))
}

/// Returns a hash that stands for a text where there is no room for it.
pub(super) fn hash(list: &str) -> [u8; LIST_BYTES] {
    let digest = Sha256::digest(list);
    let (hash, _) = digest.split_first_chunk().expect("SHA-256 has 32 bytes");
    *hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_place() {
        let numbers = [0, -1, i64::MAX].map(|number| Some(KeyValue::Number(number)));
        let texts = ["", "straße", "a b"].map(|text| Some(KeyValue::Text(text.to_owned())));
        for value in numbers.into_iter().chain(texts).chain([None]) {
            let key = CursorKey { value, id: 42 };
            assert_eq!(CursorKey::decode_in(&key.encode_in("list"), "list"), Ok(key));
        }
    }

    #[test]
    fn a_cursor_of_a_text_that_no_row_can_have_is_malformed() {
        let forged = CursorKey { value: Some(KeyValue::Text("a\0b".to_owned())), id: 42 };
        let decoded = CursorKey::decode_in(&forged.encode_in("list"), "list");
        assert_eq!(decoded, Err(CursorError::Malformed));
    }

    #[test]
    fn a_cursor_of_another_list_is_told_from_garbage() {
        let text = CursorKey { value: Some(5.into()), id: 42 }.encode_in("list");
        assert_eq!(CursorKey::decode_in(&text, "other"), Err(CursorError::OtherList));
        let mut changed = text.clone();
        let last = if changed.pop() == Some('A') { 'E' } else { 'A' };
        changed.push(last);
        for garbage in ["", "x", "é", "AAAA", &changed, &text[1..], &format!("{text}A")] {
            let decoded = CursorKey::decode_in(garbage, "list");
            assert_eq!(decoded, Err(CursorError::Malformed), "{garbage}");
        }
    }
}
