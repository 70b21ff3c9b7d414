//! Who is let in, and what a caller learns who is not.

use http::Method;
use orqit::auth::key::KeyText;
use orqit::config::BODY_BYTES_MAX;
use orqit::pb;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::database::START;
use crate::support::grpc::{self, assert_refused, error_info, frame};
use crate::support::requests::{vpn, vpn_message};
use crate::support::rest::{Answer, Rest, send};
use crate::support::server::{Orqit, with_key};

const LIST: &str = "/orqit.v1.TicketService/ListTickets";

/// GET with these headers and no others.
async fn get(orqit: &Orqit, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = orqit.rest("").request(Method::GET, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(request).await
}

/// ListTickets with these metadata; its status.
async fn list(orqit: &Orqit, metadata: &[(&str, &str)]) -> tonic::Status {
    let request = frame(&pb::ListTicketsRequest::default());
    grpc::call(orqit.address, LIST, metadata, request).await.status()
}

#[tokio::test]
async fn a_key_is_taken_from_either_header() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["tickets:read"]).await;
    let (bearer, lower) = (format!("Bearer {key}"), format!("bearer  {key}"));
    let ways: [&[(&str, &str)]; 5] = [
        &[("authorization", &bearer)],
        &[("authorization", &lower)],
        &[("x-api-key", &key)],
        &[("X-API-Key", &key)],
        &[("authorization", &bearer), ("x-api-key", &key)],
    ];
    for headers in ways {
        get(&orqit, "/tickets", headers).await.data(200);
        let lower: Vec<_> = headers.iter().map(|(n, v)| (n.to_lowercase(), *v)).collect();
        let metadata: Vec<_> = lower.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(list(&orqit, &metadata).await.code(), Code::Ok);
    }
}

#[tokio::test]
async fn without_a_key_it_is_401_and_says_how_to_send_one() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["tickets:read"]).await;
    // Nowhere but in the headers.
    for path in [
        "/tickets".to_owned(),
        format!("/tickets?api_key={key}"),
        format!("/tickets?access_token={key}"),
    ] {
        for (name, value) in [("x-nothing", ""), ("cookie", key.as_str())] {
            let answer = get(&orqit, &path, &[(name, value)]).await;
            let error = answer.error(401, "MISSING_API_KEY");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            assert!(error["message"].as_str().expect("text").contains("Authorization: Bearer"));
        }
    }
    assert_refused(&list(&orqit, &[]).await, Code::Unauthenticated, "MISSING_API_KEY");
}

#[tokio::test]
async fn whatever_is_wrong_with_a_key_the_answer_is_the_same() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["tickets:read"]).await;
    // A key whose id exists and whose secret is another one's.
    let wrong_secret = KeyText::generate();
    let taken = wrong_secret.id().to_owned();
    orqit.key_with(&orqit.workspace, &["tickets:read"], |new| new.key_id = taken).await;
    let unknown = KeyText::generate();
    let mistyped =
        if key.ends_with('a') { key.replace('a', "b") } else { format!("{}a", &key[..48]) };
    let wrong = [
        format!("Bearer {}", unknown.reveal()),
        format!("Bearer {}", wrong_secret.reveal()),
        format!("Bearer {mistyped}"),
        format!("Bearer {}", &key[..48]),
        format!("Bearer {key}x"),
        format!("Bearer {key} {key}"),
        format!("Bearer {}", key.to_uppercase()),
        "Bearer orq_".to_owned(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        String::new(),
        "Basic dXNlcjpwYXNz".to_owned(),
        key.clone(),
        "Bearer \u{1F600}".to_owned(),
    ];
    let mut bodies = Vec::new();
    for value in &wrong {
        // Twice: nothing is remembered of a key that was refused.
        for _ in 0..2 {
            let headers = [("authorization", value.as_str()), ("x-request-id", "the-same")];
            let answer = get(&orqit, "/tickets", &headers).await;
            answer.error(401, "INVALID_API_KEY");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            bodies.push(answer.body);
        }
    }
    let as_api_key = [("x-api-key", unknown.reveal()), ("x-request-id", "the-same")];
    bodies.push(get(&orqit, "/tickets", &as_api_key).await.body);
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");

    let mut statuses = Vec::new();
    for value in wrong.iter().filter(|value| value.is_ascii()) {
        let status = list(&orqit, &[("authorization", value), ("x-request-id", "the-same")]).await;
        assert_refused(&status, Code::Unauthenticated, "INVALID_API_KEY");
        statuses.push((status.message().to_owned(), status.details().to_vec()));
    }
    statuses.dedup();
    assert_eq!(statuses.len(), 1, "{statuses:?}");
}

#[tokio::test]
async fn a_key_is_refused_from_its_expiry_on() {
    let orqit = Orqit::start().await;
    let expiring = |new: &mut orqit::store::NewKey| new.expires_at = Some(START.plus_millis(1000));
    let key = orqit.key_with(&orqit.workspace, &["tickets:read"], expiring).await;
    let unseen = orqit.key_with(&orqit.workspace, &["tickets:read"], expiring).await;

    orqit.clock.advance_millis(999);
    orqit.rest(&key).get("/tickets").await.data(200);
    let own = orqit.rest(&key).get("/keys/self").await.data(200);
    assert_eq!(
        (&own["status"], &own["expiresAt"]),
        (&json!("ACTIVE"), &json!("2026-01-01T00:00:01.000Z"))
    );

    orqit.clock.advance_millis(1);
    for key in [&key, &unseen] {
        let answer = orqit.rest(key).get("/tickets").await;
        answer.error(401, "API_KEY_EXPIRED");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        let status = list(&orqit, &[("x-api-key", key)]).await;
        assert_refused(&status, Code::Unauthenticated, "API_KEY_EXPIRED");
    }
    // That a key has expired is told only to who has all of it.
    let guessed = KeyText::generate();
    let taken = guessed.id().to_owned();
    orqit
        .key_with(&orqit.workspace, &["tickets:read"], |new| {
            new.key_id = taken;
            expiring(new)
        })
        .await;
    orqit.rest(guessed.reveal()).get("/tickets").await.error(401, "INVALID_API_KEY");
}

#[tokio::test]
async fn more_than_one_credential_is_refused_unless_they_are_one() {
    let orqit = Orqit::start().await;
    let (key, other) = (orqit.key(&["tickets:read"]).await, orqit.key(&["tickets:read"]).await);
    let (bearer, other_bearer) = (format!("Bearer {key}"), format!("Bearer {other}"));
    let ways: [&[(&str, &str)]; 6] = [
        &[("authorization", &bearer), ("x-api-key", &other)],
        &[("authorization", &bearer), ("authorization", &other_bearer)],
        &[("authorization", &bearer), ("authorization", &bearer)],
        &[("x-api-key", &key), ("x-api-key", &other)],
        &[("authorization", "Basic dXNlcjpwYXNz"), ("x-api-key", &key)],
        &[("authorization", &bearer), ("x-api-key", "not a key")],
    ];
    for headers in ways {
        get(&orqit, "/tickets", headers).await.error(400, "AMBIGUOUS_CREDENTIALS");
        let status = list(&orqit, headers).await;
        assert_refused(&status, Code::InvalidArgument, "AMBIGUOUS_CREDENTIALS");
    }
}

#[tokio::test]
async fn what_is_public_ignores_a_key() {
    let orqit = Orqit::start().await;
    for path in ["/ping", "/openapi.json", "//livez", "//readyz"] {
        for headers in [&[("authorization", "Bearer nonsense")], &[("x-api-key", "nonsense")]] {
            assert_eq!(get(&orqit, path, headers).await.status, 200, "{path}");
        }
    }
    let ping = frame(&pb::PingRequest::default());
    let metadata = [("authorization", "Bearer nonsense")];
    let answer = grpc::call(orqit.address, "/orqit.v1.SystemService/Ping", &metadata, ping).await;
    assert_eq!(answer.status().code(), Code::Ok);
}

#[tokio::test]
async fn a_key_without_the_scope_is_told_which_it_needs() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["tickets:read"]).await;
    let answer = orqit.rest(&key).post("/tickets", vpn()).await;
    let error = answer.error(403, "INSUFFICIENT_SCOPE");
    assert_eq!(error["requiredScope"], "tickets:create");
    assert_eq!(answer.header("www-authenticate"), None);
    let created = orqit.tickets().await.create_ticket(with_key(&key, vpn_message())).await;
    let status = created.expect_err("no scope");
    assert_refused(&status, Code::PermissionDenied, "INSUFFICIENT_SCOPE");
    assert_eq!(error_info(&status).metadata["requiredScope"], "tickets:create");

    let creator = orqit.rest_as(&["tickets:create"]).await;
    creator.post("/tickets", vpn()).await.data(201);
    creator.get("/tickets").await.error(403, "INSUFFICIENT_SCOPE");
    creator.patch("/tickets/1", json!({})).await.error(403, "INSUFFICIENT_SCOPE");
    let writer = orqit.rest_as(&["tickets:write"]).await;
    writer.post("/tickets", vpn()).await.data(201);
    writer.patch("/tickets/1", json!({})).await.data(200);
    let refused = writer.get("/tickets/1").await.error(403, "INSUFFICIENT_SCOPE");
    assert_eq!(refused["requiredScope"], "tickets:read");
}

#[tokio::test]
async fn names_for_scopes_grant_what_they_stand_for() {
    let orqit = Orqit::start().await;
    // What reads, creates and updates.
    let table = [
        ("ticket-index", [true, false, false]),
        ("create-ticket", [false, true, false]),
        ("ticket-respond", [false, false, false]),
        ("send-email", [false, false, false]),
        ("read-only", [true, false, false]),
        ("read-write", [true, true, true]),
        ("admin", [true, true, true]),
        ("keys:manage", [false, false, false]),
    ];
    orqit.rest_as(&["tickets:write"]).await.post("/tickets", vpn()).await.data(201);
    for (name, [reads, creates, updates]) in table {
        let rest = orqit.rest_as(&[name]).await;
        assert_eq!(rest.get("/tickets").await.status == 200, reads, "{name}");
        assert_eq!(rest.post("/tickets", vpn()).await.status == 201, creates, "{name}");
        assert_eq!(rest.patch("/tickets/1", json!({})).await.status == 200, updates, "{name}");
    }
}

#[tokio::test]
async fn a_key_without_any_scope_can_ask_who_it_is() {
    let orqit = Orqit::start().await;
    let key = orqit
        .key_with(&orqit.workspace, &["read-only"], |new| {
            new.name = "Sales portal".to_owned();
            new.per_minute = 60;
            new.group_per_minute = 30;
        })
        .await;
    let answer = orqit.rest(&key).get("/keys/self").await;
    let expected = json!({
        "id": &key[4..12], "name": "Sales portal", "description": null,
        "scopes": ["assets:read", "kb:read", "projects:read", "tickets:read", "users:read"],
        "requestedScopes": ["read-only"], "limits": {"perMinute": 60, "groupPerMinute": 30},
        "expiresAt": null, "status": "ACTIVE", "createdAt": "2026-01-01T00:00:00.000Z",
        "createdBy": null, "lastFour": &key[45..], "workspaceId": orqit.workspace.public_id,
        "lastUsedAt": null, "lastUsedIp": null, "revokedAt": null, "rotatedFrom": null,
        "rotatedTo": null, "rateLimits": [], "key": null, "version": 1,
        "updatedAt": "2026-01-01T00:00:00.000Z",
    });
    let mut own = answer.data(200);
    let left = own["rateLimits"].take();
    own["rateLimits"] = json!([]);
    assert_eq!(own, expected);
    assert_eq!((&left[0]["resource"], &left[0]["limit"]), (&json!("key"), &json!(60)));
    let none = orqit.rest_as(&[]).await;
    assert_eq!(none.get("/keys/self").await.data(200)["scopes"], json!([]));

    let accounts = none.get("/accounts").await;
    let account = json!({
        "id": orqit.workspace.public_id, "slug": "default", "name": "DEFAULT",
        "createdAt": "2026-01-01T00:00:00.000Z",
    });
    assert_eq!(accounts.data(200), json!([account]));
    let meta = json!({"page": 1, "perPage": 20, "totalCount": 1, "hasMore": false, "nextCursor": null, "totalIsBound": false});
    assert_eq!(accounts.json()["meta"], meta);
    assert_eq!(none.get("/accounts?page=2&perPage=1").await.data(200), json!([]));
    for wrong in ["page=0", "perPage=101", "page=1001&perPage=100", "cursor=x"] {
        assert_eq!(none.get(&format!("/accounts?{wrong}")).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn no_answer_contains_a_key() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["admin"]).await;
    let rest = orqit.rest(&key);
    let mistyped = format!("{key}x");
    for answer in [
        rest.get("/keys/self").await,
        rest.get(&format!("/tickets/{key}")).await,
        rest.get(&format!("/{key}")).await,
        orqit.rest(&mistyped).get("/tickets").await,
    ] {
        assert!(!String::from_utf8_lossy(&answer.body).contains(&key[13..]));
        assert!(!format!("{:?}", answer.headers).contains(&key[13..]));
    }
}

/// A request with everything wrong, of which each step takes one thing away.
#[tokio::test]
async fn checks_come_in_their_order() {
    let orqit = Orqit::start().await;
    let nobody = orqit.rest("");
    let unknown = orqit.rest("not a key");
    let reader = orqit.rest_as(&["tickets:read"]).await;
    let writer = orqit.rest_as(&["tickets:write"]).await;
    let huge = vec![b'{'; BODY_BYTES_MAX + 1];
    let attempt = async |rest: &Rest, method: Method, path: &str, media: &str, body: &[u8]| {
        let request = rest.request(method, path).header("content-type", media);
        send(request.body(body.to_vec())).await
    };
    let (xml, json, post) = ("text/xml", "application/json", Method::POST);
    let bad_path = "/tickets/%zz";

    attempt(&nobody, post.clone(), "/nowhere/%zz", xml, &huge).await.error(404, "ROUTE_NOT_FOUND");
    attempt(&nobody, post.clone(), bad_path, xml, &huge).await.error(405, "METHOD_NOT_ALLOWED");
    attempt(&nobody, Method::PUT, bad_path, xml, &huge).await.error(400, "VALIDATION_FAILED");
    attempt(&nobody, post.clone(), "/tickets?x", xml, &huge).await.error(401, "MISSING_API_KEY");
    attempt(&unknown, post.clone(), "/tickets?x", xml, &huge).await.error(401, "INVALID_API_KEY");
    attempt(&reader, post.clone(), "/tickets?x", xml, &huge).await.error(403, "INSUFFICIENT_SCOPE");
    let media = attempt(&writer, post.clone(), "/tickets?x", xml, &huge).await;
    media.error(415, "UNSUPPORTED_MEDIA_TYPE");
    attempt(&writer, post.clone(), "/tickets?x", json, &huge).await.error(413, "PAYLOAD_TOO_LARGE");
    attempt(&writer, post.clone(), "/tickets?x", json, b"{").await.error(400, "MALFORMED_JSON");
    let all = attempt(&writer, post, "/tickets?x", json, br#"{"title": 5}"#).await;
    all.error(400, "VALIDATION_FAILED");
    let fields = ["x", "title", "description", "type", "category"];
    let mut wrong = all.wrong_fields();
    wrong.sort_by_key(|field| fields.iter().position(|known| known == field));
    assert_eq!(wrong, fields);

    // A ticket that is not there comes after all that can be told from the request alone.
    let absent = writer.patch("/tickets/9", json!({"title": ""})).await;
    absent.error(400, "VALIDATION_FAILED");
    writer.patch("/tickets/9", json!({"title": "x"})).await.error(404, "TICKET_NOT_FOUND");
    assert_eq!(orqit.events().await, []);
}

#[tokio::test]
async fn another_workspaces_key_opens_only_its_own() {
    let orqit = Orqit::start().await;
    let other = orqit.workspace("other").await;
    let key = orqit.key_of(&other, &["admin"]).await;
    orqit.rest_as(&["tickets:write"]).await.post("/tickets", vpn()).await.data(201);
    let stranger = orqit.rest(&key);
    assert_eq!(stranger.get("/tickets").await.data(200), Value::Array(vec![]));
    assert_eq!(stranger.get("/accounts").await.data(200)[0]["slug"], "other");
    stranger.get("/tickets/1").await.error(404, "TICKET_NOT_FOUND");
    stranger.patch("/tickets/1", json!({"title": "mine"})).await.error(404, "TICKET_NOT_FOUND");
    assert_eq!(stranger.post("/tickets", vpn()).await.data(201)["id"], 1);
}
