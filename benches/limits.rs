//! What a request costs the limiter, by how many keys there are, and what a key costs in memory.
//!
//! `scripts/with-redis cargo bench --bench limits` measures the round trip to Redis as well.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use orqit::clock::{Clock, Timestamp};
use orqit::layers::rate_limit::headers;
use orqit::limits::{KeyLimits, Limiter, Settings, Standing};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use tokio::runtime::Runtime;

const GROUPS: [&str; 8] =
    ["tickets", "assets", "projects", "users", "kb", "webhooks", "email", "keys"];
/// So wide that everything is admitted.
const LIMIT: u32 = 1_000_000;
const START: Timestamp = Timestamp(1_767_225_600_000);
const WINDOW_MS: i64 = 60_000;
/// Where a Redis is; without one its round trip is not measured.
const REDIS_URL: &str = "ORQIT_TEST_REDIS_URL";

fn main() {
    // `cargo test --benches` only looks whether it runs.
    let quick = std::env::args().any(|argument| argument == "--test");
    let runtime = Runtime::new().expect("a runtime");
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    allowed(&mut criterion, &runtime, quick);
    if !quick {
        memory(&runtime);
        sweep(&runtime);
    }
    criterion.bench_function("headers", |bencher| {
        let limiter = limiter(&runtime, Clock::System, None);
        let standing = spend(&runtime, &limiter, "4fQ7x2Lm");
        bencher.iter(|| headers(black_box(&standing)));
    });
    if let Ok(url) = std::env::var(REDIS_URL) {
        let limiter = limiter(&runtime, Clock::System, Some(&url));
        criterion.bench_function("allowed by Redis", |bencher| {
            bencher.iter(|| spend(&runtime, &limiter, black_box("4fQ7x2Lm")));
        });
    }
    criterion.final_summary();
}

fn limiter(runtime: &Runtime, clock: Clock, redis_url: Option<&str>) -> Limiter {
    let settings = Settings { redis: None, redis_timeout: Duration::from_millis(250), replicas: 1 };
    let settings = match redis_url {
        Some(url) => settings.with_redis(url).expect("a URL of Redis"),
        None => settings,
    };
    runtime.block_on(Limiter::start(settings, &GROUPS, clock)).expect("as many groups as fit")
}

fn spend(runtime: &Runtime, limiter: &Limiter, key_id: &str) -> Standing {
    let limits = KeyLimits { key_id, per_minute: LIMIT, group_per_minute: LIMIT };
    runtime.block_on(limiter.spend(limits, Some("users"), 1)).expect("a limit")
}

/// The ids of so many keys, in no order.
fn ids(count: u32) -> Vec<[u8; 8]> {
    let digit = |number: u32| b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"[number as usize % 42];
    let id = |number: u32| {
        let mixed = number.wrapping_mul(2_654_435_761);
        std::array::from_fn(|at| digit((u64::from(mixed) / 42_u64.pow(at as u32)) as u32))
    };
    let mut ids: Vec<_> = (0..count).map(id).collect();
    ids.shuffle(&mut StdRng::seed_from_u64(1));
    ids
}

fn text(id: &[u8; 8]) -> &str {
    std::str::from_utf8(id).expect("ASCII")
}

/// An allowed request, that spends from both limits of a key.
fn allowed(criterion: &mut Criterion, runtime: &Runtime, quick: bool) {
    let mut group = criterion.benchmark_group("allowed in process");
    for count in [1, 1_000, if quick { 1_000 } else { 1_000_000 }] {
        let (limiter, ids) = (limiter(runtime, Clock::System, None), ids(count));
        // A poll is all it takes: nothing in it waits.
        let mut next = ids.iter().cycle();
        let mut one = async || {
            let key_id = text(next.next().expect("endless"));
            let limits = KeyLimits { key_id, per_minute: LIMIT, group_per_minute: LIMIT };
            limiter.spend(black_box(limits), Some("users"), 1).await
        };
        runtime.block_on(async {
            for _ in &ids {
                one().await;
            }
        });
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter_custom(|rounds| {
                runtime.block_on(async {
                    let began = Instant::now();
                    for _ in 0..rounds {
                        black_box(one().await);
                    }
                    began.elapsed()
                })
            });
        });
    }
    group.finish();
}

/// How much memory the process has in use, in bytes; Linux alone tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// Prints how much memory a key takes.
fn memory(runtime: &Runtime) {
    const COUNT: u32 = 1_000_000;
    let ids = ids(COUNT);
    let limiter = limiter(runtime, Clock::manual(START), None);
    let before = resident();
    for id in &ids {
        spend(runtime, &limiter, text(id));
    }
    if let (Some(before), Some(after)) = (before, resident()) {
        let bytes = after.saturating_sub(before) / u64::from(COUNT);
        println!("memory with {COUNT} keys: {bytes} bytes a key");
    }
}

/// Prints how long a request takes on whose back keys are forgotten, a million being there.
fn sweep(runtime: &Runtime) {
    const COUNT: u32 = 1_000_000;
    const SWEEPS: usize = 1024;
    let clock = Clock::manual(START);
    let limiter = limiter(runtime, clock.clone(), None);
    for id in ids(COUNT) {
        spend(runtime, &limiter, text(&id));
    }
    for (what, pass_ms) in [("nothing is over", 0), ("everything is over", 2 * WINDOW_MS)] {
        clock.advance_millis(pass_ms);
        let mut took: Vec<_> = (0..SWEEPS)
            .map(|_| {
                clock.advance_millis(WINDOW_MS / SWEEPS as i64);
                let began = Instant::now();
                spend(runtime, &limiter, "4fQ7x2Lm");
                began.elapsed()
            })
            .collect();
        took.sort();
        let (median, longest) = (took[SWEEPS / 2], took[SWEEPS - 1]);
        println!("a request that sweeps while {what}: median {median:?}, longest {longest:?}");
    }
}
