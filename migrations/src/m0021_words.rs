//! The words of the texts of tickets and users, folded, by which they are searched.
//!
//! `words_a` are of the text that counts most where results are ranked, `words_b` of the others, and
//! `words_c` of what is said about the row later. PostgreSQL derives a tsvector from them, and SQLite
//! an FTS5 table. A lexeme begins with the number of the workspace, so that a search touches nothing
//! of others.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, boolean, text};
use sea_orm_migration::sea_orm::{DbBackend, Statement};

use crate::schema::{same_workspace, workspace_key};
use crate::words::{joined, words};

#[derive(DeriveMigrationName)]
pub struct Migration;

/// The number of rows that wait until SQLite takes them into the index together, which costs each
/// of them a tenth of what it would cost alone; a search looks through those that wait.
const PENDING_ROWS: u32 = 128;
/// The characters of a row with which it does not wait (SQLite).
const PENDING_CHARS: u32 = 16_384;
/// The rows that are read at a time while those that are there get their words.
const ROWS_AT_ONCE: i64 = 500;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, rows, [first, second]) in [
            ("ticket_words", "tickets", ["title", "description"]),
            ("user_words", "users", ["display_name", "email"]),
        ] {
            create_words(manager, table, rows).await?;
            let select = format!("SELECT workspace_id, id, {first}, {second} FROM {rows}");
            fill(manager, table, &select).await?;
        }
        add_comments(manager).await
    }
}

/// Makes the table with the words of each row of `rows`, and its index.
pub async fn create_words(
    manager: &SchemaManager<'_>,
    table: &'static str,
    rows: &'static str,
) -> Result<(), DbErr> {
    let is_sqlite = manager.get_database_backend() == DbBackend::Sqlite;
    let mut create = Table::create()
        .table(table)
        .col(big_integer("workspace_id"))
        .col(big_integer("id"))
        .col(text("words_a"))
        .col(text("words_b"))
        .col(text("words_c").default(""))
        .primary_key(&mut workspace_key(&["id"]))
        .foreign_key(&mut same_workspace(table, "id", rows))
        .to_owned();
    if is_sqlite {
        create.col(boolean("is_pending").default(true));
    }
    manager.create_table(create).await?;
    let index = if is_sqlite { index_of_sqlite(table) } else { index_of_postgres(table) };
    for statement in index {
        manager.get_connection().execute_unprepared(&statement).await?;
    }
    Ok(())
}

fn index_of_postgres(table: &str) -> Vec<String> {
    let words = "replace(words_a || words_b || words_c, ' ', ' ' || workspace_id::text || ':')";
    // Before the first word, and behind the last of each text, stands no lexeme.
    let lexemes = format!(
        "array_remove(array_remove(string_to_array({words}, ' '), ''), workspace_id::text || ':')"
    );
    vec![
        format!(
            "ALTER TABLE {table} ADD COLUMN lexemes tsvector \
             GENERATED ALWAYS AS (array_to_tsvector({lexemes})) STORED"
        ),
        format!("CREATE INDEX {table}_lexemes_idx ON {table} USING gin (lexemes)"),
    ]
}

fn index_of_sqlite(table: &str) -> Vec<String> {
    let key = "(workspace_id << 40) + id";
    let lexemes = "replace(words_a || words_b || words_c, ' ', ' ' || workspace_id || ':')";
    let pending = format!("FROM {table} WHERE is_pending = 1");
    let length = "length(NEW.words_a) + length(NEW.words_b) + length(NEW.words_c)";
    let is_time = format!(
        "NEW.is_pending = 1 AND ((SELECT COUNT(*) {pending}) >= {PENDING_ROWS} \
         OR {length} > {PENDING_CHARS})"
    );
    let take = format!(
        "DELETE FROM {table}_fts WHERE rowid IN (SELECT {key} {pending}); \
         INSERT INTO {table}_fts (rowid, lexemes) SELECT {key}, {lexemes} {pending}; \
         UPDATE {table} SET is_pending = 0 WHERE is_pending = 1;"
    );
    vec![
        format!(
            "CREATE VIRTUAL TABLE {table}_fts USING fts5(lexemes, content = '', \
             contentless_delete = 1, detail = none, tokenize = \"ascii tokenchars ':'\")"
        ),
        format!(
            "CREATE INDEX {table}_pending_idx ON {table} (is_pending, workspace_id, id) \
             WHERE is_pending = 1"
        ),
        format!(
            "CREATE TRIGGER {table}_changed AFTER UPDATE OF words_a, words_b, words_c ON {table} \
             BEGIN UPDATE {table} SET is_pending = 1 WHERE rowid = NEW.rowid; END"
        ),
        format!(
            "CREATE TRIGGER {table}_inserted AFTER INSERT ON {table} WHEN {is_time} BEGIN {take} END"
        ),
        format!(
            "CREATE TRIGGER {table}_pending AFTER UPDATE OF is_pending ON {table} WHEN {is_time} \
             BEGIN {take} END"
        ),
    ]
}

/// Gives the rows that are there their words.
async fn fill(manager: &SchemaManager<'_>, table: &str, select: &str) -> Result<(), DbErr> {
    let (database, backend) = (manager.get_connection(), manager.get_database_backend());
    let select = format!(
        "{select} WHERE (workspace_id, id) > ($1, $2) ORDER BY workspace_id, id \
         LIMIT {ROWS_AT_ONCE}"
    );
    let insert =
        format!("INSERT INTO {table} (workspace_id, id, words_a, words_b) VALUES ($1, $2, $3, $4)");
    let mut last = (0_i64, 0_i64);
    loop {
        let next = Statement::from_sql_and_values(backend, &select, [last.0.into(), last.1.into()]);
        let rows = database.query_all_raw(next).await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            last = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let [first, second] = [row.try_get_by_index(2)?, row.try_get_by_index(3)?];
            let stored = |text: String| joined(words(&text).iter().map(String::as_str));
            let values =
                [last.0.into(), last.1.into(), stored(first).into(), stored(second).into()];
            database.execute_raw(Statement::from_sql_and_values(backend, &insert, values)).await?;
        }
    }
}

/// Adds the words of the public comments that are there to those of their tickets.
async fn add_comments(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let (database, backend) = (manager.get_connection(), manager.get_database_backend());
    let select = format!(
        "SELECT workspace_id, id, ticket_id, body FROM comments \
         WHERE visibility = 1 AND (workspace_id, id) > ($1, $2) \
         ORDER BY workspace_id, id LIMIT {ROWS_AT_ONCE}"
    );
    let add = "UPDATE ticket_words SET words_c = $3 WHERE workspace_id = $1 AND id = $2";
    let find = "SELECT words_c FROM ticket_words WHERE workspace_id = $1 AND id = $2";
    let mut last = (0_i64, 0_i64);
    loop {
        let next = Statement::from_sql_and_values(backend, &select, [last.0.into(), last.1.into()]);
        let rows = database.query_all_raw(next).await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            last = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let ticket: i64 = row.try_get_by_index(2)?;
            let body: String = row.try_get_by_index(3)?;
            let key = [last.0.into(), ticket.into()];
            let known = database
                .query_one_raw(Statement::from_sql_and_values(backend, find, key.clone()))
                .await?;
            let known: String = known.map_or(Ok(String::new()), |row| row.try_get_by_index(0))?;
            let Some(words) = crate::words::with_words(&known, &words(&body)) else { continue };
            let [workspace, ticket] = key;
            let values = [workspace, ticket, words.into()];
            database.execute_raw(Statement::from_sql_and_values(backend, add, values)).await?;
        }
    }
}
