//! The records of a new or changed resource: its event, and its entry in the audit log.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

use super::object;
use crate::error::Error;
use crate::event::Event;
use crate::event_type::EventType;
use crate::resource::Resource;
use crate::store::nouns::Noun;
use crate::store::{NewAuditLog, Tx};

/// The event of a new resource. `resource` is its message.
pub fn created(of: Resource, resource: &impl Serialize) -> Event {
    created_as(of.created(), resource)
}

/// Makes the event of a new resource with another type than that of its kind.
pub fn created_as(event_type: EventType, resource: &impl Serialize) -> Event {
    Event {
        event_type,
        topics: vec![event_type.name().to_owned()],
        object: object(resource).into(),
        changed_fields: Vec::new(),
        previous: Map::new(),
        beside: Map::new(),
    }
}

/// The event of a changed resource, as [`changed`] makes it.
pub fn updated<R: Serialize>(
    of: Resource,
    before: &R,
    after: &R,
    topics: impl IntoIterator<Item = &'static str>,
) -> Event {
    changed(of.updated(), before, after, topics)
}

/// The event of a change, with the fields that differ and what they were; `topics` are the narrower
/// ones that it can be subscribed to by beside its type.
///
/// `version`, `updatedAt` and `updatedBy` differ in every change and are not listed.
pub fn changed<R: Serialize>(
    event_type: EventType,
    before: &R,
    after: &R,
    topics: impl IntoIterator<Item = &'static str>,
) -> Event {
    /// A map whose entries are fields of their own.
    const BY_ENTRY: &str = "customFields";
    const EVERY_CHANGE: [&str; 3] = ["version", "updatedAt", "updatedBy"];
    let (was, object) = (object(before), object(after));
    let mut previous = Map::new();
    for (field, value) in was {
        match (value, object.get(&field)) {
            (was, Some(is)) if was == *is => {}
            _ if EVERY_CHANGE.contains(&field.as_str()) => {}
            (Value::Object(was), Some(Value::Object(is))) if field == BY_ENTRY => {
                previous.extend(entries(&field, &was, is));
            }
            (value, _) => {
                previous.insert(field, value);
            }
        }
    }
    let topics = [event_type.name()].into_iter().chain(topics).map(str::to_owned).collect();
    let changed_fields = previous.keys().cloned().collect();
    let (object, beside) = (object.into(), Map::new());
    Event { event_type, topics, object, changed_fields, previous, beside }
}

/// The entries of a map that differ, each as a field such as `customFields.cost_center`.
fn entries<'m>(
    field: &'m str,
    was: &'m Map<String, Value>,
    is: &'m Map<String, Value>,
) -> impl Iterator<Item = (String, Value)> + 'm {
    let keys: BTreeSet<_> = was.keys().chain(is.keys()).collect();
    let changed = keys.into_iter().filter(|key| was.get(*key) != is.get(*key));
    changed.map(move |key| (format!("{field}.{key}"), was.get(key).cloned().unwrap_or_default()))
}

/// Records a new resource, which its message shows: the event, and the entry of the audit log.
pub fn record_created<R: Serialize>(tx: &mut Tx, of: Resource, id: impl ToString, made: &R) {
    record_created_as(tx, of, of.created(), id, made);
}

/// Records a new resource as [`record_created`] does, by an event of another type.
pub fn record_created_as<R: Serialize>(
    tx: &mut Tx,
    of: Resource,
    event_type: EventType,
    id: impl ToString,
    made: &R,
) {
    tx.record(created_as(event_type, made));
    tx.audit(audit(of, "create", id, None, Some(made)));
}

/// Makes of a row the row `after`, unless they are equal, and shows it. Event, history and the entry of
/// the audit log tell of the change.
pub async fn update_audited<N: Noun + PartialEq, R: Serialize>(
    tx: &mut Tx,
    before: N,
    after: N,
    shown: impl Fn(N) -> R,
) -> Result<R, Error> {
    if after == before {
        return Ok(shown(before));
    }
    let of = N::table().resource;
    let after = tx.update(&before, after).await?;
    let (was, is) = (shown(before), shown(after.clone()));
    tx.record_update(&after, updated(of, &was, &is, []));
    tx.audit(audit(of, "update", after.id(), Some(&was), Some(&is)));
    Ok(is)
}

/// The audit log's entry of what somebody did to a resource; `verb` is such as `create`.
pub fn audit<R: Serialize>(
    of: Resource,
    verb: &str,
    id: impl ToString,
    before: Option<&R>,
    after: Option<&R>,
) -> NewAuditLog {
    let resource_type = of.resource_type();
    NewAuditLog {
        action: format!("{resource_type}.{verb}").into(),
        resource_type,
        resource_id: Some(id.to_string()),
        before: before.map(object),
        after: after.map(object),
        ..NewAuditLog::default()
    }
}
