//! What a page of tickets costs by filter and order, at several sizes of one workspace.
//!
//! `cargo bench --bench lists -- [--tickets 25000,1000000] [--only WORD]` makes a SQLite database of each size, and
//! under `scripts/with-postgres` one of PostgreSQL, and reads of each list its first page with the
//! total, as `page` mode answers it, and a page from its middle, as a loop by cursor does. It prints
//! the median of each, and how they have grown from the first size to the last.
//!
//! Under `cargo test` every list is read once, and no time is looked at.

mod database;
mod shapes;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use orqit::store::nouns::Query;
use orqit::store::tickets::{PageRequest, Position, Ticket};
use orqit::store::{Page, Reader};

use crate::database::Database;
use crate::shapes::shapes;

const SIZES: [i64; 2] = [25_000, 1_000_000];
/// The tickets under `cargo test`.
const SMOKE: i64 = 400;
/// The rows of a page.
const PER_PAGE: u32 = 20;
/// How often a page is read before it counts, and then.
const READS: (usize, usize) = (3, 15);
/// A page beyond this is read fewer times.
const SLOW: Duration = Duration::from_millis(200);

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    // The arguments are those of the test runner: a name filter means other tests.
    if !is_bench && arguments.iter().any(|argument| !argument.starts_with('-')) {
        return ExitCode::SUCCESS;
    }
    let told = |name: &str| arguments.iter().skip_while(|argument| *argument != name).nth(1);
    let (sizes, only) = (told("--tickets"), told("--only").cloned().unwrap_or_default());
    let sizes = match sizes {
        _ if !is_bench => Ok(vec![SMOKE]),
        Some(sizes) => sizes.split(',').map(str::parse).collect(),
        None => Ok(SIZES.to_vec()),
    };
    let runtime = tokio::runtime::Runtime::new();
    let ran = sizes
        .map_err(Failure::from)
        .and_then(|sizes| runtime?.block_on(run(&sizes, &only, is_bench)));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lists: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What a list costs at one size.
struct Cost {
    /// The first page with its total, and a page from the middle by cursor.
    first: Duration,
    by_cursor: Duration,
}

async fn run(sizes: &[i64], only: &str, is_bench: bool) -> Result<(), Failure> {
    let mut costs: Vec<Vec<Cost>> = Vec::new();
    for size in sizes {
        let database = Database::make(*size).await?;
        let reader = database.store.reader(database.workspace);
        let mut of_size = Vec::new();
        for (_, query) in shapes_of(*size, only) {
            of_size.push(measure(&reader, &query, is_bench).await?);
        }
        costs.push(of_size);
        database.remove().await?;
    }
    if is_bench {
        report(sizes, only, &costs);
    } else {
        println!("lists: {} lists were read", costs.first().map_or(0, Vec::len));
    }
    Ok(())
}

async fn measure(reader: &Reader<'_>, query: &Query, is_bench: bool) -> Result<Cost, Failure> {
    let page = |position| PageRequest { per_page: PER_PAGE, position };
    // A place in the middle, to which page mode counts off.
    let middle = PageRequest { per_page: 100, position: Position::Page(20) };
    let middle: Page<Ticket> = reader.list(query, &middle).await?;
    let position = middle.next.map_or(Position::Start, Position::After);
    let first = median(reader, query, &page(Position::Page(1)), is_bench).await?;
    let by_cursor = median(reader, query, &page(position), is_bench).await?;
    Ok(Cost { first, by_cursor })
}

async fn median(
    reader: &Reader<'_>,
    query: &Query,
    page: &PageRequest,
    is_bench: bool,
) -> Result<Duration, Failure> {
    let (mut unmeasured, mut measured) = if is_bench { READS } else { (0, 1) };
    let mut times = Vec::new();
    while measured > 0 {
        let begun = Instant::now();
        let _: Page<Ticket> = reader.list(query, page).await?;
        let took = begun.elapsed();
        if unmeasured > 0 && took < SLOW {
            unmeasured -= 1;
            continue;
        }
        times.push(took);
        measured = if took < SLOW { measured - 1 } else { measured.saturating_sub(5) };
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

/// The lists that are measured: those whose names have `only` in them.
fn shapes_of(tickets: i64, only: &str) -> Vec<(String, Query)> {
    shapes(tickets).into_iter().filter(|(name, _)| name.contains(only)).collect()
}

fn report(sizes: &[i64], only: &str, costs: &[Vec<Cost>]) {
    let named = |what: &str| sizes.iter().map(|size| format!("{what} {size}")).collect::<Vec<_>>();
    let columns =
        [named("first page"), vec!["×".to_owned()], named("by cursor"), vec!["×".to_owned()]];
    println!("| list | {} |", columns.concat().join(" | "));
    println!("| --- |{}", " --- |".repeat(columns.concat().len()));
    for (at, (name, _)) in shapes_of(sizes[0], only).iter().enumerate() {
        let of = |cost: fn(&Cost) -> Duration| -> Vec<String> {
            let times: Vec<_> = costs.iter().map(|of_size| cost(&of_size[at])).collect();
            let ms = |time: &Duration| format!("{:.2}", time.as_secs_f64() * 1e3);
            let growth = times[times.len() - 1].as_secs_f64() / times[0].as_secs_f64();
            times.iter().map(ms).chain([format!("{growth:.1}")]).collect()
        };
        let (first, by_cursor) = (of(|cost| cost.first), of(|cost| cost.by_cursor));
        println!("| {name} | {} |", [first, by_cursor].concat().join(" | "));
    }
}
