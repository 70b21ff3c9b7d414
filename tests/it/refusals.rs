//! A refusal reaches its client, whole and in time, and repeats no secret.

use bytes::Bytes;
use http::Method;
use orqit::pb;
use serde_json::json;
use tonic::Code;

use crate::support::grpc::{assert_refused, call, error_info, frame, violations};
use crate::support::requests::{vpn, vpn_message, vpn_with};
use crate::support::rest::send;
use crate::support::server::{Orqit, with_key};
use crate::support::wire::exchange;

const GET_TICKET: &str = "/orqit.v1.TicketService/GetTicket";
const CREATE_TICKET: &str = "/orqit.v1.TicketService/CreateTicket";

#[tokio::test]
async fn a_client_that_still_sends_reads_why_it_was_refused() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write"]).await;
    let large = Bytes::from(vec![b' '; 5 * 1024 * 1024]);
    let http2 = reqwest::Client::builder().http2_prior_knowledge().no_proxy();
    let url = format!("http://{}/api/public/v1/tickets", orqit.address);
    let http2 = http2.build().expect("a client").post(url);
    for _ in 0..5 {
        rest.post_raw("/tickets", large.clone()).await.error(413, "PAYLOAD_TOO_LARGE");
        orqit.rest("").post_raw("/tickets", large.clone()).await.error(401, "MISSING_API_KEY");
        let request = http2.try_clone().expect("no body yet").body(large.clone());
        send(request).await.error(401, "MISSING_API_KEY");
    }
}

#[tokio::test]
async fn a_key_in_the_wrong_place_is_not_repeated() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["admin"]).await;
    let rest = orqit.rest(&key);
    let method = Method::from_bytes(key.as_bytes()).expect("a key is a token");
    let with_id = rest.request(Method::GET, "/tickets/1").header("x-request-id", &key);
    let answers = [
        rest.get(&format!("/tickets?{key}=1")).await,
        rest.get(&format!("/tickets?status={key}")).await,
        rest.post("/tickets", vpn_with(json!({key.as_str(): 1}))).await,
        rest.post_raw("/tickets", key.clone()).await,
        send(rest.request(method, "/tickets")).await,
        send(with_id).await,
    ];
    for answer in answers {
        assert!(answer.status.is_client_error());
        assert!(!String::from_utf8_lossy(&answer.body).contains(&key[13..]), "{:?}", answer.json());
        assert!(!format!("{:?}", answer.headers).contains(&key[13..]));
    }
    let mask = pb::UpdateTicketRequest {
        id: "1".to_owned(),
        update_mask: Some(prost_types::FieldMask { paths: vec![key.clone()] }),
        ..Default::default()
    };
    let status = orqit.tickets().await.update_ticket(with_key(&key, mask)).await;
    let status = status.expect_err("no such field");
    assert!(!format!("{status:?}").contains(&key[13..]));
}

#[tokio::test]
async fn a_status_with_much_to_tell_fits_the_headers_of_its_client() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["tickets:read"]).await;
    let request = pb::ListTicketsRequest { status: vec![9; 100], ..Default::default() };
    let status = orqit.tickets().await.list_tickets(with_key(&key, request)).await;
    let status = status.expect_err("no such status");
    assert_refused(&status, Code::InvalidArgument, "VALIDATION_FAILED");
    assert!(status.details().len() < 5 * 1024, "{}", status.details().len());
    let left_out = error_info(&status).metadata["violationsLeftOut"].parse::<usize>();
    assert_eq!(violations(&status).len() + left_out.expect("a number"), 100);
}

#[tokio::test]
async fn grpc_over_http_1_is_refused_before_it_does_anything() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["tickets:write"]).await;
    let message = frame(&vpn_message());
    let head = format!(
        "POST {CREATE_TICKET} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         content-type: application/grpc\r\nauthorization: Bearer {key}\r\n\
         content-length: {}\r\n\r\n",
        message.len()
    );
    let answer = exchange(orqit.address, [head.as_bytes(), &message].concat()).await;
    let status = tonic::Status::from_header_map(&answer.headers).expect("a grpc-status");
    assert_refused(&status, Code::InvalidArgument, "UNSUPPORTED_MEDIA_TYPE");
    assert_eq!(orqit.events().await, []);
}

#[tokio::test]
async fn a_call_takes_one_message_in_its_time() {
    let orqit = Orqit::start().await;
    let bearer = format!("Bearer {}", orqit.key(&["tickets:write"]).await);
    let headers = [("authorization", bearer.as_str())];
    let message = frame(&vpn_message());
    let twice = [message.clone(), message].concat();
    let status = call(orqit.address, CREATE_TICKET, &headers, twice).await.status();
    assert_refused(&status, Code::InvalidArgument, "VALIDATION_FAILED");
    assert_eq!(orqit.events().await, []);
}

#[tokio::test]
async fn a_bad_grpc_timeout_is_told_after_route_and_credentials() {
    let orqit = Orqit::start().await;
    let bearer = format!("Bearer {}", orqit.key(&["tickets:read"]).await);
    let get = frame(&pb::GetTicketRequest { id: "1".to_owned(), ..Default::default() });
    let bad = ("grpc-timeout", "soon");
    let ask = |path, headers: Vec<(&'static str, String)>| {
        let get = get.clone();
        async move {
            let headers: Vec<_> =
                headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            call(orqit.address, path, &headers, get).await.status()
        }
    };
    let bad = || (bad.0, bad.1.to_owned());
    let nowhere = ask("/orqit.v1.TicketService/Nothing", vec![bad()]).await;
    assert_refused(&nowhere, Code::Unimplemented, "ROUTE_NOT_FOUND");
    let nobody = ask(GET_TICKET, vec![bad()]).await;
    assert_refused(&nobody, Code::Unauthenticated, "MISSING_API_KEY");
    let known = ask(GET_TICKET, vec![bad(), ("authorization", bearer.clone())]).await;
    assert_refused(&known, Code::InvalidArgument, "VALIDATION_FAILED");
    let rest =
        orqit.rest(&bearer[7..]).request(Method::GET, "/keys/self").header("grpc-timeout", "x");
    send(rest).await.data(200);
}

#[tokio::test]
async fn pages_beside_the_api_take_neither_query_nor_body() {
    let orqit = Orqit::start().await;
    let nobody = orqit.rest("");
    for page in ["//livez", "//readyz", "/openapi.json"] {
        assert_eq!(nobody.get(page).await.status, 200, "{page}");
        nobody.get(&format!("{page}?x=1")).await.error(400, "UNKNOWN_FIELD");
        let with_body = nobody.request(Method::GET, page).body("x");
        send(with_body).await.error(400, "VALIDATION_FAILED");
    }
}

#[tokio::test]
async fn an_entity_tag_is_compared_byte_for_byte() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write"]).await;
    rest.post("/tickets", vpn()).await.data(201);
    let update = |lines: &[&str]| {
        let request = rest.request(Method::PATCH, "/tickets/1").json(&json!({}));
        send(lines.iter().fold(request, |request, line| request.header("if-match", *line)))
    };
    for other in ["\"+1\"", "\"01\"", "\" 1\"", "\"a,b\"", "\"2\", W/\"1\""] {
        update(&[other]).await.error(412, "VERSION_CONFLICT");
    }
    for wrong in ["*, \"1\"", "\"1", "1", "\"1\" \"2\"", ","] {
        update(&[wrong]).await.error(400, "VALIDATION_FAILED");
    }
    update(&["*", "\"1\""]).await.error(400, "VALIDATION_FAILED");
    for right in [&["\"1\""][..], &["\"a,b\" , \"1\""], &["\"7\"", "\"1\""], &[" * "]] {
        update(right).await.data(200);
    }
}
