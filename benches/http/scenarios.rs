//! What is asked of whom.

pub mod creates;

use std::path::PathBuf;

use orqit::pb;
use prost::Message;

use crate::load::{Call, Protocol};
use crate::service::{Callers, THIS_BUILD};

/// HTTP/1.1 connections of the questions that read.
const READ_CONNECTIONS: usize = 32;

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
    pub comparison: Comparison,
    pub contenders: Vec<Contender>,
}

/// What the figures of a contender are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Those of the first contender, the bare handler mostly.
    First,
    /// Those of the contender before it, another build of the service.
    Previous,
}

/// Somebody who answers.
pub struct Contender {
    pub name: String,
    pub side: Side,
    /// Whose keys go with the requests, also to those who do not look at them.
    pub callers: Callers,
    /// The requests, sent in turn.
    pub calls: Vec<Call>,
}

/// Which of the servers.
#[derive(Debug, Clone, Copy)]
pub enum Side {
    Bare,
    /// This build of Orqit, counting requests in Redis.
    Redis,
    /// A build of Orqit, by its number among the builds.
    Build(usize),
}

/// A build of the service.
#[derive(Debug, Clone)]
pub struct Build {
    pub name: String,
    pub program: PathBuf,
}

/// The number of this build among the builds.
pub const THIS: usize = 0;

/// This build and the others.
pub fn builds(others: &[PathBuf]) -> Vec<Build> {
    let this = Build { name: "this build".to_owned(), program: PathBuf::from(THIS_BUILD) };
    let named =
        |program: &PathBuf| Build { name: program.display().to_string(), program: program.clone() };
    std::iter::once(this).chain(others.iter().map(named)).collect()
}

impl Scenario {
    /// Asks other builds what this one is asked, after all others.
    fn ask_too(&mut self, others: &[Build]) {
        let calls = self.contenders.last().map_or_else(Vec::new, |last| last.calls.clone());
        let contenders = others.iter().enumerate().map(|(number, build)| Contender {
            name: build.name.clone(),
            side: Side::Build(THIS + 1 + number),
            callers: Callers::One,
            calls: calls.clone(),
        });
        self.contenders.extend(contenders);
    }
}

/// The scenarios on SQLite, in a workspace with so many tickets.
pub fn on_sqlite(tickets: u32, builds: &[Build], with_redis: bool) -> Vec<Scenario> {
    let mut scenarios = reads(tickets, with_redis);
    scenarios.iter_mut().for_each(|scenario| scenario.ask_too(&builds[THIS + 1..]));
    scenarios.extend(creates::on_sqlite(builds));
    scenarios
}

fn reads(tickets: u32, with_redis: bool) -> Vec<Scenario> {
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
