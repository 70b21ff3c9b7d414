//! Lists: which tickets a filter finds, in which order, page by page.

use http::Method;
use orqit::pb;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::grpc::{assert_refused, violations};
use crate::support::requests::{vpn, vpn_with};
use crate::support::rest::{Answer, Rest, send};
use crate::support::server::{Orqit, with_key};

const SCOPES: [&str; 2] = ["tickets:write", "tickets:read"];

/// The ids of the tickets in an answer, in their order.
#[track_caller]
fn ids(answer: &Answer) -> Vec<i64> {
    let tickets = answer.data(200);
    let tickets = tickets.as_array().expect("a list").iter();
    tickets.map(|ticket| ticket["id"].as_i64().expect("an id")).collect()
}

fn meta(answer: &Answer) -> Value {
    answer.json()["meta"].clone()
}

/// Asserts which tickets a query finds, in ascending order, and that the total says so too.
async fn assert_finds(rest: &Rest, query: &str, expected: &[i64]) {
    let answer = rest.get(&format!("/tickets?{query}")).await;
    let mut found = ids(&answer);
    found.sort_unstable();
    assert_eq!(found, expected, "{query}");
    assert_eq!(meta(&answer)["totalCount"], expected.len(), "{query}");
    // The total is of the whole list, whatever the page.
    let one = rest.get(&format!("/tickets?perPage=1&{query}")).await;
    assert_eq!(meta(&one)["totalCount"], expected.len(), "{query}");
    assert_eq!(meta(&one)["hasMore"], expected.len() > 1, "{query}");
}

/// Makes eight tickets, a minute apart, of which each differs from the others in some way.
async fn eight(orqit: &Orqit, rest: &Rest) -> i64 {
    let agent = orqit.user("Ines").await;
    let tickets = [
        json!({"priority": "LOW", "tags": ["vpn", "a,b"], "source": "PHONE"}),
        json!({"priority": "HIGH", "type": "PROBLEM", "assigneeId": agent}),
        json!({
            "priority": "CRITICAL", "category": "EMAIL", "assigneeId": 1, "tags": ["VPN"],
            "source": "PHONE",
        }),
        json!({"priority": "LOW", "type": "CHANGE", "category": "EMAIL", "requesterId": agent}),
        json!({"parentId": 1, "requesterId": 1, "tags": ["vpn"]}),
        json!({
            "parentId": 2, "externalSource": "jira", "externalId": "A,1", "source": "EMAIL",
            "dueAt": "2026-03-01T00:00:00Z",
        }),
        json!({
            "type": "SERVICE_REQUEST", "externalSource": "jira", "externalId": "A",
            "dueAt": "2026-03-02T00:00:00Z",
        }),
        json!({"category": "OTHER", "externalSource": "zendesk", "externalId": "A"}),
    ];
    for more in tickets {
        rest.post("/tickets", vpn_with(more)).await.data(201);
        orqit.clock.advance_millis(60_000);
    }
    for (id, status) in
        [(2, "IN_PROGRESS"), (3, "PENDING"), (4, "RESOLVED"), (5, "CLOSED"), (6, "CANCELLED")]
    {
        rest.patch(&format!("/tickets/{id}"), json!({"status": status})).await.data(200);
        orqit.clock.advance_millis(60_000);
    }
    agent
}

#[tokio::test]
async fn every_filter_finds_what_it_names() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&SCOPES).await;
    let agent = eight(&orqit, &rest).await;
    let assigned = format!("assigneeId={agent}");
    let either = format!("assigneeId=1,{agent}");
    let requested = format!("requesterId={agent}&requesterId=1");
    let table: [(&str, &[i64]); 45] = [
        ("", &[1, 2, 3, 4, 5, 6, 7, 8]),
        ("status=OPEN", &[1, 7, 8]),
        ("status=TICKET_STATUS_OPEN", &[1, 7, 8]),
        ("status=IN_PROGRESS,PENDING", &[2, 3]),
        ("status=RESOLVED&status=CLOSED&status=CANCELLED", &[4, 5, 6]),
        ("status=OPEN,OPEN", &[1, 7, 8]),
        ("priority=LOW", &[1, 4]),
        ("priority=HIGH,CRITICAL", &[2, 3]),
        ("priority=MEDIUM", &[5, 6, 7, 8]),
        ("type=INCIDENT", &[1, 3, 5, 6, 8]),
        ("type=PROBLEM,CHANGE,SERVICE_REQUEST", &[2, 4, 7]),
        ("category=NETWORK", &[1, 2, 5, 6, 7]),
        ("category=EMAIL&category=OTHER", &[3, 4, 8]),
        ("category=SOFTWARE", &[]),
        ("assigneeId=1", &[3]),
        (&assigned, &[2]),
        (&either, &[2, 3]),
        ("assigneeId=99", &[]),
        ("unassigned=true", &[1, 4, 5, 6, 7, 8]),
        ("unassigned=false", &[2, 3]),
        ("unassigned=true&assigneeId=1", &[]),
        (&requested, &[4, 5]),
        ("parentId=1", &[5]),
        ("parentId=1,2", &[5, 6]),
        ("tag=vpn", &[1, 5]),
        ("tag=VPN", &[3]),
        ("tag=a%2Cb", &[1]),
        ("tag=a,b", &[1]),
        ("tag=a", &[]),
        ("externalSource=jira", &[6, 7]),
        ("externalSource=jira&externalId=A", &[7]),
        ("externalSource=jira&externalId=A,1", &[6]),
        ("externalSource=zendesk&externalId=A", &[8]),
        ("dueAfter=2026-03-01T00:00:00Z", &[6, 7]),
        ("dueAfter=2026-03-01T00:00:00.001Z&sort=dueAt", &[7]),
        ("dueBefore=2026-03-02T00:00:00Z&sort=-dueAt", &[6]),
        ("dueBefore=2026-03-01T00:00:00Z", &[]),
        ("source=PHONE", &[1, 3]),
        ("source=EMAIL,PHONE&dueAfter=2026-01-01T00:00:00Z", &[6]),
        // Every filter must hold.
        ("status=OPEN&category=NETWORK", &[1, 7]),
        ("status=OPEN&type=INCIDENT&priority=LOW,MEDIUM&category=NETWORK,OTHER", &[1, 8]),
        ("tag=vpn&status=CLOSED", &[5]),
        ("tag=vpn&parentId=1&unassigned=true", &[5]),
        ("assigneeId=1&category=EMAIL&status=PENDING", &[3]),
        ("externalSource=jira&status=CANCELLED", &[6]),
    ];
    for (query, expected) in table {
        assert_finds(&rest, query, expected).await;
    }
}

#[tokio::test]
async fn a_time_filter_includes_its_instant_or_excludes_it_as_it_is_called() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&SCOPES).await;
    eight(&orqit, &rest).await;
    // Created at 00:00 to 00:07; 2 to 6 were changed at 00:08 to 00:12.
    let table: [(&str, &[i64]); 11] = [
        ("createdAfter=2026-01-01T00:06:00Z", &[7, 8]),
        ("createdAfter=2026-01-01T00:06:00.001Z", &[8]),
        ("createdAfter=2026-01-01T00:05:59.999Z", &[7, 8]),
        ("createdBefore=2026-01-01T00:01:00Z", &[1]),
        ("createdBefore=2026-01-01T00:01:00.001Z", &[1, 2]),
        ("createdAfter=2026-01-01T00:01:00Z&createdBefore=2026-01-01T00:03:00Z", &[2, 3]),
        ("createdAfter=2026-01-01T02:06:00%2B02:00", &[7, 8]),
        ("updatedSince=2026-01-01T00:12:00Z", &[6]),
        ("updatedSince=2026-01-01T00:12:00.001Z", &[]),
        ("updatedSince=2026-01-01T00:07:00Z", &[2, 3, 4, 5, 6, 8]),
        ("createdAfter=2026-01-01T00:03:00Z&createdBefore=2026-01-01T00:03:00Z", &[]),
    ];
    for (query, expected) in table {
        assert_finds(&rest, query, expected).await;
    }
}

#[tokio::test]
async fn an_instant_between_two_milliseconds_bounds_as_it_says() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write", "tickets:read"]).await;
    rest.post("/tickets", vpn()).await.data(201);
    let (at, past) = ("2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000001Z");
    assert_finds(&rest, &format!("createdAfter={at}"), &[1]).await;
    assert_finds(&rest, &format!("createdAfter={past}"), &[]).await;
    assert_finds(&rest, &format!("updatedSince={past}"), &[]).await;
    assert_finds(&rest, &format!("createdBefore={at}"), &[]).await;
    assert_finds(&rest, &format!("createdAfter={at}&createdBefore={past}"), &[1]).await;
}

#[tokio::test]
async fn a_list_is_in_the_order_that_was_asked_for() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&SCOPES).await;
    let due = |day: u32| json!(format!("2026-02-0{day}T00:00:00Z"));
    let tickets = [
        json!({"priority": "MEDIUM", "dueAt": due(2)}),
        json!({"priority": "CRITICAL"}),
        json!({"priority": "LOW", "dueAt": due(1)}),
        json!({"priority": "HIGH", "dueAt": due(2)}),
        json!({"priority": "MEDIUM"}),
    ];
    for more in tickets {
        // Two and three, and four and five, share their instant.
        rest.post("/tickets", vpn_with(more)).await.data(201);
        let last = rest.get("/tickets?perPage=1").await;
        if ids(&last)[0] % 2 == 1 {
            orqit.clock.advance_millis(1000);
        }
    }
    rest.patch("/tickets/1", json!({"title": "Later"})).await.data(200);
    for (query, expected) in [
        ("", [5, 4, 3, 2, 1]),
        ("sort=-createdAt", [5, 4, 3, 2, 1]),
        ("sort=createdAt", [1, 2, 3, 4, 5]),
        ("sort=-updatedAt", [1, 5, 4, 3, 2]),
        ("sort=updatedAt", [2, 3, 4, 5, 1]),
        ("sort=priority", [3, 1, 5, 4, 2]),
        ("sort=-priority", [2, 4, 5, 1, 3]),
        // Never due is last either way.
        ("sort=dueAt", [3, 1, 4, 2, 5]),
        ("sort=-dueAt", [4, 1, 3, 5, 2]),
    ] {
        let whole = rest.get(&format!("/tickets?{query}")).await;
        assert_eq!(ids(&whole), expected, "{query}");
        let join = if query.is_empty() { "" } else { "&" };
        assert_eq!(walk(&rest, &format!("{query}{join}perPage=2")).await, expected, "{query}");
        let mut paged = Vec::new();
        for page in 1..=3 {
            paged.extend(ids(&rest
                .get(&format!("/tickets?{query}{join}perPage=2&page={page}"))
                .await));
        }
        assert_eq!(paged, expected, "{query}");
    }
}

/// Every id that following the cursors finds.
async fn walk(rest: &Rest, query: &str) -> Vec<i64> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let answer = rest.get(&format!("/tickets?{query}{cursor}")).await;
        found.extend(ids(&answer));
        let meta = meta(&answer);
        assert_eq!(meta["page"].is_null(), !cursor.is_empty());
        assert_eq!(meta["hasMore"], !meta["nextCursor"].is_null());
        let Some(next) = meta["nextCursor"].as_str() else { return found };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test]
async fn a_cursor_skips_and_repeats_nothing_that_was_there_throughout() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&SCOPES).await;
    for _ in 0..10 {
        rest.post("/tickets", vpn()).await.data(201);
        orqit.clock.advance_millis(1000);
    }
    for (sort, there) in [
        ("-createdAt", [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]),
        ("createdAt", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ("dueAt", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ("-priority", [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]),
    ] {
        let mut seen = Vec::new();
        let mut answer = rest.get(&format!("/tickets?perPage=3&sort={sort}")).await;
        loop {
            seen.extend(ids(&answer));
            let Some(next) = meta(&answer)["nextCursor"].as_str().map(str::to_owned) else { break };
            // One in front, one behind, whichever way the list runs.
            rest.post(
                "/tickets",
                vpn_with(json!({"priority": "CRITICAL", "dueAt": "2026-01-01T00:00:00Z"})),
            )
            .await
            .data(201);
            rest.post("/tickets", vpn_with(json!({"priority": "LOW"}))).await.data(201);
            orqit.clock.advance_millis(1000);
            answer = rest.get(&format!("/tickets?perPage=3&sort={sort}&cursor={next}")).await;
            if seen.len() > 60 {
                break;
            }
        }
        let mut old: Vec<_> = seen.iter().copied().filter(|id| *id <= 10).collect();
        assert_eq!(old, there, "{sort}");
        old = seen.clone();
        old.sort_unstable();
        old.dedup();
        assert_eq!(old.len(), seen.len(), "{sort}: {seen:?}");
    }
}

#[tokio::test]
async fn a_cursor_belongs_to_its_list() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&SCOPES).await;
    for _ in 0..4 {
        rest.post("/tickets", vpn_with(json!({"tags": ["vpn"], "requesterId": 1}))).await.data(201);
    }
    let list = "status=OPEN,PENDING&tag=vpn&sort=dueAt&perPage=2";
    let first = rest.get(&format!("/tickets?{list}")).await;
    let cursor = meta(&first)["nextCursor"].as_str().expect("a cursor").to_owned();

    // The same list in other words, and another size of page, are the same list.
    for same in [
        "status=OPEN,PENDING&tag=vpn&sort=dueAt&perPage=2",
        "sort=dueAt&tag=vpn&status=PENDING&status=OPEN",
        "status=OPEN,PENDING,OPEN&tag=vpn&sort=dueAt&perPage=100",
    ] {
        assert_eq!(
            ids(&rest.get(&format!("/tickets?{same}&cursor={cursor}")).await),
            [3, 4],
            "{same}"
        );
    }
    let swapped = {
        let mut characters: Vec<char> = cursor.chars().collect();
        characters.swap(3, 4);
        characters.into_iter().collect::<String>()
    };
    let other = orqit.workspace("other").await;
    let stranger = orqit.rest(&orqit.key_of(&other, &SCOPES).await);
    let misused = [
        (&rest, format!("status=OPEN&tag=vpn&sort=dueAt&cursor={cursor}")),
        (&rest, format!("status=OPEN,PENDING&sort=dueAt&cursor={cursor}")),
        (&rest, format!("status=OPEN,PENDING&tag=vpn&sort=-dueAt&cursor={cursor}")),
        (&rest, format!("{list}&unassigned=true&cursor={cursor}")),
        (&rest, format!("cursor={cursor}")),
        (&rest, format!("{list}&cursor={}", &cursor[1..])),
        (&rest, format!("{list}&cursor={cursor}A")),
        (&rest, format!("{list}&cursor={cursor}%3D")),
        (&rest, format!("{list}&cursor={swapped}")),
        (&stranger, format!("{list}&cursor={cursor}")),
    ];
    for (rest, query) in misused {
        let answer = rest.get(&format!("/tickets?{query}")).await;
        let error = answer.error(400, "VALIDATION_FAILED");
        assert_eq!(error["details"][0]["code"], "INVALID_CURSOR", "{query}");
        assert_eq!(answer.wrong_fields(), ["cursor"], "{query}");
    }
    let both = rest.get(&format!("/tickets?{list}&cursor={cursor}&page=1")).await;
    both.error(400, "VALIDATION_FAILED");
    assert_eq!(both.wrong_fields(), ["cursor"]);
}

#[tokio::test]
async fn pages_tell_where_they_stand() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&SCOPES).await;
    for _ in 0..21 {
        rest.post("/tickets", vpn()).await.data(201);
    }
    let get = async |query: &str| {
        let answer = rest.get(&format!("/tickets?{query}")).await;
        let meta = meta(&answer);
        assert_eq!(meta["totalCount"], 21, "{query}");
        assert_eq!(meta["nextCursor"].is_string(), meta["hasMore"] == true, "{query}");
        (ids(&answer).len(), meta["page"].clone(), meta["perPage"].clone(), meta["hasMore"] == true)
    };
    assert_eq!(get("").await, (20, json!(1), json!(20), true));
    assert_eq!(get("page=2").await, (1, json!(2), json!(20), false));
    assert_eq!(get("page=3").await, (0, json!(3), json!(20), false));
    assert_eq!(get("perPage=1").await, (1, json!(1), json!(1), true));
    assert_eq!(get("perPage=1&page=21").await, (1, json!(21), json!(1), false));
    assert_eq!(get("perPage=100").await, (21, json!(1), json!(100), false));
    assert_eq!(get("perPage=21").await, (21, json!(1), json!(21), false));
    // The deepest page, and one beyond it.
    assert_eq!(get("page=1000&perPage=100").await, (0, json!(1000), json!(100), false));
    assert_eq!(get("page=100000&perPage=1").await, (0, json!(100_000), json!(1), false));
    for query in ["page=1001&perPage=100", "page=100001&perPage=1", "page=5001"] {
        rest.get(&format!("/tickets?{query}")).await.error(400, "VALIDATION_FAILED");
    }
}

#[tokio::test]
async fn totals_follow_every_change() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&SCOPES).await;
    for _ in 0..3 {
        rest.post("/tickets", vpn()).await.data(201);
    }
    let change = json!({"status": "CLOSED", "priority": "HIGH", "type": "CHANGE", "category": "OTHER", "assigneeId": 1});
    rest.patch("/tickets/2", change).await.data(200);
    // A refused change leaves them alone.
    rest.patch("/tickets/2", json!({"status": "PENDING"}))
        .await
        .error(409, "INVALID_STATUS_TRANSITION");
    rest.post("/tickets", vpn_with(json!({"requesterId": 99})))
        .await
        .error(400, "INVALID_REFERENCE");
    for (query, total) in [
        ("", 3),
        ("status=OPEN", 2),
        ("status=CLOSED", 1),
        ("status=PENDING", 0),
        ("priority=HIGH", 1),
        ("priority=MEDIUM", 2),
        ("type=CHANGE", 1),
        ("category=OTHER", 1),
        ("unassigned=true", 2),
        ("status=OPEN,CLOSED&priority=HIGH&type=CHANGE,INCIDENT&category=OTHER", 1),
        ("assigneeId=1", 1),
    ] {
        let answer = rest.get(&format!("/tickets?{query}")).await;
        assert_eq!(meta(&answer)["totalCount"], total, "{query}");
        assert_eq!(ids(&answer).len(), total, "{query}");
    }
}

#[tokio::test]
async fn another_workspace_sees_nothing_and_learns_nothing() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&SCOPES).await;
    let other = orqit.workspace("other").await;
    let stranger = orqit.rest(&orqit.key_of(&other, &SCOPES).await);
    for _ in 0..3 {
        rest.post("/tickets", vpn_with(json!({"externalSource": "jira", "externalId": "A"}))).await;
        rest.post("/tickets", vpn_with(json!({"tags": ["vpn"], "requesterId": 1}))).await.data(201);
    }
    for query in [
        "",
        "status=OPEN",
        "tag=vpn",
        "requesterId=1",
        "externalSource=jira&externalId=A",
        "sort=dueAt",
    ] {
        let answer = stranger.get(&format!("/tickets?{query}")).await;
        assert_eq!((ids(&answer).len(), &meta(&answer)["totalCount"]), (0, &json!(0)), "{query}");
    }
    for method in [Method::GET, Method::PATCH, Method::PUT] {
        let mut bodies = Vec::new();
        // Somebody else's, one that is nowhere, and what can be no id.
        for id in ["1", "4", "999999", "TCK-1", "abc"] {
            let request = stranger.request(method.clone(), &format!("/tickets/{id}"));
            let request = request.header("x-request-id", "the-same");
            let body = if method == Method::GET { "" } else { "{\"title\":\"x\"}" };
            let answer = send(request.body(body)).await;
            answer.error(404, "TICKET_NOT_FOUND");
            bodies.push(answer.body);
        }
        bodies.dedup();
        assert_eq!(bodies.len(), 1, "{bodies:?}");
    }
    // What is unique is so within a workspace, and ids begin anew in each.
    let same = vpn_with(json!({"externalSource": "jira", "externalId": "A"}));
    assert_eq!(stranger.post("/tickets", same).await.data(201)["id"], 1);
    stranger.get("/tickets/4").await.error(404, "TICKET_NOT_FOUND");
    assert_eq!(rest.get("/tickets/1").await.data(200)["version"], 1);
}

/// Tickets of 500 kB each, the first `count` ids.
async fn very_large(rest: &Rest, count: usize) {
    let text = "Ω".repeat(65_536);
    for _ in 0..count {
        let body =
            json!({"title": "Large", "description": text, "type": "INCIDENT", "category": "OTHER"});
        let id = rest.post("/tickets", body).await.data(201)["id"].to_string();
        rest.patch(&format!("/tickets/{id}"), json!({"status": "RESOLVED", "resolution": text}))
            .await
            .data(200);
    }
}

#[tokio::test]
async fn a_page_has_a_bound_in_bytes() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write", "tickets:read"]).await;
    very_large(&rest, 24).await;
    // Fewer than 20 are always answered, 5 MB of them too.
    assert_eq!(ids(&rest.get("/tickets?perPage=20").await).len(), 20);
    for list in ["", "&sort=dueAt", "&status=RESOLVED&sort=-priority"] {
        let refused = rest.get(&format!("/tickets?perPage=21{list}")).await;
        let error = refused.error(400, "PAGE_TOO_LARGE");
        assert_eq!(error["details"][0]["field"], "perPage", "{list}");
        assert!(error["message"].as_str().expect("text").contains("cursor=start"));
        // By cursor every ticket comes once, as many at a time as fit.
        let (mut cursor, mut seen, mut pages) = ("start".to_owned(), Vec::new(), 0);
        loop {
            let answer = rest.get(&format!("/tickets?perPage=100&cursor={cursor}{list}")).await;
            let page = ids(&answer);
            assert!((1..=14).contains(&page.len()), "{list}: {page:?}");
            seen.extend(page);
            pages += 1;
            let meta = &answer.json()["meta"];
            assert_eq!((&meta["page"], &meta["perPage"]), (&Value::Null, &json!(100)));
            match meta["nextCursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => break,
            }
        }
        seen.sort_unstable();
        assert_eq!((seen, pages), ((1..=24).collect(), 2), "{list}");
    }
}

#[tokio::test]
async fn a_page_by_cursor_fits_the_message_that_clients_of_grpc_take() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["tickets:write", "tickets:read"]).await;
    very_large(&orqit.rest(&key), 15).await;
    // The client's own bound is 4 MiB.
    let mut tickets = orqit.tickets().await;
    let cursor = Some("start".to_owned());
    let list = pb::ListTicketsRequest { cursor, per_page: Some(100), ..Default::default() };
    let page = tickets.list_tickets(with_key(&key, list)).await.expect("a page").into_inner();
    let bytes = prost::Message::encoded_len(&page);
    assert!((3_000_000..=3_670_016).contains(&bytes), "{bytes}");
    let list = pb::ListTicketsRequest { per_page: Some(100), ..Default::default() };
    let status = tickets.list_tickets(with_key(&key, list)).await.expect_err("too large");
    assert_refused(&status, Code::OutOfRange, "PAGE_TOO_LARGE");
    assert_eq!(violations(&status), ["perPage"]);
}
