//! New tickets: on SQLite, and on PostgreSQL in one workspace and in several.

use super::{Build, Comparison, Contender, Scenario, Side, THIS};
use crate::load::{Call, Protocol};
use crate::service::Callers;

/// Connections on SQLite, which has one writer at a time.
const SQLITE_CONNECTIONS: [usize; 3] = [1, 16, 32];
const POSTGRES_CONNECTIONS: [usize; 3] = [1, 16, 64];

const BODY: &str =
    r#"{"title":"Benchmark","description":"A ticket.","type":"INCIDENT","category":"OTHER"}"#;

/// Without idempotency keys by so many connections, and with them by the most.
pub fn on_sqlite(builds: &[Build]) -> Vec<Scenario> {
    let create = |connections, idempotent| {
        let retries = if idempotent { ", Idempotency-Key" } else { "" };
        let name = format!("create ticket, REST, SQLite, {}{retries}", counted(connections));
        scenario(name, connections, Callers::One, idempotent, builds)
    };
    let [.., most] = SQLITE_CONNECTIONS;
    let plain = SQLITE_CONNECTIONS.map(|connections| create(connections, false));
    plain.into_iter().chain([create(most, true)]).collect()
}

/// By so many connections, all into one workspace, or into all of them in turn.
pub fn on_postgres(builds: &[Build], workspaces: usize) -> Vec<Scenario> {
    let workspaces = [
        ("1 workspace".to_owned(), Callers::One),
        (format!("{workspaces} workspaces"), Callers::EveryWorkspace),
    ];
    let create = |(workspaces, callers): &(String, Callers), connections| {
        let name =
            format!("create ticket, REST, PostgreSQL, {workspaces}, {}", counted(connections));
        scenario(name, connections, *callers, false, builds)
    };
    let each = |into| POSTGRES_CONNECTIONS.map(|connections| create(into, connections));
    workspaces.iter().flat_map(each).collect()
}

/// This build comes last, so that its figures are compared with those of an older one.
fn scenario(
    name: String,
    connections: usize,
    callers: Callers,
    idempotent: bool,
    builds: &[Build],
) -> Scenario {
    let path = "/api/public/v1/tickets".to_owned();
    let call = Call { path, message: BODY.as_bytes().to_vec(), idempotent };
    let contender = |number: usize| Contender {
        name: builds[number].name.clone(),
        side: Side::Build(number),
        callers,
        calls: vec![call.clone()],
    };
    let others = THIS + 1..builds.len();
    Scenario {
        name,
        protocol: Protocol::Rest { connections },
        comparison: Comparison::Previous,
        contenders: others.chain([THIS]).map(contender).collect(),
    }
}

fn counted(connections: usize) -> String {
    let plural = if connections == 1 { "" } else { "s" };
    format!("{connections} connection{plural}")
}
