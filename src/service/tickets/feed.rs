//! The feed of changes of tickets.

use crate::config::PAGE_BYTES_MAX;
use crate::error::Error;
use crate::event_type::EventType;
use crate::pb;
use crate::service::messages::event;
use crate::service::pages;
use crate::store::{CursorKey, Followed, Page, PageRequest, Position, Reader, Workspace};
use crate::subscription::Subscription;

/// The types of events in the feed.
const TYPES: &[EventType] = &[
    EventType::TicketCreated,
    EventType::TicketUpdated,
    EventType::TicketImported,
    EventType::TicketCommentCreated,
];

/// The page of the feed that a request asks for.
pub async fn page(
    reader: Reader<'_>,
    workspace: &Workspace,
    message: &pb::ListTicketChangesRequest,
) -> Result<pb::ListTicketChangesResponse, Error> {
    let feed = format!("{:?} changes of tickets", workspace.id);
    let asked = pages::asked(message, |text| CursorKey::decode_in(text, &feed))?;
    // It is read by cursor alone.
    let (position, after) = match asked.position {
        Position::After(key) => (Position::After(key.clone()), key.id),
        Position::Page(_) | Position::Start => (Position::Start, 0),
    };
    let page = PageRequest { position, ..asked };
    let subscription = Subscription::of_types(TYPES);
    let followed = Followed {
        subscription: &subscription,
        ..Followed::all(after, page.per_page, PAGE_BYTES_MAX)
    };
    let read = reader.follow(&followed).await?.ok_or_else(beyond)?;
    let rows = read.events.into_iter().map(|recorded| event(&recorded, workspace));
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let next = Some(CursorKey::numbered(read.read_up_to));
    let found = Page { rows, total_count: None, total_is_bound: false, next };
    let count = found.rows.len();
    let cursor = |key: &CursorKey| key.encode_in(&feed);
    let key = |event: &pb::Event| CursorKey::numbered(event.sequence);
    let listed = pages::fitted(&page, found, key, cursor, |event| event)?;
    let meta = pb::FeedMeta {
        end_of_feed: read.is_end && listed.messages.len() == count,
        next_cursor: listed.meta.next_cursor.unwrap_or_default(),
    };
    Ok(pb::ListTicketChangesResponse { changes: listed.messages, meta: Some(meta) })
}

fn beyond() -> Error {
    let remedy =
        "cursor leads beyond the last change, so it is of another database; begin without cursor";
    Error::invalid_field("cursor", "INVALID_CURSOR", remedy)
}
