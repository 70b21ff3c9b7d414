//! What is wrong with a request, told all at once; and that nothing wrong ever leaves a trace.

use http::Method;
use orqit::pb;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::grpc::{assert_refused, violations};
use crate::support::requests::{vpn, vpn_message, vpn_with};
use crate::support::rest::{Rest, send};
use crate::support::server::{Orqit, with_key};

async fn assert_nothing_was_written(orqit: &Orqit, rest: &Rest) {
    assert_eq!(orqit.events().await, []);
    assert_eq!(rest.get("/tickets").await.json()["meta"]["totalCount"], 0);
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_malformed() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write", "tickets:read"]).await;
    let nested =
        |levels: usize| format!("{{\"title\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    let whole = vpn().to_string();
    let malformed: Vec<Vec<u8>> = [
        "{",
        "}",
        "{\"title\":}",
        "{\"title\":\"x\",}",
        "{'title':'x'}",
        "{title:\"x\"}",
        "nonsense",
        "[]",
        "null",
        "5",
        "\"text\"",
        " ",
        "{}{}",
        "{} x",
        "// no comments\n{}",
        "{\"title\":\"a\nb\"}",
        "{\"title\":NaN}",
        "{\"title\":01}",
        "{\"title\":+1}",
        "{\"title\":1.}",
        "{\"title\":1e999}",
        "{\"title\":\"\\x41\"}",
        "{\"title\":\"\\ud800\"}",
        "{\"title\":\"\\udc00\\ud800\"}",
        "{\"title\":\"\\ud83d\\u0041\"}",
        "{\"\\ud800\":1}",
        "\u{feff}{}",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .chain([
        whole[..whole.len() - 1].into(),
        format!("{whole}{whole}").into(),
        format!("{whole}\0").into(),
        nested(64).into(),
        nested(100_000).into(),
        b"{\"title\":\"\xff\"}".to_vec(),
        b"{\"title\":\"\xed\xa0\x80\"}".to_vec(),
        b"{\"title\":\"\xc0\xaf\"}".to_vec(),
        whole.encode_utf16().flat_map(u16::to_le_bytes).collect(),
    ])
    .collect();
    for body in malformed {
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        let answer = rest.post_raw("/tickets", body).await;
        assert_eq!(answer.error(400, "MALFORMED_JSON").get("details"), None, "{shown}");
    }
    // One level less is a matter of types.
    let answer = rest.post_raw("/tickets", nested(63)).await;
    assert_eq!(answer.told().1, "VALIDATION_FAILED");
    assert_nothing_was_written(&orqit, &rest).await;
}

#[tokio::test]
async fn every_field_of_a_new_ticket_is_checked() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write", "tickets:read"]).await;
    let long = |len: usize| json!("x".repeat(len));
    let two_to_63 = json!(9_223_372_036_854_775_808_u64);
    let many = |count: i64| json!((1..=count).collect::<Vec<_>>());
    let words = |count: usize| json!((0..count).map(|n| format!("tag{n}")).collect::<Vec<_>>());
    let table: Vec<(&str, Value, &str)> = vec![
        ("title", json!(5), "WRONG_TYPE"),
        ("title", json!(["x"]), "WRONG_TYPE"),
        ("title", Value::Null, "REQUIRED"),
        ("title", json!(""), "REQUIRED"),
        ("title", long(256), "LENGTH"),
        ("title", json!("\u{1F600}".repeat(256)), "LENGTH"),
        ("title", json!("a\u{0}b"), "NUL"),
        ("description", json!(true), "WRONG_TYPE"),
        ("description", long(65_537), "LENGTH"),
        ("description", json!("\u{0}"), "NUL"),
        ("type", json!("INCIDENTS"), "INVALID_ENUM"),
        ("type", json!("incident"), "INVALID_ENUM"),
        ("type", json!("TICKET_TYPE_UNSPECIFIED"), "INVALID_ENUM"),
        ("type", json!("UNSPECIFIED"), "INVALID_ENUM"),
        ("type", json!(1), "INVALID_ENUM"),
        ("type", json!("1"), "INVALID_ENUM"),
        ("type", json!(["INCIDENT"]), "INVALID_ENUM"),
        ("category", json!(""), "INVALID_ENUM"),
        ("category", json!("INCIDENT"), "INVALID_ENUM"),
        ("priority", json!("URGENT"), "INVALID_ENUM"),
        ("priority", json!(3), "INVALID_ENUM"),
        ("priority", json!(" HIGH"), "INVALID_ENUM"),
        ("impact", json!("CRITICAL"), "INVALID_ENUM"),
        ("urgency", json!({}), "INVALID_ENUM"),
        ("source", json!("PRIORITY_LOW"), "INVALID_ENUM"),
        ("requesterId", json!("x"), "WRONG_TYPE"),
        ("requesterId", json!(1.5), "WRONG_TYPE"),
        ("requesterId", json!(true), "WRONG_TYPE"),
        ("requesterId", two_to_63.clone(), "OUT_OF_RANGE"),
        ("requesterId", json!("9223372036854775808"), "OUT_OF_RANGE"),
        ("requesterId", json!(1e300), "OUT_OF_RANGE"),
        ("requesterId", json!("1.0"), "WRONG_TYPE"),
        ("requesterId", json!(" 1"), "WRONG_TYPE"),
        ("requesterId", json!(""), "WRONG_TYPE"),
        ("assigneeId", json!([1]), "WRONG_TYPE"),
        ("assigneeId", json!("-9223372036854775809"), "OUT_OF_RANGE"),
        ("parentId", json!("TCK-1"), "WRONG_TYPE"),
        ("parentId", json!({"id": 1}), "WRONG_TYPE"),
        ("watcherUserIds", json!(1), "WRONG_TYPE"),
        ("watcherUserIds", json!({}), "WRONG_TYPE"),
        ("watcherUserIds", many(51), "TOO_MANY_ITEMS"),
        ("watcherUserIds[1]", json!([1, "x"]), "WRONG_TYPE"),
        ("watcherUserIds[1]", json!([1, null]), "WRONG_TYPE"),
        ("watcherUserIds[2]", json!([1, 2, 1]), "DUPLICATE_ITEM"),
        ("tags", json!("vpn"), "WRONG_TYPE"),
        ("tags", words(21), "TOO_MANY_ITEMS"),
        ("tags[0]", json!([5]), "WRONG_TYPE"),
        ("tags[0]", json!([""]), "LENGTH"),
        ("tags[1]", json!(["ok", "x".repeat(65)]), "LENGTH"),
        ("tags[1]", json!(["ok", "a\u{0}"]), "NUL"),
        ("tags[1]", json!(["vpn", "vpn"]), "DUPLICATE_ITEM"),
        ("dueAt", json!("2026-02-01"), "INVALID_TIMESTAMP"),
        ("dueAt", json!("2026-02-01T10:00:00"), "INVALID_TIMESTAMP"),
        ("dueAt", json!("2026-02-30T10:00:00Z"), "INVALID_TIMESTAMP"),
        ("dueAt", json!("2026-02-01T24:00:00Z"), "INVALID_TIMESTAMP"),
        ("dueAt", json!("2026-02-01T10:00:60Z"), "INVALID_TIMESTAMP"),
        ("dueAt", json!("2026-02-01 10:00:00Z"), "INVALID_TIMESTAMP"),
        ("dueAt", json!("2026-02-01T10:00:00+24:00"), "INVALID_TIMESTAMP"),
        ("dueAt", json!("0000-02-01T10:00:00Z"), "INVALID_TIMESTAMP"),
        ("dueAt", json!("9999-12-31T23:59:59-00:01"), "INVALID_TIMESTAMP"),
        ("dueAt", json!("10000-01-01T00:00:00Z"), "INVALID_TIMESTAMP"),
        ("dueAt", json!(""), "INVALID_TIMESTAMP"),
        ("dueAt", json!(1_767_225_600), "WRONG_TYPE"),
        ("externalSource", json!({}), "WRONG_TYPE"),
        ("externalId", json!(5), "WRONG_TYPE"),
        ("status", json!("OPEN"), "UNKNOWN_FIELD"),
        ("customFields", json!([]), "WRONG_TYPE"),
        ("customFields.site", json!("x"), "UNKNOWN_FIELD"),
        ("Title", json!("x"), "UNKNOWN_FIELD"),
        ("title ", json!("x"), "UNKNOWN_FIELD"),
        ("", json!("x"), "UNKNOWN_FIELD"),
        ("__proto__", json!({}), "UNKNOWN_FIELD"),
    ];
    for (field, value, code) in table {
        let name = field.split('[').next().expect("a name");
        let mut body = vpn();
        body[name] = value;
        if name == "externalSource" || name == "externalId" {
            body = vpn_with(json!({"externalSource": "s", "externalId": "i", name: body[name]}));
        }
        let input = format!("{name}: {:.80}", body[name].to_string());
        let answer = rest.post("/tickets", body).await;
        let kind = if code == "UNKNOWN_FIELD" { "UNKNOWN_FIELD" } else { "VALIDATION_FAILED" };
        assert_eq!(answer.status, 400, "{input}");
        let told = answer.told();
        let wrong = (field.to_owned(), code.to_owned());
        assert_eq!(told.1, kind, "{input}: {told:?}");
        assert!(told.2.contains(&wrong), "{input}: {told:?}");
        let others = told.2.iter().filter(|(told, _)| !told.starts_with("external"));
        assert!(others.clone().all(|other| *other == wrong), "{input}: {told:?}");
    }
    assert_nothing_was_written(&orqit, &rest).await;
}

#[tokio::test]
async fn a_value_at_its_bound_is_accepted() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write"]).await;
    let tags: Vec<_> = (0..20).map(|n| format!("{n:0>64}")).collect();
    let table = [
        json!({"title": "x"}),
        json!({"title": "\u{1F600}".repeat(255)}),
        json!({"description": "\u{1F600}".repeat(65_536)}),
        json!({"type": "TICKET_TYPE_PROBLEM", "category": "TICKET_CATEGORY_ACCESS"}),
        json!({"requesterId": "1", "assigneeId": 2.0, "watcherUserIds": ["1", 2]}),
        json!({"requester_id": 1, "watcher_user_ids": [], "due_at": "0001-01-01T00:00:00Z"}),
        json!({"tags": tags, "dueAt": "9999-12-31T23:59:59.999999999Z"}),
        json!({"dueAt": "2026-02-01t10:00:00.5-23:59"}),
        json!({"priority": null, "impact": null, "tags": null, "dueAt": null, "parentId": null}),
        json!({"externalSource": "x".repeat(64), "externalId": "x".repeat(255)}),
    ];
    for more in table {
        let shown = format!("{:.80}", more.to_string());
        let answer = rest.post("/tickets", vpn_with(more)).await;
        assert_eq!(answer.status, 201, "{shown}: {:.300}", String::from_utf8_lossy(&answer.body));
    }
    let escaped =
        r#"{"\u0074itle":"\ud83d\ude00","description":"d","type":"CHANGE","category":"OTHER"}"#;
    let answer = rest.post_raw("/tickets", escaped).await;
    assert_eq!(answer.data(201)["title"], "\u{1F600}");
    let due =
        rest.post("/tickets", vpn_with(json!({"dueAt": "2026-02-01T10:00:00.123999+05:30"}))).await;
    assert_eq!(due.data(201)["dueAt"], "2026-02-01T04:30:00.123Z");
}

#[tokio::test]
async fn a_field_given_twice_is_refused_in_either_spelling() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write", "tickets:read"]).await;
    let rest_of_it = r#""description":"d","type":"CHANGE","category":"OTHER""#;
    for (twice, field) in [
        (r#""title":"a","title":"a""#, "title"),
        (r#""title":"a","title":null"#, "title"),
        (r#""title":"a","\u0074itle":"b""#, "title"),
        (r#""title":"a","dueAt":null,"due_at":null"#, "dueAt"),
        (r#""title":"a","watcher_user_ids":[],"watcherUserIds":[]"#, "watcherUserIds"),
    ] {
        let answer = rest.post_raw("/tickets", format!("{{{twice},{rest_of_it}}}")).await;
        answer.assert_wrong(twice, "VALIDATION_FAILED", &[(field, "DUPLICATE_FIELD")]);
    }
    assert_nothing_was_written(&orqit, &rest).await;
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write", "tickets:read"]).await;
    let everything = json!({
        "title": "", "description": 5, "type": "X", "priority": 1, "impact": "X", "urgency": "X",
        "requesterId": "x", "assigneeId": 0.5, "watcherUserIds": [1, "x", 1], "parentId": [],
        "tags": ["", 5], "dueAt": "now", "source": "X", "externalId": "x", "unknown": 1,
    });
    let answer = rest.post("/tickets?dry=1", everything).await;
    let expected = [
        ("assigneeId", "WRONG_TYPE"),
        ("category", "REQUIRED"),
        ("description", "WRONG_TYPE"),
        ("dry", "UNKNOWN_FIELD"),
        ("dueAt", "INVALID_TIMESTAMP"),
        ("externalSource", "REQUIRED"),
        ("impact", "INVALID_ENUM"),
        ("parentId", "WRONG_TYPE"),
        ("priority", "INVALID_ENUM"),
        ("requesterId", "WRONG_TYPE"),
        ("source", "INVALID_ENUM"),
        ("tags[0]", "LENGTH"),
        ("tags[1]", "WRONG_TYPE"),
        ("title", "REQUIRED"),
        ("type", "INVALID_ENUM"),
        ("unknown", "UNKNOWN_FIELD"),
        ("urgency", "INVALID_ENUM"),
        ("watcherUserIds[1]", "WRONG_TYPE"),
        ("watcherUserIds[2]", "DUPLICATE_ITEM"),
    ];
    answer.assert_wrong("everything", "VALIDATION_FAILED", &expected);

    let empty = rest.post("/tickets", json!({})).await;
    let required = ["category", "description", "title", "type"].map(|field| (field, "REQUIRED"));
    empty.assert_wrong("{}", "VALIDATION_FAILED", &required);
    let unknown = rest.post("/tickets?a=1&b=2", vpn_with(json!({"c": 1}))).await;
    let names = ["a", "b", "c"].map(|field| (field, "UNKNOWN_FIELD"));
    unknown.assert_wrong("unknown names", "UNKNOWN_FIELD", &names);

    // As many as there are, up to a bound.
    let many: serde_json::Map<_, _> = (0..5000).map(|n| (format!("f{n}"), json!(1))).collect();
    let answer = rest.post("/tickets", Value::Object(many)).await;
    assert_eq!(answer.told().2.len(), rest::Violations::MAX);
    assert_nothing_was_written(&orqit, &rest).await;
}

#[tokio::test]
async fn an_update_checks_its_fields_as_a_creation_does() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write", "tickets:read"]).await;
    let before = rest.post("/tickets", vpn()).await.data(201);
    let table = [
        (json!({"title": ""}), "title", "LENGTH"),
        (json!({"title": "x".repeat(256)}), "title", "LENGTH"),
        (json!({"status": "DONE"}), "status", "INVALID_ENUM"),
        (json!({"status": 1}), "status", "INVALID_ENUM"),
        (json!({"pendingReason": ""}), "pendingReason", "LENGTH"),
        (json!({"pendingReason": "x".repeat(1001)}), "pendingReason", "LENGTH"),
        (json!({"resolution": "\u{0}"}), "resolution", "NUL"),
        (json!({"version": 0}), "version", "OUT_OF_RANGE"),
        (json!({"version": "x"}), "version", "WRONG_TYPE"),
        (json!({"tags": ["a", "a"]}), "tags[1]", "DUPLICATE_ITEM"),
        (json!({"dueAt": "tomorrow"}), "dueAt", "INVALID_TIMESTAMP"),
        (json!({"externalId": "x"}), "externalSource", "REQUIRED"),
    ];
    for (body, field, code) in table {
        for method in [Method::PATCH, Method::PUT] {
            let request = rest.request(method, "/tickets/1").json(&body);
            let answer = send(request).await;
            answer.assert_wrong(&body.to_string(), "VALIDATION_FAILED", &[(field, code)]);
        }
    }
    assert_eq!(rest.get("/tickets/1").await.data(200), before);
    assert_eq!(orqit.events().await.len(), 1);
}

#[tokio::test]
async fn grpc_is_held_to_the_same_bounds() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["tickets:write", "tickets:read"]).await;
    let mut tickets = orqit.tickets().await;
    let time = |seconds, nanos| Some(prost_types::Timestamp { seconds, nanos });
    let everything = pb::CreateTicketRequest {
        title: "a\0b".to_owned(),
        description: "x".repeat(65_537),
        r#type: 99,
        category: 0,
        priority: Some(0),
        impact: Some(-1),
        urgency: Some(4),
        watcher_user_ids: (1..=51).collect(),
        tags: vec![String::new(), "a".repeat(65), "b".to_owned(), "b".to_owned()],
        due_at: time(0, -1),
        source: Some(8),
        external_source: Some("x".repeat(65)),
        ..Default::default()
    };
    let status = tickets.create_ticket(with_key(&key, everything)).await.expect_err("wrong");
    assert_refused(&status, Code::InvalidArgument, "VALIDATION_FAILED");
    let mut fields = violations(&status);
    fields.sort();
    let expected = [
        "category",
        "description",
        "dueAt",
        "externalId",
        "externalSource",
        "impact",
        "priority",
        "source",
        "tags[0]",
        "tags[1]",
        "tags[3]",
        "title",
        "type",
        "urgency",
        "watcherUserIds",
    ];
    assert_eq!(fields, expected);
    for due_at in [
        time(253_402_300_800, 0),
        time(-62_135_596_801, 0),
        time(i64::MAX, i32::MAX),
        time(0, 1_000_000_000),
    ] {
        let late = pb::CreateTicketRequest { due_at, ..vpn_message() };
        let status = tickets.create_ticket(with_key(&key, late)).await.expect_err("no such time");
        assert_eq!(violations(&status), ["dueAt"]);
    }
    let unknown = pb::CreateTicketRequest { requester_id: Some(i64::MIN), ..vpn_message() };
    let status = tickets.create_ticket(with_key(&key, unknown)).await.expect_err("no such user");
    assert_refused(&status, Code::InvalidArgument, "INVALID_REFERENCE");

    let list = pb::ListTicketsRequest {
        page: Some(i32::MIN),
        per_page: Some(i32::MAX),
        status: vec![1, 0, 7],
        sort: Some("id".to_owned()),
        tag: Some("\0".to_owned()),
        external_id: Some(String::new()),
        ..Default::default()
    };
    let status = tickets.list_tickets(with_key(&key, list)).await.expect_err("wrong");
    let mut fields = violations(&status);
    fields.sort();
    assert_eq!(
        fields,
        [
            "externalId",
            "externalSource",
            "page",
            "perPage",
            "sort",
            "status[1]",
            "status[2]",
            "tag"
        ]
    );
    let rest = orqit.rest(&key);
    assert_nothing_was_written(&orqit, &rest).await;
}

#[tokio::test]
async fn an_update_mask_names_fields_that_can_be_updated() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["tickets:write"]).await;
    let mut tickets = orqit.tickets().await;
    tickets.create_ticket(with_key(&key, vpn_message())).await.expect("created");
    for path in
        ["id", "version", "created_at", "update_mask", "*", "", "tags[0]", "tags.x", "nonsense"]
    {
        let message = pb::UpdateTicketRequest {
            id: "1".to_owned(),
            update_mask: Some(prost_types::FieldMask { paths: vec![path.to_owned()] }),
            ..Default::default()
        };
        let status = tickets.update_ticket(with_key(&key, message)).await.expect_err(path);
        assert_refused(&status, Code::InvalidArgument, "VALIDATION_FAILED");
        assert_eq!(violations(&status), ["updateMask"], "{path}");
    }
    let unmasked = pb::UpdateTicketRequest {
        id: "1".to_owned(),
        update_mask: Some(prost_types::FieldMask { paths: vec!["due_at".into(), "dueAt".into()] }),
        title: Some("not named, so not changed".to_owned()),
        ..Default::default()
    };
    let ticket = tickets.update_ticket(with_key(&key, unmasked)).await.expect("nothing to do");
    assert_eq!(ticket.into_inner().ticket.expect("a ticket").version, 1);
    for id in ["", "0", "-1", "abc", "TCK-01"] {
        let get = pb::GetTicketRequest { id: id.to_owned(), ..Default::default() };
        let reader = orqit.key(&["tickets:read"]).await;
        let status = tickets.get_ticket(with_key(&reader, get)).await.expect_err("no such id");
        let expected = if id.is_empty() { Code::InvalidArgument } else { Code::NotFound };
        assert_eq!(status.code(), expected, "{id:?}");
    }
}
