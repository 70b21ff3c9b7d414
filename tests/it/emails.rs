//! E-mails: sent once, tried again, held, and told of.

use std::time::Duration;

use http::Method;
use orqit::pb;
use orqit::store::webhooks::MAIL;
use orqit::usage::retention::Retention;
use serde_json::{Value, json};

use crate::support::requests::vpn_with;
use crate::support::rest::{Rest, send};
use crate::support::server::{Options, Orqit, with_key};
use crate::support::smtp::{Answer, Smtp};

async fn start(smtp: &Smtp) -> Orqit {
    Orqit::start_with(Options { email: Some(smtp.settings()), ..Options::default() }).await
}

fn laptop() -> Value {
    json!({"to": ["ana@example.com"], "subject": "Your new laptop", "text": "It is ready."})
}

/// An e-mail once `done` likes it.
async fn email(rest: &Rest, id: i64, done: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    for _ in 0..1000 {
        last = rest.get(&format!("/emails/{id}")).await.data(200);
        if done(&last) {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {last}");
}

async fn with_status(rest: &Rest, id: i64, status: &str) -> Value {
    email(rest, id, |email| email["status"] == status).await
}

/// Lets time pass, and has whoever sends look what is due.
fn pass(orqit: &Orqit, seconds: i64) {
    orqit.clock.advance_millis(seconds * 1000);
    orqit.store.wakes().due().add((orqit.workspace.id, MAIL));
}

#[tokio::test]
async fn an_email_is_sent_and_told_of() {
    let smtp = Smtp::start().await;
    let orqit = start(&smtp).await;
    let rest = orqit.rest_as(&["email:send"]).await;
    let sent = json!({
        "to": ["ana@example.com", "josé@bücher.example"], "cc": ["bob@example.com"],
        "subject": "Größe ✓", "text": "Plain: ü\n.\nend", "html": "<p>Rich: ü</p>",
        "replyTo": "desk@example.com",
    });
    let made = rest.post("/emails", sent.clone()).await.data(201);
    for (field, value) in sent.as_object().expect("an object") {
        assert_eq!(made[field], *value, "{field}");
    }
    assert_eq!((&made["id"], &made["status"]), (&json!(1), &json!("QUEUED")));
    let shown = with_status(&rest, 1, "SENT").await;
    assert_eq!(shown["attemptCount"], 1);
    assert_eq!(shown["serverResponse"], "250 2.0.0 queued as 4711");
    assert!(shown["sentAt"].is_string() && shown["lastError"].is_null());

    let arrived = &smtp.arrived()[0];
    assert_eq!(arrived.from, "desk@example.com");
    let to = ["ana@example.com", "josé@xn--bcher-kva.example", "bob@example.com"];
    assert_eq!(arrived.to, to);
    assert_eq!(arrived.header("Subject"), "=?utf-8?b?R3LDtsOfZSDinJM=?=");
    assert_eq!(arrived.header("Cc"), "bob@example.com");
    assert_eq!(arrived.header("Reply-To"), "desk@example.com");
    let id = format!("<email.1.{}@example.com>", orqit.workspace.public_id);
    assert_eq!(arrived.header("Message-ID"), id);
    assert_eq!(arrived.header("Auto-Submitted"), "");
    assert!(arrived.text.contains("text/plain") && arrived.text.contains("text/html"));

    let events = orqit.payloads().await;
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0]["type"], &events[0]["data"]["object"]), (&json!("email.sent"), &shown));
    let changed = &events[0]["data"]["changedFields"];
    assert_eq!(*changed, json!(["status", "attemptCount", "serverResponse", "sentAt"]));
    let listed = rest.get("/emails?status=SENT").await.data(200);
    assert_eq!(listed, json!([shown]));
    assert_eq!(rest.get("/emails?status=FAILED&status=QUEUED").await.data(200), json!([]));
}

#[tokio::test]
async fn an_email_is_sent_over_grpc() {
    let smtp = Smtp::start().await;
    let orqit = start(&smtp).await;
    let key = orqit.key(&["email:send"]).await;
    let mut client = pb::email_service_client::EmailServiceClient::new(orqit.channel().await);
    let request = pb::SendEmailRequest {
        to: vec!["ana@example.com".to_owned()],
        subject: "Hello".to_owned(),
        html: Some("<p>Hello</p>".to_owned()),
        ..Default::default()
    };
    let made = client.send_email(with_key(&key, request)).await.expect("made").into_inner();
    assert_eq!(made.email.expect("an e-mail").status(), pb::EmailStatus::Queued);
    assert_eq!(smtp.wait(1).await[0].to, ["ana@example.com"]);
    let request = pb::SendEmailRequest { to: vec!["ana".to_owned()], ..Default::default() };
    let status = client.send_email(with_key(&key, request)).await.expect_err("no address");
    assert_eq!(crate::support::grpc::violations(&status), ["subject", "to[0]", "text"]);
}

#[tokio::test]
async fn what_is_refused_for_now_is_tried_again_and_what_is_refused_for_good_is_not() {
    let smtp = Smtp::start().await;
    let orqit = start(&smtp).await;
    let rest = orqit.rest_as(&["email:send"]).await;
    smtp.answer(&[Answer::Line("451 4.7.1 come back later"), Answer::HangUp]);
    rest.post("/emails", laptop()).await.data(201);
    let shown = email(&rest, 1, |email| email["attemptCount"] == 1).await;
    assert_eq!(shown["status"], "QUEUED");
    let error = shown["lastError"].as_str().expect("a text");
    assert!(error.contains("451") && error.contains("come back later"), "{error}");
    pass(&orqit, 3);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(smtp.arrived().len(), 1, "not before its time");
    pass(&orqit, 3);
    let shown = email(&rest, 1, |email| email["attemptCount"] == 2).await;
    assert_eq!(shown["status"], "QUEUED");
    pass(&orqit, 400);
    let shown = with_status(&rest, 1, "SENT").await;
    assert_eq!((&shown["attemptCount"], &shown["lastError"]), (&json!(3), &Value::Null));
    let ids: Vec<_> = smtp.arrived().iter().map(|it| it.header("Message-ID").to_owned()).collect();
    assert!(ids.len() == 3 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");

    let refused =
        json!({"to": ["ana@example.com", "nobody@example.com"], "subject": "x", "text": "x"});
    rest.post("/emails", refused).await.data(201);
    let shown = with_status(&rest, 2, "FAILED").await;
    assert_eq!(shown["attemptCount"], 1);
    let error = shown["lastError"].as_str().expect("a text");
    assert!(error.contains("550") && error.contains("nobody of that name"), "{error}");
    let types: Vec<_> = orqit.payloads().await.iter().map(|it| it["type"].clone()).collect();
    assert_eq!(types, ["email.sent", "email.failed"]);
}

#[tokio::test]
async fn what_can_be_no_email_is_refused() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["email:send"]).await;
    let with = |field: &str, value: Value| {
        let mut body = laptop();
        body[field] = value;
        body
    };
    let many: Vec<_> = (0..21).map(|n| format!("a{n}@example.com")).collect();
    for (field, value) in [
        ("to", json!([])),
        ("to", json!(many)),
        ("subject", json!("")),
        ("subject", json!("a\r\nBcc: eve@example.com")),
        ("subject", json!("a\nb")),
        ("subject", json!("x".repeat(999))),
        ("text", json!("x".repeat(262_145))),
        ("text", json!("ü".repeat(131_073))),
        ("html", json!("x".repeat(262_145))),
        ("replyTo", json!("desk")),
        ("replyTo", json!("a@example.com\r\nBcc: eve@example.com")),
        ("cc", json!(many)),
    ] {
        let refused = rest.post("/emails", with(field, value.clone())).await;
        refused.error(400, "VALIDATION_FAILED");
        assert_eq!(refused.wrong_fields(), [field], "{field}");
    }
    for address in [
        "ana",
        "ana@",
        "@example.com",
        "ana@localhost",
        "ana@127.0.0.1",
        "Ana <ana@example.com>",
        "ana@example.com,eve@example.com",
        "ana@example.com\nBcc: eve@example.com",
        "a b@example.com",
    ] {
        let refused = rest.post("/emails", with("to", json!([address]))).await;
        refused.error(400, "VALIDATION_FAILED");
        assert_eq!(refused.wrong_fields(), ["to[0]"], "{address}");
    }
    let mut nothing = laptop();
    nothing.as_object_mut().expect("an object").remove("text");
    assert_eq!(rest.post("/emails", nothing).await.wrong_fields(), ["text"]);
    for right in [
        with("text", json!("x".repeat(262_144))),
        with("subject", json!("ü".repeat(998))),
        with("to", json!(many[..20])),
        with("to", json!(["josé@example.com"])),
    ] {
        assert_eq!(rest.post("/emails", right).await.data(201)["status"], "HELD");
    }
    rest.get("/emails/5").await.error(404, "EMAIL_NOT_FOUND");
    rest.get("/emails/x").await.error(404, "EMAIL_NOT_FOUND");
}

#[tokio::test]
async fn an_email_that_is_held_is_sent_once_there_is_a_server() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["email:send"]).await;
    let once =
        || rest.request(Method::POST, "/emails").header("Idempotency-Key", "a").json(&laptop());
    let made = send(once()).await.data(201);
    assert_eq!(made["status"], "HELD");
    // Not twice, however often it is asked for.
    assert_eq!(send(once()).await.data(201), made);
    let smtp = Smtp::start().await;
    let options = Options { email: Some(smtp.settings()), ..Options::default() };
    let replica = orqit.replica(options).await;
    pass(&orqit, 1);
    with_status(&rest, 1, "SENT").await;
    assert_eq!(smtp.arrived().len(), 1);
    drop(replica);
}

#[tokio::test]
async fn what_outlives_those_who_send_it_fails_after_five_times() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["email:send"]).await;
    rest.post("/emails", laptop()).await.data(201);
    let key = (orqit.workspace.id, MAIL);
    let claim = async |token: i64| {
        orqit.store.record_attempts(&[], &[(key, 9)], token).await.expect("claimed").claims.len()
    };
    for token in 1..=5 {
        assert_eq!((claim(token).await, claim(token + 10).await), (1, 0), "claim {token}");
        orqit.clock.advance_millis(150_001);
    }
    let smtp = Smtp::start().await;
    let options = Options { email: Some(smtp.settings()), ..Options::default() };
    let replica = orqit.replica(options).await;
    pass(&orqit, 0);
    let shown = with_status(&rest, 1, "FAILED").await;
    assert_eq!(shown["attemptCount"], 5);
    assert_eq!(shown["lastError"], "whoever sent it did not finish, five times");
    assert_eq!(orqit.payloads().await.last().expect("an event")["type"], "email.failed");
    assert_eq!(smtp.arrived().len(), 0);
    drop(replica);
}

#[tokio::test]
async fn what_was_sent_is_kept_for_a_time_and_what_is_to_be_sent_for_good() {
    let smtp = Smtp::start().await;
    let orqit = start(&smtp).await;
    let rest = orqit.rest_as(&["email:send"]).await;
    smtp.answer(&[Answer::Line("250 taken"), Answer::Line("550 no"), Answer::Line("451 later")]);
    for (id, status) in [(1, "SENT"), (2, "FAILED"), (3, "QUEUED")] {
        rest.post("/emails", laptop()).await.data(201);
        email(&rest, id, |it| it["status"] == status && it["attemptCount"] == 1).await;
    }
    let kept = Duration::from_secs(3600);
    let retention = Retention { request_logs: kept, events: kept, emails: kept };
    let forget = async || {
        while retention.delete_batch(&orqit.store, orqit.clock.now()).await.expect("deleted") > 0 {}
        rest.get("/emails").await.json()["meta"]["totalCount"].clone()
    };
    assert_eq!(forget().await, 3);
    orqit.clock.advance_millis(3_601_000);
    assert_eq!(forget().await, 1);
    rest.get("/emails/1").await.error(404, "EMAIL_NOT_FOUND");
    rest.get("/emails/2").await.error(404, "EMAIL_NOT_FOUND");
    // And it is sent all the same.
    pass(&orqit, 0);
    with_status(&rest, 3, "SENT").await;
}

/// Makes users, and answers their ids.
async fn people(rest: &Rest, names: &[&str]) -> Vec<i64> {
    let mut ids = Vec::new();
    for name in names {
        let user = json!({"displayName": name, "email": format!("{name}@example.com")});
        ids.push(rest.post("/users", user).await.data(201)["id"].as_i64().expect("an id"));
    }
    ids
}

#[tokio::test]
async fn requester_and_watchers_hear_of_public_comments_where_the_workspace_wants_it() {
    let smtp = Smtp::start().await;
    let orqit = start(&smtp).await;
    let rest = orqit.rest_as(&["admin"]).await;
    let ids = people(&rest, &["ana", "bob", "eve"]).await;
    let ticket = json!({"requesterId": ids[0], "watcherUserIds": [ids[1], ids[2]], "title": "VPN"});
    rest.post("/tickets", vpn_with(ticket)).await.data(201);
    let comment = async |body: Value| {
        rest.post("/tickets/1/comments", body).await.data(201);
    };
    comment(json!({"body": "Before"})).await;
    assert_eq!(rest.get("/workspace").await.data(200)["notifyByEmail"], false);
    rest.patch("/workspace", json!({"notifyByEmail": true})).await.data(200);
    rest.patch(&format!("/users/{}", ids[2]), json!({"status": "SUSPENDED"})).await.data(200);
    comment(json!({"body": "Secret", "visibility": "INTERNAL"})).await;
    comment(json!({"body": "By the desk"})).await;
    comment(json!({"body": "By Bob", "authorId": ids[1]})).await;
    let arrived = smtp.wait(3).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(smtp.arrived().len(), 3);
    let mut told: Vec<_> =
        arrived.iter().map(|it| (it.text.contains("By Bob"), it.to.join(","))).collect();
    told.sort();
    let expected =
        [(false, "ana@example.com"), (false, "bob@example.com"), (true, "ana@example.com")];
    assert_eq!(told, expected.map(|(by_bob, to)| (by_bob, to.to_owned())));
    let thread = format!("<ticket.1.{}@example.com>", orqit.workspace.public_id);
    for it in &arrived {
        assert_eq!(it.header("Subject"), "Re: [TCK-1] VPN");
        assert_eq!((it.header("In-Reply-To"), it.header("References")), (&*thread, &*thread));
        assert_eq!(it.header("Auto-Submitted"), "auto-generated");
        assert!(!it.text.contains("Secret") && !it.text.contains("Before"));
    }
    let listed = rest.get("/emails?ticketId=1").await.data(200);
    assert_eq!(listed.as_array().expect("a list").len(), 3);
    assert_eq!(rest.get("/emails?ticketId=2").await.data(200), json!([]));
}

#[tokio::test]
async fn a_user_without_an_address_that_email_can_have_is_told_of() {
    let smtp = Smtp::start().await;
    let orqit = start(&smtp).await;
    let rest = orqit.rest_as(&["admin"]).await;
    rest.patch("/workspace", json!({"notifyByEmail": true})).await.data(200);
    let mut watchers = Vec::new();
    for email in ["ana@localhost", "bob@nowhere.INVALID"] {
        let user =
            rest.post("/users", json!({"displayName": "Ana", "email": email})).await.data(201);
        watchers.push(user["id"].clone());
    }
    rest.post("/tickets", vpn_with(json!({"watcherUserIds": watchers}))).await.data(201);
    rest.post("/tickets/1/comments", json!({"body": "Hello"})).await.data(201);
    let shown = with_status(&rest, 1, "FAILED").await;
    assert_eq!(shown["lastError"], "ana@localhost is no address of e-mail");
    rest.get("/emails/2").await.error(404, "EMAIL_NOT_FOUND");
    assert_eq!(smtp.arrived().len(), 0);
}
