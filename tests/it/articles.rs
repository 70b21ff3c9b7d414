//! The knowledge base: articles, who sees them, and how they are found.

use http::Method;
use orqit::pb;
use orqit::pb::knowledge_service_client::KnowledgeServiceClient;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tonic::Code;

use crate::support::grpc::assert_refused;
use crate::support::rest::{Rest, send};
use crate::support::server::{Orqit, with_key};

const WRITER: &[&str] = &["kb:read", "kb:write"];
const READER: &[&str] = &["kb:read"];

fn article(more: Value) -> Value {
    let mut article = json!({"title": "Reset your password", "body": "Open **Settings**."});
    let fields = article.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    article
}

async fn create(rest: &Rest, more: Value) -> Value {
    rest.post("/kb/articles", article(more)).await.data(201)
}

async fn publish(rest: &Rest, id: i64) -> Value {
    let path = format!("/kb/articles/{id}");
    rest.patch(&path, json!({"status": "PUBLISHED"})).await.data(200)
}

async fn ids(rest: &Rest, path: &str) -> Vec<i64> {
    let answer = rest.get(path).await;
    let rows = answer.data(200);
    let ids: Vec<_> =
        rows.as_array().expect("a list").iter().map(|it| it["id"].as_i64().unwrap()).collect();
    let total = &answer.json()["meta"]["totalCount"];
    assert!(total.is_null() || *total == ids.len(), "{path}");
    ids
}

#[tokio::test]
async fn an_article_is_made_changed_and_published() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(WRITER).await;
    let made = rest.post("/kb/articles", article(json!({"tags": ["a"], "category": "IT"}))).await;
    let expected = json!({
        "id": 1, "slug": "reset-your-password", "title": "Reset your password", "summary": null,
        "body": "Open **Settings**.", "kind": "ARTICLE", "status": "DRAFT", "category": "IT",
        "tags": ["a"], "publishedAt": null, "createdAt": "2026-01-01T00:00:00.000Z",
        "updatedAt": "2026-01-01T00:00:00.000Z", "version": 1,
    });
    assert_eq!((made.data(201), made.header("etag")), (expected.clone(), Some("\"1\"")));
    for path in ["/kb/articles/1", "/kb/articles/reset-your-password"] {
        assert_eq!(rest.get(path).await.data(200), expected);
    }
    orqit.clock.advance_millis(1000);
    let change = json!({"title": "Other", "kind": "HOW_TO", "tags": ["b", "c"], "category": null});
    let changed = rest.patch("/kb/articles/reset-your-password", change.clone()).await.data(200);
    assert_eq!((&changed["slug"], &changed["version"]), (&json!("reset-your-password"), &json!(2)));
    assert_eq!(rest.patch("/kb/articles/1", change).await.data(200), changed);
    let published = publish(&rest, 1).await;
    assert_eq!(published["publishedAt"], "2026-01-01T00:00:01.000Z");
    for to in ["DRAFT", "ARCHIVED", "PUBLISHED", "DRAFT", "ARCHIVED"] {
        let answer = rest.patch("/kb/articles/1", json!({"status": to})).await;
        let is = rest.get("/kb/articles/1").await.data(200)["status"].clone();
        if answer.status != 200 {
            let error = answer.error(409, "INVALID_STATUS_TRANSITION");
            assert_eq!((&error["from"], &error["to"]), (&is, &json!(to)));
            assert_eq!(error["allowed"].as_array().map(Vec::len), Some(1));
        }
    }
    assert_eq!(rest.get("/kb/articles/1").await.data(200)["status"], "DRAFT");
    let topics: Vec<_> =
        orqit.payloads().await.iter().map(|event| event["topics"].clone()).collect();
    let (created, updated) = ("kb.article.created", "kb.article.updated");
    let expected = json!([
        [created],
        [updated],
        [updated, "kb.article.published"],
        [updated, "kb.article.archived"],
        [updated],
    ]);
    assert_eq!(json!(topics), expected);
    let late = rest.request(Method::PUT, "/kb/articles/1").header("if-match", "\"1\"");
    send(late.json(&json!({"title": "Late"}))).await.error(412, "VERSION_CONFLICT");
    for (body, fields) in [
        (json!({}), &["title", "body"][..]),
        (article(json!({"status": "PUBLISHED"})), &["status"]),
        (article(json!({"slug": "Reset"})), &["slug"]),
        (article(json!({"slug": "12"})), &["slug"]),
        (article(json!({"slug": "a".repeat(81)})), &["slug"]),
        (
            article(json!({"title": "a\nb", "summary": "", "kind": "NEWS"})),
            &["kind", "summary", "title"],
        ),
    ] {
        let answer = rest.post("/kb/articles", body.clone()).await;
        assert_eq!(answer.status, 400, "{body}");
        let mut wrong = answer.wrong_fields();
        wrong.sort_unstable();
        let mut fields = fields.to_vec();
        fields.sort_unstable();
        assert_eq!(wrong, fields, "{body}");
    }
    for path in ["/kb/articles/2", "/kb/articles/none", "/kb/articles/0"] {
        rest.get(path).await.error(404, "ARTICLE_NOT_FOUND");
        rest.patch(path, json!({"title": "X"})).await.error(404, "ARTICLE_NOT_FOUND");
    }
    send(rest.request(Method::DELETE, "/kb/articles/1")).await.error(405, "METHOD_NOT_ALLOWED");
}

#[tokio::test]
async fn every_title_gets_a_slug_of_its_own() {
    let orqit = Orqit::start().await;
    let limits = |new: &mut orqit::store::NewKey| (new.per_minute, new.group_per_minute) = (0, 0);
    let rest = orqit.rest(&orqit.key_with(&orqit.workspace, WRITER, limits).await);
    for (title, slug) in [
        ("Größe ändern", "grosse-andern"),
        ("Grosse Andern!", "grosse-andern-2"),
        ("GRÖSSE ÄNDERN", "grosse-andern-3"),
        ("2024", "article-2024"),
        ("…", "article"),
        ("???", "article-2"),
    ] {
        assert_eq!(create(&rest, json!({"title": title})).await["slug"], slug);
    }
    rest.post("/kb/articles", article(json!({"slug": "article"})))
        .await
        .error(409, "ALREADY_EXISTS");
    rest.patch("/kb/articles/1", json!({"slug": "article"})).await.error(409, "ALREADY_EXISTS");
    rest.patch("/kb/articles/1", json!({"slug": "own"})).await.data(200);
    assert_eq!(create(&rest, json!({"title": "größe ändern"})).await["slug"], "grosse-andern");
    // Many at once, with one title.
    let mut running = JoinSet::new();
    for _ in 0..12 {
        let rest = orqit.rest(&orqit.key_with(&orqit.workspace, WRITER, limits).await);
        running.spawn(async move { create(&rest, json!({})).await["slug"].clone() });
    }
    let mut slugs: Vec<_> = running.join_all().await;
    slugs.sort_by_key(|slug| slug.as_str().map(|slug| (slug.len(), slug.to_owned())));
    let expected: Vec<_> = std::iter::once("reset-your-password".to_owned())
        .chain((2..=12).map(|number| format!("reset-your-password-{number}")))
        .collect();
    assert_eq!(json!(slugs), json!(expected));
}

#[tokio::test]
async fn who_only_reads_sees_what_is_published_and_nothing_else() {
    let orqit = Orqit::start().await;
    let (writer, reader) = (orqit.rest_as(WRITER).await, orqit.rest_as(READER).await);
    for (title, kind) in [
        ("Draft of VPN", "FAQ"),
        ("VPN answer", "FAQ"),
        ("VPN steps", "HOW_TO"),
        ("Old VPN", "FAQ"),
    ] {
        create(&writer, json!({"title": title, "kind": kind, "tags": ["vpn"], "category": "Nétz"}))
            .await;
    }
    for id in [2, 3, 4] {
        publish(&writer, id).await;
    }
    writer.patch("/kb/articles/4", json!({"status": "ARCHIVED"})).await.data(200);
    for (path, all, published) in [
        ("/kb/articles", &[4, 3, 2, 1][..], &[3, 2][..]),
        ("/kb/articles?sort=createdAt&cursor=start", &[1, 2, 3, 4], &[2, 3]),
        ("/kb/articles?q=vpn", &[4, 3, 2, 1], &[3, 2]),
        ("/kb/articles?q=old", &[4], &[]),
        ("/kb/articles?kind=FAQ", &[4, 2, 1], &[2]),
        ("/kb/articles?tag=vpn", &[4, 3, 2, 1], &[3, 2]),
        ("/kb/articles?category=N%C3%89TZ", &[4, 3, 2, 1], &[3, 2]),
        ("/kb/articles?updatedSince=2026-01-01T00:00:00Z&kind=FAQ,HOW_TO", &[1, 2, 3, 4], &[2, 3]),
        ("/kb/faqs", &[2], &[2]),
        ("/kb/faqs?q=answer&tag=vpn", &[2], &[2]),
        ("/kb/faqs?q=steps", &[], &[]),
    ] {
        assert_eq!(ids(&writer, path).await, all, "{path}");
        assert_eq!(ids(&reader, path).await, published, "{path}");
    }
    assert_eq!(ids(&writer, "/kb/articles?status=DRAFT,ARCHIVED").await, [4, 1]);
    for status in ["DRAFT", "PUBLISHED"] {
        let error = reader
            .get(&format!("/kb/articles?status={status}"))
            .await
            .error(403, "INSUFFICIENT_SCOPE");
        assert_eq!(error["requiredScope"], "kb:write");
    }
    let nowhere = reader.get("/kb/articles/99").await.error(404, "ARTICLE_NOT_FOUND");
    for path in
        ["/kb/articles/1", "/kb/articles/4", "/kb/articles/draft-of-vpn", "/kb/articles/old-vpn"]
    {
        let hidden = reader.get(path).await.error(404, "ARTICLE_NOT_FOUND");
        assert_eq!(hidden["message"], nowhere["message"]);
        writer.get(path).await.data(200);
    }
    reader.get("/kb/articles/vpn-answer").await.data(200);
    reader.patch("/kb/articles/2", json!({"title": "X"})).await.error(403, "INSUFFICIENT_SCOPE");

    let key = orqit.key(READER).await;
    let mut kb = KnowledgeServiceClient::new(orqit.channel().await);
    let get = |id: &str| pb::GetArticleRequest { id: id.into() };
    let hidden = kb.get_article(with_key(&key, get("1"))).await.unwrap_err();
    assert_refused(&hidden, Code::NotFound, "ARTICLE_NOT_FOUND");
    let found = kb.get_article(with_key(&key, get("vpn-steps"))).await.unwrap().into_inner();
    assert_eq!(found.article.unwrap().id, 3);
    let list = pb::ListArticlesRequest { status: vec![1], ..Default::default() };
    let refused = kb.list_articles(with_key(&key, list)).await.unwrap_err();
    assert_refused(&refused, Code::PermissionDenied, "INSUFFICIENT_SCOPE");
}

#[tokio::test]
async fn articles_are_found_by_words_of_title_summary_and_body() {
    let orqit = Orqit::start().await;
    let rest = orqit.rest_as(WRITER).await;
    create(&rest, json!({"title": "Straßenplan", "summary": "Für Gäste", "body": "Übersicht"}))
        .await;
    create(&rest, json!({"title": "Other", "body": "Straße"})).await;
    for (q, expected) in [
        ("strasse", &[2, 1][..]),
        ("STRASSENPL", &[1]),
        ("gaste", &[1]),
        ("ubersicht%20fur", &[1]),
        ("stra", &[2, 1]),
        ("*", &[]),
    ] {
        assert_eq!(ids(&rest, &format!("/kb/articles?q={q}")).await, expected, "{q}");
    }
    rest.patch("/kb/articles/1", json!({"summary": null})).await.data(200);
    assert_eq!(ids(&rest, "/kb/articles?q=gaste").await, [0; 0]);
}
