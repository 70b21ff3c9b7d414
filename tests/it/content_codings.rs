//! Compression as HTTP has it: what is taken, what is answered, and HEAD beside it.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderValue, Method};
use tonic::Code;

use crate::support::grpc::{assert_refused, call};
use crate::support::requests::vpn;
use crate::support::rest::{Answer, Rest, send};
use crate::support::server::{Options, Orqit};

const SCOPES: [&str; 2] = ["tickets:write", "tickets:read"];

async fn answer_to(rest: &Rest, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = rest.request(method, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(request).await
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).expect("gzip")
}

/// All header fields but those of the moment and of the way.
fn fields(answer: &Answer) -> Vec<(String, String)> {
    let fields = answer.headers.iter().map(|(name, value)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    let mut fields: Vec<_> =
        fields.filter(|(name, _)| name != "date" && name != "transfer-encoding").collect();
    fields.sort();
    fields
}

#[tokio::test]
async fn head_has_the_header_fields_of_get_under_every_accept_encoding() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&SCOPES).await;
    for _ in 0..5 {
        rest.post("/tickets", vpn()).await.data(201);
    }
    let paths = [
        "/tickets",
        "/tickets/1",
        "/tickets/9",
        "/nowhere",
        "/ping",
        "/openapi.json",
        "//livez",
        "//readyz",
    ];
    for rest in [rest.clone(), rest.over_http2()] {
        for path in paths {
            for codings in ["identity", "gzip", "x-gzip", "br", "gzip;q=0", "*"] {
                let headers = [("accept-encoding", codings), ("x-request-id", "the-same")];
                let get = answer_to(&rest, Method::GET, path, &headers).await;
                let head = answer_to(&rest, Method::HEAD, path, &headers).await;
                assert_eq!((head.status, head.body.len()), (get.status, 0), "{path} {codings}");
                assert_eq!(fields(&head), fields(&get), "{path} {codings}");
            }
        }
    }
}

#[tokio::test]
async fn gzip_is_answered_by_either_of_its_names() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&SCOPES).await;
    for _ in 0..5 {
        rest.post("/tickets", vpn()).await.data(201);
    }
    for path in ["/tickets", "/openapi.json"] {
        for (codings, coding) in [
            ("gzip", Some("gzip")),
            ("X-GZIP", Some("gzip")),
            ("br, gzip;q=0.1", Some("gzip")),
            ("br", None),
            ("identity", None),
            ("gzip;q=0", None),
        ] {
            let headers = [("accept-encoding", codings)];
            let answer = answer_to(&rest, Method::GET, path, &headers).await;
            assert_eq!(answer.header("content-encoding"), coding, "{path} {codings}");
            let is_gzip = answer.body.starts_with(&[0x1f, 0x8b]);
            assert_eq!(is_gzip, coding.is_some(), "{path} {codings}");
            let varies = answer.headers.get_all("vary").iter();
            assert!(varies.into_iter().any(|vary| vary == "accept-encoding"), "{path} {codings}");
        }
    }
}

#[tokio::test]
async fn a_body_is_taken_by_either_name_of_gzip_and_in_no_other_coding() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&SCOPES).await;
    let rest = orqit.rest(&key);
    for name in ["gzip", "x-gzip", "X-GZip"] {
        let request = rest.request(Method::POST, "/tickets").header("content-encoding", name);
        let request = request.header("content-type", "application/json");
        send(request.body(gzipped(&vpn().to_string()))).await.data(201);
    }
    let routes = [
        (Method::POST, "/tickets"),
        (Method::GET, "/tickets"),
        (Method::HEAD, "/tickets/1"),
        (Method::PATCH, "/tickets/1"),
        (Method::GET, "/ping"),
        (Method::GET, "/openapi.json"),
        (Method::GET, "//livez"),
        (Method::POST, "/keys/report-leak"),
    ];
    for (method, path) in routes {
        for coding in ["br", "deflate", "gzip, gzip", "zstd", ""] {
            let headers = [("content-encoding", coding)];
            let answer = answer_to(&rest, method.clone(), path, &headers).await;
            assert_eq!(answer.status, 415, "{method} {path} {coding}");
            assert_eq!(answer.header("accept-encoding"), Some("gzip"), "{method} {path}");
        }
    }
    // Another media type is another matter.
    let request = rest.request(Method::POST, "/tickets").header("content-type", "text/plain");
    let answer = send(request.body("x")).await;
    answer.error(415, "UNSUPPORTED_MEDIA_TYPE");
    assert_eq!(answer.header("accept-encoding"), None);
    answer_to(&rest, Method::GET, "/ping", &[("content-encoding", "identity")]).await.data(200);
}

#[tokio::test]
async fn a_message_in_a_coding_that_is_not_spoken_is_told_which_are() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&SCOPES).await;
    let headers = [("x-api-key", key.as_str()), ("grpc-encoding", "br")];
    let path = "/orqit.v1.TicketService/ListTickets";
    let answer = call(orqit.address, path, &headers, vec![1, 0, 0, 0, 1, 0]).await;
    assert_refused(&answer.status(), Code::InvalidArgument, "UNSUPPORTED_MEDIA_TYPE");
    assert_eq!(answer.headers["grpc-accept-encoding"], "identity,gzip");
}

#[tokio::test]
async fn every_answer_varies_by_origin_where_browsers_may_call() {
    let cors_origins = vec![HeaderValue::from_static("https://app.example")];
    let orqit = Orqit::start_with(Options { cors_origins, ..Options::default() }).await;
    let off = Orqit::start().await;
    for (method, path, status) in [
        (Method::GET, "/ping", 200),
        (Method::GET, "/nowhere", 404),
        (Method::GET, "/tickets", 401),
        (Method::OPTIONS, "/tickets", 204),
        (Method::GET, "//livez", 200),
        (Method::GET, "/openapi.json", 200),
    ] {
        for headers in [
            &[][..],
            &[("origin", "https://app.example")],
            &[("origin", "https://other.example"), ("access-control-request-method", "GET")],
        ] {
            let answer = answer_to(&orqit.rest(""), method.clone(), path, headers).await;
            assert_eq!(answer.status, status, "{method} {path} {headers:?}");
            let varies = answer.headers.get_all("vary").iter();
            let names = varies.flat_map(|line| line.to_str().expect("text").split(", "));
            let of_origin = names.filter(|name| *name == "origin").count();
            assert_eq!(of_origin, 1, "{method} {path} {headers:?}");
            let answer = answer_to(&off.rest(""), method.clone(), path, headers).await;
            let varies: Vec<_> = answer.headers.get_all("vary").iter().collect();
            assert!(!varies.iter().any(|line| line.to_str().expect("text").contains("origin")));
        }
    }
}
