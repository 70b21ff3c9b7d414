//! A ticket's row, there and back.
//!
//! Reading goes by position in a fixed list of columns: it is the hottest path of the store, and
//! a look-up of 30 columns by name costs more than the query itself.

use std::sync::LazyLock;

use rusqlite::types::FromSql;
use sea_orm::{ActiveValue, Set, TryGetable};

use super::Ticket;
use super::counts::facet;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::store::entity::ticket;
use crate::store::rows::Row;
use crate::store::{WorkspaceId, from_json, to_json, unknown_number};

/// The columns of a ticket `t`, in the order that [`decode`] takes them.
pub(super) const COLUMNS: &str = "t.id, t.title, t.description, t.ticket_type, t.category, \
    t.priority, t.impact, t.urgency, t.status, t.pending_reason, t.resolution, t.requester_id, \
    t.assignee_id, t.watcher_user_ids, t.parent_id, t.tags, t.due_at, t.source, \
    t.external_source, t.external_id, t.comment_count, t.reopen_count, t.created_at, \
    t.updated_at, t.resolved_at, t.closed_at, t.created_by, t.updated_by, t.version";

/// How many they are: what a query selects beside them comes after.
const COLUMN_COUNT: usize = 29;

/// The query of one ticket, put together once.
pub(super) static FIND: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT {COLUMNS} FROM tickets t WHERE t.workspace_id = $1 AND t.id = $2")
});

/// The ticket in a row that begins with [`COLUMNS`].
pub(super) fn decode(row: &Row<'_>) -> Result<Ticket, Error> {
    let mut row = Columns { row, next: 0 };
    Ok(Ticket {
        id: row.take()?,
        title: row.take()?,
        description: row.take()?,
        ticket_type: row.take_kind("ticket_type", super::TicketType::from_i16)?,
        category: row.take_kind("category", super::Category::from_i16)?,
        priority: row.take_kind("priority", super::Priority::from_i16)?,
        impact: row.take_kind_or_null("impact", super::Impact::from_i16)?,
        urgency: row.take_kind_or_null("urgency", super::Urgency::from_i16)?,
        status: row.take_kind("status", super::Status::from_i16)?,
        pending_reason: row.take()?,
        resolution: row.take()?,
        requester_id: row.take()?,
        assignee_id: row.take()?,
        watcher_user_ids: from_json(&row.take::<String>()?)?,
        parent_id: row.take()?,
        tags: from_json(&row.take::<String>()?)?,
        due_at: row.take_time_or_null()?,
        source: row.take_kind("source", super::Source::from_i16)?,
        external_source: row.take()?,
        external_id: row.take()?,
        comment_count: row.take()?,
        reopen_count: row.take()?,
        created_at: Timestamp(row.take()?),
        updated_at: Timestamp(row.take()?),
        resolved_at: row.take_time_or_null()?,
        closed_at: row.take_time_or_null()?,
        created_by: row.take()?,
        updated_by: row.take()?,
        version: row.take()?,
    })
}

/// The ticket in a row of a page, and the total beside it.
pub(super) fn decode_listed(row: &Row<'_>) -> Result<(Ticket, i64), Error> {
    Ok((decode(row)?, row.get(COLUMN_COUNT)?))
}

struct Columns<'a> {
    row: &'a Row<'a>,
    next: usize,
}

impl Columns<'_> {
    fn take<T: TryGetable + FromSql>(&mut self) -> Result<T, Error> {
        let value = self.row.get(self.next);
        self.next += 1;
        value
    }

    fn take_time_or_null(&mut self) -> Result<Option<Timestamp>, Error> {
        Ok(self.take::<Option<i64>>()?.map(Timestamp))
    }

    fn take_kind<T>(&mut self, column: &str, kind: fn(i16) -> Option<T>) -> Result<T, Error> {
        let number = self.take()?;
        kind(number).ok_or_else(|| unknown_number(column, number))
    }

    fn take_kind_or_null<T>(
        &mut self,
        column: &str,
        kind: fn(i16) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(number) = self.take::<Option<i16>>()? else { return Ok(None) };
        kind(number).map(Some).ok_or_else(|| unknown_number(column, number))
    }
}

/// The whole row of a ticket.
pub(super) fn encode(workspace: WorkspaceId, ticket: &Ticket) -> ticket::ActiveModel {
    ticket::ActiveModel {
        workspace_id: Set(workspace.0),
        id: Set(ticket.id),
        title: Set(ticket.title.clone()),
        description: Set(ticket.description.clone()),
        ticket_type: Set(ticket.ticket_type.as_i16()),
        category: Set(ticket.category.as_i16()),
        priority: Set(ticket.priority.as_i16()),
        impact: Set(ticket.impact.map(super::Impact::as_i16)),
        urgency: Set(ticket.urgency.map(super::Urgency::as_i16)),
        status: Set(ticket.status.as_i16()),
        facet: Set(facet(ticket)),
        pending_reason: Set(ticket.pending_reason.clone()),
        resolution: Set(ticket.resolution.clone()),
        requester_id: Set(ticket.requester_id),
        assignee_id: Set(ticket.assignee_id),
        watcher_user_ids: Set(to_json(&ticket.watcher_user_ids)),
        parent_id: Set(ticket.parent_id),
        tags: Set(to_json(&ticket.tags)),
        due_at: Set(ticket.due_at.map(|at| at.0)),
        source: Set(ticket.source.as_i16()),
        external_source: Set(ticket.external_source.clone()),
        external_id: Set(ticket.external_id.clone()),
        comment_count: Set(ticket.comment_count),
        reopen_count: Set(ticket.reopen_count),
        created_at: Set(ticket.created_at.0),
        updated_at: Set(ticket.updated_at.0),
        resolved_at: Set(ticket.resolved_at.map(|at| at.0)),
        closed_at: Set(ticket.closed_at.map(|at| at.0)),
        created_by: Set(ticket.created_by),
        updated_by: Set(ticket.updated_by),
        version: Set(ticket.version),
    }
}

/// The columns of `after` that differ from `before`: an index is only touched when one of its
/// columns is set.
pub(super) fn encode_changes(
    workspace: WorkspaceId,
    before: &Ticket,
    after: &Ticket,
) -> ticket::ActiveModel {
    let old = encode(workspace, before);
    let mut new = encode(workspace, after);
    keep_if_changed(&mut new.title, &old.title);
    keep_if_changed(&mut new.description, &old.description);
    keep_if_changed(&mut new.ticket_type, &old.ticket_type);
    keep_if_changed(&mut new.category, &old.category);
    keep_if_changed(&mut new.priority, &old.priority);
    keep_if_changed(&mut new.impact, &old.impact);
    keep_if_changed(&mut new.urgency, &old.urgency);
    keep_if_changed(&mut new.status, &old.status);
    keep_if_changed(&mut new.facet, &old.facet);
    keep_if_changed(&mut new.pending_reason, &old.pending_reason);
    keep_if_changed(&mut new.resolution, &old.resolution);
    keep_if_changed(&mut new.requester_id, &old.requester_id);
    keep_if_changed(&mut new.assignee_id, &old.assignee_id);
    keep_if_changed(&mut new.watcher_user_ids, &old.watcher_user_ids);
    keep_if_changed(&mut new.parent_id, &old.parent_id);
    keep_if_changed(&mut new.tags, &old.tags);
    keep_if_changed(&mut new.due_at, &old.due_at);
    keep_if_changed(&mut new.source, &old.source);
    keep_if_changed(&mut new.external_source, &old.external_source);
    keep_if_changed(&mut new.external_id, &old.external_id);
    keep_if_changed(&mut new.comment_count, &old.comment_count);
    keep_if_changed(&mut new.reopen_count, &old.reopen_count);
    keep_if_changed(&mut new.created_at, &old.created_at);
    keep_if_changed(&mut new.updated_at, &old.updated_at);
    keep_if_changed(&mut new.resolved_at, &old.resolved_at);
    keep_if_changed(&mut new.closed_at, &old.closed_at);
    keep_if_changed(&mut new.created_by, &old.created_by);
    keep_if_changed(&mut new.updated_by, &old.updated_by);
    new
}

fn keep_if_changed<T>(new: &mut ActiveValue<T>, old: &ActiveValue<T>)
where
    T: PartialEq + Into<sea_orm::Value>,
{
    if new == old {
        *new = ActiveValue::NotSet;
    }
}
