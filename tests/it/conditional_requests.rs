//! Requests on condition: entity tags of everything that has a version, and 400 where there is none.

use http::Method;
use orqit::pb;
use orqit::pb::key_service_client::KeyServiceClient;
use orqit::pb::workspace_service_client::WorkspaceServiceClient;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::grpc::assert_refused;
use crate::support::requests::vpn;
use crate::support::rest::{Answer, Rest, send};
use crate::support::server::{Orqit, with_key};

async fn answer_to(
    rest: &Rest,
    method: Method,
    path: &str,
    body: Option<Value>,
    headers: &[(&str, &str)],
) -> Answer {
    let mut request = rest.request(method, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(match body {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}

async fn read(rest: &Rest, path: &str, headers: &[(&str, &str)]) -> Answer {
    answer_to(rest, Method::GET, path, None, headers).await
}

#[track_caller]
fn tag(answer: &Answer) -> String {
    answer.header("etag").expect("an ETag").to_owned()
}

/// A ticket, a key and the workspace: each path with a change that is one, and the key's id.
async fn resources(rest: &Rest) -> Vec<(String, fn(usize) -> Value)> {
    rest.post("/tickets", vpn()).await.data(201);
    let key = rest.post("/keys", json!({"name": "Made", "scopes": ["tickets:read"]})).await;
    let key = format!("/keys/{}", key.data(201)["id"].as_str().expect("an id"));
    vec![
        ("/tickets/1".to_owned(), |number| json!({"title": format!("Changed {number}")})),
        (key, |number| json!({"name": format!("Changed {number}")})),
        ("/workspace".to_owned(), |number| json!({"name": format!("Changed {number}")})),
    ]
}

#[tokio::test]
async fn who_has_the_version_is_told_so() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    for (path, change) in resources(&rest).await {
        for rest in [rest.clone(), rest.over_http2()] {
            let held = tag(&read(&rest, &path, &[]).await);
            for line in
                [held.clone(), format!("W/{held}"), format!("\"0\", {held}"), "*".to_owned()]
            {
                for method in [Method::GET, Method::HEAD] {
                    let headers = [("if-none-match", line.as_str())];
                    let answer = answer_to(&rest, method, &path, None, &headers).await;
                    assert_eq!(
                        (answer.status.as_u16(), answer.body.len()),
                        (304, 0),
                        "{path} {line}"
                    );
                    assert_eq!(tag(&answer), held);
                    assert!(answer.header("x-request-id").is_some());
                    assert!(answer.header("content-type").is_none());
                    assert_eq!(answer.header("vary"), Some("accept-encoding"));
                }
            }
            for line in ["\"0\"", "\"0-1\", W/\"x\""] {
                read(&rest, &path, &[("if-none-match", line)]).await.data(200);
            }
            // A read may ask for a version too.
            read(&rest, &path, &[("if-match", held.as_str())]).await.data(200);
            let stale = read(&rest, &path, &[("if-match", "\"0\"")]).await;
            stale.error(412, "VERSION_CONFLICT");
        }
        let held = tag(&read(&rest, &path, &[]).await);
        rest.patch(&path, change(1)).await.data(200);
        let answer = read(&rest, &path, &[("if-none-match", held.as_str())]).await;
        assert_ne!(tag(&answer), held);
        assert_eq!(answer.data(200)["version"], 2, "{path}");
    }
}

#[tokio::test]
async fn a_change_holds_for_the_version_that_it_is_meant_for() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    for (path, change) in resources(&rest).await {
        let held = tag(&read(&rest, &path, &[]).await);
        for method in [Method::PATCH, Method::PUT] {
            for (header, line) in [
                ("if-match", "\"9\""),
                ("if-match", "\"9\", \"10\""),
                ("if-match", &format!("W/{held}")),
                ("if-none-match", "*"),
                ("if-none-match", &held),
                ("if-none-match", &format!("\"9\", W/{held}")),
            ] {
                let headers = [(header, line)];
                let refused = answer_to(&rest, method.clone(), &path, Some(change(1)), &headers);
                refused.await.error(412, "VERSION_CONFLICT");
            }
        }
        let meant = [("if-match", held.as_str())];
        let changed = answer_to(&rest, Method::PATCH, &path, Some(change(2)), &meant).await;
        assert_eq!(changed.data(200)["version"], 2, "{path}");
        let free = [("if-match", "*"), ("if-none-match", "\"1\"")];
        let changed = answer_to(&rest, Method::PUT, &path, Some(change(3)), &free).await;
        assert_eq!(changed.data(200)["version"], 3, "{path}");
        // What is so already is no change.
        let same = rest.patch(&path, change(3)).await.data(200);
        assert_eq!(same["version"], 3, "{path}");
        let mut guarded = change(4);
        guarded["version"] = json!(2);
        rest.patch(&path, guarded.clone()).await.error(412, "VERSION_CONFLICT");
        guarded["version"] = json!(3);
        assert_eq!(rest.patch(&path, guarded).await.data(200)["version"], 4);
    }
}

#[tokio::test]
async fn a_key_is_rotated_and_revoked_on_condition_too() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let made = rest.post("/keys", json!({"name": "Made", "scopes": ["tickets:read"]})).await;
    assert!(tag(&made).starts_with("\"1-"), "{:?}", made.headers);
    let path = format!("/keys/{}", made.data(201)["id"].as_str().expect("an id"));
    let rotate = format!("{path}/rotate");
    let stale = [("if-match", "\"2\"")];
    let refused = answer_to(&rest, Method::POST, &rotate, Some(json!({})), &stale).await;
    refused.error(412, "VERSION_CONFLICT");
    answer_to(&rest, Method::DELETE, &path, None, &stale).await.error(412, "VERSION_CONFLICT");
    let body = Some(json!({"gracePeriodSeconds": 60}));
    let rotated = answer_to(&rest, Method::POST, &rotate, body, &[("if-match", "\"1\"")]).await;
    let new = rotated.data(201);
    assert_eq!(new["version"], 1);
    let old = rest.get(&path).await.data(200);
    assert_eq!((&old["version"], &old["status"]), (&json!(2), &json!("ACTIVE")));
    assert!(old["updatedAt"].is_string() && new["updatedAt"] == new["createdAt"]);
    let revoked = answer_to(&rest, Method::DELETE, &path, None, &[("if-match", "\"2-x\"")]).await;
    assert_eq!(revoked.data(200)["version"], 3);
    let again = answer_to(&rest, Method::DELETE, &path, None, &[]).await;
    assert_eq!(again.data(200)["version"], 3);
}

#[tokio::test]
async fn a_figure_changes_the_tag_and_not_the_version() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let made = rest.post("/keys", json!({"name": "Made", "scopes": ["tickets:read"]})).await;
    let made = made.data(201);
    let path = format!("/keys/{}", made["id"].as_str().expect("an id"));
    let before = read(&rest, &path, &[]).await;
    orqit.rest(made["key"].as_str().expect("shown")).get("/tickets").await.data(200);
    orqit.flush_usage().await;
    let held = tag(&before);
    let after = read(&rest, &path, &[("if-none-match", held.as_str())]).await;
    let key = after.data(200);
    assert!(key["lastUsedAt"].is_string() && before.data(200)["lastUsedAt"].is_null());
    assert_eq!((&key["version"], &key["updatedAt"]), (&json!(1), &before.data(200)["updatedAt"]));
    assert_ne!(tag(&after), held);
    let (name, meant) = (Some(json!({"name": "N"})), [("if-match", held.as_str())]);
    let named = answer_to(&rest, Method::PATCH, &path, name, &meant).await;
    assert_eq!(named.data(200)["version"], 2, "the version alone counts");
}

#[tokio::test]
async fn a_condition_on_what_has_no_version_is_refused_by_name() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["admin"]).await;
    let ticket = || Some(vpn());
    for (method, path, body) in [
        (Method::GET, "/tickets", None),
        (Method::POST, "/tickets", ticket()),
        (Method::GET, "/keys", None),
        (Method::POST, "/keys", Some(json!({"name": "x", "scopes": ["tickets:read"]}))),
        (Method::GET, "/ping", None),
        (Method::GET, "/accounts", None),
        (Method::GET, "/usage", None),
        (Method::GET, "/request-logs", None),
        (Method::GET, "/openapi.json", None),
        (Method::GET, "//livez", None),
        (Method::POST, "/keys/report-leak", Some(json!({"key": "x"}))),
    ] {
        for (header, name) in [
            ("if-match", "If-Match"),
            ("if-none-match", "If-None-Match"),
            ("if-modified-since", "If-Modified-Since"),
            ("if-unmodified-since", "If-Unmodified-Since"),
            ("if-range", "If-Range"),
        ] {
            let headers = [(header, "*")];
            let answer = answer_to(&rest, method.clone(), path, body.clone(), &headers).await;
            answer.error(400, "VALIDATION_FAILED");
            assert_eq!(answer.wrong_fields(), [name], "{method} {path}");
        }
    }
    assert_eq!(rest.get("/tickets").await.data(200), json!([]));
    // Nor is there a version by time.
    rest.post("/tickets", vpn()).await.data(201);
    let by_time = [("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")];
    let answer = read(&rest, "/tickets/1", &by_time).await;
    assert_eq!(answer.wrong_fields(), ["If-Modified-Since"]);
    // With everything else that is wrong.
    let headers = [("if-match", "1"), ("if-none-match", "\"")];
    let body = Some(json!({"title": ""}));
    let answer = answer_to(&rest, Method::PATCH, "/tickets/1", body, &headers).await;
    answer.error(400, "VALIDATION_FAILED");
    let mut fields = answer.wrong_fields();
    fields.sort();
    assert_eq!(fields, ["If-Match", "If-None-Match", "title"]);
}

#[tokio::test]
async fn another_condition_is_another_request() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write", "tickets:read"]).await;
    rest.post("/tickets", vpn()).await.data(201);
    let change = |headers: Vec<(&'static str, &'static str)>| {
        let rest = rest.clone();
        async move {
            let headers = [&[("idempotency-key", "k")], &headers[..]].concat();
            let body = Some(json!({"title": "Once"}));
            answer_to(&rest, Method::PATCH, "/tickets/1", body, &headers).await
        }
    };
    change(vec![("if-none-match", "\"9\"")]).await.data(200);
    let again = change(vec![("if-none-match", "\"9\"")]).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    for other in [vec![], vec![("if-match", "\"9\"")], vec![("if-none-match", "\"8\"")]] {
        change(other).await.error(409, "IDEMPOTENCY_KEY_CONFLICT");
    }
}

#[tokio::test]
async fn the_version_guards_over_grpc() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["admin"]).await;
    let mut keys = KeyServiceClient::new(orqit.channel().await);
    let mut workspaces = WorkspaceServiceClient::new(orqit.channel().await);
    let id = key[4..12].to_owned();
    let name = Some("Named".to_owned());
    let update = |version| pb::UpdateKeyRequest {
        id: id.clone(),
        name: name.clone(),
        version: Some(version),
        ..Default::default()
    };
    let status = keys.update_key(with_key(&key, update(2))).await.expect_err("stale");
    assert_refused(&status, Code::Aborted, "VERSION_CONFLICT");
    let named = keys.update_key(with_key(&key, update(1))).await.expect("named").into_inner();
    assert_eq!(named.key.expect("a key").version, 2);
    let update = |version| pb::UpdateWorkspaceRequest {
        name: name.clone(),
        version: Some(version),
        ..Default::default()
    };
    let status = workspaces.update_workspace(with_key(&key, update(2))).await.expect_err("stale");
    assert_refused(&status, Code::Aborted, "VERSION_CONFLICT");
    let named = workspaces.update_workspace(with_key(&key, update(1))).await.expect("named");
    assert_eq!(named.into_inner().workspace.expect("one").version, 2);
}
