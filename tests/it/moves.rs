//! A desk moves house: what `orqit export` writes, `orqit import` brings into another workspace, and it is
//! the same there, whatever breaks off on the way.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::imports::{Desk, lines, ticket};

const KINDS: [&str; 7] =
    ["users", "assets", "tickets", "comments", "projects", "tasks", "articles"];

/// Imports every kind that another desk has, and tells what came in.
async fn move_all(from: &Desk, to: &Desk) -> Vec<String> {
    let mut told = Vec::new();
    for kind in KINDS {
        let exported = from.run(&["export", kind]).await;
        assert_eq!(exported.code, Some(0), "{}", exported.told);
        let file = format!("{kind}.ndjson");
        to.write(&file, exported.out);
        let into = if kind == "comments" { "tickets" } else { kind };
        let ended = to.run(&["import", into, &file]).await;
        assert_eq!(ended.code, Some(0), "{kind}: {}", ended.told);
        told.push(ended.out.trim_end().to_owned());
    }
    told
}

#[tokio::test]
async fn everything_of_a_desk_moves_to_another_and_compares_equal() {
    let from = Desk::open(&["--demo"]).await;
    let to = Desk::open(&[]).await;
    // What tickets have values of, and what they are filed under, is set up before they come.
    for (path, members) in [
        ("/categories", ["name", "baseCategory", "defaultPriority"].as_slice()),
        (
            "/custom-fields",
            &["key", "label", "type", "required", "options", "minimum", "maximum", "maxLength"],
        ),
    ] {
        for row in from.rest().get(path).await.data(200).as_array().expect("a list").iter().rev() {
            let kept =
                members.iter().filter(|name| !row[**name].is_null() && row[**name] != json!([]));
            let kept: Value = kept
                .map(|name| ((*name).to_owned(), row[*name].clone()))
                .collect::<serde_json::Map<_, _>>()
                .into();
            to.rest().post(path, kept).await.data(201);
        }
    }
    // People stand in values too.
    let chief = json!({"key": "chief", "label": "Chief", "type": "USER"});
    for desk in [&from, &to] {
        desk.rest().post("/custom-fields", chief.clone()).await.data(201);
    }
    let user = from.rest().get("/users?q=Jonas").await.data(200)[0]["id"].clone();
    let chief = json!({"customFields": {"chief": user}});
    from.rest().patch("/tickets/4", chief).await.data(200);
    // Statuses that are some steps away, and a closed project with tasks.
    let rest = from.rest();
    for (tag, statuses) in
        [("OLD-1", ["RETIRED", "DISPOSED"].as_slice()), ("OLD-2", &["IN_REPAIR", "LOST"])]
    {
        let made = rest
            .post("/assets", json!({"name": "Old", "type": "LAPTOP", "assetTag": tag}))
            .await
            .data(201);
        for status in statuses {
            rest.patch(&format!("/assets/{}", made["id"]), json!({"status": status}))
                .await
                .data(200);
        }
    }
    rest.patch("/assets/1", json!({"status": "IN_REPAIR"})).await.data(200);
    rest.patch("/kb/articles/1", json!({"status": "ARCHIVED"})).await.data(200);
    rest.patch("/users/4", json!({"status": "SUSPENDED"})).await.data(200);
    let project = rest.get("/projects?sort=createdAt").await.data(200)[0].clone();
    rest.patch(&format!("/projects/{}", project["id"]), json!({"status": "ACTIVE"})).await;
    rest.patch(&format!("/projects/{}", project["id"]), json!({"status": "COMPLETED"}))
        .await
        .data(200);
    let private = json!({"body": "Internal.", "visibility": "INTERNAL"});
    rest.post("/tickets/3/comments", private).await.data(201);
    rest.patch("/tickets/3", json!({"parentId": 2, "tags": ["moved"]})).await.data(200);

    let first = move_all(&from, &to).await;
    assert!(first.iter().all(|line| line.contains(" 0 refused")), "{first:?}");
    for kind in KINDS {
        let (was, is) = (from.exported(kind).await, to.exported(kind).await);
        assert!(was.len() > 2, "{kind}");
        assert_eq!(was, is, "{kind}");
    }
    let open = |desk: &Desk| {
        let rest = desk.rest();
        async move { rest.get("/assets?perPage=100&sort=name").await.data(200) }
    };
    let counts = |assets: &Value| {
        assets
            .as_array()
            .expect("a list")
            .iter()
            .map(|it| format!("{} {}", it["assetTag"], it["openTicketCount"]))
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(counts(&open(&from).await), counts(&open(&to).await));
    let second = move_all(&from, &to).await;
    assert!(second.iter().all(|line| line.contains(": 0 created, 0 updated, ")), "{second:?}");
}

#[tokio::test]
async fn an_export_goes_on_behind_a_cursor() {
    let desk = Desk::open(&[]).await;
    desk.write("tickets.ndjson", lines((0..250).map(|id| ticket(id, json!({})))));
    desk.run(&["import", "tickets", "tickets.ndjson"])
        .await
        .assert(0, "tickets: 250 created, 0 updated, 0 unchanged, 0 refused");
    let page = desk.rest().get("/tickets?cursor=start&sort=createdAt&perPage=100").await.json();
    let cursor = page["meta"]["nextCursor"].as_str().expect("a cursor").to_owned();
    let rest = desk.run(&["export", "tickets", "--after", &cursor]).await;
    assert_eq!((rest.code, rest.out.lines().count()), (Some(0), 150), "{}", rest.told);
    let wrong = desk.run(&["export", "tickets", "--after", "nowhere"]).await;
    assert!(wrong.code == Some(1) && wrong.told.contains("cursor"), "{}", wrong.told);
}

/// Tickets with people, comments and history.
fn closed_tickets(count: u32) -> String {
    let closed = |id: u32| {
        let person = json!({"email": format!("p{}@example.com", id % 37)});
        let (day, next) = ("2024-01-01T10:00:00Z", "2024-01-02T00:00:00Z");
        let comment =
            json!({"externalId": "c", "body": "Said.", "author": person, "createdAt": day});
        let entry = json!({"externalId": "h", "field": "status", "from": "OPEN", "to": "CLOSED", "createdAt": next});
        let life = json!({"requester": person, "status": "CLOSED", "createdAt": day, "updatedAt": next,
            "comments": [comment], "history": [entry]});
        ticket(id, life)
    };
    lines((0..count).map(closed))
}

/// A place to listen that stays the same when a service starts again.
fn address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

/// Kills either side at ten moments; the same command again ends where one undisturbed run does.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_ends_as_one_that_is_not() {
    let undisturbed = Desk::open(&[]).await;
    undisturbed.write("tickets.ndjson", closed_tickets(600));
    let import = ["import", "tickets", "tickets.ndjson", "--parallel", "2"];
    let all = "tickets: 600 created, 0 updated, 0 unchanged, 0 refused";
    undisturbed.run(&import).await.assert(0, all);

    let address = address();
    let listen = ["--listen", address.as_str()];
    let mut desk = Desk::open(&listen).await;
    desk.write("tickets.ndjson", closed_tickets(600));
    for round in 0..10_u64 {
        let mut import = desk.command(&import);
        import.stderr(Stdio::null()).stdout(Stdio::null());
        let mut import = import.spawn().expect("it runs");
        tokio::time::sleep(Duration::from_millis(120 + 37 * round)).await;
        if round % 2 == 1 {
            desk.serving.child.kill().await.expect("killed");
            desk.serving = desk.machine.serve(&listen).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        import.kill().await.expect("killed");
    }
    let ended = desk.run(&import).await;
    assert_eq!(ended.code, Some(0), "{}", ended.told);
    for kind in ["tickets", "comments", "users"] {
        assert_eq!(undisturbed.exported(kind).await, desk.exported(kind).await, "{kind}");
    }
    desk.run(&import).await.assert(0, "tickets: 0 created, 0 updated, 600 unchanged, 0 refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_waits_for_a_service_that_is_away_and_tells_how_far_it_was_interrupted() {
    let address = address();
    let listen = ["--listen", address.as_str()];
    let mut desk = Desk::open(&listen).await;
    desk.write("tickets.ndjson", closed_tickets(3_000));
    let mut import = desk.command(&["import", "tickets", "tickets.ndjson", "--parallel", "1"]);
    import.stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = import.spawn().expect("it runs");
    while desk.rest().get("/tickets").await.json()["meta"]["totalCount"].as_i64() < Some(100) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    desk.serving.child.kill().await.expect("killed");
    tokio::time::sleep(Duration::from_millis(300)).await;
    desk.serving = desk.machine.serve(&listen).await;
    let ended = running.wait_with_output().await.expect("it ended");
    let (out, told) =
        (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert_eq!(ended.status.code(), Some(0), "{told}");
    assert!(out.contains(", 0 refused") && !out.contains("not sent"), "{out}");
    assert!(told.contains("the service is away: trying again"), "{told}");
    assert_eq!(desk.rest().get("/tickets").await.json()["meta"]["totalCount"], 3_000);

    desk.write("more.ndjson", closed_tickets(6_000));
    let mut import = desk.command(&["import", "tickets", "more.ndjson", "--parallel", "1"]);
    import.stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = import.spawn().expect("it runs");
    while desk.rest().get("/tickets").await.json()["meta"]["totalCount"].as_i64() < Some(3_100) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let process = running.id().expect("it runs").to_string();
    std::process::Command::new("kill").args(["-INT", &process]).status().expect("sent");
    let ended = running.wait_with_output().await.expect("it ended");
    let (out, told) =
        (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert_eq!(ended.status.code(), Some(1), "{told}");
    assert!(out.starts_with("tickets: ") && out.contains("not sent"), "{out}");
    assert!(told.contains("interrupted: the same command goes on"), "{told}");
}
