//! The endpoints that were promised from the first day on, with the scope of each.

use http::Method;
use serde_json::json;

use crate::support::requests::vpn;
use crate::support::rest::send;
use crate::support::server::Orqit;

/// Method, path and scope; none where any valid key will do.
const PROMISED: [(&str, &str, Option<&str>); 24] = [
    ("GET", "/tickets?page=1&perPage=20", Some("tickets:read")),
    ("GET", "/tickets/1", Some("tickets:read")),
    ("POST", "/tickets", Some("tickets:write")),
    ("PATCH", "/tickets/1", Some("tickets:write")),
    ("PUT", "/tickets/1", Some("tickets:write")),
    ("GET", "/assets", Some("assets:read")),
    ("PATCH", "/assets/1", Some("assets:write")),
    ("PUT", "/assets/1", Some("assets:write")),
    ("GET", "/projects", Some("projects:read")),
    ("GET", "/projects/1", Some("projects:read")),
    ("GET", "/projects/1/tasks", Some("projects:read")),
    ("POST", "/projects/1/tasks", Some("projects:write")),
    ("PATCH", "/tasks/1", Some("projects:write")),
    ("PUT", "/tasks/1", Some("projects:write")),
    ("GET", "/users", Some("users:read")),
    ("GET", "/kb/faqs", Some("kb:read")),
    ("POST", "/webhooks", Some("webhooks:manage")),
    ("GET", "/accounts", None),
    ("GET", "/../../tickets", Some("ticket-index")),
    ("POST", "/../../create_ticket", Some("create-ticket")),
    ("POST", "/../../tickets/create", Some("create-ticket")),
    ("POST", "/../../ticket_respond", Some("ticket-respond")),
    ("POST", "/../../tickets/1/respond", Some("ticket-respond")),
    ("POST", "/../../send_email", Some("send-email")),
];

#[tokio::test]
async fn every_promised_endpoint_takes_its_scope_and_no_other() {
    let orqit = Orqit::start().await;
    let admin = orqit.rest_as(&["admin"]).await;
    admin.post("/tickets", vpn()).await.data(201);
    admin.post("/assets", json!({"name": "Laptop", "type": "LAPTOP"})).await.data(201);
    admin.post("/projects", json!({"key": "OPS", "name": "Move"})).await.data(201);
    let task =
        json!({"title": "API task", "description": "Optional details", "priority": "MEDIUM"});
    admin.post("/projects/1/tasks", task.clone()).await.data(201);
    let body = |method: &str, path: &str| match (method, path) {
        ("GET", _) => None,
        ("POST", "/tickets") => Some(vpn()),
        ("POST", "/webhooks") => Some(json!({"url": "https://desk.example/hooks"})),
        ("POST", path) if path.ends_with("send_email") => {
            Some(json!({"to_address": "ana@example.com", "subject": "Hello", "content": "There."}))
        }
        ("POST", path) if path.ends_with("respond") => {
            let number = if path.contains("/1/") { None } else { Some("ticket_number") };
            let mut body = json!({"from_email": "ana@example.com", "content": "Hello"});
            number.into_iter().for_each(|field| body[field] = json!("TCK-1"));
            Some(body)
        }
        ("POST", path) if path.starts_with("/../..") => Some(json!({
            "originator_email_address": "ana@example.com", "subject": "Hello", "content": "There.",
        })),
        ("POST", _) => Some(task.clone()),
        (_, path) if path.starts_with("/assets") => Some(json!({"notes": "Loud."})),
        _ => Some(json!({"priority": "LOW"})),
    };
    let others = ["keys:manage", "audit:read", "workspace:manage"];
    for (method, path, scope) in PROMISED {
        let scopes: Vec<_> = scope.into_iter().collect();
        let verb: Method = method.parse().expect("a method");
        for (scopes, may) in [(scopes.as_slice(), true), (&others[..], scope.is_none())] {
            let rest = orqit.rest_as(scopes).await;
            let request = rest.request(verb.clone(), path).header("Idempotency-Key", path);
            let answer = send(match body(method, path) {
                Some(body) => request.json(&body),
                None => request,
            })
            .await;
            if may {
                assert!(answer.status.is_success(), "{method} {path} {scopes:?}: {answer:?}");
            } else {
                answer.error(403, "INSUFFICIENT_SCOPE");
            }
        }
    }
    send(orqit.rest("").request(Method::GET, "/ping")).await.data(200);
}
