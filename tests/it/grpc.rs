//! What is particular to gRPC: details of a refusal, frames, deadlines, reflection and health.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use orqit::config::BODY_BYTES_MAX;
use orqit::pb;
use prost::Message;
use serde_json::json;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};

use crate::support::grpc::{Answer, assert_refused, call, error_info, frame, violations};
use crate::support::requests::{vpn, vpn_message, vpn_with};
use crate::support::server::{Options, Orqit, with_key};

const CREATE: &str = "/orqit.v1.TicketService/CreateTicket";
const GET: &str = "/orqit.v1.TicketService/GetTicket";

fn update(id: &str) -> pb::UpdateTicketRequest {
    pb::UpdateTicketRequest { id: id.to_owned(), ..Default::default() }
}

#[tokio::test]
async fn both_protocols_tell_the_same_of_a_refusal() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["tickets:write", "tickets:read"]).await;
    let (rest, mut grpc) = (orqit.rest(&key), orqit.tickets().await);
    let known = json!({"externalSource": "jira", "externalId": "A"});
    rest.post("/tickets", vpn_with(known.clone())).await.data(201);
    rest.patch("/tickets/1", json!({"status": "CANCELLED"})).await.data(200);

    let absent = rest.get("/tickets/9").await.error(404, "TICKET_NOT_FOUND");
    let get = pb::GetTicketRequest { id: "9".to_owned(), ..Default::default() };
    let status = grpc.get_ticket(with_key(&key, get)).await.expect_err("absent");
    assert_refused(&status, Code::NotFound, "TICKET_NOT_FOUND");
    assert_eq!(absent["message"], status.message());

    let moved = rest.patch("/tickets/1", json!({"status": "CLOSED"})).await;
    let moved = moved.error(409, "INVALID_STATUS_TRANSITION");
    assert_eq!((&moved["from"], &moved["to"]), (&json!("CANCELLED"), &json!("CLOSED")));
    assert_eq!(moved["allowed"], json!(["OPEN"]));
    let close =
        pb::UpdateTicketRequest { status: Some(pb::TicketStatus::Closed.into()), ..update("1") };
    let status = grpc.update_ticket(with_key(&key, close)).await.expect_err("no way");
    assert_refused(&status, Code::FailedPrecondition, "INVALID_STATUS_TRANSITION");
    let facts = error_info(&status).metadata;
    assert_eq!((facts["from"].as_str(), facts["to"].as_str()), ("CANCELLED", "CLOSED"));
    assert_eq!(facts["allowed"], "OPEN");
    assert_eq!(moved["message"], status.message());

    let taken = rest.post("/tickets", vpn_with(known)).await.error(409, "ALREADY_EXISTS");
    let again = pb::CreateTicketRequest {
        external_source: Some("jira".to_owned()),
        external_id: Some("A".to_owned()),
        ..vpn_message()
    };
    let status = grpc.create_ticket(with_key(&key, again)).await.expect_err("taken");
    assert_refused(&status, Code::AlreadyExists, "ALREADY_EXISTS");
    assert_eq!(taken["message"], status.message());

    let stale =
        rest.patch("/tickets/1", json!({"version": 1})).await.error(412, "VERSION_CONFLICT");
    let versioned = pb::UpdateTicketRequest { version: Some(1), ..update("1") };
    let status = grpc.update_ticket(with_key(&key, versioned)).await.expect_err("stale");
    assert_refused(&status, Code::Aborted, "VERSION_CONFLICT");
    assert_eq!(stale["message"], status.message());

    let nowhere = rest.patch("/tickets/1", json!({"assigneeId": 9})).await;
    let nowhere = nowhere.error(400, "INVALID_REFERENCE");
    let assign = pb::UpdateTicketRequest { assignee_id: Some(9), ..update("1") };
    let status = grpc.update_ticket(with_key(&key, assign)).await.expect_err("nobody");
    assert_refused(&status, Code::InvalidArgument, "INVALID_REFERENCE");
    assert_eq!(violations(&status), ["assigneeId"]);
    assert_eq!(nowhere["message"], status.message());
}

#[tokio::test]
async fn metadata_carry_the_request_id() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["tickets:write"]).await;
    let (created, refused) = (frame(&vpn_message()), frame(&pb::CreateTicketRequest::default()));
    for (message, code) in [(created, Code::Ok), (refused, Code::InvalidArgument)] {
        let headers = [("x-api-key", key.as_str()), ("x-request-id", "trace-1")];
        let answer = call(orqit.address, CREATE, &headers, message.clone()).await;
        assert_eq!(answer.status().code(), code);
        assert_eq!(answer.headers["x-request-id"], "trace-1");
        if code != Code::Ok {
            assert_eq!(error_info(&answer.status()).metadata["requestId"], "trace-1");
        }
        let made = call(orqit.address, CREATE, &headers[..1], message).await;
        assert!(made.headers["x-request-id"].to_str().expect("text").starts_with("req_"));
    }
}

/// CreateTicket with a body as it is.
async fn create(orqit: &Orqit, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let key = orqit.key(&["tickets:write"]).await;
    let headers = [headers, &[("x-api-key", key.as_str())]].concat();
    call(orqit.address, CREATE, &headers, body).await
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_the_clients_fault() {
    let orqit = Orqit::start().await;
    let whole = frame(&vpn_message()).to_vec();
    let framed =
        |flag: u8, len: u32, bytes: &[u8]| [&[flag], &len.to_be_bytes()[..], bytes].concat();
    let message = &whole[5..];
    let len = u32::try_from(message.len()).expect("short");
    let unreadable: Vec<(&str, Vec<u8>)> = vec![
        ("nothing at all", Vec::new()),
        ("half a frame's head", whole[..3].to_vec()),
        ("a head alone", whole[..5].to_vec()),
        ("a message cut short", whole[..whole.len() - 1].to_vec()),
        ("a length beyond the end", framed(0, len + 1, message)),
        ("a length within the message", framed(0, len - 1, message)),
        ("noise", framed(0, 4, b"\xff\xff\xff\xff")),
        ("a field number of zero", framed(0, 2, b"\x00\x00")),
        ("a string that is not UTF-8", framed(0, 3, b"\x0a\x01\xff")),
        ("a string where a number goes", framed(0, 3, b"\x1a\x01a")),
        ("a length beyond the message", framed(0, 3, b"\x0a\x7fa")),
        ("a flag that does not exist", framed(7, len, message)),
        ("compressed, but not said how", framed(1, len, message)),
    ];
    for (what, body) in unreadable {
        let status = create(&orqit, &[], body).await.status();
        assert_refused(&status, Code::InvalidArgument, "VALIDATION_FAILED");
        assert!(!status.message().to_lowercase().contains("panic"), "{what}");
    }
    let not_gzip = framed(1, len, message);
    let status = create(&orqit, &[("grpc-encoding", "gzip")], not_gzip).await.status();
    assert_refused(&status, Code::InvalidArgument, "VALIDATION_FAILED");
    let brotli = create(&orqit, &[("grpc-encoding", "br")], framed(1, len, message)).await;
    assert_refused(&brotli.status(), Code::InvalidArgument, "UNSUPPORTED_MEDIA_TYPE");
    assert_eq!(orqit.events().await, []);
    assert_eq!(create(&orqit, &[], whole).await.status().code(), Code::Ok);
}

#[tokio::test]
async fn a_message_over_one_mebibyte_is_refused() {
    let orqit = Orqit::start().await;
    let announced =
        |len: usize| [&[0], &u32::try_from(len).expect("32 bits").to_be_bytes()[..]].concat();
    // Refused by the length it claims, before it is sent.
    for len in [BODY_BYTES_MAX + 1, u32::MAX as usize] {
        let status = create(&orqit, &[], announced(len)).await.status();
        assert_refused(&status, Code::ResourceExhausted, "PAYLOAD_TOO_LARGE");
    }
    let gzipped = |len: usize| {
        // An unknown field, so that only its size matters.
        let mut message = vpn_message().encode_to_vec();
        message.extend(b"\xfa\x07");
        let rest = len - message.len() - 3;
        prost::encoding::encode_varint(rest as u64, &mut message);
        message.resize(len, 0);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&message).expect("a Vec takes all bytes");
        let bytes = encoder.finish().expect("gzip");
        let len = u32::try_from(bytes.len()).expect("short");
        [&[1], &len.to_be_bytes()[..], &bytes].concat()
    };
    let gzip = [("grpc-encoding", "gzip")];
    assert_eq!(create(&orqit, &gzip, gzipped(BODY_BYTES_MAX)).await.status().code(), Code::Ok);
    for len in [BODY_BYTES_MAX + 1, 100 * BODY_BYTES_MAX] {
        let status = create(&orqit, &gzip, gzipped(len)).await.status();
        assert_refused(&status, Code::ResourceExhausted, "PAYLOAD_TOO_LARGE");
    }
}

#[tokio::test]
async fn unknown_fields_are_skipped() {
    let orqit = Orqit::start().await;
    let mut message = vpn_message().encode_to_vec();
    message.extend(b"\xf8\x07\x05\xfa\x07\x03abc");
    let len = u32::try_from(message.len()).expect("short").to_be_bytes();
    let answer = create(&orqit, &[], [&[0], &len[..], &message].concat()).await;
    assert_eq!(answer.status().code(), Code::Ok);
    let created = pb::CreateTicketResponse::decode(&answer.body[5..]).expect("a ticket");
    assert_eq!(created.ticket.expect("a ticket").title, "VPN not connecting");
}

#[tokio::test]
async fn answers_are_compressed_by_message_alone() {
    let orqit = Orqit::start().await;
    let asked = [("accept-encoding", "gzip"), ("grpc-accept-encoding", "gzip")];
    let answer = create(&orqit, &asked, frame(&vpn_message()).to_vec()).await;
    assert_eq!(answer.headers.get("content-encoding"), None);
    assert_eq!(
        (&answer.headers["grpc-encoding"], answer.body[0]),
        (&"gzip".parse().expect("ASCII"), 1)
    );
    let unasked = create(&orqit, &asked[..1], frame(&vpn_message()).to_vec()).await;
    assert_eq!((unasked.headers.get("content-encoding"), unasked.body[0]), (None, 0));
}

#[tokio::test]
async fn a_deadline_of_the_client_is_kept() {
    let orqit = Orqit::start().await;
    let message = || frame(&vpn_message()).to_vec();
    for timeout in ["10S", "99999999H", "60000m"] {
        let answer = create(&orqit, &[("grpc-timeout", timeout)], message()).await;
        assert_eq!(answer.status().code(), Code::Ok, "{timeout}");
    }
    // Somebody else is writing, so the request has to wait.
    let key = orqit.key(&["tickets:write"]).await;
    let writing = orqit.hold_writes().await;
    for timeout in ["20m", "1000u", "1n", "0S"] {
        let headers = [("x-api-key", key.as_str()), ("grpc-timeout", timeout)];
        let status = call(orqit.address, CREATE, &headers, message()).await.status();
        assert_refused(&status, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    }
    drop(writing);
    for timeout in ["", "1", "S", "-1S", "1.5S", "1 S", "123456789m", "1s", "5x"] {
        let headers = [("x-api-key", key.as_str()), ("grpc-timeout", timeout)];
        let status = call(orqit.address, CREATE, &headers, message()).await.status();
        assert_refused(&status, Code::InvalidArgument, "VALIDATION_FAILED");
        assert_eq!(violations(&status), ["grpc-timeout"], "{timeout:?}");
    }
}

#[tokio::test]
async fn an_rpc_that_does_not_exist_is_unimplemented() {
    let orqit = Orqit::start().await;
    for path in [
        "/orqit.v1.TicketService/DeleteTicket",
        "/orqit.v1.TicketService/getTicket",
        "/orqit.v1.TicketService",
        "/orqit.v2.TicketService/GetTicket",
        "/TicketService/GetTicket",
        "/",
        "/orqit.v1.TicketService/GetTicket/",
        "//orqit.v1.TicketService/GetTicket",
        "/grpc.health.v2.Health/Check",
    ] {
        // Without a key: it takes none to learn that.
        let status = call(orqit.address, path, &[], Vec::new()).await.status();
        assert_refused(&status, Code::Unimplemented, "ROUTE_NOT_FOUND");
    }
    for path in ["/grpc.health.v1.Health/Nothing", "/grpc.reflection.v1.ServerReflection/Nothing"] {
        let status = call(orqit.address, path, &[], Vec::new()).await.status();
        assert_eq!(status.code(), Code::Unimplemented);
    }
    let rest = orqit.rest("").over_http2();
    for method in [http::Method::GET, http::Method::PUT, http::Method::OPTIONS] {
        let request = rest.request(method, &format!("/{GET}"));
        let answer =
            request.header("content-type", "application/grpc").send().await.expect("an answer");
        let status = Status::from_header_map(answer.headers()).expect("a status");
        assert_refused(&status, Code::Unimplemented, "METHOD_NOT_ALLOWED");
    }
}

#[tokio::test]
async fn under_api_everything_is_rest() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write"]).await;
    for content_type in ["application/grpc", "application/grpc-web", "application/grpc-web-text"] {
        let request =
            rest.request(http::Method::POST, "/tickets").header("content-type", content_type);
        let answer = crate::support::rest::send(request.body(vpn().to_string())).await;
        answer.error(415, "UNSUPPORTED_MEDIA_TYPE");
        let request =
            rest.request(http::Method::POST, "//api/nothing").header("content-type", content_type);
        crate::support::rest::send(request).await.error(404, "ROUTE_NOT_FOUND");
    }
}

const SERVICES: [&str; 19] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "orqit.v1.AssetService",
    "orqit.v1.AuditService",
    "orqit.v1.CategoryService",
    "orqit.v1.CustomFieldService",
    "orqit.v1.EventService",
    "orqit.v1.KeyService",
    "orqit.v1.KnowledgeService",
    "orqit.v1.ProjectService",
    "orqit.v1.SystemService",
    "orqit.v1.TicketService",
    "orqit.v1.UsageService",
    "orqit.v1.UserService",
    "orqit.v1.WebhookService",
    "orqit.v1.EmailService",
    "orqit.v1.CompatService",
    "orqit.v1.WorkspaceService",
];

/// Asks both versions of reflection the same questions: which services there are, and where one
/// is defined. Their messages are alike, their types are not.
macro_rules! reflect {
    ($version:ident, $orqit:expr) => {{
        use $version::server_reflection_request::MessageRequest;
        use $version::server_reflection_response::MessageResponse;
        let channel = $orqit.channel().await;
        let mut client = $version::server_reflection_client::ServerReflectionClient::new(channel);
        let ask = |question| $version::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(question),
        };
        let questions = [
            ask(MessageRequest::ListServices(String::new())),
            ask(MessageRequest::FileContainingSymbol("orqit.v1.TicketService".to_owned())),
        ];
        let mut answers = client
            .server_reflection_info(futures_util::stream::iter(questions))
            .await?
            .into_inner();
        let mut names = Vec::new();
        while let Some(answer) = answers.message().await? {
            match answer.message_response {
                Some(MessageResponse::ListServicesResponse(list)) => {
                    names.extend(list.service.into_iter().map(|service| service.name));
                }
                Some(MessageResponse::FileDescriptorResponse(files)) => {
                    assert!(!files.file_descriptor_proto.is_empty());
                }
                other => panic!("{other:?}"),
            }
        }
        names.sort();
        Ok::<_, Status>(names)
    }};
}

#[tokio::test]
async fn reflection_lists_the_services() {
    let orqit = Orqit::start().await;
    let (new, old) = (async { reflect!(v1, orqit) }, async { reflect!(v1alpha, orqit) });
    for names in [new.await.expect("v1"), old.await.expect("v1alpha")] {
        let ours = SERVICES
            .iter()
            .filter(|name| name.starts_with("orqit.") || name.starts_with("grpc.health"));
        for name in ours {
            assert!(names.iter().any(|listed| listed == name), "{name}: {names:?}");
        }
        assert!(names.iter().all(|name| SERVICES.contains(&name.as_str())), "{names:?}");
    }
}

#[tokio::test]
async fn reflection_can_be_switched_off() {
    let orqit = Orqit::start_with(Options { reflection: false, ..Options::default() }).await;
    let (new, old) = (async { reflect!(v1, orqit) }, async { reflect!(v1alpha, orqit) });
    for refused in [new.await, old.await] {
        assert_refused(&refused.expect_err("off"), Code::Unimplemented, "ROUTE_NOT_FOUND");
    }
}

#[tokio::test]
async fn health_says_that_every_service_is_serving() {
    let orqit = Orqit::start().await;
    let mut health = HealthClient::new(orqit.channel().await);
    let ours = SERVICES.into_iter().filter(|name| name.starts_with("orqit."));
    for service in ours.chain([""]) {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = health.check(request.clone()).await.expect("known").into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
        let mut watch = health.watch(request).await.expect("known").into_inner();
        let first = watch.message().await.expect("a status").expect("a status");
        assert_eq!(first.status(), ServingStatus::Serving, "{service}");
    }
    let unknown = HealthCheckRequest { service: "orqit.v1.Nothing".to_owned() };
    assert_eq!(health.check(unknown).await.expect_err("unknown").code(), Code::NotFound);
}
