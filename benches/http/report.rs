//! The figures as a table in Markdown.

/// The figures of one scenario.
pub struct Table {
    pub scenario: String,
    /// The first is what the others are compared with.
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
    /// How much of its core the server and the load used.
    pub server_busy: f64,
    pub load_busy: f64,
}

/// Prints everything that was measured.
pub fn print(tables: &[Table], tickets: u32, fresh_kib: u64, idle_kib: u64) {
    println!(
        "| {tickets} tickets | requests/s | of bare | p50 µs | p99 µs | CPU µs/request | of bare | server / load busy |"
    );
    println!("| --- | --: | --: | --: | --: | --: | --: | --: |");
    for table in tables {
        println!("| **{}** | | | | | | | |", table.scenario);
        for row in &table.rows {
            println!("{}", line(row, &table.rows[0]));
        }
    }
    let mb = |kib: u64| kib as f64 * 1024.0 / 1e6;
    println!("\nResident memory of the service: {:.0} MB when started,", mb(fresh_kib));
    println!("{:.0} MB when idle after all of the above.", mb(idle_kib));
}

fn line(row: &Row, bare: &Row) -> String {
    format!(
        "| {} | {:.0} | {:.2} | {:.0} | {:.0} | {:.1} | {:.2} | {:.0} % / {:.0} % |",
        row.name,
        row.per_second,
        row.per_second / bare.per_second,
        row.p50_us,
        row.p99_us,
        row.cpu_us,
        bare.cpu_us / row.cpu_us,
        row.server_busy * 100.0,
        row.load_busy * 100.0,
    )
}
