//! The writing of the request log and the figures, and their retention.

use std::collections::{BTreeMap, HashMap};

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use sea_orm::{QuerySelect, QueryTrait, Value};

use super::{Figures, FiguresKey, KeyUse, Span, Usage};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::metrics::StoreOperation;
use crate::store::entity::{api_key_use, usage_figure};
use crate::store::failure::failed;
use crate::store::latencies::Latencies;
use crate::store::request_logs::insert_request_logs;
use crate::store::sql::Parameters;
use crate::store::transaction::Transaction;
use crate::store::{Store, WorkspaceId};

/// The rows that one statement writes: well within the databases' bounds on parameters.
const WRITE_ROWS_MAX: usize = 200;

impl Store {
    /// Writes down what requests have left behind, all of it or nothing.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn insert_usage(&self, usage: &BTreeMap<WorkspaceId, Usage>) -> Result<(), Error> {
        let _timed = StoreOperation::begin("insert", "usage_figures");
        let transaction = self.writer.begin().await.map_err(failed)?;
        // In order of the workspaces, each with its counter first: two replicas that write at once
        // wait for each other there, never crosswise.
        for (workspace, usage) in usage {
            insert_request_logs(&transaction, *workspace, &usage.requests).await?;
            write_key_uses(&transaction, *workspace, &usage.key_uses).await?;
            let figures: Vec<_> = usage.figures.iter().collect();
            for figures in figures.chunks(WRITE_ROWS_MAX) {
                add_figures(&transaction, *workspace, figures).await?;
            }
        }
        transaction.commit().await.map_err(failed)
    }

    /// Deletes the figures of the oldest span of this length if it began before `before`, and
    /// answers how many rows that were.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn delete_oldest_usage(
        &self,
        workspace: WorkspaceId,
        span: Span,
        before: Timestamp,
    ) -> Result<u64, Error> {
        let _timed = StoreOperation::begin("delete_old", "usage_figures");
        use usage_figure::{Column, Entity};
        let of_span = Column::WorkspaceId.eq(workspace.0).and(Column::Span.eq(span.number()));
        let oldest = Entity::find()
            .select_only()
            .column(Column::StartAt)
            .filter(of_span.clone())
            .order_by_asc(Column::StartAt)
            .limit(1);
        let oldest: Option<i64> = oldest.into_tuple().one(&self.reads).await.map_err(failed)?;
        let Some(start) = oldest.filter(|start| *start < before.0) else { return Ok(0) };
        let delete = Entity::delete_many().filter(of_span).filter(Column::StartAt.eq(start));
        self.execute(delete.build(self.backend())).await
    }
}

/// Keeps the later use: a batch may come after one that was made later.
async fn write_key_uses(
    transaction: &Transaction,
    workspace: WorkspaceId,
    uses: &BTreeMap<String, KeyUse>,
) -> Result<(), Error> {
    use api_key_use::{ActiveModel, Column, Entity};
    let uses: Vec<_> = uses.iter().collect();
    for uses in uses.chunks(WRITE_ROWS_MAX) {
        let rows = uses.iter().map(|(key_id, last)| ActiveModel {
            key_id: Set((*key_id).clone()),
            workspace_id: Set(workspace.0),
            last_used_at: Set(last.at.0),
            last_used_ip: Set(last.client_ip.clone()),
        });
        let is_later = Expr::col(("excluded", Column::LastUsedAt))
            .gte(Expr::col((Entity, Column::LastUsedAt)));
        let keep_later = OnConflict::column(Column::KeyId)
            .update_columns([Column::LastUsedAt, Column::LastUsedIp])
            .action_and_where(is_later)
            .to_owned();
        let insert = Entity::insert_many(rows).on_conflict(keep_later);
        transaction.execute(insert.build(transaction.backend())).await.map_err(failed)?;
    }
    Ok(())
}

/// Adds to figures. Nobody else writes those of the workspace meanwhile: its counter is locked.
async fn add_figures(
    transaction: &Transaction,
    workspace: WorkspaceId,
    figures: &[(&FiguresKey, &Figures)],
) -> Result<(), Error> {
    use usage_figure::{ActiveModel, Column, Entity};
    let mut stored = find_figures(transaction, workspace, figures).await?;
    let mut rows = Vec::with_capacity(figures.len());
    for (key, added) in figures {
        let key_id = key.key_id.clone().unwrap_or_default();
        let place = (key.span.number(), key_id.clone(), key.start.0, key.endpoint.to_owned());
        let mut all = stored.remove(&place).unwrap_or_default();
        all.add(added);
        rows.push(ActiveModel {
            workspace_id: Set(workspace.0),
            span: Set(key.span.number()),
            key_id: Set(key_id),
            start_at: Set(key.start.0),
            endpoint: Set(key.endpoint.to_owned()),
            requests: Set(all.requests),
            errors: Set(all.errors),
            latencies: Set(all.latencies.to_bytes()),
        });
    }
    let place =
        [Column::WorkspaceId, Column::Span, Column::KeyId, Column::StartAt, Column::Endpoint];
    let replace = OnConflict::columns(place)
        .update_columns([Column::Requests, Column::Errors, Column::Latencies])
        .to_owned();
    let upsert = Entity::insert_many(rows).on_conflict(replace).build(transaction.backend());
    transaction.execute(upsert).await.map_err(failed)?;
    Ok(())
}

/// The place of a row: span, key, start and endpoint.
type RowPlace = (i16, String, i64, String);

/// The figures that are there already.
async fn find_figures(
    transaction: &Transaction,
    workspace: WorkspaceId,
    figures: &[(&FiguresKey, &Figures)],
) -> Result<HashMap<RowPlace, Figures>, Error> {
    let mut parameters = Parameters::new(transaction.backend());
    let places = figures.iter().map(|(key, _)| {
        let key_id = key.key_id.as_deref().unwrap_or_default();
        let values: [Value; 4] =
            [key.span.number().into(), key_id.into(), key.start.0.into(), key.endpoint.into()];
        let [span, key_id, start, endpoint] = values.map(|value| parameters.bind(value));
        format!("({span}, {key_id}, {start}, {endpoint})")
    });
    let places = places.collect::<Vec<_>>().join(", ");
    let workspace = parameters.bind(workspace.0);
    // The places lead, each to its row by the primary key: so says CROSS JOIN to SQLite.
    let statement = parameters.statement(format!(
        "SELECT span, key_id, start_at, endpoint, requests, errors, latencies \
         FROM (VALUES {places}) AS place CROSS JOIN usage_figures \
         WHERE workspace_id = {workspace} AND span = place.column1 AND key_id = place.column2 \
         AND start_at = place.column3 AND endpoint = place.column4"
    ));
    let found = transaction.read(statement, |row| {
        let place: RowPlace = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        let latencies = Latencies::from_bytes(&row.get::<Vec<u8>>(6)?)?;
        Ok((place, Figures { requests: row.get(4)?, errors: row.get(5)?, latencies }))
    });
    Ok(found.await?.into_iter().collect())
}
