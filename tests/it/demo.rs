//! The company of `serve --demo`: what the documentation shows as examples is there.

use http::Method;
use orqit::server::OPENAPI;
use serde_json::Value;

use crate::cli::Machine;
use crate::support::rest::{Rest, send};

/// The path of an operation with its examples in the place of its variables, without its base.
fn path(template: &str, operation: &Value) -> String {
    let mut path = match template.strip_prefix("/api/public/v1") {
        Some(own) => own.to_owned(),
        None => template.replace("/api/", "/../../"),
    };
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        if parameter["in"] == "path" {
            let name = parameter["name"].as_str().expect("a name");
            let example = parameter["example"].as_str().expect("a path has examples");
            path = path.replace(&format!("{{{name}}}"), example);
        }
    }
    path
}

/// Every operation of the documentation with this method.
fn operations(method: &str) -> Vec<(String, Value)> {
    let document: Value = serde_json::from_str(OPENAPI).expect("JSON");
    let paths = document["paths"].as_object().expect("paths").clone();
    let operations = paths.into_iter().filter_map(|(template, item)| {
        let operation = item.get(method)?.clone();
        Some((path(&template, &operation), operation))
    });
    operations.collect()
}

#[tokio::test]
async fn every_read_and_every_create_of_the_documentation_works_with_its_examples() {
    let machine = Machine::new().await;
    let mut serving = machine.serve(&["--demo"]).await;
    let key = serving.admin_key().await;
    let rest = Rest::new(serving.url.clone(), &key);
    for (path, operation) in operations("post") {
        if operation["responses"].get("201").is_some() {
            let body = &operation["requestBody"]["content"]["application/json"]["example"];
            let request = rest.request(Method::POST, &path).header("Idempotency-Key", &path);
            let answer = send(request.json(body)).await;
            assert_eq!(answer.status, 201, "POST {path} {body}: {answer:?}");
        }
    }
    for (path, operation) in operations("get") {
        if operation["responses"]["200"]["content"].get("text/event-stream").is_some() {
            // It would go on for ever.
            continue;
        }
        let answer = send(rest.request(Method::GET, &path)).await;
        assert_eq!(answer.status, 200, "GET {path}: {answer:?}");
        let is_list = answer.json()["meta"].is_object() && !path.contains("logs");
        if is_list && !path.contains("history") && !path.contains("usage") {
            let total = answer.json()["meta"]["totalCount"].as_i64();
            assert!(total.is_none_or(|total| total > 0), "GET {path}: {operation}");
        }
    }
    serving.stop().await;
}

#[tokio::test]
async fn the_demo_is_a_company_to_look_at() {
    let machine = Machine::new().await;
    let mut serving = machine.serve(&["--demo"]).await;
    let key = serving.admin_key().await;
    let rest = Rest::new(serving.url.clone(), &key);
    let document = rest.get("/openapi.json").await.json();
    assert_eq!(document["servers"][0]["url"], serving.url.trim_end_matches("/api/public/v1"));
    let count = async |path: &str| rest.get(path).await.json()["meta"]["totalCount"].as_i64();
    for (path, expected) in [
        ("/users", 10),
        ("/assets", 11),
        ("/assets?status=ORDERED", 1),
        ("/assets?status=RETIRED", 1),
        ("/categories", 3),
        ("/custom-fields", 1),
        ("/tickets", 11),
        ("/tickets?cf.site=BERLIN", 2),
        ("/tickets?q=drukarka", 0),
        ("/tickets?q=bildschirm", 1),
        ("/projects", 3),
        ("/projects/OPS/tasks", 5),
        ("/kb/articles", 5),
        ("/kb/faqs", 2),
        ("/kb/articles?q=drukarka", 1),
        ("/keys", 3),
    ] {
        assert_eq!(count(path).await, Some(expected), "{path}");
    }
    let screen = rest.get("/assets/4").await.data(200);
    assert_eq!(screen["openTicketCount"], 1, "{screen}");
    let office = rest.get("/projects/OPS").await.data(200);
    assert_eq!(office["taskCounts"]["done"], 1, "{office}");
    serving.stop().await;
}
