//! The caller of an RPC: a key that was authenticated, with its workspace, scopes and limits.

use crate::auth::scope::Scopes;
use crate::clock::Timestamp;
use crate::event::Actor;
use crate::limits::KeyLimits;
use crate::store::{KeyRecord, WorkspaceId};

/// The capability to manage keys through the API.
pub const CAN_MANAGE_API_KEYS: &str = "can_manage_api_keys";

/// An authenticated key. It exists only after authentication.
#[derive(Debug)]
pub struct Caller {
    /// The key as the store knows it.
    pub key: KeyRecord,
    /// The scopes of the key.
    pub scopes: Scopes,
}

impl Caller {
    /// The workspace that the key opens.
    pub fn workspace(&self) -> WorkspaceId {
        self.key.workspace.id
    }

    /// Returns the actor that the events of this caller's changes name.
    pub fn actor(&self) -> Actor {
        Actor::key(&self.key.key_id, &self.key.name)
    }

    /// Returns true if the plan of the key's workspace includes the capability of this name. One
    /// that is not known is not included.
    pub fn has_capability(&self, name: &str) -> bool {
        name == CAN_MANAGE_API_KEYS && self.key.workspace.can_manage_api_keys
    }

    /// The rate limits of the key.
    pub fn limits(&self) -> KeyLimits<'_> {
        KeyLimits {
            key_id: &self.key.key_id,
            per_minute: self.key.per_minute.unsigned_abs(),
            group_per_minute: self.key.group_per_minute.unsigned_abs(),
        }
    }

    /// Returns true if the key's expiry has passed at `now`.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.key.expires_at.is_some_and(|expiry| expiry <= now)
    }
}
