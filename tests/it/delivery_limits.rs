//! What an endpoint can do to those who send to it, and what it cannot: drip, lie about its name, hold
//! connections.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Version;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use orqit::webhooks::connect::Resolve;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::receiver::Receiver;
use crate::support::requests::vpn_with;
use crate::support::rest::Rest;
use crate::support::server::{Options, Orqit, Webhooks};
use crate::support::tls::tls_with_roots;

/// Says at each look-up what comes next in its list, and the last of it from then on.
struct Says {
    answers: Vec<&'static [&'static str]>,
    asked: AtomicUsize,
}

impl Says {
    fn new(answers: &[&'static [&'static str]]) -> Arc<Self> {
        Arc::new(Self { answers: answers.to_vec(), asked: AtomicUsize::new(0) })
    }
}

impl Resolve for Says {
    fn resolve<'a>(
        &'a self,
        _: &'a str,
    ) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send + 'a>> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = self.answers[asked.min(self.answers.len() - 1)];
        let addresses = answer.iter().map(|address| address.parse().expect("an address"));
        let addresses: Vec<IpAddr> = addresses.collect();
        Box::pin(async move { Ok(addresses) })
    }
}

async fn register(rest: &Rest, url: &str) {
    let hook = json!({"url": url, "events": ["ticket.created"]});
    rest.post("/webhooks", hook).await.data(201);
}

async fn ticket(rest: &Rest, title: &str) {
    rest.post("/tickets", vpn_with(json!({"title": title}))).await.data(201);
}

/// The first attempt of a delivery, once it was made.
async fn attempt(rest: &Rest, endpoint: i64, delivery: i64) -> Value {
    for _ in 0..2500 {
        let told = rest.get(&format!("/webhooks/{endpoint}/deliveries/{delivery}")).await;
        if told.status == 200 && told.data(200)["attemptCount"] == 1 {
            return told.data(200)["attempts"][0].clone();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no attempt of {delivery}");
}

/// Somebody who answers at once, and then drips the body of the answer.
async fn drips() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                let _ = tcp.read(&mut request).await;
                let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n";
                let _ = tcp.write_all(head.as_bytes()).await;
                while tcp.write_all(b".").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_drips_is_given_up_after_fifteen_seconds_and_holds_up_nobody() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let receiver = Receiver::start().await;
    register(&rest, &format!("http://{}/", drips().await)).await;
    register(&rest, &receiver.url()).await;
    let began = Instant::now();
    for title in 0..50 {
        ticket(&rest, &title.to_string()).await;
    }
    receiver.wait(50).await;
    assert!(began.elapsed() < Duration::from_secs(14), "{:?}", began.elapsed());
    let told = attempt(&rest, 1, 1).await;
    assert_eq!((&told["error"], &told["statusCode"]), (&json!("TIMEOUT"), &Value::Null));
    let took = told["durationMs"].as_i64().expect("a number");
    assert!((15_000..17_000).contains(&took), "{took}");
}

#[tokio::test]
async fn a_name_that_comes_to_lead_elsewhere_is_checked_again_and_only_what_was_checked_is_connected_to()
 {
    let resolver = Says::new(&[&["127.0.0.1"], &["127.0.0.1", "10.0.0.1"], &["10.0.0.1"]]);
    let webhooks = Webhooks { resolver: resolver.clone(), ..Webhooks::default() };
    let orqit = Orqit::start_with(Options { webhooks, ..Options::default() }).await;
    let rest = orqit.rest_as(&["admin"]).await;
    // It closes each connection, so that each attempt has to make one.
    let receiver = Receiver::start().await;
    receiver.answer(|_| {
        let mut answer = crate::support::receiver::status(200);
        answer.headers_mut().insert("connection", "close".parse().expect("a header"));
        answer
    });
    register(&rest, &format!("http://desk.example:{}/", receiver.address.port())).await;
    let mut errors = Vec::new();
    for delivery in 1..=3 {
        ticket(&rest, "again").await;
        errors.push(attempt(&rest, 1, delivery).await["error"].clone());
    }
    assert_eq!(errors, [Value::Null, json!("FORBIDDEN_ADDRESS"), json!("FORBIDDEN_ADDRESS")]);
    assert_eq!(resolver.asked.load(Ordering::Relaxed), 3, "one look-up for each attempt");
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_of_http_2_brings_many_deliveries() {
    let (acceptor, roots) = tls_with_roots();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let connections = Arc::new(AtomicUsize::new(0));
    let versions = Arc::<Mutex<Vec<Version>>>::default();
    let (counted, seen) = (Arc::clone(&connections), Arc::clone(&versions));
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                let Ok(tls) = acceptor.accept(tcp).await else { return };
                let answer = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let seen = Arc::clone(&seen);
                    async move {
                        let version = request.version();
                        let _ = request.into_body().collect().await;
                        seen.lock().expect("not poisoned").push(version);
                        Ok::<_, std::convert::Infallible>(http::Response::new(Full::new(
                            Bytes::new(),
                        )))
                    }
                });
                let server = auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(tls), answer).await;
            });
        }
    });
    let webhooks =
        Webhooks { roots, resolver: Says::new(&[&["127.0.0.1"]]), ..Webhooks::default() };
    let orqit = Orqit::start_with(Options { webhooks, ..Options::default() }).await;
    let rest = orqit.rest_as(&["admin"]).await;
    register(&rest, &format!("https://localhost:{port}/")).await;
    // Before the first answer nobody knows what the endpoint speaks.
    ticket(&rest, "first").await;
    attempt(&rest, 1, 1).await;
    for title in 1..30 {
        ticket(&rest, &title.to_string()).await;
    }
    assert_eq!(attempt(&rest, 1, 30).await["statusCode"], 200);
    let versions = versions.lock().expect("not poisoned").clone();
    assert_eq!(versions, vec![Version::HTTP_2; 30]);
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}
