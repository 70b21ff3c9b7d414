//! Assets: their life, who has them, and the tickets about them.

use http::Method;
use orqit::pb;
use orqit::pb::asset_service_client::AssetServiceClient;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tonic::Code;

use crate::support::grpc::{assert_refused, error_info};
use crate::support::requests::vpn_with;
use crate::support::rest::{Rest, send};
use crate::support::server::{Orqit, with_key};

const WRITER: &[&str] = &["assets:read", "assets:write", "tickets:read", "tickets:write"];
const STATUSES: [&str; 9] = [
    "ORDERED",
    "IN_STOCK",
    "ASSIGNED",
    "IN_USE",
    "IN_REPAIR",
    "RETIRED",
    "LOST",
    "STOLEN",
    "DISPOSED",
];

fn laptop(more: Value) -> Value {
    let mut asset = json!({"name": "ThinkPad", "type": "LAPTOP"});
    let fields = asset.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    asset
}

async fn create(rest: &Rest, more: Value) -> Value {
    rest.post("/assets", laptop(more)).await.data(201)
}

async fn change(rest: &Rest, id: i64, body: Value) -> Value {
    rest.patch(&format!("/assets/{id}"), body).await.data(200)
}

/// Who may do as much as they like.
async fn writer(orqit: &Orqit) -> Rest {
    let limits = |new: &mut orqit::store::NewKey| (new.per_minute, new.group_per_minute) = (0, 0);
    orqit.rest(&orqit.key_with(&orqit.workspace, WRITER, limits).await)
}

async fn ids(rest: &Rest, path: &str) -> Vec<i64> {
    let answer = rest.get(path).await;
    let rows = answer.data(200);
    let ids: Vec<_> =
        rows.as_array().expect("a list").iter().map(|it| it["id"].as_i64().unwrap()).collect();
    let total = &answer.json()["meta"]["totalCount"];
    assert!(total.is_null() || *total == ids.len(), "{path}: {total}");
    ids
}

#[tokio::test]
async fn an_asset_is_made_and_changed() {
    let orqit = Orqit::start().await;
    let rest = writer(&orqit).await;
    let user = orqit.user("Ana").await;
    let all = json!({
        "assetTag": "NB-7", "serialNumber": "PF-3", "manufacturer": "Lenovo", "model": "T14",
        "assignedUserId": user, "location": "Lisbon", "purchaseDate": "2026-03-02",
        "purchaseCost": "1299.00", "currency": "EUR", "warrantyExpiresAt": "2029-02-28",
        "notes": "Loud.", "tags": ["loan"],
    });
    let made = rest.post("/assets", laptop(all.clone())).await;
    let mut expected = laptop(all);
    for (field, value) in [
        ("id", json!(1)),
        ("status", json!("ASSIGNED")),
        ("openTicketCount", json!(0)),
        ("createdAt", json!("2026-01-01T00:00:00.000Z")),
        ("updatedAt", json!("2026-01-01T00:00:00.000Z")),
        ("version", json!(1)),
    ] {
        expected[field] = value;
    }
    assert_eq!(made.data(201), expected);
    for path in ["/assets/1", "/assets/NB-7"] {
        assert_eq!(rest.get(path).await.data(200), expected);
    }
    for path in ["/assets/2", "/assets/nb-7", "/assets/0", "/assets/NB-7/"] {
        assert_eq!(rest.get(path).await.status, 404, "{path}");
    }
    rest.get("/assets/nb-7").await.error(404, "ASSET_NOT_FOUND");
    rest.patch("/assets/nb-7", json!({"notes": "x"})).await.error(404, "ASSET_NOT_FOUND");
    orqit.clock.advance_millis(1000);
    let cleared = json!({
        "serialNumber": null, "manufacturer": null, "model": null, "location": null,
        "purchaseDate": null, "purchaseCost": null, "currency": null, "warrantyExpiresAt": null,
        "notes": null, "tags": null, "assetTag": "NB-8", "type": "PHONE", "name": "Phone",
    });
    let changed = rest.patch("/assets/NB-7", cleared).await.data(200);
    assert_eq!((&changed["version"], &changed["tags"]), (&json!(2), &json!([])));
    assert_eq!(changed["purchaseCost"], Value::Null);
    assert_eq!(change(&rest, 1, json!({"assetTag": "NB-8"})).await, changed);
    let history = rest.get("/assets/NB-8/history?perPage=100").await.data(200);
    let fields: Vec<_> = history.as_array().unwrap().iter().map(|it| &it["field"]).collect();
    assert_eq!(fields.len(), 13, "{fields:?}");
    let late = rest.request(Method::PUT, "/assets/1").header("if-match", "\"1\"");
    send(late.json(&json!({"notes": "Late"}))).await.error(412, "VERSION_CONFLICT");
    send(rest.request(Method::DELETE, "/assets/1")).await.error(405, "METHOD_NOT_ALLOWED");
    let other = orqit.workspace("other").await;
    let theirs = orqit.rest(&orqit.key_with(&other, WRITER, |_| ()).await);
    for path in ["/assets/1", "/assets/NB-8", "/assets/1/history"] {
        let hidden = theirs.get(path).await.error(404, "ASSET_NOT_FOUND");
        assert_eq!(hidden["message"], theirs.get("/assets/9").await.json()["error"]["message"]);
    }
    assert_eq!(ids(&theirs, "/assets").await, [0_i64; 0]);
}

#[tokio::test]
async fn what_can_be_no_asset_is_refused_by_its_fields() {
    let orqit = Orqit::start().await;
    let rest = writer(&orqit).await;
    for (body, fields) in [
        (json!({}), &["name", "type"][..]),
        (laptop(json!({"name": "a\nb", "type": "CAR"})), &["name", "type"]),
        (laptop(json!({"assetTag": "a b"})), &["assetTag"]),
        (laptop(json!({"assetTag": "é"})), &["assetTag"]),
        (laptop(json!({"assetTag": "a".repeat(65)})), &["assetTag"]),
        (laptop(json!({"purchaseCost": "1.00"})), &["currency"]),
        (laptop(json!({"purchaseCost": "-1", "currency": "EUR"})), &["purchaseCost"]),
        (laptop(json!({"purchaseCost": "1.00000", "currency": "EUR"})), &["purchaseCost"]),
        (laptop(json!({"purchaseCost": 1.5, "currency": "EUR"})), &["purchaseCost"]),
        (laptop(json!({"currency": "XYZ"})), &["currency"]),
        (laptop(json!({"currency": "eur"})), &["currency"]),
        (laptop(json!({"purchaseDate": "2026-02-30"})), &["purchaseDate"]),
        (laptop(json!({"warrantyExpiresAt": "2026-02-01T00:00:00Z"})), &["warrantyExpiresAt"]),
        (laptop(json!({"status": "RETIRED"})), &["status"]),
        (laptop(json!({"status": "IN_USE", "assignedUserId": 1})), &["status"]),
        (laptop(json!({"status": "ORDERED", "assignedUserId": 1})), &["status"]),
        (laptop(json!({"status": "ASSIGNED"})), &["assignedUserId"]),
        (laptop(json!({"openTicketCount": 3})), &["openTicketCount"]),
        (laptop(json!({"assignedUserId": 99})), &["assignedUserId"]),
    ] {
        let answer = rest.post("/assets", body.clone()).await;
        assert_eq!(answer.status, 400, "{body}");
        let mut wrong = answer.wrong_fields();
        wrong.sort_unstable();
        assert_eq!(wrong, fields, "{body}");
    }
    create(&rest, json!({"purchaseCost": "999999999999.9999", "currency": "JPY"})).await;
    let alone = rest.patch("/assets/1", json!({"currency": null})).await;
    assert_eq!(alone.status, 400);
    assert_eq!(alone.wrong_fields(), ["currency"]);
    let both = change(&rest, 1, json!({"currency": null, "purchaseCost": null})).await;
    assert_eq!(both["currency"], Value::Null);
    for filter in ["warrantyExpiresBefore=2026", "status=GONE", "assetTag=", "sort=model"] {
        rest.get(&format!("/assets?{filter}")).await.error(400, "VALIDATION_FAILED");
    }
}

#[tokio::test]
async fn the_status_goes_where_the_table_says_and_nowhere_else() {
    const AMONG: [&str; 4] = ["IN_STOCK", "ASSIGNED", "IN_USE", "IN_REPAIR"];
    let next = |from: &str| -> Vec<&str> {
        match from {
            "ORDERED" => vec!["IN_STOCK"],
            "RETIRED" => vec!["IN_STOCK", "DISPOSED"],
            "LOST" | "STOLEN" => vec!["IN_STOCK", "RETIRED"],
            "DISPOSED" => vec![],
            from => {
                let others = AMONG.into_iter().filter(|to| *to != from);
                others.chain(["RETIRED", "LOST", "STOLEN"]).collect()
            }
        }
    };
    /// The way from a new asset to a status.
    fn way(to: &str) -> &'static [&'static str] {
        match to {
            "RETIRED" => &["RETIRED"],
            "LOST" => &["LOST"],
            "STOLEN" => &["STOLEN"],
            "DISPOSED" => &["RETIRED", "DISPOSED"],
            "IN_USE" => &["IN_USE"],
            "IN_REPAIR" => &["IN_REPAIR"],
            "ASSIGNED" => &["ASSIGNED"],
            _ => &[],
        }
    }
    let orqit = Orqit::start().await;
    let rest = writer(&orqit).await;
    for from in STATUSES {
        for to in STATUSES {
            let status = if from == "ORDERED" { "ORDERED" } else { "IN_STOCK" };
            let id = create(&rest, json!({"status": status})).await["id"].as_i64().unwrap();
            let body = |to: &str| match to {
                "ASSIGNED" => json!({"status": to, "assignedUserId": 1}),
                to => json!({"status": to}),
            };
            for step in way(from) {
                change(&rest, id, body(step)).await;
            }
            let answer = rest.patch(&format!("/assets/{id}"), body(to)).await;
            if from == to || next(from).contains(&to) {
                assert_eq!(answer.data(200)["status"], to, "{from} to {to}");
                continue;
            }
            let error = answer.error(409, "INVALID_STATUS_TRANSITION");
            assert_eq!((&error["from"], &error["to"]), (&json!(from), &json!(to)));
            assert_eq!(error["allowed"], json!(next(from)), "{from}");
        }
    }
    let document: Value = serde_json::from_str(orqit::server::OPENAPI).expect("JSON");
    let text = document["components"]["schemas"]["AssetStatus"]["description"].as_str().unwrap();
    for from in STATUSES {
        let line = text.lines().find(|line| line.starts_with(&format!("- `{from}`"))).unwrap();
        match next(from).as_slice() {
            [] => assert!(line.ends_with("It is final."), "{line}"),
            to => assert!(line.contains(&format!("`{}`", to.join("`, `"))), "{line}"),
        }
    }
}

#[tokio::test]
async fn status_and_user_stay_in_step() {
    let orqit = Orqit::start().await;
    let rest = writer(&orqit).await;
    let is = |asset: &Value| (asset["status"].clone(), asset["assignedUserId"].clone());
    let id = create(&rest, json!({})).await["id"].as_i64().unwrap();
    for (body, status, user) in [
        (json!({"assignedUserId": 1}), "ASSIGNED", json!(1)),
        (json!({"assignedUserId": 2}), "ASSIGNED", json!(2)),
        (json!({"status": "IN_REPAIR"}), "IN_REPAIR", json!(2)),
        (json!({"assignedUserId": null}), "IN_REPAIR", json!(null)),
        (json!({"assignedUserId": 1}), "IN_REPAIR", json!(1)),
        (json!({"status": "IN_USE"}), "IN_USE", json!(1)),
        (json!({"assignedUserId": null}), "IN_STOCK", json!(null)),
        (json!({"status": "IN_USE"}), "IN_USE", json!(null)),
        (json!({"status": "ASSIGNED", "assignedUserId": 1}), "ASSIGNED", json!(1)),
        (json!({"assignedUserId": null}), "IN_STOCK", json!(null)),
        (json!({"assignedUserId": 1}), "ASSIGNED", json!(1)),
        (json!({"status": "LOST"}), "LOST", json!(null)),
        (json!({"status": "IN_STOCK"}), "IN_STOCK", json!(null)),
        (json!({"assignedUserId": 1}), "ASSIGNED", json!(1)),
        (json!({"status": "IN_STOCK"}), "IN_STOCK", json!(null)),
        (json!({"assignedUserId": 1}), "ASSIGNED", json!(1)),
        (json!({"status": "RETIRED"}), "RETIRED", json!(null)),
    ] {
        let changed = change(&rest, id, body.clone()).await;
        assert_eq!(is(&changed), (json!(status), user), "{body}");
    }
    let path = format!("/assets/{id}");
    let error = rest.patch(&path, json!({"assignedUserId": 1})).await;
    let error = error.error(409, "ASSET_NOT_ASSIGNABLE").clone();
    assert_eq!(error["status"], "RETIRED");
    assert!(error["message"].as_str().unwrap().ends_with("Change its status to IN_STOCK first."));
    let both = json!({"assignedUserId": 1, "status": "DISPOSED"});
    let error = rest.patch(&path, both).await.error(409, "ASSET_NOT_ASSIGNABLE");
    assert_eq!(error["status"], "DISPOSED");
    assert!(error["message"].as_str().unwrap().ends_with("cannot be assigned to anybody."));
    let wrong = json!({"assignedUserId": 1, "status": "ASSIGNED"});
    rest.patch(&path, wrong).await.error(409, "INVALID_STATUS_TRANSITION");
    let other = create(&rest, json!({})).await["id"].as_i64().unwrap();
    let path = format!("/assets/{other}");
    for body in [json!({"status": "ASSIGNED"}), json!({"status": "IN_STOCK", "assignedUserId": 1})]
    {
        rest.patch(&path, body).await.error(400, "VALIDATION_FAILED");
    }
    rest.patch(&path, json!({"assignedUserId": 99})).await.error(400, "INVALID_REFERENCE");
    let mut grpc = AssetServiceClient::new(orqit.channel().await);
    let id = id.to_string();
    let give = pb::UpdateAssetRequest { id, assigned_user_id: Some(1), ..Default::default() };
    let key = orqit.key(WRITER).await;
    let refused = grpc.update_asset(with_key(&key, give)).await.expect_err("it is retired");
    assert_refused(&refused, Code::FailedPrecondition, "ASSET_NOT_ASSIGNABLE");
    assert_eq!(error_info(&refused).metadata["status"], "RETIRED");
    let topics: Vec<_> = orqit.payloads().await.iter().map(|it| it["topics"].clone()).collect();
    let updated = ["asset.updated", "asset.status_changed", "asset.assigned"];
    assert_eq!((&topics[0], &topics[1]), (&json!(["asset.created"]), &json!(updated)));
    assert_eq!(topics[2], json!([updated[0], updated[2]]));
    assert_eq!(topics[3], json!([updated[0], updated[1]]));
    assert_eq!(topics[4], json!([updated[0]]));
}

#[tokio::test]
async fn tags_and_serial_numbers_are_unique_whatever_their_case() {
    let orqit = Orqit::start().await;
    let rest = writer(&orqit).await;
    assert_eq!(create(&rest, json!({})).await["assetTag"], "AST-1");
    create(&rest, json!({"assetTag": "ast-4"})).await;
    create(&rest, json!({"assetTag": "AST-4-2"})).await;
    assert_eq!(create(&rest, json!({})).await["assetTag"], "AST-4-3");
    let taken = rest.post("/assets", laptop(json!({"assetTag": "Ast-1"}))).await;
    assert!(taken.error(409, "ALREADY_EXISTS")["message"].as_str().unwrap().contains("assetTag"));
    rest.patch("/assets/2", json!({"assetTag": "AST-1"})).await.error(409, "ALREADY_EXISTS");
    let serial = |by: Value| json!({"serialNumber": "Sn-1", "manufacturer": by});
    for by in [json!(null), json!("Dell"), json!("HP")] {
        create(&rest, serial(by)).await;
    }
    for by in [json!(null), json!("DELL"), json!("hp")] {
        let mut again = serial(by);
        again["serialNumber"] = json!("SN-1");
        let error = rest.post("/assets", laptop(again)).await.error(409, "ALREADY_EXISTS");
        assert!(error["message"].as_str().unwrap().contains("serialNumber"), "{error}");
    }
    let moved = json!({"manufacturer": "dell"});
    rest.patch("/assets/5", moved).await.error(409, "ALREADY_EXISTS");
    // What was refused left no gap: ids are dense.
    assert_eq!(create(&rest, json!({})).await["id"], 8);
    let mut running = JoinSet::new();
    for _ in 0..12 {
        let rest = rest.clone();
        running.spawn(async move { create(&rest, json!({})).await["assetTag"].clone() });
    }
    let mut tags: Vec<_> = running.join_all().await;
    tags.sort_by_key(|tag| tag.as_str().map(str::to_owned));
    tags.dedup();
    assert_eq!(tags.len(), 12);
}

#[tokio::test]
async fn assets_are_found_by_every_filter_and_in_every_order() {
    let orqit = Orqit::start().await;
    let rest = writer(&orqit).await;
    for (more, later) in [
        (json!({"name": "Zebra", "type": "PRINTER", "location": "Straße 1", "tags": ["a,b"]}), 1),
        (json!({"name": "äpfel", "manufacturer": "Dell", "warrantyExpiresAt": "2027-01-01"}), 1),
        (json!({"name": "Apfel", "assignedUserId": 1, "warrantyExpiresAt": "2026-06-30"}), 1),
        (json!({"name": "Server", "serialNumber": "X-9", "notes": "Größe L", "model": "R740"}), 0),
    ] {
        create(&rest, more).await;
        orqit.clock.advance_millis(later * 1000);
    }
    let second = "2026-01-01T00:00:01Z";
    for (filter, found) in [
        ("", &[4, 3, 2, 1][..]),
        ("sort=name", &[3, 4, 1, 2]),
        ("sort=-name", &[2, 1, 4, 3]),
        ("sort=warrantyExpiresAt", &[3, 2, 1, 4]),
        ("sort=-warrantyExpiresAt", &[2, 3, 4, 1]),
        ("status=IN_STOCK&sort=createdAt", &[1, 2, 4]),
        ("status=ASSIGNED,LOST", &[3]),
        ("type=PRINTER", &[1]),
        ("type=LAPTOP&sort=name", &[3, 4, 2]),
        ("assignedUserId=1,2", &[3]),
        ("unassigned=true", &[4, 2, 1]),
        ("unassigned=false", &[3]),
        ("manufacturer=DELL", &[2]),
        ("location=STRASSE 1", &[1]),
        ("tag=a,b", &[1]),
        ("tag=a", &[]),
        ("assetTag=ast-2", &[2]),
        ("serialNumber=x-9", &[4]),
        ("warrantyExpiresBefore=2027-01-01", &[3]),
        ("warrantyExpiresBefore=2027-01-02&sort=createdAt", &[2, 3]),
        ("q=grosse", &[4]),
        ("q=r7", &[4]),
        ("q=apf", &[3, 2]),
    ] {
        assert_eq!(ids(&rest, &format!("/assets?{filter}")).await, found, "{filter}");
        if filter.contains("sort") {
            let mut walked = Vec::new();
            let mut cursor = "start".to_owned();
            loop {
                let page = rest.get(&format!("/assets?{filter}&perPage=1&cursor={cursor}")).await;
                walked.extend(page.data(200).as_array().unwrap().iter().map(|it| it["id"].clone()));
                match page.json()["meta"]["nextCursor"].as_str() {
                    Some(next) => cursor = next.to_owned(),
                    None => break,
                }
            }
            assert_eq!(json!(walked), json!(found), "{filter}");
        }
    }
    assert_eq!(ids(&rest, &format!("/assets?createdAfter={second}")).await, [4, 3, 2]);
    assert_eq!(ids(&rest, &format!("/assets?createdBefore={second}")).await, [1]);
    assert_eq!(ids(&rest, &format!("/assets?updatedSince={second}")).await, [2, 3, 4]);
}

#[tokio::test]
async fn the_open_tickets_about_an_asset_are_counted() {
    let orqit = Orqit::start().await;
    let rest = writer(&orqit).await;
    for _ in 0..2 {
        create(&rest, json!({})).await;
    }
    let counts = async || {
        let list = rest.get("/assets?sort=createdAt").await.data(200);
        let counts = list.as_array().unwrap().iter().map(|it| it["openTicketCount"].as_i64());
        counts.collect::<Option<Vec<_>>>().unwrap()
    };
    let first = rest.get("/assets/1").await;
    let tag = first.header("etag").expect("a tag").to_owned();
    let ticket = rest.post("/tickets", vpn_with(json!({"assetIds": [1, 2]}))).await.data(201);
    assert_eq!(ticket["assetIds"], json!([1, 2]));
    assert_eq!(counts().await, [1, 1]);
    // The figure changes neither version nor time, only the tag; a change is meant for the version.
    let again = rest.get("/assets/1").await;
    assert_eq!(
        (&again.data(200)["version"], &again.data(200)["updatedAt"]),
        (&json!(1), &first.data(200)["updatedAt"])
    );
    assert_ne!(again.header("etag"), Some(tag.as_str()));
    let held = rest.request(Method::GET, "/assets/1").header("if-none-match", &tag);
    assert_eq!(send(held).await.data(200)["openTicketCount"], 1);
    let patch = rest.request(Method::PATCH, "/assets/1").header("if-match", &tag);
    let changed = send(patch.json(&json!({"notes": "Loud."}))).await.data(200);
    assert_eq!((&changed["openTicketCount"], &changed["version"]), (&json!(1), &json!(2)));
    for (body, expected) in [
        (json!({"status": "PENDING"}), [1, 1]),
        (json!({"status": "RESOLVED"}), [0, 0]),
        (json!({"assetIds": [2]}), [0, 0]),
        (json!({"status": "OPEN"}), [0, 1]),
        (json!({"assetIds": [1]}), [1, 0]),
        (json!({"status": "CANCELLED", "assetIds": [1, 2]}), [0, 0]),
        (json!({"status": "OPEN"}), [1, 1]),
        (json!({"assetIds": null}), [0, 0]),
        (json!({"assetIds": [2, 1]}), [1, 1]),
    ] {
        rest.patch("/tickets/1", body.clone()).await.data(200);
        assert_eq!(counts().await, expected, "{body}");
    }
    for (path, found) in [
        ("/tickets?assetId=1", &[1][..]),
        ("/tickets?assetId=1,2", &[1]),
        ("/tickets?assetId=2&status=CLOSED", &[]),
        ("/tickets?assetId=9", &[]),
    ] {
        assert_eq!(ids(&rest, path).await, found, "{path}");
    }
    let many: Vec<_> = (1..=21).collect();
    for (body, field) in [
        (json!({"assetIds": [1, 9]}), "assetIds[1]"),
        (json!({"assetIds": [1, 1]}), "assetIds[1]"),
        (json!({"assetIds": many}), "assetIds"),
    ] {
        for answer in [
            rest.post("/tickets", vpn_with(body.clone())).await,
            rest.patch("/tickets/1", body.clone()).await,
        ] {
            assert_eq!(answer.status, 400);
            assert_eq!(answer.wrong_fields(), [field]);
        }
    }
    let history = rest.get("/tickets/1/history").await.data(200);
    let newest = &history[0];
    assert_eq!((&newest["field"], &newest["to"]), (&json!("assetIds"), &json!([2, 1])));
    let refused = json!({"atomic": true, "items": [
        vpn_with(json!({"assetIds": [1]})), vpn_with(json!({"assetIds": [9]})),
    ]});
    rest.post("/tickets/batch", refused).await.data(200);
    assert_eq!(counts().await, [1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_count_is_exact_whoever_changes_tickets_at_once() {
    let orqit = Orqit::start().await;
    let rest = writer(&orqit).await;
    create(&rest, json!({})).await;
    let mut running = JoinSet::new();
    for number in 0..50 {
        let rest = rest.clone();
        running.spawn(async move {
            let ticket = rest.post("/tickets", vpn_with(json!({"assetIds": [1]}))).await.data(201);
            let path = format!("/tickets/{}", ticket["id"]);
            for step in 0..number % 4 {
                let body = match step {
                    0 => json!({"status": "RESOLVED"}),
                    1 => json!({"status": "OPEN"}),
                    _ => json!({"assetIds": []}),
                };
                rest.patch(&path, body).await.data(200);
            }
        });
    }
    running.join_all().await;
    let asset = rest.get("/assets/1").await.data(200);
    let open = rest.get("/tickets?assetId=1&status=OPEN,IN_PROGRESS,PENDING&perPage=1").await;
    open.data(200);
    // 13 were left as they were made, 12 were opened again.
    assert_eq!((&asset["openTicketCount"], &asset["version"]), (&json!(25), &json!(1)));
    assert_eq!(open.json()["meta"]["totalCount"], 25);
}
