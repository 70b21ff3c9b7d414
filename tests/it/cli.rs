//! The `orqit` binary as an operator and a user meet it.

use std::process::{Output, Stdio};

use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::support::database::TestDatabase;
use crate::support::rest::Rest;
use crate::support::server::MASTER_KEY;

/// A machine with an empty database.
pub struct Machine {
    pub database: TestDatabase,
    files: TempDir,
}

/// A running `orqit serve`.
pub struct Serving {
    pub child: Child,
    out: Lines<BufReader<ChildStdout>>,
    pub url: String,
}

impl Machine {
    pub async fn new() -> Self {
        Self::over(TestDatabase::create().await)
    }

    /// A machine with this database.
    pub fn over(database: TestDatabase) -> Self {
        Self { database, files: tempfile::tempdir().expect("a directory") }
    }

    pub fn orqit(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orqit"));
        command.args(arguments).env("ORQIT_DATABASE_URL", self.database.url());
        command.env("ORQIT_LISTEN", "127.0.0.1:0").kill_on_drop(true);
        command.env("ORQIT_MASTER_KEY", MASTER_KEY);
        // Whatever a path of the command is relative to is the test's own.
        command.current_dir(self.files.path());
        command
    }

    pub async fn run(&self, arguments: &[&str]) -> Output {
        self.orqit(arguments).output().await.expect("it runs")
    }

    /// What a command that must succeed prints.
    #[track_caller]
    pub fn printed(output: Output) -> String {
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{log}");
        String::from_utf8(output.stdout).expect("text")
    }

    pub async fn serve(&self, arguments: &[&str]) -> Serving {
        Serving::of(self.start(arguments)).await
    }

    /// Starts a server, and does not wait for it.
    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.orqit(&[&["serve"], arguments].concat());
        command.stdout(Stdio::piped()).spawn().expect("it runs")
    }

    async fn key(&self, scope: &str) -> String {
        let made = self.run(&["key", "create", "--name", "Test", "--scope", scope]).await;
        Self::printed(made).trim_end().to_owned()
    }

    /// A key without limits.
    pub async fn unlimited_key(&self, scope: &str) -> String {
        let limits = ["--limit-per-minute", "unlimited", "--group-limit-per-minute", "unlimited"];
        let create = [&["key", "create", "--name", "Test", "--scope", scope], &limits[..]].concat();
        Self::printed(self.run(&create).await).trim_end().to_owned()
    }

    /// Where its commands run.
    pub fn folder(&self) -> &std::path::Path {
        self.files.path()
    }

    fn file(&self, name: &str, lines: &[serde_json::Value]) -> String {
        let path = self.files.path().join(name);
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    }
}

impl Serving {
    /// A server that was started, once it listens.
    pub async fn of(child: Child) -> Self {
        let ended = |ended: Output| panic!("it ended: {}", String::from_utf8_lossy(&ended.stderr));
        Self::or_ended(child).await.unwrap_or_else(ended)
    }

    /// A server that was started, once it listens, or what it left when it ended instead.
    pub async fn or_ended(mut child: Child) -> Result<Self, Output> {
        let mut out = BufReader::new(child.stdout.take().expect("piped")).lines();
        let Some(first) = out.next_line().await.expect("text") else {
            return Err(child.wait_with_output().await.expect("it ended"));
        };
        let url = first.strip_prefix("Orqit listens on ").expect("where it listens").to_owned();
        Ok(Self { child, out, url })
    }

    /// The admin key that a first start prints.
    pub async fn admin_key(&mut self) -> String {
        loop {
            let line = self.out.next_line().await.expect("text").expect("a line");
            if let Some(key) = keys_in(&line).first() {
                return (*key).to_owned();
            }
        }
    }

    /// Asks it to stop, and what else it had printed.
    pub async fn stop(mut self) -> String {
        self.signal("TERM").await;
        let mut rest = String::new();
        while let Some(line) = self.out.next_line().await.expect("text") {
            rest += &line;
            rest.push('\n');
        }
        assert!(self.child.wait().await.expect("it ended").success(), "it exits 0");
        rest
    }

    /// Sends it this signal.
    pub async fn signal(&self, name: &str) {
        let process = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args(["-s", name, &process]).status().await;
        assert!(sent.expect("kill runs").success());
    }
}

/// The keys that a text shows.
pub fn keys_in(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.len() == 49 && word.starts_with("orq_")).collect()
}

#[tokio::test]
async fn the_first_start_prints_one_admin_key_and_later_ones_none() {
    let machine = Machine::new().await;
    let printed = machine.serve(&[]).await.stop().await;
    let mut keys = keys_in(&printed);
    keys.dedup();
    assert_eq!(keys.len(), 1, "{printed}");

    let again = machine.serve(&["--demo"]).await;
    let tickets = Rest::new(again.url.clone(), keys[0]).get("/tickets").await;
    assert_eq!(tickets.data(200), json!([]), "a demo is for a new database");
    assert!(keys_in(&again.stop().await).is_empty());
}

#[tokio::test]
async fn key_create_prints_the_key_alone_and_whoami_knows_it() {
    let machine = Machine::new().await;
    let serving = machine.serve(&[]).await;
    let create = [
        "key",
        "create",
        "--workspace",
        "default",
        "--name",
        "Sales portal",
        "--scope",
        "create-ticket",
        "--scope",
        "tickets:read",
        "--expires-in",
        "30d",
        "--limit-per-minute",
        "unlimited",
        "--group-limit-per-minute",
        "5",
    ];
    let printed = Machine::printed(machine.run(&create).await);
    assert_eq!(keys_in(&printed), [printed.trim_end()]);
    let key = printed.trim_end();

    let own = Rest::new(serving.url.clone(), key).get("/keys/self").await.data(200);
    assert_eq!(own["name"], "Sales portal");
    assert_eq!(own["scopes"], json!(["tickets:create", "tickets:read"]));
    assert_eq!(own["requestedScopes"], json!(["create-ticket", "tickets:read"]));
    assert_eq!(own["limits"], json!({"perMinute": 0, "groupPerMinute": 5}));
    assert_ne!(own["expiresAt"], json!(null));

    let mut whoami = machine.orqit(&["whoami"]);
    whoami.env("ORQIT_URL", &serving.url).env("ORQIT_API_KEY", key);
    let told = Machine::printed(whoami.output().await.expect("it runs"));
    assert!(told.contains("Sales portal") && told.contains("Default (default)"), "{told}");
    assert!(!told.contains(key));

    let listed = Machine::printed(machine.run(&["key", "list"]).await);
    assert!(listed.contains("Sales portal") && !listed.contains(key), "{listed}");
    serving.stop().await;
}

#[tokio::test]
async fn a_workspace_and_its_users_are_made_by_command() {
    let machine = Machine::new().await;
    Machine::printed(machine.run(&["migrate"]).await);
    let made = Machine::printed(machine.run(&["workspace", "create", "acme"]).await);
    assert!(made.starts_with("ws_") && made.ends_with("acme\n"), "{made}");
    let user =
        ["user", "create", "--workspace", "acme", "--name", "Ines", "--email", "i@acme.example"];
    assert_eq!(Machine::printed(machine.run(&user).await), "3 i@acme.example\n");

    let taken = machine.run(&["workspace", "create", "acme"]).await;
    assert!(!taken.status.success());
    assert!(String::from_utf8_lossy(&taken.stderr).contains("acme"));
}

#[tokio::test]
async fn a_bad_value_stops_the_command_with_a_sentence() {
    let machine = Machine::new().await;
    let wrong: [(&[&str], &str); 8] = [
        (&["key", "create", "--name", "x", "--scope", "tickets:delete"], "is not a scope"),
        (
            &["key", "create", "--name", "x", "--scope", "admin", "--workspace", "nowhere"],
            "orqit workspace create",
        ),
        (
            &["key", "create", "--name", "x", "--scope", "admin", "--expires-in", "soon"],
            "such as 30s",
        ),
        (&["serve", "--request-timeout", "0s"], "1ms to 1h"),
        (&["serve", "--tls-cert", "none.pem"], "--tls-key"),
        (&["serve", "--trusted-proxies", "proxy.example"], "such as 10.0.0.0/8"),
        (&["serve", "--github-public-keys", "none.json"], "ORQIT_GITHUB_PUBLIC_KEYS"),
        (&["--log", "orqit=loud", "migrate"], "ORQIT_LOG"),
    ];
    for (arguments, remedy) in wrong {
        let output = machine.run(arguments).await;
        let sentence = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{arguments:?}");
        assert!(sentence.contains(remedy), "{arguments:?}: {sentence}");
    }
}

fn incident(number: u32) -> serde_json::Value {
    json!({
        "externalId": format!("INC{number}"), "type": "INCIDENT", "title": format!("Symptom {number}"),
        "impact": "HIGH", "urgency": "LOW", "priority": "MEDIUM", "location": 143,
    })
}

fn event(number: u32, state: &str) -> serde_json::Value {
    json!({"incident": number.to_string(), "state": state, "seq": 0})
}

async fn replay(machine: &Machine, serving: &Serving, key: &str, files: [&str; 2]) -> String {
    let files = ["import", "tickets", files[0], "--events", files[1]];
    let mut import = machine.orqit(&[&files[..], &["--replay", "--preset", "servicenow"]].concat());
    import.env("ORQIT_URL", &serving.url).env("ORQIT_API_KEY", key);
    let output = import.output().await.expect("it runs");
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test]
async fn a_replay_tells_what_became_of_every_line_and_a_second_run_changes_nothing() {
    let machine = Machine::new().await;
    let serving = machine.serve(&[]).await;
    let key = machine.key("tickets:write").await;
    let tickets = [incident(1), incident(2), incident(3)];
    let early = [event(1, "New"), event(2, "Active"), event(1, "-100"), event(1, "Resolved")];
    let late = [event(1, "Awaiting User Info"), event(1, "Closed"), event(9, "New")];
    let tickets = machine.file("tickets.ndjson", &tickets);
    let some = machine.file("some.ndjson", &early);
    let all = machine.file("all.ndjson", &[early.as_slice(), late.as_slice()].concat());

    let key_that_reads = machine.run(&[
        "key",
        "create",
        "--name",
        "x",
        "--scope",
        "tickets:write",
        "--scope",
        "tickets:read",
    ]);
    let key_that_reads = Machine::printed(key_that_reads.await);
    let first = replay(&machine, &serving, &key, [&tickets, &some]).await;
    assert_eq!(
        first,
        "tickets: 3 created, 0 found, 0 refused; 0 with another priority than in the file\n\
         events: 2 changed, 1 unchanged, 0 refused as a transition, 1 refused as an unknown value, \
         0 applied before, 0 without a ticket\n\
         tickets end: 1 IN_PROGRESS, 1 RESOLVED\n"
    );
    let second = replay(&machine, &serving, key_that_reads.trim_end(), [&tickets, &all]).await;
    assert_eq!(
        second,
        "tickets: 0 created, 3 found, 0 refused; 0 with another priority than in the file\n\
         events: 1 changed, 0 unchanged, 0 refused as a transition, 1 refused as an unknown value, \
         4 applied before, 1 without a ticket\n\
         tickets end: 1 CLOSED, 1 IN_PROGRESS\n"
    );
    let rest = Rest::new(serving.url.clone(), key_that_reads.trim_end());
    assert_eq!(rest.get("/tickets").await.json()["meta"]["totalCount"], 3);
    serving.stop().await;
}

#[test]
fn every_setting_is_in_the_help() {
    let source = include_str!("../../src/cli/settings.rs");
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_orqit"));
    let help = command.args(["serve", "--help"]).current_dir(&folder).output();
    let help = String::from_utf8(help.expect("it runs").stdout).expect("text");
    let names: Vec<_> =
        source.split("env = \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(help.contains(name), "{name}");
    }
    let made = std::fs::read_dir(&folder).expect("a folder").count();
    assert_eq!(made, 0, "asking for help makes no database");
}
