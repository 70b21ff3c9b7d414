//! The fields that a workspace adds to its tickets, as they are defined; `custom_values` has their values.

use orqit::pb;
use orqit::pb::custom_field_service_client::CustomFieldServiceClient;
use prost_types::value::Kind;
use serde_json::{Value, json};

use crate::support::requests::{vpn_message, vpn_with};
use crate::support::rest::{Answer, Rest};
use crate::support::server::{Orqit, with_key};

pub const SCOPES: &[&str] = &["tickets:read", "tickets:write", "workspace:manage", "audit:read"];

pub async fn define(rest: &Rest, field: Value) -> Value {
    rest.post("/custom-fields", field).await.data(201)
}

/// A field of each type, by its key; the last is required of no ticket.
pub async fn define_all(rest: &Rest) {
    let options = json!([{"value": "paris"}, {"value": "rome"}, {"value": "oslo, north"}]);
    for (key, field_type, more) in [
        ("text", "TEXT", json!({"maxLength": 5})),
        ("integer", "INTEGER", json!({"minimum": -10, "maximum": 10})),
        ("decimal", "DECIMAL", json!({"minimum": "0", "maximum": "99.5"})),
        ("boolean", "BOOLEAN", json!({})),
        ("date", "DATE", json!({"minimum": "2026-01-01"})),
        ("select", "SELECT", json!({"options": options})),
        ("multi", "MULTI_SELECT", json!({"options": options})),
        ("url", "URL", json!({})),
        ("email", "EMAIL", json!({})),
        ("user", "USER", json!({})),
    ] {
        let mut field = json!({"key": key, "label": key, "type": field_type});
        let members = field.as_object_mut().expect("an object");
        members.extend(more.as_object().expect("an object").clone());
        define(rest, field).await;
    }
}

pub async fn create(rest: &Rest, values: Value) -> Answer {
    rest.post("/tickets", vpn_with(json!({ "customFields": values }))).await
}

pub async fn change(rest: &Rest, values: Value) -> Answer {
    rest.patch("/tickets/1", json!({ "customFields": values })).await
}

#[tokio::test]
async fn a_custom_field_is_defined_changed_and_listed() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(SCOPES).await;
    let made = rest
        .post(
            "/custom-fields",
            json!({"key": "site", "label": "Site", "type": "SELECT", "options": [
                {"value": "p", "label": "Paris"}, {"value": "r", "active": false},
            ]}),
        )
        .await;
    let expected = json!({
        "id": 1, "key": "site", "label": "Site", "type": "SELECT", "required": false,
        "options": [
            {"value": "p", "label": "Paris", "active": true},
            {"value": "r", "label": "r", "active": false},
        ],
        "minimum": null, "maximum": null, "maxLength": null, "active": true,
        "createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": "2026-01-01T00:00:00.000Z",
        "version": 1,
    });
    assert_eq!(made.data(201), expected);
    assert_eq!(made.header("etag"), Some("\"1\""));
    for path in ["/custom-fields/1", "/custom-fields/site"] {
        assert_eq!(rest.get(path).await.data(200), expected);
    }
    define(
        &rest,
        json!({"key": "a", "label": "A", "type": "INTEGER", "active": false, "minimum": 3}),
    )
    .await;
    for (body, status, code, fields) in [
        (json!({"key": "site", "label": "S", "type": "TEXT"}), 409, "ALREADY_EXISTS", &[][..]),
        (json!({"key": "Site", "label": "S", "type": "TEXT"}), 400, "VALIDATION_FAILED", &["key"]),
        (json!({"key": "1", "label": "S", "type": "TEXT"}), 400, "VALIDATION_FAILED", &["key"]),
        (
            json!({"key": "a".repeat(41), "label": "S", "type": "TEXT"}),
            400,
            "VALIDATION_FAILED",
            &["key"],
        ),
        (json!({"key": "b", "label": "", "type": "TEXT"}), 400, "VALIDATION_FAILED", &["label"]),
        (json!({}), 400, "VALIDATION_FAILED", &["key", "label", "type"]),
        (
            json!({"key": "b", "label": "B", "type": "SELECT"}),
            400,
            "VALIDATION_FAILED",
            &["options"],
        ),
        (
            json!({"key": "b", "label": "B", "type": "SELECT", "options": [{"value": "x"}, {"value": "x"}]}),
            400,
            "VALIDATION_FAILED",
            &["options[1].value"],
        ),
        (
            json!({"key": "b", "label": "B", "type": "TEXT", "options": [{"value": "x"}], "minimum": 1, "maxLength": 0}),
            400,
            "VALIDATION_FAILED",
            &["maxLength", "minimum", "options"],
        ),
        (
            json!({"key": "b", "label": "B", "type": "INTEGER", "minimum": "1", "maxLength": 3}),
            400,
            "VALIDATION_FAILED",
            &["maxLength", "minimum"],
        ),
        (
            json!({"key": "b", "label": "B", "type": "DECIMAL", "minimum": "1.5", "maximum": "1.49"}),
            400,
            "VALIDATION_FAILED",
            &["maximum"],
        ),
        (json!({"key": "b", "label": "B", "type": "COLOUR"}), 400, "VALIDATION_FAILED", &["type"]),
    ] {
        let answer = rest.post("/custom-fields", body.clone()).await;
        answer.error(status, code);
        if status == 400 {
            let mut wrong = answer.wrong_fields();
            wrong.sort_unstable();
            assert_eq!(wrong, fields, "{body}");
        }
    }
    orqit.clock.advance_millis(1000);
    let changed = rest
        .patch("/custom-fields/site", json!({"label": "Place", "required": true}))
        .await
        .data(200);
    assert_eq!((&changed["label"], &changed["version"]), (&json!("Place"), &json!(2)));
    assert_eq!(rest.patch("/custom-fields/1", json!({"required": true})).await.data(200), changed);
    for (body, field) in [
        (json!({"key": "other"}), "key"),
        (json!({"type": "TEXT"}), "type"),
        (json!({"options": null}), "options"),
        (json!({"label": null}), "label"),
    ] {
        let answer = rest.patch("/custom-fields/1", body).await;
        answer.error(400, "VALIDATION_FAILED");
        assert_eq!(answer.wrong_fields(), [field]);
    }
    let late = json!({"version": 1, "label": "X"});
    rest.patch("/custom-fields/1", late).await.error(412, "VERSION_CONFLICT");
    for (query, expected) in [
        ("", json!([2, 1])),
        ("sort=key", json!([2, 1])),
        ("sort=-key&cursor=start", json!([1, 2])),
        ("active=false", json!([2])),
    ] {
        let listed = rest.get(&format!("/custom-fields?{query}")).await.data(200);
        let ids: Vec<_> =
            listed.as_array().expect("a list").iter().map(|it| it["id"].clone()).collect();
        assert_eq!(json!(ids), expected, "{query}");
    }
    for path in ["/custom-fields/3", "/custom-fields/nope", "/custom-fields/0"] {
        rest.get(path).await.error(404, "CUSTOM_FIELD_NOT_FOUND");
        rest.patch(path, json!({"label": "X"})).await.error(404, "CUSTOM_FIELD_NOT_FOUND");
    }
    let types: Vec<_> = orqit.payloads().await.iter().map(|event| event["type"].clone()).collect();
    assert_eq!(
        json!(types),
        json!(["custom_field.created", "custom_field.created", "custom_field.updated"])
    );
    let audited = rest.get("/audit-logs?resourceType=custom_field").await.data(200);
    assert_eq!(audited[0]["action"], "custom_field.update");
}

#[tokio::test]
async fn a_workspace_has_at_most_100_fields() {
    let orqit = Orqit::start().await;
    let limits = |new: &mut orqit::store::NewKey| (new.per_minute, new.group_per_minute) = (0, 0);
    let rest = orqit.rest(&orqit.key_with(&orqit.workspace, SCOPES, limits).await);
    for number in 0..100 {
        define(&rest, json!({"key": format!("f{number}"), "label": "F", "type": "TEXT"})).await;
    }
    let one_more = json!({"key": "more", "label": "F", "type": "TEXT"});
    for _ in 0..2 {
        rest.post("/custom-fields", one_more.clone()).await.error(409, "RESOURCE_LIMIT_REACHED");
    }
    assert_eq!(rest.get("/custom-fields").await.json()["meta"]["totalCount"], 100);
    let values: serde_json::Map<_, _> =
        (0..100).map(|number| (format!("f{number}"), json!("x".repeat(640)))).collect();
    let as_json = serde_json::to_string(&values).expect("JSON").len();
    create(&rest, json!(values)).await.data(201);
    for (bytes, is_right) in [(64 * 1024, true), (64 * 1024 + 1, false)] {
        let mut more = values.clone();
        more.insert("f0".to_owned(), json!("x".repeat(640 + bytes - as_json)));
        let answer = create(&rest, json!(more)).await;
        if is_right {
            answer.data(201);
        } else {
            assert_eq!(answer.wrong_fields(), ["customFields"]);
        }
    }
    change(&rest, json!({"f0": "x".repeat(2_000)})).await.error(400, "VALIDATION_FAILED");
}

#[tokio::test]
async fn another_workspace_has_fields_and_users_of_its_own() {
    let orqit = Orqit::start().await;
    let other = orqit.workspace("other").await;
    let foreign = orqit.rest(&orqit.key_of(&other, SCOPES).await);
    let rest = orqit.rest_as(SCOPES).await;
    define_all(&foreign).await;
    let user = orqit.user_of(&other, "Ann").await;
    assert_eq!(create(&rest, json!({"text": "a"})).await.wrong_fields(), ["customFields.text"]);
    rest.get("/custom-fields/text").await.error(404, "CUSTOM_FIELD_NOT_FOUND");
    assert_eq!(rest.get("/custom-fields/schema").await.data(200)["properties"], json!({}));
    define(&rest, json!({"key": "user", "label": "U", "type": "USER"})).await;
    let answer = create(&rest, json!({"user": user})).await;
    answer.error(400, "INVALID_REFERENCE");
    assert_eq!(answer.wrong_fields(), ["customFields.user"]);
    create(&foreign, json!({"user": user})).await.data(201);
}

#[tokio::test]
async fn over_grpc_values_are_a_map_and_batches_take_them() {
    let orqit = Orqit::start().await;
    let key = orqit.key(SCOPES).await;
    let mut fields = CustomFieldServiceClient::new(orqit.channel().await);
    let field = pb::CreateCustomFieldRequest {
        key: "cost_center".into(),
        label: "Cost center".into(),
        r#type: pb::CustomFieldType::Integer.into(),
        ..Default::default()
    };
    let made = fields.create_custom_field(with_key(&key, field)).await.expect("a field");
    assert_eq!(made.into_inner().custom_field.expect("a field").id, 1);
    let value = |kind| prost_types::Value { kind: Some(kind) };
    let values = |kind| [("cost_center".to_owned(), value(kind))].into();
    let mut tickets = orqit.tickets().await;
    let new =
        pb::CreateTicketRequest { custom_fields: values(Kind::NumberValue(7.0)), ..vpn_message() };
    let made = tickets.create_ticket(with_key(&key, new)).await.expect("made").into_inner();
    assert_eq!(made.ticket.expect("a ticket").custom_fields, values(Kind::NumberValue(7.0)));
    let update = |paths: Option<&[&str]>, custom_fields| pb::UpdateTicketRequest {
        id: "1".into(),
        update_mask: paths.map(|paths| prost_types::FieldMask {
            paths: paths.iter().map(|it| (*it).to_owned()).collect(),
        }),
        custom_fields,
        ..Default::default()
    };
    for (update, left) in [
        (update(None, values(Kind::NumberValue(8.0))), 1),
        (update(None, [].into()), 1),
        (update(Some(&["title"][..]), values(Kind::NullValue(0))), 1),
        (update(None, values(Kind::NullValue(0))), 0),
        (update(Some(&["custom_fields"]), values(Kind::NumberValue(9.0))), 1),
        (update(Some(&["custom_fields"]), [].into()), 0),
    ] {
        let update = pb::UpdateTicketRequest { title: Some("A".into()), ..update };
        let changed =
            tickets.update_ticket(with_key(&key, update)).await.expect("changed").into_inner();
        assert_eq!(changed.ticket.expect("a ticket").custom_fields.len(), left);
    }
    let rest = orqit.rest(&key);
    let items = json!([
        vpn_with(json!({"customFields": {"cost_center": 1}})),
        vpn_with(json!({"customFields": {"cost_center": "1", "nope": 2}})),
    ]);
    let results = rest.post("/tickets/batch", json!({ "items": items })).await.data(200);
    assert_eq!(results[0]["status"], 201);
    let fields: Vec<_> = results[1]["error"]["details"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["field"].clone())
        .collect();
    assert_eq!(json!(fields), json!(["customFields.cost_center", "customFields.nope"]));
    let items =
        json!([{"id": 2, "customFields": {"cost_center": 2}}, {"id": 2, "customFields": null}]);
    let results = rest.patch("/tickets/batch", json!({ "items": items })).await.data(200);
    assert_eq!(
        (&results[0]["data"]["version"], &results[1]["data"]["version"]),
        (&json!(2), &json!(3))
    );
    let list = pb::ListTicketsRequest {
        cf: [("cost_center".to_owned(), "2".to_owned())].into(),
        ..Default::default()
    };
    let found = tickets.list_tickets(with_key(&key, list)).await.expect("a list").into_inner();
    assert!(found.tickets.is_empty());
}
