//! What is asked of whom.

use std::path::PathBuf;

use orqit::pb;
use prost::Message;

use crate::load::{Call, Protocol};

/// How many different tickets are asked for in turn, so that no single row is measured.
const TICKETS_ASKED: u32 = 1000;

pub const PING: &str = "/api/public/v1/ping";
pub const LIST: &str = "/api/public/v1/tickets?page=1&perPage=20";
pub const GRPC_PING: &str = "/orqit.v1.SystemService/Ping";
pub const GRPC_TICKET: &str = "/orqit.v1.TicketService/GetTicket";
pub const GRPC_LIST: &str = "/orqit.v1.TicketService/ListTickets";

/// One question, and who is asked it.
pub struct Scenario {
    pub name: String,
    pub protocol: Protocol,
    /// Goes with every request, also to those who do not look at it.
    pub key: String,
    /// The first is what the others are compared with.
    pub contenders: Vec<Contender>,
}

/// Somebody who answers.
pub struct Contender {
    pub name: String,
    pub side: Side,
    /// Another key than the scenario's.
    pub key: Option<String>,
    /// The requests, sent in turn.
    pub calls: Vec<Call>,
}

/// Which of the servers.
#[derive(Debug, Clone, Copy)]
pub enum Side {
    Orqit,
    Bare,
    /// Orqit, counting requests in Redis.
    Redis,
    /// Another build of Orqit, by its number.
    Other(usize),
}

impl Scenario {
    /// Asks other builds what Orqit is asked.
    pub fn ask_too(&mut self, builds: &[PathBuf]) {
        let calls = self.contenders.last().map_or_else(Vec::new, |orqit| orqit.calls.clone());
        let contenders = builds.iter().enumerate().map(|(number, build)| Contender {
            name: build.display().to_string(),
            side: Side::Other(number),
            key: None,
            calls: calls.clone(),
        });
        self.contenders.extend(contenders);
    }
}

/// All scenarios, on a workspace with so many tickets.
pub fn all(tickets: u32, key: &str, limited_key: &str, with_redis: bool) -> Vec<Scenario> {
    let step = (tickets / TICKETS_ASKED).max(1) as usize;
    let ids: Vec<u32> = (1..=tickets).step_by(step).collect();
    let each = |path: &str| ids.iter().map(|id| rest(&format!("{path}{id}"))).collect::<Vec<_>>();
    let ticket = |id: &u32| pb::GetTicketRequest { id: id.to_string() };
    let tickets = ids.iter().map(|id| grpc(GRPC_TICKET, &ticket(id))).collect();
    let list = pb::ListTicketsRequest { page: Some(1), per_page: Some(20), ..Default::default() };
    let scenario = |name: &str, protocol, contenders| Scenario {
        name: name.to_owned(),
        protocol,
        key: key.to_owned(),
        contenders,
    };
    vec![
        scenario("ping, REST", Protocol::Rest, beside_bare(vec![rest(PING)])),
        scenario(
            "GET ticket, REST",
            Protocol::Rest,
            beside_sqlx(each("/api/public/v1/tickets/"), each("/sqlx/tickets/")),
        ),
        scenario(
            "LIST 20, REST",
            Protocol::Rest,
            beside_sqlx(vec![rest(LIST)], vec![rest("/sqlx/tickets")]),
        ),
        scenario(
            "ping, gRPC",
            Protocol::Grpc,
            beside_bare(vec![grpc(GRPC_PING, &pb::PingRequest {})]),
        ),
        scenario("GET ticket, gRPC", Protocol::Grpc, beside_bare(tickets)),
        scenario(
            "GET ticket, REST, by limits",
            Protocol::Rest,
            by_limits(each("/api/public/v1/tickets/"), limited_key, with_redis),
        ),
        scenario("create ticket, REST", Protocol::Rest, by_idempotency()),
        scenario("LIST 20, gRPC", Protocol::Grpc, beside_bare(vec![grpc(GRPC_LIST, &list)])),
    ]
}

/// The same questions by a key without limits, by one with limits too high to reach, and by that one
/// where Redis counts.
fn by_limits(calls: Vec<Call>, limited_key: &str, with_redis: bool) -> Vec<Contender> {
    let contender = |name: &str, side, key: Option<&str>| Contender {
        name: name.to_owned(),
        side,
        key: key.map(str::to_owned),
        calls: calls.clone(),
    };
    let mut contenders = vec![
        contender("without limits", Side::Orqit, None),
        contender("with limits", Side::Orqit, Some(limited_key)),
    ];
    if with_redis {
        contenders.push(contender("with limits in Redis", Side::Redis, Some(limited_key)));
    }
    contenders
}

/// New tickets, without and with an idempotency key.
fn by_idempotency() -> Vec<Contender> {
    let body =
        r#"{"title":"Benchmark","description":"A ticket.","type":"INCIDENT","category":"OTHER"}"#;
    [("without Idempotency-Key", false), ("with Idempotency-Key", true)]
        .map(|(name, idempotent)| {
            let path = "/api/public/v1/tickets".to_owned();
            let call = Call { path, message: body.as_bytes().to_vec(), idempotent };
            Contender { name: name.to_owned(), side: Side::Orqit, key: None, calls: vec![call] }
        })
        .into()
}

fn beside_bare(calls: Vec<Call>) -> Vec<Contender> {
    vec![
        Contender {
            name: "bare handler".to_owned(),
            side: Side::Bare,
            key: None,
            calls: calls.clone(),
        },
        Contender { name: "Orqit".to_owned(), side: Side::Orqit, key: None, calls },
    ]
}

fn beside_sqlx(calls: Vec<Call>, sqlx: Vec<Call>) -> Vec<Contender> {
    let mut contenders = beside_bare(calls);
    contenders.insert(
        1,
        Contender {
            name: "bare handler with sqlx".to_owned(),
            side: Side::Bare,
            key: None,
            calls: sqlx,
        },
    );
    contenders
}

fn rest(path: &str) -> Call {
    Call { path: path.to_owned(), ..Call::default() }
}

fn grpc(path: &str, message: &impl Message) -> Call {
    Call { path: path.to_owned(), message: message.encode_to_vec(), ..Call::default() }
}
