//! The request log: written in batches by [`Store::insert_usage`](super::Store::insert_usage), read
//! by filter, and cut off at its old end.
//!
//! The list is in order of the time of the requests, by which every index ends. An entry is numbered
//! when it is written, so ids follow times only roughly.

use sea_orm::{ColumnTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use sea_orm::{QueryTrait, Set, Statement};

use super::counters::advance;
use super::entity::request_log::{ActiveModel, Column, Entity};
use super::failure::failed;
use super::pages::{CursorKey, Page, PageRequest};
use super::row::Row;
use super::rows::RowSource;
use super::sql::Parameters;
use super::transaction::Transaction;
use super::{Reader, Store, WorkspaceId, unknown_number};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::metrics::StoreOperation;
use crate::transport::Transport;

/// The counter that numbers entries, and the lock under which usage is written.
const COUNTER: &str = "request_logs";
/// The rows that one statement writes: well within the databases' bounds on parameters.
const INSERT_ROWS_MAX: usize = 200;
/// The lowest status that is a refusal or a failure. There are few of them.
const REFUSALS_FROM: i16 = 400;

/// A request to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRequestLog {
    /// The time at which the request came.
    pub received_at: Timestamp,
    /// The id of the key.
    pub key_id: String,
    /// The RPC, such as `TicketService/GetTicket`.
    pub endpoint: &'static str,
    /// The template of the REST route.
    pub route: Option<&'static str>,
    /// The HTTP method.
    pub method: &'static str,
    /// The protocol.
    pub transport: Transport,
    /// The HTTP status, for gRPC that which REST would have answered.
    pub status: u16,
    /// The code of the refusal.
    pub code: Option<&'static str>,
    /// The time from the head of the request to the head of the answer.
    pub latency_micros: u64,
    /// The id of the request.
    pub request_id: String,
    /// The address of the client.
    pub client_ip: String,
}

/// A request that was written down; see [`NewRequestLog`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLog {
    /// The id: 1, 2, 3 … within the workspace.
    pub id: i64,
    pub received_at: Timestamp,
    pub key_id: String,
    pub endpoint: String,
    pub route: Option<String>,
    pub method: String,
    pub transport: Transport,
    pub status: i16,
    pub code: Option<String>,
    pub latency_micros: i64,
    pub request_id: String,
    pub client_ip: String,
}

/// The filters of a list of requests, all of which a request passes, each by any of its values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestLogFilter {
    /// Only requests by these keys.
    pub key_ids: Vec<String>,
    /// Only requests of these RPCs.
    pub endpoints: Vec<&'static str>,
    /// Only requests with these statuses.
    pub statuses: Vec<i16>,
    /// Only requests of this time or later.
    pub since: Option<Timestamp>,
}

impl Reader<'_> {
    /// A page of the request log, the newest request first.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list_request_logs(
        &self,
        filter: &RequestLogFilter,
        page: &PageRequest,
    ) -> Result<Page<RequestLog>, Error> {
        let _timed = StoreOperation::begin("list", "request_logs");
        let list = self.request_logs(filter);
        let total_count = if page.position.is_counted() {
            let total = RowSource::Reader(*self).read(list.total(), |row| row.get(0)).await?;
            Some(total.first().copied().unwrap_or_default())
        } else {
            None
        };
        let mut rows = RowSource::Reader(*self).read(list.page(page), decode).await?;
        let has_more = rows.len() > page.per_page as usize;
        rows.truncate(page.per_page as usize);
        let last = rows.last().filter(|_| has_more);
        let next = last.map(|row| CursorKey { value: Some(row.received_at.0.into()), id: row.id });
        Ok(Page { rows, total_count, total_is_bound: false, next })
    }

    /// The query plans of the statements that [`Reader::list_request_logs`] would run.
    #[doc(hidden)]
    pub async fn explain_request_logs(
        &self,
        filter: &RequestLogFilter,
        page: &PageRequest,
    ) -> Result<Vec<String>, Error> {
        let list = self.request_logs(filter);
        let mut plan = self.explain(list.total()).await?;
        plan.extend(self.explain(list.page(page)).await?);
        Ok(plan)
    }

    fn request_logs<'a>(&self, filter: &'a RequestLogFilter) -> List<'a> {
        let backend = self.connection.get_database_backend();
        List { backend, workspace: self.workspace, filter }
    }
}

/// The column whose index leads to the rows, with its values.
#[derive(Clone, Copy)]
struct Lead {
    column: &'static str,
    index: &'static str,
}

const TIMES: &str = "request_logs_received_at_id_idx";
const STATUSES: Lead = Lead { column: "status", index: "request_logs_status_received_at_id_idx" };
const KEYS: Lead = Lead { column: "key_id", index: "request_logs_key_id_received_at_id_idx" };
const ENDPOINTS: Lead =
    Lead { column: "endpoint", index: "request_logs_endpoint_received_at_id_idx" };

/// The statements of a list.
#[derive(Clone, Copy)]
struct List<'a> {
    backend: DbBackend,
    workspace: WorkspaceId,
    filter: &'a RequestLogFilter,
}

impl List<'_> {
    /// The filter that leaves the fewest rows, as far as that is known without asking: refusals are
    /// few, keys share the requests among them, and most are answered by the same few statuses.
    fn lead(&self) -> Option<Lead> {
        let RequestLogFilter { key_ids, endpoints, statuses, .. } = self.filter;
        let refusals = statuses.iter().all(|status| *status >= REFUSALS_FROM);
        match (statuses.is_empty(), key_ids.is_empty(), endpoints.is_empty()) {
            (false, _, _) if refusals => Some(STATUSES),
            (_, false, _) => Some(KEYS),
            (_, true, false) => Some(ENDPOINTS),
            (false, true, true) => Some(STATUSES),
            (true, true, true) => None,
        }
    }

    /// The table by an index: SQLite, which keeps no statistics, is told which; PostgreSQL has them.
    fn table(&self, lead: Option<Lead>) -> String {
        match self.backend {
            DbBackend::Sqlite => {
                format!("request_logs INDEXED BY {}", lead.map_or(TIMES, |lead| lead.index))
            }
            _ => "request_logs".to_owned(),
        }
    }

    /// The values of a column, as placeholders.
    fn values(&self, column: &str, parameters: &mut Parameters) -> Vec<String> {
        let filter = self.filter;
        match column {
            "status" => filter.statuses.iter().map(|status| parameters.bind(*status)).collect(),
            "key_id" => filter.key_ids.iter().map(|id| parameters.bind(id.as_str())).collect(),
            _ => filter.endpoints.iter().map(|name| parameters.bind(*name)).collect(),
        }
    }

    /// Returns the conditions that a row must fulfil, but for the filter `but`.
    fn conditions(&self, but: Option<Lead>, parameters: &mut Parameters) -> String {
        let mut text = format!("workspace_id = {}", parameters.bind(self.workspace.0));
        for Lead { column, .. } in [STATUSES, KEYS, ENDPOINTS] {
            let values = match but {
                Some(but) if but.column == column => Vec::new(),
                _ => self.values(column, parameters),
            };
            if !values.is_empty() {
                text += &format!(" AND {column} IN ({})", values.join(", "));
            }
        }
        if let Some(since) = self.filter.since {
            text += &format!(" AND received_at >= {}", parameters.bind(since.0));
        }
        text
    }

    /// Returns the statement that counts the rows that pass: as many as the index of the filter
    /// that leads has of each value. Without a filter that is read off the ids: they are dense, and
    /// what is too old is deleted from the first one up, so none is missing in between.
    fn total(&self) -> Statement {
        let mut parameters = Parameters::new(self.backend);
        if *self.filter == RequestLogFilter::default() {
            let workspace = parameters.bind(self.workspace.0);
            let end = |order: &str| {
                format!(
                    "(SELECT id FROM request_logs WHERE workspace_id = {workspace} \
                     ORDER BY id {order} LIMIT 1)"
                )
            };
            let text = format!("SELECT COALESCE({} - {} + 1, 0)", end("DESC"), end("ASC"));
            return parameters.statement(text);
        }
        let lead = self.lead();
        let conditions = self.conditions(lead, &mut parameters);
        let table = self.table(lead);
        let counts = self.each_value(lead, &mut parameters, |value| {
            format!("(SELECT COUNT(*) FROM {table} WHERE {conditions}{value})")
        });
        parameters.statement(format!("SELECT {}", counts.join(" + ")))
    }

    /// Maps each value of the filter that leads by `of_value`; nothing if none does.
    fn each_value(
        &self,
        lead: Option<Lead>,
        parameters: &mut Parameters,
        of_value: impl Fn(&str) -> String,
    ) -> Vec<String> {
        let Some(Lead { column, .. }) = lead else { return vec![of_value("")] };
        let values = self.values(column, parameters);
        values.iter().map(|value| of_value(&format!(" AND {column} = {value}"))).collect()
    }

    /// The rows of a page, and one more if there is one: their places from an index, one look into
    /// it for each value of the filter that leads, and then the rows themselves.
    fn page(&self, page: &PageRequest) -> Statement {
        let mut parameters = Parameters::new(self.backend);
        let lead = self.lead();
        let mut conditions = self.conditions(lead, &mut parameters);
        let limit = u64::from(page.per_page) + 1;
        let offset = page.position.skipped(page.per_page);
        if let Some(key) = page.position.after() {
            let at = parameters.bind(key.number());
            let id = parameters.bind(key.id);
            conditions += &format!(" AND (received_at, id) < ({at}, {id})");
        }
        let table = self.table(lead);
        let reach = parameters.bind((limit + offset) as i64);
        let places = self.each_value(lead, &mut parameters, |value| {
            format!(
                "SELECT * FROM (SELECT received_at AS place_at, id AS place_id FROM {table} \
                 WHERE {conditions}{value} ORDER BY received_at DESC, id DESC LIMIT {reach}) AS newest"
            )
        });
        let places = places.join(" UNION ALL ");
        let workspace = parameters.bind(self.workspace.0);
        let (limit, offset) = (parameters.bind(limit as i64), parameters.bind(offset as i64));
        parameters.statement(format!(
            "SELECT id, received_at, key_id, endpoint, route, method, transport, status, code, \
             latency_micros, request_id, client_ip FROM (SELECT * FROM ({places}) AS found \
             ORDER BY place_at DESC, place_id DESC LIMIT {limit} OFFSET {offset}) AS places \
             JOIN request_logs ON workspace_id = {workspace} AND id = place_id \
             ORDER BY place_at DESC, place_id DESC"
        ))
    }
}

fn decode(row: &Row<'_>) -> Result<RequestLog, Error> {
    let transport = match row.get(6)? {
        1 => Transport::Rest,
        2 => Transport::Grpc,
        3 => Transport::GrpcWeb,
        number => return Err(unknown_number("request_logs.transport", number)),
    };
    Ok(RequestLog {
        id: row.get(0)?,
        received_at: Timestamp(row.get(1)?),
        key_id: row.get(2)?,
        endpoint: row.get(3)?,
        route: row.get(4)?,
        method: row.get(5)?,
        transport,
        status: row.get(7)?,
        code: row.get(8)?,
        latency_micros: row.get(9)?,
        request_id: row.get(10)?,
        client_ip: row.get(11)?,
    })
}

/// Appends the requests. Their counter stays locked until the transaction ends, also when there are
/// none: one at a time writes the usage of a workspace.
pub(super) async fn insert_request_logs(
    transaction: &Transaction,
    workspace: WorkspaceId,
    requests: &[NewRequestLog],
) -> Result<(), Error> {
    let amount = i64::try_from(requests.len()).expect("a batch has fewer than 2^63 entries");
    let last = advance(transaction, workspace, COUNTER, amount).await?;
    let mut id = last - amount;
    for requests in requests.chunks(INSERT_ROWS_MAX) {
        let rows = requests.iter().map(|request| {
            id += 1;
            row(workspace, id, request)
        });
        let insert = Entity::insert_many(rows).build(transaction.backend());
        transaction.execute(insert).await.map_err(failed)?;
    }
    Ok(())
}

fn row(workspace: WorkspaceId, id: i64, request: &NewRequestLog) -> ActiveModel {
    ActiveModel {
        workspace_id: Set(workspace.0),
        id: Set(id),
        received_at: Set(request.received_at.0),
        key_id: Set(request.key_id.clone()),
        endpoint: Set(request.endpoint.to_owned()),
        route: Set(request.route.map(str::to_owned)),
        method: Set(request.method.to_owned()),
        transport: Set(match request.transport {
            Transport::Rest => 1,
            Transport::Grpc => 2,
            Transport::GrpcWeb => 3,
        }),
        status: Set(i16::try_from(request.status).unwrap_or(i16::MAX)),
        code: Set(request.code.map(str::to_owned)),
        latency_micros: Set(i64::try_from(request.latency_micros).unwrap_or(i64::MAX)),
        request_id: Set(request.request_id.clone()),
        client_ip: Set(request.client_ip.clone()),
    }
}

impl Store {
    /// Deletes the oldest requests of a workspace as long as they came before `before`, at most
    /// `most` of them, and returns how many that were.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn delete_request_logs(
        &self,
        workspace: WorkspaceId,
        before: Timestamp,
        most: u64,
    ) -> Result<u64, Error> {
        let _timed = StoreOperation::begin("delete_old", "request_logs");
        let of_workspace = Column::WorkspaceId.eq(workspace.0);
        let oldest = Entity::find()
            .select_only()
            .columns([Column::Id, Column::ReceivedAt])
            .filter(of_workspace.clone())
            .order_by_asc(Column::Id)
            .limit(most);
        let oldest: Vec<(i64, i64)> = oldest.into_tuple().all(&self.reads).await.map_err(failed)?;
        let old = oldest.iter().take_while(|(_, at)| *at < before.0);
        let Some((last, _)) = old.last() else { return Ok(0) };
        let delete = Entity::delete_many().filter(of_workspace).filter(Column::Id.lte(*last));
        self.execute(delete.build(self.backend())).await
    }
}
