//! What is wrong with a path or a query, told as what is wrong with a body is.

use serde_json::json;

use crate::support::requests::vpn;
use crate::support::server::Orqit;
use crate::support::wire::exchange;

#[tokio::test]
async fn every_parameter_of_a_list_is_checked() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:read"]).await;
    let long = format!("tag={}", "x".repeat(65));
    let cursor = format!("cursor={}", "A".repeat(513));
    let hundred = format!("assigneeId={}1", "1,".repeat(100));
    let table = [
        ("page=0", "page", "OUT_OF_RANGE"),
        ("page=-1", "page", "OUT_OF_RANGE"),
        ("page=x", "page", "WRONG_TYPE"),
        ("page=1.0", "page", "WRONG_TYPE"),
        ("page=+1", "page", "WRONG_TYPE"),
        ("page=%2B1", "page", "WRONG_TYPE"),
        ("page=1e2", "page", "WRONG_TYPE"),
        ("page=2147483648", "page", "OUT_OF_RANGE"),
        ("page=99999999999999999999", "page", "OUT_OF_RANGE"),
        ("page=", "page", "EMPTY"),
        ("page", "page", "EMPTY"),
        ("page=1&page=1", "page", "DUPLICATE_FIELD"),
        ("page=1;2", "page", "WRONG_TYPE"),
        ("page=5001", "page", "OUT_OF_RANGE"),
        ("page=1001&perPage=100", "page", "OUT_OF_RANGE"),
        ("page=2147483647&perPage=100", "page", "OUT_OF_RANGE"),
        ("perPage=0", "perPage", "OUT_OF_RANGE"),
        ("perPage=101", "perPage", "OUT_OF_RANGE"),
        ("perPage=-5", "perPage", "OUT_OF_RANGE"),
        ("perPage=all", "perPage", "WRONG_TYPE"),
        ("per_page=0", "perPage", "OUT_OF_RANGE"),
        ("perPage=1&per_page=1", "perPage", "DUPLICATE_FIELD"),
        ("cursor=", "cursor", "EMPTY"),
        ("cursor=x", "cursor", "INVALID_CURSOR"),
        (cursor.as_str(), "cursor", "LENGTH"),
        ("status=open", "status", "INVALID_ENUM"),
        ("status=1", "status", "INVALID_ENUM"),
        ("status=OPEN,", "status", "EMPTY"),
        ("status=,OPEN", "status", "EMPTY"),
        ("status=OPEN, CLOSED", "status", "INVALID_ENUM"),
        ("status=OPEN&status=X", "status", "INVALID_ENUM"),
        ("status=OPEN;CLOSED", "status", "INVALID_ENUM"),
        ("status=TICKET_STATUS_UNSPECIFIED", "status", "INVALID_ENUM"),
        ("priority=URGENT", "priority", "INVALID_ENUM"),
        ("type=X", "type", "INVALID_ENUM"),
        ("category=INCIDENT", "category", "INVALID_ENUM"),
        ("assigneeId=x", "assigneeId", "WRONG_TYPE"),
        ("assigneeId=1,x", "assigneeId", "WRONG_TYPE"),
        ("assigneeId=9223372036854775808", "assigneeId", "OUT_OF_RANGE"),
        (hundred.as_str(), "assigneeId", "TOO_MANY_ITEMS"),
        ("requesterId=1.5", "requesterId", "WRONG_TYPE"),
        ("parentId=TCK-1", "parentId", "WRONG_TYPE"),
        ("tag=", "tag", "EMPTY"),
        ("tag=a&tag=b", "tag", "DUPLICATE_FIELD"),
        ("tag=a%00", "tag", "NUL"),
        ("tag=%ff", "tag", "BAD_ESCAPE"),
        ("tag=%2", "tag", "BAD_ESCAPE"),
        (long.as_str(), "tag", "LENGTH"),
        ("unassigned=1", "unassigned", "WRONG_TYPE"),
        ("unassigned=TRUE", "unassigned", "WRONG_TYPE"),
        ("createdAfter=2026-01-01", "createdAfter", "INVALID_TIMESTAMP"),
        ("createdBefore=2026-01-01T00:00:00", "createdBefore", "INVALID_TIMESTAMP"),
        ("updatedSince=1767225600", "updatedSince", "INVALID_TIMESTAMP"),
        ("updatedSince=2026-01-01T00:00:00+01:00", "updatedSince", "INVALID_TIMESTAMP"),
        ("externalId=x", "externalSource", "REQUIRED"),
        ("sort=id", "sort", "INVALID_VALUE"),
        ("sort=createdAt,priority", "sort", "INVALID_VALUE"),
        ("sort=--createdAt", "sort", "INVALID_VALUE"),
        ("sort=created_at", "sort", "INVALID_VALUE"),
        ("sort=", "sort", "EMPTY"),
    ];
    for (query, field, code) in table {
        let path = format!("/tickets?{}", query.replace(' ', "%20"));
        let answer = rest.get(&path).await;
        answer.assert_wrong(query, "VALIDATION_FAILED", &[(field, code)]);
    }
    for (query, field) in [
        ("limit=5", "limit"),
        ("Page=1", "Page"),
        ("page%5B%5D=1", "page[]"),
        ("filter[status]=OPEN", "filter[status]"),
        ("=1", ""),
        ("tickets=1", "tickets"),
        ("_=1", "_"),
    ] {
        let answer = rest.get(&format!("/tickets?{query}")).await;
        answer.assert_wrong(query, "UNKNOWN_FIELD", &[(field, "UNKNOWN_FIELD")]);
    }
    for right in [
        "",
        "page=5000",
        "page=1000&perPage=100",
        "perPage=100",
        "status=OPEN,CLOSED&status=PENDING&&",
        "status=OPEN,OPEN",
        "updatedSince=2026-01-01T00:00:00%2B01:00",
        "assigneeId=0,-1",
        "tag=a,b%20c+d",
        "per_page=5&created_after=2026-01-01T00:00:00z",
        "unassigned=false",
        "sort=-dueAt",
    ] {
        let answer = rest.get(&format!("/tickets?{right}")).await;
        assert_eq!(answer.data(200), json!([]), "{right}");
    }
    let all = rest.get("/tickets?page=0&perPage=0&status=X&sort=y&z=1&createdAfter=now").await;
    let wrong = [
        ("createdAfter", "INVALID_TIMESTAMP"),
        ("page", "OUT_OF_RANGE"),
        ("perPage", "OUT_OF_RANGE"),
        ("sort", "INVALID_VALUE"),
        ("status", "INVALID_ENUM"),
        ("z", "UNKNOWN_FIELD"),
    ];
    all.assert_wrong("all at once", "VALIDATION_FAILED", &wrong);
}

#[tokio::test]
async fn the_depth_of_pages_is_refused_with_the_way_on() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:read"]).await;
    let error = rest.get("/tickets?page=5001").await.error(400, "VALIDATION_FAILED");
    assert!(error["message"].as_str().expect("text").contains("cursor"));
}

#[tokio::test]
async fn routes_without_parameters_refuse_every_one() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write", "tickets:read"]).await;
    for path in ["/tickets/1?page=1", "/ping?page=1", "/keys/self?page=1", "/tickets/1?id=1"] {
        let answer = rest.get(path).await;
        assert_eq!(answer.told().1, "UNKNOWN_FIELD", "{path}");
    }
    // A field of the body is no parameter, and one of the path is none of the body.
    let title = rest.post("/tickets?title=x", vpn()).await;
    title.assert_wrong("title", "UNKNOWN_FIELD", &[("title", "UNKNOWN_FIELD")]);
    let id = rest.patch("/tickets/1", json!({"id": 1})).await;
    id.assert_wrong("id", "VALIDATION_FAILED", &[("id", "READ_ONLY")]);
}

#[tokio::test]
async fn what_can_be_no_id_is_not_found() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(&["tickets:write", "tickets:read"]).await;
    rest.post("/tickets", vpn()).await.data(201);
    for id in [
        "0",
        "-1",
        "+1",
        "01",
        "1.0",
        "1e0",
        "abc",
        "TCK-",
        "TCK-0",
        "TCK-01",
        "TCK--1",
        "tck-1",
        "TCK-TCK-1",
        "9223372036854775808",
        "99999999999999999999999",
        "9223372036854775807",
        "2",
        "%201",
        "1%20",
        "%D9%A1",
        "1,1",
    ] {
        rest.get(&format!("/tickets/{id}")).await.error(404, "TICKET_NOT_FOUND");
        rest.patch(&format!("/tickets/{id}"), json!({})).await.error(404, "TICKET_NOT_FOUND");
    }
    for id in ["1", "TCK-1", "%31"] {
        rest.get(&format!("/tickets/{id}")).await.data(200);
    }
}

#[tokio::test]
async fn bytes_that_no_client_would_send_are_refused() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["tickets:read"]).await;
    let get = async |path: &[u8]| {
        let head = format!(" HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: {key}\r\n\r\n");
        let bytes = [b"GET /api/public/v1", path, head.as_bytes()].concat();
        exchange(orqit.address, bytes).await
    };
    for path in
        [&b"/tickets?tag=%c3%28"[..], b"/tickets?%ff=1", b"/tickets?tag=%GG", b"/tickets?%=1"]
    {
        let answer = get(path).await;
        let (status, code, fields) = answer.told();
        assert_eq!(
            (status, code.as_str(), fields.len()),
            (400, "VALIDATION_FAILED", 1),
            "{path:?}"
        );
        assert_eq!(fields[0].1, "BAD_ESCAPE");
    }
    // UTF-8 that is not escaped is refused, by hyper or by us, or read as what it is.
    let answer = get("/tickets?tag=\u{e4}".as_bytes()).await;
    assert!([200, 400].contains(&answer.status.as_u16()));
    let answer = get(b"/tickets?tag=\xff").await;
    assert_eq!(answer.status, 400);
}
