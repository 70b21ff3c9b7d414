//! The import of records one by one: each is found or made, changed where it differs, and brought
//! to its status.

use std::collections::{BTreeMap, VecDeque};
use std::marker::PhantomData;
use std::sync::Arc;

use rest::{ReadJson, Steps};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use tonic::{Code, Status};

use super::Import;
use super::calls::{call, reasons};
use super::mapping::Reason;
use super::noun::{Calls, Noun, Reference, message, own_keys, user};
use super::sending::{Answered, Outcome, Outgoing, Sender};
use crate::cli::client::Client;
use crate::pb;

/// The state that the calls of an import share.
struct Shared {
    calls: Calls,
    /// The ids that were found, by the names by which they were found.
    ids: Mutex<BTreeMap<String, i64>>,
}

/// The most ids that are remembered.
const IDS_MAX: usize = 10_000;

/// Sends the records of a noun one by one.
#[derive(Clone)]
pub struct Upserts<N> {
    shared: Arc<Shared>,
    after: i64,
    noun: PhantomData<N>,
}

impl<N> Upserts<N> {
    pub fn new(calls: Calls) -> Self {
        let shared = Arc::new(Shared { calls, ids: Mutex::default() });
        Self { shared, after: 0, noun: PhantomData }
    }
}

impl<N: Noun> Sender for Upserts<N> {
    type Batch = Outgoing;

    fn next(&mut self, import: &mut Import) -> Result<Option<Outgoing>, String> {
        let Some(waiting) = import.spool.next(0, self.after)? else { return Ok(None) };
        self.after = waiting.id;
        Ok(Some(Outgoing { waiting, events: Vec::new(), is_bare: false }))
    }

    fn advance(&mut self, _: &mut Import) -> Result<bool, String> {
        Ok(false)
    }

    async fn send(self, outgoing: Outgoing) -> Result<Answered, String> {
        let record = serde_json::from_slice(&outgoing.waiting.item)
            .map_err(|error| format!("a record is broken: {error}"))?;
        let result = match self.upsert(record).await {
            Ok(outcome) => Ok(outcome),
            Err(Refused::Record(reasons)) => Err(reasons),
            Err(Refused::Import(sentence)) => return Err(sentence),
        };
        Ok(vec![(outgoing, result)])
    }
}

/// The reason why a record is not imported: the record itself, or a failure that stops the import.
enum Refused {
    Record(Vec<Reason>),
    Import(String),
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        match reasons(&status) {
            Ok(reasons) => Self::Record(reasons),
            Err(sentence) => Self::Import(sentence),
        }
    }
}

impl<N: Noun> Upserts<N> {
    async fn upsert(&self, mut record: Map<String, Value>) -> Result<Outcome, Refused> {
        for (member, field, kind) in N::REFERENCES {
            if let Some(value) = record.remove(*member) {
                record.insert((*field).to_owned(), self.id_of(member, *kind, &value).await?);
            }
        }
        let keys: Map<_, _> = N::KEYS
            .iter()
            .filter_map(|key| Some(((*key).to_owned(), record.get(*key)?.clone())))
            .collect();
        let found =
            call(&self.shared.calls.progress, || N::find(&self.shared.calls.client, &keys)).await?;
        let (mut now, mut outcome) = match found {
            Some(found) => (object(&found), Outcome::Unchanged),
            None => (self.create(&keys, &record).await?, Outcome::Created),
        };
        let status = record.remove("status");
        let mut wanted = record;
        own_keys::<N>(&mut wanted);
        // Who has it follows from where it stands, and the other way round.
        let holder = status.as_ref().and_then(|_| wanted.remove("assignedUserId"));
        wanted.retain(|name, value| now.get(name).unwrap_or(&Value::Null) != value);
        if !wanted.is_empty() {
            now = self.update(&now, wanted, &mut outcome).await?;
        }
        if let Some(holder) = holder.filter(|holder| now.get("assignedUserId") != Some(holder)) {
            if !holder.is_null() && !HOLDING.contains(&text(&now, "status")) {
                now = self.walk(now, "IN_STOCK", &mut outcome).await?;
            }
            let change = Map::from_iter([("assignedUserId".to_owned(), holder)]);
            now = self.update(&now, change, &mut outcome).await?;
        }
        if let Some(status) = status.as_ref().and_then(Value::as_str) {
            self.walk(now, status, &mut outcome).await?;
        }
        Ok(outcome)
    }

    /// Moves a record to a status by the fewest steps that the contract allows.
    async fn walk(
        &self,
        mut now: Map<String, Value>,
        to: &str,
        outcome: &mut Outcome,
    ) -> Result<Map<String, Value>, Refused> {
        for step in path::<N::Status>(text(&now, "status"), to) {
            let change = Map::from_iter([("status".to_owned(), Value::from(step))]);
            now = self.update(&now, change, outcome).await?;
        }
        Ok(now)
    }

    async fn create(
        &self,
        keys: &Map<String, Value>,
        record: &Map<String, Value>,
    ) -> Result<Map<String, Value>, Refused> {
        let is_field = |name: &String| N::Create::FIELDS.iter().any(|field| field.is_called(name));
        // New ones begin where they all do; but for what has been ordered, where nothing leads to.
        let is_new_status = |value: &Value| value == "ORDERED";
        let fields = record.iter().filter(|(name, value)| {
            is_field(name) && !value.is_null() && (*name != "status" || is_new_status(value))
        });
        let fields = fields.map(|(name, value)| (name.clone(), value.clone())).collect();
        let new = message::<N::Create>(&fields).map_err(Refused::Record)?;
        match N::create(&self.shared.calls, keys, new).await {
            Ok(made) => Ok(made.as_ref().map(object).unwrap_or_default()),
            // An answer that was lost, or somebody else.
            Err(status) if status.code() == Code::AlreadyExists => {
                let found =
                    call(&self.shared.calls.progress, || N::find(&self.shared.calls.client, keys))
                        .await?;
                found.as_ref().map(object).ok_or_else(|| status.into())
            }
            Err(status) => Err(status.into()),
        }
    }

    async fn update(
        &self,
        now: &Map<String, Value>,
        change: Map<String, Value>,
        outcome: &mut Outcome,
    ) -> Result<Map<String, Value>, Refused> {
        let id = now.get("id").and_then(Value::as_i64).unwrap_or_default().to_string();
        let update = message::<N::Update>(&change).map_err(Refused::Record)?;
        let fields: Vec<_> = change.keys().cloned().collect();
        let changed = call(&self.shared.calls.progress, || {
            N::update(&self.shared.calls.client, id.clone(), fields.clone(), update.clone())
        });
        let changed = changed.await?;
        if *outcome == Outcome::Unchanged {
            *outcome = Outcome::Updated;
        }
        Ok(changed.as_ref().map(object).unwrap_or_default())
    }

    /// The id of what a record refers to.
    async fn id_of(&self, member: &str, kind: Reference, value: &Value) -> Result<Value, Refused> {
        let text =
            |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (names, key) = match kind {
            _ if value.is_null() => return Ok(Value::Null),
            Reference::Person => ([text("email"), String::new()], text("email").to_lowercase()),
            Reference::Ticket => {
                let names = [text("externalSource"), text("externalId")];
                let key = names.join("\u{1f}");
                (names, key)
            }
        };
        if let Some(id) = self.shared.ids.lock().await.get(&key) {
            return Ok(Value::from(*id));
        }
        let [first, second] = &names;
        let found = call(&self.shared.calls.progress, || async {
            match kind {
                Reference::Person => {
                    user(&self.shared.calls.client, first).await.map(|it| it.map(|it| it.id))
                }
                Reference::Ticket => ticket(&self.shared.calls.client, first, second).await,
            }
        });
        let Some(id) = found.await? else {
            let message = match kind {
                Reference::Person => format!(
                    "{member}: there is no user with the address `{first}`; import users first"
                ),
                Reference::Ticket => format!(
                    "{member}: there is no ticket `{second}` of `{first}`; import tickets first"
                ),
            };
            return Err(Refused::Record(vec![Reason::new(member, "INVALID_REFERENCE", message)]));
        };
        let mut ids = self.shared.ids.lock().await;
        if ids.len() >= IDS_MAX {
            ids.clear();
        }
        ids.insert(key, id);
        Ok(Value::from(id))
    }
}

/// The statuses in which somebody can have an asset, or get it.
const HOLDING: [&str; 4] = ["IN_STOCK", "ASSIGNED", "IN_USE", "IN_REPAIR"];

fn text<'v>(object: &'v Map<String, Value>, member: &str) -> &'v str {
    object.get(member).and_then(Value::as_str).unwrap_or_default()
}

fn object(resource: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(resource) {
        Ok(Value::Object(object)) => object,
        _ => Map::new(),
    }
}

/// The fewest steps from one status to another; that one alone, which the service then refuses, where
/// nothing leads there.
fn path<S: Steps>(from: &str, to: &str) -> Vec<&'static str> {
    let number = |name: &str| S::NAMES.parse(name).ok();
    let (Some(start), Some(end)) = (number(from), number(to)) else { return Vec::new() };
    let mut before = BTreeMap::from([(start, start)]);
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front().filter(|_| !before.contains_key(&end)) {
        for next in S::next(at) {
            if !before.contains_key(next) {
                before.insert(*next, at);
                queue.push_back(*next);
            }
        }
    }
    let mut steps = Vec::new();
    let mut at = end;
    while at != start {
        steps.extend(S::NAMES.name(at));
        match before.get(&at) {
            Some(previous) => at = *previous,
            None => break,
        }
    }
    steps.reverse();
    steps
}

async fn ticket(client: &Client, source: &str, id: &str) -> Result<Option<i64>, Status> {
    let request = pb::ListTicketsRequest {
        external_source: Some(source.to_owned()),
        external_id: Some(id.to_owned()),
        ..Default::default()
    };
    let found = client.tickets().list_tickets(request).await?;
    Ok(found.into_inner().tickets.first().map(|ticket| ticket.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_reached_by_the_fewest_steps() {
        assert_eq!(path::<pb::AssetStatus>("IN_STOCK", "DISPOSED"), ["RETIRED", "DISPOSED"]);
        assert_eq!(path::<pb::AssetStatus>("ORDERED", "IN_USE"), ["IN_STOCK", "IN_USE"]);
        assert_eq!(path::<pb::ArticleStatus>("DRAFT", "ARCHIVED"), ["PUBLISHED", "ARCHIVED"]);
        assert_eq!(path::<pb::ArticleStatus>("DRAFT", "DRAFT"), [""; 0]);
        assert_eq!(path::<pb::AssetStatus>("DISPOSED", "IN_STOCK"), ["IN_STOCK"]);
    }
}
