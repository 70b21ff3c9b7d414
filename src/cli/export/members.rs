//! The members of each kind of record that another workspace can have as they are.

use serde::Serialize;
use serde_json::{Map, Value};

pub const TICKET: &[&str] = &[
    "title",
    "description",
    "type",
    "category",
    "priority",
    "impact",
    "urgency",
    "status",
    "pendingReason",
    "resolution",
    "tags",
    "dueAt",
    "source",
    "customFields",
    "reopenCount",
    "createdAt",
    "resolvedAt",
    "closedAt",
    "updatedAt",
];
pub const USER: &[&str] = &[
    "email",
    "displayName",
    "role",
    "status",
    "phone",
    "title",
    "department",
    "timezone",
    "locale",
];
pub const ASSET: &[&str] = &[
    "assetTag",
    "name",
    "type",
    "status",
    "serialNumber",
    "manufacturer",
    "model",
    "location",
    "purchaseDate",
    "purchaseCost",
    "currency",
    "warrantyExpiresAt",
    "notes",
    "tags",
];
pub const PROJECT: &[&str] = &["key", "name", "description", "status", "startDate", "dueDate"];
pub const TASK: &[&str] =
    &["taskNumber", "title", "description", "priority", "status", "dueDate", "estimateMinutes"];
pub const ARTICLE: &[&str] =
    &["slug", "title", "summary", "body", "kind", "status", "category", "tags"];

/// Returns these members of a resource, as the API shows them.
pub fn kept(resource: &impl Serialize, members: &[&str]) -> Map<String, Value> {
    let Ok(Value::Object(mut shown)) = serde_json::to_value(resource) else { return Map::new() };
    let kept = members.iter().filter_map(|name| Some(((*name).to_owned(), shown.remove(*name)?)));
    kept.collect()
}
