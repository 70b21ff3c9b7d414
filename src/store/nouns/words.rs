//! The words by which a row is found, which are written with it.

use migrations::{joined, with_words, words};

use super::noun::Noun;
use super::table::Search;
use crate::error::Error;
use crate::metrics::StoreOperation;
use crate::store::Tx;
use crate::store::failure::failed;
use crate::store::sql::{Parameters, statement};

impl Tx {
    /// Adds the words of a text to those by which a row is found, which this change holds: as many as
    /// there is room for.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn add_words<N: Noun>(&mut self, id: i64, text: &str) -> Result<(), Error> {
        let Some(Search { table }) = N::table().search else { return Ok(()) };
        let _timed = StoreOperation::begin("add_words", N::table().name);
        let new = words(text);
        let key = [self.workspace.0.into(), id.into()];
        let find = format!("SELECT words_c FROM {table} WHERE workspace_id = $1 AND id = $2");
        let find = statement(self.transaction.backend(), find, key.clone());
        let stored: Vec<String> = self.transaction.read(find, |row| row.get(0)).await?;
        let stored = stored.first().ok_or_else(|| Error::internal("a row has no words"))?;
        let Some(stored) = with_words(stored, &new) else { return Ok(()) };
        let update = format!("UPDATE {table} SET words_c = $3 WHERE workspace_id = $1 AND id = $2");
        let [workspace, id] = key;
        let update = statement(self.transaction.backend(), update, [workspace, id, stored.into()]);
        self.transaction.execute(update).await.map_err(failed)?;
        Ok(())
    }

    /// Writes the words of a changed row, where its texts have changed.
    pub(super) async fn update_words<N: Noun>(&self, before: &N, after: &N) -> Result<(), Error> {
        match before.searched() == after.searched() {
            true => Ok(()),
            false => self.write_words(after).await,
        }
    }

    /// Writes the words of a row; PostgreSQL gets those of a new one with it.
    pub(super) async fn write_words<N: Noun>(&self, row: &N) -> Result<(), Error> {
        let Some(Search { table }) = N::table().search else { return Ok(()) };
        let text = format!(
            "INSERT INTO {table} (workspace_id, id, words_a, words_b) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (workspace_id, id) DO UPDATE \
             SET words_a = excluded.words_a, words_b = excluded.words_b"
        );
        let [words_a, words_b] = row.searched().map(|text| stored(&text));
        let values = [self.workspace.0.into(), row.id().into(), words_a.into(), words_b.into()];
        let write = statement(self.transaction.backend(), text, values);
        self.transaction.execute(write).await.map_err(failed)?;
        Ok(())
    }
}

/// The part of a statement that makes a row of PostgreSQL which makes its words.
pub(super) fn insert_beside<N: Noun>(
    parameters: &mut Parameters,
    workspace: &str,
    row: &N,
) -> String {
    let Some(Search { table }) = N::table().search else { return String::new() };
    let [words_a, words_b] = row.searched().map(|text| parameters.bind(stored(&text)));
    format!(
        ", {table} AS ( \
           INSERT INTO {table} (workspace_id, id, words_a, words_b) \
           SELECT {workspace}, next.value, {words_a}, {words_b} FROM next \
         )"
    )
}

/// The words of a text as they are stored.
fn stored(text: &str) -> String {
    joined(words(text).iter().map(String::as_str))
}
