//! The audit log: appended to by [`Tx::commit`](super::Tx::commit) with the change that it tells of,
//! and by a refusal of its own. The database refuses to change or delete an entry.

use std::borrow::Cow;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryTrait, Set};
use serde_json::{Map, Value};

use super::counters::advance;
use super::entity::audit_log;
use super::events::{actor_kind, actor_number};
use super::failure::failed;
use super::pages::{CursorKey, NewestFirst, Page, PageRequest, Total};
use super::sql::INSERT_ROWS_MAX;
use super::transaction::Transaction;
use super::{Reader, Store, WorkspaceId};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{Actor, Origin};
use crate::metrics::StoreOperation;

/// The counter that numbers entries of the audit log.
const COUNTER: &str = "audit_logs";

/// A resource as the API shows it.
type Object = Map<String, Value>;

/// An entry to be made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewAuditLog {
    /// The action that was done, or tried, such as `api_key.create`.
    pub action: Cow<'static, str>,
    /// The code of the refusal; none when it was done.
    pub reason: Option<&'static str>,
    /// The kind of the resource, such as `api_key`.
    pub resource_type: &'static str,
    /// The id of the resource, if it is known.
    pub resource_id: Option<String>,
    /// The resource before, if there was one.
    pub before: Option<Object>,
    /// The resource after, if it changed.
    pub after: Option<Object>,
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditLog {
    /// The id: 1, 2, 3 … within the workspace.
    pub id: i64,
    /// The time of the action.
    pub created_at: Timestamp,
    /// The actor.
    pub actor: Actor,
    /// The action that was done, or tried.
    pub action: String,
    /// The code of the refusal; none when it was done.
    pub reason: Option<String>,
    /// The kind of the resource.
    pub resource_type: String,
    /// The id of the resource, if it was known.
    pub resource_id: Option<String>,
    /// The resource before, if there was one.
    pub before: Option<Object>,
    /// The resource after, if it changed.
    pub after: Option<Object>,
    /// The id of the request, if it was one.
    pub request_id: Option<String>,
    /// The address of its client.
    pub client_ip: Option<String>,
}

/// The filters of a list of entries, all of which an entry passes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only actions of this actor.
    pub actor_id: Option<String>,
    /// Only actions on resources of this type.
    pub resource_type: Option<String>,
    /// Only actions on the resource with this id.
    pub resource_id: Option<String>,
}

impl Store {
    /// Appends an entry about a refusal: nothing else commits with it.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn insert_denial(
        &self,
        workspace: WorkspaceId,
        origin: Origin,
        entry: NewAuditLog,
    ) -> Result<(), Error> {
        let _timed = StoreOperation::begin("insert", "audit_logs");
        let mut tx = self.begin(workspace, origin).await?;
        tx.audit(entry);
        tx.commit().await
    }
}

impl Reader<'_> {
    /// A page of the audit log, the newest entry first.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list_audit_logs(
        &self,
        filter: &AuditFilter,
        page: &PageRequest,
    ) -> Result<Page<AuditLog>, Error> {
        let _timed = StoreOperation::begin("list", "audit_logs");
        let list = self.audit_list(filter);
        let found = list.read(self.connection, |row| CursorKey::numbered(row.id), page).await;
        found.map_err(failed)?.try_map(from_row)
    }

    /// The query plans of the statements that [`Reader::list_audit_logs`] would run, a line each.
    #[doc(hidden)]
    pub async fn explain_audit_logs(
        &self,
        filter: &AuditFilter,
        page: &PageRequest,
    ) -> Result<Vec<String>, Error> {
        self.explain_all(self.audit_list(filter).statements(self.backend(), page)).await
    }

    fn audit_list(&self, filter: &AuditFilter) -> NewestFirst<audit_log::Entity> {
        use audit_log::Column;
        let mut select = audit_log::Entity::find().filter(Column::WorkspaceId.eq(self.workspace.0));
        let filters = [
            (Column::ActorId, &filter.actor_id),
            (Column::ResourceType, &filter.resource_type),
            (Column::ResourceId, &filter.resource_id),
        ];
        for (column, value) in filters {
            if let Some(value) = value {
                select = select.filter(column.eq(value.as_str()));
            }
        }
        let is_filtered = *filter != AuditFilter::default();
        let total = if is_filtered { Total::Counted } else { Total::Highest };
        NewestFirst { select, time: None, number: Column::Id, total }
    }
}

/// Appends the entries.
pub(super) async fn insert_audit_logs(
    transaction: &Transaction,
    workspace: WorkspaceId,
    origin: &Origin,
    entries: Vec<NewAuditLog>,
    now: Timestamp,
) -> Result<(), Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let amount = i64::try_from(entries.len()).expect("a change has fewer than 2^63 entries");
    let last = advance(transaction, workspace, COUNTER, amount).await?;
    let json = |object: Option<Object>| object.map(|object| Value::Object(object).to_string());
    let rows = (last - amount + 1..).zip(entries).map(|(id, entry)| audit_log::ActiveModel {
        workspace_id: Set(workspace.0),
        id: Set(id),
        created_at: Set(now.0),
        actor_type: Set(actor_number(origin.actor.kind)),
        actor_id: Set(origin.actor.id.clone()),
        actor_name: Set(origin.actor.name.clone()),
        action: Set(entry.action.into_owned()),
        reason: Set(entry.reason.map(str::to_owned)),
        resource_type: Set(entry.resource_type.to_owned()),
        resource_id: Set(entry.resource_id),
        before: Set(json(entry.before)),
        after: Set(json(entry.after)),
        request_id: Set(origin.request_id.clone()),
        client_ip: Set(origin.client_ip.clone()),
    });
    let rows: Vec<_> = rows.collect();
    for rows in rows.chunks(INSERT_ROWS_MAX) {
        let insert = audit_log::Entity::insert_many(rows.to_vec()).build(transaction.backend());
        transaction.execute(insert).await.map_err(failed)?;
    }
    Ok(())
}

fn from_row(row: audit_log::Model) -> Result<AuditLog, Error> {
    let object = |text: Option<String>| {
        text.map(|text| serde_json::from_str(&text).map_err(Error::internal)).transpose()
    };
    Ok(AuditLog {
        id: row.id,
        created_at: Timestamp(row.created_at),
        actor: Actor { kind: actor_kind(row.actor_type)?, id: row.actor_id, name: row.actor_name },
        action: row.action,
        reason: row.reason,
        resource_type: row.resource_type,
        resource_id: row.resource_id,
        before: object(row.before)?,
        after: object(row.after)?,
        request_id: row.request_id,
        client_ip: row.client_ip,
    })
}
