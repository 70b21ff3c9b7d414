//! A workspace's own categories, and the tickets that have one.

use orqit::pb;
use orqit::pb::category_service_client::CategoryServiceClient;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::grpc::assert_refused;
use crate::support::requests::vpn;
use crate::support::rest::Rest;
use crate::support::server::{Orqit, with_key};

const SCOPES: &[&str] =
    &["tickets:create", "tickets:read", "tickets:write", "workspace:manage", "audit:read"];

async fn category(rest: &Rest, category: Value) -> Value {
    rest.post("/categories", category).await.data(201)
}

/// A new ticket of a category of the workspace's own.
fn of(config: Value, more: Value) -> Value {
    let mut ticket = vpn();
    let fields = ticket.as_object_mut().expect("an object");
    fields.remove("category");
    fields.insert("categoryConfigId".to_owned(), config);
    fields.extend(more.as_object().expect("an object").clone());
    ticket
}

#[tokio::test]
async fn a_category_is_made_changed_and_listed() {
    let orqit = Orqit::start().await;
    let key = orqit.key(SCOPES).await;
    let rest = orqit.rest(&key);
    let made = rest.post("/categories", json!({"name": "VPN", "baseCategory": "NETWORK"})).await;
    let expected = json!({
        "id": 1, "name": "VPN", "baseCategory": "NETWORK", "defaultPriority": null,
        "active": true, "createdAt": "2026-01-01T00:00:00.000Z",
        "updatedAt": "2026-01-01T00:00:00.000Z", "version": 1,
    });
    assert_eq!(made.data(201), expected);
    assert_eq!(made.header("etag"), Some("\"1\""));
    category(&rest, json!({"name": "aaa", "baseCategory": "OTHER", "active": false})).await;
    for (name, status, code) in [
        ("vpn", 409, "ALREADY_EXISTS"),
        ("", 400, "VALIDATION_FAILED"),
        ("a\nb", 400, "VALIDATION_FAILED"),
    ] {
        let taken = json!({"name": name, "baseCategory": "OTHER"});
        rest.post("/categories", taken).await.error(status, code);
    }
    orqit.clock.advance_millis(1000);
    let change = json!({"name": "Vpn", "defaultPriority": "HIGH"});
    let changed = rest.patch("/categories/1", change.clone()).await.data(200);
    assert_eq!((&changed["name"], &changed["version"]), (&json!("Vpn"), &json!(2)));
    assert_eq!(rest.patch("/categories/1", change).await.data(200), changed);
    assert_eq!(rest.get("/categories/1").await.data(200), changed);
    rest.patch("/categories/1", json!({"version": 1, "active": false}))
        .await
        .error(412, "VERSION_CONFLICT");
    for (query, expected) in [
        ("", &[2, 1][..]),
        ("sort=name", &[2, 1]),
        ("sort=-name&cursor=start", &[1, 2]),
        ("sort=-updatedAt", &[1, 2]),
        ("active=true", &[1]),
        ("active=false&sort=name", &[2]),
    ] {
        let listed = rest.get(&format!("/categories?{query}")).await.data(200);
        let ids: Vec<_> =
            listed.as_array().expect("a list").iter().map(|it| it["id"].clone()).collect();
        assert_eq!(json!(ids), json!(expected), "{query}");
    }
    let types: Vec<_> = orqit.payloads().await.iter().map(|event| event["type"].clone()).collect();
    assert_eq!(json!(types), json!(["category.created", "category.created", "category.updated"]));
    let audited = rest.get("/audit-logs?resourceType=category&resourceId=1").await.data(200);
    assert_eq!(audited[0]["action"], "category.update");
    assert_eq!(audited[0]["after"]["name"], "Vpn");

    for path in ["/categories/3", "/categories/0", "/categories/x"] {
        rest.get(path).await.error(404, "CATEGORY_NOT_FOUND");
    }
    let reads = orqit.rest_as(&["tickets:read"]).await;
    reads.get("/categories").await.data(200);
    reads.post("/categories", json!({})).await.error(403, "INSUFFICIENT_SCOPE");
    let mut grpc = CategoryServiceClient::new(orqit.channel().await);
    let get = pb::GetCategoryRequest { id: "1".to_owned() };
    let got = grpc.get_category(with_key(&key, get)).await.unwrap().into_inner().category.unwrap();
    assert_eq!((got.name.as_str(), got.default_priority), ("Vpn", Some(3)));
    let get = pb::GetCategoryRequest { id: "9".to_owned() };
    let missing = grpc.get_category(with_key(&key, get)).await.unwrap_err();
    assert_refused(&missing, Code::NotFound, "CATEGORY_NOT_FOUND");
}

#[tokio::test]
async fn a_category_gives_its_tickets_their_base_and_a_priority() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(SCOPES).await;
    let access =
        json!({"name": "Payroll", "baseCategory": "ACCESS", "defaultPriority": "CRITICAL"});
    category(&rest, access).await;
    category(&rest, json!({"name": "Mail", "baseCategory": "EMAIL"})).await;
    for (config, more, category, priority) in [
        (1, json!({}), "ACCESS", "CRITICAL"),
        (1, json!({"priority": "LOW"}), "ACCESS", "LOW"),
        (1, json!({"impact": "HIGH", "urgency": "LOW"}), "ACCESS", "MEDIUM"),
        (1, json!({"impact": "HIGH"}), "ACCESS", "CRITICAL"),
        (2, json!({}), "EMAIL", "MEDIUM"),
    ] {
        let ticket = rest.post("/tickets", of(json!(config), more.clone())).await.data(201);
        let shown = (&ticket["category"], &ticket["priority"], &ticket["categoryConfigId"]);
        assert_eq!(shown, (&json!(category), &json!(priority), &json!(config)), "{more}");
    }
    let found = rest.get("/tickets?categoryConfigId=1&sort=createdAt").await;
    assert_eq!(found.json()["meta"]["totalCount"], 4);
    let both = rest.get("/tickets?categoryConfigId=1,2&category=EMAIL").await;
    assert_eq!(both.json()["meta"]["totalCount"], 1);

    // What is set on a ticket sets the other; its priority stays.
    let moved = rest.patch("/tickets/1", json!({"categoryConfigId": 2})).await.data(200);
    let shown = (&moved["category"], &moved["categoryConfigId"], &moved["priority"]);
    assert_eq!(shown, (&json!("EMAIL"), &json!(2), &json!("CRITICAL")));
    let built_in = rest.patch("/tickets/1", json!({"category": "EMAIL"})).await.data(200);
    assert_eq!(
        (&built_in["category"], &built_in["categoryConfigId"]),
        (&json!("EMAIL"), &Value::Null)
    );
    rest.patch("/tickets/1", json!({"categoryConfigId": 1})).await.data(200);
    let cleared = rest.patch("/tickets/1", json!({"categoryConfigId": null})).await.data(200);
    assert_eq!(
        (&cleared["category"], &cleared["categoryConfigId"]),
        (&json!("ACCESS"), &Value::Null)
    );
    let history = rest.get("/tickets/1/history?perPage=1").await.data(200);
    assert_eq!(
        (&history[0]["field"], &history[0]["from"]),
        (&json!("categoryConfigId"), &json!(1))
    );

    // One that is not active any more stays where it is, and goes nowhere else.
    rest.patch("/categories/2", json!({"active": false, "baseCategory": "OTHER"})).await.data(200);
    let kept = rest.get("/tickets/5").await.data(200);
    assert_eq!((&kept["category"], &kept["categoryConfigId"]), (&json!("EMAIL"), &json!(2)));
    rest.patch("/tickets/5", json!({"categoryConfigId": 2, "title": "Same"})).await.data(200);
    rest.patch("/tickets/2", json!({"categoryConfigId": 2})).await.error(400, "INVALID_REFERENCE");
}

#[tokio::test]
async fn a_ticket_has_one_category_of_its_workspace() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(SCOPES).await;
    let other = orqit.workspace("other").await;
    let of_other = orqit.rest(&orqit.key_of(&other, SCOPES).await);
    category(&of_other, json!({"name": "Theirs", "baseCategory": "OTHER"})).await;
    let wrong = rest.post("/tickets", of(json!(1), json!({"requesterId": 99}))).await;
    assert_eq!(wrong.error(400, "INVALID_REFERENCE")["code"], "INVALID_REFERENCE");
    assert_eq!(wrong.wrong_fields(), ["categoryConfigId", "requesterId"]);
    let none = rest.post("/tickets", of(Value::Null, json!({}))).await;
    none.assert_wrong("neither", "VALIDATION_FAILED", &[("category", "REQUIRED")]);
    let both = of(json!(1), json!({"category": "OTHER"}));
    let expected = [("categoryConfigId", "INVALID_COMBINATION")];
    rest.post("/tickets", both).await.assert_wrong("both", "VALIDATION_FAILED", &expected);
    rest.post("/tickets", vpn()).await.data(201);
    let both = json!({"categoryConfigId": 1, "category": "OTHER"});
    rest.patch("/tickets/1", both).await.assert_wrong("both", "VALIDATION_FAILED", &expected);
    rest.get("/categories/1").await.error(404, "CATEGORY_NOT_FOUND");
    rest.patch("/tickets/1", json!({"categoryConfigId": 1})).await.error(400, "INVALID_REFERENCE");
}
