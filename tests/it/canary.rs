//! One key is driven through every way in which a request can go wrong, and is then looked for
//! wherever it could have been left: answers, log, metrics, database.

use std::process::Stdio;

use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::cli::Machine;
use crate::support::database::is_postgres;
use crate::support::grpc;
use crate::support::rest::{Rest, send};

/// Sends the key where it belongs and where it does not; what was answered, heads and bodies.
async fn drive(rest: &Rest, key: &str) -> String {
    let mut told = String::new();
    let body = json!({"title": key, "description": "d", "type": "INCIDENT", key: key});
    let paths = [
        format!("/tickets/{key}"),
        format!("/{key}"),
        format!("/tickets?{key}={key}"),
        format!("/tickets?status={key}"),
        format!("/tickets?cursor={key}"),
        format!("/keys/{key}"),
        format!("/request-logs?endpoint={key}"),
        format!("/audit-logs?resourceType={key}"),
        "/keys/self".to_owned(),
    ];
    let mistyped = format!("{key}x");
    for path in &paths {
        for method in [Method::GET, Method::POST, Method::PATCH, Method::DELETE] {
            for header in [
                "x-request-id",
                "idempotency-key",
                "if-match",
                "x-api-key",
                "content-type",
                "grpc-timeout",
            ] {
                let request = rest.request(method.clone(), path).header(header, &mistyped);
                let answer = send(request.body(body.to_string())).await;
                told += &format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body));
            }
        }
    }
    for broken in [format!("{{\"{key}"), format!("[\"{key}\"]"), format!("{{\"{key}\":1}}")] {
        for path in ["/tickets", "/keys", "/users", "/keys/report-leak"] {
            let answer = rest.post_raw(path, broken.clone()).await;
            told += &String::from_utf8_lossy(&answer.body);
        }
    }
    told
}

async fn drive_grpc(url: &str, key: &str) -> String {
    let address = url.trim_start_matches("http://").parse().expect("an address");
    let mut told = String::new();
    for path in [
        "/orqit.v1.TicketService/GetTicket",
        "/orqit.v1.KeyService/CreateKey",
        "/orqit.v1.Nothing/At",
    ] {
        for (name, value) in [
            ("x-api-key", key),
            ("x-request-id", key),
            ("idempotency-key", key),
            ("grpc-timeout", key),
        ] {
            let headers = [("authorization", format!("Bearer {key}")), (name, value.to_owned())];
            let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
            let answer =
                grpc::call(address, path, &headers, format!("{key}{key}").into_bytes()).await;
            told += &format!("{answer:?}");
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_found_nowhere_but_in_the_answer_that_made_it() {
    let machine = Machine::new().await;
    let mut command = machine.orqit(&["serve"]);
    command.env("ORQIT_LOG", "trace").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut serving = command.spawn().expect("it runs");
    let mut lines = BufReader::new(serving.stdout.take().expect("piped")).lines();
    let mut stderr = serving.stderr.take().expect("piped");
    let log = tokio::spawn(async move {
        let mut log = String::new();
        stderr.read_to_string(&mut log).await.expect("text");
        log
    });
    let first = lines.next_line().await.expect("text").expect("a line");
    let url = first.strip_prefix("Orqit listens on ").expect("where it listens").to_owned();
    let admin = Rest::new(url.clone(), &machine.unlimited_key("admin").await);
    let made = admin.post("/keys", json!({"name": "Canary", "scopes": ["admin"], "limits": {"perMinute": 0, "groupPerMinute": 0}})).await.data(201);
    let key = made["key"].as_str().expect("shown").to_owned();
    let canary = Rest::new(url.clone(), &key);

    let mut told = drive(&canary, &key).await;
    told += &drive_grpc(&url, &key).await;
    let path = format!("/keys/{}", &key[4..12]);
    canary.post(&format!("{path}/rotate"), json!({"gracePeriodSeconds": 60})).await.data(201);
    crate::keys::delete(&admin, &path).await.data(200);
    told += &drive(&canary, &key).await;
    for path in ["/audit-logs?perPage=100", "/request-logs?perPage=100", "/keys", "//metrics"] {
        told += &String::from_utf8_lossy(&admin.get(path).await.body);
    }
    let pid = serving.id().expect("it runs").to_string();
    tokio::process::Command::new("kill").args(["-TERM", &pid]).status().await.expect("kill runs");
    assert!(serving.wait().await.expect("it ended").success());
    let log = log.await.expect("a log");
    assert!(log.len() > 10_000 && told.len() > 10_000, "something was looked through");

    let secret = &key[13..43];
    assert!(!told.contains(secret), "in an answer");
    assert!(
        !log.contains(secret),
        "in the log: {:?}",
        log.lines().find(|line| line.contains(secret))
    );
    if !is_postgres() {
        let file = machine.database.url().trim_start_matches("sqlite://").to_owned();
        for file in [file.clone(), format!("{file}-wal")] {
            let bytes = std::fs::read(&file).unwrap_or_default();
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "in {file}");
        }
    }
    assert_eq!(made["status"], Value::from("ACTIVE"));
}
