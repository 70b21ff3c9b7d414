//! Figures beside a row: the number of rows of another noun that belong to it, such as the open
//! tickets about an asset.
//!
//! They change in the transaction that changes those rows, under the workspace's sequence, and change
//! neither the version of the row that they stand beside nor its time.

use std::collections::BTreeMap;

use sea_orm::{DbBackend, Statement};

use super::noun::{Figure, Noun};
use crate::error::Error;
use crate::metrics::StoreOperation;
use crate::store::WorkspaceId;
use crate::store::failure::failed;
use crate::store::row::Row;
use crate::store::rows::RowSource;
use crate::store::sql::Parameters;
use crate::store::transaction::Transaction;
use crate::store::{Reader, Tx};

/// The figures of rows, by the id of the row and the number of the figure; one that is not there is 0.
pub type Figures = BTreeMap<(i64, i16), i64>;

impl Reader<'_> {
    /// The figures beside the rows with these ids.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn figures<N: Noun>(&self, ids: &[i64]) -> Result<Figures, Error> {
        if ids.is_empty() {
            return Ok(Figures::new());
        }
        let _timed = StoreOperation::begin("find_figures", N::table().name);
        let select = select::<N>(self.backend(), self.workspace, ids);
        Ok(RowSource::Short(*self).read(select, decode).await?.into_iter().collect())
    }
}

impl Tx {
    /// The figures beside the row with this id, with what this change adds to them.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn figures<N: Noun>(&self, id: i64) -> Result<Figures, Error> {
        let _timed = StoreOperation::begin("find_figures", N::table().name);
        let select = select::<N>(self.transaction.backend(), self.workspace, &[id]);
        let stored = self.transaction.read(select, decode).await?;
        let mut figures: Figures = stored.into_iter().collect();
        for (figure, change) in &self.count_changes.figures {
            if figure.noun == N::table().noun && figure.id == id {
                *figures.entry((id, figure.number)).or_default() += change;
            }
        }
        Ok(figures)
    }
}

fn select<N: Noun>(backend: DbBackend, workspace: WorkspaceId, ids: &[i64]) -> Statement {
    let mut parameters = Parameters::new(backend);
    let (workspace, noun) = (parameters.bind(workspace.0), parameters.bind(N::table().noun));
    let ids = parameters.bind_in(ids);
    parameters.statement(format!(
        "SELECT resource_id, number, row_count FROM figures \
         WHERE workspace_id = {workspace} AND noun = {noun} AND resource_id {ids}"
    ))
}

fn decode(row: &Row<'_>) -> Result<((i64, i16), i64), Error> {
    Ok(((row.get(0)?, row.get(1)?), row.get(2)?))
}

/// Adds the changes to the workspace's figures, in one statement.
pub(super) async fn add_to_figures(
    transaction: &Transaction,
    workspace: WorkspaceId,
    changes: &BTreeMap<Figure, i64>,
) -> Result<(), Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut parameters = Parameters::new(transaction.backend());
    let workspace = parameters.bind(workspace.0);
    let rows = changes.iter().map(|(figure, change)| {
        let (noun, id) = (parameters.bind(figure.noun), parameters.bind(figure.id));
        let (number, change) = (parameters.bind(figure.number), parameters.bind(*change));
        format!("({workspace}, {noun}, {id}, {number}, {change})")
    });
    let rows = rows.collect::<Vec<_>>().join(", ");
    let text = format!(
        "INSERT INTO figures (workspace_id, noun, resource_id, number, row_count) VALUES {rows} \
         ON CONFLICT (workspace_id, noun, resource_id, number) DO UPDATE \
         SET row_count = figures.row_count + excluded.row_count"
    );
    transaction.execute(parameters.statement(text)).await.map_err(failed)?;
    Ok(())
}
