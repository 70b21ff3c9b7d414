//! Ids of rows by what they are known by beside them: many at once, by an index.

use std::collections::BTreeMap;

use super::{Noun, Tx};
use crate::error::Error;
use crate::metrics::StoreOperation;
use crate::store::counters::advance;
use crate::store::locks::Lock;
use crate::store::row::Row;
use crate::store::sql::Parameters;

impl Tx {
    /// The ids of the rows that have one of `keys` in a column of texts, by it; of those that have a text
    /// in yet another column, where one is given with it.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_ids<N: Noun>(
        &self,
        column: &str,
        keys: &[String],
        beside: Option<(&str, &str)>,
    ) -> Result<BTreeMap<String, i64>, Error> {
        if keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        let table = N::table().name;
        let _timed = StoreOperation::begin("find_ids", table);
        let mut parameters = Parameters::new(self.transaction.backend());
        let workspace = parameters.bind(self.workspace.0);
        let beside = beside.map(|(column, text)| (column, parameters.bind(text)));
        let beside = beside.map(|(column, text)| format!(" AND {column} = {text}"));
        let keys = parameters.bind_in_texts(keys);
        let text = format!(
            "SELECT {column}, id FROM {table} WHERE workspace_id = {workspace}{} AND {column} {keys}",
            beside.unwrap_or_default()
        );
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let found = self.transaction.read(parameters.statement(text), read).await?;
        Ok(found.into_iter().collect())
    }

    /// Keeps others from making rows of the noun until this change has ended. A change that makes rows of
    /// several nouns by turns calls it for each of them first, users before tickets.
    pub async fn lock_ids<N: Noun>(&mut self) -> Result<(), Error> {
        self.locks.take(Lock::Id)?;
        self.take_turn().await?;
        advance(&self.transaction, self.workspace, N::table().name, 0).await?;
        Ok(())
    }
}
