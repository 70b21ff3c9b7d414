//! A worker makes tickets and changes them, one request after the other, under idempotency keys of
//! its own. A request that is cut off is sent again, under its key, to the next process.

use std::sync::Arc;

use http::Method;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::Tickets;
use crate::support::requests::vpn_with;
use crate::support::rest::Rest;

pub const STATUSES: [&str; 5] = ["OPEN", "IN_PROGRESS", "PENDING", "RESOLVED", "CLOSED"];
pub const PRIORITIES: [&str; 4] = ["LOW", "MEDIUM", "HIGH", "CRITICAL"];

/// How often a request is sent again while the one that was cut off may still be under way.
const BUSY_MAX: usize = 50;

/// A request of a worker.
#[derive(Debug, Clone)]
struct Change {
    key: String,
    /// None makes a ticket.
    ticket: Option<i64>,
    if_match: Option<i64>,
    body: Value,
}

/// A change that was answered.
struct Acknowledged {
    change: Change,
    answer: Vec<u8>,
}

pub struct Worker {
    name: u64,
    random: StdRng,
    tickets: Tickets,
    /// The newest ticket, and how many of its changes are to come.
    current: Option<(i64, usize)>,
    cut_off: Option<Change>,
    acknowledged: Vec<Acknowledged>,
    /// Changes that were sent again after a kill, and those of them that had been made before it.
    pub retried: usize,
    pub made_before: usize,
    /// Answers that were asked for again.
    pub replayed: usize,
}

/// An answer that was read whole.
struct Answer {
    bytes: Vec<u8>,
    replayed: bool,
}

impl Worker {
    pub fn new(name: u64) -> Self {
        Self {
            name,
            random: StdRng::seed_from_u64(name),
            tickets: Tickets::new(),
            current: None,
            cut_off: None,
            acknowledged: Vec::new(),
            retried: 0,
            made_before: 0,
            replayed: 0,
        }
    }

    /// The tickets by id, as they were acknowledged last.
    pub fn tickets(&self) -> Tickets {
        self.tickets.clone()
    }

    /// Every ticket that was answered, as it was then.
    pub fn acknowledged(&self) -> impl Iterator<Item = Value> {
        self.acknowledged.iter().map(|acknowledged| data(&acknowledged.answer))
    }

    /// Works until the service is gone; `answers` gets a permit for each change that was answered.
    pub async fn work(mut self, rest: Rest, answers: Arc<Semaphore>) -> Self {
        while self.work_once(&rest).await {
            answers.add_permits(1);
        }
        self
    }

    /// Makes a change, the one that was cut off first, and now and then asks for an answer again;
    /// false when the service is gone.
    async fn work_once(&mut self, rest: &Rest) -> bool {
        if self.cut_off.is_some() {
            return self.retry(rest).await;
        }
        let change = self.next_change();
        let Some(answer) = change.send(rest).await else {
            self.cut_off = Some(change);
            return false;
        };
        self.acknowledge(change, answer);
        !self.random.random_bool(0.25) || self.replay_any(rest).await
    }

    /// Sends again what was cut off last.
    pub async fn finish(&mut self, rest: &Rest) {
        assert!(self.retry(rest).await, "nobody kills it now");
    }

    /// Asks for at most `most` of the answers again, the newest first.
    pub async fn replay(&mut self, rest: &Rest, most: usize) {
        for acknowledged in self.acknowledged.iter().rev().take(most) {
            assert!(acknowledged.replay(rest).await, "nobody kills it now");
            self.replayed += 1;
        }
    }

    /// Sends again what was cut off; false when the service is gone again.
    async fn retry(&mut self, rest: &Rest) -> bool {
        let Some(change) = self.cut_off.clone() else { return true };
        let Some(answer) = change.send(rest).await else { return false };
        self.cut_off = None;
        self.retried += 1;
        self.made_before += usize::from(answer.replayed);
        self.acknowledge(change, answer);
        true
    }

    async fn replay_any(&mut self, rest: &Rest) -> bool {
        let any = self.random.random_range(0..self.acknowledged.len());
        let answered = self.acknowledged[any].replay(rest).await;
        self.replayed += usize::from(answered);
        answered
    }

    fn next_change(&mut self) -> Change {
        let key = format!("{}-{}", self.name, self.acknowledged.len());
        let Some((id, left)) = self.current.filter(|(_, left)| *left > 0) else {
            let priority = PRIORITIES[self.random.random_range(0..PRIORITIES.len())];
            let body = vpn_with(json!({"title": key, "priority": priority}));
            return Change { key, ticket: None, if_match: None, body };
        };
        let ticket = &self.tickets[&id];
        let version = ticket["version"].as_i64().expect("a version");
        // A title of its own, so that there is always something to change.
        let mut body = json!({"title": key});
        match self.random.random_range(0..3) {
            0 => body["priority"] = PRIORITIES[self.random.random_range(0..4)].into(),
            1 if left == 1 => body["status"] = "CLOSED".into(),
            1 => body["status"] = STATUSES[self.random.random_range(0..4)].into(),
            _ => {}
        }
        // What is resolved may not become pending.
        if ticket["status"] == "RESOLVED" && body["status"] == "PENDING" {
            body["status"] = "OPEN".into();
        }
        let if_match = self.random.random_bool(0.5).then_some(version);
        Change { key, ticket: Some(id), if_match, body }
    }

    /// The answer is what was asked for, and nothing has happened to the ticket in between.
    fn acknowledge(&mut self, change: Change, answer: Answer) {
        let ticket = data(&answer.bytes);
        let id = ticket["id"].as_i64().expect("an id");
        let version = match change.ticket {
            None => 1,
            Some(id) => self.tickets[&id]["version"].as_i64().expect("a version") + 1,
        };
        assert_eq!(ticket["version"], version, "{change:?}");
        assert!(change.ticket.is_none_or(|changed| changed == id), "{change:?}: {ticket}");
        for (field, value) in change.body.as_object().expect("an object") {
            assert_eq!(ticket[field], *value, "{change:?}");
        }
        self.current = match self.current {
            Some((_, left)) if change.ticket.is_some() => Some((id, left - 1)),
            _ => Some((id, self.random.random_range(0..8))),
        };
        self.tickets.insert(id, ticket);
        self.acknowledged.push(Acknowledged { change, answer: answer.bytes });
    }
}

impl Acknowledged {
    /// Asks for the answer again; false when the service is gone.
    async fn replay(&self, rest: &Rest) -> bool {
        let Some(again) = self.change.send(rest).await else { return false };
        assert!(again.replayed, "{:?} was made again", self.change);
        assert_eq!(again.bytes, self.answer, "{:?} has another answer now", self.change);
        true
    }
}

impl Change {
    /// Sends it until it is answered; none when the service is gone.
    async fn send(&self, rest: &Rest) -> Option<Answer> {
        for _ in 0..BUSY_MAX {
            let response = self.request(rest).send().await.ok()?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let bytes = response.bytes().await.ok()?.to_vec();
            let text = String::from_utf8_lossy(&bytes);
            // PostgreSQL may not know yet that the process whose change it holds is gone.
            if status == 409 && text.contains("IDEMPOTENCY_IN_PROGRESS") {
                continue;
            }
            assert_eq!(status, if self.ticket.is_none() { 201 } else { 200 }, "{self:?}: {text}");
            return Some(Answer { bytes, replayed: headers.contains_key("idempotent-replayed") });
        }
        panic!("{self:?} is still in progress");
    }

    fn request(&self, rest: &Rest) -> reqwest::RequestBuilder {
        let request = match self.ticket {
            None => rest.request(Method::POST, "/tickets"),
            Some(id) => rest.request(Method::PATCH, &format!("/tickets/{id}")),
        };
        let request = request.header("idempotency-key", &self.key).json(&self.body);
        match self.if_match {
            Some(version) => request.header("if-match", format!("\"{version}\"")),
            None => request,
        }
    }
}

/// `data` of an answer.
fn data(answer: &[u8]) -> Value {
    let mut json: Value = serde_json::from_slice(answer).expect("JSON");
    json["data"].take()
}
