//! Who receives deliveries: notes when which ticket's event came, and answers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use tokio::net::TcpListener;

use crate::Failure;

/// How long everything may take to arrive.
const WITHIN: Duration = Duration::from_secs(120);

/// Which ticket's event came when.
type Arrivals = Arc<Mutex<Vec<(i64, Instant)>>>;

pub struct Receiver {
    address: SocketAddr,
    arrived: Arrivals,
}

#[derive(Deserialize)]
struct Event {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    id: i64,
}

impl Receiver {
    pub async fn start() -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let arrived = Arrivals::default();
        let app = Router::new().fallback(receive).with_state(Arc::clone(&arrived));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { address, arrived })
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Waits until so many have come.
    pub async fn wait(&self, count: usize) -> Result<(), Failure> {
        let began = Instant::now();
        while self.lock().len() < count {
            if began.elapsed() > WITHIN {
                return Err(format!("only {} of {count} came", self.lock().len()).into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// How many milliseconds these tickets' events took from when they were asked for.
    pub fn millis(&self, sent: &[(i64, Instant)]) -> Vec<f64> {
        let arrived: HashMap<_, _> = self.lock().iter().copied().collect();
        let took =
            sent.iter().filter_map(|(id, began)| Some(arrived.get(id)?.duration_since(*began)));
        took.map(|took| took.as_secs_f64() * 1000.0).collect()
    }

    /// When the last one came.
    pub fn last(&self) -> Instant {
        self.lock().iter().map(|(_, at)| *at).max().unwrap_or_else(Instant::now)
    }

    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(i64, Instant)>> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn receive(State(arrived): State<Arrivals>, body: Bytes) -> StatusCode {
    let now = Instant::now();
    let Ok(event) = serde_json::from_slice::<Event>(&body) else { return StatusCode::BAD_REQUEST };
    arrived.lock().unwrap_or_else(PoisonError::into_inner).push((event.data.object.id, now));
    StatusCode::NO_CONTENT
}

/// What so large a part of them stays below.
pub fn percentile(millis: &[f64], part: f64) -> f64 {
    let mut millis = millis.to_vec();
    millis.sort_by(f64::total_cmp);
    millis[((millis.len() - 1) as f64 * part) as usize]
}

/// The median and the 99th percentile.
pub fn percentiles(millis: &[f64]) -> String {
    let [p50, p99] = [0.5, 0.99].map(|part| percentile(millis, part));
    format!("p50 {p50:.1} ms, p99 {p99:.1} ms")
}
