//! The first start of the service, and several starts at once.

use std::collections::BTreeSet;
use std::process::Stdio;

use orqit::clock::Clock;
use serde_json::{Value, json};

use crate::cli::{Machine, Serving, keys_in};
use crate::support::database::is_postgres;
use crate::support::rest::Rest;

/// How often processes race.
const ROUNDS: usize = 3;
const REPLICAS: usize = 4;
/// The servers on a SQLite file.
const SERVERS: usize = 3;

#[tokio::test]
async fn replicas_that_start_at_once_on_an_empty_database_make_one_admin_key() {
    if !is_postgres() {
        return;
    }
    for _ in 0..ROUNDS {
        let machine = Machine::new().await;
        machine.database.empty().await;
        let started: Vec<_> = (0..REPLICAS).map(|_| machine.start(&["--demo"])).collect();
        let mut replicas = Vec::new();
        for child in started {
            replicas.push(Serving::of(child).await);
        }
        let urls: Vec<_> = replicas.iter().map(|replica| replica.url.clone()).collect();
        let mut printed = Vec::new();
        for replica in replicas {
            printed.push(replica.stop().await);
        }
        printed.retain(|text| !keys_in(text).is_empty());
        assert_eq!(printed.len(), 1, "{urls:?} {printed:?}");
        assert_one_whole_first_start(&machine, &printed[0]).await;
    }
}

/// What became of servers that started at once on a new file.
async fn race_on_a_new_file(machine: &Machine) -> (Vec<Serving>, Vec<String>) {
    let start = |_| {
        let mut command = machine.orqit(&["serve", "--demo"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
    };
    let started: Vec<_> = (0..SERVERS).map(start).collect();
    let (mut serving, mut refused) = (Vec::new(), Vec::new());
    for child in started {
        match Serving::or_ended(child).await {
            Ok(server) => serving.push(server),
            Err(ended) => {
                assert!(!ended.status.success());
                refused.push(String::from_utf8(ended.stderr).expect("text"));
            }
        }
    }
    (serving, refused)
}

#[tokio::test]
async fn of_servers_that_start_at_once_on_a_new_file_one_serves_and_the_others_say_why_not() {
    if is_postgres() {
        return;
    }
    let machine = Machine::new().await;
    let (mut serving, refused) = race_on_a_new_file(&machine).await;
    assert_eq!((serving.len(), refused.len()), (1, SERVERS - 1), "{refused:?}");
    for sentence in refused {
        assert!(
            sentence.contains("another orqit serves") && sentence.contains("stop it"),
            "{sentence}"
        );
    }
    // The other commands run beside the server.
    Machine::printed(machine.run(&["key", "list"]).await);
    let printed = serving.remove(0).stop().await;
    assert_one_whole_first_start(&machine, &printed).await;
}

/// There is one workspace with the printed key beside the two of the demo, and the whole demo.
async fn assert_one_whole_first_start(machine: &Machine, printed: &str) {
    let store = machine.database.open(Clock::System).await;
    assert_eq!(store.list_workspaces().await.unwrap().len(), 1);
    store.close().await.unwrap();
    let serving = machine.serve(&["--demo"]).await;
    let rest = Rest::new(serving.url.clone(), keys_in(printed)[0]);
    let keys = rest.get("/keys").await.data(200);
    assert_eq!(keys.as_array().expect("a list").len(), 3, "{keys}");
    assert_eq!(rest.get("/tickets").await.json()["meta"]["totalCount"], 11);
    assert_eq!(rest.get("/kb/articles").await.json()["meta"]["totalCount"], 5);
    assert!(keys_in(&serving.stop().await).is_empty());
}

#[tokio::test]
async fn a_workspace_that_was_left_without_a_key_gets_one_once() {
    let machine = Machine::new().await;
    Machine::printed(machine.run(&["workspace", "create", "default"]).await);
    let printed = machine.serve(&[]).await.stop().await;
    assert!(!keys_in(&printed).is_empty(), "{printed}");
    assert!(keys_in(&machine.serve(&[]).await.stop().await).is_empty());
}

#[tokio::test]
async fn a_database_with_another_workspace_only_is_left_as_it_is() {
    let machine = Machine::new().await;
    Machine::printed(machine.run(&["workspace", "create", "acme"]).await);
    assert!(keys_in(&machine.serve(&[]).await.stop().await).is_empty());
    let store = machine.database.open(Clock::System).await;
    let workspaces = store.list_workspaces().await.unwrap();
    assert_eq!(workspaces.iter().map(|w| w.slug.as_str()).collect::<Vec<_>>(), ["acme"]);
    store.close().await.unwrap();
}

/// Type and object of each event of a workspace, oldest first; their sequence has no gap.
async fn events(machine: &Machine, slug: &str) -> Vec<(String, Value)> {
    let store = machine.database.open(Clock::System).await;
    let workspace = store.find_workspace_by_slug(slug).await.unwrap().expect("a workspace");
    let events = store.reader(workspace.id).list_events(0, 1000).await.unwrap();
    store.close().await.unwrap();
    let sequences: Vec<_> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=events.len() as i64).collect::<Vec<_>>());
    let object = |data: &str| serde_json::from_str::<Value>(data).expect("JSON")["object"].take();
    events.into_iter().map(|event| (event.event_type, object(&event.data))).collect()
}

fn fields(object: &Value) -> BTreeSet<&String> {
    object.as_object().expect("an object").keys().collect()
}

#[tokio::test]
async fn users_of_the_first_start_and_the_demo_are_told_like_any_other() {
    let machine = Machine::new().await;
    let mut serving = machine.serve(&["--demo"]).await;
    let key = serving.admin_key().await;
    let rest = Rest::new(serving.url.clone(), &key);
    let ines = json!({"displayName": "Ines", "email": "ines@example.com"});
    let by_request = rest.post("/users", ines).await.data(201);
    let log = rest.get("/audit-logs?resourceType=user&perPage=100").await.data(200);
    serving.stop().await;

    let events = events(&machine, "default").await;
    let told = events.iter().filter(|(kind, _)| kind == "user.created");
    let told: Vec<_> = told.map(|(_, object)| object).collect();
    let ids: Vec<_> = told.iter().map(|user| user["id"].clone()).collect();
    assert_eq!(ids, (1..=11).map(Value::from).collect::<Vec<_>>());
    assert_eq!(*told[10], by_request);
    for user in told {
        assert_eq!(fields(user), fields(&by_request));
        let entries = log.as_array().expect("a list").iter();
        let entry: Vec<_> =
            entries.filter(|entry| entry["resourceId"] == json!(user["id"].to_string())).collect();
        assert_eq!(entry.len(), 1, "{user}");
        assert_eq!((&entry[0]["action"], &entry[0]["after"]), (&json!("user.create"), user));
    }
    let order: Vec<_> = events.iter().take(3).map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(order, ["user.created", "user.created", "api_key.created"]);
}

#[tokio::test]
async fn users_made_by_command_are_told_like_any_other() {
    let machine = Machine::new().await;
    Machine::printed(machine.run(&["workspace", "create", "acme"]).await);
    let ines =
        ["user", "create", "--workspace", "acme", "--name", "Ines", "--email", "i@acme.example"];
    Machine::printed(machine.run(&ines).await);
    let events = events(&machine, "acme").await;
    let told: Vec<_> =
        events.iter().map(|(kind, user)| (kind.as_str(), user["email"].as_str())).collect();
    let created = |email| ("user.created", Some(email));
    assert_eq!(
        told,
        [
            created("admin@acme.invalid"),
            created("system@acme.orqit.invalid"),
            created("i@acme.example"),
        ]
    );
}
