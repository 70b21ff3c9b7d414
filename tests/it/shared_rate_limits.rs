//! Rate limits that several replicas count together in Redis, and what holds while it is away.
//!
//! Redis's clock counts, so a test cannot advance it. A window that ends in the midst of a test
//! would admit anew: keys are chosen whose window has long enough to go.

use std::process::Stdio;
use std::time::Duration;

use http::StatusCode;
use orqit::auth::key::KeyText;
use orqit::clock::Clock;
use orqit::store::NewKey;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::support::database::{TestDatabase, is_postgres};
use crate::support::redis::{self, RedisServer};
use crate::support::requests::vpn;
use crate::support::rest::{Answer, Rest};
use crate::support::server::{Options, Orqit, with_key};
use crate::support::wire::soon;

/// What a key of these tests may send over all, and in each group.
const LIMITS: (i32, i32) = (60, 40);

fn options(redis_url: &str) -> Options {
    Options { redis_url: Some(redis_url.to_owned()), replicas: 4, ..Options::default() }
}

/// Four servers over one database and one Redis.
async fn four(redis_url: &str) -> Vec<Orqit> {
    let mut servers = vec![Orqit::start_with(options(redis_url)).await];
    for _ in 1..4 {
        servers.push(servers[0].replica(options(redis_url)).await);
    }
    servers
}

/// Milliseconds until the window of the key with this id ends: the phase is CRC-32 of the id.
fn window_left_ms(id: &str) -> i64 {
    let at = Clock::System.now().0 + i64::from(crc32fast::hash(id.as_bytes()) % 60_000);
    60_000 - at % 60_000
}

/// A key whose window still lasts so long.
async fn key_with_window(orqit: &Orqit, left_ms: std::ops::Range<i64>) -> String {
    key_of(orqit, left_ms, &["tickets:read"]).await
}

/// The same with these scopes.
async fn key_of(orqit: &Orqit, left_ms: std::ops::Range<i64>, scopes: &[&str]) -> String {
    let text = std::iter::repeat_with(KeyText::generate)
        .find(|text| left_ms.contains(&window_left_ms(text.id())))
        .expect("endless");
    let change = |new: &mut NewKey| {
        (new.key_id, new.key_hash) = (text.id().to_owned(), text.hash().0);
        (new.per_minute, new.group_per_minute) = LIMITS;
    };
    orqit.key_with(&orqit.workspace, scopes, change).await;
    text.reveal().to_owned()
}

/// A key whose window outlasts the test.
async fn limited(orqit: &Orqit) -> String {
    key_with_window(orqit, 45_000..60_000).await
}

/// How many of `count` requests at once, spread over the servers and both protocols, are admitted.
async fn admitted(servers: &[Orqit], key: &str, count: usize) -> usize {
    let mut running = JoinSet::new();
    for (number, server) in (0..count).zip(servers.iter().cycle()) {
        let (rest, key, mut tickets) = (server.rest(key), key.to_owned(), server.tickets().await);
        running.spawn(async move {
            if number % 8 < 4 {
                rest.get("/tickets").await.status == 200
            } else {
                tickets.list_tickets(with_key(&key, Default::default())).await.is_ok()
            }
        });
    }
    running.join_all().await.into_iter().filter(|admitted| *admitted).count()
}

/// What the first limit of `RateLimit` has left.
fn left(answer: &Answer) -> u32 {
    let states = answer.header("ratelimit").expect("told");
    let after = states.split(";r=").nth(1).and_then(|rest| rest.split(';').next());
    after.and_then(|number| number.parse().ok()).expect("a number")
}

/// Asks until the limit over all is what it should be: Redis has come, or gone.
async fn until_limit_is(rest: &Rest, limit: u32) {
    let policy = format!("\"key\";q={limit};");
    soon(async {
        while !rest
            .get("/keys/self")
            .await
            .header("ratelimit-policy")
            .is_some_and(|told| told.starts_with(&policy))
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// A key by which to see, without spending much of it, whether a server counts in Redis.
async fn watcher(orqit: &Orqit) -> String {
    let change = |new: &mut NewKey| (new.per_minute, new.group_per_minute) = (1_000_000, 0);
    orqit.key_with(&orqit.workspace, &["tickets:read"], change).await
}

#[tokio::test]
async fn replicas_admit_a_batch_as_a_whole_or_not_at_all() {
    let (url, _server) = redis::any().await;
    let servers = four(&url).await;
    let key = key_of(&servers[0], 45_000..60_000, &["tickets:write"]).await;
    let batch = json!({"items": vec![vpn(); 9]});
    let mut running = JoinSet::new();
    for server in servers.iter().cycle().take(8) {
        let (rest, batch) = (server.rest(&key), batch.clone());
        running.spawn(async move { rest.post("/tickets/batch", batch).await.status });
    }
    // In any order: each call spends one of 40, and four times 8 more fit beside these.
    let statuses = running.join_all().await;
    let done = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!((done, statuses.len() - done), (4, 4), "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 429].contains(&status.as_u16())));
    assert_eq!(servers[3].events().await.len(), 4 * 9);
}

#[tokio::test]
async fn four_replicas_admit_exactly_the_limit_together() {
    let (url, _server) = redis::any().await;
    let servers = four(&url).await;
    let key = limited(&servers[0]).await;
    assert_eq!(admitted(&servers, &key, 120).await, 40);
    // What the group refused spent nothing over all, whichever replica is asked.
    for (server, left_over_all) in servers.iter().zip([19, 18, 17, 16]) {
        let answer = server.rest(&key).get("/keys/self").await;
        assert_eq!(left(&answer), left_over_all);
        let told = answer.data(200)["rateLimits"].take();
        let left_of = |name| told.as_array()?.iter().find(|state| state["resource"] == name);
        assert_eq!(left_of("key").expect("a limit")["remaining"], left_over_all);
        assert_eq!(left_of("tickets").expect("a limit")["remaining"], 0);
    }
}

#[tokio::test]
async fn who_waits_as_told_is_admitted_by_the_clock_of_redis() {
    let (url, _server) = redis::any().await;
    let orqit = Orqit::start_with(options(&url)).await;
    let key = key_with_window(&orqit, 3_000..4_000).await;
    let rest = orqit.rest(&key);
    let refused = soon(async {
        loop {
            let answer = rest.get("/tickets").await;
            if answer.status == StatusCode::TOO_MANY_REQUESTS {
                break answer;
            }
        }
    });
    // On a machine so slow that the window is over by now, it is the next one that is exhausted.
    let refused = refused.await;
    let error = refused.error(429, "RATE_LIMIT_EXCEEDED");
    let wait = error["retryAfterSeconds"].as_u64().expect("seconds");
    assert_eq!(refused.header("x-ratelimit-reset"), Some(wait.to_string().as_str()));
    // The one wait of the suite: Redis's clock can only be waited for.
    if wait <= 4 {
        tokio::time::sleep(Duration::from_secs(wait)).await;
        rest.get("/tickets").await.data(200);
    }
}

#[tokio::test]
async fn an_exhausted_window_is_refused_without_asking_redis() {
    let mut redis = RedisServer::start().await;
    let orqit = Orqit::start_with(options(&redis.url())).await;
    let (key, watcher) = (limited(&orqit).await, watcher(&orqit).await);
    assert_eq!(admitted(std::slice::from_ref(&orqit), &key, 45).await, 40);
    redis.freeze().await;
    // It would have to wait for an answer for ten seconds.
    let asked = std::time::Instant::now();
    orqit.rest(&key).get("/tickets").await.error(429, "RATE_LIMIT_EXCEEDED");
    assert!(asked.elapsed() < Duration::from_secs(5));
    redis.thaw().await;
    // Also once Redis is gone: what is known to be spent stays spent.
    redis.kill().await;
    until_limit_is(&orqit.rest(&watcher), 250_000).await;
    orqit.rest(&key).get("/tickets").await.error(429, "RATE_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn without_redis_each_replica_admits_its_share_and_recovers_by_itself() {
    let mut redis = RedisServer::start().await;
    let servers = four(&redis.url()).await;
    let watcher = watcher(&servers[0]).await;
    let fallbacks = async || {
        let page = String::from_utf8(servers[0].rest("").get("//metrics").await.body);
        let page = page.expect("text");
        let line = page.lines().find(|line| line.starts_with("orqit_rate_limit_fallback_total "));
        line.and_then(|line| line.split(' ').nth(1)?.parse::<u64>().ok()).unwrap_or(0)
    };
    until_limit_is(&servers[0].rest(&watcher), 1_000_000).await;
    let before = fallbacks().await;

    redis.kill().await;
    let key = limited(&servers[0]).await;
    for server in &servers {
        // 60 / 4 over all, 40 / 4 in the group: no request fails, ten pass.
        assert_eq!(admitted(std::slice::from_ref(server), &key, 14).await, 10);
        let answer = server.rest(&key).get("/tickets").await;
        answer.error(429, "RATE_LIMIT_EXCEEDED");
        let policy = r#""key";q=15;w=60, "tickets";q=10;w=60"#;
        assert_eq!((answer.header("ratelimit-policy"), left(&answer)), (Some(policy), 5));
        let told = server.rest(&key).get("/keys/self").await.data(200)["rateLimits"].take();
        assert_eq!((&told[0]["limit"], &told[0]["remaining"]), (&15.into(), &4.into()));
    }
    assert!(fallbacks().await >= before + 56);

    redis.start_again().await;
    for server in &servers {
        until_limit_is(&server.rest(&watcher), 1_000_000).await;
    }
    // The windows are shared again. It learns what was spent from whoever knows most, 11.
    let answer = servers[1].rest(&key).get("/tickets").await;
    answer.data(200);
    assert_eq!(left(&answer), 48);
    assert_eq!(left(&servers[2].rest(&key).get("/tickets").await), 47);
}

#[tokio::test]
async fn a_redis_that_does_not_answer_in_time_holds_up_one_request_and_no_more() {
    let redis = RedisServer::start().await;
    let slow = Options { redis_timeout: Duration::from_millis(250), ..options(&redis.url()) };
    let orqit = Orqit::start_with(slow).await;
    let (key, watcher) = (limited(&orqit).await, watcher(&orqit).await);
    until_limit_is(&orqit.rest(&watcher), 1_000_000).await;
    redis.freeze().await;
    let answer = orqit.rest(&key).get("/tickets").await;
    answer.data(200);
    assert_eq!(left(&answer), 14);
    let asked = std::time::Instant::now();
    for _ in 0..5 {
        orqit.rest(&key).get("/tickets").await.data(200);
    }
    assert!(asked.elapsed() < Duration::from_millis(5 * 250), "each waited for Redis");
    redis.thaw().await;
    until_limit_is(&orqit.rest(&watcher), 1_000_000).await;
}

#[tokio::test]
async fn a_window_goes_on_when_redis_loses_its_data() {
    let mut redis = RedisServer::start().await;
    let alone = Options { replicas: 1, ..options(&redis.url()) };
    let orqit = Orqit::start_with(alone).await;
    let key = limited(&orqit).await;
    assert_eq!(admitted(std::slice::from_ref(&orqit), &key, 15).await, 15);
    redis.kill().await;
    assert_eq!(admitted(std::slice::from_ref(&orqit), &key, 15).await, 15);
    redis.start_again().await;
    assert_eq!(admitted(std::slice::from_ref(&orqit), &key, 30).await, 10);
}

#[tokio::test]
async fn a_server_starts_without_its_redis() {
    let mut redis = RedisServer::start().await;
    redis.kill().await;
    let orqit = Orqit::start_with(options(&redis.url())).await;
    let (key, watcher) = (limited(&orqit).await, watcher(&orqit).await);
    assert_eq!(left(&orqit.rest(&key).get("/tickets").await), 14);
    redis.start_again().await;
    until_limit_is(&orqit.rest(&watcher), 1_000_000).await;
    assert_eq!(left(&orqit.rest(&key).get("/tickets").await), 58);
}

/// `orqit` with these settings beside those of the test.
fn orqit(database: &TestDatabase, arguments: &[&str], redis_url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orqit"));
    command.args(arguments).env("ORQIT_DATABASE_URL", database.url()).kill_on_drop(true);
    command.env("ORQIT_LISTEN", "127.0.0.1:0").env("ORQIT_REDIS_URL", redis_url);
    command.env("ORQIT_REDIS_TIMEOUT", "10s").env("ORQIT_DATABASE_CONNECTIONS", "4");
    command.env("ORQIT_REPLICAS", "4").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[tokio::test]
async fn four_processes_admit_exactly_the_limit_together() {
    if !is_postgres() {
        // One process serves a SQLite file.
        return;
    }
    let (url, _server) = redis::any().await;
    let database = TestDatabase::create().await;
    let (mut running, mut origins) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let mut child = orqit(&database, &["serve"], &url).spawn().expect("it runs");
        let mut out = BufReader::new(child.stdout.take().expect("piped")).lines();
        let first = soon(out.next_line()).await.expect("text").expect("a line");
        origins.push(first.strip_prefix("Orqit listens on ").expect("where").to_owned());
        running.push((child, out));
    }
    let store = database.open(Clock::System).await;
    let workspace = store.find_workspace_by_slug("default").await.expect("read").expect("made");
    // The harness knows how to make a key; nothing is asked of its own server.
    let key = limited(&Orqit::over(store, workspace).await).await;
    let mut asking = JoinSet::new();
    for (_, origin) in (0..100).zip(origins.iter().cycle()) {
        let rest = Rest::new(origin.clone(), &key);
        asking.spawn(async move { rest.get("/tickets").await.status });
    }
    let statuses = asking.join_all().await;
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(200), count(429)), (40, 60));
}

#[tokio::test]
async fn a_wrong_setting_stops_the_start_with_a_sentence() {
    let database = TestDatabase::create().await;
    let refused = async |arguments: &[&str], redis_url: &str| {
        let output = soon(orqit(&database, arguments, redis_url).output()).await.expect("it runs");
        assert!(!output.status.success());
        String::from_utf8(output.stderr).expect("text")
    };
    let sentence = refused(&["serve"], "http://me:secret@host").await;
    assert!(sentence.starts_with("orqit: ORQIT_REDIS_URL must be like redis://"), "{sentence}");
    assert!(!sentence.contains("secret"), "{sentence}");
    for replicas in ["0", "1001", "many"] {
        let sentence = refused(&["serve", "--replicas", replicas], "redis://localhost").await;
        assert!(sentence.contains("--replicas"), "{sentence}");
    }
}
