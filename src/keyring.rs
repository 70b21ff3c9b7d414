//! The keys that this process knows: the one owner of cached callers.
//!
//! Cached by the hash of the whole key, so that an unknown, a wrong and a right key with a wrong
//! secret cost the same; a key that is not accepted is never cached.

use std::sync::Arc;

use quick_cache::sync::Cache;
use subtle::ConstantTimeEq;

use crate::caller::Caller;
use crate::config::KEYS_CACHED_MAX;
use crate::error::Error;
use crate::key::{KeyHash, KeyText};
use crate::scope::Scopes;
use crate::store::Store;

/// The cache in front of the keys in the store.
pub struct KeyRing {
    store: Store,
    callers: Cache<KeyHash, Arc<Caller>>,
}

impl KeyRing {
    /// An empty ring over `store`.
    pub fn new(store: Store) -> Self {
        Self { store, callers: Cache::new(KEYS_CACHED_MAX) }
    }

    /// The caller with this key if it was seen before: no I/O.
    pub fn known(&self, hash: &KeyHash) -> Option<Arc<Caller>> {
        self.callers.get(hash)
    }

    /// The caller with this key by the store, if the key exists and was not revoked. Its expiry is
    /// for whoever asks.
    pub async fn find(&self, key: &KeyText, hash: KeyHash) -> Result<Option<Arc<Caller>>, Error> {
        let Some(record) = self.store.find_key(key.id()).await? else {
            return Ok(None);
        };
        let verified = bool::from(record.key_hash.ct_eq(&hash.0)) && record.revoked_at.is_none();
        if !verified {
            return Ok(None);
        }
        let scopes = Scopes::of_names(&record.scopes).map_err(|name| {
            Error::internal(format!("key {} has the unknown scope {name}", record.key_id))
        })?;
        let caller = Arc::new(Caller { key: record, scopes });
        self.callers.insert(hash, Arc::clone(&caller));
        Ok(Some(caller))
    }
}
