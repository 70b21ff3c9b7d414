//! The paths of Tickiti, as its integrations call them.

use http::Method;
use orqit::pb;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::grpc::assert_refused;
use crate::support::rest::{Answer, Rest, send};
use crate::support::server::{Options, Orqit, with_key};
use crate::support::smtp::Smtp;

/// A request to a path of Tickiti, beside those of Orqit.
async fn call(rest: &Rest, path: &str, key: Option<&str>, body: Value) -> Answer {
    let path = format!("/../../{}", path.trim_start_matches("/api/"));
    let mut request = rest.request(Method::POST, &path).json(&body);
    if let Some(key) = key {
        request = request.header("Idempotency-Key", key);
    }
    send(request).await
}

fn printer(address: &str) -> Value {
    json!({"originator_email_address": address, "subject": "Printer", "content": "It jams."})
}

#[tokio::test]
async fn a_ticket_is_created_for_whoever_has_the_address() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["create-ticket"]).await;
    let admin = orqit.rest_as(&["admin"]).await;
    // Nobody there can give a custom field a value.
    let field = json!({"key": "site", "label": "Site", "type": "TEXT", "required": true});
    admin.post("/custom-fields", field).await.data(201);
    let made = call(&rest, "/api/create_ticket", Some("1"), printer("Ana@Example.com")).await;
    let expected = json!({"ticketId": 1, "ticketNumber": "TCK-1", "status": "OPEN"});
    assert_eq!(made.data(201), expected);
    let again = call(&rest, "/api/create_ticket", Some("1"), printer("Ana@Example.com")).await;
    assert_eq!(
        (again.data(201), again.headers["idempotent-replayed"].as_bytes()),
        (expected, &b"true"[..])
    );
    let second = call(&rest, "/api/tickets/create", None, printer("ana@example.COM")).await;
    assert_eq!(second.data(201)["ticketNumber"], "TCK-2");

    let users = admin.get("/users?email=ana@example.com").await.data(200);
    assert_eq!(users.as_array().expect("a list").len(), 1);
    let user = &users[0];
    assert_eq!((&user["displayName"], &user["email"]), (&json!("Ana"), &json!("Ana@Example.com")));
    assert_eq!((&user["role"], &user["status"]), (&json!("END_USER"), &json!("ACTIVE")));
    for id in [1, 2] {
        let ticket = admin.get(&format!("/tickets/{id}")).await.data(200);
        assert_eq!(ticket["requesterId"], user["id"]);
        assert_eq!(
            (&ticket["title"], &ticket["description"]),
            (&json!("Printer"), &json!("It jams."))
        );
        assert_eq!((&ticket["type"], &ticket["category"]), (&json!("INCIDENT"), &json!("OTHER")));
        assert_eq!(ticket["createdBy"], 2, "the SYSTEM user");
    }
    let mut own = printer("ana@example.com");
    own["use_passed_originator_as_responder"] = json!(true);
    call(&rest, "/api/tickets/create", None, own).await.data(201);
    assert_eq!(admin.get("/tickets/3").await.data(200)["createdBy"], user["id"]);
    let types: Vec<_> = orqit.payloads().await.iter().map(|it| it["type"].clone()).collect();
    assert_eq!(types[1..], ["user.created", "ticket.created", "ticket.created", "ticket.created"]);
    let actor = &orqit.payloads().await[1]["actor"];
    assert_eq!(actor["type"], "KEY");
}

#[tokio::test]
async fn what_is_said_opens_the_ticket_again() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["ticket-respond"]).await;
    let admin = orqit.rest_as(&["admin"]).await;
    call(&admin, "/api/tickets/create", None, printer("ana@example.com")).await.data(201);
    let said = |number: Value, from: &str| json!({"ticket_number": number, "from_email": from, "content": "It still jams."});
    let reply =
        call(&rest, "/api/ticket_respond", Some("1"), said(json!(1), "bob@example.com")).await;
    assert_eq!(reply.data(201), json!({"ticketId": 1, "responseId": 1, "reopened": false}));
    let ticket = admin.get("/tickets/1").await.data(200);
    let bob = admin.get("/users?email=bob@example.com").await.data(200)[0]["id"].clone();
    assert_eq!(ticket["watcherUserIds"], json!([bob]));
    assert_eq!(ticket["version"], 2);
    let comment = admin.get("/tickets/1/comments").await.data(200)[0].clone();
    assert_eq!((&comment["channel"], &comment["visibility"]), (&json!("EMAIL"), &json!("PUBLIC")));
    assert_eq!((&comment["authorId"], &comment["createdBy"]), (&bob, &json!(2)));

    for (round, status) in ["PENDING", "RESOLVED", "CLOSED"].into_iter().enumerate() {
        for step in ["IN_PROGRESS", "RESOLVED", status] {
            let path = "/tickets/1";
            if admin.get(path).await.data(200)["status"] != step {
                send(admin.request(Method::PATCH, path).json(&json!({"status": step}))).await;
            }
        }
        if admin.get("/tickets/1").await.data(200)["status"] != status {
            admin.patch("/tickets/1", json!({"status": "IN_PROGRESS"})).await.data(200);
            admin.patch("/tickets/1", json!({"status": status})).await.data(200);
        }
        let body =
            json!({"from_email": "eve@example.com", "content": "Hello?", "is_internal": true});
        let path = ["/api/tickets/TCK-1/respond", "/api/tickets/1/respond"][round % 2];
        let internal = call(&rest, path, None, body.clone()).await.data(201);
        assert_eq!(internal["reopened"], false, "{status}");
        let mut body = body;
        body["is_internal"] = json!(false);
        let open = call(&rest, path, None, body).await.data(201);
        assert_eq!(open["reopened"], true, "{status}");
        assert_eq!(admin.get("/tickets/1").await.data(200)["status"], "OPEN");
    }
    for step in ["IN_PROGRESS", "RESOLVED", "CLOSED"] {
        admin.patch("/tickets/1", json!({"status": step})).await.data(200);
    }
    orqit.clock.advance_millis(31 * 24 * 3600 * 1000);
    let late =
        call(&rest, "/api/ticket_respond", Some("2"), said(json!("TCK-1"), "ana@example.com"))
            .await;
    assert_eq!(late.data(201)["reopened"], false);
    assert_eq!(admin.get("/tickets/1").await.data(200)["status"], "CLOSED");
}

#[tokio::test]
async fn an_email_is_sent_and_the_requester_hears_of_a_ticket() {
    let smtp = Smtp::start().await;
    let options = Options { email: Some(smtp.settings()), ..Options::default() };
    let orqit = Orqit::start_with(options).await;
    let rest = orqit.rest_as(&["create-ticket", "send-email"]).await;
    let admin = orqit.rest_as(&["admin"]).await;
    let email = json!({"to_address": "ana@example.com", "subject": "Hello", "content": "There."});
    let made = call(&rest, "/api/send_email", Some("1"), email.clone()).await.data(201);
    assert_eq!((&made["to"], &made["text"]), (&json!(["ana@example.com"]), &json!("There.")));
    assert_eq!(call(&rest, "/api/send_email", Some("1"), email).await.data(201), made);
    smtp.wait(1).await;

    call(&rest, "/api/tickets/create", None, printer("ana@example.com")).await.data(201);
    admin.patch("/workspace", json!({"notifyByEmail": true})).await.data(200);
    let mut hidden = printer("ana@example.com");
    hidden["is_public"] = json!(false);
    call(&rest, "/api/tickets/create", None, hidden).await.data(201);
    let mut title = printer("ana@example.com");
    title["subject"] = json!("Über den Drucker");
    call(&rest, "/api/tickets/create", None, title).await.data(201);
    let arrived = smtp.wait(2).await;
    assert_eq!(arrived.len(), 2);
    assert!(arrived[1].text.contains("TCK-3"), "{}", arrived[1].text);
    assert_eq!(arrived[1].header("Auto-Submitted"), "auto-generated");
}

#[tokio::test]
async fn what_is_wrong_is_refused_in_the_names_of_tickiti() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    call(&rest, "/api/tickets/create", None, printer("ana@example.com")).await.data(201);
    let system = rest.get("/users/2").await.data(200)["email"].as_str().expect("text").to_owned();
    let reply = json!({"ticket_number": "TCK-1", "from_email": "ana@example.com", "content": "x"});
    let email = json!({"to_address": "ana@example.com", "subject": "x", "content": "x"});
    for (path, right, wrong) in [
        (
            "/api/create_ticket",
            printer("ana@example.com"),
            vec![
                ("originator_email_address", json!("ana")),
                ("originator_email_address", json!("")),
                ("originator_email_address", json!(system)),
                ("subject", json!("a\nb")),
                ("subject", json!("x".repeat(256))),
                ("content", json!("")),
                ("is_public", json!("yes")),
            ],
        ),
        (
            "/api/ticket_respond",
            reply,
            vec![
                ("from_email", json!("a b@example.com")),
                ("from_email", json!(system)),
                ("content", json!("")),
                ("is_internal", json!(1)),
            ],
        ),
        (
            "/api/send_email",
            email,
            vec![
                ("to_address", json!("ana@example.com\r\nBcc: eve@example.com")),
                ("subject", json!("a\r\nBcc: eve@example.com")),
                ("content", json!("ü".repeat(131_073))),
            ],
        ),
    ] {
        call(&rest, path, None, right.clone()).await.error(400, "IDEMPOTENCY_KEY_REQUIRED");
        for (number, (field, value)) in wrong.into_iter().enumerate() {
            let mut body = right.clone();
            body[field] = value;
            let refused = call(&rest, path, Some(&format!("{path}-{number}")), body).await;
            refused.error(400, "VALIDATION_FAILED");
            assert_eq!(refused.wrong_fields(), [field], "{path}");
        }
        let mut unknown = right.clone();
        unknown["toAddress"] = json!("x");
        call(&rest, path, Some("x"), unknown).await.error(400, "UNKNOWN_FIELD");
    }
    let nowhere =
        json!({"ticket_number": "TCK-9", "from_email": "new@example.com", "content": "x"});
    call(&rest, "/api/ticket_respond", Some("n"), nowhere).await.error(404, "TICKET_NOT_FOUND");
    assert_eq!(rest.get("/users?email=new@example.com").await.data(200), json!([]));
}

#[tokio::test]
async fn each_path_takes_its_ability_and_names_it() {
    let orqit = Orqit::start().await;
    let none = orqit.rest_as(&["kb:read"]).await;
    for (path, scope, ability) in [
        ("/api/create_ticket", "tickets:create", "create-ticket"),
        ("/api/tickets/create", "tickets:create", "create-ticket"),
        ("/api/ticket_respond", "tickets:respond", "ticket-respond"),
        ("/api/tickets/1/respond", "tickets:respond", "ticket-respond"),
        ("/api/send_email", "email:send", "send-email"),
    ] {
        let refused = call(&none, path, Some("1"), json!({})).await;
        let error = refused.error(403, "INSUFFICIENT_SCOPE");
        assert_eq!(error["requiredScope"], scope, "{path}");
        let told = format!("{scope} ({ability})");
        assert!(error["message"].as_str().expect("text").contains(&told), "{error}");
        let rest = orqit.rest_as(&[ability]).await;
        call(&rest, path, Some("1"), json!({})).await.error(400, "VALIDATION_FAILED");
    }
    let refused = none.get("/../../tickets").await;
    let error = refused.error(403, "INSUFFICIENT_SCOPE");
    assert!(error["message"].as_str().expect("text").contains("tickets:read (ticket-index)"));
    let rest = orqit.rest_as(&["ticket-index", "create-ticket"]).await;
    call(&rest, "/api/tickets/create", None, printer("ana@example.com")).await.data(201);
    let listed = rest.get("/../../tickets?status=OPEN").await;
    assert_eq!(listed.data(200), rest.get("/tickets?status=OPEN").await.data(200));
    assert_eq!(listed.data(200)[0]["ticketNumber"], "TCK-1");
}

#[tokio::test]
async fn over_grpc_it_is_the_same() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["create-ticket", "ticket-respond"]).await;
    let mut client = pb::compat_service_client::CompatServiceClient::new(orqit.channel().await);
    let new = pb::SubmitTicketRequest {
        originator_email_address: "ana@example.com".to_owned(),
        subject: "Printer".to_owned(),
        content: "It jams.".to_owned(),
        ..Default::default()
    };
    let status = client.submit_ticket(with_key(&key, new.clone())).await.expect_err("no key");
    assert_refused(&status, Code::InvalidArgument, "IDEMPOTENCY_KEY_REQUIRED");
    let mut request = with_key(&key, new);
    request.metadata_mut().insert("idempotency-key", "1".parse().expect("ASCII"));
    let made = client.submit_ticket(request).await.expect("made").into_inner();
    assert_eq!(made.ticket.expect("a ticket").ticket_number, "TCK-1");
}

/// Many who write at once for the first time make one user.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_address_is_one_user_however_many_write_at_once() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let mut writing = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let rest = rest.clone();
        writing.spawn(async move {
            call(&rest, "/api/tickets/create", None, printer("ana@example.com")).await.data(201)
        });
    }
    let made = writing.join_all().await;
    assert_eq!(made.len(), 20);
    let users = rest.get("/users?email=ana@example.com").await.data(200);
    assert_eq!(users.as_array().expect("a list").len(), 1);
    let tickets = rest.get("/tickets?perPage=100").await.data(200);
    assert!(
        tickets.as_array().expect("a list").iter().all(|it| it["requesterId"] == users[0]["id"])
    );
}
