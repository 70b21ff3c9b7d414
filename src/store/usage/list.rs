//! Lists of figures, and the last uses of keys.

use std::collections::HashMap;

use sea_orm::Statement;
use sea_orm::{ColumnTrait, DbBackend, EntityTrait, QueryFilter, QuerySelect};

use super::{Figures, KeyUse, Span};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::metrics::StoreOperation;
use crate::store::cursor::hash;
use crate::store::entity::{api_key_use, usage_figure};
use crate::store::failure::failed;
use crate::store::latencies::Latencies;
use crate::store::pages::{CursorKey, Page, PageRequest};
use crate::store::row::Row;
use crate::store::rows::RowSource;
use crate::store::sql::Parameters;
use crate::store::{Reader, WorkspaceId};

/// The figures of an endpoint for a span of time.
#[derive(Debug, Clone)]
pub struct UsageFigures {
    /// The start of the span.
    pub start: Timestamp,
    /// The RPC.
    pub endpoint: String,
    /// The figures.
    pub figures: Figures,
}

/// The filters of a list of figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageFilter {
    /// Only figures of spans of this length.
    pub span: Span,
    /// Only spans that start at this time or later.
    pub since: Timestamp,
    /// Only spans that start before this time.
    pub until: Timestamp,
    /// Only figures of this key; of all keys together without one.
    pub key_id: Option<String>,
    /// Only figures of these endpoints; of all if there is none.
    pub endpoints: Vec<&'static str>,
}

impl Reader<'_> {
    /// Returns the last uses of these keys by their ids; those that never were used are left out.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_key_uses(&self, key_ids: &[&str]) -> Result<HashMap<String, KeyUse>, Error> {
        let _timed = StoreOperation::begin("find", "api_key_uses");
        use api_key_use::{Column, Entity};
        let query = Entity::find()
            .filter(Column::KeyId.is_in(key_ids.iter().copied()))
            .filter(Column::WorkspaceId.eq(self.workspace.0));
        let rows = query.all(self.connection).await.map_err(failed)?;
        let found = rows.into_iter().map(|row| {
            let last = KeyUse { at: Timestamp(row.last_used_at), client_ip: row.last_used_ip };
            (row.key_id, last)
        });
        Ok(found.collect())
    }

    /// A page of figures, the newest span first, within a span by endpoint.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list_usage(
        &self,
        filter: &UsageFilter,
        page: &PageRequest,
    ) -> Result<Page<UsageFigures>, Error> {
        let _timed = StoreOperation::begin("list", "usage_figures");
        let after = match page.position.after() {
            None => None,
            Some(key) => Some(self.place(filter, key).await?),
        };
        let list = self.usage_list(filter);
        let source = RowSource::Reader(*self);
        let total_count = if page.position.is_counted() {
            let total = source.read(list.total(), |row| row.get(0)).await?;
            Some(total.first().copied().unwrap_or_default())
        } else {
            None
        };
        let mut found = source.read(list.page(page, after), decode).await?;
        let has_more = found.len() > page.per_page as usize;
        found.truncate(page.per_page as usize);
        let next = found.last().filter(|_| has_more).map(|last| CursorKey {
            value: Some(last.start.0.into()),
            id: endpoint_number(&last.endpoint),
        });
        Ok(Page { rows: found, total_count, total_is_bound: false, next })
    }

    /// The query plans of the statements that [`Reader::list_usage`] would run.
    #[doc(hidden)]
    pub async fn explain_usage(
        &self,
        filter: &UsageFilter,
        page: &PageRequest,
    ) -> Result<Vec<String>, Error> {
        let list = self.usage_list(filter);
        let after = Some((filter.since.0, Some(String::new())));
        let mut plan = self.explain(list.total()).await?;
        plan.extend(self.explain(list.page(page, None)).await?);
        plan.extend(self.explain(list.page(page, after)).await?);
        Ok(plan)
    }

    /// The start and the endpoint that a cursor stands behind. A cursor has room for a number only:
    /// the endpoint is found by it among those of the span, which are at most as many as there are
    /// RPCs. It is none when the whole span is gone.
    async fn place(&self, filter: &UsageFilter, key: &CursorKey) -> Result<Place, Error> {
        use usage_figure::{Column, Entity};
        let start = key.number();
        let endpoints = Entity::find()
            .select_only()
            .column(Column::Endpoint)
            .filter(Column::WorkspaceId.eq(self.workspace.0))
            .filter(Column::Span.eq(filter.span.number()))
            .filter(Column::KeyId.eq(filter.key_id.as_deref().unwrap_or_default()))
            .filter(Column::StartAt.eq(start));
        let endpoints: Vec<String> =
            endpoints.into_tuple().all(self.connection).await.map_err(failed)?;
        let endpoint = endpoints.into_iter().find(|name| endpoint_number(name) == key.id);
        Ok((start, endpoint))
    }

    fn usage_list<'a>(&self, filter: &'a UsageFilter) -> List<'a> {
        List { backend: self.connection.get_database_backend(), workspace: self.workspace, filter }
    }
}

/// A start and an endpoint.
type Place = (i64, Option<String>);

/// A number that no other endpoint has, but by a chance of one in 2^64.
fn endpoint_number(endpoint: &str) -> i64 {
    i64::from_be_bytes(hash(endpoint))
}

/// The statements of a list of figures.
struct List<'a> {
    backend: DbBackend,
    workspace: WorkspaceId,
    filter: &'a UsageFilter,
}

impl List<'_> {
    fn conditions(&self, parameters: &mut Parameters) -> String {
        let UsageFilter { span, since, until, key_id, endpoints } = self.filter;
        let mut text = format!(
            "workspace_id = {} AND span = {} AND key_id = {} AND start_at >= {} AND start_at < {}",
            parameters.bind(self.workspace.0),
            parameters.bind(span.number()),
            parameters.bind(key_id.as_deref().unwrap_or_default()),
            parameters.bind(since.0),
            parameters.bind(until.0),
        );
        if !endpoints.is_empty() {
            let names: Vec<_> = endpoints.iter().map(|name| parameters.bind(*name)).collect();
            text += &format!(" AND endpoint IN ({})", names.join(", "));
        }
        text
    }

    fn total(&self) -> Statement {
        let mut parameters = Parameters::new(self.backend);
        let conditions = self.conditions(&mut parameters);
        parameters.statement(format!("SELECT COUNT(*) FROM usage_figures WHERE {conditions}"))
    }

    fn page(&self, page: &PageRequest, after: Option<Place>) -> Statement {
        let mut parameters = Parameters::new(self.backend);
        let mut conditions = self.conditions(&mut parameters);
        match after {
            None => {}
            Some((start, None)) => {
                conditions += &format!(" AND start_at < {}", parameters.bind(start));
            }
            Some((start, Some(endpoint))) => {
                let (start, name) = (parameters.bind(start), parameters.bind(endpoint));
                // The first bounds what is read, the second what of that is left.
                conditions += &format!(
                    " AND start_at <= {start} AND (start_at < {start} OR endpoint > {name})"
                );
            }
        }
        let per_page = i64::from(page.per_page);
        let limit = parameters.bind(per_page + 1);
        let offset = parameters.bind(page.position.skipped(page.per_page) as i64);
        parameters.statement(format!(
            "SELECT start_at, endpoint, requests, errors, latencies FROM usage_figures \
             WHERE {conditions} ORDER BY start_at DESC, endpoint LIMIT {limit} OFFSET {offset}"
        ))
    }
}

fn decode(row: &Row<'_>) -> Result<UsageFigures, Error> {
    let latencies = Latencies::from_bytes(&row.get::<Vec<u8>>(4)?)?;
    let figures = Figures { requests: row.get(2)?, errors: row.get(3)?, latencies };
    Ok(UsageFigures { start: Timestamp(row.get(0)?), endpoint: row.get(1)?, figures })
}
