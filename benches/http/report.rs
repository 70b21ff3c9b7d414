//! The figures as tables in Markdown.

use crate::scenarios::Comparison;
use crate::service::Import;

/// The figures of one scenario.
pub struct Table {
    pub scenario: String,
    pub comparison: Comparison,
    pub rows: Vec<Row>,
}

/// The figures of one contender.
pub struct Row {
    pub name: String,
    pub per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    /// Processor time of the server per request.
    pub cpu_us: f64,
    /// Processor time of the database server per request, if there is one on this machine.
    pub database_cpu_us: Option<f64>,
    /// How much of a core the server and the load used.
    pub server_busy: f64,
    pub load_busy: f64,
}

/// The memory of a build, in KiB.
pub struct Memory {
    pub name: String,
    pub fresh_kib: u64,
    pub idle_kib: u64,
}

/// Prints what the loads of the tickets took, by the names of the builds.
pub fn print_imports(imports: &[(String, Import)]) {
    if imports.is_empty() {
        return;
    }
    println!("| import | s | server CPU s |");
    println!("| --- | --: | --: |");
    for (name, import) in imports {
        println!("| {name} | {:.1} | {:.1} |", import.seconds, import.server_cpu_seconds);
    }
    println!();
}

/// Prints the tables, those that are compared alike together.
pub fn print(tables: &[Table]) {
    let alike = |comparison| tables.iter().filter(move |table| table.comparison == comparison);
    print_beside_bare(alike(Comparison::First));
    print_by_builds(alike(Comparison::Previous));
}

fn print_beside_bare<'t>(tables: impl Iterator<Item = &'t Table>) {
    let mut tables = tables.peekable();
    if tables.peek().is_none() {
        return;
    }
    println!(
        "| | requests/s | of bare | p50 µs | p99 µs | CPU µs/request | of bare | server / load busy |"
    );
    println!("| --- | --: | --: | --: | --: | --: | --: | --: |");
    for table in tables {
        println!("| **{}** | | | | | | | |", table.scenario);
        for row in &table.rows {
            println!("{}", beside_bare_line(row, &table.rows[0]));
        }
    }
    println!();
}

fn print_by_builds<'t>(tables: impl Iterator<Item = &'t Table>) {
    let mut tables = tables.peekable();
    if tables.peek().is_none() {
        return;
    }
    println!("In parentheses: divided by the figure of the build above.\n");
    println!(
        "| | requests/s | p50 µs | p99 µs | server CPU µs/request | PostgreSQL CPU µs/request | server / load busy |"
    );
    println!("| --- | --: | --: | --: | --: | --: | --: |");
    for table in tables {
        println!("| **{}** | | | | | | |", table.scenario);
        let mut previous = None;
        for row in &table.rows {
            println!("{}", by_builds_line(row, previous));
            previous = Some(row);
        }
    }
    println!();
}

/// Prints the memory of the builds.
pub fn print_memory(builds: &[Memory]) {
    if builds.is_empty() {
        return;
    }
    let mb = |kib: u64| kib as f64 * 1024.0 / 1e6;
    println!("| resident memory | MB when started | MB when idle after all of the above |");
    println!("| --- | --: | --: |");
    for Memory { name, fresh_kib, idle_kib } in builds {
        println!("| {name} | {:.0} | {:.0} |", mb(*fresh_kib), mb(*idle_kib));
    }
}

fn beside_bare_line(row: &Row, bare: &Row) -> String {
    format!(
        "| {} | {:.0} | {:.2} | {:.0} | {:.0} | {:.1} | {:.2} | {} |",
        row.name,
        row.per_second,
        row.per_second / bare.per_second,
        row.p50_us,
        row.p99_us,
        row.cpu_us,
        bare.cpu_us / row.cpu_us,
        busy(row),
    )
}

fn by_builds_line(row: &Row, previous: Option<&Row>) -> String {
    let compared = |figure: &dyn Fn(&Row) -> Option<f64>| match (figure(row), previous.map(figure))
    {
        (None, _) => String::new(),
        (Some(now), Some(Some(before))) => format!("{now:.0} ({:.2})", now / before),
        (Some(now), _) => format!("{now:.0}"),
    };
    format!(
        "| {} | {} | {} | {} | {} | {} | {} |",
        row.name,
        compared(&|row| Some(row.per_second)),
        compared(&|row| Some(row.p50_us)),
        compared(&|row| Some(row.p99_us)),
        compared(&|row| Some(row.cpu_us)),
        compared(&|row| row.database_cpu_us),
        busy(row),
    )
}

fn busy(row: &Row) -> String {
    format!("{:.0} % / {:.0} %", row.server_busy * 100.0, row.load_busy * 100.0)
}
