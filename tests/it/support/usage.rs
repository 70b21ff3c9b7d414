//! Requests as they are logged, and entries with latencies that a test chooses.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use orqit::auth::caller::Caller;
use orqit::auth::key::KeyText;
use orqit::auth::keyring::KeyRing;
use orqit::trail::Trail;
use orqit::transport::Transport;
use orqit::usage::Entry;
use orqit::{pb, rpc};
use serde_json::Value;

use super::rest::{Answer, Rest};
use super::server::Orqit;

/// The scope that sees what keys do.
pub const AUDIT: &[&str] = &["audit:read"];

/// The id in the text of a key.
pub fn key_id(key: &str) -> &str {
    &key[4..12]
}

/// What the log has of other keys than the one that asks, once all is written.
pub async fn logs(orqit: &Orqit, audit: &Rest, of_key: &str) -> Vec<Value> {
    orqit.flush_usage().await;
    let answer = audit.get(&format!("/request-logs?perPage=100&keyId={}", key_id(of_key))).await;
    rows(&answer)
}

/// The rows of a list.
#[track_caller]
pub fn rows(answer: &Answer) -> Vec<Value> {
    answer.data(200).as_array().expect("a list").clone()
}

/// All rows of a list, page by page along its cursors.
pub async fn all_rows(audit: &Rest, path: &str, per_page: u32) -> Vec<Value> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let answer = audit.get(&format!("{path}&perPage={per_page}{cursor}")).await;
        found.extend(rows(&answer));
        match answer.json()["meta"]["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

/// Takes entries as if requests had come.
pub struct Feed<'o> {
    orqit: &'o Orqit,
    caller: Arc<Caller>,
}

impl<'o> Feed<'o> {
    /// By this key.
    pub async fn of(orqit: &'o Orqit, key: &str) -> Self {
        let key = KeyText::parse(key).expect("a key");
        let found = KeyRing::new(orqit.store.clone()).find(&key, key.hash()).await;
        Self { orqit, caller: found.expect("read").expect("a caller") }
    }

    /// Takes a request of now.
    pub fn take(&self, endpoint: &str, status: u16, latency: Duration) {
        self.orqit.usage.take(self.entry(endpoint, status, latency));
    }

    /// Takes a request of now from an address.
    pub fn take_from(&self, client: IpAddr, endpoint: &str, status: u16, latency: Duration) {
        self.orqit.usage.take(self.entry_from(client, endpoint, status, latency));
    }

    /// A request of now.
    pub fn entry(&self, endpoint: &str, status: u16, latency: Duration) -> Entry {
        self.entry_from(IpAddr::from([198, 51, 100, 7]), endpoint, status, latency)
    }

    fn entry_from(&self, client: IpAddr, endpoint: &str, status: u16, latency: Duration) -> Entry {
        let id = HeaderValue::from_static("fed");
        let trail = Trail::new(self.orqit.clock.now(), Transport::Grpc, client, id);
        let found = pb::RPCS.iter().find(|rpc| rpc::endpoint(rpc) == endpoint);
        trail.caller.set(Arc::clone(&self.caller)).expect("new");
        trail.rpc.set((found.expect("an RPC"), None)).expect("new");
        let (trail, code) = (Arc::new(trail), (status >= 400).then_some("TICKET_NOT_FOUND"));
        Entry { trail, method: "POST", status, code, latency }
    }
}
