//! Comments on tickets, and what one does to its ticket, through the API.

use http::Method;
use orqit::pb;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::grpc::{assert_refused, violations};
use crate::support::requests::vpn_with;
use crate::support::rest::{Rest, send};
use crate::support::server::{Orqit, with_key};

const SCOPES: &[&str] = &["tickets:create", "tickets:read", "tickets:write"];
const COMMENTS: &str = "/tickets/1/comments";
const DAY_MILLIS: i64 = 24 * 3600 * 1000;

async fn say(rest: &Rest, comment: Value) -> Value {
    rest.post(COMMENTS, comment).await.data(201)
}

async fn ticket(rest: &Rest) -> Value {
    rest.get("/tickets/1").await.data(200)
}

/// A server with one ticket, whose requester is the user 3.
async fn start() -> (Orqit, Rest) {
    let orqit = Orqit::start().await;
    let requester = orqit.user("Ana").await;
    let rest = orqit.rest_as(SCOPES).await;
    let with = vpn_with(json!({ "requesterId": requester }));
    assert_eq!(rest.post("/tickets", with).await.data(201)["requesterId"], 3);
    (orqit, rest)
}

#[tokio::test]
async fn a_comment_is_answered_with_every_field_and_raises_its_ticket() {
    let (orqit, rest) = start().await;
    orqit.clock.advance_millis(1000);
    let created = rest.post(COMMENTS, json!({"body": "<b>On it</b> \u{1f600}"})).await;
    let expected = json!({
        "id": 1, "ticketId": 1, "body": "<b>On it</b> \u{1f600}", "visibility": "PUBLIC",
        "authorId": 2, "channel": "API", "externalId": null,
        "createdAt": "2026-01-01T00:00:01.000Z", "createdBy": 2,
    });
    assert_eq!(created.data(201), expected);
    assert_eq!(created.header("etag"), None);
    let now = ticket(&rest).await;
    assert_eq!((&now["commentCount"], &now["version"]), (&json!(1), &json!(2)));
    assert_eq!(
        (&now["updatedAt"], &now["status"]),
        (&json!("2026-01-01T00:00:01.000Z"), &json!("OPEN"))
    );
    let internal = json!({"body": "Call them", "visibility": "INTERNAL", "authorId": 3});
    let internal = say(&rest, internal).await;
    assert_eq!((&internal["visibility"], &internal["authorId"]), (&json!("INTERNAL"), &json!(3)));
    assert_eq!(rest.get(COMMENTS).await.data(200), json!([internal, expected]));
    // A comment is no change of a field.
    assert_eq!(rest.get("/tickets/1/history").await.data(200), json!([]));
}

#[tokio::test]
async fn comments_are_filtered_and_read_on_by_cursor() {
    let (_orqit, rest) = start().await;
    for number in 1..=6 {
        let visibility = if number % 2 == 0 { "INTERNAL" } else { "PUBLIC" };
        say(&rest, json!({"body": number.to_string(), "visibility": visibility})).await;
    }
    let bodies = |rows: &Value| -> Vec<String> {
        let rows = rows.as_array().expect("a list").iter();
        rows.map(|row| row["body"].as_str().expect("text").to_owned()).collect()
    };
    let internal = rest.get(&format!("{COMMENTS}?visibility=INTERNAL")).await;
    assert_eq!(bodies(&internal.data(200)), ["6", "4", "2"]);
    assert_eq!(internal.json()["meta"]["totalCount"], 3);
    let (mut seen, mut cursor) = (Vec::new(), "start".to_owned());
    loop {
        let page = rest.get(&format!("{COMMENTS}?perPage=4&cursor={cursor}")).await;
        seen.extend(bodies(&page.data(200)));
        match page.json()["meta"]["nextCursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
        say(&rest, json!({"body": "meanwhile"})).await;
    }
    assert_eq!(seen, ["6", "5", "4", "3", "2", "1"]);
    let other = rest.get(&format!("{COMMENTS}?visibility=PUBLIC&cursor={cursor}")).await;
    assert_eq!(other.wrong_fields(), ["cursor"]);
    let wrong = rest.get(&format!("{COMMENTS}?visibility=SECRET&perPage=0")).await;
    assert_eq!(wrong.wrong_fields(), ["visibility", "perPage"]);
}

#[tokio::test]
async fn the_requester_who_speaks_up_in_public_opens_the_ticket_again() {
    let (orqit, rest) = start().await;
    let by_requester = json!({"body": "It is back", "authorId": 3});
    for (status, opens) in [
        ("IN_PROGRESS", false),
        ("PENDING", true),
        ("RESOLVED", true),
        ("CLOSED", true),
        ("CANCELLED", false),
    ] {
        rest.patch("/tickets/1", json!({ "status": status })).await.data(200);
        let before = ticket(&rest).await;
        // Neither somebody else nor a note among those who work on it.
        say(&rest, json!({"body": "Looking into it"})).await;
        let internal = json!({"body": "x", "authorId": 3, "visibility": "INTERNAL"});
        say(&rest, internal).await;
        assert_eq!(ticket(&rest).await["status"], status);
        say(&rest, by_requester.clone()).await;
        let after = ticket(&rest).await;
        let expected = if opens { "OPEN" } else { status };
        assert_eq!(after["status"], expected, "{status}");
        let versions = after["version"].as_i64().zip(before["version"].as_i64());
        assert_eq!(versions.map(|(after, before)| after - before), Some(3), "{status}");
        if status == "CLOSED" {
            assert_eq!((&after["closedAt"], &after["reopenCount"]), (&json!(null), &json!(2)));
            let history = rest.get("/tickets/1/history").await.data(200);
            let fields: Vec<_> = history.as_array().expect("a list").iter().take(4).collect();
            assert!(fields.iter().any(|entry| entry["field"] == "status" && entry["to"] == "OPEN"));
            assert!(
                history.as_array().expect("a list").iter().all(|it| it["field"] != "commentCount")
            );
        }
    }
    rest.patch("/tickets/1", json!({"status": "OPEN"})).await.data(200);
    rest.patch("/tickets/1", json!({"status": "CLOSED"})).await.data(200);
    orqit.clock.advance_millis(30 * DAY_MILLIS + 1);
    say(&rest, by_requester).await;
    assert_eq!(ticket(&rest).await["status"], "CLOSED", "too late: the comment is kept");
}

#[tokio::test]
async fn a_comment_is_one_event_and_opening_the_ticket_another() {
    let (orqit, rest) = start().await;
    rest.patch("/tickets/1", json!({"status": "PENDING"})).await.data(200);
    let comment = say(&rest, json!({"body": "Here", "authorId": 3})).await;
    let payloads = orqit.payloads().await;
    let [.., created, updated] = payloads.as_slice() else { panic!("events") };
    assert_eq!(created["type"], "ticket.comment.created");
    assert_eq!(created["data"]["object"], comment);
    let now = ticket(&rest).await;
    let members = ["id", "ticketNumber", "version", "commentCount", "status", "updatedAt"];
    let shown = members.map(|name| (name.to_owned(), now[name].clone()));
    assert_eq!(created["data"]["ticket"], Value::Object(shown.into_iter().collect()));
    assert_eq!(updated["type"], "ticket.updated");
    assert_eq!(updated["data"]["changedFields"], json!(["status"]));
    let before = payloads.len();
    say(&rest, json!({"body": "Thanks", "authorId": 3})).await;
    assert_eq!(orqit.payloads().await.len(), before + 1);
}

#[tokio::test]
async fn a_precondition_of_a_comment_is_about_its_ticket() {
    let (_orqit, rest) = start().await;
    let post = |tag: &'static str| {
        let request = rest.request(Method::POST, COMMENTS).header("if-match", tag);
        send(request.json(&json!({"body": "x"})))
    };
    post("\"2\"").await.error(412, "VERSION_CONFLICT");
    post("\"1\"").await.data(201);
    post("\"1\"").await.error(412, "VERSION_CONFLICT");
    post("*").await.data(201);
    rest.post(COMMENTS, json!({"body": "x", "version": 2})).await.error(412, "VERSION_CONFLICT");
    rest.post(COMMENTS, json!({"body": "x", "version": 3})).await.data(201);
    assert_eq!(ticket(&rest).await["commentCount"], 3);
}

#[tokio::test]
async fn a_comment_that_is_wrong_is_refused_and_leaves_nothing() {
    let (orqit, rest) = start().await;
    for (body, field) in [
        (json!({}), "body"),
        (json!({"body": ""}), "body"),
        (json!({"body": null}), "body"),
        (json!({"body": "x".repeat(65_537)}), "body"),
        (json!({"body": "x", "visibility": "SECRET"}), "visibility"),
        (json!({"body": "x", "authorId": "Ana"}), "authorId"),
        (json!({"body": "x", "channel": "EMAIL"}), "channel"),
        (json!({"body": "x", "id": 1}), "id"),
    ] {
        let refused = rest.post(COMMENTS, body).await;
        assert_eq!(
            (refused.status.as_u16(), refused.wrong_fields()),
            (400, vec![field.to_owned()])
        );
    }
    let elsewhere = orqit.workspace("other").await;
    for name in ["A", "B", "C"] {
        orqit.user_of(&elsewhere, name).await;
    }
    let mut texts = Vec::new();
    for author in [5, 99, 0, -1] {
        let refused = rest.post(COMMENTS, json!({"body": "x", "authorId": author})).await;
        texts.push(refused.error(400, "INVALID_REFERENCE")["details"].clone());
    }
    texts.dedup();
    assert_eq!(texts.len(), 1);
    rest.post("/tickets/9/comments", json!({"body": "x"})).await.error(404, "TICKET_NOT_FOUND");
    let other = orqit.rest(&orqit.key_of(&elsewhere, SCOPES).await);
    other.post(COMMENTS, json!({"body": "x"})).await.error(404, "TICKET_NOT_FOUND");
    other.get(COMMENTS).await.error(404, "TICKET_NOT_FOUND");
    let reader = orqit.rest_as(&["tickets:read"]).await;
    reader.post(COMMENTS, json!({"body": "x"})).await.error(403, "INSUFFICIENT_SCOPE");
    send(rest.request(Method::DELETE, &format!("{COMMENTS}/1")))
        .await
        .error(404, "ROUTE_NOT_FOUND");
    assert_eq!(ticket(&rest).await["version"], 1);
    say(&rest, json!({"body": "x".repeat(65_536)})).await;
}

#[tokio::test]
async fn a_comment_under_an_idempotency_key_is_made_once() {
    let (_orqit, rest) = start().await;
    let post = |body: &'static str| {
        let request = rest.request(Method::POST, COMMENTS).header("idempotency-key", "once");
        send(request.json(&json!({ "body": body })))
    };
    let first = post("x").await;
    let again = post("x").await;
    assert_eq!((first.data(201), first.body), (again.data(201), again.body));
    post("y").await.error(409, "IDEMPOTENCY_KEY_CONFLICT");
    assert_eq!(ticket(&rest).await["commentCount"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn comments_at_once_are_all_counted() {
    let (_orqit, rest) = start().await;
    let comments = (0..20).map(|number| {
        let rest = rest.clone();
        tokio::spawn(async move { say(&rest, json!({"body": number.to_string()})).await })
    });
    for comment in comments.collect::<Vec<_>>() {
        comment.await.expect("no panic");
    }
    let now = ticket(&rest).await;
    assert_eq!((&now["commentCount"], &now["version"]), (&json!(20), &json!(21)));
    assert_eq!(rest.get(COMMENTS).await.json()["meta"]["totalCount"], 20);
}

#[tokio::test]
async fn grpc_makes_and_lists_the_same_comments() {
    let (orqit, rest) = start().await;
    let key = orqit.key(SCOPES).await;
    let mut client = orqit.tickets().await;
    let request = pb::CreateTicketCommentRequest {
        id: "TCK-1".to_owned(),
        body: "By gRPC".to_owned(),
        visibility: Some(pb::CommentVisibility::Internal.into()),
        ..Default::default()
    };
    let made = client.create_ticket_comment(with_key(&key, request.clone())).await.expect("made");
    let comment = made.into_inner().comment.expect("a comment");
    let list = pb::ListTicketCommentsRequest { id: "1".to_owned(), ..Default::default() };
    let listed = client.list_ticket_comments(with_key(&key, list)).await.expect("listed");
    assert_eq!(listed.into_inner().comments, [comment]);
    assert_eq!(rest.get(COMMENTS).await.data(200)[0]["body"], "By gRPC");
    let stale = pb::CreateTicketCommentRequest { version: Some(1), ..request.clone() };
    let refused = client.create_ticket_comment(with_key(&key, stale)).await.expect_err("stale");
    assert_refused(&refused, Code::Aborted, "VERSION_CONFLICT");
    let wrong =
        pb::CreateTicketCommentRequest { visibility: Some(9), body: String::new(), ..request };
    let refused = client.create_ticket_comment(with_key(&key, wrong)).await.expect_err("wrong");
    assert_eq!(violations(&refused), ["body", "visibility"]);
}
