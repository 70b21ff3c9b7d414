//! Checks that the ids in a ticket name something in its workspace, and that tickets nest soundly.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::Value;
use rest::Violations;

use crate::error::Error;
use crate::pb;
use crate::service::custom_fields::values;
use crate::service::references;
use crate::store::assets::Asset;
use crate::store::tickets::{CustomValue, CustomValues, PARENT_DEPTH_MAX, Ticket};
use crate::store::{CategoryConfig, CustomField, Tx, User};

/// The resources that a new ticket names, as they were found.
pub struct Named {
    /// The category of the workspace's own.
    pub category: Option<CategoryConfig>,
    /// The values of custom fields.
    pub custom_fields: CustomValues,
}

/// The custom fields with these keys, and those that new tickets must have a value of.
pub async fn fields_of(
    tx: &Tx,
    keys: impl Iterator<Item = &String>,
) -> Result<Vec<CustomField>, Error> {
    let keys: BTreeSet<_> = keys.cloned().collect();
    tx.custom_fields(&Vec::from_iter(keys)).await
}

/// Checks every reference of a new ticket and the values of its custom fields, and returns what it
/// names. `fields` are those of [`fields_of`]. Where it names a parent, the parents are locked.
pub async fn check_new(
    tx: &mut Tx,
    fields: &[CustomField],
    new: &pb::CreateTicketRequest,
) -> Result<Named, Error> {
    let mut users = users(new.requester_id, new.assignee_id, &new.watcher_user_ids);
    let mut violations = Violations::default();
    let category = category(tx, new.category_config_id, &mut violations).await?;
    let custom_fields = values::apply(fields, None, &new.custom_fields, &mut violations);
    users.extend(custom_users(&custom_fields, &CustomValues::new()));
    check(tx, users, &new.asset_ids, (new.parent_id, None), violations).await?;
    Ok(Named { category, custom_fields })
}

/// The values of a ticket's custom fields after what an update sends of them.
pub async fn custom_fields(
    tx: &Tx,
    before: &CustomValues,
    sent: &BTreeMap<String, Value>,
    violations: &mut Violations,
) -> Result<CustomValues, Error> {
    // Without an entry all of them are cleared.
    let cleared = before.keys().filter(|_| sent.is_empty());
    let keys: Vec<_> = sent.keys().chain(cleared).cloned().collect();
    let fields = tx.custom_fields(&keys).await?;
    Ok(values::apply(&fields, Some(before), sent, violations))
}

/// The category that a ticket is to get, which must be active.
pub async fn category(
    tx: &Tx,
    id: Option<i64>,
    violations: &mut Violations,
) -> Result<Option<CategoryConfig>, Error> {
    let Some(id) = id else { return Ok(None) };
    let found = tx.find::<CategoryConfig>(id).await?.filter(|config| config.is_active);
    if found.is_none() {
        let message = "categoryConfigId names no active category of this workspace";
        violations.add("categoryConfigId", "INVALID_REFERENCE", message);
    }
    Ok(found)
}

/// Checks the references that a change brings in, beside what is wrong already. Where it names a
/// parent, the parents are locked.
pub async fn check_changed(
    tx: &mut Tx,
    before: &Ticket,
    after: &Ticket,
    violations: Violations,
) -> Result<(), Error> {
    let requester = after.requester_id.filter(|_| before.requester_id != after.requester_id);
    let assignee = after.assignee_id.filter(|_| before.assignee_id != after.assignee_id);
    let rewatched = before.watcher_user_ids != after.watcher_user_ids;
    let watchers = if rewatched { after.watcher_user_ids.as_slice() } else { &[] };
    let parent = after.parent_id.filter(|_| before.parent_id != after.parent_id);
    let mut users = users(requester, assignee, watchers);
    users.extend(custom_users(&after.custom_fields, &before.custom_fields));
    let assets = match before.asset_ids == after.asset_ids {
        true => &[],
        false => after.asset_ids.as_slice(),
    };
    check(tx, users, assets, (parent, Some(after.id)), violations).await
}

/// The users that a ticket refers to, each with the field it stands in.
fn users(requester: Option<i64>, assignee: Option<i64>, watchers: &[i64]) -> Vec<(String, i64)> {
    let requester = requester.map(|id| ("requesterId".to_owned(), id));
    let assignee = assignee.map(|id| ("assigneeId".to_owned(), id));
    let watchers = numbered("watcherUserIds", watchers);
    requester.into_iter().chain(assignee).chain(watchers).collect()
}

/// Returns the users that custom fields refer to and did not before, each with its field.
fn custom_users<'v>(
    after: &'v CustomValues,
    before: &'v CustomValues,
) -> impl Iterator<Item = (String, i64)> + 'v {
    let changed = after.iter().filter(|(key, value)| before.get(*key) != Some(value));
    changed.filter_map(|(key, value)| match value {
        CustomValue::User(id) => Some((format!("customFields.{key}"), *id)),
        _ => None,
    })
}

async fn check(
    tx: &mut Tx,
    users: Vec<(String, i64)>,
    assets: &[i64],
    (parent, child): (Option<i64>, Option<i64>),
    mut violations: Violations,
) -> Result<(), Error> {
    references::check::<User>(tx, &users, &mut violations).await?;
    let assets: Vec<_> = numbered("assetIds", assets).collect();
    references::check::<Asset>(tx, &assets, &mut violations).await?;
    if let Some(parent) = parent {
        check_parent(tx, parent, child, &mut violations).await?;
    }
    references::refuse(violations)
}

/// Returns the ids of a list, each with its place.
fn numbered(field: &str, ids: &[i64]) -> impl Iterator<Item = (String, i64)> {
    ids.iter().enumerate().map(move |(at, id)| (format!("{field}[{at}]"), *id))
}

/// Checks that `parent` exists, and that hanging `child` (none: a new ticket) under it makes
/// neither a circle nor a tree that is too deep.
async fn check_parent(
    tx: &mut Tx,
    parent: i64,
    child: Option<i64>,
    violations: &mut Violations,
) -> Result<(), Error> {
    if !tx.missing::<Ticket>(&[parent]).await?.is_empty() {
        let message = "parentId names no ticket of this workspace";
        violations.add("parentId", "INVALID_REFERENCE", message);
        return Ok(());
    }
    let above = tx.ancestors(parent).await?;
    if child.is_some_and(|child| child == parent || above.contains(&child)) {
        let message = "parentId must not be the ticket itself or one that is part of it";
        violations.add("parentId", "CYCLE", message);
        return Ok(());
    }
    let below = match child {
        Some(child) => tx.subtree_height(child).await?,
        None => 0,
    };
    // What is above the parent, the parent, the ticket itself, and what is below it.
    if above.len() as i64 + 2 + below > PARENT_DEPTH_MAX {
        let message = format!("parentId would nest tickets more than {PARENT_DEPTH_MAX} deep");
        violations.add("parentId", "TOO_DEEP", message);
    }
    Ok(())
}
