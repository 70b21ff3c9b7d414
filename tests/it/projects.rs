//! Projects, their tasks, and what is counted of these.

use http::Method;
use orqit::pb;
use orqit::pb::project_service_client::ProjectServiceClient;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tonic::Code;

use crate::support::grpc::assert_refused;
use crate::support::requests::vpn;
use crate::support::rest::{Rest, send};
use crate::support::server::{Orqit, with_key};

const WRITER: &[&str] = &["projects:read", "projects:write", "tickets:create"];
const STATUSES: [&str; 5] = ["PLANNED", "ACTIVE", "ON_HOLD", "COMPLETED", "CANCELLED"];

/// Who may do as much as they like.
async fn writer(orqit: &Orqit) -> Rest {
    let limits = |new: &mut orqit::store::NewKey| (new.per_minute, new.group_per_minute) = (0, 0);
    orqit.rest(&orqit.key_with(&orqit.workspace, WRITER, limits).await)
}

async fn project(rest: &Rest, key: &str) -> Value {
    rest.post("/projects", json!({"key": key, "name": "Move"})).await.data(201)
}

async fn task(rest: &Rest, project: &str, more: Value) -> Value {
    let mut task = json!({"title": "Pack"});
    let fields = task.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    rest.post(&format!("/projects/{project}/tasks"), task).await.data(201)
}

async fn ids(rest: &Rest, path: &str) -> Vec<i64> {
    let answer = rest.get(path).await;
    let rows = answer.data(200);
    let ids: Vec<_> =
        rows.as_array().expect("a list").iter().map(|it| it["id"].as_i64().unwrap()).collect();
    let total = &answer.json()["meta"]["totalCount"];
    assert!(total.is_null() || *total == ids.len(), "{path}: {total}");
    ids
}

/// The counts of a project in the order todo, inProgress, inReview, blocked, done, cancelled.
async fn counts(rest: &Rest, project: &str) -> Vec<i64> {
    let project = rest.get(&format!("/projects/{project}")).await.data(200);
    let counts = project["taskCounts"].as_object().expect("counts");
    let names = ["todo", "inProgress", "inReview", "blocked", "done", "cancelled"];
    assert_eq!(counts.keys().collect::<Vec<_>>(), names);
    counts.values().map(|count| count.as_i64().expect("a number")).collect()
}

#[tokio::test]
async fn a_project_is_planned_done_and_closed() {
    let orqit = Orqit::start().await;
    let rest = writer(&orqit).await;
    let all = json!({
        "key": "PORTO", "name": "New office", "description": "For 40.", "leadId": 1,
        "startDate": "2026-03-02", "dueDate": "2026-03-02",
    });
    let mut expected = all.clone();
    for (field, value) in [
        ("id", json!(1)),
        ("status", json!("PLANNED")),
        (
            "taskCounts",
            json!({"todo": 0, "inProgress": 0, "inReview": 0, "blocked": 0, "done": 0, "cancelled": 0}),
        ),
        ("createdAt", json!("2026-01-01T00:00:00.000Z")),
        ("updatedAt", json!("2026-01-01T00:00:00.000Z")),
        ("version", json!(1)),
    ] {
        expected[field] = value;
    }
    assert_eq!(rest.post("/projects", all).await.data(201), expected);
    for path in ["/projects/1", "/projects/PORTO"] {
        assert_eq!(rest.get(path).await.data(200), expected);
    }
    rest.get("/projects/porto").await.error(404, "PROJECT_NOT_FOUND");
    for number in 1..=5 {
        assert_eq!(task(&rest, "PORTO", json!({})).await["taskNumber"], format!("PORTO-{number}"));
    }
    let (tag, again) = {
        let answer = rest.get("/projects/PORTO").await;
        (answer.header("etag").expect("a tag").to_owned(), answer.data(200))
    };
    assert_eq!((&again["version"], &again["taskCounts"]["todo"]), (&json!(1), &json!(5)));
    orqit.clock.advance_millis(1000);
    let done = rest.patch("/tasks/PORTO-1", json!({"status": "DONE"})).await.data(200);
    assert_eq!(done["completedAt"], "2026-01-01T00:00:01.000Z");
    assert_eq!(counts(&rest, "PORTO").await, [4, 0, 0, 0, 1, 0]);
    let held = rest.request(Method::GET, "/projects/PORTO").header("if-none-match", &tag);
    send(held).await.data(200);
    for number in 2..=5 {
        let path = format!("/tasks/PORTO-{number}");
        rest.patch(&path, json!({"status": "DONE"})).await.data(200);
    }
    let guarded = rest.request(Method::PATCH, "/projects/1").header("if-match", &tag);
    let closed = send(guarded.json(&json!({"status": "COMPLETED"}))).await.data(200);
    assert_eq!((&closed["taskCounts"]["done"], &closed["version"]), (&json!(5), &json!(2)));
    let late = rest.post("/projects/PORTO/tasks", json!({"title": "Late"})).await;
    late.error(409, "PROJECT_CLOSED");
    let reopened = rest.patch("/tasks/PORTO-5", json!({"status": "BLOCKED"})).await.data(200);
    assert_eq!(reopened["completedAt"], Value::Null);
    assert_eq!(counts(&rest, "1").await, [0, 0, 0, 1, 4, 0]);
    rest.patch("/projects/1", json!({"status": "ACTIVE"})).await.data(200);
    assert_eq!(task(&rest, "1", json!({})).await["taskNumber"], "PORTO-6");
    let history = rest.get("/projects/PORTO/history").await.data(200);
    let steps: Vec<_> = history.as_array().unwrap().iter().map(|it| &it["to"]).collect();
    assert_eq!(json!(steps), json!(["ACTIVE", "COMPLETED"]));
    let history = rest.get("/tasks/PORTO-5/history").await.data(200);
    let fields: Vec<_> = history.as_array().unwrap().iter().map(|it| &it["field"]).collect();
    assert_eq!(json!(fields), json!(["completedAt", "status", "completedAt", "status"]));
    let payloads = orqit.payloads().await;
    let topics = |name: &str| -> Vec<Value> {
        let of_type = payloads.iter().filter(|it| it["type"] == name);
        of_type.map(|it| it["topics"].clone()).collect()
    };
    assert_eq!(topics("project.updated")[0], json!(["project.updated", "project.status_changed"]));
    let (updated, moved) = ("task.updated", "task.status_changed");
    assert_eq!(topics("task.updated")[0], json!([updated, moved, "task.completed"]));
    assert_eq!(topics("task.updated")[5], json!([updated, moved]));
    let last = payloads.iter().rfind(|it| it["type"] == "project.updated").unwrap();
    assert_eq!(last["data"]["changedFields"], json!(["status"]));
    assert_eq!(last["data"]["object"]["taskCounts"]["done"], 4);
}

#[tokio::test]
async fn what_can_be_no_project_or_task_is_refused_by_its_fields() {
    let orqit = Orqit::start().await;
    let rest = writer(&orqit).await;
    for key in ["A", "ABCDEFGHIJK", "ops", "1OPS", "OP-S", "ÖPS", ""] {
        let answer = rest.post("/projects", json!({"key": key, "name": "Move"})).await;
        assert_eq!(answer.status, 400, "{key}");
        assert_eq!(answer.wrong_fields(), ["key"], "{key}");
    }
    project(&rest, "OPS").await;
    rest.post("/projects", json!({"key": "OPS", "name": "Again"}))
        .await
        .error(409, "ALREADY_EXISTS");
    for (body, fields) in [
        (json!({}), &["key", "name"][..]),
        (json!({"key": "OK", "name": "x", "leadId": 99}), &["leadId"]),
        (
            json!({"key": "OK", "name": "x", "startDate": "2026-03-02", "dueDate": "2026-03-01"}),
            &["dueDate"],
        ),
        (json!({"key": "OK", "name": "x", "dueDate": "tomorrow"}), &["dueDate"]),
        (json!({"key": "OK", "name": "x", "taskCounts": {}}), &["taskCounts"]),
    ] {
        let answer = rest.post("/projects", body.clone()).await;
        assert_eq!(answer.status, 400, "{body}");
        let mut wrong = answer.wrong_fields();
        wrong.sort_unstable();
        assert_eq!(wrong, fields, "{body}");
    }
    for body in [json!({"key": "NEW"}), json!({"name": null}), json!({"status": "OPEN"})] {
        assert_eq!(rest.patch("/projects/OPS", body.clone()).await.status, 400, "{body}");
    }
    rest.patch("/projects/OPS", json!({"dueDate": "2026-03-01"})).await.data(200);
    let late = rest.patch("/projects/OPS", json!({"startDate": "2026-03-02"})).await;
    assert_eq!(late.wrong_fields(), ["dueDate"]);
    for (body, fields) in [
        (json!({}), &["title"][..]),
        (json!({"title": "x", "estimateMinutes": 1_000_001}), &["estimateMinutes"]),
        (json!({"title": "x", "estimateMinutes": -1}), &["estimateMinutes"]),
        (json!({"title": "x", "assigneeId": 99, "ticketId": 98}), &["assigneeId", "ticketId"]),
        (json!({"title": "x", "completedAt": "2026-01-01T00:00:00Z"}), &["completedAt"]),
    ] {
        let answer = rest.post("/projects/OPS/tasks", body.clone()).await;
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.wrong_fields(), fields, "{body}");
    }
    // What was refused took no number.
    assert_eq!(task(&rest, "OPS", json!({})).await["taskNumber"], "OPS-1");
    for path in ["/tasks/2", "/tasks/OPS-2", "/tasks/ops-1", "/tasks/0"] {
        rest.get(path).await.error(404, "TASK_NOT_FOUND");
        rest.patch(path, json!({"title": "x"})).await.error(404, "TASK_NOT_FOUND");
    }
    for path in ["/projects/NONE/tasks", "/projects/2/tasks"] {
        rest.get(path).await.error(404, "PROJECT_NOT_FOUND");
        rest.post(path, json!({"title": "x"})).await.error(404, "PROJECT_NOT_FOUND");
    }
    let other = orqit.workspace("other").await;
    let theirs = orqit.rest(&orqit.key_with(&other, WRITER, |_| ()).await);
    for path in ["/projects/OPS", "/projects/1/tasks"] {
        theirs.get(path).await.error(404, "PROJECT_NOT_FOUND");
    }
    theirs.get("/tasks/OPS-1").await.error(404, "TASK_NOT_FOUND");
    let key = orqit.key(WRITER).await;
    let mut grpc = ProjectServiceClient::new(orqit.channel().await);
    let nowhere = pb::GetTaskRequest { task_id: "OPS-9".to_owned() };
    let refused = grpc.get_task(with_key(&key, nowhere)).await.expect_err("it is nowhere");
    assert_refused(&refused, Code::NotFound, "TASK_NOT_FOUND");
}

#[tokio::test]
async fn the_status_of_a_project_goes_where_the_table_says() {
    let next = |from: &str| -> Vec<&str> {
        match from {
            "COMPLETED" | "CANCELLED" => vec!["ACTIVE"],
            from => STATUSES.into_iter().filter(|to| *to != from).collect(),
        }
    };
    let orqit = Orqit::start().await;
    let rest = writer(&orqit).await;
    for from in STATUSES {
        for to in STATUSES {
            let key = format!("{}{}", from.replace('_', ""), to.replace('_', ""));
            let key = format!("K{}", &orqit::id::base62(6).to_uppercase()) + &key[..2];
            let body = json!({"key": key, "name": "Move", "status": from});
            rest.post("/projects", body).await.data(201);
            let answer = rest.patch(&format!("/projects/{key}"), json!({"status": to})).await;
            if from == to || next(from).contains(&to) {
                assert_eq!(answer.data(200)["status"], to, "{from} to {to}");
                continue;
            }
            let error = answer.error(409, "INVALID_STATUS_TRANSITION");
            assert_eq!(error["allowed"], json!(next(from)), "{from}");
        }
    }
}

#[tokio::test]
async fn projects_and_tasks_are_found_by_every_filter_and_in_every_order() {
    let orqit = Orqit::start().await;
    let rest = writer(&orqit).await;
    let ticket = rest.post("/tickets", vpn()).await.data(201)["id"].clone();
    for (key, name, due) in [
        ("OPS", "Zoom rooms", json!("2026-05-01")),
        ("PORTO", "ärger", json!(null)),
        ("LIS", "Café", json!("2026-04-01")),
    ] {
        let body = json!({"key": key, "name": name, "dueDate": due, "description": "Größe"});
        rest.post("/projects", body).await.data(201);
        orqit.clock.advance_millis(1000);
    }
    let lead = json!({"leadId": 1, "status": "ACTIVE"});
    rest.patch("/projects/OPS", lead).await.data(200);
    for (filter, found) in [
        ("", &[3, 2, 1][..]),
        ("sort=name", &[3, 1, 2]),
        ("sort=dueDate", &[3, 1, 2]),
        ("sort=-dueDate", &[1, 3, 2]),
        ("sort=-updatedAt", &[1, 3, 2]),
        ("status=ACTIVE", &[1]),
        ("status=ACTIVE,PLANNED&sort=createdAt", &[1, 2, 3]),
        ("leadId=1", &[1]),
        ("q=porto", &[2]),
        ("q=cafe", &[3]),
        ("q=gross", &[3, 2, 1]),
        ("updatedSince=2026-01-01T00:00:02Z", &[3, 1]),
    ] {
        assert_eq!(ids(&rest, &format!("/projects?{filter}")).await, found, "{filter}");
    }
    for more in [
        json!({"priority": "LOW", "dueDate": "2026-02-02", "assigneeId": 1}),
        json!({"priority": "CRITICAL", "status": "BLOCKED", "ticketId": ticket}),
        json!({"title": "Kühlschrank", "dueDate": "2026-02-01", "estimateMinutes": 90}),
    ] {
        task(&rest, "OPS", more).await;
        orqit.clock.advance_millis(1000);
    }
    task(&rest, "LIS", json!({"assigneeId": 1})).await;
    for (filter, found) in [
        ("", &[3, 2, 1][..]),
        ("sort=createdAt", &[1, 2, 3]),
        ("sort=priority", &[1, 3, 2]),
        ("sort=-priority", &[2, 3, 1]),
        ("sort=dueDate", &[3, 1, 2]),
        ("status=TODO", &[3, 1]),
        ("priority=LOW,CRITICAL", &[2, 1]),
        ("assigneeId=1", &[1]),
        ("unassigned=true", &[3, 2]),
        ("ticketId=1", &[2]),
        ("dueBefore=2026-02-02", &[3]),
        ("q=kuhl", &[3]),
        ("updatedSince=2026-01-01T00:00:04Z", &[2, 3]),
    ] {
        assert_eq!(ids(&rest, &format!("/projects/OPS/tasks?{filter}")).await, found, "{filter}");
    }
    assert_eq!(ids(&rest, "/projects/PORTO/tasks").await, [0_i64; 0]);
    let page = rest.get("/projects/OPS/tasks?cursor=start&perPage=2").await;
    let next = page.json()["meta"]["nextCursor"].as_str().expect("a cursor").to_owned();
    assert_eq!(ids(&rest, &format!("/projects/OPS/tasks?perPage=2&cursor={next}")).await, [1]);
    let other = rest.get(&format!("/projects/LIS/tasks?cursor={next}")).await;
    other.error(400, "VALIDATION_FAILED");
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_dense_and_counts_exact_whoever_writes_at_once() {
    let orqit = Orqit::start().await;
    let rest = writer(&orqit).await;
    for key in ["ONE", "TWO"] {
        project(&rest, key).await;
    }
    let mut running = JoinSet::new();
    for writer in 0..50 {
        let rest = rest.clone();
        running.spawn(async move {
            let project = if writer % 2 == 0 { "ONE" } else { "TWO" };
            let made = task(&rest, project, json!({})).await;
            let number = made["taskNumber"].as_str().expect("a number").to_owned();
            for status in ["IN_PROGRESS", "DONE"].into_iter().take(writer % 3) {
                let path = format!("/tasks/{number}");
                rest.patch(&path, json!({"status": status})).await.data(200);
            }
            number
        });
    }
    let mut numbers = running.join_all().await;
    numbers.sort_by_key(|number| {
        let (project, number) = number.split_once('-').unwrap();
        (project.to_owned(), number.parse::<u32>().unwrap())
    });
    let expected =
        ["ONE", "TWO"].into_iter().flat_map(|key| (1..=25).map(move |n| format!("{key}-{n}")));
    assert_eq!(numbers, expected.collect::<Vec<_>>());
    for project in ["ONE", "TWO"] {
        let mut listed = [0; 6];
        let statuses = ["TODO", "IN_PROGRESS", "IN_REVIEW", "BLOCKED", "DONE", "CANCELLED"];
        for (place, status) in statuses.into_iter().enumerate() {
            let path = format!("/projects/{project}/tasks?status={status}&perPage=1");
            let page = rest.get(&path).await;
            page.data(200);
            listed[place] = page.json()["meta"]["totalCount"].as_i64().unwrap();
        }
        assert_eq!(counts(&rest, project).await, listed, "{project}");
        assert_eq!(listed.iter().sum::<i64>(), 25);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_is_closed_meanwhile_takes_no_task() {
    let orqit = Orqit::start().await;
    let rest = writer(&orqit).await;
    project(&rest, "OPS").await;
    let mut running = JoinSet::new();
    for place in 0..20 {
        let rest = rest.clone();
        running.spawn(async move {
            if place == 10 {
                rest.patch("/projects/OPS", json!({"status": "COMPLETED"})).await.data(200);
                return None;
            }
            let answer = rest.post("/projects/OPS/tasks", json!({"title": "Pack"})).await;
            if answer.status == 201 {
                return Some(answer.data(201)["id"].clone());
            }
            answer.error(409, "PROJECT_CLOSED");
            None
        });
    }
    let made = running.join_all().await.into_iter().flatten().count();
    let sequence = |name: &str| {
        let events = orqit.events();
        let name = name.to_owned();
        async move {
            let events = events.await;
            let last = events.iter().rfind(|event| event.event_type == name);
            last.map(|event| event.sequence)
        }
    };
    let (closed, last) = (sequence("project.updated").await, sequence("task.created").await);
    assert!(closed > last, "a task after the project was closed");
    assert_eq!(counts(&rest, "OPS").await[0], i64::try_from(made).unwrap());
}

#[tokio::test]
async fn a_new_task_has_no_version_that_it_could_be_meant_for() {
    let orqit = Orqit::start().await;
    let rest = writer(&orqit).await;
    project(&rest, "OPS").await;
    for header in ["If-Match", "If-None-Match"] {
        let request = rest.request(Method::POST, "/projects/OPS/tasks").header(header, "\"1\"");
        let refused = send(request.json(&json!({"title": "Pack"}))).await;
        refused.error(400, "VALIDATION_FAILED");
        assert_eq!(refused.wrong_fields(), [header]);
    }
}
