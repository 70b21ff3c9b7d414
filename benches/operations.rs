//! What each operation on tickets costs at several sizes of one workspace.
//!
//! `cargo bench --bench operations -- [--tickets 1000,25000,1000000]` makes a SQLite database of each
//! size, and under `scripts/with-postgres` one of PostgreSQL, and calls the service in place: what a
//! request costs beside, as HTTP and JSON, is the same at every size and stands in `benches/http`. It
//! prints the median of each operation, of a batch per ticket, and how they have grown from the first
//! size to the last.
//!
//! Under `cargo test` each is done once, and no time is looked at.

#[path = "lists/database.rs"]
mod database;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use orqit::auth::caller::Caller;
use orqit::auth::scope::Scopes;
use orqit::clock::Timestamp;
use orqit::pb;
use orqit::pb::ticket_service_server::TicketService;
use orqit::service::emails::Outbox;
use orqit::service::tickets::Tickets;
use orqit::store::{CursorKey, KeyRecord, MadeBy, SYSTEM_USER_ID, Workspace};
use tonic::Request;

use crate::database::Database;

const SIZES: [i64; 3] = [1_000, 25_000, 1_000_000];
/// The tickets under `cargo test`.
const SMOKE: i64 = 400;
/// How often each is done before it counts, and then.
const TIMES: (usize, usize) = (5, 41);
/// The items of a batch.
const BATCH: i64 = 100;

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    // The arguments are those of the test runner: a name filter means other tests.
    if !is_bench && arguments.iter().any(|argument| !argument.starts_with('-')) {
        return ExitCode::SUCCESS;
    }
    let told = arguments.iter().skip_while(|argument| *argument != "--tickets").nth(1);
    let sizes = match told {
        _ if !is_bench => Ok(vec![SMOKE]),
        Some(sizes) => sizes.split(',').map(str::parse).collect(),
        None => Ok(SIZES.to_vec()),
    };
    let runtime = tokio::runtime::Runtime::new();
    let ran =
        sizes.map_err(Failure::from).and_then(|sizes| runtime?.block_on(run(&sizes, is_bench)));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("operations: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The name of an operation, and what it takes.
type Cost = (&'static str, Duration);

async fn run(sizes: &[i64], is_bench: bool) -> Result<(), Failure> {
    let mut costs = Vec::new();
    for size in sizes {
        let database = Database::make(*size).await?;
        costs.push(measure(&database, *size, is_bench).await?);
        database.remove().await?;
    }
    if is_bench {
        report(sizes, &costs);
    } else {
        println!("operations: {} were done", costs.first().map_or(0, Vec::len));
    }
    Ok(())
}

async fn measure(database: &Database, size: i64, is_bench: bool) -> Result<Vec<Cost>, Failure> {
    let workspace = database.store.find_workspace_by_slug("default").await?;
    let caller = caller(workspace.ok_or("no workspace")?);
    let outbox = Outbox { has_server: false };
    let tickets = Tickets { store: database.store.clone(), limiter: None, outbox };
    let (unmeasured, measured) = if is_bench { TIMES } else { (0, 1) };
    let feed = format!("{:?} changes of tickets", database.workspace);
    let near_the_end = CursorKey::numbered(size - BATCH).encode_in(&feed);
    let mut costs = Vec::new();
    /// Adds the median of what the calls take, divided by how many tickets each is about.
    macro_rules! cost {
        ($name:expr, $per:expr, $method:ident, $message:expr) => {
            let mut times = Vec::new();
            for number in 0..unmeasured + measured {
                let mut request = Request::new($message(number));
                request.extensions_mut().insert(Arc::clone(&caller));
                let begun = Instant::now();
                tickets.$method(request).await?;
                if number >= unmeasured {
                    times.push(begun.elapsed() / $per);
                }
            }
            times.sort_unstable();
            costs.push(($name, times[times.len() / 2]));
        };
    }
    let list = pb::ListTicketsRequest::default;
    let search = |q: &str| pb::ListTicketsRequest { q: Some(q.to_owned()), ..list() };
    cost!("create", 1, create_ticket, |_| new_ticket());
    cost!("batch of 100 creates, each", 100, batch_create_tickets, |_| {
        pb::BatchCreateTicketsRequest {
            items: (0..BATCH).map(|_| new_ticket()).collect(),
            atomic: false,
        }
    });
    cost!("batch of 100 updates, each", 100, batch_update_tickets, |number| {
        pb::BatchUpdateTicketsRequest {
            items: (1..=BATCH).map(|id| change(id * size / BATCH, number)).collect(),
            atomic: false,
        }
    });
    cost!("list, first page", 1, list_tickets, |_| list());
    cost!("filter: open", 1, list_tickets, |_| pb::ListTicketsRequest {
        status: vec![pb::TicketStatus::Open.into()],
        ..list()
    });
    cost!("filter: tag of 1 %", 1, list_tickets, |_| pb::ListTicketsRequest {
        tag: Some("tag-1".to_owned()),
        ..list()
    });
    cost!("filter: assignee, by updatedAt", 1, list_tickets, |_| pb::ListTicketsRequest {
        assignee_id: vec![3],
        sort: Some("-updatedAt".to_owned()),
        ..list()
    });
    cost!("search: a word of 10 %", 1, list_tickets, |_| search("tenth"));
    cost!("search: a word of 1 %", 1, list_tickets, |_| search("hundredth"));
    cost!("feed, 100 changes from the first", 1, list_ticket_changes, |_| changes(None));
    let near_the_end = || changes(Some(near_the_end.clone()));
    cost!("feed, 100 of the last", 1, list_ticket_changes, |_| near_the_end());
    Ok(costs)
}

fn changes(cursor: Option<String>) -> pb::ListTicketChangesRequest {
    pb::ListTicketChangesRequest { cursor, per_page: Some(100) }
}

fn new_ticket() -> pb::CreateTicketRequest {
    pb::CreateTicketRequest {
        title: "VPN not connecting".to_owned(),
        description: "User cannot connect to corporate VPN from home.".to_owned(),
        r#type: pb::TicketType::Incident.into(),
        category: pb::TicketCategory::Network.into(),
        requester_id: Some(7),
        tags: vec!["vpn".to_owned()],
        ..pb::CreateTicketRequest::default()
    }
}

fn change(id: i64, round: usize) -> pb::UpdateTicketRequest {
    let priority = if round.is_multiple_of(2) { pb::Priority::Low } else { pb::Priority::Critical };
    pb::UpdateTicketRequest {
        id: id.to_string(),
        priority: Some(priority.into()),
        resolution: Some(format!("Looked at {round} times.")),
        ..pb::UpdateTicketRequest::default()
    }
}

/// A key without limits, which may do everything.
fn caller(workspace: Workspace) -> Arc<Caller> {
    let key = KeyRecord {
        key_id: "4fQ7x2Lm".to_owned(),
        key_hash: [0; 32],
        name: "Benchmark".to_owned(),
        description: None,
        scopes: Vec::new(),
        requested_scopes: Vec::new(),
        per_minute: 0,
        group_per_minute: 0,
        expires_at: None,
        revoked_at: None,
        created_at: Timestamp(0),
        created_by: None,
        last_four: "1234".to_owned(),
        lineage: "4fQ7x2Lm".to_owned(),
        rotated_from: None,
        rotated_to: None,
        made_by: MadeBy::Operator,
        version: 1,
        updated_at: Timestamp(0),
        workspace,
        system_user_id: SYSTEM_USER_ID,
    };
    Arc::new(Caller { key, scopes: Scopes::of_names(&["admin"]).expect("a name of scopes") })
}

fn report(sizes: &[i64], costs: &[Vec<Cost>]) {
    let sizes: Vec<_> = sizes.iter().map(|size| format!("{size} tickets, µs")).collect();
    println!("| operation | {} | × |", sizes.join(" | "));
    println!("| --- |{} --: |", " --: |".repeat(sizes.len()));
    for (at, (name, first)) in costs[0].iter().enumerate() {
        let times: Vec<_> = costs.iter().map(|of_size| of_size[at].1).collect();
        let told: Vec<_> = times.iter().map(|time| time.as_micros().to_string()).collect();
        let last = times[times.len() - 1];
        println!(
            "| {name} | {} | {:.1} |",
            told.join(" | "),
            last.as_secs_f64() / first.as_secs_f64()
        );
    }
}
