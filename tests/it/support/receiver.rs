//! Somebody who receives webhooks, on a port of this machine, and answers as a test says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, Uri};
use serde_json::Value;
use tokio::net::TcpListener;

/// A request that has arrived.
#[derive(Debug, Clone)]
pub struct Received {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().expect("text")
    }

    pub fn sequence(&self) -> i64 {
        self.json()["sequence"].as_i64().expect("a number")
    }
}

/// How it answers a request.
pub type Answer = Arc<dyn Fn(&Received) -> Response + Send + Sync>;

/// See the module.
pub struct Receiver {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    answer: Arc<Mutex<Answer>>,
    pause: Arc<Mutex<Duration>>,
    running: tokio::task::JoinHandle<()>,
}

#[derive(Clone)]
struct Shared {
    received: Arc<Mutex<Vec<Received>>>,
    answer: Arc<Mutex<Answer>>,
    pause: Arc<Mutex<Duration>>,
}

/// An answer without a body.
pub fn status(status: u16) -> Response {
    Response::builder().status(status).body(Body::empty()).expect("an answer")
}

impl Receiver {
    /// One that answers 200.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Shared {
            received: Arc::default(),
            answer: Arc::new(Mutex::new(Arc::new(|_| status(200)))),
            pause: Arc::default(),
        };
        let Shared { received, answer, pause } = shared.clone();
        let app = Router::new().fallback(receive).with_state(shared);
        let running = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("it serves");
        });
        Self { address, received, answer, pause, running }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hooks", self.address)
    }

    /// Answers like this from here on.
    pub fn answer(&self, answer: impl Fn(&Received) -> Response + Send + Sync + 'static) {
        *self.answer.lock().expect("not poisoned") = Arc::new(answer);
    }

    /// Waits so long before each answer.
    pub fn pause(&self, pause: Duration) {
        *self.pause.lock().expect("not poisoned") = pause;
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().expect("not poisoned").clone()
    }

    /// What has arrived once there is so much of it.
    pub async fn wait(&self, count: usize) -> Vec<Received> {
        for _ in 0..3000 {
            let received = self.received();
            if received.len() >= count {
                return received;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("only {} of {count} have arrived", self.received().len());
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn receive(
    State(shared): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let received = Received { path: uri.path().to_owned(), headers, body: body.to_vec() };
    let answer = Arc::clone(&shared.answer.lock().expect("not poisoned"));
    shared.received.lock().expect("not poisoned").push(received.clone());
    let pause = *shared.pause.lock().expect("not poisoned");
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
    answer(&received)
}
