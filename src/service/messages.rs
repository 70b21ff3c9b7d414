//! The messages that several services share: actors, changed fields, JSON.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::event::{Actor, ActorKind, RecordedEvent};
use crate::pb;
use crate::store::{HistoryEntry, Workspace};

/// Shows an actor.
pub fn actor(actor: Actor) -> pb::AuditActor {
    let kind = match actor.kind {
        ActorKind::Key => pb::ActorType::Key,
        ActorKind::Operator => pb::ActorType::Operator,
        ActorKind::System => pb::ActorType::System,
        ActorKind::User => pb::ActorType::User,
    };
    pb::AuditActor { r#type: kind.into(), id: actor.id, name: actor.name }
}

/// A field that has changed.
pub fn history_entry(entry: HistoryEntry) -> pb::HistoryEntry {
    pb::HistoryEntry {
        id: entry.id,
        field: entry.field,
        from: Some(value(entry.from)),
        to: Some(value(entry.to)),
        actor: Some(actor(entry.actor)),
        request_id: entry.request_id,
        created_at: Some(entry.created_at.into()),
        external_id: entry.external_id,
    }
}

/// An event of a workspace.
pub fn event(event: &RecordedEvent, workspace: &Workspace) -> Result<pb::Event, Error> {
    let data = serde_json::from_str(&event.data).map_err(Error::internal)?;
    Ok(pb::Event {
        id: event.id.clone(),
        r#type: event.event_type.clone(),
        topics: event.topics.clone(),
        timestamp: Some(event.created_at.into()),
        sequence: event.sequence,
        workspace_id: workspace.public_id.clone(),
        actor: Some(actor(event.actor.clone())),
        data: Some(structure(data)),
    })
}

/// A JSON object as a message.
pub fn structure(object: Map<String, Value>) -> Struct {
    Struct { fields: object.into_iter().map(|(name, value)| (name, self::value(value))).collect() }
}

/// A JSON value as a message.
pub fn value(value: Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(flag),
        // Numbers of a Struct are doubles; what is shown here stays far below where they round.
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(values) => {
            Kind::ListValue(ListValue { values: values.into_iter().map(self::value).collect() })
        }
        Value::Object(object) => Kind::StructValue(structure(object)),
    };
    prost_types::Value { kind: Some(kind) }
}
