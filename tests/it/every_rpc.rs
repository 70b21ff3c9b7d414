//! What holds for every RPC, whichever there are: the descriptors name them, and nobody has to
//! remember to add a new one here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Method;
use orqit::auth::scope::{Scope, Scopes};
use orqit::pb;
use orqit::server::OPENAPI;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, Value as Reflected};
use rest::{Access, IdempotencyKeyUse, Policy, Route, Rpc};
use serde_json::Value;
use tonic::{Code, Status};

use crate::support::grpc::{assert_refused, call, error_info, frame};
use crate::support::rest::{Answer, Rest, send};
use crate::support::server::Orqit;

/// An id that nothing has.
const NOWHERE: &str = "999999999";

fn pool() -> DescriptorPool {
    DescriptorPool::decode(pb::DESCRIPTORS).expect("descriptors")
}

fn policy(rpc: &Rpc) -> Policy {
    rpc.policy.unwrap_or_else(|| panic!("{} declares no policy", rpc.grpc_path))
}

/// The RPCs that somebody must have a key for.
fn guarded() -> impl Iterator<Item = &'static Rpc> {
    pb::RPCS.iter().filter(|rpc| policy(rpc).access != Access::Public)
}

/// The scope that an RPC demands, as JSON.
fn scope_of(rpc: &Rpc) -> Value {
    match policy(rpc).access {
        Access::Scope(scope) => Value::from(scope),
        _ => Value::Null,
    }
}

/// The names between the braces of a template, each behind what stands before its segment.
fn variables(template: &str) -> impl Iterator<Item = (&str, &str)> {
    let braces = template.match_indices("/{");
    braces.map(|(at, _)| {
        let name = template[at + "/{".len()..].split(['}', '=']).next().expect("a first part");
        (&template[..at], name)
    })
}

/// The path of a route, with the id that `ids` has for what stands before each of its variables.
fn path(route: &Route, ids: &Ids) -> String {
    let mut path = String::new();
    let mut rest = route.template;
    while let Some((before, after)) = rest.split_once('{') {
        let collection = &route.template[..route.template.len() - after.len() - "/{".len()];
        path += before;
        path += ids.of(collection);
        rest = after.split_once('}').expect("a closing brace").1;
    }
    path + rest
}

/// The ids that stand in paths.
struct Ids {
    /// By the template of the collection, such as `/api/public/v1/tickets`.
    known: BTreeMap<String, String>,
    /// For every other one.
    other: &'static str,
}

impl Ids {
    /// The same id everywhere.
    fn all(other: &'static str) -> Self {
        Self { known: BTreeMap::new(), other }
    }

    fn of(&self, collection: &str) -> &str {
        self.find(collection).map_or(self.other, String::as_str)
    }

    /// What was made in a collection, or in one of the same name that is part of something else.
    fn find(&self, collection: &str) -> Option<&String> {
        let (_, name) = collection.rsplit_once('/').expect("a path");
        let nested = || self.known.iter().find(|(other, _)| other.ends_with(&format!("}}/{name}")));
        self.known.get(collection).or_else(|| nested().map(|(_, id)| id))
    }
}

/// The body that the documentation shows as an example, for routes that take one.
fn example(route: &Route) -> Option<Value> {
    let document: Value = serde_json::from_str(OPENAPI).expect("JSON");
    let operation = &document["paths"][route.template][route.method.to_lowercase()];
    assert!(operation.is_object(), "{} {} is not documented", route.method, route.template);
    let body = operation.get("requestBody")?;
    Some(body["content"]["application/json"]["example"].clone())
}

async fn by_rest(rest: &Rest, route: &Route, ids: &Ids) -> Answer {
    let method: Method = route.method.parse().expect("a method");
    let request = rest.request(method, &format!("/{}", path(route, ids)));
    let request = request.header("x-request-id", "the-same");
    let request = match needs_key(std::slice::from_ref(route)) {
        true => request.header("idempotency-key", new_key()),
        false => request,
    };
    let request = match example(route) {
        Some(body) => request.json(&body),
        None => request,
    };
    match streams(route) {
        // Its frames would come for ever.
        true => opened(request).await,
        false => send(request).await,
    }
}

/// Whether calls of one of these routes need an Idempotency-Key.
fn needs_key(routes: &[Route]) -> bool {
    let is_needed = |policy: &Policy| policy.idempotency_key == IdempotencyKeyUse::Required;
    let mut needing = pb::RPCS.iter().filter(|rpc| rpc.policy.as_ref().is_some_and(is_needed));
    needing.any(|rpc| rpc.routes.iter().any(|it| routes.contains(it)))
}

/// One that was not sent before.
fn new_key() -> String {
    static KEYS: AtomicU64 = AtomicU64::new(0);
    KEYS.fetch_add(1, Ordering::Relaxed).to_string()
}

/// Whether the answer of a route is a stream.
fn streams(route: &Route) -> bool {
    let mut streaming = pb::RPCS.iter().filter(|rpc| rpc.streams);
    streaming.any(|rpc| rpc.routes.iter().any(|it| it.template == route.template))
}

/// The head of an answer, and its body where that ends.
async fn opened(request: reqwest::RequestBuilder) -> Answer {
    let opened = request.try_clone().expect("no stream").send().await.expect("an answer");
    let (status, headers) = (opened.status(), opened.headers().clone());
    match status.is_success() {
        true => Answer { status, headers, body: Vec::new() },
        false => send(request).await,
    }
}

fn is_time(field: &FieldDescriptor) -> bool {
    let kind = field.kind();
    kind.as_message().is_some_and(|message| message.full_name() == "google.protobuf.Timestamp")
}

/// A time as a message of reflection.
fn instant(text: &str) -> DynamicMessage {
    let time: prost_types::Timestamp = text.parse().expect("a time");
    let of = pool().get_message_by_name("google.protobuf.Timestamp").expect("it");
    let mut message = DynamicMessage::new(of);
    message.set_field_by_name("seconds", Reflected::I64(time.seconds));
    message
}

/// Calls an RPC with ids in those fields that its path has, and the texts of its example in others.
async fn by_grpc(orqit: &Orqit, rpc: &Rpc, key: &str, ids: &Ids) -> Status {
    let service = pool().get_service_by_name(rpc.service).expect("a service");
    let method = service.methods().find(|method| method.name() == rpc.method);
    let input = method.expect("a method").input();
    let mut message = DynamicMessage::new(input.clone());
    let examples = rpc.routes.iter().filter_map(example);
    for (name, text) in examples.filter_map(|it| it.as_object().cloned()).flatten() {
        let field = input.get_field_by_json_name(&name);
        let time = field.clone().filter(is_time);
        let instant = time.as_ref().and(text.as_str()).map(instant);
        let field = field.filter(|it| it.kind() == Kind::String);
        if let (Some(field), Value::String(text)) = (field, text) {
            message.set_field(&field, Reflected::String(text));
        } else if let (Some(field), Some(time)) = (time, instant) {
            message.set_field(&field, Reflected::Message(time));
        }
    }
    for (collection, name) in rpc.routes.iter().flat_map(|route| variables(route.template)) {
        let id = ids.of(collection);
        let field = input.get_field_by_json_name(name).expect("a field of the path");
        let value = match field.kind() {
            Kind::String => Reflected::String(id.to_owned()),
            Kind::Int64 => Reflected::I64(id.parse().expect("a number")),
            Kind::Int32 => Reflected::I32(id.parse().expect("a number")),
            other => panic!("a path with a field of the kind {other:?}"),
        };
        message.set_field(&field, value);
    }
    let mut headers = vec![("x-request-id", "the-same")];
    let idempotency_key = new_key();
    if needs_key(rpc.routes) {
        headers.push(("idempotency-key", &idempotency_key));
    }
    if !key.is_empty() {
        headers.push(("x-api-key", key));
    }
    if rpc.streams {
        // It would go on for ever.
        headers.push(("grpc-timeout", "100m"));
    }
    call(orqit.address, rpc.grpc_path, &headers, frame(&message)).await.status()
}

#[test]
fn every_rpc_has_a_policy_a_route_and_its_place_in_the_table() {
    let declared: BTreeSet<_> = pool()
        .services()
        .filter(|service| service.package_name() == "orqit.v1")
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .map(|method| format!("/{}/{}", method.parent_service().full_name(), method.name()))
        .collect();
    let known: BTreeSet<_> = pb::RPCS.iter().map(|rpc| rpc.grpc_path.to_owned()).collect();
    assert_eq!(declared, known);
    for rpc in pb::RPCS {
        let policy = policy(rpc);
        if let Access::Scope(scope) = policy.access {
            assert!(Scope::parse(scope).is_some(), "{}: no scope {scope}", rpc.grpc_path);
            assert!(policy.group.is_some(), "{} has no group", rpc.grpc_path);
        }
        assert!(!rpc.routes.is_empty(), "{} has no route", rpc.grpc_path);
        for route in rpc.routes {
            assert!(route.template.starts_with("/api/"), "{}: {}", rpc.grpc_path, route.template);
            example(route);
        }
    }
}

#[tokio::test]
async fn every_rpc_that_is_not_public_needs_a_key() {
    let orqit = Orqit::start().await;
    for rpc in pb::RPCS {
        let public = policy(rpc).access == Access::Public;
        for (key, reason) in [("", "MISSING_API_KEY"), ("nonsense", "INVALID_API_KEY")] {
            for route in rpc.routes {
                let answer = by_rest(&orqit.rest(key), route, &Ids::all("1")).await;
                if public {
                    assert!(answer.status.is_success(), "{}", rpc.grpc_path);
                } else {
                    answer.error(401, reason);
                }
            }
            let status = by_grpc(&orqit, rpc, key, &Ids::all("1")).await;
            if public {
                // An empty message may lack what the call is about.
                let answered = [Code::Ok, Code::InvalidArgument].contains(&status.code());
                assert!(answered, "{}: {status:?}", rpc.grpc_path);
            } else {
                assert_refused(&status, Code::Unauthenticated, reason);
            }
        }
    }
}

#[tokio::test]
async fn every_rpc_refuses_a_key_with_every_scope_but_its_own() {
    let orqit = Orqit::start().await;
    for rpc in guarded() {
        let Access::Scope(required) = policy(rpc).access else { continue };
        let scope = Scope::parse(required).expect("a scope");
        let lacks = |name: &&str| Scopes::named(name).is_some_and(|scopes| !scopes.has(scope));
        let others: Vec<_> = Scope::ALL.iter().map(|(_, name)| *name).filter(lacks).collect();
        let key = orqit.key(&others).await;
        for route in rpc.routes {
            let answer = by_rest(&orqit.rest(&key), route, &Ids::all("1")).await;
            let error = answer.error(403, "INSUFFICIENT_SCOPE");
            assert_eq!(error["requiredScope"], required, "{}", rpc.grpc_path);
        }
        let status = by_grpc(&orqit, rpc, &key, &Ids::all("1")).await;
        assert_refused(&status, Code::PermissionDenied, "INSUFFICIENT_SCOPE");
        assert_eq!(error_info(&status).metadata["requiredScope"], required);
    }
}

#[tokio::test]
async fn every_rpc_lets_its_scope_alone_through() {
    let orqit = Orqit::start().await;
    for rpc in guarded() {
        let key = match policy(rpc).access {
            Access::Scope(scope) => orqit.key(&[scope]).await,
            _ => orqit.key(&[]).await,
        };
        for route in rpc.routes {
            let answer = by_rest(&orqit.rest(&key), route, &Ids::all("1")).await;
            assert!(![401, 500].contains(&answer.status.as_u16()), "{}", rpc.grpc_path);
            // A service may still refuse what it is asked for, but not for want of this scope.
            let is_denied =
                answer.status == 403 && answer.json()["error"]["requiredScope"] == scope_of(rpc);
            assert!(!is_denied, "{}", rpc.grpc_path);
        }
        let code = by_grpc(&orqit, rpc, &key, &Ids::all("1")).await.code();
        let refused = [
            Code::Unauthenticated,
            Code::PermissionDenied,
            Code::Internal,
            Code::Unknown,
            Code::Unimplemented,
        ];
        assert!(!refused.contains(&code), "{}: {code:?}", rpc.grpc_path);
    }
}

#[tokio::test]
async fn every_rpc_hides_the_rows_of_another_workspace() {
    let orqit = Orqit::start().await;
    let owner = orqit.rest_as(&["admin"]).await;
    let (created, nowhere) = (create_all(&owner).await, Ids::all(NOWHERE));
    let other = orqit.workspace("other").await;
    let key = orqit.key_of(&other, &["admin"]).await;
    let stranger = orqit.rest(&key);
    let before = orqit.events().await;
    for (rpc, route) in routes_with_variables() {
        let name = format!("{} {}", route.method, route.template);
        // Otherwise the path would name nothing that is there.
        for (collection, _) in variables(route.template) {
            assert!(created.find(collection).is_some(), "{name}: nothing is in {collection}");
        }
        let hidden = by_rest(&stranger, route, &created).await;
        let absent = by_rest(&stranger, route, &nowhere).await;
        assert_eq!(hidden.status, 404, "{name}");
        let code = hidden.json()["error"]["code"].clone();
        assert!(code.as_str().is_some_and(|code| code.ends_with("_NOT_FOUND")), "{name}: {code}");
        assert_eq!(hidden.body, absent.body, "{name}");
        let hidden = by_grpc(&orqit, rpc, &key, &created).await;
        let absent = by_grpc(&orqit, rpc, &key, &nowhere).await;
        assert_eq!(hidden.code(), Code::NotFound, "{name}");
        assert_eq!(hidden.message(), absent.message(), "{name}");
        assert_eq!(hidden.details(), absent.details(), "{name}");
    }
    assert_eq!(orqit.events().await, before);
    // The rows are there, for who may see them.
    for (_, route) in routes_with_variables() {
        let answer = by_rest(&owner, route, &created).await;
        assert_ne!(answer.status, 404, "{} {}", route.method, route.template);
    }
}

#[tokio::test]
async fn every_rpc_finds_nothing_by_what_can_be_no_id() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["admin"]).await;
    let (rest, nowhere) = (orqit.rest(&key), Ids::all(NOWHERE));
    let long: &str = "x".repeat(5_000).leak();
    for (rpc, route) in routes_with_variables() {
        let name = format!("{} {}", route.method, route.template);
        let absent =
            (by_rest(&rest, route, &nowhere).await, by_grpc(&orqit, rpc, &key, &nowhere).await);
        for (in_path, id) in [("a%00b", "a\0b"), (long, long)] {
            let answer = by_rest(&rest, route, &Ids::all(in_path)).await;
            assert_eq!((answer.status, &answer.body), (absent.0.status, &absent.0.body), "{name}");
            let status = by_grpc(&orqit, rpc, &key, &Ids::all(id)).await;
            assert_eq!(
                (status.code(), status.message()),
                (absent.1.code(), absent.1.message()),
                "{name}"
            );
        }
    }
}

fn routes_with_variables() -> impl Iterator<Item = (&'static Rpc, &'static Route)> {
    let routes = pb::RPCS.iter().flat_map(|rpc| rpc.routes.iter().map(move |route| (rpc, route)));
    routes.filter(|(_, route)| route.template.contains('{'))
}

/// Creates one of everything that can be created, as the documentation's examples show it, parents
/// first; the ids by the collections they are in.
async fn create_all(owner: &Rest) -> Ids {
    let mut created = Ids::all("");
    let creates = |rpc: &&Rpc| policy(rpc).success_status == 201;
    let routes = pb::RPCS.iter().filter(creates).flat_map(|rpc| rpc.routes);
    let mut routes: Vec<_> = routes.filter(|route| route.method == "POST").collect();
    routes.sort_by_key(|route| variables(route.template).count());
    for route in routes {
        let answer = by_rest(owner, route, &created).await;
        assert!(answer.status.is_success(), "the example of {}: {answer:?}", route.template);
        let id = match &answer.json()["data"]["id"] {
            Value::String(id) => id.clone(),
            number => number.to_string(),
        };
        if route.template == "/api/public/v1/tickets" {
            // They have other paths as well.
            created.known.insert("/api/tickets".to_owned(), id.clone());
        }
        created.known.insert(route.template.to_owned(), id);
    }
    assert!(!created.known.is_empty());
    let events = owner.get("/events").await.data(200);
    let event = events[0]["id"].as_str().expect("an id").to_owned();
    created.known.insert("/api/public/v1/events".to_owned(), event);
    // What is sent to an endpoint comes soon after what it tells of.
    let webhook = created.of("/api/public/v1/webhooks").to_owned();
    let deliveries = format!("/webhooks/{webhook}/deliveries");
    let delivery = loop {
        let listed = owner.get(&deliveries).await.data(200);
        if let Some(first) = listed.get(0) {
            break first["id"].to_string();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    created.known.insert("/api/public/v1/webhooks/{id}/deliveries".to_owned(), delivery);
    created
}
