//! What is sent to endpoints: once for each event, signed, tried again, and written down.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::support::receiver::{Received, Receiver, status};
use crate::support::requests::{vpn, vpn_with};
use crate::support::rest::{Rest, send};
use crate::support::server::{Options, Orqit, Webhooks};

/// Registers an endpoint, and answers its id.
async fn register(rest: &Rest, url: &str, events: &[&str]) -> i64 {
    let made = rest.post("/webhooks", json!({"url": url, "events": events})).await.data(201);
    made["id"].as_i64().expect("a number")
}

async fn ticket(rest: &Rest, title: &str) {
    rest.post("/tickets", vpn_with(json!({"title": title}))).await.data(201);
}

/// A delivery with its attempts, once `done` likes it.
async fn delivery(rest: &Rest, path: &str, done: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    for _ in 0..1000 {
        let answer = rest.get(path).await;
        if answer.status == 200 {
            last = answer.data(200);
            if done(&last) {
                return last;
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {last}");
}

/// Lets time pass, and has whoever sends look what is due of an endpoint.
fn pass(orqit: &Orqit, endpoint: i64, millis: i64) {
    orqit.clock.advance_millis(millis);
    orqit.store.wakes().due().add((orqit.workspace.id, endpoint));
}

fn succeeded(delivery: &Value) -> bool {
    delivery["status"] == "SUCCEEDED"
}

#[tokio::test]
async fn an_event_is_sent_once_to_each_endpoint_that_subscribes_to_it() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let (all, some) = (Receiver::start().await, Receiver::start().await);
    rest.post("/tickets", vpn()).await.data(201);
    register(&rest, &all.url(), &["*", "ticket.*", "ticket.created"]).await;
    register(&rest, &some.url(), &["ticket.status_changed", "user.*"]).await;
    ticket(&rest, "2").await;
    rest.patch("/tickets/2", json!({"status": "IN_PROGRESS"})).await.data(200);
    rest.post("/users", json!({"displayName": "Ana", "email": "ana@example.com"})).await.data(201);
    // What happened before an endpoint was there, and its own beginning, it does not get.
    let arrived = all.wait(4).await;
    let mut sequences: Vec<_> = arrived.iter().map(Received::sequence).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, [3, 4, 5, 6]);
    let mut sequences: Vec<_> = some.wait(2).await.iter().map(Received::sequence).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, [5, 6]);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!((all.received().len(), some.received().len()), (4, 2));

    let payloads = orqit.payloads().await;
    let of_ticket = arrived.iter().find(|it| it.sequence() == 4).expect("it");
    assert_eq!(of_ticket.json(), payloads[3]);
    assert_eq!(of_ticket.header("user-agent"), "Orqit-Webhooks/1");
    assert_eq!(of_ticket.header("content-type"), "application/json");
    assert_eq!(of_ticket.header("x-orqit-event"), "ticket.created");
    assert_eq!(of_ticket.header("x-orqit-event-id"), payloads[3]["id"]);
    assert_eq!(of_ticket.header("webhook-id"), payloads[3]["id"]);
    assert_eq!(of_ticket.header("x-orqit-attempt"), "1");
    let id = of_ticket.header("x-orqit-delivery");
    let path = format!("/webhooks/1/deliveries/{id}");
    let told = delivery(&rest, &path, succeeded).await;
    assert_eq!((&told["eventId"], &told["sequence"]), (&payloads[3]["id"], &json!(4)));
    assert_eq!((&told["attemptCount"], &told["nextAttemptAt"]), (&json!(1), &Value::Null));
    let attempt = &told["attempts"][0];
    assert_eq!((&attempt["number"], &attempt["statusCode"]), (&json!(1), &json!(200)));
    assert_eq!((&attempt["error"], &attempt["trigger"]), (&Value::Null, &json!("SCHEDULE")));
    // Of another endpoint it is none.
    let path = format!("/webhooks/2/deliveries/{id}");
    rest.get(&path).await.error(404, "DELIVERY_NOT_FOUND");
    assert!(rest.get("/webhooks/1").await.data(200)["lastDeliveryAt"].is_string());
}

#[tokio::test]
async fn what_fails_is_tried_again_by_the_schedule_until_no_attempt_is_left() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let receiver = Receiver::start().await;
    receiver.answer(|_| status(500));
    register(&rest, &receiver.url(), &["ticket.created"]).await;
    ticket(&rest, "1").await;
    let path = "/webhooks/1/deliveries/1";
    for attempts in 1..=8_usize {
        receiver.wait(attempts).await;
        let counted = |it: &Value| it["attemptCount"] == attempts && it["attempts"].is_array();
        let told = delivery(&rest, path, counted).await;
        let expected = if attempts == 8 { "FAILED" } else { "PENDING" };
        assert_eq!(told["status"], expected, "{told}");
        assert_eq!(told["nextAttemptAt"].is_string(), attempts < 8, "{told}");
        assert_eq!(told["attempts"][attempts - 1]["statusCode"], 500);
        let pauses = [0, 5, 300, 1800, 7200, 18_000, 36_000, 36_000, 0];
        // Never more than a fifth sooner.
        pass(&orqit, 1, pauses[attempts] * 790);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(receiver.received().len(), attempts);
        pass(&orqit, 1, pauses[attempts] * 411);
    }
    let numbers: Vec<_> =
        receiver.received().iter().map(|it| it.header("x-orqit-attempt").to_owned()).collect();
    assert_eq!(numbers, ["1", "2", "3", "4", "5", "6", "7", "8"]);
    let ids: Vec<_> =
        receiver.received().iter().map(|it| it.header("webhook-id").to_owned()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert!(rest.get("/webhooks/1").await.data(200)["failingSince"].is_string());
    let failed = rest.get("/webhooks/1/deliveries?status=FAILED").await;
    assert_eq!(failed.json()["meta"]["totalCount"], 1);
    assert_eq!(
        rest.get("/webhooks/1/deliveries?status=PENDING").await.json()["meta"]["totalCount"],
        0
    );
}

#[tokio::test]
async fn an_endpoint_says_when_to_come_back() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let receiver = Receiver::start().await;
    receiver.answer(|_| {
        let mut answer = status(503);
        answer.headers_mut().insert("retry-after", "120".parse().expect("a header"));
        answer
    });
    register(&rest, &receiver.url(), &["ticket.created"]).await;
    ticket(&rest, "1").await;
    receiver.wait(1).await;
    let told = delivery(&rest, "/webhooks/1/deliveries/1", |it| it["attemptCount"] == 1).await;
    assert_eq!(told["nextAttemptAt"], "2026-01-01T00:02:00.000Z");
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_disabled_and_others_are_told() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let (gone, other) = (Receiver::start().await, Receiver::start().await);
    gone.answer(|_| status(410));
    register(&rest, &gone.url(), &["*"]).await;
    register(&rest, &other.url(), &["webhook.disabled"]).await;
    let told = other.wait(1).await[0].json();
    assert_eq!(told["type"], "webhook.disabled");
    assert_eq!(told["actor"]["type"], "SYSTEM");
    assert_eq!(told["data"]["object"]["disabledReason"], "GONE");
    assert_eq!(rest.get("/webhooks/1").await.data(200)["status"], "DISABLED");
    let before = gone.received().len();
    ticket(&rest, "1").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(gone.received().len(), before);
    for path in ["/webhooks/1/test", "/webhooks/1/deliveries/1/redeliver"] {
        rest.post(path, json!({})).await.error(409, "WEBHOOK_DISABLED");
    }
    let replay = json!({"since": "2026-01-01T00:00:00Z"});
    rest.post("/webhooks/1/replay", replay).await.error(409, "WEBHOOK_DISABLED");
}

#[tokio::test]
async fn five_days_of_failures_disable_an_endpoint() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let receiver = Receiver::start().await;
    receiver.answer(|_| status(500));
    register(&rest, &receiver.url(), &["ticket.created"]).await;
    ticket(&rest, "1").await;
    delivery(&rest, "/webhooks/1/deliveries/1", |it| it["attemptCount"] == 1).await;
    orqit.clock.advance_millis(5 * 24 * 3600 * 1000 - 1000);
    ticket(&rest, "2").await;
    delivery(&rest, "/webhooks/1/deliveries/2", |it| it["attemptCount"] == 1).await;
    assert_eq!(rest.get("/webhooks/1").await.data(200)["status"], "ACTIVE");
    orqit.clock.advance_millis(2000);
    ticket(&rest, "3").await;
    delivery(&rest, "/webhooks/1", |it| it["status"] == "DISABLED").await;
    let told = rest.get("/webhooks/1").await.data(200);
    assert_eq!(told["disabledReason"], "FAILING");
    // What waited is given up, and what happens from now on is not sent until it is ACTIVE again.
    delivery(&rest, "/webhooks/1/deliveries/1", |it| it["status"] == "FAILED").await;
    ticket(&rest, "4").await;
    receiver.answer(|_| status(204));
    let again = rest.patch("/webhooks/1", json!({"status": "ACTIVE"})).await.data(200);
    assert_eq!(again["failingSince"], Value::Null);
    ticket(&rest, "5").await;
    let count = receiver.received().len();
    let last = receiver.wait(count.max(1)).await.pop().expect("one");
    drop(last);
    delivery(&rest, "/webhooks/1", |it| it["lastDeliveryAt"].is_string()).await;
    let titles: Vec<_> = receiver
        .received()
        .iter()
        .map(|it| it.json()["data"]["object"]["title"].as_str().expect("text").to_owned())
        .collect();
    assert!(titles.contains(&"5".to_owned()) && !titles.contains(&"4".to_owned()), "{titles:?}");
}

#[tokio::test]
async fn what_is_no_answer_is_told_apart() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let receiver = Receiver::start().await;
    receiver.answer(|it| match it.path.as_str() {
        "/redirect" => {
            let mut answer = status(302);
            answer.headers_mut().insert("location", "/hooks".parse().expect("a header"));
            answer
        }
        _ => status(200),
    });
    let base = format!("http://{}", receiver.address);
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let closed = format!("http://{}/", nowhere.local_addr().expect("an address"));
    drop(nowhere);
    register(&rest, &format!("{base}/redirect"), &["ticket.created"]).await;
    register(&rest, &closed, &["ticket.created"]).await;
    register(&rest, &format!("https://{}/", receiver.address), &["ticket.created"]).await;
    register(&rest, "https://nowhere.invalid/", &["ticket.created"]).await;
    ticket(&rest, "1").await;
    let mut told = Vec::new();
    for id in 1..=4 {
        let path = format!("/webhooks/{id}/deliveries/{id}");
        let one = delivery(&rest, &path, |it| it["attemptCount"] == 1).await;
        told.push(one["attempts"][0]["error"].as_str().expect("an error").to_owned());
    }
    assert_eq!(told, ["REDIRECT", "CONNECT", "TLS", "DNS"]);
    assert_eq!(receiver.received().len(), 1, "nothing is followed");
}

#[tokio::test]
async fn an_answer_is_kept_as_far_as_it_is_read() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let receiver = Receiver::start().await;
    receiver.answer(|_| {
        let mut answer =
            axum::response::Response::new(axum::body::Body::from("é\0".repeat(100_000)));
        answer.headers_mut().insert("x-note", "taken".parse().expect("a header"));
        answer
    });
    register(&rest, &receiver.url(), &["ticket.created"]).await;
    ticket(&rest, "1").await;
    let told = delivery(&rest, "/webhooks/1/deliveries/1", succeeded).await;
    let attempt = &told["attempts"][0];
    assert_eq!(attempt["responseHeaders"]["x-note"], "taken");
    let body = attempt["responseBody"].as_str().expect("text");
    assert!(body.starts_with("é\u{fffd}é") && body.chars().count() < 4096, "{}", body.len());
}

#[tokio::test]
async fn a_delivery_is_made_again_by_hand_and_a_range_is_replayed() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let receiver = Receiver::start().await;
    register(&rest, &receiver.url(), &["ticket.*"]).await;
    for title in ["1", "2", "3"] {
        ticket(&rest, title).await;
        orqit.clock.advance_millis(60_000);
    }
    receiver.wait(3).await;
    delivery(&rest, "/webhooks/1/deliveries/2", succeeded).await;
    let again = rest.post("/webhooks/1/deliveries/2/redeliver", json!({})).await.data(202);
    assert_eq!(again["id"], 2);
    let twice = |it: &Value| it["attemptCount"] == 2 && it["status"] == "SUCCEEDED";
    let told = delivery(&rest, "/webhooks/1/deliveries/2", twice).await;
    assert_eq!(told["attempts"][1]["trigger"], "MANUAL");
    assert_eq!(receiver.wait(4).await[3].header("x-orqit-attempt"), "2");
    rest.post("/webhooks/1/deliveries/99/redeliver", json!({}))
        .await
        .error(404, "DELIVERY_NOT_FOUND");

    let range = json!({"since": "2026-01-01T00:00:30Z", "until": "2026-01-01T00:02:00Z"});
    assert_eq!(rest.post("/webhooks/1/replay", range).await.data(202), json!({"count": 1}));
    let path = "/webhooks/1/deliveries/4";
    let told = delivery(&rest, path, succeeded).await;
    assert_eq!(told["attempts"][0]["trigger"], "REPLAY");
    let all = json!({"since": "2026-01-01T00:00:00Z"});
    assert_eq!(rest.post("/webhooks/1/replay", all).await.data(202), json!({"count": 3}));
    assert_eq!(receiver.wait(8).await.len(), 8);
    let listed = rest.get("/webhooks/1/deliveries?perPage=2").await;
    assert_eq!(listed.json()["meta"]["totalCount"], 7);
    assert_eq!(listed.data(200)[0]["id"], 7);
    assert_eq!(listed.data(200)[0]["attempts"], Value::Null);
    let cursor = listed.json()["meta"]["nextCursor"].as_str().expect("more").to_owned();
    let next = rest.get(&format!("/webhooks/1/deliveries?cursor={cursor}&perPage=100")).await;
    assert_eq!(next.data(200)[0]["id"], 5);
    rest.get(&format!("/webhooks/1/deliveries?cursor={cursor}&status=FAILED"))
        .await
        .error(400, "VALIDATION_FAILED");
}

#[tokio::test]
async fn a_test_goes_to_its_endpoint_alone() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let (one, other) = (Receiver::start().await, Receiver::start().await);
    register(&rest, &one.url(), &["kb.*"]).await;
    register(&rest, &other.url(), &["webhook.test"]).await;
    let test = rest.post("/webhooks/1/test", json!({})).await.data(202);
    let arrived = one.wait(1).await;
    assert_eq!(arrived[0].header("x-orqit-event"), "webhook.test");
    assert_eq!(arrived[0].header("webhook-id"), test["eventId"]);
    let id = arrived[0].header("x-orqit-delivery");
    let told = delivery(&rest, &format!("/webhooks/1/deliveries/{id}"), succeeded).await;
    assert_eq!(told["attempts"][0]["trigger"], "TEST");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(other.received().is_empty());
}

#[tokio::test]
async fn both_secrets_sign_while_they_overlap() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let receiver = Receiver::start().await;
    register(&rest, &receiver.url(), &["ticket.created"]).await;
    let signatures = async |count: usize| {
        ticket(&rest, "again").await;
        let arrived = receiver.wait(count).await.pop().expect("one");
        let orqit = arrived.header("x-orqit-signature").matches("v1=").count();
        assert_eq!(arrived.header("webhook-signature").split(' ').count(), orqit);
        orqit
    };
    assert_eq!(signatures(1).await, 1);
    rest.post("/webhooks/1/rotate-secret", json!({"overlapSeconds": 3600})).await.data(200);
    assert_eq!(signatures(2).await, 2);
    rest.post("/webhooks/1/rotate-secret", json!({"overlapSeconds": 3600})).await.data(200);
    assert_eq!(signatures(3).await, 3);
    orqit.clock.advance_millis(3_600_001);
    assert_eq!(signatures(4).await, 1);
    rest.post("/webhooks/1/rotate-secret", json!({"overlapSeconds": 0})).await.data(200);
    assert_eq!(signatures(5).await, 1);
}

#[tokio::test]
async fn nothing_is_sent_to_an_endpoint_that_is_off_or_gone() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let receiver = Receiver::start().await;
    receiver.answer(|_| status(500));
    register(&rest, &receiver.url(), &["ticket.created"]).await;
    ticket(&rest, "1").await;
    delivery(&rest, "/webhooks/1/deliveries/1", |it| it["attemptCount"] == 1).await;
    rest.patch("/webhooks/1", json!({"status": "DISABLED"})).await.data(200);
    assert_eq!(rest.get("/webhooks/1/deliveries/1").await.data(200)["status"], "FAILED");
    rest.patch("/webhooks/1", json!({"status": "ACTIVE"})).await.data(200);
    ticket(&rest, "2").await;
    delivery(&rest, "/webhooks/1/deliveries/2", |it| it["attemptCount"] == 1).await;
    send(rest.request(Method::DELETE, "/webhooks/1")).await.data(200);
    rest.get("/webhooks/1/deliveries").await.error(404, "WEBHOOK_NOT_FOUND");
    let before = receiver.received().len();
    pass(&orqit, 1, 3_600_000);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(receiver.received().len(), before);
}

/// Thirty-two at a time, begun in order of their sequence, while another endpoint never answers.
#[tokio::test(flavor = "multi_thread")]
async fn first_attempts_begin_in_order_and_one_endpoint_holds_up_no_other() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let (quick, slow) = (Receiver::start().await, Receiver::start().await);
    slow.pause(Duration::from_secs(3600));
    register(&rest, &slow.url(), &["ticket.created"]).await;
    register(&rest, &quick.url(), &["ticket.created"]).await;
    const COUNT: i64 = 200;
    for title in 0..COUNT {
        ticket(&rest, &title.to_string()).await;
    }
    let arrived = quick.wait(COUNT as usize).await;
    assert_eq!(arrived.len(), COUNT as usize);
    assert_eq!(slow.received().len(), 32);
    let mut begun = Vec::new();
    let mut cursor = "start".to_owned();
    loop {
        let page = rest.get(&format!("/webhooks/2/deliveries?perPage=100&cursor={cursor}")).await;
        for one in page.data(200).as_array().expect("a list") {
            let path = format!("/webhooks/2/deliveries/{}", one["id"]);
            let told = delivery(&rest, &path, succeeded).await;
            begun.push((told["sequence"].as_i64(), told["attempts"][0]["startedAt"].to_string()));
        }
        let Some(next) = page.json()["meta"]["nextCursor"].as_str().map(str::to_owned) else {
            break;
        };
        cursor = next;
    }
    begun.sort();
    assert_eq!(begun.len(), COUNT as usize);
    assert!(begun.is_sorted_by(|one, next| one.1 <= next.1), "{begun:?}");
}

#[tokio::test]
async fn names_are_checked_at_each_attempt() {
    use std::net::IpAddr;
    use std::pin::Pin;
    use std::sync::Arc;

    /// Says that a name has these addresses.
    struct Says(Vec<IpAddr>);
    impl orqit::webhooks::connect::Resolve for Says {
        fn resolve<'a>(
            &'a self,
            _: &'a str,
        ) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send + 'a>> {
            let addresses = self.0.clone();
            Box::pin(async move { Ok(addresses) })
        }
    }

    // One that is allowed beside one that is not is none.
    let says = ["127.0.0.1", "10.0.0.1"].map(|address| address.parse().expect("an address"));
    let webhooks = Webhooks { resolver: Arc::new(Says(says.to_vec())), ..Webhooks::default() };
    let orqit = Orqit::start_with(Options { webhooks, ..Options::default() }).await;
    let rest = orqit.rest_as(&["admin"]).await;
    let receiver = Receiver::start().await;
    let port = receiver.address.port();
    register(&rest, &format!("http://desk.example:{port}/"), &["ticket.created"]).await;
    ticket(&rest, "1").await;
    let told = delivery(&rest, "/webhooks/1/deliveries/1", |it| it["attemptCount"] == 1).await;
    assert_eq!(told["attempts"][0]["error"], "FORBIDDEN_ADDRESS");
    assert!(receiver.received().is_empty());
}
