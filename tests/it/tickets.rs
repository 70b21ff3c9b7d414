//! The life of a ticket, through the API.

use orqit::pb;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::grpc::{error_info, violations};
use crate::support::requests::{vpn, vpn_with};
use crate::support::rest::{Answer, Rest, send};
use crate::support::server::{Orqit, with_key};

const DAY_MILLIS: i64 = 24 * 3600 * 1000;

#[tokio::test]
async fn a_new_ticket_is_answered_with_every_field() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:create", "tickets:read"]).await;

    let created = rest.post("/tickets", vpn_with(json!({"priority": "HIGH"}))).await;
    let ticket = created.data(201);

    let expected = json!({
        "id": 1, "ticketNumber": "TCK-1", "title": "VPN not connecting",
        "description": "User cannot connect.", "type": "INCIDENT", "category": "NETWORK",
        "priority": "HIGH", "impact": null, "urgency": null, "status": "OPEN",
        "pendingReason": null, "resolution": null, "requesterId": null, "assigneeId": null,
        "watcherUserIds": [], "parentId": null, "tags": [], "dueAt": null, "source": "API",
        "externalSource": null, "externalId": null, "commentCount": 0, "reopenCount": 0,
        "createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": "2026-01-01T00:00:00.000Z",
        "resolvedAt": null, "closedAt": null, "createdBy": 2, "updatedBy": 2, "version": 1, "comments": null, "history": null, "categoryConfigId": null, "customFields": {}, "assetIds": [],
    });
    assert_eq!(ticket, expected);
    assert_eq!(created.header("etag"), Some("\"1\""));
    for path in ["/tickets/1", "/tickets/TCK-1"] {
        let got = rest.get(path).await;
        assert_eq!(got.data(200), expected);
        assert_eq!(got.header("etag"), Some("\"1\""));
    }
    let tickets = rest.get("/tickets?page=1&perPage=20").await;
    assert_eq!(tickets.data(200), json!([expected]));
    let meta = json!({"page": 1, "perPage": 20, "totalCount": 1, "hasMore": false, "nextCursor": null, "totalIsBound": false});
    assert_eq!(tickets.json()["meta"], meta);
}

#[tokio::test]
async fn strings_come_back_byte_for_byte() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:create"]).await;
    for text in [
        " <b>&amp;</b> ",
        "\u{1F600}\u{0301}\u{202E}",
        "tab\tline\r\nend\\\"",
        "' OR 1=1 --",
        "\u{7f}\u{1}",
    ] {
        let created =
            rest.post("/tickets", vpn_with(json!({"title": text, "description": text}))).await;
        let ticket = created.data(201);
        assert_eq!((&ticket["title"], &ticket["description"]), (&json!(text), &json!(text)));
    }
}

#[tokio::test]
async fn impact_and_urgency_give_the_priority_of_a_new_ticket_alone() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write"]).await;
    let matrix = [
        ("HIGH", "HIGH", "CRITICAL"),
        ("HIGH", "MEDIUM", "HIGH"),
        ("MEDIUM", "HIGH", "HIGH"),
        ("MEDIUM", "MEDIUM", "MEDIUM"),
        ("HIGH", "LOW", "MEDIUM"),
        ("LOW", "HIGH", "MEDIUM"),
        ("MEDIUM", "LOW", "LOW"),
        ("LOW", "MEDIUM", "LOW"),
        ("LOW", "LOW", "LOW"),
    ];
    for (impact, urgency, priority) in matrix {
        let created =
            rest.post("/tickets", vpn_with(json!({"impact": impact, "urgency": urgency}))).await;
        assert_eq!(created.data(201)["priority"], priority, "{impact} {urgency}");
    }
    let one_of_them = rest.post("/tickets", vpn_with(json!({"impact": "HIGH"}))).await;
    assert_eq!(one_of_them.data(201)["priority"], "MEDIUM");
    let given = vpn_with(json!({"impact": "HIGH", "urgency": "HIGH", "priority": "LOW"}));
    assert_eq!(rest.post("/tickets", given).await.data(201)["priority"], "LOW");
    let updated = rest.patch("/tickets/1", json!({"impact": "LOW", "urgency": "LOW"})).await;
    assert_eq!(updated.data(200)["priority"], "CRITICAL");
}

/// Moves ticket 1 through `path`, asserting that each step is allowed.
async fn walk(rest: &Rest, path: &[&str]) -> Value {
    let mut ticket = Value::Null;
    for status in path {
        ticket = rest.patch("/tickets/1", json!({"status": status})).await.data(200);
        assert_eq!(ticket["status"], *status);
    }
    ticket
}

#[tokio::test]
async fn every_pair_of_statuses_is_allowed_or_refused_as_declared() {
    let ways: [(&str, &[&str], &[&str]); 6] = [
        ("OPEN", &[], &["IN_PROGRESS", "PENDING", "RESOLVED", "CLOSED", "CANCELLED"]),
        ("IN_PROGRESS", &["IN_PROGRESS"], &["OPEN", "PENDING", "RESOLVED", "CLOSED", "CANCELLED"]),
        ("PENDING", &["PENDING"], &["OPEN", "IN_PROGRESS", "RESOLVED", "CLOSED", "CANCELLED"]),
        ("RESOLVED", &["RESOLVED"], &["OPEN", "IN_PROGRESS", "CLOSED"]),
        ("CLOSED", &["CLOSED"], &["OPEN", "IN_PROGRESS"]),
        ("CANCELLED", &["CANCELLED"], &["OPEN"]),
    ];
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write"]).await;
    let mut id = 0;
    for (from, way, allowed) in ways {
        for to in ["OPEN", "IN_PROGRESS", "PENDING", "RESOLVED", "CLOSED", "CANCELLED"] {
            rest.post("/tickets", vpn()).await.data(201);
            id += 1;
            let path = format!("/tickets/{id}");
            for step in way {
                rest.patch(&path, json!({"status": step})).await.data(200);
            }
            let answer = rest.patch(&path, json!({"status": to})).await;
            if to == from || allowed.contains(&to) {
                assert_eq!(answer.data(200)["status"], to);
            } else {
                let error = answer.error(409, "INVALID_STATUS_TRANSITION");
                assert_eq!(error["from"], from);
                assert_eq!(error["to"], to);
                assert_eq!(error["allowed"], json!(allowed));
            }
        }
    }
}

#[tokio::test]
async fn a_status_brings_its_times_along() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write"]).await;
    rest.post("/tickets", vpn()).await.data(201);

    orqit.clock.advance_millis(1000);
    let resolved = walk(&rest, &["RESOLVED"]).await;
    assert_eq!(resolved["resolvedAt"], "2026-01-01T00:00:01.000Z");
    assert_eq!(resolved["closedAt"], Value::Null);

    orqit.clock.advance_millis(1000);
    let closed = walk(&rest, &["CLOSED"]).await;
    assert_eq!(closed["resolvedAt"], "2026-01-01T00:00:01.000Z");
    assert_eq!(closed["closedAt"], "2026-01-01T00:00:02.000Z");

    let reopened = walk(&rest, &["IN_PROGRESS"]).await;
    assert_eq!((&reopened["resolvedAt"], &reopened["closedAt"]), (&Value::Null, &Value::Null));
    assert_eq!(reopened["reopenCount"], 1);

    let closed_at_once = walk(&rest, &["CLOSED"]).await;
    assert_eq!(closed_at_once["resolvedAt"], closed_at_once["closedAt"]);
    assert_eq!(walk(&rest, &["OPEN", "RESOLVED", "OPEN"]).await["reopenCount"], 3);
    assert_eq!(walk(&rest, &["CANCELLED", "OPEN"]).await["reopenCount"], 3);
}

#[tokio::test]
async fn a_closed_ticket_can_be_reopened_for_thirty_days() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write"]).await;
    rest.post("/tickets", vpn()).await.data(201);
    walk(&rest, &["CLOSED"]).await;

    orqit.clock.advance_millis(30 * DAY_MILLIS + 1);
    let late = rest.patch("/tickets/1", json!({"status": "OPEN"})).await;
    assert_eq!(late.error(409, "INVALID_STATUS_TRANSITION")["allowed"], json!([]));

    orqit.clock.advance_millis(-1);
    assert_eq!(walk(&rest, &["OPEN"]).await["closedAt"], Value::Null);
}

#[tokio::test]
async fn a_pending_reason_goes_when_the_ticket_leaves_pending() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write"]).await;
    rest.post("/tickets", vpn()).await.data(201);
    let waiting = json!({"status": "PENDING", "pendingReason": "Vendor"});
    assert_eq!(rest.patch("/tickets/1", waiting).await.data(200)["pendingReason"], "Vendor");
    assert_eq!(walk(&rest, &["OPEN"]).await["pendingReason"], Value::Null);
}

#[tokio::test]
async fn an_update_changes_what_it_names_and_null_clears() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write"]).await;
    let agent = orqit.user("Ines").await;
    let new = vpn_with(json!({
        "assigneeId": agent, "tags": ["vpn"], "dueAt": "2026-02-01T12:00:00+02:00", "impact": "LOW",
        "watcherUserIds": [1, agent],
    }));
    let before = rest.post("/tickets", new).await.data(201);
    assert_eq!(before["dueAt"], "2026-02-01T10:00:00.000Z");

    orqit.clock.advance_millis(5);
    let after = rest.patch("/tickets/1", json!({"title": "VPN down", "assigneeId": null})).await;
    let after = after.data(200);
    let mut expected = before;
    expected["title"] = json!("VPN down");
    expected["assigneeId"] = Value::Null;
    expected["updatedAt"] = json!("2026-01-01T00:00:00.005Z");
    expected["version"] = json!(2);
    assert_eq!(after, expected);

    let cleared = json!({"dueAt": null, "tags": null, "impact": null, "watcherUserIds": []});
    let cleared = rest.patch("/tickets/1", cleared).await.data(200);
    assert_eq!(cleared["tags"], json!([]));
    assert_eq!(cleared["watcherUserIds"], json!([]));
    assert_eq!((&cleared["dueAt"], &cleared["impact"]), (&Value::Null, &Value::Null));

    let put = rest.request(http::Method::PUT, "/tickets/TCK-1").json(&json!({"title": "Again"}));
    let put = send(put).await.data(200);
    assert_eq!((&put["title"], &put["version"]), (&json!("Again"), &json!(4)));
}

#[tokio::test]
async fn required_and_read_only_fields_are_refused_by_name() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write"]).await;
    rest.post("/tickets", vpn()).await.data(201);
    for field in ["title", "description", "type", "category", "priority", "status"] {
        let answer = rest.patch("/tickets/1", json!({field: null})).await;
        answer.error(400, "VALIDATION_FAILED");
        assert_eq!(answer.wrong_fields(), [field]);
    }
    let read_only = [
        "id",
        "ticketNumber",
        "source",
        "commentCount",
        "reopenCount",
        "createdAt",
        "updatedAt",
        "resolvedAt",
        "closedAt",
        "createdBy",
        "updatedBy",
    ];
    for field in read_only {
        let answer = rest.patch("/tickets/1", json!({field: null, "title": "x"})).await;
        answer.error(400, "VALIDATION_FAILED");
        assert_eq!(answer.wrong_fields(), [field]);
        assert_eq!(answer.json()["error"]["details"][0]["code"], "READ_ONLY");
    }
    let answer = rest.post("/tickets", vpn_with(json!({"status": "CLOSED"}))).await;
    answer.error(400, "UNKNOWN_FIELD");
    let mask = rest.patch("/tickets/1", json!({"updateMask": "title", "title": "x"})).await;
    mask.error(400, "UNKNOWN_FIELD");
    assert_eq!(orqit.events().await.len(), 1);
}

#[tokio::test]
async fn the_same_again_is_a_success_without_effect() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write"]).await;
    let before = rest.post("/tickets", vpn()).await.data(201);
    orqit.clock.advance_millis(1000);
    for same in [json!({"status": "OPEN"}), json!({"title": "VPN not connecting"}), json!({})] {
        assert_eq!(rest.patch("/tickets/1", same).await.data(200), before);
    }
    assert_eq!(orqit.events().await.len(), 1);
}

#[tokio::test]
async fn a_version_guards_against_lost_updates() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write"]).await;
    rest.post("/tickets", vpn()).await.data(201);
    let update = |if_match: &'static str, title: &str| {
        let request = rest.request(http::Method::PATCH, "/tickets/1").header("if-match", if_match);
        send(request.json(&json!({"title": title})))
    };
    assert_eq!(update("\"1\"", "two").await.data(200)["version"], 2);
    update("\"1\"", "lost").await.error(412, "VERSION_CONFLICT");
    update("W/\"2\"", "weak").await.error(412, "VERSION_CONFLICT");
    update("\"other\"", "lost").await.error(412, "VERSION_CONFLICT");
    assert_eq!(update("\"1\", \"2\"", "three").await.data(200)["version"], 3);
    assert_eq!(update("*", "four").await.data(200)["version"], 4);
    update("2", "no tag").await.error(400, "VALIDATION_FAILED");

    let by_body = |version| rest.patch("/tickets/1", json!({"version": version, "title": "five"}));
    by_body(3).await.error(412, "VERSION_CONFLICT");
    assert_eq!(by_body(4).await.data(200)["version"], 5);
    let key = orqit.key(&["tickets:write"]).await;
    let stale = pb::UpdateTicketRequest {
        id: "1".to_owned(),
        version: Some(4),
        title: Some("lost".to_owned()),
        ..Default::default()
    };
    let status =
        orqit.tickets().await.update_ticket(with_key(&key, stale)).await.expect_err("stale");
    assert_eq!(status.code(), Code::Aborted);
    assert_eq!(error_info(&status).reason, "VERSION_CONFLICT");
}

#[tokio::test]
async fn references_must_be_of_the_workspace_and_tell_nothing_of_others() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write"]).await;
    let other = orqit.workspace("other").await;
    let stranger = orqit.user_of(&other, "Stranger").await;
    rest.post("/tickets", vpn()).await.data(201);

    let wrong = json!({"requesterId": stranger, "assigneeId": 999, "watcherUserIds": [1, 0], "parentId": 7});
    for answer in [
        rest.post("/tickets", vpn_with(wrong.clone())).await,
        rest.patch("/tickets/1", wrong).await,
    ] {
        let error = answer.error(400, "INVALID_REFERENCE");
        let fields = ["requesterId", "assigneeId", "watcherUserIds[1]", "parentId"];
        assert_eq!(answer.wrong_fields(), fields);
        let text = |index: usize| error["details"][index]["message"].as_str().map(str::to_owned);
        let (elsewhere, nowhere) = (text(0).expect("text"), text(1).expect("text"));
        assert_eq!(elsewhere.replace("requesterId", ""), nowhere.replace("assigneeId", ""));
    }
    assert_eq!(orqit.events().await.len(), 1);
    assert_eq!(rest.post("/tickets", vpn()).await.data(201)["id"], 2, "ids stay dense");
}

#[tokio::test]
async fn tickets_nest_five_deep_and_never_in_a_circle() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write"]).await;
    rest.post("/tickets", vpn()).await.data(201);
    for parent in 1..=4 {
        rest.post("/tickets", vpn_with(json!({"parentId": parent}))).await.data(201);
    }
    let wrong = |answer: Answer, code: &str| {
        answer.error(400, "VALIDATION_FAILED");
        assert_eq!(answer.json()["error"]["details"][0]["code"], code);
        assert_eq!(answer.wrong_fields(), ["parentId"]);
    };
    wrong(rest.post("/tickets", vpn_with(json!({"parentId": 5}))).await, "TOO_DEEP");
    wrong(rest.patch("/tickets/1", json!({"parentId": 5})).await, "CYCLE");
    wrong(rest.patch("/tickets/1", json!({"parentId": 1})).await, "CYCLE");
    rest.post("/tickets", vpn()).await.data(201);
    wrong(rest.patch("/tickets/1", json!({"parentId": 6})).await, "TOO_DEEP");
    assert_eq!(rest.patch("/tickets/5", json!({"parentId": 6})).await.data(200)["parentId"], 6);
}

#[tokio::test]
async fn an_external_id_names_one_ticket() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write", "tickets:read"]).await;
    let known = |id: &str| vpn_with(json!({"externalSource": "servicenow", "externalId": id}));
    rest.post("/tickets", known("INC1")).await.data(201);
    rest.post("/tickets", known("INC1")).await.error(409, "ALREADY_EXISTS");
    rest.post("/tickets", known("INC,2")).await.data(201);
    let clash = rest.patch("/tickets/2", json!({"externalId": "INC1"})).await;
    clash.error(409, "ALREADY_EXISTS");

    let found = rest.get("/tickets?externalSource=servicenow&externalId=INC%2C2").await;
    assert_eq!(found.data(200)[0]["id"], 2);
    let alone = rest.post("/tickets", vpn_with(json!({"externalId": "INC3"}))).await;
    alone.error(400, "VALIDATION_FAILED");
    assert_eq!(alone.wrong_fields(), ["externalSource"]);
    let halved = rest.patch("/tickets/1", json!({"externalSource": null})).await;
    halved.error(400, "VALIDATION_FAILED");
    let both = json!({"externalSource": null, "externalId": null});
    assert_eq!(rest.patch("/tickets/1", both).await.data(200)["externalId"], Value::Null);
}

#[tokio::test]
async fn every_change_is_one_event_with_what_it_was_before() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write", "tickets:read"]).await;
    rest.post("/tickets", vpn()).await.data(201);
    orqit.clock.advance_millis(1000);
    rest.patch("/tickets/1", json!({"status": "RESOLVED", "assigneeId": 1})).await.data(200);

    let payloads = orqit.payloads().await;
    let [created, updated] = payloads.as_slice() else { panic!("{payloads:?}") };
    assert_eq!(created["type"], "ticket.created");
    assert_eq!(created["sequence"], 1);
    assert_eq!(created["workspaceId"], orqit.workspace.public_id);
    assert_eq!(created["actor"]["type"], "KEY");
    assert_eq!(created["actor"]["name"], "Test key");
    assert_eq!(created["data"]["previous"], json!({}));
    assert_eq!(updated["sequence"], 2);
    assert_eq!(updated["timestamp"], "2026-01-01T00:00:01.000Z");
    let topics = ["ticket.updated", "ticket.status_changed", "ticket.resolved", "ticket.assigned"];
    assert_eq!(updated["topics"], json!(topics));
    let got = rest.get("/tickets/1").await;
    assert_eq!(updated["data"]["object"], got.data(200));
    // As GET returns it, in the same order too.
    let bytes = String::from_utf8(got.body).expect("UTF-8");
    let object = bytes.trim_start_matches(r#"{"success":true,"data":"#).trim_end_matches('}');
    assert!(orqit.events().await[1].data.contains(object), "{object}");
    assert_eq!(updated["data"]["changedFields"], json!(["status", "assigneeId", "resolvedAt"]));
    let previous = json!({"assigneeId": null, "resolvedAt": null, "status": "OPEN"});
    assert_eq!(updated["data"]["previous"], previous);
    assert!(updated["id"].as_str().expect("an id").starts_with("evt_"));
}

#[tokio::test]
async fn grpc_and_rest_see_the_same_ticket() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["tickets:write", "tickets:read"]).await;
    let mut grpc = orqit.tickets().await;
    let new = pb::CreateTicketRequest {
        title: "VPN".to_owned(),
        description: "Down".to_owned(),
        r#type: pb::TicketType::Incident.into(),
        category: pb::TicketCategory::Network.into(),
        impact: Some(pb::Impact::High.into()),
        tags: vec!["vpn".to_owned()],
        ..Default::default()
    };
    let created = grpc.create_ticket(with_key(&key, new)).await.expect("created").into_inner();
    let by_rest = orqit.rest(&key).get("/tickets/TCK-1").await.data(200);
    assert_eq!(serde_json::to_value(created.ticket).expect("JSON"), by_rest);

    let clear = pb::UpdateTicketRequest {
        id: "TCK-1".to_owned(),
        update_mask: Some(prost_types::FieldMask { paths: vec!["impact".into(), "tags".into()] }),
        title: Some("not in the mask".to_owned()),
        ..Default::default()
    };
    let cleared = grpc.update_ticket(with_key(&key, clear)).await.expect("cleared").into_inner();
    let ticket = cleared.ticket.expect("a ticket");
    assert_eq!((ticket.impact, ticket.tags.len(), ticket.title.as_str()), (None, 0, "VPN"));

    let present = pb::UpdateTicketRequest {
        id: "1".to_owned(),
        status: Some(pb::TicketStatus::Pending.into()),
        ..Default::default()
    };
    let moved = grpc.update_ticket(with_key(&key, present)).await.expect("moved").into_inner();
    assert_eq!(moved.ticket.expect("a ticket").status(), pb::TicketStatus::Pending);

    let wrong = pb::UpdateTicketRequest {
        id: "1".to_owned(),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["created_at".into(), "title".into()],
        }),
        status: Some(-100),
        ..Default::default()
    };
    let status = grpc.update_ticket(with_key(&key, wrong)).await.expect_err("wrong");
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(error_info(&status).reason, "VALIDATION_FAILED");
    assert_eq!(violations(&status), ["updateMask", "title", "status"]);
}
