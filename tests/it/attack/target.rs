//! The server that is attacked, what is measured of it meanwhile, and the row of the table.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::normal::{Normal, Seen};
use crate::cli::{Machine, Serving};
use crate::support::rest::Rest;

/// How much memory an attack may cost beyond what the server had: without a key, and with one.
pub const KEYLESS_MIB: u64 = 32;
pub const WITH_KEY_MIB: u64 = 128;
/// The normal client's p99, at the full size.
const P99: Duration = Duration::from_millis(100);
/// The same in the suite, where many tests share the machine: only that nobody is shut out.
const P99_IN_SMALL: Duration = Duration::from_secs(5);

/// How large the attacks are: the fuzzed requests of each protocol; none in the suite.
pub fn full_size() -> Option<usize> {
    let size = std::env::var("ORQIT_ATTACK_REQUESTS").ok()?;
    Some(size.parse().expect("a number of requests"))
}

/// How long an attack goes on.
pub fn duration() -> Duration {
    Duration::from_secs(if full_size().is_some() { 20 } else { 1 })
}

/// A server of its own process, with a ticket and an unlimited key.
pub struct Target {
    pub machine: Machine,
    pub serving: Serving,
    pub key: String,
    pub address: SocketAddr,
}

/// What an attack has sent, and what became of it.
#[derive(Debug, Default)]
pub struct Sent {
    /// What was sent, in words.
    pub what: String,
    /// Answers of 5xx other than 503, and whatever else may not be.
    pub faults: Vec<String>,
}

impl Sent {
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), faults: Vec::new() }
    }
}

impl Target {
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        let machine = Machine::new().await;
        Machine::printed(machine.run(&["workspace", "create", "default"]).await);
        let key = machine.unlimited_key("admin").await;
        let serving = serve(&machine, settings).await;
        let address = serving.url.trim_start_matches("http://").parse().expect("an address");
        let target = Self { machine, serving, key, address };
        let rest = Rest::new(target.serving.url.clone(), &target.key);
        rest.post("/tickets", crate::support::requests::vpn()).await.data(201);
        target
    }

    /// Attacks it, and holds what was measured against the bounds.
    pub async fn attack(&self, name: &str, mib_max: u64, attack: impl Future<Output = Sent>) {
        let before = self.settled_rss_mib().await;
        let (done, peak) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(before)));
        let watching = tokio::spawn(watch(self.status(), Arc::clone(&done), Arc::clone(&peak)));
        // Whoever shares the attacker's address shares its memory: beside many tests on one machine it
        // may be full for a moment. At the full size nobody is told to come back.
        let normal = [("127.0.0.1", full_size().is_none()), ("127.0.0.2", false)];
        let normal = normal.map(|(from, may_come_back)| {
            let from: IpAddr = from.parse().expect("an address");
            Normal::start(&self.serving.url, &self.key, from, may_come_back)
        });
        let begun = Instant::now();
        let sent = tokio::time::timeout(Duration::from_secs(600), attack).await;
        let took = begun.elapsed();
        let mut sent = sent
            .unwrap_or_else(|_| Sent { what: "?".to_owned(), faults: vec!["it hangs".to_owned()] });
        let [near, far] = normal;
        let seen = [near.stop().await, far.stop().await];
        done.store(true, Ordering::SeqCst);
        watching.await.expect("no panic");
        tokio::time::sleep(if full_size().is_some() {
            Duration::from_secs(10)
        } else {
            Duration::ZERO
        })
        .await;
        let peak = peak.load(Ordering::SeqCst);
        if peak > before + mib_max {
            sent.faults.push(format!("memory went from {before} to {peak} MiB"));
        }
        let p99_max = if full_size().is_some() { P99 } else { P99_IN_SMALL };
        for (from, seen) in ["the attacker's address", "another address"].iter().zip(&seen) {
            sent.faults
                .extend(seen.failures.iter().take(3).map(|told| format!("from {from}: {told}")));
            if seen.percentile(99) > p99_max {
                sent.faults.push(format!("p99 from {from}: {:?}", seen.percentile(99)));
            }
        }
        // On a line of its own: the name of the test stands before it, without an end.
        println!("\n{}", self.row(name, &sent, took, [before, peak, self.rss_mib()], &seen));
        assert_eq!(sent.faults, Vec::<String>::new(), "{name}");
    }

    fn row(
        &self,
        name: &str,
        sent: &Sent,
        took: Duration,
        rss: [u64; 3],
        seen: &[Seen; 2],
    ) -> String {
        let [before, peak, after] = rss;
        let latency = |seen: &Seen| {
            let [p50, p99] = [50, 99].map(|percent| seen.percentile(percent).as_secs_f64() * 1e3);
            format!("{p50:.1} / {p99:.1}")
        };
        let verdict = if sent.faults.is_empty() {
            "PASS".to_owned()
        } else {
            format!("FAIL {:?}", sent.faults)
        };
        format!(
            "| {name} | {} | {:.1} s | {before} / {peak} / {after} | {} | {} | {verdict} |",
            sent.what,
            took.as_secs_f64(),
            latency(&seen[0]),
            latency(&seen[1]),
        )
    }

    /// Stops it and starts it anew over its database.
    pub async fn restart(self) -> Self {
        let Self { machine, serving, key, .. } = self;
        serving.stop().await;
        let serving = serve(&machine, &[]).await;
        let address = serving.url.trim_start_matches("http://").parse().expect("an address");
        Self { machine, serving, key, address }
    }

    fn status(&self) -> PathBuf {
        format!("/proc/{}/status", self.serving.child.id().expect("it runs")).into()
    }

    fn rss_mib(&self) -> u64 {
        rss_mib(&self.status())
    }

    /// The memory that it needs for itself: what it builds once it listens is no attacker's doing.
    async fn settled_rss_mib(&self) -> u64 {
        loop {
            let before = self.rss_mib();
            tokio::time::sleep(Duration::from_millis(250)).await;
            if self.rss_mib() == before {
                return before;
            }
        }
    }
}

async fn serve(machine: &Machine, settings: &[(&str, &str)]) -> Serving {
    let mut command = machine.orqit(&["serve"]);
    command.envs(settings.iter().copied()).env("ORQIT_LOG", "error").stdout(Stdio::piped());
    Serving::of(command.spawn().expect("it runs")).await
}

/// The memory of a process that is in use, by Linux; 0 elsewhere, where it is not looked at.
fn rss_mib(status: &PathBuf) -> u64 {
    let status = std::fs::read_to_string(status).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kib.unwrap_or(0_u64) / 1024
}

async fn watch(status: PathBuf, done: Arc<AtomicBool>, peak: Arc<AtomicU64>) {
    while !done.load(Ordering::SeqCst) {
        peak.fetch_max(rss_mib(&status), Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
