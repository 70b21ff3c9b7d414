//! Look-ups of rows: by the name in a path, and of many ids at once by what they are known by.

use std::collections::BTreeMap;

use migrations::case_folded;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, QueryTrait};

use super::noun::{Noun, column};
use super::row::{decode, find_row, rows_where};
use super::table::AlternateKey;
use crate::error::Error;
use crate::id::number;
use crate::metrics::StoreOperation;
use crate::store::counters::advance;
use crate::store::row::Row;
use crate::store::rows::RowSource;
use crate::store::sql::Parameters;
use crate::store::{Reader, Tx};

impl AlternateKey {
    /// The condition on the row with this key, exactly as it is written.
    fn is<N: Noun>(&self, key: &str) -> Expr {
        let written = column::<N>(self.column).eq(key);
        match self.unique == self.column {
            true => written,
            false => written.and(self.is_taken::<N>(key)),
        }
    }

    /// The condition on the row that keeps others from having this key.
    fn is_taken<N: Noun>(&self, key: &str) -> Expr {
        match self.unique == self.column {
            true => column::<N>(self.unique).eq(key),
            false => column::<N>(self.unique).eq(case_folded(key)),
        }
    }
}

/// The condition on the row that a path names: by its id, or by its alternate key where the noun has one.
pub(super) fn is_named<N: Noun>(name: &str) -> Result<Expr, Error> {
    let by_id = number(name).map(|id| column::<N>("id").eq(id));
    // PostgreSQL refuses U+0000 in any text, and so no row has it.
    let key = N::table().alternate_key.as_ref().filter(|_| !name.contains('\0'));
    let by_key = || key.map(|key| key.is::<N>(name));
    by_id.or_else(by_key).ok_or_else(|| N::table().resource.not_found())
}

impl Reader<'_> {
    /// The row with this id.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find<N: Noun>(&self, id: i64) -> Result<Option<N>, Error> {
        let _timed = StoreOperation::begin("find", N::table().name);
        let query = find_row::<N>(self.backend(), self.workspace, id);
        let found = RowSource::Short(*self).read(query, decode::<N>).await?;
        Ok(found.into_iter().next())
    }

    /// The row that a path names: by its id, or by its alternate key where the noun has one. NOT_FOUND
    /// where there is none.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_named<N: Noun>(&self, name: &str) -> Result<N, Error> {
        let found = match number(name) {
            Some(id) => self.find::<N>(id).await?,
            None => {
                let _timed = StoreOperation::begin("find_named", N::table().name);
                let named = rows_where::<N>(self.workspace, is_named::<N>(name)?);
                let found = RowSource::Short(*self).read(named.build(self.backend()), decode::<N>);
                found.await?.into_iter().next()
            }
        };
        found.ok_or_else(|| N::table().resource.not_found())
    }
}

impl Tx {
    /// Returns true if another row has this alternate key.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn is_key_taken<N: Noun>(&self, key: &str) -> Result<bool, Error> {
        let _timed = StoreOperation::begin("find_key", N::table().name);
        let Some(unique) = &N::table().alternate_key else { return Ok(false) };
        let taken = rows_where::<N>(self.workspace, unique.is_taken::<N>(key));
        let found = self.transaction.read(taken.build(self.transaction.backend()), decode::<N>);
        Ok(!found.await?.is_empty())
    }

    /// The row with this text, whatever its case, in a column of folded texts in which no two rows of a
    /// workspace have the same.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_folded<N: Noun>(&self, name: &str, text: &str) -> Result<Option<N>, Error> {
        let _timed = StoreOperation::begin("find_folded", N::table().name);
        let found = rows_where::<N>(self.workspace, column::<N>(name).eq(case_folded(text)));
        let found = self.transaction.read(found.build(self.transaction.backend()), decode::<N>);
        Ok(found.await?.into_iter().next())
    }

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
        self.take_turn().await?;
        advance(&self.transaction, self.workspace, N::table().name, 0).await?;
        Ok(())
    }
}
