//! What is asked of whom.

pub mod creates;
pub mod reads;

use std::path::PathBuf;

use crate::load::{Call, Protocol};
use crate::service::{Callers, THIS_BUILD};

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
    pub fn ask_too(&mut self, others: &[Build]) {
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
