//! Processor time and memory of processes, as Linux tells them in `/proc`.

use std::fs;

/// The ticks per second in which Linux counts a process's time, on every architecture.
const TICKS_PER_SECOND: u64 = 100;

/// The processor time that a process (`self`: this one) has used, in seconds.
pub fn cpu_seconds(pid: &str) -> Result<f64, String> {
    Ok(seconds(stat(pid)?.own_ticks))
}

/// The processor time of a process and of its children, also those that have ended, in seconds.
pub fn family_cpu_seconds(pid: &str) -> Result<f64, String> {
    let head = stat(pid)?;
    let mut ticks = head.own_ticks + head.reaped_ticks;
    let failed = |error: std::io::Error| format!("cannot read /proc: {error}");
    for entry in fs::read_dir("/proc").map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let Some(name) =
            name.to_str().filter(|name| name.starts_with(|c: char| c.is_ascii_digit()))
        else {
            continue;
        };
        // A process without a stat has ended since the folder was read.
        let Ok(process) = stat(name) else { continue };
        if process.parent == pid {
            ticks += process.own_ticks;
        }
    }
    Ok(seconds(ticks))
}

/// The parent of a process.
pub fn parent(pid: &str) -> Result<String, String> {
    Ok(stat(pid)?.parent)
}

/// The name of a process's program.
pub fn program(pid: &str) -> Result<String, String> {
    Ok(proc_file(pid, "comm")?.trim().to_owned())
}

/// The memory that a process holds now, in KiB.
pub fn rss_kib(pid: &str) -> Result<u64, String> {
    let status = proc_file(pid, "status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    kib.ok_or_else(|| format!("Linux tells no VmRSS of process {pid}"))
}

/// What `/proc/PID/stat` tells.
struct Stat {
    parent: String,
    /// In user mode and in the kernel.
    own_ticks: u64,
    /// Of children that have ended and were waited for.
    reaped_ticks: u64,
}

fn stat(pid: &str) -> Result<Stat, String> {
    let stat = proc_file(pid, "stat")?;
    // The fields after the name in parentheses, which itself may hold anything.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
    let read = || {
        Some(Stat {
            parent: (*fields.get(1)?).to_owned(),
            own_ticks: ticks(11)? + ticks(12)?,
            reaped_ticks: ticks(13)? + ticks(14)?,
        })
    };
    read().ok_or_else(|| format!("cannot read the times in /proc/{pid}/stat"))
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / TICKS_PER_SECOND as f64
}

fn proc_file(pid: &str, name: &str) -> Result<String, String> {
    let path = format!("/proc/{pid}/{name}");
    fs::read_to_string(&path).map_err(|error| format!("cannot read {path}: {error}"))
}
