//! The opaque text of a cursor: a place in one list, bound to the workspace, filters and order of
//! that list.
//!
//! It is no secret and no permission. The checksum tells text that was never a cursor from one
//! that is used with other filters, so that the caller can say which it is.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::WorkspaceId;
use super::pages::CursorKey;
use super::tickets::{Sort, SortField, TicketFilter};

const VERSION: u8 = 1;
const LIST_BYTES: usize = 8;
const NO_VALUE: u8 = 0;
const VALUE: u8 = 1;
const LEN: usize = 1 + LIST_BYTES + 1 + 8 + 8 + 4;

/// Why a cursor is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CursorError {
    /// The text is no cursor.
    Malformed,
    /// It is one, made with other filters or another order.
    OtherList,
}

impl CursorKey {
    /// The cursor of this place in the list of tickets of `filter` and `sort`.
    pub fn encode(self, workspace: WorkspaceId, filter: &TicketFilter, sort: Sort) -> String {
        self.encode_in(&ticket_list(workspace, filter, sort))
    }

    /// The place that `text` names in the list of tickets of `filter` and `sort`.
    pub fn decode(
        text: &str,
        workspace: WorkspaceId,
        filter: &TicketFilter,
        sort: Sort,
    ) -> Result<Self, CursorError> {
        let key = Self::decode_in(text, &ticket_list(workspace, filter, sort))?;
        // Only a due date can be missing; no list hands out another cursor without a value.
        if key.value.is_none() && sort.field != SortField::DueAt {
            return Err(CursorError::Malformed);
        }
        Ok(key)
    }

    /// The cursor of this place in a list. `list` is a text that no other list has: it names the
    /// workspace, what is listed, and the filters.
    pub fn encode_in(self, list: &str) -> String {
        let mut bytes = Vec::with_capacity(LEN);
        bytes.push(VERSION);
        bytes.extend(hash(list));
        bytes.push(if self.value.is_some() { VALUE } else { NO_VALUE });
        bytes.extend(self.value.unwrap_or_default().to_be_bytes());
        bytes.extend(self.id.to_be_bytes());
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
    if bytes.len() != LEN || crc32fast::hash(body).to_be_bytes() != *checksum {
        return None;
    }
    let (version, rest) = body.split_first()?;
    let (list, rest) = rest.split_first_chunk::<LIST_BYTES>()?;
    let (presence, rest) = rest.split_first()?;
    let (value, rest) = rest.split_first_chunk::<8>()?;
    let (id, _) = rest.split_first_chunk::<8>()?;
    let value = match *presence {
        NO_VALUE => None,
        VALUE => Some(i64::from_be_bytes(*value)),
        _ => return None,
    };
    (*version == VERSION).then_some((*list, CursorKey { value, id: i64::from_be_bytes(*id) }))
}

/// What tells this list of tickets from any other. The order in which a filter's values were given
/// does not matter to the list, so it does not to the text.
fn ticket_list(workspace: WorkspaceId, filter: &TicketFilter, sort: Sort) -> String {
    let mut normal = filter.clone();
    sort_and_dedup(&mut normal.status);
    sort_and_dedup(&mut normal.priority);
    sort_and_dedup(&mut normal.ticket_type);
    sort_and_dedup(&mut normal.category);
    sort_and_dedup(&mut normal.assignee_ids);
    sort_and_dedup(&mut normal.requester_ids);
    sort_and_dedup(&mut normal.parent_ids);
    // Debug quotes strings and names every field, so no two lists have the same text.
    format!("{workspace:?} {normal:?} {sort:?}")
}

/// What stands for a text where there is no room for it.
pub(super) fn hash(list: &str) -> [u8; LIST_BYTES] {
    let digest = Sha256::digest(list);
    let (hash, _) = digest.split_first_chunk().expect("SHA-256 has 32 bytes");
    *hash
}

fn sort_and_dedup<T: Ord>(values: &mut Vec<T>) {
    values.sort_unstable();
    values.dedup();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tickets::{Direction, SortField, Status};

    const WORKSPACE: WorkspaceId = WorkspaceId(7);

    fn open_or_pending() -> TicketFilter {
        TicketFilter { status: vec![Status::Open, Status::Pending], ..Default::default() }
    }

    #[test]
    fn a_cursor_leads_back_to_its_place() {
        let sort = Sort { field: SortField::DueAt, direction: Direction::Ascending };
        for value in [None, Some(0), Some(-1), Some(i64::MAX)] {
            let key = CursorKey { value, id: 42 };
            let text = key.encode(WORKSPACE, &open_or_pending(), sort);
            let swapped =
                TicketFilter { status: vec![Status::Pending, Status::Open], ..Default::default() };
            assert_eq!(CursorKey::decode(&text, WORKSPACE, &swapped, sort), Ok(key));
        }
    }

    #[test]
    fn a_cursor_of_another_list_is_told_from_garbage() {
        let key = CursorKey { value: Some(5), id: 42 };
        let sort = Sort::default();
        let text = key.encode(WORKSPACE, &open_or_pending(), sort);
        let other_sort = Sort { field: SortField::DueAt, direction: Direction::Descending };
        let decode = |text: &str, workspace, filter: &TicketFilter, sort| {
            CursorKey::decode(text, workspace, filter, sort)
        };
        let filter = open_or_pending();
        assert_eq!(decode(&text, WorkspaceId(8), &filter, sort), Err(CursorError::OtherList));
        assert_eq!(
            decode(&text, WORKSPACE, &TicketFilter::default(), sort),
            Err(CursorError::OtherList)
        );
        assert_eq!(decode(&text, WORKSPACE, &filter, other_sort), Err(CursorError::OtherList));

        let mut changed = text.clone();
        let last = if changed.pop() == Some('A') { 'E' } else { 'A' };
        changed.push(last);
        for garbage in ["", "x", "é", "AAAA", &changed, &text[1..], &format!("{text}A")] {
            assert_eq!(
                decode(garbage, WORKSPACE, &filter, sort),
                Err(CursorError::Malformed),
                "{garbage}"
            );
        }
    }
}
