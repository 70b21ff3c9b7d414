//! The lifecycle of keys within a change of their workspace: made, changed, rotated and revoked,
//! with the events and the entries of the audit log.

use rest::Mask;

use super::{grants, messages};
use crate::auth::caller::Caller;
use crate::auth::key::KeyText;
use crate::auth::keyring::KeyRing;
use crate::auth::scope::Scopes;
use crate::clock::Timestamp;
use crate::error::{Error, Kind, Transition};
use crate::event::{Actor, Event};
use crate::event_type::EventType;
use crate::pb;
use crate::preconditions::Precondition;
use crate::resource::Resource;
use crate::service::{changes, object};
use crate::store::{
    KeyChanges, KeyRecord, KeyStatus, MadeBy, NewAuditLog, NewKey, Store, Tx, WorkspaceId,
};

/// The hour within which a workspace may make so many keys.
const HOUR_MILLIS: i64 = 3600 * 1000;

/// The key that a caller may make of what it asks for.
pub fn new_key(
    caller: &Caller,
    message: &pb::CreateKeyRequest,
    text: &KeyText,
) -> Result<NewKey, Error> {
    let scopes = scopes(&message.scopes)?;
    let asked = message.limits.unwrap_or_default();
    grants::may_set_limits(caller, message.limits.is_some())?;
    let (per_minute, group_per_minute) = grants::limits(caller, asked);
    let expires_at = message.expires_at.map(Timestamp::from).or(caller.key.expires_at);
    grants::may_grant(caller, scopes, (per_minute, group_per_minute), expires_at)?;
    Ok(NewKey {
        key_id: text.id().to_owned(),
        key_hash: text.hash().0,
        name: message.name.clone(),
        description: message.description.clone(),
        scopes: names(scopes),
        requested_scopes: message.scopes.clone(),
        per_minute,
        group_per_minute,
        expires_at,
        created_by: Some(caller.key.system_user_id),
        last_four: text.last_four().to_owned(),
        made_by: MadeBy::Caller,
    })
}

fn scopes(names: &[String]) -> Result<Scopes, Error> {
    Scopes::of_names(names)
        .map_err(|name| Error::internal(format!("the scope {name} passed validation")))
}

fn names(scopes: Scopes) -> Vec<String> {
    scopes.names().into_iter().map(str::to_owned).collect()
}

/// Returns the changes that an update asks for; a field that the mask does not name stays as it is.
pub fn changes(message: &pb::UpdateKeyRequest, mask: &Mask) -> Result<KeyChanges, Error> {
    let mut changes = KeyChanges::default();
    for field in mask.iter() {
        match field {
            "name" => changes.name.clone_from(&message.name),
            "description" => changes.description = Some(message.description.clone()),
            "scopes" => {
                let native = names(scopes(&message.scopes)?);
                changes.scopes = Some((native, message.scopes.clone()));
            }
            "expires_at" => changes.expires_at = Some(message.expires_at.map(Timestamp::from)),
            "limits" => {
                (changes.per_minute, changes.group_per_minute) =
                    messages::limits_changed(message.limits)
            }
            _ => {}
        }
    }
    Ok(changes)
}

/// Refuses a key beyond the workspace's cap, or beyond what it may make within an hour.
pub async fn admit(tx: &mut Tx) -> Result<(), Error> {
    let workspace = tx.lock_keys().await?;
    if tx.count_active_keys().await? >= i64::from(workspace.max_active_keys) {
        return Err(cap_reached(workspace.max_active_keys));
    }
    let most = u64::from(workspace.key_creations_per_hour.unsigned_abs());
    let hour_ago = tx.now().plus_millis(-HOUR_MILLIS);
    let made = tx.list_key_creations(hour_ago, most.max(1)).await?;
    if (made.len() as u64) < most {
        return Ok(());
    }
    // Where none may be made at all, an hour is as good an answer as any.
    let oldest = made.last().filter(|_| most > 0).copied().unwrap_or(tx.now());
    let wait = oldest.plus_millis(HOUR_MILLIS - tx.now().0).0;
    let retry_after_secs = (wait + 999).div_euclid(1000).clamp(1, 3600) as u32;
    let message = format!(
        "The workspace may make {most} keys within an hour. Retry after {retry_after_secs} seconds, or ask a workspace admin to raise keyCreationsPerHour."
    );
    Err(Error::new(Kind::ApiKeyCreationLimited { retry_after_secs }, message))
}

/// The refusal of a key beyond the cap.
pub fn cap_reached(max_active_keys: i32) -> Error {
    let message = format!(
        "The workspace has {max_active_keys} active API keys, as many as it may have. Revoke one first, or raise maxActiveKeys."
    );
    Error::new(Kind::ApiKeyLimitReached, message)
}

/// Revokes a key, unless it is revoked already, and returns it.
pub async fn revoke(tx: &mut Tx, before: KeyRecord) -> Result<KeyRecord, Error> {
    if before.revoked_at.is_some() {
        return Ok(before);
    }
    tx.revoke_key(&before.key_id).await?;
    let after = made(tx, &before.key_id).await?;
    tx.record(changed(EventType::ApiKeyRevoked, &before, &after, tx.now()));
    tx.audit(audit("api_key.revoke", &before.key_id, Some(&before), Some(&after), tx.now()));
    Ok(after)
}

/// Revokes a key that leaked, and returns when nobody accepts it any more.
pub async fn revoke_leaked(
    store: &Store,
    ring: &KeyRing,
    workspace: WorkspaceId,
    key_id: &str,
    actor: Actor,
) -> Result<(), Error> {
    let locking = store.begin_locking(workspace, actor).await?;
    match locking.find_key_for_update(key_id, &Precondition::default()).await {
        Ok((key, mut tx)) => {
            revoke(&mut tx, key).await?;
            tx.commit().await?;
        }
        // It was there a moment ago, and is nobody's now.
        Err(error) if error.kind == Kind::NotFound(Resource::ApiKey) => {}
        Err(error) => return Err(error),
    }
    ring.settle().await;
    Ok(())
}

pub fn check_rotation(old: &KeyRecord, now: Timestamp) -> Result<(), Error> {
    if let Some(successor) = &old.rotated_to {
        let message = format!("The key has a successor already: rotate `{successor}` instead.");
        return Err(Error::new(Kind::AlreadyExists, message));
    }
    let from = match old.status(now) {
        KeyStatus::Active => return Ok(()),
        KeyStatus::Expired => "EXPIRED",
        KeyStatus::Revoked => "REVOKED",
    };
    let message = format!("A key that is {from} cannot be rotated. Make a new one.");
    let transition = Transition { from: from.into(), to: "ACTIVE".into(), allowed: Vec::new() };
    Err(Error::new(Kind::InvalidStatusTransition(Box::new(transition)), message))
}

/// Makes the successor of `old`, which then expires after `grace` milliseconds at the latest.
pub async fn successor(
    tx: &mut Tx,
    caller: &Caller,
    old: &KeyRecord,
    text: &KeyText,
    grace: i64,
) -> Result<KeyRecord, Error> {
    tx.lock_keys().await?;
    let new = NewKey {
        key_id: text.id().to_owned(),
        key_hash: text.hash().0,
        name: old.name.clone(),
        description: old.description.clone(),
        scopes: old.scopes.clone(),
        requested_scopes: old.requested_scopes.clone(),
        per_minute: old.per_minute,
        group_per_minute: old.group_per_minute,
        expires_at: old.expires_at,
        created_by: Some(caller.key.system_user_id),
        last_four: text.last_four().to_owned(),
        made_by: MadeBy::Rotation,
    };
    tx.insert_key(new).await?;
    let end = tx.now().plus_millis(grace);
    let old_expiry = old.expires_at.map_or(end, |expiry| expiry.min(end));
    tx.rotate_key(old, text.id(), old_expiry).await?;
    let (after, new) = (made(tx, &old.key_id).await?, made(tx, text.id()).await?);
    tx.record(changed(EventType::ApiKeyRotated, old, &after, tx.now()));
    tx.record(created(&new, tx.now()));
    tx.audit(audit("api_key.rotate", &old.key_id, Some(old), Some(&after), tx.now()));
    tx.audit(audit("api_key.create", &new.key_id, None, Some(&new), tx.now()));
    Ok(new)
}

/// A key as this change has left it.
pub async fn made(tx: &Tx, key_id: &str) -> Result<KeyRecord, Error> {
    tx.find_key(key_id).await?.ok_or_else(|| Error::internal("a key that was just written is gone"))
}

/// The event of a new key.
pub fn created(key: &KeyRecord, now: Timestamp) -> Event {
    changes::created(Resource::ApiKey, &messages::api_key(key, now))
}

/// The event of a change of a key.
pub fn changed(
    event_type: EventType,
    before: &KeyRecord,
    after: &KeyRecord,
    now: Timestamp,
) -> Event {
    let (before, after) = (messages::api_key(before, now), messages::api_key(after, now));
    changes::changed(event_type, &before, &after, [])
}

/// The audit log's entry of a change of a key.
pub fn audit(
    action: &'static str,
    key_id: &str,
    before: Option<&KeyRecord>,
    after: Option<&KeyRecord>,
    now: Timestamp,
) -> NewAuditLog {
    let shown = |key: &KeyRecord| object(&messages::api_key(key, now));
    NewAuditLog {
        action: action.into(),
        resource_type: "api_key",
        resource_id: Some(key_id.to_owned()),
        before: before.map(shown),
        after: after.map(shown),
        ..NewAuditLog::default()
    }
}
