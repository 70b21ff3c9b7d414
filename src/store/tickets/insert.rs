//! Making a ticket: its number, its row, its tags and its watchers.
//!
//! The row of the counter stays locked until the transaction ends, so every other new ticket of the
//! workspace waits from here on. PostgreSQL therefore gets all of it as one statement: a round trip
//! for each piece would let them wait as often.

use std::sync::LazyLock;

use sea_orm::sea_query::ArrayType;
use sea_orm::{ActiveModelTrait, DbBackend, IdenStatic, Iterable, Statement, Value};

use super::row::encode;
use super::write::refused;
use super::{NewTicket, Ticket, Tx};
use crate::error::Error;
use crate::store::WorkspaceId;
use crate::store::counters::{Counter, advance};
use crate::store::entity::ticket;
use crate::store::failure::failed;
use crate::store::sql::{Parameters, array};

/// The columns of a ticket's row, in the order of [`values`].
static COLUMNS: LazyLock<String> = LazyLock::new(|| {
    let columns: Vec<_> = ticket::Column::iter().map(|column| column.as_str()).collect();
    columns.join(", ")
});

impl Tx {
    /// Makes a ticket. Its users and its parent must exist (see [`Tx::missing_users`] and
    /// [`Tx::missing_tickets`]); an external id that its source has already is ALREADY_EXISTS.
    pub async fn insert_ticket(&mut self, new: NewTicket) -> Result<Ticket, Error> {
        let ticket = match self.transaction.backend() {
            DbBackend::Postgres => {
                self.take_turn().await?;
                self.insert_at_once(new).await?
            }
            _ => self.insert_piece_by_piece(new).await?,
        };
        self.count_inserted(&ticket);
        Ok(ticket)
    }

    async fn insert_piece_by_piece(&self, new: NewTicket) -> Result<Ticket, Error> {
        let id = advance(&self.transaction, self.workspace, Counter::Tickets, 1).await?;
        let ticket = self.new_ticket(id, new);
        let inserted = self.transaction.execute(insert_row(self.workspace, &ticket)).await;
        inserted.map_err(|error| refused(error, &ticket))?;
        self.insert_tags(&ticket).await.map_err(failed)?;
        self.insert_watchers(&ticket).await.map_err(failed)?;
        Ok(ticket)
    }

    async fn insert_at_once(&self, new: NewTicket) -> Result<Ticket, Error> {
        // Its number is not known yet, and stands nowhere else in the row.
        let ticket = self.new_ticket(0, new);
        let insert = insert_all(self.workspace, &ticket);
        let id = self.transaction.try_read(insert, |row| row.get(0)).await;
        let id = id.map_err(|error| refused(error, &ticket))??.into_iter().next();
        let id = id.ok_or_else(|| Error::internal("a new ticket got no number"))?;
        Ok(Ticket { id, ..ticket })
    }
}

/// Inserts the row of a ticket.
fn insert_row(workspace: WorkspaceId, ticket: &Ticket) -> Statement {
    let mut parameters = Parameters::new(DbBackend::Sqlite);
    let values: Vec<_> =
        values(workspace, ticket).map(|(_, value)| parameters.bind(value)).collect();
    let text = format!("INSERT INTO tickets ({}) VALUES ({})", *COLUMNS, values.join(", "));
    parameters.statement(text)
}

/// Inserts a ticket with the next number, its tags and its watchers, and selects the number.
fn insert_all(workspace: WorkspaceId, ticket: &Ticket) -> Statement {
    let mut parameters = Parameters::new(DbBackend::Postgres);
    let values = values(workspace, ticket).map(|(column, value)| match column {
        ticket::Column::Id => "next.value".to_owned(),
        _ => parameters.bind(value),
    });
    let values = values.collect::<Vec<_>>().join(", ");
    let (workspace, counter) =
        (parameters.bind(workspace.0), parameters.bind(Counter::Tickets.name()));
    let created_at = parameters.bind(ticket.created_at.0);
    let tags = parameters.bind(array(ArrayType::String, ticket.tags.clone()));
    let watchers = parameters.bind(array(ArrayType::BigInt, ticket.watcher_user_ids.clone()));
    parameters.statement(format!(
        "WITH next AS ( \
           INSERT INTO counters (workspace_id, name, value) VALUES ({workspace}, {counter}, 1) \
           ON CONFLICT (workspace_id, name) DO UPDATE SET value = counters.value + 1 \
           RETURNING value \
         ), ticket AS ( \
           INSERT INTO tickets ({}) SELECT {values} FROM next \
         ), tags AS ( \
           INSERT INTO ticket_tags (workspace_id, ticket_id, tag, ticket_created_at) \
           SELECT {workspace}, next.value, t.tag, {created_at} FROM next, unnest({tags}) AS t (tag) \
         ), watchers AS ( \
           INSERT INTO ticket_watchers (workspace_id, ticket_id, user_id) \
           SELECT {workspace}, next.value, w.id FROM next, unnest({watchers}) AS w (id) \
         ) \
         SELECT value FROM next",
        *COLUMNS
    ))
}

/// What stands in each column of a ticket's row.
fn values(
    workspace: WorkspaceId,
    ticket: &Ticket,
) -> impl Iterator<Item = (ticket::Column, Value)> {
    let mut row = encode(workspace, ticket);
    ticket::Column::iter().map(move |column| {
        let value = row.take(column).into_value();
        (column, value.expect("encode sets every column"))
    })
}
