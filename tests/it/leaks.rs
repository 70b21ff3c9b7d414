//! Keys that GitHub's secret scanning found.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Method;
use orqit::auth::attempts::Budget;
use orqit::auth::key::KeyText;
use orqit::config::{BODY_BYTES_MAX, SCANNED_TOKENS_MAX};
use orqit::gateway::github::GithubKeys;
use orqit::store::{KeyRecord, PageRequest, Position};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::database::START;
use crate::support::rest::{Answer, send};
use crate::support::server::{Options, Orqit};

const PATH: &str = "/secret-scanning/github";
const IDENTIFIER: &str = "Github-Public-Key-Identifier";
const SIGNATURE: &str = "Github-Public-Key-Signature";
const BURST: usize = 30;

/// Headers with their values, or fields with their codes.
type Pairs<'a> = &'a [(&'a str, &'a str)];

/// Who signs as GitHub.
struct Github {
    pair: EcdsaKeyPair,
    random: SystemRandom,
    pem: String,
}

impl Github {
    fn new() -> Self {
        let random = SystemRandom::new();
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
        let signing = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pem = pair.public_key_pem();
        let pair = EcdsaKeyPair::from_pkcs8(signing, &pair.serialize_der(), &random);
        Self { pair: pair.expect("a key"), random, pem }
    }

    /// The keys that the service is told; this one is called `current`.
    fn keys(&self) -> GithubKeys {
        let other = Self::new();
        let keys = json!({"public_keys": [
            {"key_identifier": "older", "key": other.pem, "is_current": false},
            {"key_identifier": "current", "key": self.pem, "is_current": true},
        ]});
        GithubKeys::parse(&keys.to_string()).expect("keys")
    }

    fn sign(&self, body: &[u8]) -> String {
        let signature = self.pair.sign(&self.random, body).expect("a signature");
        STANDARD.encode(signature.as_ref())
    }

    async fn start(&self) -> Orqit {
        let one_back_every = Duration::from_secs(3600);
        let failed_attempts = Budget { one_back_every, ..Budget::default() };
        let github_keys = Some(self.keys());
        Orqit::start_with(Options { failed_attempts, github_keys, ..Options::default() }).await
    }

    /// Sends a body with its signature.
    async fn report_raw(&self, orqit: &Orqit, body: impl Into<Vec<u8>>) -> Answer {
        let body = body.into();
        let signature = self.sign(&body);
        post(orqit, &[(IDENTIFIER, "current"), (SIGNATURE, &signature)], body).await
    }

    async fn report(&self, orqit: &Orqit, body: &Value) -> Answer {
        self.report_raw(orqit, body.to_string()).await
    }
}

async fn post(orqit: &Orqit, headers: Pairs<'_>, body: impl Into<Vec<u8>>) -> Answer {
    let request = orqit.rest("").request(Method::POST, PATH);
    let request = request.header("content-type", "application/json");
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    send(request.body(body.into())).await
}

/// An item as GitHub sends it.
fn found(token: &str) -> Value {
    let url = "https://github.com/octocat/Hello-World/blob/1234560/foo/bar.txt";
    json!({"token": token, "type": "orqit_api_key", "url": url, "source": "content"})
}

/// What we say of it.
fn feedback(token: &str, label: &str) -> Value {
    let token_hash = STANDARD.encode(Sha256::digest(token));
    json!({"token_hash": token_hash, "token_type": "orqit_api_key", "label": label})
}

/// The keys of the default workspace.
async fn all_keys(orqit: &Orqit) -> Vec<KeyRecord> {
    let page = PageRequest { per_page: 100, position: Position::Page(1) };
    let reader = orqit.store.reader(orqit.workspace.id);
    reader.list_keys(&[], START, &page).await.expect("keys").rows
}

/// A leak, reported by anybody.
async fn reported(orqit: &Orqit, text: &str) -> Answer {
    orqit.rest("").post("/keys/report-leak", json!({"key": text})).await
}

#[tokio::test]
async fn whoever_reports_a_key_whole_ends_it_and_learns_nothing() {
    let orqit = Orqit::start().await;
    let (leaked, spared) = (orqit.key(&["tickets:read"]).await, orqit.key(&["audit:read"]).await);
    orqit.rest(&leaked).get("/tickets").await.data(200);
    let mut mistyped = leaked.clone();
    mistyped.replace_range(20..21, if &leaked[20..21] == "a" { "b" } else { "a" });
    let mut bodies = Vec::new();
    for text in ["nonsense", &mistyped, KeyText::generate().reveal(), &leaked, &leaked] {
        let answer = reported(&orqit, text).await;
        assert_eq!(answer.data(200), json!({"received": true}));
        bodies.push(answer.body);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
    orqit.rest(&leaked).get("/tickets").await.error(401, "INVALID_API_KEY");
    let rest = orqit.rest(&spared);
    let log = rest.get("/audit-logs?resourceType=api_key").await.data(200);
    assert_eq!(log.as_array().expect("a list").len(), 1, "{log}");
    assert_eq!(
        (&log[0]["action"], &log[0]["actor"]["type"]),
        (&json!("api_key.revoke"), &json!("SYSTEM"))
    );
    assert_eq!(orqit.payloads().await[0]["type"], "api_key.revoked");
    assert!(!log.to_string().contains(&leaked[13..]));
}

#[tokio::test]
async fn reports_are_limited_for_each_address() {
    let budget = Budget::default();
    let orqit = Orqit::start_with(Options { failed_attempts: budget, ..Options::default() }).await;
    for _ in 0..30 {
        reported(&orqit, "nonsense").await.data(200);
    }
    let refused = reported(&orqit, "nonsense").await;
    assert!(
        refused.error(429, "TOO_MANY_FAILED_ATTEMPTS")["retryAfterSeconds"].as_u64() >= Some(1)
    );
}

#[tokio::test]
async fn a_key_that_github_found_is_revoked_and_every_token_judged() {
    let github = Github::new();
    let orqit = github.start().await;
    let leaked = orqit.key(&["tickets:read"]).await;
    let spared = orqit.key(&["tickets:read"]).await;
    let unknown = KeyText::generate().reveal().to_owned();
    // Its id exists, and its secret is another one's.
    let wrong_secret = KeyText::generate();
    let taken = wrong_secret.id().to_owned();
    orqit.key_with(&orqit.workspace, &[], |new| new.key_id = taken).await;
    let mistyped = format!("{}!", &spared[..48]);
    let tokens = [
        (unknown.as_str(), "false_positive"),
        (&leaked, "true_positive"),
        ("", "false_positive"),
        (&mistyped, "false_positive"),
        (wrong_secret.reveal(), "false_positive"),
        (&leaked, "true_positive"),
    ];
    let body: Value = tokens.iter().map(|(token, _)| found(token)).collect();
    let expected: Value = tokens.iter().map(|(token, label)| feedback(token, label)).collect();
    let answer = github.report(&orqit, &body).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json(), expected);

    orqit.rest(&leaked).get("/tickets").await.error(401, "INVALID_API_KEY");
    orqit.rest(&spared).get("/tickets").await.data(200);
    let keys = all_keys(&orqit).await;
    let revoked: Vec<_> = keys.iter().filter(|key| key.revoked_at.is_some()).collect();
    assert_eq!(revoked.len(), 1);
    assert_eq!((revoked[0].key_id.as_str(), revoked[0].revoked_at), (&leaked[4..12], Some(START)));
    // Again: it is still a key of ours, and nothing is left to do.
    orqit.clock.advance_millis(1000);
    let again = github.report(&orqit, &json!([found(&leaked)])).await;
    assert_eq!(again.json(), json!([feedback(&leaked, "true_positive")]));
    assert_eq!(github.report(&orqit, &json!([])).await.json(), json!([]));
    let keys = all_keys(&orqit).await;
    assert!(keys.iter().any(|key| key.revoked_at == Some(START)));
}

#[tokio::test]
async fn a_key_that_has_expired_leaked_all_the_same() {
    let github = Github::new();
    let orqit = github.start().await;
    let expired = |new: &mut orqit::store::NewKey| new.expires_at = Some(START);
    let key = orqit.key_with(&orqit.workspace, &[], expired).await;
    let answer = github.report(&orqit, &json!([found(&key)])).await;
    assert_eq!(answer.json(), json!([feedback(&key, "true_positive")]));
    orqit.rest(&key).get("/keys/self").await.error(401, "INVALID_API_KEY");
}

#[tokio::test]
async fn what_github_did_not_sign_has_no_effect() {
    let github = Github::new();
    let orqit = github.start().await;
    let key = orqit.key(&["tickets:read"]).await;
    let body = json!([found(&key)]).to_string();
    let (signature, forged) = (github.sign(body.as_bytes()), Github::new().sign(body.as_bytes()));
    let of_another_body = github.sign(format!("{body} ").as_bytes());
    let current = (IDENTIFIER, "current");
    let cases: [(Pairs<'_>, Pairs<'_>); 9] = [
        (&[], &[(IDENTIFIER, "REQUIRED"), (SIGNATURE, "REQUIRED")]),
        (&[current], &[(SIGNATURE, "REQUIRED")]),
        (&[(SIGNATURE, &signature)], &[(IDENTIFIER, "REQUIRED")]),
        (&[(IDENTIFIER, "nobody"), (SIGNATURE, &signature)], &[(IDENTIFIER, "INVALID_VALUE")]),
        (&[(IDENTIFIER, "older"), (SIGNATURE, &signature)], &[(SIGNATURE, "INVALID_VALUE")]),
        (&[current, (SIGNATURE, &forged)], &[(SIGNATURE, "INVALID_VALUE")]),
        (&[current, (SIGNATURE, &of_another_body)], &[(SIGNATURE, "INVALID_VALUE")]),
        (&[current, (SIGNATURE, "not base64")], &[(SIGNATURE, "INVALID_VALUE")]),
        (&[current, current, (SIGNATURE, &signature)], &[(IDENTIFIER, "DUPLICATE_FIELD")]),
    ];
    for (headers, wrong) in cases {
        let answer = post(&orqit, headers, body.clone()).await;
        answer.assert_wrong(&format!("{headers:?}"), "VALIDATION_FAILED", wrong);
        assert!(!String::from_utf8_lossy(&answer.body).contains(&key[13..]));
    }
    orqit.rest(&key).get("/tickets").await.data(200);
    // The very bytes are signed, whatever they mean.
    let padded = format!(" {body}\n");
    let answer = post(&orqit, &[current, (SIGNATURE, &signature)], padded.clone()).await;
    answer.assert_wrong("padded", "VALIDATION_FAILED", &[(SIGNATURE, "INVALID_VALUE")]);
    assert_eq!(github.report_raw(&orqit, padded).await.json()[0]["label"], "true_positive");
}

#[tokio::test]
async fn a_body_in_another_form_is_told_what_is_wrong_with_it() {
    let github = Github::new();
    let orqit = github.start().await;
    let key = orqit.key(&["tickets:read"]).await;
    for malformed in ["", "{", "[}", "{}", "null", &format!("\"{key}\""), &format!("[{key}]")] {
        let answer = github.report_raw(&orqit, malformed).await;
        answer.error(400, "MALFORMED_JSON");
        assert!(!String::from_utf8_lossy(&answer.body).contains(&key[13..]), "{malformed}");
    }
    let token = found(&key);
    let cases: [(Value, Pairs<'_>); 4] = [
        (json!([token, 5]), &[("[1]", "WRONG_TYPE")]),
        (json!([{}]), &[("[0].token", "REQUIRED"), ("[0].type", "REQUIRED")]),
        (
            json!([token, {"token": 5, "type": null}]),
            &[("[1].token", "WRONG_TYPE"), ("[1].type", "WRONG_TYPE")],
        ),
        (json!(vec![token.clone(); SCANNED_TOKENS_MAX + 1]), &[("body", "TOO_MANY_ITEMS")]),
    ];
    for (body, wrong) in cases {
        let answer = github.report(&orqit, &body).await;
        answer.assert_wrong(&format!("{wrong:?}"), "VALIDATION_FAILED", wrong);
    }
    let twice = github.report_raw(&orqit, r#"[{"token": "a", "token": "b", "type": "t"}]"#).await;
    twice.assert_wrong("twice", "VALIDATION_FAILED", &[("[0].token", "DUPLICATE_FIELD")]);
    let large = vec![b' '; BODY_BYTES_MAX + 1];
    github.report_raw(&orqit, large).await.error(413, "PAYLOAD_TOO_LARGE");
    let signature = github.sign(b"[]");
    let signed = |path| {
        let request = orqit.rest("").request(Method::POST, path).body("[]");
        request.header(IDENTIFIER, "current").header(SIGNATURE, &signature)
    };
    let xml = signed(PATH).header("content-type", "text/xml");
    send(xml).await.error(415, "UNSUPPORTED_MEDIA_TYPE");
    let query = format!("{PATH}?x=1");
    send(signed(&query)).await.error(400, "UNKNOWN_FIELD");
    assert_eq!(send(signed(PATH)).await.json(), json!([]));
    orqit.rest(&key).get("/tickets").await.data(200);
}

#[tokio::test]
async fn a_message_may_have_many_tokens_and_be_compressed() {
    let github = Github::new();
    let orqit = github.start().await;
    let key = orqit.key(&[]).await;
    let mut tokens: Vec<_> =
        (1..SCANNED_TOKENS_MAX).map(|number| format!("orq_{number}")).collect();
    tokens.push(key);
    let body: Value = tokens.iter().map(|token| found(token)).collect();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(body.to_string().as_bytes()).expect("compressed");
    let gzip = gzip.finish().expect("compressed");
    let signature = github.sign(&gzip);
    let headers = [(IDENTIFIER, "current"), (SIGNATURE, &signature), ("content-encoding", "gzip")];
    let judged = post(&orqit, &headers, gzip).await.json();
    let judged = judged.as_array().expect("an array");
    assert_eq!(judged.len(), tokens.len());
    let (last, others) = judged.split_last().expect("one at least");
    assert_eq!(last["label"], "true_positive");
    assert!(others.iter().all(|item| item["label"] == "false_positive"));
}

#[tokio::test]
async fn the_path_is_there_only_where_githubs_keys_are_configured() {
    let github = Github::new();
    let without = Orqit::start().await;
    github.report(&without, &json!([])).await.error(404, "ROUTE_NOT_FOUND");
    without.rest("").get(PATH).await.error(404, "ROUTE_NOT_FOUND");
    let options = |orqit: &Orqit| send(orqit.rest("").request(Method::OPTIONS, PATH));
    let elsewhere = send(without.rest("").request(Method::OPTIONS, "/nowhere")).await;
    assert_eq!(options(&without).await.header("allow"), elsewhere.header("allow"));

    let with = github.start().await;
    let allowed = options(&with).await;
    assert_eq!((allowed.status.as_u16(), allowed.header("allow")), (204, Some("OPTIONS, POST")));
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let answer = send(with.rest("").request(method, PATH)).await;
        answer.error(405, "METHOD_NOT_ALLOWED");
        assert_eq!(answer.header("allow"), Some("OPTIONS, POST"));
    }
    with.rest("").get(&format!("{PATH}/")).await.error(404, "ROUTE_NOT_FOUND");
}

#[tokio::test]
async fn reports_that_github_did_not_sign_are_limited_and_its_own_are_not() {
    let github = Github::new();
    let orqit = github.start().await;
    for _ in 0..=BURST {
        assert_eq!(github.report(&orqit, &json!([])).await.status, 200);
    }
    for _ in 0..BURST {
        post(&orqit, &[], "[]").await.error(400, "VALIDATION_FAILED");
    }
    let refused = post(&orqit, &[], "[]").await;
    let error = refused.error(429, "TOO_MANY_FAILED_ATTEMPTS");
    assert_eq!(
        refused.header("retry-after"),
        Some(error["retryAfterSeconds"].to_string().as_str())
    );
    // What guesses keys has a budget of its own.
    orqit.rest("nonsense").get("/tickets").await.error(401, "INVALID_API_KEY");
}

/// Where a test's log goes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_token_is_repeated_neither_to_github_nor_in_the_log() {
    let log = Log::default();
    let (writer, level) = (log.clone(), tracing::level_filters::LevelFilter::TRACE);
    let subscriber = tracing_subscriber::fmt().with_max_level(level);
    let subscriber = subscriber.with_writer(move || writer.clone()).finish();
    // With one subscriber alone, tracing asks whichever thread meets a line of the source first
    // whether anybody listens to it, and the other tests' threads do not.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _guard = tracing::subscriber::set_default(subscriber);

    let github = Github::new();
    let orqit = github.start().await;
    let key = orqit.key(&["tickets:read"]).await;
    let secret = &key[13..];
    let unknown = KeyText::generate();
    let mut item = found(&key);
    item["type"] = json!(format!("type {key}"));
    item[key.as_str()] = json!(key);
    let answers = [
        github.report(&orqit, &json!([item, found(unknown.reveal())])).await,
        github.report(&orqit, &json!([{key.as_str(): key}])).await,
        github.report(&orqit, &json!(key)).await,
        post(&orqit, &[(IDENTIFIER, &key), (SIGNATURE, &key)], key.clone()).await,
    ];
    assert_eq!(answers[0].json()[0]["label"], "true_positive");
    for answer in &answers {
        let told = format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body));
        assert!(!told.contains(secret), "{told}");
        assert!(!told.contains(&unknown.reveal()[13..]), "{told}");
    }
    let log = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("text");
    assert!(!log.is_empty(), "something was looked through");
    assert!(!log.contains(secret) && !log.contains(&unknown.reveal()[13..]), "{log}");
}
