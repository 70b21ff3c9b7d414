//! What HTTP itself demands: hosts, half-closed connections, media types, bodies that nobody reads.

use http::Method;
use orqit::pb;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tonic::Code;

use crate::support::grpc::{assert_refused, call, frame};
use crate::support::requests::vpn;
use crate::support::rest::send;
use crate::support::server::{Options, Orqit};
use crate::support::wire::{connect, exchange, post_head, read_answer, read_until, soon};

#[tokio::test]
async fn a_request_of_http_1_1_names_one_host() {
    let orqit = Orqit::start().await;
    let get = |version: &str, hosts: &str| {
        format!("GET /api/public/v1/ping HTTP/{version}\r\n{hosts}connection: close\r\n\r\n")
    };
    for wrong in ["", "host: x\r\nhost: x\r\n", "host: a b\r\n", "host: me@x\r\n", "host: x:y\r\n"]
    {
        let answer = exchange(orqit.address, get("1.1", wrong)).await;
        answer.error(400, "VALIDATION_FAILED");
        assert_eq!(answer.wrong_fields(), ["Host"], "{wrong}");
    }
    for right in ["host: x\r\n", "host:\r\n", "host: [::1]:80\r\n", "host: x.example:8080\r\n"] {
        exchange(orqit.address, get("1.1", right)).await.data(200);
    }
    exchange(orqit.address, get("1.0", "")).await.data(200);
    // Whatever it is for: a page, and gRPC-web.
    let page = "GET /livez HTTP/1.1\r\nconnection: close\r\n\r\n";
    assert_eq!(exchange(orqit.address, page).await.status, 400);
    let web = "POST /orqit.v1.SystemService/Ping HTTP/1.1\r\ncontent-type: application/grpc-web\r\n\
               content-length: 0\r\nconnection: close\r\n\r\n";
    let status = tonic::Status::from_header_map(&exchange(orqit.address, web).await.headers);
    assert_refused(&status.expect("a status"), Code::InvalidArgument, "VALIDATION_FAILED");
}

#[tokio::test]
async fn a_client_that_sends_no_more_gets_its_answer() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["tickets:write"]).await;
    let mut stream = connect(orqit.address).await;
    let body = vpn().to_string();
    stream.write_all(post_head(&key, body.len(), "").as_bytes()).await.expect("sent");
    stream.write_all(body.as_bytes()).await.expect("sent");
    stream.shutdown().await.expect("no more");
    read_answer(&mut stream).await.data(201);
}

#[tokio::test]
async fn a_kind_of_grpc_that_is_not_spoken_is_415() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest("");
    let ping = || frame(&pb::PingRequest::default());
    let path = "//orqit.v1.SystemService/Ping";
    for kind in [
        "application/grpc-web+json",
        "application/grpc-web+thrift",
        "application/grpc-web-text+json",
        "application/grpc-webx",
        "application/grpc+json",
        "application/grpcx",
        "APPLICATION/GRPC+JSON; charset=utf-8",
    ] {
        for rest in [rest.clone(), rest.over_http2()] {
            let request = rest.request(Method::POST, path).header("content-type", kind);
            let answer = send(request.body(ping())).await;
            answer.error(415, "UNSUPPORTED_MEDIA_TYPE");
        }
    }
    for kind in ["application/grpc-web", "application/grpc-web+proto", "Application/GRPC-Web; x=y"]
    {
        let request = rest.request(Method::POST, path).header("content-type", kind);
        let answer = send(request.body(ping())).await;
        assert_eq!(answer.status, 200, "{kind}");
        let trailers = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(trailers.contains("grpc-status:0"), "{kind}: {trailers:?}");
    }
    for kind in ["application/grpc", "application/grpc+proto"] {
        let headers = [("content-type", kind)];
        let status = call(orqit.address, "/orqit.v1.SystemService/Ping", &headers, ping()).await;
        assert_eq!(status.status().code(), Code::Ok, "{kind}");
    }
}

#[tokio::test]
async fn api_without_a_slash_is_the_apis() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest("");
    rest.get("//api").await.error(404, "ROUTE_NOT_FOUND");
    let request = rest.request(Method::POST, "//api").header("content-type", "application/grpc");
    send(request).await.error(404, "ROUTE_NOT_FOUND");
}

#[tokio::test]
async fn an_id_with_a_character_that_no_id_has_is_not_found() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["admin"]).await;
    let rest = orqit.rest(&key);
    let long = "9".repeat(10_000);
    for id in ["%00", "1%00", "%0A", "%7F", "abc", "0", "-1", "%F0%9F%98%80", long.as_str()] {
        rest.get(&format!("/tickets/{id}")).await.error(404, "TICKET_NOT_FOUND");
        let title = json!({"title": "x"});
        rest.patch(&format!("/tickets/{id}"), title).await.error(404, "TICKET_NOT_FOUND");
        let path = format!("/keys/{id}");
        rest.get(&path).await.error(404, "API_KEY_NOT_FOUND");
        rest.patch(&path, json!({"name": "x"})).await.error(404, "API_KEY_NOT_FOUND");
        rest.post(&format!("{path}/rotate"), json!({})).await.error(404, "API_KEY_NOT_FOUND");
        crate::keys::delete(&rest, &path).await.error(404, "API_KEY_NOT_FOUND");
    }
    for id in ["\0", "1\0", "\n", "é"] {
        let get = frame(&pb::GetTicketRequest { id: id.to_owned(), ..Default::default() });
        let headers = [("x-api-key", key.as_str())];
        let path = "/orqit.v1.TicketService/GetTicket";
        let status = call(orqit.address, path, &headers, get).await.status();
        assert_refused(&status, Code::NotFound, "TICKET_NOT_FOUND");
        let get = frame(&pb::GetKeyRequest { id: id.to_owned() });
        let status =
            call(orqit.address, "/orqit.v1.KeyService/GetKey", &headers, get).await.status();
        assert_refused(&status, Code::NotFound, "API_KEY_NOT_FOUND");
    }
    let (none, headers) = (frame(&pb::GetTicketRequest::default()), [("x-api-key", key.as_str())]);
    let path = "/orqit.v1.TicketService/GetTicket";
    let status = call(orqit.address, path, &headers, none).await.status();
    assert_refused(&status, Code::InvalidArgument, "VALIDATION_FAILED");
}

#[tokio::test]
async fn a_body_that_was_asked_for_first_and_is_refused_ends_its_connection() {
    let orqit = Orqit::start().await;
    let expect = "expect: 100-continue\r\n";
    let mut stream = connect(orqit.address).await;
    stream.write_all(post_head("no key", 100, expect).as_bytes()).await.expect("sent");
    let head = read_until(&mut stream, "\r\n\r\n").await.to_lowercase();
    assert!(head.contains("401") && head.contains("connection: close"), "{head}");
    // One that is taken does not.
    let key = orqit.key(&["tickets:write"]).await;
    let body = vpn().to_string();
    let mut stream = connect(orqit.address).await;
    stream.write_all(post_head(&key, body.len(), expect).as_bytes()).await.expect("sent");
    assert!(read_until(&mut stream, "\r\n\r\n").await.contains("100 Continue"));
    stream.write_all(body.as_bytes()).await.expect("sent");
    let head = read_until(&mut stream, "\r\n\r\n").await.to_lowercase();
    assert!(head.contains("201") && !head.contains("connection: close"), "{head}");
}

#[tokio::test]
async fn a_body_that_nobody_reads_is_drained_and_its_connection_goes_on() {
    let cors_origins = vec![http::HeaderValue::from_static("https://app.example")];
    let orqit = Orqit::start_with(Options { cors_origins, ..Options::default() }).await;
    let preflight = "origin: https://app.example\r\naccess-control-request-method: POST\r\n";
    for more in ["", preflight] {
        let mut stream = connect(orqit.address).await;
        let head = format!(
            "OPTIONS /api/public/v1/tickets HTTP/1.1\r\nhost: x\r\ncontent-length: 500000\r\n{more}\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        stream.write_all(&vec![b'x'; 500_000]).await.expect("sent");
        let head = read_until(&mut stream, "\r\n\r\n").await;
        assert!(head.contains("204"), "{head}");
        let ping = b"GET /api/public/v1/ping HTTP/1.1\r\nhost: x\r\n\r\n";
        stream.write_all(ping).await.expect("sent");
        assert!(read_until(&mut stream, "\r\n").await.contains("200"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_grpc_web_that_is_refused_gets_its_answer_whatever_it_sends() {
    let orqit = Orqit::start().await;
    let calls = (0..100).map(|number| {
        let address = orqit.address;
        tokio::spawn(async move {
            let mut stream = connect(address).await;
            let head = "POST /orqit.v1.TicketService/CreateTicket HTTP/1.1\r\nhost: x\r\n\
                        content-type: application/grpc-web+proto\r\ncontent-length: 900000\r\n\r\n";
            stream.write_all(head.as_bytes()).await.expect("sent");
            for _ in 0..9 {
                stream
                    .write_all(&vec![0; 100_000])
                    .await
                    .unwrap_or_else(|error| panic!("{number}: {error}"));
            }
            let head = soon(read_until(&mut stream, "\r\n\r\n")).await;
            assert!(head.contains("grpc-status: 16"), "{number}: {head}");
        })
    });
    let calls: Vec<_> = calls.collect();
    for call in calls {
        call.await.expect("answered");
    }
}
