//! What a page in a browser needs: gRPC-web, which has no trailers, and CORS.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Method};
use orqit::pb;
use prost::Message;
use tonic::{Code, Status};

use crate::support::grpc::{assert_refused, frame};
use crate::support::requests::{vpn, vpn_message};
use crate::support::rest::{Answer, send};
use crate::support::server::{Options, Orqit};

const CREATE: &str = "//orqit.v1.TicketService/CreateTicket";
const ORIGIN: &str = "https://app.example";

/// CreateTicket by gRPC-web, over HTTP/1.1.
async fn create(orqit: &Orqit, key: &str, media: &str, body: Vec<u8>) -> Answer {
    let request = orqit.rest(key).request(Method::POST, CREATE).header("content-type", media);
    let request = request.header("accept", media).header("x-grpc-web", "1");
    send(request.header("x-request-id", "trace-1").body(body)).await
}

/// The message and the status of a gRPC-web body.
fn unframe(mut body: &[u8]) -> (Vec<u8>, Status) {
    let (mut message, mut status) = (Vec::new(), None);
    while let [flag, a, b, c, d, rest @ ..] = body {
        let (payload, after) = rest.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
        match flag {
            0 => message.extend(payload),
            0x80 => {
                let mut trailers = http::HeaderMap::new();
                let text = std::str::from_utf8(payload).expect("trailers are text");
                for line in text.lines().filter(|line| !line.is_empty()) {
                    let (name, value) = line.split_once(':').expect("a trailer");
                    let name: http::HeaderName = name.parse().expect("a name");
                    trailers.insert(name, value.trim().parse().expect("a value"));
                }
                status = Status::from_header_map(&trailers);
            }
            other => panic!("a frame of kind {other}"),
        }
        body = after;
    }
    (message, status.expect("a status in the last frame"))
}

/// The status of an answer that has nothing but one.
fn status_of(answer: &Answer, body: &[u8]) -> Status {
    Status::from_header_map(&answer.headers).unwrap_or_else(|| unframe(body).1)
}

#[tokio::test]
async fn grpc_web_answers_over_http_1() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["tickets:write"]).await;
    let message = frame(&vpn_message());

    let binary = create(&orqit, &key, "application/grpc-web+proto", message.to_vec()).await;
    assert_eq!(binary.status, 200);
    assert!(binary.header("content-type").expect("a type").starts_with("application/grpc-web"));
    let text =
        create(&orqit, &key, "application/grpc-web-text", STANDARD.encode(&message).into()).await;
    assert!(text.header("content-type").expect("a type").starts_with("application/grpc-web-text"));
    let decoded = decode_text(&text.body);
    for (id, answer, body) in [(1, &binary, &binary.body), (2, &text, &decoded)] {
        assert_eq!(answer.header("x-request-id"), Some("trace-1"));
        let (message, status) = unframe(body);
        assert_eq!(status.code(), Code::Ok);
        let created = pb::CreateTicketResponse::decode(message.as_slice()).expect("a ticket");
        assert_eq!(created.ticket.expect("a ticket").id, id);
    }
}

/// Base64 of parts that are padded each for itself.
fn decode_text(body: &[u8]) -> Vec<u8> {
    body.chunks(4).flat_map(|four| STANDARD.decode(four).expect("base64")).collect()
}

#[tokio::test]
async fn grpc_web_is_told_what_grpc_is() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["tickets:write"]).await;
    let wrong = frame(&pb::CreateTicketRequest::default()).to_vec();
    for media in ["application/grpc-web", "application/grpc-web-text"] {
        let body = |bytes: &[u8]| match media {
            "application/grpc-web" => bytes.to_vec(),
            _ => STANDARD.encode(bytes).into_bytes(),
        };
        let plain = |answer: &Answer| match media {
            "application/grpc-web" => answer.body.clone(),
            _ => decode_text(&answer.body),
        };
        for (key, bytes, code, reason) in [
            ("", &wrong[..], Code::Unauthenticated, "MISSING_API_KEY"),
            ("nonsense", &wrong, Code::Unauthenticated, "INVALID_API_KEY"),
            (&key, &wrong, Code::InvalidArgument, "VALIDATION_FAILED"),
            (&key, &wrong[..3], Code::InvalidArgument, "VALIDATION_FAILED"),
            (&key, b"\0\0\0\0\x01\xff", Code::InvalidArgument, "VALIDATION_FAILED"),
            (&key, b"\0\xff\xff\xff\xff", Code::ResourceExhausted, "PAYLOAD_TOO_LARGE"),
        ] {
            let answer = create(&orqit, key, media, body(bytes)).await;
            assert_eq!(answer.status, 200);
            assert_refused(&status_of(&answer, &plain(&answer)), code, reason);
            assert_eq!(answer.header("x-request-id"), Some("trace-1"));
        }
    }
    let garbage =
        create(&orqit, &key, "application/grpc-web-text", b"!!!!not base64".to_vec()).await;
    let status = status_of(&garbage, &decode_text(&garbage.body));
    assert_refused(&status, Code::InvalidArgument, "VALIDATION_FAILED");
    let path = "//orqit.v1.TicketService/Nothing";
    let request = orqit.rest("").request(Method::POST, path);
    let unknown = send(request.header("content-type", "application/grpc-web")).await;
    assert_refused(&status_of(&unknown, &unknown.body), Code::Unimplemented, "ROUTE_NOT_FOUND");
    assert_eq!(orqit.events().await, []);
}

async fn with_cors() -> Orqit {
    let cors_origins = vec![HeaderValue::from_static(ORIGIN)];
    Orqit::start_with(Options { cors_origins, ..Options::default() }).await
}

async fn preflight(orqit: &Orqit, origin: &str, path: &str) -> Answer {
    let request = orqit.rest("").request(Method::OPTIONS, path).header("origin", origin);
    let request = request.header("access-control-request-method", "PATCH");
    send(request.header("access-control-request-headers", "authorization,x-grpc-web")).await
}

#[tokio::test]
async fn pages_of_a_configured_origin_may_call() {
    let orqit = with_cors().await;
    let key = orqit.key(&["tickets:write"]).await;
    for path in ["/tickets/1", CREATE] {
        let answer = preflight(&orqit, ORIGIN, path).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
        assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
        assert_eq!(answer.header("access-control-allow-methods"), Some("PATCH"));
        assert_eq!(answer.header("access-control-allow-headers"), Some("authorization,x-grpc-web"));
    }
    // Refusals too: a page must be able to read why.
    for (key, status) in [(key.as_str(), 201), ("", 401)] {
        let request = orqit.rest(key).request(Method::POST, "/tickets").header("origin", ORIGIN);
        let answer = send(request.json(&vpn())).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
        let exposed = answer.header("access-control-expose-headers").expect("exposed");
        for name in [
            "grpc-status",
            "grpc-message",
            "grpc-status-details-bin",
            "x-request-id",
            "etag",
            "retry-after",
            "idempotent-replayed",
            "ratelimit-policy",
            "ratelimit",
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
            "x-ratelimit-resource",
        ] {
            assert!(exposed.split(',').any(|exposed| exposed == name), "{name}: {exposed}");
        }
        assert!(
            answer
                .headers
                .get_all("vary")
                .iter()
                .any(|vary| vary.to_str().is_ok_and(|vary| vary.contains("origin")))
        );
    }
}

#[tokio::test]
async fn pages_of_other_origins_may_not() {
    let with = with_cors().await;
    let without = Orqit::start().await;
    let table = [
        (&with, "https://evil.example"),
        (&with, "https://app.example.evil"),
        (&with, "http://app.example"),
        (&with, "null"),
        (&without, ORIGIN),
    ];
    for (orqit, origin) in table {
        for path in ["/tickets", CREATE] {
            let answer = preflight(orqit, origin, path).await;
            assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
        }
        let answer =
            send(orqit.rest("").request(Method::GET, "/ping").header("origin", origin)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("access-control-allow-origin")),
            (200, None)
        );
    }
}

#[tokio::test]
async fn an_options_that_is_no_preflight_is_answered_as_ever() {
    let orqit = with_cors().await;
    let request = orqit.rest("").request(Method::OPTIONS, "/tickets").header("origin", ORIGIN);
    let answer = send(request).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("allow"), Some("GET, HEAD, OPTIONS, POST"));
}
