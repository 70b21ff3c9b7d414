//! The counters of a workspace: ids of each kind, and the event sequence.
//!
//! A counter's row stays locked until the transaction ends, so numbers have no gap and follow the
//! order of commits; it is therefore taken as late as possible.

use sea_orm::{EntityTrait, QueryTrait, Set};

use super::WorkspaceId;
use super::entity::counter;
use super::failure::failed;
use super::sql::statement;
use super::transaction::Transaction;
use crate::error::Error;

/// A counter of a workspace.
#[derive(Debug, Clone, Copy)]
pub(super) enum Counter {
    Users,
    Tickets,
    Events,
    /// Numbers keys, and is the lock under which they are made.
    ApiKeys,
    AuditLogs,
    /// Numbers entries of the request log, and is the lock under which usage is written.
    RequestLogs,
    /// Counts nothing: its row is the lock that changes of parents take in turn.
    TicketParents,
}

impl Counter {
    const ALL: [Self; 7] = [
        Self::Users,
        Self::Tickets,
        Self::Events,
        Self::ApiKeys,
        Self::AuditLogs,
        Self::RequestLogs,
        Self::TicketParents,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Tickets => "tickets",
            Self::Events => "events",
            Self::ApiKeys => "api_keys",
            Self::AuditLogs => "audit_logs",
            Self::RequestLogs => "request_logs",
            Self::TicketParents => "ticket_parents",
        }
    }
}

/// Gives a new workspace its counters.
pub(super) async fn insert_counters(
    transaction: &Transaction,
    workspace: WorkspaceId,
) -> Result<(), Error> {
    let rows = Counter::ALL.map(|counter| counter::ActiveModel {
        workspace_id: Set(workspace.0),
        name: Set(counter.name().to_owned()),
        value: Set(0),
    });
    let insert = counter::Entity::insert_many(rows).build(transaction.backend());
    transaction.execute(insert).await.map_err(failed)?;
    Ok(())
}

/// Moves the counter on by `amount` and answers where it stands now. Others who want it wait until
/// this transaction has ended.
pub(super) async fn advance(
    transaction: &Transaction,
    workspace: WorkspaceId,
    counter: Counter,
    amount: i64,
) -> Result<i64, Error> {
    let text = "UPDATE counters SET value = value + $1 WHERE workspace_id = $2 AND name = $3 \
                RETURNING value";
    let values = [amount.into(), workspace.0.into(), counter.name().into()];
    let advance = statement(transaction.backend(), text, values);
    let value = transaction.read_one(advance, |row| row.get(0)).await?;
    value.ok_or_else(|| Error::internal(format!("there is no counter {}", counter.name())))
}
