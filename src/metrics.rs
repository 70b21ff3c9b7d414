//! The metrics of this process, in the format that Prometheus reads from `/metrics`.
//!
//! Counters and gauges are written by `metrics::counter!` and `metrics::gauge!` where the thing
//! happens. The two histograms are written here, by handles that each thread keeps: looking a
//! histogram up by its labels costs ten times as much as recording a value.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use metrics::{Gauge, Histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use rest::Rpc;

use crate::transport::Transport;

static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();

/// The counters that are shown as 0 from the start, so that an alarm on them finds them.
const COUNTERS: [(&str, &str); 3] = [
    ("orqit_request_log_dropped_total", "Requests that are missing in the request log."),
    ("orqit_usage_dropped_total", "Requests that are missing in the usage figures."),
    ("orqit_rate_limit_fallback_total", "Requests that were limited without Redis."),
];

const REQUESTS: &str = "orqit_request_duration_seconds";
const STORE_OPERATIONS: &str = "orqit_store_operation_duration_seconds";

const HISTOGRAMS: [(&str, &str); 2] = [
    (
        REQUESTS,
        "From the head of a request to the head of its answer, by RPC, protocol and status.",
    ),
    (STORE_OPERATIONS, "Operations of the store, by what they do and to what."),
];

const GAUGES: [(&str, &str); 7] = [
    ("orqit_changes_open", "Database transactions that write and have not ended."),
    ("orqit_changes_waiting", "Changes that wait for the one that writes, or for a connection."),
    ("orqit_connections", "Client connections that are open."),
    ("orqit_database_connections", "Connections of the pool that reads, idle or used."),
    ("orqit_held_bytes", "Bytes of request bodies, or of answers that are not read yet."),
    ("orqit_request_log_queued", "Requests that waited to be written to the request log."),
    ("orqit_streams", "Streams of RPCs that are open."),
];

/// The upper bounds of the buckets of both histograms, in seconds: a read by key takes tens of
/// microseconds, a request ends after 30 s.
const BUCKETS: [f64; 14] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0,
    30.0,
];

/// The pause between two additions of recorded values to their buckets. Until then they take
/// memory.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Begins to keep metrics. Values recorded before are lost.
pub fn install() {
    HANDLE.get_or_init(|| {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
            .expect("there are buckets");
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        // Fails only where a program that embeds the service has a recorder already.
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another metrics recorder is installed: /metrics stays empty");
        }
        for (name, help) in COUNTERS {
            metrics::describe_counter!(name, help);
            metrics::counter!(name).increment(0);
        }
        for (name, help) in HISTOGRAMS {
            metrics::describe_histogram!(name, metrics::Unit::Seconds, help);
        }
        for (name, help) in GAUGES {
            metrics::describe_gauge!(name, help);
        }
        handle
    });
}

/// Renders all metrics, in the text format of Prometheus.
pub fn render() -> String {
    HANDLE.get().map_or_else(String::new, |handle| {
        handle.run_upkeep();
        handle.render()
    })
}

/// Adds recorded values to their buckets and calls `sample`, once a second until it is dropped.
pub async fn keep_up(sample: impl Fn()) {
    loop {
        sample();
        if let Some(handle) = HANDLE.get() {
            handle.run_upkeep();
        }
        tokio::time::sleep(UPKEEP_INTERVAL).await;
    }
}

/// Records the latency of an answered request. `status` is the HTTP status, shown by its class.
pub fn record_request(rpc: &'static Rpc, transport: Transport, status: u16, latency: Duration) {
    type Key = (&'static str, Transport, u16);
    thread_local! {
        static HANDLES: RefCell<HashMap<Key, Histogram>> = RefCell::default();
    }
    let key = (rpc.grpc_path, transport, status / 100);
    HANDLES.with_borrow_mut(|handles| {
        record(handles, key, latency, || {
            let protocol = match transport {
                Transport::Rest => "rest",
                Transport::Grpc => "grpc",
                Transport::GrpcWeb => "grpc-web",
            };
            let rpc = rpc.grpc_path.trim_start_matches('/');
            let status = format!("{}xx", status / 100);
            metrics::histogram!(REQUESTS, "rpc" => rpc, "protocol" => protocol, "status" => status)
        });
    });
}

/// A store operation under way. Dropping it records how long the operation took.
#[must_use = "it measures until it is dropped"]
pub struct StoreOperation {
    operation: &'static str,
    of: &'static str,
    begun: Instant,
}

impl StoreOperation {
    /// Begins to measure `operation`, such as `find`, of a table, such as `tickets`.
    pub fn begin(operation: &'static str, of: &'static str) -> Self {
        Self { operation, of, begun: Instant::now() }
    }
}

impl Drop for StoreOperation {
    fn drop(&mut self) {
        thread_local! {
            static HANDLES: RefCell<HashMap<(&'static str, &'static str), Histogram>> =
                RefCell::default();
        }
        let (operation, of) = (self.operation, self.of);
        HANDLES.with_borrow_mut(|handles| {
            record(
                handles,
                (operation, of),
                self.begun.elapsed(),
                || metrics::histogram!(STORE_OPERATIONS, "operation" => operation, "of" => of),
            );
        });
    }
}

/// Records a value in the histogram of `key`, which is looked up once. Before `install` there is
/// none, and a handle from then would record nothing for ever.
fn record<K: Eq + Hash>(
    handles: &mut HashMap<K, Histogram>,
    key: K,
    value: Duration,
    find: impl FnOnce() -> Histogram,
) {
    if HANDLE.get().is_some() {
        handles.entry(key).or_insert_with(find).record(value);
    }
}

/// A unit that a gauge counts until it is dropped.
pub struct Counted(Gauge);

impl Counted {
    /// Adds one to the gauge.
    pub fn new(gauge: &'static str) -> Self {
        let gauge = metrics::gauge!(gauge);
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl std::fmt::Debug for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Counted").finish_non_exhaustive()
    }
}
