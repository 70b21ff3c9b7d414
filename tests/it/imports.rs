//! `orqit import` and `orqit export` as somebody meets them who moves house.

use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::cli::{Machine, Serving};
use crate::support::rest::Rest;

/// A service with a key that may do everything.
pub struct Desk {
    pub machine: Machine,
    pub serving: Serving,
    key: String,
}

/// How a command ended, and what it printed.
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub told: String,
}

impl Desk {
    pub async fn open(arguments: &[&str]) -> Self {
        let machine = Machine::new().await;
        let serving = machine.serve(arguments).await;
        let key = machine.unlimited_key("admin").await;
        Self { machine, serving, key }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.machine.orqit(arguments);
        command.env("ORQIT_URL", &self.serving.url).env("ORQIT_API_KEY", &self.key);
        command
    }

    pub async fn run(&self, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).output().await.expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Ended { code: output.status.code(), out: text(output.stdout), told: text(output.stderr) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.machine.folder().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).expect("written");
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub fn rest(&self) -> Rest {
        Rest::new(self.serving.url.clone(), &self.key)
    }

    /// The lines of an export, in an order of their own.
    pub async fn exported(&self, kind: &str) -> Vec<String> {
        let ended = self.run(&["export", kind]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.told);
        let mut lines: Vec<_> = ended.out.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }
}

impl Ended {
    #[track_caller]
    pub fn assert(&self, code: i32, out: &str) {
        assert_eq!((self.code, self.out.trim_end()), (Some(code), out), "{}", self.told);
    }
}

pub fn ticket(id: u32, more: Value) -> Value {
    let mut ticket = json!({"externalSource": "old", "externalId": format!("T{id}"), "title": format!("Ticket {id}"),
        "description": "It broke.", "type": "INCIDENT", "category": "OTHER"});
    ticket.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    ticket
}

pub fn lines(records: impl IntoIterator<Item = Value>) -> String {
    records.into_iter().map(|record| format!("{record}\n")).collect()
}

const GERMAN: &str = r#"
source = "altsystem"
ignore = ["Interne Notiz"]
[dates]
format = "%d.%m.%Y %H:%M"
zone = "Europe/Berlin"
[fields]
externalId = "Nummer"
title = "Betreff"
description = { from = ["Beschreibung", "Betreff"] }
type = { value = "INCIDENT" }
category = { value = "OTHER" }
"requester.email" = "Melder"
status = { from = "Zustand", values = { "Neu" = "OPEN", "Wartet*" = "PENDING", "Erledigt" = "CLOSED" } }
createdAt = "Erstellt am"
closedAt = "Geschlossen am"
tags = { from = "Schlagworte", as = "list", separator = "," }
"#;

#[tokio::test]
async fn a_spreadsheet_with_german_columns_is_mapped_checked_mended_and_imported_again() {
    let desk = Desk::open(&[]).await;
    desk.write("karte.toml", GERMAN);
    let header = "Nummer;Betreff;Beschreibung;Melder;Zustand;Erstellt am;Geschlossen am;Schlagworte;Interne Notiz";
    let row = |id: u32, status: &str, at: &str, closed: &str| {
        format!(
            "{id};Drucker {id};Er druckt nicht.;jo@example.com;{status};{at};{closed};\"drucker,flur\";x"
        )
    };
    let rows = [
        row(1, "Neu", "01.07.2024 09:30", ""),
        row(2, "Wartet auf Lieferant", "02.07.2024 09:30", ""),
        row(3, "Erledigt", "03.01.2024 09:30", "04.01.2024 10:00"),
        row(4, "wichtig", "2024-07-04", ""),
        row(5, "Neu", "05.07.2024 09:30", "06.07.2024 09:30"),
        row(2, "Neu", "02.07.2024 09:30", ""),
    ];
    desk.write("tickets.csv", format!("\u{feff}{header}\r\n{}\r\n", rows.join("\r\n")));
    let import = ["import", "tickets", "tickets.csv", "--map", "karte.toml"];
    let dry = desk.run(&[&import[..], &["--dry-run"]].concat()).await;
    dry.assert(2, "dry run: 4 records are right, 2 are not; nothing was sent");
    assert!(
        dry.told.contains(
            "line 5 (4): createdAt: `2024-07-04` is not a time written as %d.%m.%Y %H:%M"
        ),
        "{}",
        dry.told
    );
    assert!(
        dry.told
            .contains("status: `wichtig` is not mapped; these are: `Erledigt`, `Neu`, `Wartet*`"),
        "{}",
        dry.told
    );
    assert!(dry.told.contains("line 7 (2): `2` stands on line 3 already"), "{}", dry.told);
    assert_eq!(desk.rest().get("/tickets").await.json()["meta"]["totalCount"], 0);
    let strict = desk.run(&[&import[..], &["--strict"]].concat()).await;
    strict.assert(1, "");
    assert!(
        strict
            .told
            .contains("2 records are wrong: nothing was sent; mend tickets.csv.rejected.ndjson"),
        "{}",
        strict.told
    );

    let first = desk.run(&import).await;
    assert!(
        first.told.contains("left out, as the preset or the mapping has it: Interne Notiz (6)"),
        "{}",
        first.told
    );
    first.assert(2, "tickets: 3 created, 0 updated, 0 unchanged, 3 refused");
    assert!(
        first
            .told
            .contains("line 6 (5): closedAt must be left out: a ticket that is OPEN has none"),
        "{}",
        first.told
    );
    // Three lines are mended where they were refused, and sent again.
    let rejected = desk.read("tickets.csv.rejected.ndjson");
    let mut refused: Vec<Value> =
        rejected.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(refused.iter().map(|it| it["line"].clone()).collect::<Vec<_>>(), [5, 7, 6]);
    assert_eq!(refused[0]["externalId"], "4");
    assert_eq!(refused[0]["reasons"].as_array().map(Vec::len), Some(2), "{rejected}");
    refused[0]["record"]["Zustand"] = json!("Neu");
    refused[0]["record"]["Erstellt am"] = json!("04.07.2024 00:00");
    refused[1]["record"]["Nummer"] = json!("6");
    refused[2]["record"]["Zustand"] = json!("Erledigt");
    desk.write("tickets.csv.rejected.ndjson", lines(refused));
    let mended = ["import", "tickets", "tickets.csv.rejected.ndjson", "--map", "karte.toml"];
    desk.run(&mended).await.assert(0, "tickets: 3 created, 0 updated, 0 unchanged, 0 refused");

    let changed = format!(
        "{header}\n{}\n{}\n",
        row(1, "Erledigt", "01.07.2024 09:30", "02.07.2024 12:00"),
        rows[1]
    );
    desk.write("tickets.csv", changed);
    desk.run(&import).await.assert(0, "tickets: 0 created, 1 updated, 1 unchanged, 0 refused");
    let listed =
        desk.rest().get("/tickets?externalSource=altsystem&externalId=1&include=history").await;
    let ticket = listed.data(200)[0].clone();
    assert_eq!(ticket["createdAt"], "2024-07-01T07:30:00.000Z");
    assert_eq!(
        (&ticket["status"], &ticket["closedAt"]),
        (&json!("CLOSED"), &json!("2024-07-02T10:00:00.000Z"))
    );
    assert_eq!(ticket["tags"], json!(["drucker", "flur"]));
    let history = ticket["history"].as_array().expect("history");
    assert!(
        history
            .iter()
            .any(|it| it["field"] == "status" && it["from"] == "OPEN" && it["to"] == "CLOSED"),
        "{ticket}"
    );
}

#[tokio::test]
async fn records_come_from_every_kind_of_file_and_from_a_pipe() {
    let desk = Desk::open(&[]).await;
    desk.write("a.json", json!([ticket(1, json!({})), ticket(2, json!({}))]).to_string());
    let mut zipped = GzEncoder::new(Vec::new(), Compression::default());
    write!(zipped, "\u{feff}{}", lines([ticket(3, json!({}))]).replace('\n', "\r\n"))
        .expect("bytes");
    desk.write("b.ndjson.gz", zipped.finish().expect("bytes"));
    let csv = "externalSource,externalId,title,description,type,category\nold,T4,\"a, b\",\"x\ny\",INCIDENT,OTHER\n";
    desk.write("c.csv", csv);
    let ended = desk.run(&["import", "tickets", "a.json", "b.ndjson.gz", "c.csv"]).await;
    ended.assert(0, "tickets: 4 created, 0 updated, 0 unchanged, 0 refused");
    let mut piped = desk.command(&["import", "tickets", "-"]);
    let mut piped = piped.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
    let mut input = piped.stdin.take().expect("a pipe");
    input
        .write_all(lines([ticket(4, json!({})), ticket(5, json!({}))]).as_bytes())
        .await
        .expect("written");
    drop(input);
    let output = piped.wait_with_output().await.expect("it ended");
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(out, "tickets: 1 created, 1 updated, 0 unchanged, 0 refused\n");
    assert_eq!(output.status.code(), Some(0));
}

#[tokio::test]
async fn bad_input_is_told_by_its_line_and_its_remedy_and_loses_nothing() {
    let desk = Desk::open(&[]).await;
    let incident = |id: u32, state: Value| json!({"number": format!("INC{id}"), "short_description": "VPN", "state": state});
    let mut bytes = lines([
        incident(1, json!("Closed")),
        incident(2, json!(7)),
        incident(3, json!("In Work")),
        incident(4, json!("IN_PROGRESS")),
        json!({"number": "INC5", "short_description": "VPN", "colour": "red"}),
    ])
    .into_bytes();
    bytes.extend(b"{\"number\":\"INC6\",\"short_description\":\"\\ud800\"}\n");
    bytes.extend(b"{\"number\":\"INC7\",\"short_description\":\"B\xfcro\"}\n");
    bytes.extend(
        format!("{{\"number\":\"INC8\",\"short_description\":\"{}\"}}\n", "x".repeat(1 << 20))
            .as_bytes(),
    );
    bytes.extend(b"{\"number\":\"INC9\"\n");
    bytes.extend(lines([incident(1, json!("New")), incident(10, json!("New"))]).as_bytes());
    desk.write("incidents.ndjson", bytes);
    let ended =
        desk.run(&["import", "tickets", "incidents.ndjson", "--preset", "servicenow"]).await;
    ended.assert(2, "tickets: 2 created, 0 updated, 0 unchanged, 9 refused");
    for told in [
        "line 2 (INC2): status: `7` is not mapped; these are: `Active`",
        "line 3 (INC3): status: `In Work` is not mapped",
        "line 4 (INC4): status: `IN_PROGRESS` is not mapped",
        "line 5 (INC5): colour is mapped to no field: map it, or name it in `ignore`",
        "line 6: it is not a JSON object: ",
        "line 7: it is not UTF-8: there is the byte 0xFC at column",
        "line 8: it has more than 1 MiB",
        "line 9: it is not a JSON object: ",
        "line 10 (INC1): `INC1` stands on line 1 already, which is the one that is taken",
    ] {
        assert!(ended.told.contains(told), "{told}: {}", ended.told);
    }
    for line in ended.told.lines().filter(|line| line.starts_with("line ")) {
        assert_eq!(
            line.matches("line ").count(),
            1 + usize::from(line.contains("stands on")),
            "{line}"
        );
    }
    desk.write("cut.ndjson.gz", {
        let mut zipped = GzEncoder::new(Vec::new(), Compression::default());
        zipped
            .write_all(lines([ticket(1, json!({})), ticket(2, json!({}))]).as_bytes())
            .expect("bytes");
        let zipped = zipped.finish().expect("bytes");
        zipped[..zipped.len() - 9].to_vec()
    });
    desk.write("good.ndjson", lines([ticket(77, json!({}))]));
    desk.write(
        "number.ndjson",
        lines([ticket(1, json!({"status": 3})), ticket(2, json!({"colour": 1}))]),
    );
    for (arguments, code, remedy) in [
        (["cut.ndjson.gz", "--strict"].as_slice(), 1, "copy it again; nothing was sent"),
        (&["none.ndjson"], 1, "cannot read none.ndjson"),
        (&["good.ndjson", "--events", "none.ndjson"], 1, "cannot read none.ndjson"),
        (&["good.ndjson", "--source", ""], 2, "1 to 64 characters"),
        (&["good.ndjson", "--map", "none.toml"], 1, "cannot read the mapping none.toml"),
        (&["good.ndjson", "--url", "localhost:8080"], 1, "write http://host:port"),
        (&["good.ndjson", "--api-key", ""], 1, "ORQIT_API_KEY is empty"),
        (&["good.ndjson", "--api-key", "orq_x"], 1, "refused"),
        (&["number.ndjson"], 2, "status must be one of"),
        (&["number.ndjson"], 2, "colour is not a field here"),
        (&[], 1, "name a file"),
    ] {
        let ended = desk.run(&[&["import", "tickets"], arguments].concat()).await;
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.told);
        assert!(ended.told.contains(remedy), "{arguments:?}: {}", ended.told);
    }
    assert_eq!(
        desk.rest().get("/tickets?externalSource=old").await.json()["meta"]["totalCount"],
        0
    );
    // What is in a file moves no cursor and changes no colour.
    desk.write("colours.ndjson", lines([ticket(1, json!({"type": "\u{1b}[31mRED"}))]));
    let ended = desk.run(&["import", "tickets", "colours.ndjson"]).await;
    assert!(ended.code == Some(2) && !ended.told.contains('\u{1b}'), "{}", ended.told);
}

#[tokio::test]
async fn a_record_that_cannot_be_made_is_refused_for_what_it_lacks() {
    let desk = Desk::open(&[]).await;
    let users = [
        json!({"email": "ana@example.com", "displayName": "Ana", "status": "SUSPENDED"}),
        json!({"email": "ben@example.com", "phone": "1"}),
        json!({"email": "cem@example.com", "displayName": "Cem", "role": 3, "colour": "red"}),
        json!({"displayName": "Dora"}),
    ];
    desk.write("users.ndjson", lines(users));
    let ended = desk.run(&["import", "users", "users.ndjson"]).await;
    ended.assert(2, "users: 1 created, 0 updated, 0 unchanged, 3 refused");
    let rejected = desk.read("users.ndjson.rejected.ndjson");
    let refused = rejected.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    let mut refused: Vec<(i64, Vec<Value>)> = refused
        .map(|it: Value| {
            let reasons = it["reasons"].as_array().expect("a list").iter();
            let fields = reasons.map(|reason| reason["field"].clone()).collect();
            (it["line"].as_i64().expect("a line"), fields)
        })
        .collect();
    refused.sort_by_key(|(line, _)| *line);
    let fields = |names: &[&str]| names.iter().map(|name| json!(name)).collect::<Vec<_>>();
    let expected =
        [(2, fields(&["displayName"])), (3, fields(&["colour", "role"])), (4, fields(&["email"]))];
    for ((line, mut fields), (expected_line, expected)) in refused.into_iter().zip(expected) {
        fields.sort_by_key(Value::to_string);
        assert_eq!((line, fields), (expected_line, expected), "{rejected}");
    }
    let ana = desk.rest().get("/users?email=ana@example.com").await.data(200);
    assert_eq!(ana[0]["status"], "SUSPENDED");
}

#[tokio::test]
async fn events_become_history_by_their_own_ids_however_often_they_come() {
    let desk = Desk::open(&[]).await;
    let incident = |id: u32, state: &str| {
        json!({"number": format!("INC{id}"), "short_description": "VPN", "state": state,
        "opened_at": "2024-03-01 08:00:00"})
    };
    let event = |id: u32, seq: u32, state: &str| {
        json!({"incident": id.to_string(), "seq": seq, "state": state,
        "updatedAt": format!("2024-03-01T0{seq}:30:00Z"), "actor": 7})
    };
    desk.write("tickets.ndjson", lines([incident(1, "Active"), incident(2, "New")]));
    let early = [
        event(1, 0, "New"),
        event(2, 0, "New"),
        event(1, 1, "Active"),
        event(3, 0, "New"),
        event(1, 1, "Closed"),
    ];
    desk.write("events.ndjson", lines(early.clone()));
    let import = [
        "import",
        "tickets",
        "tickets.ndjson",
        "--events",
        "events.ndjson",
        "--preset",
        "servicenow",
    ];
    let ended = desk.run(&import).await;
    ended.assert(
        2,
        "tickets: 2 created, 0 updated, 0 unchanged, 0 refused\nevents: 3 of 5 are in, 2 refused",
    );
    assert!(
        ended.told.contains("there is no ticket `INC3`, neither in the files nor in the service"),
        "{}",
        ended.told
    );
    assert!(
        ended.told.contains("`1@2024-03-01T01:30:00Z` of INC1 stands on line 3 already"),
        "{}",
        ended.told
    );
    // An edit in between, and what has happened there since, without the tickets themselves.
    desk.rest().patch("/tickets/1", json!({"title": "Edited here"})).await.data(200);
    desk.write("more.ndjson", lines([early[0].clone(), early[2].clone(), event(1, 2, "Resolved")]));
    let more = ["import", "tickets", "--events", "more.ndjson", "--preset", "servicenow"];
    desk.run(&more).await.assert(
        0,
        "tickets: 0 created, 0 updated, 0 unchanged, 0 refused\nevents: 3 of 3 are in, 0 refused",
    );
    desk.run(&more).await.assert(
        0,
        "tickets: 0 created, 0 updated, 0 unchanged, 0 refused\nevents: 3 of 3 are in, 0 refused",
    );
    let history = desk.rest().get("/tickets/1/history").await.data(200);
    let told: Vec<_> = history
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| format!("{} {} {} {}", it["field"], it["from"], it["to"], it["actor"]["name"]))
        .collect();
    let expected = [
        r#""title" "VPN" "Edited here" "Test""#,
        r#""status" "IN_PROGRESS" "RESOLVED" "7""#,
        r#""status" "OPEN" "IN_PROGRESS" "7""#,
        r#""status" null "OPEN" "7""#,
    ];
    assert_eq!(told, expected);
    assert_eq!(desk.rest().get("/tickets/1").await.data(200)["title"], "Edited here");
}

#[tokio::test]
async fn a_ticket_with_more_past_than_a_call_takes_and_parents_in_any_order_come_whole() {
    let desk = Desk::open(&[]).await;
    let comment = |n: usize| json!({"externalId": n.to_string(), "body": "ä".repeat(2_000), "createdAt": "2024-01-01T00:00:00Z"});
    let entry = |n: usize| json!({"externalId": n.to_string(), "field": "status", "to": "OPEN"});
    let long = ticket(
        1,
        json!({"comments": (0..240).map(comment).collect::<Vec<_>>(), "updatedAt": "2024-02-01T00:00:00Z",
        "createdAt": "2024-01-01T00:00:00Z", "history": (0..1000).map(entry).collect::<Vec<_>>()}),
    );
    let more = json!({"externalSource": "old", "externalId": "T1", "updatedAt": "2024-02-01T00:00:00Z", "comments": [comment(999)]});
    let of = |id: u32| json!({"parent": {"externalSource": "old", "externalId": format!("T{id}")}});
    let all = [
        ticket(4, of(3)),
        ticket(3, of(2)),
        ticket(2, of(1)),
        long,
        more,
        ticket(5, of(6)),
        ticket(6, of(5)),
    ];
    desk.write("tickets.ndjson", lines(all));
    let ended = desk.run(&["import", "tickets", "tickets.ndjson"]).await;
    ended.assert(2, "tickets: 4 created, 1 updated, 0 unchanged, 2 refused");
    let found =
        desk.rest().get("/tickets?externalSource=old&externalId=T1").await.data(200)[0].clone();
    assert_eq!(
        (&found["commentCount"], &found["updatedAt"]),
        (&json!(241), &json!("2024-02-01T00:00:00.000Z"))
    );
    let history = desk.rest().get(&format!("/tickets/{}/history?perPage=1", found["id"])).await;
    assert_eq!(history.json()["meta"]["totalCount"], 1000);
    desk.run(&["import", "tickets", "tickets.ndjson"])
        .await
        .assert(2, "tickets: 0 created, 0 updated, 5 unchanged, 2 refused");
}

#[tokio::test]
async fn calls_have_no_more_tickets_than_the_limits_of_the_key_admit() {
    let desk = Desk::open(&[]).await;
    let made = desk
        .machine
        .run(&[
            "key",
            "create",
            "--name",
            "slow",
            "--scope",
            "tickets:import",
            "--limit-per-minute",
            "40",
        ])
        .await;
    let key = Machine::printed(made);
    desk.write("tickets.ndjson", lines((0..30).map(|id| ticket(id, json!({})))));
    let mut import = desk.command(&["import", "tickets", "tickets.ndjson"]);
    let output = import.env("ORQIT_API_KEY", key.trim_end()).output().await.expect("it runs");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "tickets: 30 created, 0 updated, 0 unchanged, 0 refused\n"
    );
}
