//! A client that does nothing wrong, beside an attack: every request of its must be answered, soon.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::runtime;
use tokio::sync::oneshot;

/// The time between two of its requests.
const PACE: Duration = Duration::from_millis(40);

/// What it has seen.
#[derive(Debug, Default)]
pub struct Seen {
    pub latencies: Vec<Duration>,
    pub failures: Vec<String>,
}

/// The client while it runs.
pub struct Normal {
    done: Arc<AtomicBool>,
    seen: oneshot::Receiver<Seen>,
}

impl Normal {
    /// Starts one that comes from this address of the machine. It has a thread to itself: what is
    /// measured is how long the server takes, not how busy the attackers are.
    ///
    /// With `may_come_back` a request may be answered by 503 once, and counts when it is sent again
    /// after the time that the answer tells.
    pub fn start(url: &str, key: &str, from: IpAddr, may_come_back: bool) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let (tell, seen) = oneshot::channel();
        let running = run(url.to_owned(), key.to_owned(), from, may_come_back, Arc::clone(&done));
        std::thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            // Whoever has stopped the attack waits for it; nobody else does.
            let _ = tell.send(runtime.expect("a runtime").block_on(running));
        });
        Self { done, seen }
    }

    pub async fn stop(self) -> Seen {
        self.done.store(true, Ordering::SeqCst);
        self.seen.await.expect("it does not panic")
    }
}

async fn run(
    url: String,
    key: String,
    from: IpAddr,
    may_come_back: bool,
    done: Arc<AtomicBool>,
) -> Seen {
    let client = reqwest::Client::builder().no_proxy().local_address(from);
    let client = client.timeout(Duration::from_secs(20)).build().expect("a client");
    let ticket =
        json!({"title": "Normal", "description": "d", "type": "INCIDENT", "category": "OTHER"});
    let mut seen = Seen::default();
    for number in 0.. {
        if done.load(Ordering::SeqCst) {
            break;
        }
        let (path, request) = match number % 3 {
            0 => ("/ping", client.get(format!("{url}/api/public/v1/ping"))),
            1 => ("/tickets/1", client.get(format!("{url}/api/public/v1/tickets/1"))),
            _ => ("/tickets", client.post(format!("{url}/api/public/v1/tickets")).json(&ticket)),
        };
        let request = request.header("x-api-key", &key);
        let again = request.try_clone().expect("a body that is there");
        let mut begun = Instant::now();
        let mut answer = request.send().await;
        let wait =
            answer.as_ref().ok().filter(|answer| answer.status() == 503).and_then(retry_after);
        if let Some(wait) = wait.filter(|_| may_come_back) {
            tokio::time::sleep(wait).await;
            begun = Instant::now();
            answer = again.send().await;
        }
        let told = match answer {
            Ok(answer) if answer.status().is_success() => {
                answer.bytes().await.map(|_| ()).err().map(|error| error.to_string())
            }
            Ok(answer) => Some(format!("{path}: {}", answer.status())),
            Err(error) => Some(format!("{path}: {error:?}")),
        };
        seen.latencies.push(begun.elapsed());
        seen.failures.extend(told);
        tokio::time::sleep(PACE).await;
    }
    seen.latencies.sort_unstable();
    seen
}

fn retry_after(answer: &reqwest::Response) -> Option<Duration> {
    let secs = answer.headers().get("retry-after")?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(secs))
}

impl Seen {
    /// The latency that so many of a hundred requests had at most.
    pub fn percentile(&self, percent: usize) -> Duration {
        let at = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies.get(at).copied().unwrap_or_default()
    }
}
