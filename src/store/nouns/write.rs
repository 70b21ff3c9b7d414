//! The making and changing of rows, with the rows beside them, their counts and their locks.
//!
//! The row of a noun's counter stays locked until the transaction ends, so every other new row of
//! the workspace waits from there on. PostgreSQL therefore gets all of a new row as one statement: a
//! round trip for each piece would let the others wait as often.

use std::collections::BTreeSet;

use sea_orm::sea_query::{ArrayType, Expr, LockType};
use sea_orm::{
    ColumnTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Statement, Value,
};

use super::lookup::is_named;
use super::noun::{Noun, column};
use super::row::{changes, decode, find_row, rows_where, values};
use super::table::Side;
use super::words::insert_beside;
use crate::clock::Timestamp;
use crate::error::{Error, Kind};
use crate::metrics::StoreOperation;
use crate::preconditions::Precondition;
use crate::store::Tx;
use crate::store::counters::advance;
use crate::store::failure::failed;
use crate::store::locks::BeforeRows;
use crate::store::sql::{Parameters, array};
use crate::store::{Locking, Rows, WorkspaceId};

impl<S: BeforeRows> Locking<S> {
    /// Finds and locks the row that a path names, by its id or its alternate key: nobody else can
    /// change it until this change has ended. At another version than the change is meant for it is a
    /// VERSION_CONFLICT.
    pub async fn find_for_update<N: Noun>(
        self,
        name: &str,
        meant_for: &Precondition,
    ) -> Result<(N, Locking<Rows>), Error> {
        let (found, locking) = self.lock_rows::<N>(is_named::<N>(name)?).await?;
        let found = found.into_iter().next().ok_or_else(|| N::table().resource.not_found())?;
        meant_for.hold(found.version())?;
        Ok((found, locking))
    }

    /// Finds and locks the rows with these ids, by ascending id; those that are not there are left out.
    pub async fn find_all_for_update<N: Noun>(
        self,
        ids: &[i64],
    ) -> Result<(Vec<N>, Locking<Rows>), Error> {
        match ids {
            [] => Ok((Vec::new(), self.step())),
            ids => self.lock_rows::<N>(column::<N>("id").is_in(ids.iter().copied())).await,
        }
    }

    #[tracing::instrument(level = "debug", skip_all)]
    async fn lock_rows<N: Noun>(self, condition: Expr) -> Result<(Vec<N>, Locking<Rows>), Error> {
        let _timed = StoreOperation::begin("find_for_update", N::table().name);
        let select = rows_where::<N>(self.workspace, condition)
            .order_by_asc(column::<N>("id"))
            // Not FOR UPDATE: that would also hold up those who only refer to a row. SQLite has no
            // such clause, and needs none: the transaction has the whole database to itself.
            .lock(LockType::NoKeyUpdate)
            .build(self.transaction.backend());
        let found = self.transaction.read(select, decode::<N>).await?;
        Ok((found, self.step()))
    }
}

impl Tx {
    /// Makes a row, and returns it with its id, which is a new one unless it comes with one of
    /// [`Tx::next_id`]. What it refers to must exist.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn insert<N: Noun>(&mut self, new: N) -> Result<N, Error> {
        let _timed = StoreOperation::begin("insert", N::table().name);
        let row = match self.transaction.backend() {
            _ if new.id() != 0 => self.insert_row(new).await?,
            DbBackend::Postgres => {
                // Put together before the turn, in which all others wait.
                let insert = insert_all(self.workspace, &new);
                self.take_turn().await?;
                self.insert_at_once(new, insert).await?
            }
            _ => self.insert_piece_by_piece(new).await?,
        };
        self.count_changes.inserted(&row);
        Ok(row)
    }

    /// The id of a row that is to be made, for one that is told apart by it in yet another column.
    pub async fn next_id<N: Noun>(&mut self) -> Result<i64, Error> {
        self.take_turn().await?;
        advance(&self.transaction, self.workspace, N::table().name, 1).await
    }

    async fn insert_piece_by_piece<N: Noun>(&self, mut row: N) -> Result<N, Error> {
        row.set_id(advance(&self.transaction, self.workspace, N::table().name, 1).await?);
        self.insert_row(row).await
    }

    async fn insert_row<N: Noun>(&self, row: N) -> Result<N, Error> {
        let table = N::table();
        let insert = insert_row(self.transaction.backend(), self.workspace, &row);
        let inserted = self.transaction.execute(insert).await;
        inserted.map_err(|error| refused(&row, error))?;
        for side in table.sides {
            self.insert_side(&row, side).await.map_err(failed)?;
        }
        self.write_words(&row).await?;
        Ok(row)
    }

    async fn insert_at_once<N: Noun>(&self, mut row: N, insert: Statement) -> Result<N, Error> {
        // Its id is not known yet, and stands nowhere else in the row.
        let id = self.transaction.try_read(insert, |row| row.get(0)).await;
        let id = id.map_err(|error| refused(&row, error))??.into_iter().next();
        row.set_id(id.ok_or_else(|| Error::internal("a new row got no id"))?);
        Ok(row)
    }

    /// The row with this id, as it is now: others may change it before this change has ended.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find<N: Noun>(&self, id: i64) -> Result<Option<N>, Error> {
        let _timed = StoreOperation::begin("find", N::table().name);
        let find = find_row::<N>(self.transaction.backend(), self.workspace, id);
        Ok(self.transaction.read(find, decode::<N>).await?.into_iter().next())
    }

    /// The rows with these ids, as they are now, by ascending id.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_all<N: Noun>(&self, ids: BTreeSet<i64>) -> Result<Vec<N>, Error> {
        let _timed = StoreOperation::begin("find_all", N::table().name);
        let select = rows_where::<N>(self.workspace, column::<N>("id").is_in(ids))
            .order_by_asc(column::<N>("id"))
            .build(self.transaction.backend());
        self.transaction.read(select, decode::<N>).await
    }

    /// Makes of the row `before` the row `after`, and returns it with its new version and time.
    /// `before` comes from [`Locking::find_for_update`]; if the row has moved on since, it is a
    /// VERSION_CONFLICT.
    pub async fn update<N: Noun>(&mut self, before: &N, after: N) -> Result<N, Error> {
        self.update_as_of(before, after, self.now).await
    }

    /// Changes a row as [`Tx::update`] does, at another time than now.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn update_as_of<N: Noun>(
        &mut self,
        before: &N,
        mut after: N,
        updated_at: Timestamp,
    ) -> Result<N, Error> {
        let _timed = StoreOperation::begin("update", N::table().name);
        after.set_version(before.version() + 1, updated_at);
        let updated = N::Entity::update_many()
            .set(changes(self.workspace, before, &after))
            .filter(column::<N>("workspace_id").eq(self.workspace.0))
            .filter(column::<N>("id").eq(before.id()))
            .filter(column::<N>("version").eq(before.version()))
            .build(self.transaction.backend());
        let updated = self.transaction.execute(updated).await;
        if updated.map_err(|error| refused(&after, error))? == 0 {
            let of = N::table().resource.resource_type();
            let message = format!("The {of} was changed by somebody else. Read it again.");
            return Err(Error::new(Kind::VersionConflict, message));
        }
        for side in N::table().sides {
            let is_dated = side.created_at.is_some() && after.created_at() != before.created_at();
            if is_dated || after.side(side) != before.side(side) {
                self.delete_side(&after, side).await.map_err(failed)?;
                self.insert_side(&after, side).await.map_err(failed)?;
            }
        }
        self.update_words(before, &after).await?;
        self.count_changes.updated(before, &after);
        Ok(after)
    }

    /// Deletes a row, which comes from [`Locking::find_for_update`]. Nothing may refer to it, and nothing
    /// stand beside it.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn delete<N: Noun>(&mut self, row: &N) -> Result<(), Error> {
        let _timed = StoreOperation::begin("delete", N::table().name);
        let delete = N::Entity::delete_many()
            .filter(column::<N>("workspace_id").eq(self.workspace.0))
            .filter(column::<N>("id").eq(row.id()))
            .build(self.transaction.backend());
        self.transaction.execute(delete).await.map_err(failed)?;
        self.count_changes.deleted(row);
        Ok(())
    }

    /// Returns those of `ids` that name no row of the noun in this workspace, in ascending order.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn missing<N: Noun>(&self, ids: &[i64]) -> Result<Vec<i64>, Error> {
        let _timed = StoreOperation::begin("find_missing", N::table().name);
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut parameters = Parameters::new(self.transaction.backend());
        let workspace = parameters.bind(self.workspace.0);
        let asked = parameters.bind_rows(ids);
        let text = format!(
            "SELECT DISTINCT value FROM {asked} WHERE NOT EXISTS \
             (SELECT 1 FROM {} t WHERE t.workspace_id = {workspace} AND t.id = ids.value) \
             ORDER BY value",
            N::table().name
        );
        self.transaction.read(parameters.statement(text), |row| row.get(0)).await
    }

    async fn insert_side<N: Noun>(&self, row: &N, side: &'static Side) -> Result<(), DbErr> {
        let values = row.side(side);
        if values.is_empty() {
            return Ok(());
        }
        let mut parameters = Parameters::new(self.transaction.backend());
        let (workspace, owner) = (parameters.bind(self.workspace.0), parameters.bind(row.id()));
        let created_at = side.created_at.map(|_| parameters.bind(row.created_at().0));
        let created_at = created_at.map(|at| format!(", {at}")).unwrap_or_default();
        let rows = values.into_iter();
        let rows = rows
            .map(|value| format!("({workspace}, {owner}, {}{created_at})", parameters.bind(value)));
        let rows = rows.collect::<Vec<_>>().join(", ");
        let insert = format!("INSERT INTO {} ({}) VALUES {rows}", side.table, columns(side));
        self.transaction.execute(parameters.statement(insert)).await.map(|_| ())
    }

    async fn delete_side<N: Noun>(&self, row: &N, side: &'static Side) -> Result<(), DbErr> {
        let mut parameters = Parameters::new(self.transaction.backend());
        let (workspace, owner) = (parameters.bind(self.workspace.0), parameters.bind(row.id()));
        let Side { table, owner: column, .. } = side;
        let delete =
            format!("DELETE FROM {table} WHERE workspace_id = {workspace} AND {column} = {owner}");
        self.transaction.execute(parameters.statement(delete)).await.map(|_| ())
    }
}

/// The refusal of a row that cannot be written.
fn refused<N: Noun>(row: &N, error: DbErr) -> Error {
    row.taken(&error).unwrap_or_else(|| failed(error))
}

/// The columns of a side table.
fn columns(Side { owner, value, created_at, .. }: &Side) -> String {
    let created_at = created_at.map(|column| format!(", {column}")).unwrap_or_default();
    format!("workspace_id, {owner}, {value}{created_at}")
}

/// Inserts a row.
fn insert_row<N: Noun>(backend: DbBackend, workspace: WorkspaceId, row: &N) -> Statement {
    let table = N::table();
    let mut parameters = Parameters::new(backend);
    let values: Vec<_> = values(workspace, row).map(|(_, value)| parameters.bind(value)).collect();
    let columns = table.columns::<N>().join(", ");
    let (name, values) = (table.name, values.join(", "));
    parameters.statement(format!("INSERT INTO {name} ({columns}) VALUES ({values})"))
}

/// Inserts a row with the next id, and the rows beside it, and selects the id.
fn insert_all<N: Noun>(workspace: WorkspaceId, row: &N) -> Statement {
    let table = N::table();
    let mut parameters = Parameters::new(DbBackend::Postgres);
    let values = values(workspace, row).map(|(column, value)| match column {
        "id" => "next.value".to_owned(),
        _ => parameters.bind(value),
    });
    let values = values.collect::<Vec<_>>().join(", ");
    let (workspace, counter) = (parameters.bind(workspace.0), parameters.bind(table.name));
    let sides: Vec<_> = table
        .sides
        .iter()
        .map(|side| {
            let of = if side.is_text { ArrayType::String } else { ArrayType::BigInt };
            let values = parameters.bind(array::<Value>(of, row.side(side)));
            let created_at = side.created_at.map(|_| parameters.bind(row.created_at().0));
            let created_at = created_at.map(|at| format!(", {at}")).unwrap_or_default();
            format!(
                ", {name} AS ( \
                   INSERT INTO {name} ({}) \
                   SELECT {workspace}, next.value, s.value{created_at} \
                   FROM next, unnest({values}) AS s (value) \
                 )",
                columns(side),
                name = side.table,
            )
        })
        .collect();
    let words = insert_beside(&mut parameters, &workspace, row);
    parameters.statement(format!(
        "WITH next AS ( \
           INSERT INTO counters (workspace_id, name, value) VALUES ({workspace}, {counter}, 1) \
           ON CONFLICT (workspace_id, name) DO UPDATE SET value = counters.value + 1 \
           RETURNING value \
         ), made AS ( \
           INSERT INTO {} ({}) SELECT {values} FROM next \
         ){}{words} \
         SELECT value FROM next",
        table.name,
        table.columns::<N>().join(", "),
        sides.concat(),
    ))
}
