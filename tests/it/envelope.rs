//! What every answer of REST has in common, whatever it is about.

use std::io::Write;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http::Method;
use orqit::config::BODY_BYTES_MAX;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::grpc::assert_refused;
use crate::support::requests::{vpn, vpn_message, vpn_with};
use crate::support::rest::{Answer, Rest, send};
use crate::support::server::{Orqit, with_key};
use crate::support::wire::exchange;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("a Vec takes all bytes");
    encoder.finish().expect("gzip")
}

async fn answer_to(rest: &Rest, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = rest.request(method, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(request).await
}

async fn post_with(rest: &Rest, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let mut request = rest.request(Method::POST, "/tickets");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(request.body(body)).await
}

#[tokio::test]
async fn a_path_that_does_not_exist_is_404_without_a_key() {
    let orqit = Orqit::start().await;
    let nobody = orqit.rest("");
    let paths = [
        "//",
        "//api",
        "//api/public/v1",
        "//api/public/v1/",
        "//api/public/v2/tickets",
        "//index.html",
        "/tickets/",
        "/Tickets",
        "/tickets/1/",
        "/tickets/1/x",
        "/%74ickets",
        "/tickets%2F1",
        "//api//public/v1/tickets",
        "//API/public/v1/ping",
        "/ping/",
        "//livez/",
        "/openapi.json/",
        "/nothing/%zz",
        "//orqit.v1.TicketService/GetTicket",
    ];
    for path in paths {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let answer = send(nobody.request(method, path)).await;
            answer.error(404, "ROUTE_NOT_FOUND");
        }
    }
}

#[tokio::test]
async fn a_method_that_a_path_lacks_is_405_and_names_those_it_has() {
    let orqit = Orqit::start().await;
    let nobody = orqit.rest("");
    let brew = Method::from_bytes(b"BREW").expect("a method");
    let table = [
        (Method::DELETE, "/tickets", "GET, HEAD, OPTIONS, POST"),
        (Method::POST, "/tickets/1", "GET, HEAD, OPTIONS, PATCH, PUT"),
        (Method::POST, "/ping", "GET, HEAD, OPTIONS"),
        (brew, "/keys/self", "GET, HEAD, OPTIONS"),
        (Method::TRACE, "/accounts", "GET, HEAD, OPTIONS"),
        (Method::PUT, "/openapi.json", "GET, HEAD, OPTIONS"),
        (Method::POST, "//livez", "GET, HEAD, OPTIONS"),
        (Method::DELETE, "//readyz", "GET, HEAD, OPTIONS"),
    ];
    for (method, path, allow) in table {
        let answer = send(nobody.request(method, path)).await;
        answer.error(405, "METHOD_NOT_ALLOWED");
        assert_eq!(answer.header("allow"), Some(allow), "{path}");
    }
}

#[tokio::test]
async fn no_header_overrides_the_method() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write"]).await;
    for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
        let answer = answer_to(&rest, Method::POST, "/tickets/1", &[(name, "PATCH")]).await;
        answer.error(405, "METHOD_NOT_ALLOWED");
    }
}

#[tokio::test]
async fn options_answers_204_for_any_path_without_a_key() {
    let orqit = Orqit::start().await;
    let nobody = orqit.rest("");
    let table = [
        ("/tickets", "GET, HEAD, OPTIONS, POST"),
        ("/tickets/abc", "GET, HEAD, OPTIONS, PATCH, PUT"),
        ("//livez", "GET, HEAD, OPTIONS"),
        ("/openapi.json", "GET, HEAD, OPTIONS"),
        ("/nothing", "OPTIONS"),
        ("//", "OPTIONS"),
    ];
    for (path, allow) in table {
        let answer = send(nobody.request(Method::OPTIONS, path)).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_slice()), (204, &b""[..]), "{path}");
        assert_eq!(answer.header("allow"), Some(allow), "{path}");
        assert!(answer.header("x-request-id").is_some());
    }
}

#[tokio::test]
async fn head_answers_as_get_without_a_body() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write", "tickets:read"]).await;
    rest.post("/tickets", vpn()).await.data(201);
    for rest in [rest.clone(), rest.over_http2()] {
        for path in ["/tickets/1", "/tickets", "/ping", "/tickets/2", "/tickets?page=0", "/nowhere"]
        {
            let id = [("x-request-id", "the-same")];
            let get = answer_to(&rest, Method::GET, path, &id).await;
            let head = answer_to(&rest, Method::HEAD, path, &id).await;
            assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
            for name in ["etag", "content-type", "content-length", "x-request-id"] {
                assert_eq!(head.headers.get(name), get.headers.get(name), "{path}: {name}");
            }
        }
    }
}

#[tokio::test]
async fn a_request_id_is_kept_if_it_can_be_one() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest("");
    let long = "x".repeat(128);
    for id in ["a", "4bf92f35-77b3!~", long.as_str()] {
        let answer = answer_to(&rest, Method::GET, "/ping", &[("x-request-id", id)]).await;
        assert_eq!(answer.header("x-request-id"), Some(id));
        let answer = answer_to(&rest, Method::GET, "/nowhere", &[("x-request-id", id)]).await;
        assert_eq!(answer.error(404, "ROUTE_NOT_FOUND")["requestId"], id);
    }
    let too_long = "x".repeat(129);
    for id in ["", "two words", "tab\there", "\u{e4}", too_long.as_str()] {
        let answer = answer_to(&rest, Method::GET, "/ping", &[("x-request-id", id)]).await;
        assert_made(&answer);
    }
    let twice = [("x-request-id", "one"), ("x-request-id", "two")];
    assert_made(&answer_to(&rest, Method::GET, "/ping", &twice).await);
    assert_made(&answer_to(&rest, Method::GET, "/ping", &[]).await);
}

#[track_caller]
fn assert_made(answer: &Answer) {
    let ids: Vec<_> = answer.headers.get_all("x-request-id").iter().collect();
    assert_eq!(ids.len(), 1);
    let id = ids[0].to_str().expect("text");
    assert!(id.starts_with("req_") && id.len() == 26, "{id}");
}

#[tokio::test]
async fn a_body_where_none_is_taken_is_refused() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:read"]).await;
    for method in [Method::GET, Method::HEAD] {
        let answer = send(rest.request(method, "/tickets").body("{}")).await;
        assert_eq!(answer.status, 400);
    }
    let answer = send(rest.request(Method::GET, "/ping").body("x")).await;
    answer.error(400, "VALIDATION_FAILED");
    let key = orqit.key(&["tickets:read"]).await;
    let chunked = |chunks: &str| {
        format!(
            "GET /api/public/v1/tickets HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             authorization: Bearer {key}\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
        )
    };
    assert_eq!(exchange(orqit.address, chunked("2\r\n{}\r\n")).await.status, 400);
    assert_eq!(exchange(orqit.address, chunked("")).await.status, 200);
}

#[tokio::test]
async fn json_is_the_only_media_type() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write"]).await;
    rest.post("/tickets", vpn()).await.data(201);
    let accepted: [&[(&str, &str)]; 5] = [
        &[],
        &[("content-type", "application/json")],
        &[("content-type", "Application/JSON; charset=UTF-8")],
        &[("content-type", "application/json;charset=\"utf-8\"")],
        &[("content-type", "application/json"), ("content-encoding", "identity")],
    ];
    for headers in accepted {
        post_with(&rest, headers, vpn().to_string().into()).await.data(201);
    }
    let refused: [&[(&str, &str)]; 10] = [
        &[("content-type", "text/plain")],
        &[("content-type", "")],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[("content-type", "application/jsonx")],
        &[("content-type", "application/vnd.api+json")],
        &[("content-type", "application/json; charset=iso-8859-1")],
        &[("content-type", "application/json"), ("content-type", "application/json")],
        &[("content-type", "application/merge-patch+json")],
        &[("content-type", "application/grpc")],
        &[("content-type", "application/json"), ("content-encoding", "br")],
    ];
    for headers in refused {
        let answer = post_with(&rest, headers, vpn().to_string().into()).await;
        answer.error(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    let patch = |method, content_type| {
        let request = rest.request(method, "/tickets/1").header("content-type", content_type);
        send(request.body("{}"))
    };
    patch(Method::PATCH, "application/merge-patch+json").await.data(200);
    let put = patch(Method::PUT, "application/merge-patch+json").await;
    put.error(415, "UNSUPPORTED_MEDIA_TYPE");
    patch(Method::PATCH, "application/json-patch+json").await.error(415, "UNSUPPORTED_MEDIA_TYPE");
}

#[tokio::test]
async fn an_empty_body_is_refused_where_one_is_needed() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write"]).await;
    rest.post("/tickets", vpn()).await.data(201);
    rest.post_raw("/tickets", "").await.error(400, "MALFORMED_JSON");
    let patch = send(rest.request(Method::PATCH, "/tickets/1")).await;
    patch.error(400, "MALFORMED_JSON");
    post_with(&rest, &[("content-encoding", "gzip")], gzip(b"")).await.error(400, "MALFORMED_JSON");
}

#[tokio::test]
async fn a_body_over_one_mebibyte_is_413() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["tickets:write"]).await;
    let rest = orqit.rest(&key);
    let padded = |len: usize| {
        let mut body = vpn().to_string().into_bytes();
        body.resize(len, b' ');
        body
    };
    rest.post_raw("/tickets", padded(BODY_BYTES_MAX)).await.data(201);
    rest.post_raw("/tickets", padded(BODY_BYTES_MAX + 1)).await.error(413, "PAYLOAD_TOO_LARGE");

    let head = format!(
        "POST /api/public/v1/tickets HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {key}\r\n"
    );
    // The body that is announced never comes: the refusal does not wait for it.
    let announced = format!("{head}content-length: {}\r\n\r\n", BODY_BYTES_MAX + 1);
    exchange(orqit.address, announced).await.error(413, "PAYLOAD_TOO_LARGE");
    // Nor for the end of chunks that have no length.
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n{}1\r\nx\r\n", chunk.repeat(16));
    let refused = exchange(orqit.address, chunked).await;
    assert_eq!(refused.status, 413);
}

#[tokio::test]
async fn a_gzipped_body_counts_as_what_it_unpacks_to() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write"]).await;
    let post = |body| post_with(&rest, &[("content-encoding", "gzip")], body);
    let whole = gzip(vpn().to_string().as_bytes());
    assert_eq!(post(whole.clone()).await.data(201)["title"], "VPN not connecting");

    let mut full = vpn().to_string().into_bytes();
    full.resize(BODY_BYTES_MAX, b' ');
    post(gzip(&full)).await.data(201);
    full.push(b' ');
    post(gzip(&full)).await.error(413, "PAYLOAD_TOO_LARGE");
    post(gzip(&vec![0; 50 * BODY_BYTES_MAX])).await.error(413, "PAYLOAD_TOO_LARGE");

    let mut corrupt = whole.clone();
    let middle = corrupt.len() / 2;
    corrupt[middle] ^= 0xff;
    let trailing = [whole.as_slice(), b"trailing"].concat();
    let plain = vpn().to_string().into_bytes();
    for wrong in [plain, whole[..whole.len() - 4].to_vec(), corrupt, trailing, Vec::new()] {
        post(wrong).await.error(400, "MALFORMED_JSON");
    }
}

#[tokio::test]
async fn answers_over_a_kibibyte_are_compressed_when_asked() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["tickets:write", "tickets:read"]).await;
    let rest = orqit.rest(&key);
    let long = vpn_with(json!({"description": "long ".repeat(400)}));
    let ticket = rest.post("/tickets", long).await.data(201);
    rest.post("/tickets", vpn()).await.data(201);
    let get =
        |path: &'static str, encoding: &'static str| answer_to_owned(rest.clone(), path, encoding);

    let zipped = get("/tickets/1", "gzip").await;
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    let plain: Value =
        serde_json::from_reader(GzDecoder::new(zipped.body.as_slice())).expect("JSON");
    assert_eq!(plain["data"], ticket);
    assert_eq!(zipped.header("etag"), Some("\"1\""));

    for (path, encoding) in
        [("/tickets/1", "identity"), ("/tickets/1", "gzip;q=0"), ("/tickets/2", "gzip")]
    {
        let plain = get(path, encoding).await;
        assert_eq!(plain.header("content-encoding"), None, "{path} {encoding}");
        plain.data(200);
    }
    let unasked = rest.get("/tickets/1").await;
    assert_eq!(unasked.header("content-encoding"), None);
}

async fn answer_to_owned(rest: Rest, path: &str, encoding: &str) -> Answer {
    answer_to(&rest, Method::GET, path, &[("accept-encoding", encoding)]).await
}

#[tokio::test]
async fn a_database_that_is_away_is_503_with_a_time_to_wait() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["tickets:write", "tickets:read"]).await;
    let unseen = orqit.key(&["tickets:read"]).await;
    let rest = orqit.rest(&key);
    rest.get("/tickets").await.data(200);
    assert_eq!(rest.get("//readyz").await.status, 200);

    orqit.store.clone().close().await.expect("closed");
    // What the database said within the last second counts.
    while rest.get("//readyz").await.status == 200 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }

    for answer in [
        rest.get("/tickets").await,
        rest.get("/tickets/1").await,
        rest.post("/tickets", vpn()).await,
        rest.patch("/tickets/1", json!({"title": "x"})).await,
        orqit.rest(&unseen).get("/tickets").await,
        rest.get("//readyz").await,
    ] {
        let error = answer.error(503, "SERVICE_UNAVAILABLE");
        assert_eq!(error["retryAfterSeconds"], 1);
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert!(!error["message"].as_str().expect("text").to_lowercase().contains("pool"));
    }
    let created = orqit.tickets().await.create_ticket(with_key(&key, vpn_message())).await;
    let status = created.expect_err("away");
    assert_refused(&status, Code::Unavailable, "SERVICE_UNAVAILABLE");
    let retry = tonic_types::StatusExt::get_details_retry_info(&status).expect("RetryInfo");
    assert_eq!(retry.retry_delay, Some(std::time::Duration::from_secs(1)));
    assert_eq!(rest.get("//livez").await.status, 200);
    rest.get("/ping").await.data(200);
}

#[tokio::test]
async fn operators_see_whether_it_lives_and_is_ready() {
    let orqit = Orqit::start().await;
    for path in ["//livez", "//readyz"] {
        let answer = orqit.rest("not a key").get(path).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_slice()), (200, &b"ok"[..]));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    let ping = orqit.rest("not a key").get("/ping").await.data(200);
    assert_eq!(ping, json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}));
}

#[tokio::test]
async fn accept_is_not_looked_at() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:read"]).await;
    for accept in ["text/html", "application/xml", "image/*", "application/json;q=0", "nonsense"] {
        let answer = answer_to(&rest, Method::GET, "/tickets", &[("accept", accept)]).await;
        assert_eq!(answer.data(200), json!([]));
        let answer = answer_to(&rest, Method::GET, "/nowhere", &[("accept", accept)]).await;
        answer.error(404, "ROUTE_NOT_FOUND");
    }
}

#[tokio::test]
async fn a_bad_escape_in_the_path_is_400_before_any_key() {
    let orqit = Orqit::start().await;
    let nobody = orqit.rest("");
    for path in ["/tickets/%zz", "/tickets/%", "/tickets/%4", "/tickets/%ff", "/tickets/%ed%a0%80"]
    {
        let answer = raw_get(&orqit, path).await;
        answer.error(400, "VALIDATION_FAILED");
        assert_eq!(answer.wrong_fields(), ["path"], "{path}");
    }
    nobody.get("/tickets/%31").await.error(401, "MISSING_API_KEY");
    let rest = orqit.rest_as(&["tickets:read"]).await;
    for path in ["/tickets/%2F", "/tickets/%F0%9F%98%80", "/tickets/1;v=2", "/tickets/+1"] {
        rest.get(path).await.error(404, "TICKET_NOT_FOUND");
    }
}

async fn raw_get(orqit: &Orqit, path: &str) -> Answer {
    let request =
        format!("GET /api/public/v1{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    exchange(orqit.address, request).await
}
