//! A whole key in every place of every request, by every kind of caller, and then a look into every
//! table and every byte of the log.
//!
//! A place is a segment of a path, a query parameter, a header, or a field of a message; over REST and
//! over gRPC. Exempt is only what a caller who may write has stored on purpose: a text field of a
//! message that was accepted. It may stand in the row of its resource, in the events and the entries
//! of the audit log that tell of it, and nowhere else.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;

use http::Method;
use orqit::auth::key::KeyText;
use orqit::clock::Clock;
use orqit::pb;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, Value as Reflected};
use rest::Rpc;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::cli::Machine;
use crate::support::grpc;
use crate::support::requests::vpn;
use crate::support::rest::{Rest, send};

const HEADERS: [&str; 19] = [
    "accept",
    "accept-encoding",
    "authorization",
    "content-encoding",
    "content-type",
    "cookie",
    "expect",
    "grpc-encoding",
    "grpc-timeout",
    "idempotency-key",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "origin",
    "referer",
    "user-agent",
    "x-api-key",
    "x-forwarded-for",
    "x-request-id",
];
/// Where text that was accepted may be found.
const STORED_IN: [&str; 20] = [
    "api_keys",
    "article_tags",
    "articles",
    "asset_tags",
    "assets",
    "audit_logs",
    "categories",
    "comments",
    "custom_fields",
    "emails",
    "events",
    "history",
    "projects",
    "tasks",
    "ticket_tags",
    "ticket_terms",
    "tickets",
    "users",
    "webhooks",
    "workspaces",
];

/// The parts of a request that the canary goes into.
#[derive(Clone, Copy, PartialEq)]
enum Fields {
    /// Also the text of messages that may be accepted and stored.
    All,
    /// Only what is never stored.
    Unstored,
}

fn input(rpc: &Rpc) -> MessageDescriptor {
    static POOL: LazyLock<DescriptorPool> =
        LazyLock::new(|| DescriptorPool::decode(pb::DESCRIPTORS).expect("descriptors"));
    let service = POOL.get_service_by_name(rpc.service).expect("a service");
    let method = service.methods().find(|method| method.name() == rpc.method);
    method.expect("a method").input()
}

/// A right body of the RPC, if it takes one.
fn body(rpc: &Rpc) -> Option<Map<String, Value>> {
    let body = match rpc.method {
        "CreateTicket" => vpn(),
        "UpdateTicket" => json!({"title": "Changed"}),
        "CreateKey" => json!({"name": "Made", "scopes": ["tickets:read"]}),
        "UpdateKey" | "UpdateWorkspace" => json!({"name": "Changed"}),
        "RotateKey" => json!({"gracePeriodSeconds": 1}),
        "CreateUser" => json!({"displayName": "A", "email": "a@x"}),
        "ReportLeak" => json!({"key": "x"}),
        _ => return None,
    };
    body.as_object().cloned()
}

/// Sends the canary in every place of the RPC's routes; what is answered is dropped.
async fn drive_rest(rest: &Rest, rpc: &Rpc, canary: &str, fields: Fields) {
    let escaped = canary.replace('_', "%5F");
    for route in rpc.routes {
        let method: Method = route.method.parse().expect("a method");
        let with = |id: &str| {
            let path = route.template.split('{').map(|part| {
                part.split_once('}').map_or(part.to_owned(), |(_, rest)| format!("{id}{rest}"))
            });
            format!("/{}", path.collect::<String>())
        };
        let (plain, whole) = (with("1"), body(rpc));
        let request = |path: &str| {
            let request = rest.request(method.clone(), path);
            match &whole {
                Some(body) => request.json(body),
                None => request,
            }
        };
        for path in
            [with(canary), with(&escaped), format!("{plain}/{canary}"), format!("{plain}{canary}")]
        {
            send(request(&path)).await;
        }
        let input = input(rpc);
        let names: Vec<_> = input.fields().map(|field| field.json_name().to_owned()).collect();
        for name in names.iter().map(String::as_str).chain([canary]) {
            send(request(&format!("{plain}?{name}={canary}"))).await;
        }
        for name in HEADERS {
            send(request(&plain).header(name, canary)).await;
        }
        let Some(whole) = &whole else { continue };
        // A name that there is not, and a value in every field that there is.
        for name in names.iter().map(String::as_str).chain([canary]) {
            if fields == Fields::Unstored && name != canary && is_stored(rpc, name) {
                continue;
            }
            for value in
                [json!(canary), json!([canary]), json!({"name": canary}), json!({canary: 1})]
            {
                let mut changed = whole.clone();
                changed.insert(name.to_owned(), value);
                send(rest.request(method.clone(), &plain).json(&changed)).await;
            }
        }
        send(rest.request(method.clone(), &plain).body(format!("{{\"{canary}"))).await;
    }
}

/// Whether a field of the RPC is text that is stored as it was sent.
fn is_stored(rpc: &Rpc, name: &str) -> bool {
    rpc.method != "ReportLeak"
        && input(rpc)
            .get_field_by_json_name(name)
            .is_some_and(|field| matches!(field.kind(), Kind::String) && field.name() != "id")
}

/// The same over gRPC: in each text field of the message, and in each header.
async fn drive_grpc(address: SocketAddr, rpc: &Rpc, key: &str, canary: &str, fields: Fields) {
    let input = input(rpc);
    let mut message = DynamicMessage::new(input.clone());
    for field in input.fields().filter(|field| matches!(field.kind(), Kind::String)) {
        if fields == Fields::Unstored && is_stored(rpc, field.json_name()) {
            continue;
        }
        let text = Reflected::String(canary.to_owned());
        let value = if field.is_list() { Reflected::List(vec![text]) } else { text };
        message.set_field(&field, value);
    }
    let headers = HEADERS
        .iter()
        .filter(|name| name.starts_with("grpc") || name.starts_with("x-") || name.starts_with("i"));
    for name in headers.chain([&"none"]) {
        let mut headers = vec![(*name, canary)];
        if !key.is_empty() && *name != "x-api-key" {
            headers.push(("x-api-key", key));
        }
        grpc::call(address, rpc.grpc_path, &headers, grpc::frame(&message)).await;
    }
}

/// The tables that hold the text, as text or in bytes.
async fn tables_with(database: &DatabaseConnection, text: &str) -> BTreeSet<String> {
    let backend = database.get_database_backend();
    let names = match backend {
        DbBackend::Postgres => "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'",
        _ => "SELECT name FROM sqlite_master WHERE type = 'table'",
    };
    let names = database.query_all_raw(Statement::from_string(backend, names)).await.unwrap();
    let names = names.into_iter().map(|row| row.try_get_by_index(0).unwrap());
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut found = BTreeSet::new();
    for name in names.collect::<Vec<String>>() {
        let columns = match backend {
            DbBackend::Postgres => format!(
                "SELECT column_name::text FROM information_schema.columns WHERE table_name = '{name}'"
            ),
            _ => format!("SELECT name FROM pragma_table_info('{name}')"),
        };
        let columns =
            database.query_all_raw(Statement::from_string(backend, columns)).await.unwrap();
        for column in columns {
            let column: String = column.try_get_by_index(0).unwrap();
            let holds = match backend {
                DbBackend::Postgres => format!(
                    "\"{column}\"::text LIKE '%{text}%' OR \"{column}\"::text LIKE '%{hex}%'"
                ),
                _ => format!(
                    "instr(CAST(\"{column}\" AS TEXT), '{text}') OR instr(lower(hex(\"{column}\")), '{hex}')"
                ),
            };
            let query = format!("SELECT COUNT(*) FROM \"{name}\" WHERE {holds}");
            let count = database.query_one_raw(Statement::from_string(backend, query)).await;
            let count: i64 = count.unwrap().expect("a count").try_get_by_index(0).unwrap();
            if count > 0 {
                found.insert(name.clone());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_sent_where_it_does_not_belong_is_left_nowhere() {
    let machine = Machine::new().await;
    Machine::printed(machine.run(&["workspace", "create", "default"]).await);
    let admin = machine.unlimited_key("admin").await;
    let canary = machine.unlimited_key("tickets:read").await;
    let stored = machine.unlimited_key("tickets:read").await;
    let other = machine.unlimited_key("email:send").await;
    let revoked = machine.unlimited_key("admin").await;
    Machine::printed(machine.run(&["key", "revoke", &revoked[4..12]]).await);
    let create = ["key", "create", "--name", "E", "--scope", "admin", "--expires-in", "1s"];
    let expired = Machine::printed(machine.run(&create).await).trim_end().to_owned();
    tokio::time::sleep(Duration::from_millis(1100)).await;

    let mut command = machine.orqit(&["serve"]);
    command.env("ORQIT_LOG", "trace").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut serving = command.spawn().expect("it runs");
    let mut lines = BufReader::new(serving.stdout.take().expect("piped")).lines();
    let mut stderr = serving.stderr.take().expect("piped");
    let log = tokio::spawn(async move {
        let mut log = Vec::new();
        stderr.read_to_end(&mut log).await.expect("a log");
        log
    });
    let first = lines.next_line().await.expect("text").expect("a line");
    let url = first.strip_prefix("Orqit listens on ").expect("where it listens").to_owned();
    let address = url.trim_start_matches("http://").parse().expect("an address");
    Rest::new(url.clone(), &admin).post("/tickets", vpn()).await.data(201);

    let unknown = KeyText::generate().reveal().to_owned();
    let callers = ["", &unknown, &other, &revoked, &expired, &admin];
    for caller in callers {
        let fields = if caller == admin { Fields::Unstored } else { Fields::All };
        let rest = Rest::new(url.clone(), caller);
        for rpc in pb::RPCS.iter().filter(|rpc| !rpc.streams) {
            // Who presents a key whole there means to end it.
            let sent = if rpc.method == "ReportLeak" { &unknown } else { &canary };
            drive_rest(&rest, rpc, sent, fields).await;
            drive_grpc(address, rpc, caller, sent, fields).await;
        }
    }
    let rest = Rest::new(url.clone(), &admin);
    for rpc in pb::RPCS.iter().filter(|rpc| rpc.method != "ReportLeak" && !rpc.streams) {
        drive_rest(&rest, rpc, &stored, Fields::All).await;
        drive_grpc(address, rpc, &admin, &stored, Fields::All).await;
    }
    let metrics = rest.get("//metrics").await.body;
    let pid = serving.id().expect("it runs").to_string();
    tokio::process::Command::new("kill").args(["-TERM", &pid]).status().await.expect("kill runs");
    assert!(serving.wait().await.expect("it ended").success());

    let log = String::from_utf8_lossy(&log.await.expect("a log")).into_owned();
    assert!(log.len() > 100_000, "something was logged");
    let metrics = String::from_utf8_lossy(&metrics).into_owned();
    let store = machine.database.open(Clock::System).await;
    let database = machine.database.connect().await;
    for (whose, key) in [("canary", &canary), ("stored", &stored), ("unknown", &unknown)] {
        let secret = &key[13..43];
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "the {whose} key is in the log");
        assert!(!metrics.contains(secret), "the {whose} key is in the metrics");
        let allowed: &[&str] = if whose == "stored" { &STORED_IN } else { &[] };
        let found = tables_with(&database, secret).await;
        let elsewhere: Vec<_> =
            found.iter().filter(|table| !allowed.contains(&table.as_str())).collect();
        assert_eq!(elsewhere, Vec::<&String>::new(), "tables with the {whose} key");
    }
    assert!(!tables_with(&database, &stored[13..43]).await.is_empty(), "it would be found");
    drop(store);
}
