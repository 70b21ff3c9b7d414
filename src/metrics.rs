//! The figures of this process, as Prometheus reads them from `/metrics`.
//!
//! Whoever counts calls `metrics::counter!` and its like where the thing happens.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();

/// What is counted, shown as 0 until it happens, so that an alarm on it finds it.
const COUNTERS: [(&str, &str); 3] = [
    ("orqit_request_log_dropped_total", "Requests that are missing in the request log."),
    ("orqit_usage_dropped_total", "Requests that are missing in the usage figures."),
    ("orqit_rate_limit_fallback_total", "Requests that were limited without Redis."),
];

/// Begins to keep what is counted from here on.
pub fn install() {
    HANDLE.get_or_init(|| {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        // Fails only where somebody who embeds the service has a recorder already: theirs counts.
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another metrics recorder is installed: /metrics stays empty");
        }
        for (name, help) in COUNTERS {
            metrics::describe_counter!(name, help);
            metrics::counter!(name).increment(0);
        }
        handle
    });
}

/// All figures, in the text format of Prometheus.
pub fn render() -> String {
    HANDLE.get().map_or_else(String::new, |handle| {
        handle.run_upkeep();
        handle.render()
    })
}
