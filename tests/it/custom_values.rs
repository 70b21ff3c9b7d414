//! The values of a workspace's own fields in its tickets.

use serde_json::json;

use crate::custom_fields::{SCOPES, change, create, define, define_all};
use crate::support::server::Orqit;

#[tokio::test]
async fn values_are_validated_by_type_and_come_back_by_key() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(SCOPES).await;
    define_all(&rest).await;
    let values = json!({
        "boolean": false, "date": "2026-11-23", "decimal": "012.50", "email": "Ann@Example.com",
        "integer": -10, "multi": ["rome", "paris"], "select": "oslo, north", "text": "häé𝒳<",
        "url": "https://example.com/a?b=c", "user": 1,
    });
    let made = create(&rest, values.clone()).await.data(201);
    assert_eq!(made["customFields"], values);
    assert_eq!(rest.get("/tickets/1").await.data(200)["customFields"], values);
    assert_eq!(rest.get("/tickets").await.data(200)[0]["customFields"], values);
    assert_eq!(orqit.payloads().await.last().unwrap()["data"]["object"]["customFields"], values);
    for (key, wrong) in [
        ("text", json!([1, true, "", "123456", ["a"], {"a": 1}])),
        ("integer", json!(["3", 1.5, -11, 11, true, 9_007_199_254_740_993_i64, 1e300])),
        ("decimal", json!([1.5, "abc", "-0.1", "99.51", "1234567890123456789", "1e1", ""])),
        ("boolean", json!(["true", 1, "yes"])),
        ("date", json!(["2026-02-30", "2025-12-31", "2026-11-23T00:00:00Z", 20261123, ""])),
        ("select", json!(["Paris", "berlin", ["paris"], 1])),
        ("multi", json!(["paris", ["paris", "paris"], ["berlin"], [1], {"a": 1}])),
        (
            "url",
            json!([
                "example.com",
                "ftp://example.com",
                "https://",
                "javascript:alert(1)",
                "https://a b"
            ]),
        ),
        ("email", json!(["ann", "ann@", "a n@n.example", 7])),
        ("user", json!(["1", 0, 99, -1, 1.5])),
        ("nope", json!([1, null])),
    ] {
        for wrong in wrong.as_array().expect("a list") {
            let expected = vec![format!("customFields.{key}")];
            for answer in
                [create(&rest, json!({key: wrong})).await, change(&rest, json!({key: wrong})).await]
            {
                assert_eq!(
                    (answer.status.as_u16(), answer.wrong_fields()),
                    (400, expected.clone()),
                    "{key} {wrong}"
                );
            }
        }
    }
    let both = create(&rest, json!({"integer": "x", "user": 99, "nope": 1})).await;
    assert_eq!(both.wrong_fields().len(), 3);
    assert_eq!(rest.get("/tickets/1").await.data(200)["version"], 1);
    let schema = rest.get("/custom-fields/schema").await.data(200);
    assert_eq!(schema["properties"]["integer"]["minimum"], -10);
    assert_eq!(
        schema["properties"]["multi"]["items"]["enum"],
        json!(["paris", "rome", "oslo, north"])
    );
    assert_eq!(schema["required"], json!([]));
}

#[tokio::test]
async fn an_update_merges_by_key_and_its_events_and_history_tell_of_each() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(SCOPES).await;
    define_all(&rest).await;
    create(&rest, json!({"text": "a", "integer": 1, "multi": [], "url": null})).await.data(201);
    for (values, expected, changed) in [
        (
            json!({"integer": 2}),
            json!({"text": "a", "integer": 2}),
            json!(["customFields.integer"]),
        ),
        (json!({"integer": 2}), json!({"text": "a", "integer": 2}), json!(null)),
        (json!({}), json!({"text": "a", "integer": 2}), json!(null)),
        (
            json!({"text": null, "boolean": true}),
            json!({"boolean": true, "integer": 2}),
            json!(["customFields.boolean", "customFields.text"]),
        ),
        (
            json!({"multi": ["rome"]}),
            json!({"boolean": true, "integer": 2, "multi": ["rome"]}),
            json!(["customFields.multi"]),
        ),
        (
            json!({"multi": []}),
            json!({"boolean": true, "integer": 2}),
            json!(["customFields.multi"]),
        ),
        (json!(null), json!({}), json!(["customFields.boolean", "customFields.integer"])),
    ] {
        let before = orqit.events().await.len();
        let ticket = change(&rest, values.clone()).await.data(200);
        assert_eq!(ticket["customFields"], expected, "{values}");
        let events = orqit.payloads().await;
        assert_eq!(events.len() - before, usize::from(!changed.is_null()), "{values}");
        if !changed.is_null() {
            assert_eq!(events.last().unwrap()["data"]["changedFields"], changed);
        }
    }
    let last = orqit.payloads().await.pop().unwrap();
    assert_eq!(
        last["data"]["previous"],
        json!({"customFields.boolean": true, "customFields.integer": 2})
    );
    let history = rest.get("/tickets/1/history").await.data(200);
    let history: Vec<_> = history
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| json!([entry["field"], entry["from"], entry["to"]]))
        .collect();
    let expected = json!([
        ["customFields.integer", 2, null],
        ["customFields.boolean", true, null],
        ["customFields.multi", ["rome"], null],
        ["customFields.multi", null, ["rome"]],
        ["customFields.text", "a", null],
        ["customFields.boolean", null, true],
        ["customFields.integer", 1, 2],
    ]);
    assert_eq!(json!(history), expected);
}

#[tokio::test]
async fn a_required_field_binds_new_tickets_and_its_own_changes() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(SCOPES).await;
    create(&rest, json!({})).await.data(201);
    define(
        &rest,
        json!({"key": "a", "label": "A", "type": "TEXT", "required": true, "maxLength": 9}),
    )
    .await;
    let options = json!([{"value": "x"}, {"value": "y"}]);
    define(&rest, json!({"key": "b", "label": "B", "type": "SELECT", "options": options})).await;
    for values in [json!({}), json!({"a": null}), json!(null)] {
        let answer = create(&rest, values).await;
        assert_eq!(
            (answer.status.as_u16(), answer.wrong_fields()),
            (400, vec!["customFields.a".to_owned()])
        );
    }
    // A ticket that was there without a value may stay so.
    rest.patch("/tickets/1", json!({"title": "Changed", "customFields": {"b": "x"}}))
        .await
        .data(200);
    change(&rest, json!({"a": "12345678"})).await.data(200);
    for values in [json!({"a": null}), json!(null), json!({"a": ""})] {
        assert_eq!(change(&rest, values).await.wrong_fields(), ["customFields.a"]);
    }
    // Tighter bounds and options that are gone leave what is there alone.
    rest.patch("/custom-fields/a", json!({"maxLength": 3})).await.data(200);
    rest.patch(
        "/custom-fields/b",
        json!({"options": [{"value": "x", "active": false}, {"value": "z"}]}),
    )
    .await
    .data(200);
    let held = json!({"a": "12345678", "b": "x"});
    let same =
        rest.patch("/tickets/1", json!({"title": "Again", "customFields": held})).await.data(200);
    assert_eq!(same["customFields"], held);
    assert_eq!(
        change(&rest, json!({"a": "1234", "b": "y"})).await.wrong_fields(),
        ["customFields.a", "customFields.b"]
    );
    assert_eq!(create(&rest, json!({"a": "1", "b": "x"})).await.wrong_fields(), ["customFields.b"]);
    // Neither does a field that is not active any more; it can only be cleared.
    rest.patch("/custom-fields/a", json!({"active": false})).await.data(200);
    create(&rest, json!({})).await.data(201);
    assert_eq!(change(&rest, json!({"a": "1"})).await.wrong_fields(), ["customFields.a"]);
    assert_eq!(rest.get("/tickets/1").await.data(200)["customFields"], held);
    assert_eq!(
        change(&rest, json!({"a": null})).await.data(200)["customFields"],
        json!({"b": "x"})
    );
    let schema = rest.get("/custom-fields/schema").await.data(200);
    assert_eq!(schema["properties"], json!({"b": {"type": "string", "enum": ["z"], "title": "B"}}));
}

#[tokio::test]
async fn tickets_are_found_by_the_values_of_every_type() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(SCOPES).await;
    define_all(&rest).await;
    define(&rest, json!({"key": "long", "label": "Long", "type": "TEXT"})).await;
    let long = "Ä".repeat(2_000);
    for values in [
        json!({"text": "Strße", "integer": 7, "decimal": "1.50", "boolean": true, "select": "paris"}),
        json!({"text": "a,b", "date": "2026-11-23", "multi": ["paris", "rome"], "user": 1, "long": long}),
        json!({"multi": ["rome"], "url": "https://Example.com/A", "email": "Ann@example.com", "select": "rome", "user": 2}),
        json!({"integer": 7, "boolean": false, "select": "oslo, north"}),
    ] {
        create(&rest, values).await.data(201);
        orqit.clock.advance_millis(1000);
    }
    let found = async |query: &str| {
        let answer = rest.get(&format!("/tickets?{query}")).await;
        let rows = answer.data(200);
        let ids: Vec<_> =
            rows.as_array().expect("a list").iter().map(|it| it["id"].as_i64().unwrap()).collect();
        let total = &answer.json()["meta"]["totalCount"];
        assert!(total.is_null() || *total == ids.len(), "{query}");
        ids
    };
    let lower = "%C3%A4".repeat(2_000);
    for (query, expected) in [
        ("cf.text=STRSSE", &[1][..]),
        ("cf.text=a,b", &[2]),
        ("cf.text=a", &[]),
        ("cf.integer=7", &[4, 1]),
        ("cf.integer=7&sort=createdAt", &[1, 4]),
        ("cf.integer=7&sort=-updatedAt&cursor=start", &[4, 1]),
        ("cf.integer=7&cf.boolean=true", &[1]),
        ("cf.integer=7&cf.select=paris,rome", &[1]),
        ("cf.decimal=01.5", &[1]),
        ("cf.boolean=false", &[4]),
        ("cf.date=2026-11-23", &[2]),
        ("cf.select=paris,rome", &[3, 1]),
        ("cf.select=paris,rome&sort=createdAt&cursor=start", &[1, 3]),
        ("cf.select=oslo,%20north", &[4]),
        ("cf.select=berlin", &[]),
        ("cf.multi=rome", &[3, 2]),
        ("cf.multi=rome,paris", &[3, 2]),
        ("cf.multi=rome,paris&cf.user=1,2&status=OPEN", &[3, 2]),
        ("cf.multi=paris&tag=none", &[]),
        ("cf.user=1,7", &[2]),
        ("cf.url=https://example.com/a", &[3]),
        ("cf.email=ANN@EXAMPLE.COM", &[3]),
        (&format!("cf.long={lower}"), &[2]),
        (&format!("cf.long={lower}x"), &[]),
    ] {
        assert_eq!(found(query).await, expected, "{query}");
    }
    change(&rest, json!({"integer": 8, "select": null})).await.data(200);
    assert_eq!(found("cf.integer=7").await, [4]);
    assert_eq!(found("cf.integer=8").await, [1]);
    assert_eq!(found("cf.select=paris").await, [0; 0]);
    for (query, field) in [
        ("cf.nope=1", "cf.nope"),
        ("cf.integer=x", "cf.integer"),
        ("cf.boolean=1", "cf.boolean"),
        ("cf.date=today", "cf.date"),
        ("cf.user=ann", "cf.user"),
        ("cf.user=1,", "cf.user"),
        ("cf.select=a,,b", "cf.select"),
        ("cf.text=", "cf.text"),
        ("cf.text=a&cf.text=b", "cf.text"),
        ("cf.=1", "cf."),
        ("cf=1", "cf"),
    ] {
        let answer = rest.get(&format!("/tickets?{query}")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.wrong_fields()),
            (400, vec![field.to_owned()]),
            "{query}"
        );
    }
    let cursor = rest.get("/tickets?cf.multi=rome&perPage=1&cursor=start").await.json()["meta"]["nextCursor"].clone();
    let cursor = cursor.as_str().expect("more");
    assert_eq!(found(&format!("cf.multi=rome&perPage=1&cursor={cursor}")).await, [2]);
    rest.get(&format!("/tickets?cf.multi=paris&cursor={cursor}"))
        .await
        .error(400, "VALIDATION_FAILED");
}
