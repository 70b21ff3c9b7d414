//! Requests that were right once: bytes are changed in every part of them, and each must be answered
//! in the form of its protocol, and never with a fault of the server.
//!
//! `ORQIT_ATTACK_SEED` repeats a run.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderName, HeaderValue, Method};
use orqit::pb;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, IteratorRandom};
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tonic::{Code, Status};

use super::target::{Sent, Target, WITH_KEY_MIB, full_size};
use crate::support::grpc;
use crate::support::wire::{connect, soon};

const REQUESTS_IN_SMALL: usize = 400;
const WORKERS: usize = 8;

/// Bytes that have broken parsers before.
const NASTY: [&[u8]; 14] = [
    b"\0",
    b"%00",
    b"%zz",
    b"\xff\xfe",
    b"\\ud800",
    b"{",
    b"[[[[[[[[",
    b"\"",
    b"9999999999999999999999",
    b"-0",
    b"1e999",
    b",,",
    b"&&==",
    "\u{202e}é".as_bytes(),
];

fn requests() -> usize {
    full_size().unwrap_or(REQUESTS_IN_SMALL)
}

fn seed() -> u64 {
    let seed = std::env::var("ORQIT_ATTACK_SEED").ok().and_then(|text| text.parse().ok());
    seed.unwrap_or(4711)
}

/// Changes some bytes, or none.
fn spoil(random: &mut StdRng, bytes: &mut Vec<u8>) {
    for _ in 0..random.random_range(0..4) {
        let at = random.random_range(0..=bytes.len());
        match random.random_range(0..6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes.truncate(at),
            2 => {
                drop(bytes.splice(
                    at..at,
                    NASTY.choose(random).copied().unwrap_or_default().iter().copied(),
                ))
            }
            3 if at < bytes.len() => drop(bytes.remove(at)),
            4 => {
                let end = random.random_range(at..=bytes.len()).min(at + 64);
                let piece = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, piece));
            }
            _ => bytes.insert(at, random.random()),
        }
    }
}

/// A path and query that can be sent at all.
fn spoiled_target(random: &mut StdRng, target: &str) -> String {
    let mut bytes = target.as_bytes().to_vec();
    spoil(random, &mut bytes);
    let sent =
        bytes.into_iter().filter(|byte| byte.is_ascii_graphic() && !b"#<>\"`{}|\\^".contains(byte));
    let target: String = sent.map(char::from).collect();
    // What is no path of ours may still be one of somebody else's.
    if target.starts_with('/') && !target.starts_with("//") {
        target
    } else {
        format!("/{}", target.trim_start_matches('/'))
    }
}

fn spoiled_header(random: &mut StdRng) -> Option<(HeaderName, HeaderValue)> {
    const NAMES: [&str; 12] = [
        "content-type",
        "content-encoding",
        "accept-encoding",
        "if-match",
        "if-none-match",
        "idempotency-key",
        "x-request-id",
        "x-forwarded-for",
        "grpc-timeout",
        "grpc-encoding",
        "expect-nothing",
        "origin",
    ];
    const VALUES: [&str; 12] = [
        "application/json",
        "gzip",
        "br",
        "\"1\"",
        "*",
        "key-1",
        "1",
        "100m",
        "text/plain",
        "*/*;q=0",
        "1.2.3.4",
        "",
    ];
    let name = NAMES.choose(random)?;
    let mut value = VALUES.choose(random)?.as_bytes().to_vec();
    spoil(random, &mut value);
    Some((HeaderName::from_static(name), HeaderValue::from_bytes(&value).ok()?))
}

/// The RPCs whose answers have an end.
fn whole() -> impl Iterator<Item = &'static rest::Rpc> {
    pb::RPCS.iter().filter(|rpc| !rpc.streams)
}

/// A right request to begin with.
fn rest_request(random: &mut StdRng) -> (Method, String, Value) {
    let ticket = json!({"title": "VPN", "description": "d", "type": "INCIDENT", "category": "NETWORK",
        "priority": "HIGH", "tags": ["a", "b"], "watcherUserIds": [1], "dueAt": "2026-01-01T00:00:00Z"});
    let routes: Vec<_> = whole().flat_map(|rpc| rpc.routes).collect();
    let route = routes.choose(random).expect("routes");
    let id = ["1", "TCK-1", "2", "0", "4fQ7x2Lm"].choose(random).copied().unwrap_or("1");
    let mut path = route.template.replace("{id}", id);
    if route.method == "GET" {
        let queries = [
            "",
            "?page=1&perPage=20",
            "?cursor=start",
            "?status=OPEN,CLOSED&sort=-dueAt",
            "?tag=a",
            "?createdAfter=2026-01-01T00:00:00Z",
            "?groupBy=DAY",
            "?keyId=4fQ7x2Lm",
        ];
        path += queries.choose(random).copied().unwrap_or_default();
    }
    let method = route.method.parse().expect("a method");
    let body = match route.template {
        template if template.ends_with("/tickets") => ticket,
        template if template.contains("/tickets/") => {
            json!({"title": "New", "status": "PENDING", "pendingReason": "x"})
        }
        template if template.ends_with("/keys") => {
            json!({"name": "k", "scopes": ["tickets:read"], "expiresAt": null})
        }
        template if template.ends_with("/rotate") => json!({"gracePeriodSeconds": 60}),
        template if template.ends_with("/users") => json!({"displayName": "A", "email": "a@x"}),
        template if template.ends_with("/report-leak") => json!({"key": "x"}),
        _ => json!({"name": "x"}),
    };
    (method, path, body)
}

/// What is wrong with an answer of REST.
fn fault_of_rest(path: &str, method: &Method, status: u16, body: &[u8]) -> Option<String> {
    let is_ours = path == "/api" || path.starts_with("/api/");
    let has_none = *method == Method::HEAD || status == 204 || status == 304;
    let json = || serde_json::from_slice::<Value>(body).ok();
    let fits = !is_ours
        || has_none
        || path.contains("openapi.json")
        || json().is_some_and(|json| json["success"] == (status < 400));
    (status >= 500 || !fits)
        .then(|| format!("{method} {path}: {status} {}", String::from_utf8_lossy(body)))
}

async fn fuzz_rest(target: &Target, over_http2: bool) -> Sent {
    let client = reqwest::Client::builder().no_proxy();
    let client = if over_http2 { client.http2_prior_knowledge() } else { client };
    let (client, url, key) =
        (client.build().expect("a client"), target.serving.url.clone(), target.key.clone());
    workers("REST", move |mut random| {
        let (client, url, key) = (client.clone(), url.clone(), key.clone());
        async move {
            let (mut method, path, body) = rest_request(&mut random);
            if random.random_bool(0.05) {
                method = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "QUERY"]
                    .choose(&mut random)
                    .and_then(|method| method.parse().ok())
                    .unwrap_or(method);
            }
            let path = spoiled_target(&mut random, &path);
            let mut request = client.request(method.clone(), format!("{url}{path}"));
            request = request.header("x-api-key", key);
            if let Some((name, value)) =
                spoiled_header(&mut random).filter(|_| random.random_bool(0.3))
            {
                request = request.header(name, value);
            }
            if method != Method::GET && method != Method::HEAD || random.random_bool(0.05) {
                let mut body = body.to_string().into_bytes();
                spoil(&mut random, &mut body);
                request = request.body(body);
            }
            let answer = match soon(request.send()).await {
                Ok(answer) => answer,
                // What the client itself cannot send is no answer of the server's.
                Err(error) if error.is_builder() => return None,
                Err(error) => return Some(format!("{method} {path}: {error:?}")),
            };
            let status = answer.status().as_u16();
            let is_zipped = answer.headers().contains_key("content-encoding");
            let body = match answer.bytes().await {
                // That of HEAD is none, whatever its header fields say.
                Ok(body) if is_zipped && !body.is_empty() => unzipped(&body),
                Ok(body) => body.to_vec(),
                Err(error) => return Some(format!("{method} {path}: {status} {error:?}")),
            };
            let sent = path.split('?').next().unwrap_or_default().to_owned();
            fault_of_rest(&sent, &method, status, &body)
        }
    })
    .await
}

fn unzipped(body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    // What cannot be read whole is no JSON either.
    let _ = GzDecoder::new(body).read_to_end(&mut plain);
    plain
}

/// The message of a call that is right, in its frame.
fn message(random: &mut StdRng) -> Vec<u8> {
    let id = "1".to_owned();
    let ticket = pb::CreateTicketRequest {
        title: "VPN".to_owned(),
        description: "d".to_owned(),
        r#type: pb::TicketType::Incident.into(),
        tags: vec!["a".to_owned()],
        ..Default::default()
    };
    let title = Some("New".to_owned());
    let framed = [
        grpc::frame(&ticket),
        grpc::frame(&pb::GetTicketRequest { id: id.clone(), ..Default::default() }),
        grpc::frame(&pb::UpdateTicketRequest { id: id.clone(), title, ..Default::default() }),
        grpc::frame(&pb::ListTicketsRequest { per_page: Some(3), ..Default::default() }),
        grpc::frame(&pb::GetKeyRequest { id }),
        grpc::frame(&pb::PingRequest {}),
    ];
    let mut bytes = framed.choose(random).expect("messages").to_vec();
    if random.random_bool(0.3) {
        spoil(random, &mut bytes);
    } else {
        // The frame stays right, so that the message itself is read.
        let mut message = bytes.split_off(5);
        spoil(random, &mut message);
        bytes[1..].copy_from_slice(&(message.len() as u32).to_be_bytes());
        bytes.extend(message);
    }
    bytes
}

fn fault_of_status(path: &str, status: Option<Status>) -> Option<String> {
    match status.map(|status| (status.code(), status)) {
        None => Some(format!("{path}: no grpc-status")),
        Some((Code::Internal | Code::Unknown | Code::Unavailable | Code::DataLoss, status)) => {
            Some(format!("{path}: {status:?}"))
        }
        Some(_) => None,
    }
}

fn grpc_path(random: &mut StdRng) -> String {
    let path = whole().choose(random).expect("RPCs").grpc_path;
    if random.random_bool(0.05) { spoiled_target(random, path) } else { path.to_owned() }
}

async fn fuzz_grpc(target: &Target) -> Sent {
    let address = target.address;
    let mut clients = Vec::new();
    for _ in 0..WORKERS {
        clients.push(client(address).await);
    }
    let (key, clients) = (target.key.clone(), Arc::new(clients));
    workers("gRPC", move |mut random| {
        let (key, clients) = (key.clone(), Arc::clone(&clients));
        async move {
            let path = grpc_path(&mut random);
            let mut request = http::Request::post(format!("http://{address}{path}"))
                .header("content-type", "application/grpc")
                .header("x-api-key", key);
            if let Some((name, value)) = spoiled_header(&mut random)
                .filter(|(name, _)| random.random_bool(0.3) && *name != http::header::CONTENT_TYPE)
            {
                request = request.header(name, value);
            }
            let Ok(request) = request.body(()) else { return None };
            let client = clients.choose(&mut random).expect("clients").clone();
            let mut client = soon(client.ready()).await.expect("the connection goes on");
            let (answer, mut sending) = client.send_request(request, false).expect("sent");
            let _ = sending.send_data(Bytes::from(message(&mut random)), true);
            let (head, mut body) = match soon(answer).await {
                Ok(answer) => answer.into_parts(),
                Err(error) => return Some(format!("{path}: {error}")),
            };
            while let Some(data) = soon(body.data()).await {
                let Ok(data) = data else { break };
                let _ = body.flow_control().release_capacity(data.len());
            }
            let trailers = soon(body.trailers()).await.ok().flatten().unwrap_or_default();
            let status = Status::from_header_map(&trailers);
            fault_of_status(&path, status.or_else(|| Status::from_header_map(&head.headers)))
        }
    })
    .await
}

async fn client(address: SocketAddr) -> h2::client::SendRequest<Bytes> {
    let (client, connection) = h2::client::handshake(connect(address).await).await.expect("HTTP/2");
    tokio::spawn(async move { drop(connection.await) });
    client
}

async fn fuzz_grpc_web(target: &Target) -> Sent {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let (url, key) = (target.serving.url.clone(), target.key.clone());
    workers("gRPC-web", move |mut random| {
        let (client, url, key) = (client.clone(), url.clone(), key.clone());
        async move {
            let path = grpc_path(&mut random);
            let request = client.post(format!("{url}{path}")).header("x-api-key", key);
            let request = request.header("content-type", "application/grpc-web+proto");
            let answer = match soon(request.body(message(&mut random)).send()).await {
                Ok(answer) => answer,
                Err(error) => return Some(format!("{path}: {error:?}")),
            };
            // Only what is no path of ours is told by HTTP.
            if !answer.status().is_success() && !path.starts_with("/orqit.v1.") {
                return (answer.status().as_u16() >= 500)
                    .then(|| format!("{path}: {}", answer.status()));
            }
            let head = Status::from_header_map(answer.headers());
            let body = answer.bytes().await.unwrap_or_default();
            let told = head.or_else(|| trailers(&body));
            fault_of_status(&path, told)
        }
    })
    .await
}

/// The status in the trailers of an answer of gRPC-web, which are a frame of its body.
fn trailers(body: &[u8]) -> Option<Status> {
    let at = body.windows(12).position(|window| window == b"grpc-status:")? + 12;
    let digits = body[at..].iter().take_while(|byte| byte.is_ascii_digit());
    let code: String = digits.map(|digit| char::from(*digit)).collect();
    Some(Status::new(Code::from_i32(code.parse().ok()?), ""))
}

/// Has workers make requests, each from a seed of its own, until all are made; the faults found.
async fn workers<F, R>(protocol: &str, request: F) -> Sent
where
    F: Fn(StdRng) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Option<String>> + Send,
{
    let (next, all, seed) = (Arc::new(AtomicUsize::new(0)), requests(), seed());
    let mut working = JoinSet::new();
    for _ in 0..WORKERS {
        let (next, request) = (Arc::clone(&next), request.clone());
        working.spawn(async move {
            let mut faults = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= all {
                    return faults;
                }
                let random = StdRng::seed_from_u64(seed.wrapping_add(number as u64));
                if let Some(fault) = request(random).await {
                    faults.push(format!("seed {}: {fault}", seed.wrapping_add(number as u64)));
                }
            }
        });
    }
    let faults: Vec<_> = working.join_all().await.into_iter().flatten().take(10).collect();
    Sent { what: format!("{all} requests of {protocol}"), faults }
}

#[tokio::test(flavor = "multi_thread")]
async fn spoiled_requests_of_every_protocol_get_an_answer_that_is_no_fault() {
    let target = Target::start(&[]).await;
    target.attack("fuzzed REST", WITH_KEY_MIB, fuzz_rest(&target, false)).await;
    target.attack("fuzzed REST over HTTP/2", WITH_KEY_MIB, fuzz_rest(&target, true)).await;
    target.attack("fuzzed gRPC", WITH_KEY_MIB, fuzz_grpc(&target)).await;
    target.attack("fuzzed gRPC-web", WITH_KEY_MIB, fuzz_grpc_web(&target)).await;
}
