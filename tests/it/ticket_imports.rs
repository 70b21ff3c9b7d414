//! Tickets brought from another system with their past, through the API.

use orqit::pb;
use serde_json::{Value, json};

use crate::batches::told;
use crate::support::requests::vpn_with;
use crate::support::rest::Rest;
use crate::support::server::{Orqit, with_key};

pub const IMPORT: &str = "/tickets/import";
const SCOPES: &[&str] = &["tickets:import", "tickets:read", "tickets:write", "users:read"];

pub async fn import(rest: &Rest, items: Value) -> Value {
    rest.post(IMPORT, json!({ "items": items })).await.data(200)
}

/// An item with further members, or others.
pub fn item(id: &str, more: Value) -> Value {
    let mut item = vpn_with(json!({"externalSource": "old", "externalId": id}));
    item.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    item
}

/// A ticket with a whole life: closed, with two comments and two changes.
pub fn printer() -> Value {
    item(
        "INC-1",
        json!({
            "status": "CLOSED",
            "priority": "HIGH",
            "resolution": "A new fuse.",
            "requester": {"email": "Jo@example.com", "displayName": "Jo Park"},
            "assignee": {"email": "kim@example.com"},
            "watchers": [{"email": "jo@EXAMPLE.com"}],
            "tags": ["printer"],
            "createdAt": "2024-03-01T08:15:00Z",
            "resolvedAt": "2024-03-01T16:40:00Z",
            "closedAt": "2024-03-02T09:00:00.5Z",
            "updatedAt": "2024-03-03T10:00:00Z",
            "comments": [
                {"externalId": "c2", "body": "It was the zebrafuse.", "createdAt": "2024-03-01T16:30:00Z",
                 "author": {"email": "kim@example.com"}},
                {"externalId": "c1", "body": "Internal matter.", "visibility": "INTERNAL",
                 "createdAt": "2024-03-01T09:00:00Z"},
            ],
            "history": [
                {"externalId": "h1", "field": "status", "from": "OPEN", "to": "RESOLVED",
                 "actor": {"email": "kim@example.com", "displayName": "Kim"},
                 "createdAt": "2024-03-01T16:40:00Z"},
                {"externalId": "h2", "field": "status", "from": "RESOLVED", "to": "CLOSED",
                 "actor": {"displayName": "Robot"}, "createdAt": "2024-03-02T09:00:00.5Z"},
            ],
        }),
    )
}

/// The values of a member of each row.
pub fn all(rows: &Value, member: &str) -> Vec<Value> {
    rows.as_array().expect("a list").iter().map(|row| row[member].clone()).collect()
}

async fn types(orqit: &Orqit) -> Vec<Value> {
    orqit.payloads().await.iter().map(|event| event["type"].clone()).collect()
}

#[tokio::test]
async fn a_ticket_comes_with_its_past_and_a_second_time_changes_nothing() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(SCOPES).await;
    let before = types(&orqit).await.len();
    assert_eq!(told(&import(&rest, json!([printer()])).await), ["1 CREATED 1"]);
    let ticket = rest.get("/tickets/1?include=comments,history").await.data(200);
    for (member, value) in [
        ("status", json!("CLOSED")),
        ("createdAt", json!("2024-03-01T08:15:00.000Z")),
        ("resolvedAt", json!("2024-03-01T16:40:00.000Z")),
        ("closedAt", json!("2024-03-02T09:00:00.500Z")),
        ("updatedAt", json!("2024-03-03T10:00:00.000Z")),
        ("resolution", json!("A new fuse.")),
        ("commentCount", json!(2)),
        ("reopenCount", json!(0)),
        ("source", json!("API")),
        ("requesterId", json!(3)),
        ("assigneeId", json!(4)),
        ("watcherUserIds", json!([3])),
    ] {
        assert_eq!(ticket[member], value, "{member}: {ticket}");
    }
    assert_eq!(all(&ticket["comments"], "externalId"), ["c2", "c1"]);
    assert_eq!(all(&ticket["comments"], "authorId"), [json!(4), ticket["createdBy"].clone()]);
    assert_eq!(ticket["comments"][1]["createdAt"], "2024-03-01T09:00:00.000Z");
    assert_eq!(all(&ticket["history"], "externalId"), ["h2", "h1"]);
    assert_eq!(all(&ticket["history"], "to"), ["CLOSED", "RESOLVED"]);
    assert_eq!(all(&ticket["history"], "requestId"), [Value::Null, Value::Null]);
    let actors = all(&ticket["history"], "actor");
    assert_eq!(actors[0], json!({"type": "USER", "id": "", "name": "Robot"}));
    assert_eq!(actors[1], json!({"type": "USER", "id": "4", "name": "Kim"}));
    let users = rest.get("/users?role=END_USER&sort=createdAt").await.data(200);
    assert_eq!(all(&users, "displayName"), ["Jo Park", "kim"]);
    assert_eq!(all(&users, "email"), ["Jo@example.com", "kim@example.com"]);
    assert_eq!(
        types(&orqit).await[before..],
        ["user.imported", "user.imported", "ticket.imported"]
    );

    for list in ["q=zebrafuse", "tag=printer", "status=CLOSED", "requesterId=3&sort=updatedAt"] {
        let found = rest.get(&format!("/tickets?{list}")).await.json();
        assert_eq!(found["meta"]["totalCount"], 1, "{list}");
    }
    let none = rest.get("/tickets?q=matter").await.json();
    assert_eq!(none["meta"]["totalCount"], 0, "an internal comment is not searched");

    assert_eq!(told(&import(&rest, json!([printer()])).await), ["1 UNCHANGED 1"]);
    assert_eq!(types(&orqit).await.len(), before + 3);
    let changes = rest.get("/tickets/changes").await.data(200);
    assert_eq!(all(&changes, "type"), ["ticket.imported"]);
}

#[tokio::test]
async fn what_is_sent_wins_and_what_is_left_out_stays() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(SCOPES).await;
    import(&rest, json!([printer()])).await;
    rest.patch("/tickets/1", json!({"title": "Edited here", "pendingReason": "Fuse"}))
        .await
        .data(200);
    let open = json!({"externalSource": "old", "externalId": "INC-1", "status": "IN_PROGRESS",
        "title": "VPN", "requester": null, "tags": null, "source": "PHONE",
        "history": [
            {"externalId": "h2", "field": "status", "from": "made", "to": "twice"},
            {"externalId": "h3", "field": "status", "from": "CLOSED", "to": "IN_PROGRESS"},
        ],
        "comments": [{"externalId": "c1", "body": "Another text.", "author": {"email": "late@example.com"}}, {"externalId": "c3", "body": "New."}]});
    assert_eq!(told(&import(&rest, json!([open])).await), ["1 UPDATED 3"]);
    let ticket = rest.get("/tickets/1?include=comments,history").await.data(200);
    for (member, value) in [
        ("status", json!("IN_PROGRESS")),
        ("title", json!("VPN")),
        ("requesterId", Value::Null),
        ("assigneeId", json!(4)),
        ("tags", json!([])),
        ("source", json!("PHONE")),
        ("resolvedAt", Value::Null),
        ("closedAt", Value::Null),
        ("reopenCount", json!(1)),
        ("commentCount", json!(3)),
        ("pendingReason", json!("Fuse")),
        ("createdAt", json!("2024-03-01T08:15:00.000Z")),
    ] {
        assert_eq!(ticket[member], value, "{member}: {ticket}");
    }
    assert_eq!(
        all(&ticket["comments"], "body"),
        ["New.", "It was the zebrafuse.", "Internal matter."]
    );
    // Nobody is made for a comment that is there already.
    assert_eq!(rest.get("/users?email=late@example.com").await.json()["meta"]["totalCount"], 0);
    let told_fields = rest.get("/tickets/1/history").await.data(200);
    let mut fields: Vec<_> = all(&told_fields, "field");
    fields.sort_by_key(Value::to_string);
    // The change of status is told once, by the entry that was brought; the two edits here are, too.
    let expected =
        ["closedAt", "pendingReason", "reopenCount", "requesterId", "resolvedAt", "source"];
    let rest_of = ["status", "status", "status", "tags", "title", "title"];
    assert_eq!(fields, [expected.as_slice(), &rest_of].concat());
    let event = orqit.payloads().await.pop().expect("an event");
    assert_eq!(event["type"], "ticket.imported");
    assert_eq!(event["data"]["previous"]["status"], "CLOSED");
    assert_eq!(event["data"]["previous"]["commentCount"], 2);
    assert_eq!(event["data"]["object"]["version"], 3);

    // A local edit of a field that is sent is undone, and so is that of a time.
    rest.patch("/tickets/1", json!({"status": "CANCELLED"})).await.data(200);
    let item = json!({"externalSource": "old", "externalId": "INC-1", "status": "CLOSED",
        "createdAt": "2023-03-01T08:15:00Z", "updatedAt": "2024-03-04T10:00:00Z"});
    assert_eq!(told(&import(&rest, json!([item])).await), ["1 UPDATED 5"]);
    assert_eq!(told(&import(&rest, json!([item])).await), ["1 UNCHANGED 5"]);
    let ticket = rest.get("/tickets/1").await.data(200);
    assert_eq!(ticket["closedAt"], "2024-03-04T10:00:00.000Z");
    assert_eq!(ticket["resolvedAt"], "2024-03-04T10:00:00.000Z");
    assert_eq!(ticket["updatedAt"], "2024-03-04T10:00:00.000Z");
    let early =
        rest.get("/tickets?createdBefore=2024-01-01T00:00:00Z&assigneeId=4").await.data(200);
    assert_eq!(all(&early, "id"), [1]);
}

#[tokio::test]
async fn each_item_is_refused_by_what_is_wrong_with_it() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(SCOPES).await;
    let day = |day: u32| format!("2024-03-{day:02}T00:00:00Z");
    let users = rest.get("/users").await.json()["meta"]["totalCount"].clone();
    let system = rest.get("/users?role=SYSTEM").await.data(200)[0]["email"].clone();
    let wrong = [
        (json!({"title": null, "createdAt": "2999-01-01T00:00:00Z"}), "title,createdAt"),
        (json!({"createdAt": "2999-01-01T00:00:00Z"}), "createdAt"),
        (json!({"resolvedAt": day(1)}), "resolvedAt"),
        (json!({"status": "RESOLVED", "createdAt": day(1), "closedAt": day(2)}), "closedAt"),
        (json!({"status": "RESOLVED", "createdAt": day(3), "resolvedAt": day(2)}), "resolvedAt"),
        (
            json!({"status": "CLOSED", "createdAt": day(1), "resolvedAt": day(3), "closedAt": day(2)}),
            "closedAt",
        ),
        (json!({"createdAt": day(2), "updatedAt": day(1)}), "updatedAt"),
        (json!({"status": "New"}), "status"),
        (json!({"requesterId": 1}), "requesterId"),
        (json!({"requester": {"email": "nobody"}}), "requester.email"),
        (json!({"requester": {"email": system}}), "requester.email"),
        (json!({"watchers": [{"email": "a@b.c"}, {"email": "A@b.c"}]}), "watchers[1]"),
        (json!({"parent": {"externalSource": "old", "externalId": "gone"}}), "parent"),
        (
            json!({"assetTags": ["AST-1"], "requester": {"email": "never@example.com"}}),
            "assetTags[0]",
        ),
        (json!({"category": null, "categoryConfig": "VPN"}), "categoryConfig"),
        (json!({"categoryConfig": "VPN"}), "categoryConfig"),
        (
            json!({"customFields": {"site": "B"}, "requester": {"email": "never@example.com"}}),
            "customFields.site",
        ),
        (json!({"comments": [{"body": "Without an id."}]}), "comments[0].externalId"),
        (
            json!({"comments": [{"externalId": "1", "body": "a"}, {"externalId": "1", "body": "b"}]}),
            "comments[1].externalId",
        ),
        (
            json!({"comments": [{"externalId": "1", "body": "a", "createdAt": "2999-01-01T00:00:00Z"}]}),
            "comments[0].createdAt",
        ),
        (
            json!({"history": [{"externalId": "1", "field": "status", "actor": {}}]}),
            "history[0].actor.displayName",
        ),
        (json!({"history": [{"externalId": "1"}]}), "history[0].field"),
        (json!({"externalSource": ""}), "externalSource"),
    ];
    let items: Vec<_> = wrong
        .iter()
        .enumerate()
        .map(|(id, (more, _))| item(&id.to_string(), more.clone()))
        .collect();
    let results = import(&rest, json!(items)).await;
    for ((more, fields), line) in wrong.iter().zip(told(&results)) {
        let (_, told) = line.rsplit_once(' ').expect("fields");
        let mut told: Vec<_> = told.split(',').collect();
        let mut fields: Vec<_> = fields.split(',').collect();
        told.sort_unstable();
        fields.sort_unstable();
        assert_eq!(told, fields, "{more}: {line}");
    }
    // An item that is refused leaves nobody behind.
    assert_eq!(rest.get("/users").await.json()["meta"]["totalCount"], users);

    let results =
        import(&rest, json!([{"externalSource": "old", "externalId": "x"}, item("y", json!({}))]))
            .await;
    assert_eq!(
        told(&results),
        ["400 VALIDATION_FAILED title,description,type,category", "1 CREATED 1"]
    );
    let twice = rest
        .post(
            IMPORT,
            json!({"items": [item("a", json!({})), item("b", json!({})), item("a", json!({}))]}),
        )
        .await;
    twice.assert_wrong(
        "the same twice",
        "VALIDATION_FAILED",
        &[("items[2].externalId", "DUPLICATE_ITEM")],
    );
    assert!(
        twice.json()["error"]["details"][0]["message"].as_str().expect("text").contains("items[0]")
    );
    let reader = orqit.rest_as(&["tickets:read", "tickets:write", "read-write"]).await;
    reader.post(IMPORT, json!({"items": [printer()]})).await.error(403, "INSUFFICIENT_SCOPE");
}

#[tokio::test]
async fn items_name_what_is_there_by_other_means_than_ids() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    rest.post("/categories", json!({"name": "VPN", "baseCategory": "NETWORK"})).await.data(201);
    rest.post("/assets", json!({"name": "Laptop", "type": "LAPTOP", "assetTag": "L-1"}))
        .await
        .data(201);
    let site = json!({"key": "site", "label": "Site", "type": "TEXT", "required": true});
    rest.post("/custom-fields", site).await.data(201);
    let parent = |id: &str| json!({"externalSource": "old", "externalId": id});
    let of = |id: &str, parent: Value| {
        item(id, json!({"parent": parent, "customFields": {"site": "B"}}))
    };
    let items = json!([
        item(
            "1",
            json!({"category": null, "categoryConfig": "vpn", "assetTags": ["l-1"], "customFields": {"site": "A"}})
        ),
        of("2", parent("1")),
        of("3", parent("2")),
        of("4", parent("3")),
        of("5", parent("4")),
        of("6", parent("5")),
        item("7", json!({})),
    ]);
    let results = import(&rest, items).await;
    let expected = [
        "1 CREATED 1",
        "2 CREATED 1",
        "3 CREATED 1",
        "4 CREATED 1",
        "5 CREATED 1",
        "400 VALIDATION_FAILED parent",
        "400 VALIDATION_FAILED customFields.site",
    ];
    assert_eq!(told(&results), expected);
    assert!(
        results[5]["error"]["details"][0]["message"]
            .as_str()
            .expect("text")
            .starts_with("parent would")
    );
    let ticket = rest.get("/tickets/1").await.data(200);
    assert_eq!((&ticket["category"], &ticket["categoryConfigId"]), (&json!("NETWORK"), &json!(1)));
    assert_eq!(rest.get("/assets/L-1").await.data(200)["openTicketCount"], 1);
    let chief = json!({"key": "chief", "label": "Chief", "type": "USER"});
    rest.post("/custom-fields", chief).await.data(201);
    let person = json!({"email": "boss@example.com", "displayName": "Boss"});
    let of_person = json!({"customFields": {"site": "A", "chief": person}});
    let no_person = json!({"customFields": {"site": person, "chief": {"email": "nobody"}}});
    let results = import(&rest, json!([item("8", of_person.clone()), item("9", no_person)])).await;
    assert_eq!(told(&results)[0], "6 CREATED 1");
    assert_eq!(told(&results)[1], "400 VALIDATION_FAILED customFields.chief.email");
    assert_eq!(told(&import(&rest, json!([item("8", of_person)])).await), ["6 UNCHANGED 1"]);
    let chief = rest.get("/tickets/6").await.data(200)["customFields"]["chief"].clone();
    assert_eq!(rest.get(&format!("/users/{chief}")).await.data(200)["displayName"], "Boss");
    let circle = json!([{"externalSource": "old", "externalId": "1", "parent": parent("3")},
        {"externalSource": "old", "externalId": "2", "parent": null, "assetTags": ["L-1"],
         "categoryConfig": "VPN", "customFields": {"site": "C"}, "status": "CANCELLED"}]);
    let results = import(&rest, circle).await;
    assert_eq!(told(&results), ["400 VALIDATION_FAILED parent", "2 UPDATED 2"]);
    // Only one of its two tickets is open.
    assert_eq!(rest.get("/assets/L-1").await.data(200)["openTicketCount"], 1);
}

#[tokio::test]
async fn the_days_of_reopening_count_from_the_real_closing() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(SCOPES).await;
    let closed = |id: &str, days: i64| {
        let at = orqit.store.now().plus_millis(-days * 24 * 3600 * 1000).to_rfc3339();
        item(id, json!({"status": "CLOSED", "createdAt": "2020-01-01T00:00:00Z", "closedAt": at}))
    };
    import(&rest, json!([closed("1", 29), closed("2", 31)])).await;
    let ticket = rest.get("/tickets/2").await.data(200);
    assert_eq!(
        (&ticket["resolvedAt"], &ticket["updatedAt"]),
        (&ticket["closedAt"], &ticket["closedAt"])
    );
    rest.patch("/tickets/1", json!({"status": "OPEN"})).await.data(200);
    rest.patch("/tickets/2", json!({"status": "OPEN"}))
        .await
        .error(409, "INVALID_STATUS_TRANSITION");
}

#[tokio::test]
async fn over_grpc_a_mask_says_what_is_cleared() {
    let orqit = Orqit::start().await;
    let key = orqit.key(SCOPES).await;
    let mut tickets = orqit.tickets().await;
    let known_by = pb::TicketImport {
        external_source: "old".into(),
        external_id: "1".into(),
        ..pb::TicketImport::default()
    };
    let new = pb::TicketImport {
        title: Some("Printer".into()),
        description: Some("Offline.".into()),
        r#type: Some(pb::TicketType::Incident.into()),
        category: Some(pb::TicketCategory::Hardware.into()),
        impact: Some(pb::Impact::High.into()),
        urgency: Some(pb::Urgency::High.into()),
        ..known_by.clone()
    };
    let mask = |paths: &[&str]| {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        Some(prost_types::FieldMask { paths })
    };
    let calls = [
        (new.clone(), "1 CREATED 1"),
        (pb::TicketImport { update_mask: mask(&["impact"]), ..new.clone() }, "1 UNCHANGED 1"),
        (pb::TicketImport { update_mask: mask(&["impact"]), ..known_by.clone() }, "1 UPDATED 2"),
        (
            pb::TicketImport { update_mask: mask(&["title"]), ..known_by.clone() },
            "400 VALIDATION_FAILED title",
        ),
        (
            pb::TicketImport { update_mask: mask(&["external_id"]), ..known_by.clone() },
            "400 VALIDATION_FAILED updateMask",
        ),
        (pb::TicketImport { status: Some(77), ..known_by }, "400 VALIDATION_FAILED status"),
    ];
    for (item, expected) in calls {
        let request = pb::ImportTicketsRequest { items: vec![item] };
        let results = tickets.import_tickets(with_key(&key, request)).await.expect("results");
        let results = serde_json::to_value(results.into_inner().results).expect("JSON");
        assert_eq!(told(&results), [expected]);
    }
    let ticket = orqit.rest(&key).get("/tickets/1").await.data(200);
    assert_eq!((&ticket["impact"], &ticket["priority"]), (&Value::Null, &json!("CRITICAL")));
}
