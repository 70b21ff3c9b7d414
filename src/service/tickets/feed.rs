//! The feed of changes of tickets.

use rest::Violations;

use crate::error::Error;
use crate::event_type::EventType;
use crate::pb;
use crate::service::messages::event;
use crate::service::pages::{self, PageParameters};
use crate::store::{CursorKey, Page, Position, Reader, Workspace};

/// What the feed tells of.
const TYPES: &[EventType] =
    &[EventType::TicketCreated, EventType::TicketUpdated, EventType::TicketCommentCreated];

/// The rules of a page that no single field can tell.
pub fn check(message: &pb::ListTicketChangesRequest, violations: &mut Violations) {
    asked(message).check(violations);
}

/// The page of the feed that a request asks for.
pub async fn page(
    reader: Reader<'_>,
    workspace: &Workspace,
    message: &pb::ListTicketChangesRequest,
) -> Result<pb::ListTicketChangesResponse, Error> {
    let feed = format!("{:?} changes of tickets", workspace.id);
    let page = asked(message).request(|text| CursorKey::decode_in(text, &feed))?;
    let after = match &page.position {
        Position::After(key) => key.id,
        Position::Page(_) | Position::Start => 0,
    };
    let read = reader.follow(TYPES, after, page.per_page).await?.ok_or_else(beyond)?;
    let rows = read.events.into_iter().map(|recorded| event(recorded, workspace));
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

/// A page of the feed is asked for by cursor alone.
fn asked(message: &pb::ListTicketChangesRequest) -> PageParameters<'_> {
    let cursor = message.cursor.as_deref().or(Some(pages::START));
    PageParameters { page: None, per_page: message.per_page, cursor }
}

fn beyond() -> Error {
    let remedy =
        "cursor leads beyond the last change, so it is of another database; begin without cursor";
    Error::invalid_field("cursor", "INVALID_CURSOR", remedy)
}
