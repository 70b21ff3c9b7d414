//! The metrics of a process of its own, so that no other test adds to them.

use serde_json::json;
use tonic::transport::Channel;

use crate::cli::Machine;
use crate::support::grpc::assert_refused;
use crate::support::requests::vpn;
use crate::support::rest::Rest;

use orqit::pb;
use orqit::pb::ticket_service_client::TicketServiceClient;

/// The value of a sample by its name and labels, as they are written; none if it is not there.
fn sample(page: &str, name: &str) -> Option<f64> {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map(|value| value.parse().expect("a number"))
}

/// Waits until a gauge is 0: now and then the service writes something of its own.
async fn falls_to_zero(rest: &Rest, gauge: &str) {
    let mut last = None;
    for _ in 0..100 {
        let page = rest.get("//metrics").await.body;
        last = sample(std::str::from_utf8(&page).expect("text"), gauge);
        if last == Some(0.0) {
            return;
        }
    }
    panic!("{gauge} stays at {last:?}");
}

#[tokio::test]
async fn metrics_tell_how_often_and_how_long_of_requests_and_of_the_store() {
    let machine = Machine::new().await;
    let serving = machine.serve(&[]).await;
    let key = machine.unlimited_key("tickets:write").await;
    let rest = Rest::new(serving.url.clone(), &key);
    for _ in 0..3 {
        rest.post("/tickets", json!(vpn())).await.data(201);
    }
    rest.post("/tickets", json!({})).await.error(400, "VALIDATION_FAILED");
    rest.get("/ping").await.data(200);
    let channel = Channel::from_shared(serving.url.clone()).expect("a URL").connect().await;
    let mut grpc = TicketServiceClient::new(channel.expect("connected"));
    let refused = grpc.get_ticket(pb::GetTicketRequest::default()).await.expect_err("no key");
    assert_refused(&refused, tonic::Code::Unauthenticated, "MISSING_API_KEY");

    let page = rest.get("//metrics").await.body;
    let page = String::from_utf8(page).expect("text");
    for (name, expected) in [
        (
            "request_duration_seconds_count{rpc=\"orqit.v1.TicketService/CreateTicket\",protocol=\"rest\",status=\"2xx\"}",
            3.0,
        ),
        (
            "request_duration_seconds_count{rpc=\"orqit.v1.TicketService/CreateTicket\",protocol=\"rest\",status=\"4xx\"}",
            1.0,
        ),
        (
            "request_duration_seconds_count{rpc=\"orqit.v1.TicketService/GetTicket\",protocol=\"grpc\",status=\"4xx\"}",
            1.0,
        ),
        (
            "request_duration_seconds_count{rpc=\"orqit.v1.SystemService/Ping\",protocol=\"rest\",status=\"2xx\"}",
            1.0,
        ),
        (
            "request_duration_seconds_bucket{rpc=\"orqit.v1.TicketService/CreateTicket\",protocol=\"rest\",status=\"2xx\",le=\"30\"}",
            3.0,
        ),
        ("store_operation_duration_seconds_count{operation=\"insert\",of=\"tickets\"}", 3.0),
    ] {
        assert_eq!(sample(&page, &format!("orqit_{name}")), Some(expected), "{name}\n{page}");
    }
    let commits =
        "orqit_store_operation_duration_seconds_count{operation=\"commit\",of=\"transactions\"}";
    assert!(sample(&page, commits) >= Some(3.0), "{page}");
    assert!(sample(&page, "orqit_database_connections{state=\"idle\"}").is_some(), "{page}");
    for gauge in ["changes_open", "changes_waiting", "held_bytes{of=\"request bodies\"}"] {
        falls_to_zero(&rest, &format!("orqit_{gauge}")).await;
    }
    // Its help stands beside each, and no key in any.
    for name in ["request_duration_seconds", "store_operation_duration_seconds", "connections"] {
        assert!(page.contains(&format!("# HELP orqit_{name} ")), "{name}\n{page}");
    }
    assert!(!page.contains(&key), "a key is in the metrics");
    serving.stop().await;
}
