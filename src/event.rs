//! Events: each is one committed change of one resource, with the payload that tells of it.
//!
//! It does not decide when an event happens (services record them), number it (the store does, as
//! it commits) or send it anywhere.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::event_type::EventType;

/// The kind of an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActorKind {
    /// An API key.
    Key,
    /// The operator, at the machine's command line.
    Operator,
    /// The service itself, at the request of somebody without a key.
    System,
    /// A person, in history from another system.
    User,
}

impl ActorKind {
    /// Returns the name in payloads.
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "KEY",
            Self::Operator => "OPERATOR",
            Self::System => "SYSTEM",
            Self::User => "USER",
        }
    }
}

/// The actor that made a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The kind: key, operator, user or the service.
    pub kind: ActorKind,
    /// The key's or the user's id; for the operator, what they are called on the machine.
    pub id: String,
    /// The key's name, for people.
    pub name: String,
}

impl Actor {
    /// The key with this id and name.
    pub fn key(id: &str, name: &str) -> Self {
        Self { kind: ActorKind::Key, id: id.to_owned(), name: name.to_owned() }
    }

    /// Makes the actor of an operator's command.
    pub fn operator() -> Self {
        Self { kind: ActorKind::Operator, id: "operator".to_owned(), name: "Operator".to_owned() }
    }

    /// Makes the actor of a change in another system: a user, or a name alone.
    pub fn user(id: Option<i64>, name: &str) -> Self {
        let id = id.map(|id| id.to_string()).unwrap_or_default();
        Self { kind: ActorKind::User, id, name: name.to_owned() }
    }

    /// The service, told by `id`, such as `leak-report`.
    pub fn system(id: &str, name: &str) -> Self {
        Self { kind: ActorKind::System, id: id.to_owned(), name: name.to_owned() }
    }
}

/// The origin of a change: the actor, and the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The actor of the change.
    pub actor: Actor,
    /// The request's id; none for an operator's command.
    pub request_id: Option<String>,
    /// The address of the client; none for an operator's command.
    pub client_ip: Option<String>,
}

impl From<Actor> for Origin {
    fn from(actor: Actor) -> Self {
        Self { actor, request_id: None, client_ip: None }
    }
}

/// An event that a transaction is to record.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The type of the event.
    pub event_type: EventType,
    /// The topics by which it can be subscribed to: its type, and narrower ones such as
    /// `ticket.status_changed`.
    pub topics: Vec<String>,
    /// The resource as the API answers it after the change.
    pub object: Value,
    /// The fields that differ, by their API names; empty for a new resource.
    pub changed_fields: Vec<String>,
    /// The values that the changed fields had before.
    pub previous: Map<String, Value>,
    /// The members of `data` beside the resource.
    pub beside: Map<String, Value>,
}

impl Event {
    /// Returns the new value of a changed field; the name of a map's entry follows a dot.
    pub fn now(&self, field: &str) -> &Value {
        match field.split_once('.') {
            Some((map, entry)) => &self.object[map][entry],
            None => &self.object[field],
        }
    }

    /// Returns `data` of the payload, as JSON text: it is stored so, and never rendered again.
    pub fn data_json(&self) -> String {
        let data = Data {
            object: &self.object,
            changed_fields: &self.changed_fields,
            previous: &self.previous,
            beside: &self.beside,
        };
        to_json(&data)
    }
}

/// An event of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedEvent {
    /// The sequence of the event in the workspace's log: 1, 2, 3 … without a gap.
    pub sequence: i64,
    /// The id, such as `evt_…`.
    pub id: String,
    /// The name of the event's type, such as `ticket.updated`.
    pub event_type: String,
    /// The topics by which it can be subscribed to.
    pub topics: Vec<String>,
    /// The actor that made the change.
    pub actor: Actor,
    /// The time at which it was recorded.
    pub created_at: Timestamp,
    /// The `data` of the payload, as JSON text.
    pub data: String,
}

impl RecordedEvent {
    /// The id of the resource that it shows, where that is a number.
    pub fn shown_id(&self) -> Option<i64> {
        #[derive(serde::Deserialize)]
        struct Shown {
            object: Identified,
        }
        #[derive(serde::Deserialize)]
        struct Identified {
            id: i64,
        }
        serde_json::from_str(&self.data).ok().map(|shown: Shown| shown.object.id)
    }

    /// The event as webhooks and streams send it: the same bytes whenever it is asked for.
    /// `workspace_id` is the workspace's public id, such as `ws_…`.
    pub fn payload(&self, workspace_id: &str) -> String {
        let head = Head {
            id: &self.id,
            event_type: &self.event_type,
            topics: &self.topics,
            timestamp: self.created_at.to_rfc3339(),
            sequence: self.sequence,
            workspace_id,
            actor: ActorHead {
                kind: self.actor.kind.name(),
                id: &self.actor.id,
                name: &self.actor.name,
            },
        };
        // `data` is JSON text already; parsing it only to write it again could change its bytes.
        let mut payload = to_json(&head);
        payload.pop();
        payload.push_str(",\"data\":");
        payload.push_str(&self.data);
        payload.push('}');
        payload
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    event_type: &'a str,
    topics: &'a [String],
    timestamp: String,
    sequence: i64,
    workspace_id: &'a str,
    actor: ActorHead<'a>,
}

#[derive(Serialize)]
struct ActorHead<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    object: &'a Value,
    changed_fields: &'a [String],
    previous: &'a Map<String, Value>,
    #[serde(flatten)]
    beside: &'a Map<String, Value>,
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings, numbers and string-keyed maps always serialize")
}
