//! The scenarios that read.

use orqit::pb;
use prost::Message;

use super::{
    Comparison, Contender, GRPC_LIST, GRPC_PING, GRPC_TICKET, LIST, PING, Scenario, Side, THIS,
};
use crate::load::{Call, Protocol};
use crate::service::Callers;

/// The HTTP/1.1 connections of the scenarios.
const READ_CONNECTIONS: usize = 32;

/// The number of tickets that are asked for in turn, so that no single row is measured.
const TICKETS_ASKED: u32 = 1000;

/// The scenarios that read from a workspace with so many tickets.
pub fn on_sqlite(tickets: u32, with_redis: bool) -> Vec<Scenario> {
    let step = (tickets / TICKETS_ASKED).max(1) as usize;
    let ids: Vec<u32> = (1..=tickets).step_by(step).collect();
    let each = |path: &str| ids.iter().map(|id| rest(&format!("{path}{id}"))).collect::<Vec<_>>();
    let ticket = |id: &u32| pb::GetTicketRequest { id: id.to_string(), ..Default::default() };
    let tickets = ids.iter().map(|id| grpc(GRPC_TICKET, &ticket(id))).collect();
    let list = pb::ListTicketsRequest { page: Some(1), per_page: Some(20), ..Default::default() };
    let over = |protocol, name: &str, contenders| Scenario {
        name: name.to_owned(),
        protocol,
        comparison: Comparison::First,
        contenders,
    };
    let over_rest =
        |name, contenders| over(Protocol::Rest { connections: READ_CONNECTIONS }, name, contenders);
    let over_grpc = |name, calls| over(Protocol::Grpc, name, beside_bare(calls));
    vec![
        over_rest("ping, REST", beside_bare(vec![rest(PING)])),
        over_rest(
            "GET ticket, REST",
            beside_sqlx(each("/api/public/v1/tickets/"), each("/sqlx/tickets/")),
        ),
        over_rest("LIST 20, REST", beside_sqlx(vec![rest(LIST)], vec![rest("/sqlx/tickets")])),
        over_grpc("ping, gRPC", vec![grpc(GRPC_PING, &pb::PingRequest {})]),
        over_grpc("GET ticket, gRPC", tickets),
        over_rest(
            "GET ticket, REST, by limits",
            by_limits(each("/api/public/v1/tickets/"), with_redis),
        ),
        over_grpc("LIST 20, gRPC", vec![grpc(GRPC_LIST, &list)]),
    ]
}

/// The same questions by a key without limits, by one with limits too high to reach, and by that one
/// where Redis counts.
fn by_limits(calls: Vec<Call>, with_redis: bool) -> Vec<Contender> {
    let this = Side::Build(THIS);
    let mut contenders = vec![
        contender("without limits", this, Callers::One, calls.clone()),
        contender("with limits", this, Callers::Limited, calls.clone()),
    ];
    if with_redis {
        contenders.push(contender("with limits in Redis", Side::Redis, Callers::Limited, calls));
    }
    contenders
}

fn beside_bare(calls: Vec<Call>) -> Vec<Contender> {
    vec![
        contender("bare handler", Side::Bare, Callers::One, calls.clone()),
        contender("Orqit", Side::Build(THIS), Callers::One, calls),
    ]
}

fn beside_sqlx(calls: Vec<Call>, sqlx: Vec<Call>) -> Vec<Contender> {
    let mut contenders = beside_bare(calls);
    contenders.insert(1, contender("bare handler with sqlx", Side::Bare, Callers::One, sqlx));
    contenders
}

fn contender(name: &str, side: Side, callers: Callers, calls: Vec<Call>) -> Contender {
    Contender { name: name.to_owned(), side, callers, calls }
}

fn rest(path: &str) -> Call {
    Call { path: path.to_owned(), ..Call::default() }
}

fn grpc(path: &str, message: &impl Message) -> Call {
    Call { path: path.to_owned(), message: message.encode_to_vec(), ..Call::default() }
}
