//! A key that was revoked is accepted by nobody, whoever revoked it and whatever else runs on the
//! database.

use std::time::Duration;

use orqit::auth::key::KeyText;
use orqit::auth::keyring::{KeyRing, Known};
use orqit::clock::Clock;
use orqit::store::{NewKey, Store};
use serde_json::json;

use crate::cli::Machine;
use crate::keys::delete;
use crate::support::database::TestStore;
use crate::support::rest::Rest;

#[tokio::test]
async fn the_operators_revocation_holds_beside_a_running_service() {
    let machine = Machine::new().await;
    let serving = machine.serve(&[]).await;
    for _ in 0..5 {
        let key = machine.unlimited_key("tickets:read").await;
        let rest = Rest::new(serving.url.clone(), &key);
        rest.get("/tickets").await.data(200);
        let revoked = machine.run(&["key", "revoke", &key[4..12]]).await;
        assert!(Machine::printed(revoked).contains("is revoked"));
        rest.get("/tickets").await.error(401, "INVALID_API_KEY");
    }
    let unknown = machine.run(&["key", "revoke", "aaaaaaaa"]).await;
    assert!(!unknown.status.success());
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("orqit key list"));
    serving.stop().await;
}

#[tokio::test]
async fn the_operators_settings_hold_beside_a_running_service() {
    let machine = Machine::new().await;
    let serving = machine.serve(&[]).await;
    let key = machine.unlimited_key("admin").await;
    let rest = Rest::new(serving.url.clone(), &key);
    rest.get("/keys").await.data(200);
    let arguments = [
        "workspace",
        "update",
        "default",
        "--max-active-keys",
        "2",
        "--key-creations-per-hour",
        "9",
    ];
    let off = [&arguments[..], &["--capability", "can_manage_api_keys=off"]].concat();
    Machine::printed(machine.run(&off).await);
    rest.get("/keys").await.error(403, "FEATURE_NOT_ENABLED");
    Machine::printed(
        machine
            .run(&["workspace", "update", "default", "--capability", "can_manage_api_keys=on"])
            .await,
    );
    rest.post("/keys", json!({"name": "3", "scopes": ["kb:read"]}))
        .await
        .error(400, "API_KEY_LIMIT_REACHED");
    let capped = machine.run(&["key", "create", "--name", "3", "--scope", "kb:read"]).await;
    assert!(String::from_utf8_lossy(&capped.stderr).contains("2 active API keys"));
    let wrong = machine.run(&["workspace", "update", "default", "--capability", "sso=on"]).await;
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("can_manage_api_keys=on"));
    serving.stop().await;
}

/// Stores a key; its text.
async fn store_key(test: &TestStore) -> KeyText {
    let key = KeyText::generate();
    let new = NewKey {
        key_id: key.id().to_owned(),
        key_hash: key.hash().0,
        name: "Test".to_owned(),
        description: None,
        scopes: vec!["tickets:read".to_owned()],
        requested_scopes: vec!["tickets:read".to_owned()],
        per_minute: 0,
        group_per_minute: 0,
        expires_at: None,
        created_by: None,
        last_four: key.last_four().to_owned(),
        made_by: orqit::store::MadeBy::Operator,
    };
    let mut tx = test
        .store
        .begin(test.workspace.id, crate::support::database::actor())
        .await
        .expect("begun");
    tx.insert_key(new).await.expect("stored");
    tx.commit().await.expect("committed");
    key
}

async fn revoke(store: &Store, test: &TestStore, key: &KeyText) {
    let actor = crate::support::database::actor();
    let mut tx = store.begin(test.workspace.id, actor).await.expect("begun");
    tx.revoke_key(key.id()).await.expect("revoked");
    tx.commit().await.expect("committed");
}

#[tokio::test]
async fn a_ring_trusts_its_memory_only_for_a_lease_after_it_last_looked() {
    let test = TestStore::create().await;
    let key = store_key(&test).await;
    let ring = KeyRing::new(test.store.clone());
    ring.find(&key, key.hash()).await.expect("read").expect("a caller");
    assert!(matches!(ring.known(&key.hash()), Known::Undecided), "it never looked");
    ring.look().await.expect("looked");
    ring.find(&key, key.hash()).await.expect("read").expect("a caller");
    assert!(matches!(ring.known(&key.hash()), Known::Caller(_)));
    ring.leave().await;
    assert!(matches!(ring.known(&key.hash()), Known::Exists));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_returns_when_every_process_has_applied_it() {
    let test = TestStore::create().await;
    let mut rings = Vec::new();
    for _ in 0..3 {
        let store = test.database.open(Clock::System).await;
        let ring = std::sync::Arc::new(KeyRing::new(store));
        let watching = std::sync::Arc::clone(&ring);
        tokio::spawn(async move { watching.watch().await });
        rings.push(ring);
    }
    for _ in 0..20 {
        let key = store_key(&test).await;
        for ring in &rings {
            ring.find(&key, key.hash()).await.expect("read").expect("a caller");
        }
        revoke(&test.store, &test, &key).await;
        rings[0].settle().await;
        for ring in &rings {
            assert!(
                !matches!(ring.known(&key.hash()), Known::Caller(_)),
                "accepted after it was settled"
            );
            assert!(ring.find(&key, key.hash()).await.expect("read").is_none());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_does_not_answer_is_waited_for_no_longer_than_its_lease() {
    let test = TestStore::create().await;
    let frozen = KeyRing::new(test.database.open(Clock::System).await);
    let key = store_key(&test).await;
    frozen.look().await.expect("looked");
    frozen.find(&key, key.hash()).await.expect("read").expect("a caller");
    let ring = KeyRing::new(test.store.clone());
    revoke(&test.store, &test, &key).await;
    // The other one does not look any more, as if it were stopped.
    let settled = tokio::time::timeout(Duration::from_secs(10), ring.settle()).await;
    settled.expect("it is not waited for for ever");
    assert!(matches!(frozen.known(&key.hash()), Known::Exists), "its lease has run out");
    assert!(frozen.find(&key, key.hash()).await.expect("read").is_none());
    // It finds itself forgotten, and begins anew with nothing.
    frozen.look().await.expect("looked");
    assert!(matches!(frozen.known(&key.hash()), Known::Nothing));
}

#[tokio::test]
async fn a_key_that_revokes_itself_is_done() {
    let orqit = crate::support::server::Orqit::start().await;
    let key = orqit.key(&["admin"]).await;
    let rest = orqit.rest(&key);
    delete(&rest, &format!("/keys/{}", &key[4..12])).await.data(200);
    rest.get("/keys/self").await.error(401, "INVALID_API_KEY");
}
