//! What holds for every RPC, whichever there are: the descriptors name them, and nobody has to
//! remember to add a new one here.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use orqit::pb;
use orqit::scope::{Scope, Scopes};
use orqit::server::OPENAPI;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, Value as Reflected};
use rest::{Access, Policy, Route, Rpc};
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

/// The names between the braces of a template.
fn variables(template: &str) -> impl Iterator<Item = &str> {
    template.split('{').skip(1).map(|rest| rest.split(['}', '=']).next().expect("a first part"))
}

/// The path of a route, with `id` for each of its variables.
fn path(route: &Route, id: &str) -> String {
    let mut path = route.template.to_owned();
    while let (Some(from), Some(to)) = (path.find('{'), path.find('}')) {
        path.replace_range(from..=to, id);
    }
    path
}

/// The body that the documentation shows as an example, for routes that take one.
fn example(route: &Route) -> Option<Value> {
    let document: Value = serde_json::from_str(OPENAPI).expect("JSON");
    let operation = &document["paths"][route.template][route.method.to_lowercase()];
    assert!(operation.is_object(), "{} {} is not documented", route.method, route.template);
    let body = operation.get("requestBody")?;
    Some(body["content"]["application/json"]["example"].clone())
}

async fn by_rest(rest: &Rest, route: &Route, id: &str) -> Answer {
    let method: Method = route.method.parse().expect("a method");
    let request = rest.request(method, &format!("/{}", path(route, id)));
    let request = request.header("x-request-id", "the-same");
    send(match example(route) {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}

/// Calls an RPC with nothing but `id` in those fields that its path has.
async fn by_grpc(orqit: &Orqit, rpc: &Rpc, key: &str, id: &str) -> Status {
    let service = pool().get_service_by_name(rpc.service).expect("a service");
    let method = service.methods().find(|method| method.name() == rpc.method);
    let input = method.expect("a method").input();
    let mut message = DynamicMessage::new(input.clone());
    for name in rpc.routes.iter().flat_map(|route| variables(route.template)) {
        let field = input.get_field_by_name(name).expect("a field of the path");
        let value = match field.kind() {
            Kind::String => Reflected::String(id.to_owned()),
            Kind::Int64 => Reflected::I64(id.parse().expect("a number")),
            Kind::Int32 => Reflected::I32(id.parse().expect("a number")),
            other => panic!("a path with a field of the kind {other:?}"),
        };
        message.set_field(&field, value);
    }
    let headers = [("x-api-key", key), ("x-request-id", "the-same")];
    let headers = if key.is_empty() { &headers[1..] } else { &headers[..] };
    call(orqit.address, rpc.grpc_path, headers, frame(&message)).await.status()
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
                let answer = by_rest(&orqit.rest(key), route, "1").await;
                if public {
                    assert!(answer.status.is_success(), "{}", rpc.grpc_path);
                } else {
                    answer.error(401, reason);
                }
            }
            let status = by_grpc(&orqit, rpc, key, "1").await;
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
            let answer = by_rest(&orqit.rest(&key), route, "1").await;
            let error = answer.error(403, "INSUFFICIENT_SCOPE");
            assert_eq!(error["requiredScope"], required, "{}", rpc.grpc_path);
        }
        let status = by_grpc(&orqit, rpc, &key, "1").await;
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
            let answer = by_rest(&orqit.rest(&key), route, "1").await;
            assert!(![401, 500].contains(&answer.status.as_u16()), "{}", rpc.grpc_path);
            // A service may still refuse what it is asked for, but not for want of this scope.
            let required = answer.json()["error"]["requiredScope"].clone();
            assert!(answer.status != 403 || required != scope_of(rpc), "{}", rpc.grpc_path);
        }
        let code = by_grpc(&orqit, rpc, &key, "1").await.code();
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
    let created = create_all(&owner).await;
    let other = orqit.workspace("other").await;
    let key = orqit.key_of(&other, &["admin"]).await;
    let stranger = orqit.rest(&key);
    let before = orqit.events().await;
    for rpc in pb::RPCS {
        for route in rpc.routes.iter().filter(|route| route.template.contains('{')) {
            let collection = route.template.split("/{").next().expect("a first part");
            let id = created.get(collection).map_or("1", String::as_str);
            let name = format!("{} {}", route.method, route.template);
            let (hidden, absent) =
                (by_rest(&stranger, route, id).await, by_rest(&stranger, route, NOWHERE).await);
            assert_eq!(hidden.status, 404, "{name}");
            assert!(
                hidden.json()["error"]["code"]
                    .as_str()
                    .is_some_and(|code| code.ends_with("_NOT_FOUND"))
            );
            assert_eq!(hidden.body, absent.body, "{name}");
            let (hidden, absent) =
                (by_grpc(&orqit, rpc, &key, id).await, by_grpc(&orqit, rpc, &key, NOWHERE).await);
            assert_eq!(hidden.code(), Code::NotFound, "{name}");
            assert_eq!(hidden.message(), absent.message(), "{name}");
            assert_eq!(hidden.details(), absent.details(), "{name}");
        }
    }
    assert_eq!(orqit.events().await, before);
    // The rows are there, for who may see them.
    for rpc in pb::RPCS {
        for route in rpc.routes.iter().filter(|route| route.template.contains('{')) {
            let collection = route.template.split("/{").next().expect("a first part");
            if let Some(id) = created.get(collection) {
                let answer = by_rest(&owner, route, id).await;
                assert_ne!(answer.status, 404, "{} {}", route.method, route.template);
            }
        }
    }
}

/// Creates one of everything that can be created, as the documentation's examples show it; the ids
/// by the collections they are in.
async fn create_all(owner: &Rest) -> BTreeMap<&'static str, String> {
    let mut created = BTreeMap::new();
    let routes = pb::RPCS.iter().flat_map(|rpc| rpc.routes);
    for route in routes.filter(|route| route.method == "POST" && !route.template.contains('{')) {
        let answer = by_rest(owner, route, "").await;
        assert!(answer.status.is_success(), "the example of {}: {answer:?}", route.template);
        let id = match &answer.json()["data"]["id"] {
            Value::String(id) => id.clone(),
            number => number.to_string(),
        };
        created.insert(route.template, id);
    }
    assert!(!created.is_empty());
    created
}
