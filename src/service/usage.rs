//! UsageService: the usage of a workspace's keys.

use rest::Violations;
use tonic::{Request, Response, Status};

use super::pages;
use super::{accept, next_milli};
use crate::clock::{Clock, Timestamp};
use crate::pb;
use crate::rpc::endpoint;
use crate::store::{
    CursorKey, RequestLog, RequestLogFilter, Span, Store, UsageFigures, UsageFilter,
};
use crate::transport::Transport;

const DAY_MILLIS: i64 = 24 * 3600 * 1000;
/// The most keys of a filter.
const KEY_IDS_MAX: usize = 50;

/// Answers for requests and figures.
#[derive(Debug, Clone)]
pub struct Usages {
    /// The store.
    pub store: Store,
    /// The clock, which tells what is recent.
    pub clock: Clock,
}

#[tonic::async_trait]
impl pb::usage_service_server::UsageService for Usages {
    async fn list_request_logs(
        &self,
        request: Request<pb::ListRequestLogsRequest>,
    ) -> Result<Response<pb::ListRequestLogsResponse>, Status> {
        let (mut key_ids, mut endpoints) = (Vec::new(), Vec::new());
        let accepted = accept(request, |message: &pb::ListRequestLogsRequest, violations| {
            key_ids = split_key_ids(&message.key_id, violations);
            endpoints = named_endpoints(message.endpoint.as_deref(), violations);
        })?;
        let workspace = accepted.caller.workspace();
        let filter = request_log_filter(&accepted.message, key_ids, endpoints);
        // Debug quotes strings and names every field, so no two lists have the same text.
        let list = format!("{workspace:?} {filter:?}");
        let page = pages::asked(&accepted.message, |text| CursorKey::decode_in(text, &list))?;
        let found = self.store.reader(workspace).list_request_logs(&filter, &page).await?;
        let next = found.next.map(|next| next.encode_in(&list));
        let meta = Some(pages::meta(&page, found.total_count, next));
        let request_logs = found.rows.into_iter().map(request_log).collect();
        Ok(Response::new(pb::ListRequestLogsResponse { request_logs, meta }))
    }

    async fn get_usage(
        &self,
        request: Request<pb::GetUsageRequest>,
    ) -> Result<Response<pb::GetUsageResponse>, Status> {
        let now = self.clock.now();
        let mut endpoints = Vec::new();
        let accepted = accept(request, |message: &pb::GetUsageRequest, violations| {
            check_range(message, now, violations);
            endpoints = named_endpoints(message.endpoint.as_deref(), violations);
        })?;
        let (workspace, message) = (accepted.caller.workspace(), accepted.message);
        // By what was asked, not by what it comes to at this moment: a range that ends now is the
        // same list a moment later.
        let pb::GetUsageRequest { interval, since, until, key_id, endpoint, .. } = &message;
        let list =
            format!("{workspace:?} {interval:?} {since:?} {until:?} {key_id:?} {endpoint:?}");
        let filter = usage_filter(&message, now, endpoints);
        let page = pages::asked(&message, |text| CursorKey::decode_in(text, &list))?;
        let found = self.store.reader(workspace).list_usage(&filter, &page).await?;
        let next = found.next.map(|next| next.encode_in(&list));
        let meta = Some(pages::meta(&page, found.total_count, next));
        let usage = found.rows.into_iter().map(figures).collect();
        Ok(Response::new(pb::GetUsageResponse { usage, meta }))
    }
}

/// The ids of the filter. A list of strings is read with its commas, for in words they are data; no
/// id has one.
fn split_key_ids(filter: &[String], violations: &mut Violations) -> Vec<String> {
    let ids: Vec<_> = filter.iter().flat_map(|ids| ids.split(',')).map(str::to_owned).collect();
    if filter.iter().all(|ids| !ids.is_empty()) && ids.iter().any(String::is_empty) {
        let remedy = "keyId must not be empty; leave it out or give it a value";
        violations.add("keyId", "EMPTY", remedy);
    }
    // More values than that are refused by the rule of the field.
    if filter.len() <= KEY_IDS_MAX && ids.len() > KEY_IDS_MAX {
        let remedy = format!("keyId must have at most {KEY_IDS_MAX} items");
        violations.add("keyId", "TOO_MANY_ITEMS", remedy);
    }
    ids
}

/// The endpoints that the filter names; a violation when it names none that exists.
fn named_endpoints(filter: Option<&str>, violations: &mut Violations) -> Vec<&'static str> {
    let Some(filter) = filter.filter(|filter| !filter.is_empty()) else { return Vec::new() };
    let named = endpoints_of(filter);
    if named.is_empty() {
        let remedy = "endpoint must be an RPC such as TicketService/GetTicket, or the template of a REST route such as /api/public/v1/tickets/{id}, with or without a method before it; /api/public/v1/openapi.json lists them";
        violations.add("endpoint", "INVALID_VALUE", remedy);
    }
    named
}

/// The RPC of this name, with or without the package, or those that answer a REST route.
fn endpoints_of(filter: &str) -> Vec<&'static str> {
    let (method, template) = match filter.split_once(' ') {
        Some((method, template)) => (Some(method), template),
        None => (None, filter),
    };
    let named = pb::RPCS.iter().filter(|rpc| {
        let mut routes = rpc.routes.iter();
        endpoint(rpc) == filter
            || rpc.grpc_path.strip_prefix('/') == Some(filter)
            || routes.any(|route| {
                route.template == template && method.is_none_or(|method| route.method == method)
            })
    });
    let mut named: Vec<_> = named.map(endpoint).collect();
    named.sort_unstable();
    named
}

/// Translates the filters into a normal form: the order in which values are given does not make
/// another list.
fn request_log_filter(
    message: &pb::ListRequestLogsRequest,
    mut key_ids: Vec<String>,
    endpoints: Vec<&'static str>,
) -> RequestLogFilter {
    key_ids.sort_unstable();
    key_ids.dedup();
    let statuses = message.status.iter().filter_map(|status| i16::try_from(*status).ok());
    let mut statuses: Vec<_> = statuses.collect();
    statuses.sort_unstable();
    statuses.dedup();
    RequestLogFilter { key_ids, endpoints, statuses, since: message.since.map(next_milli) }
}

/// The defaults of a range's bounds, and its greatest length.
struct Range {
    since: Timestamp,
    until: Timestamp,
    days_max: i64,
}

fn span(message: &pb::GetUsageRequest) -> Span {
    match message.interval() {
        pb::UsageInterval::Day => Span::Day,
        pb::UsageInterval::Hour | pb::UsageInterval::Unspecified => Span::Hour,
    }
}

fn range(message: &pb::GetUsageRequest, now: Timestamp) -> Range {
    let (days_default, days_max) = match span(message) {
        Span::Hour => (1, 31),
        Span::Day => (30, 366),
    };
    let until = message.until.map_or(now, next_milli);
    let since = message.since.map(next_milli);
    let since = since.unwrap_or_else(|| until.plus_millis(-days_default * DAY_MILLIS));
    Range { since, until, days_max }
}

fn check_range(message: &pb::GetUsageRequest, now: Timestamp, violations: &mut Violations) {
    let Range { since, until, days_max } = range(message, now);
    if since > until {
        let remedy = "since must not be after until, which is now unless it is given";
        violations.add("since", "OUT_OF_RANGE", remedy);
    } else if until.0.saturating_sub(since.0) > days_max * DAY_MILLIS {
        let remedy =
            format!("since must be at most {days_max} days before until; ask piece by piece");
        violations.add("since", "OUT_OF_RANGE", remedy);
    }
}

fn usage_filter(
    message: &pb::GetUsageRequest,
    now: Timestamp,
    endpoints: Vec<&'static str>,
) -> UsageFilter {
    let Range { since, mut until, .. } = range(message, now);
    if message.until.is_none() {
        // What came at this very moment is recent too, if a span begins with it.
        until = until.plus_millis(1);
    }
    let span = span(message);
    let key_id = message.key_id.clone();
    UsageFilter { span, since: span.start_of(since), until, key_id, endpoints }
}

fn request_log(log: RequestLog) -> pb::RequestLog {
    let transport = match log.transport {
        Transport::Rest => pb::Transport::Rest,
        Transport::Grpc => pb::Transport::Grpc,
        Transport::GrpcWeb => pb::Transport::GrpcWeb,
    };
    pb::RequestLog {
        id: log.id,
        time: Some(log.received_at.into()),
        key_id: log.key_id,
        endpoint: log.endpoint,
        route: log.route,
        method: log.method,
        transport: transport.into(),
        status: log.status.into(),
        code: log.code,
        latency_ms: millis(log.latency_micros as u64),
        request_id: log.request_id,
        client_ip: log.client_ip,
    }
}

fn figures(found: UsageFigures) -> pb::UsageFigures {
    let figures = found.figures;
    let quantile = |share| millis(figures.latencies.quantile(share));
    pb::UsageFigures {
        start: Some(found.start.into()),
        endpoint: found.endpoint,
        requests: figures.requests,
        errors: figures.errors,
        error_rate: figures.errors as f64 / figures.requests.max(1) as f64,
        p50_ms: quantile(0.5),
        p95_ms: quantile(0.95),
        p99_ms: quantile(0.99),
    }
}

fn millis(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_named_by_its_rpc_or_its_route() {
        let get = ["TicketService/GetTicket"];
        assert_eq!(endpoints_of("TicketService/GetTicket"), get);
        assert_eq!(endpoints_of("orqit.v1.TicketService/GetTicket"), get);
        assert_eq!(endpoints_of("GET /api/public/v1/tickets/{id}"), get);
        let both = ["TicketService/GetTicket", "TicketService/UpdateTicket"];
        assert_eq!(endpoints_of("/api/public/v1/tickets/{id}"), both);
        for unknown in [
            "",
            "GetTicket",
            "/orqit.v1.TicketService/GetTicket",
            "/api/public/v1/tickets/1",
            "DELETE /api/public/v1/tickets/{id}",
            "ticketservice/getticket",
        ] {
            assert_eq!(endpoints_of(unknown), Vec::<&str>::new(), "{unknown}");
        }
    }
}
