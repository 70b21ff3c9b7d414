//! The pages of all lists: their parameters, their size, and their cursors.

use prost::Message;
use rest::{PageParameters, Validate, Violations};

use crate::config::{PAGE_BYTES_MAX, PER_PAGE_ALWAYS, PER_PAGE_DEFAULT};
use crate::error::Error;
use crate::pb;
use crate::service::accept::Accepted;
use crate::service::messages::history_entry;
use crate::store::nouns::{Condition, Direction, Noun, Order, Query};
use crate::store::{
    CursorError, CursorKey, HistoryEntry, Page, PageRequest, Position, Store, WorkspaceId,
};

/// The cursor that begins a list which is read on by its cursors.
const START: &str = "start";

/// The most bytes that a page has beside its rows.
const META_BYTES: usize = 1024;
/// The most bytes that a row of a page has beside its message.
const FIELD_BYTES: usize = 8;

/// The page that a request asks for, which was checked, of a list whose cursors are read by `decode`.
pub fn asked(
    message: &impl Validate,
    decode: impl FnOnce(&str) -> Result<CursorKey, CursorError>,
) -> Result<PageRequest, Error> {
    let PageParameters { page, per_page, cursor } = message.page_parameters().unwrap_or_default();
    let position = match cursor {
        None => Position::Page(page.unwrap_or(1) as u32),
        Some(START) => Position::Start,
        Some(text) => Position::After(decode(text).map_err(bad_cursor)?),
    };
    let per_page = per_page.map_or(PER_PAGE_DEFAULT, |per_page| per_page as u32);
    Ok(PageRequest { per_page, position })
}

/// The bytes that a page has room for beside its rows.
pub struct Room(usize);

impl Room {
    /// Returns the room beside rows of so many bytes each.
    pub fn beside(rows: impl Iterator<Item = usize>) -> Self {
        let taken: usize = rows.map(|bytes| bytes + FIELD_BYTES).sum();
        Self((PAGE_BYTES_MAX - META_BYTES).saturating_sub(taken))
    }

    /// The bytes that are left.
    pub fn bytes(&self) -> usize {
        self.0
    }

    /// Takes the bytes of a message, if they are there.
    pub fn take(&mut self, bytes: usize) -> bool {
        let left = self.0.checked_sub(bytes + FIELD_BYTES);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

/// Returns how many of the rows a page has, by the bytes of each as a message: all of them, or as
/// many as fit where it is read on by cursor, one at least. A page by number of more rows than are
/// always answered is refused where they do not fit.
pub fn fitting(
    page: &PageRequest,
    bytes: impl ExactSizeIterator<Item = usize>,
) -> Result<usize, Error> {
    let rows = bytes.len();
    let by_number = matches!(page.position, Position::Page(_));
    if by_number && page.per_page <= PER_PAGE_ALWAYS {
        return Ok(rows);
    }
    let mut left = PAGE_BYTES_MAX - META_BYTES;
    let over = bytes.map(|bytes| bytes + FIELD_BYTES).position(|bytes| {
        let fits = bytes <= left;
        left = left.saturating_sub(bytes);
        !fits
    });
    match over {
        None => Ok(rows),
        Some(_) if by_number => Err(too_large()),
        Some(fitting) => Ok(fitting.max(1)),
    }
}

/// Parses a name such as `-dueAt` into an order and its direction; validation refuses names that
/// are no order. Without a name it is the order that a poller walks where changes since some time
/// are asked for, and none otherwise.
pub fn sort<N: Noun>(
    name: Option<&str>,
    updated_since: Option<prost_types::Timestamp>,
) -> Option<(&'static Order, Direction)> {
    let name = name.or(updated_since.map(|_| "updatedAt"))?;
    let (name, direction) = match name.strip_prefix('-') {
        Some(name) => (name, Direction::Descending),
        None => (name, Direction::Ascending),
    };
    Some((N::table().order(name)?, direction))
}

/// The list of the rows that meet all conditions, in the order that a request asks for (see [`sort`]);
/// otherwise the newest first.
pub fn query<N: Noun>(
    sort_by: Option<&str>,
    updated_since: Option<prost_types::Timestamp>,
    conditions: impl IntoIterator<Item = Option<Condition>>,
) -> Query {
    let newest = (N::table().orders[0], Direction::Descending);
    let (order, direction) = sort::<N>(sort_by, updated_since).unwrap_or(newest);
    Query::all(order, direction).filter(conditions.into_iter().flatten())
}

/// A page as messages.
pub struct Listed<M> {
    pub messages: Vec<M>,
    pub meta: pb::PageMeta,
}

/// The page of a noun's list that a request asks for.
pub async fn list<N: Noun, M: Validate, R: Message>(
    store: &Store,
    accepted: &Accepted<M>,
    list: &Query,
    message: impl Fn(N) -> R,
) -> Result<Listed<R>, Error> {
    let workspace = accepted.caller.workspace();
    let page = asked(&accepted.message, |text| list.decode::<N>(workspace, text))?;
    let found = store.reader(workspace).list(list, &page).await?;
    listed(workspace, list, &page, found, message)
}

/// The page of a row's history that a request asks for.
pub async fn history<N: Noun, M: Validate>(
    store: &Store,
    accepted: &Accepted<M>,
    id: i64,
) -> Result<Listed<pb::HistoryEntry>, Error> {
    let workspace = accepted.caller.workspace();
    let list = format!("{workspace:?} history of {} {id}", N::table().resource.resource_type());
    let page = asked(&accepted.message, |text| CursorKey::decode_in(text, &list))?;
    let found = store.reader(workspace).list_history::<N>(id, &page).await?;
    fitted(&page, found, HistoryEntry::key, |key| key.encode_in(&list), history_entry)
}

/// Returns the page of a list as messages, as many as fit, with its position in the list.
pub fn listed<N: Noun, M: Message>(
    workspace: WorkspaceId,
    list: &Query,
    page: &PageRequest,
    found: Page<N>,
    message: impl Fn(N) -> M,
) -> Result<Listed<M>, Error> {
    let cursor = |key: &CursorKey| list.encode::<N>(workspace, key);
    fitted(page, found, |row| list.key_of(row), cursor, message)
}

/// Returns the page of any list as messages, as many as fit; `key` returns the position of a row.
pub fn fitted<T, M: Message>(
    page: &PageRequest,
    found: Page<T>,
    key: impl Fn(&T) -> CursorKey,
    cursor: impl Fn(&CursorKey) -> String,
    message: impl Fn(T) -> M,
) -> Result<Listed<M>, Error> {
    let mut next = found.next;
    let mut keys: Vec<_> = found.rows.iter().map(key).collect();
    let mut messages: Vec<_> = found.rows.into_iter().map(message).collect();
    let fitting = fitting(page, messages.iter().map(Message::encoded_len))?;
    if fitting < messages.len() {
        messages.truncate(fitting);
        next = Some(keys.swap_remove(fitting - 1));
    }
    let meta = pb::PageMeta {
        total_is_bound: found.total_is_bound,
        ..meta(page, found.total_count, next.as_ref().map(cursor))
    };
    Ok(Listed { messages, meta })
}

fn too_large() -> Error {
    let mut violations = Violations::default();
    let remedy = "perPage items are more than 3.5 MiB: ask for fewer, or read on by cursor, from cursor=start";
    violations.add("perPage", "PAGE_TOO_LARGE", remedy);
    Error::page_too_large(violations)
}

fn bad_cursor(error: CursorError) -> Error {
    let remedy = match error {
        CursorError::Malformed => "cursor must be the nextCursor of an earlier page, unchanged",
        CursorError::OtherList => {
            "cursor was made with other filters or another order: repeat those, or begin without cursor"
        }
    };
    Error::invalid_field("cursor", "INVALID_CURSOR", remedy)
}

/// Returns the position of a page in its list.
pub fn meta(
    page: &PageRequest,
    total_count: Option<i64>,
    next_cursor: Option<String>,
) -> pb::PageMeta {
    pb::PageMeta {
        page: match page.position {
            Position::Page(page) => Some(page as i32),
            Position::Start | Position::After(_) => None,
        },
        per_page: page.per_page as i32,
        total_count,
        has_more: next_cursor.is_some(),
        next_cursor,
        total_is_bound: false,
    }
}
