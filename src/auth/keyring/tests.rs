//! A key that was taken out of the ring while it was read must not be cached.

use super::*;
use crate::clock::Clock;
use crate::event::Actor;
use crate::service::workspace::record_new;
use crate::store::{MadeBy, NewKey, NewWorkspace, Settings};

fn new_key(key: &KeyText) -> NewKey {
    NewKey {
        key_id: key.id().to_owned(),
        key_hash: key.hash().0,
        name: "Test".to_owned(),
        description: None,
        scopes: Vec::new(),
        requested_scopes: Vec::new(),
        per_minute: 0,
        group_per_minute: 0,
        expires_at: None,
        created_by: None,
        last_four: key.last_four().to_owned(),
        made_by: MadeBy::Operator,
    }
}

#[tokio::test]
async fn a_key_that_was_revoked_while_it_was_read_is_not_cached() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}", folder.path().join("orqit.db").display());
    let store = Store::open(&url, &Settings::default(), Clock::System).await.expect("a store");
    let (slug, name) = ("default".to_owned(), "Default".to_owned());
    let new = NewWorkspace { slug, name, admin_email: None };
    let workspace = store.insert_workspace(new, record_new).await.expect("a workspace");
    let (revoked, narrowed, other) =
        (KeyText::generate(), KeyText::generate(), KeyText::generate());
    let mut tx = store.begin(workspace.id, Actor::operator()).await.expect("begun");
    for key in [&revoked, &narrowed, &other] {
        tx.insert_key(new_key(key)).await.expect("stored");
    }
    tx.commit().await.expect("committed");
    let ring = KeyRing::new(store.clone());
    ring.look().await.expect("looked");

    for key in [&revoked, &narrowed] {
        let hash = key.hash();
        // Read, and before it is cached the key is changed and everybody told.
        let generation = ring.generation();
        let read = store.find_key(key.id()).await.expect("read").expect("a key");
        let revoked_at = (key.id() == revoked.id()).then_some(read.created_at);
        ring.replace(KeyRecord { revoked_at, ..read.clone() }).expect("a key");
        let caller = ring.verified(Some(read), hash, generation).expect("a key");
        assert!(caller.is_some(), "the read itself began before");
        let known = ring.known(&hash);
        assert!(!matches!(known, Known::Caller(_)), "{known:?}");
    }
    assert!(matches!(ring.known(&revoked.hash()), Known::Nothing));
    assert!(matches!(ring.known(&narrowed.hash()), Known::Exists));
    // One that nothing happened to meanwhile is.
    let read = store.find_key(other.id()).await.expect("read");
    ring.verified(read, other.hash(), ring.generation()).expect("a key");
    assert!(matches!(ring.known(&other.hash()), Known::Caller(_)));
}
