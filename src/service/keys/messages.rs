//! The translation between the messages of the contract and the keys of the store.

use crate::auth::caller::Caller;
use crate::auth::key::KeyText;
use crate::clock::Timestamp;
use crate::config::LIMITS_DEFAULT;
use crate::pb;
use crate::store::{KeyRecord, KeyStatus, KeyUse};

/// The workspace that a caller's key opens.
pub fn account(caller: &Caller) -> pb::Account {
    let workspace = &caller.key.workspace;
    pb::Account {
        id: workspace.public_id.clone(),
        slug: workspace.slug.clone(),
        name: workspace.name.clone(),
        created_at: Some(workspace.created_at.into()),
    }
}

/// A key as the contract shows it.
pub fn api_key(key: &KeyRecord, now: Timestamp) -> pb::ApiKey {
    let status = match key.status(now) {
        KeyStatus::Active => pb::ApiKeyStatus::Active,
        KeyStatus::Expired => pb::ApiKeyStatus::Expired,
        KeyStatus::Revoked => pb::ApiKeyStatus::Revoked,
    };
    pb::ApiKey {
        id: key.key_id.clone(),
        name: key.name.clone(),
        description: key.description.clone(),
        scopes: key.scopes.clone(),
        requested_scopes: key.requested_scopes.clone(),
        limits: Some(pb::ApiKeyLimits {
            per_minute: key.per_minute,
            group_per_minute: key.group_per_minute,
        }),
        expires_at: key.expires_at.map(Into::into),
        status: status.into(),
        created_at: Some(key.created_at.into()),
        created_by: key.created_by,
        last_four: key.last_four.clone(),
        workspace_id: key.workspace.public_id.clone(),
        last_used_at: None,
        last_used_ip: None,
        revoked_at: key.revoked_at.map(Into::into),
        rotated_from: key.rotated_from.clone(),
        rotated_to: key.rotated_to.clone(),
        rate_limits: Vec::new(),
        key: None,
        version: key.version,
        updated_at: Some(key.updated_at.into()),
    }
}

/// A key with its last use.
pub fn with_use(key: pb::ApiKey, last: Option<&KeyUse>) -> pb::ApiKey {
    pb::ApiKey {
        last_used_at: last.map(|last| last.at.into()),
        last_used_ip: last.map(|last| last.client_ip.clone()),
        ..key
    }
}

/// A new key, whole: for the one answer that makes it.
pub fn revealed(key: &KeyRecord, text: &KeyText, now: Timestamp) -> pb::ApiKey {
    pb::ApiKey { key: Some(text.reveal().to_owned()), ..api_key(key, now) }
}

/// The status with this number; validation refuses numbers that the contract does not have.
pub fn status(number: i32) -> Option<KeyStatus> {
    match pb::ApiKeyStatus::try_from(number).ok()? {
        pb::ApiKeyStatus::Unspecified => None,
        pb::ApiKeyStatus::Active => Some(KeyStatus::Active),
        pb::ApiKeyStatus::Expired => Some(KeyStatus::Expired),
        pb::ApiKeyStatus::Revoked => Some(KeyStatus::Revoked),
    }
}

/// The limits that an update sets; without any it sets the usual ones.
pub fn limits_changed(limits: Option<pb::ApiKeyLimitsInput>) -> (Option<i32>, Option<i32>) {
    match limits {
        Some(limits) => (limits.per_minute, limits.group_per_minute),
        None => (Some(LIMITS_DEFAULT.0), Some(LIMITS_DEFAULT.1)),
    }
}
