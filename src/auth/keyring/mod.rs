//! The keys that this process knows: the one owner of cached callers.
//!
//! Callers are cached by the hash of the whole key; a key that is not accepted is never cached. Beside
//! them stand the fingerprints of all keys that are not revoked (`fingerprints`): a key without one is
//! refused without asking anybody, so that guesses cost nothing and spend nobody else's attempts.
//!
//! What is held is trusted for [`KEY_LEASE`] after the key epoch was last read (`watch`), by this
//! process's own monotonic clock. Any process that changes a key raises the epoch and then waits
//! ([`KeyRing::settle`]) until every other one has applied the change or its lease has run out: when
//! a revocation has returned, nothing accepts the key. A process that cannot read the epoch asks
//! the database about each request, and can accept none when that is away.

mod fingerprints;
mod flights;
mod streams;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::Mutex;
use std::sync::{Arc, PoisonError};

use quick_cache::sync::Cache;
use subtle::ConstantTimeEq;

use crate::auth::caller::Caller;
use crate::auth::key::{KeyHash, KeyText};
use crate::auth::scope::Scopes;
use crate::config::{KEY_FINGERPRINTS_MAX, KEY_LEASE, KEYS_CACHED_MAX};
use crate::error::Error;
use crate::id;
use crate::store::{KeyRecord, Store};

use fingerprints::{Fingerprints, Held};
use flights::Flights;
use streams::Streams;

pub use streams::{OpenStream, Rights};
pub use watch::settle;

/// The most times that a key is read anew because the read took longer than a lease.
const READS_MAX: usize = 3;

/// The state of a key in the ring's memory.
#[derive(Debug, Clone)]
pub enum Known {
    /// The caller with this key.
    Caller(Arc<Caller>),
    /// The key exists, or did a moment ago: the database tells the rest.
    Exists,
    /// The key does not exist, or it was revoked.
    Nothing,
    /// Only the database can tell: the key epoch cannot be read, or there are more keys than
    /// fingerprints.
    Undecided,
}

/// The cache in front of the keys in the store.
pub struct KeyRing {
    store: Store,
    /// A second store of the same database, by connections that only the watch uses.
    watching: Store,
    callers: Cache<KeyHash, Arc<Caller>>,
    fingerprints: Fingerprints,
    flights: Flights,
    streams: Streams,
    /// Counts the times that something was taken from the cache or replaced in it. Who fills the
    /// cache holds it, and does not put in what may have been taken out since it was read.
    generation: Mutex<u64>,
    watch: watch::Watch,
}

impl KeyRing {
    /// An empty ring over `store`. It trusts its memory only while [`KeyRing::watch`] runs.
    pub fn new(store: Store) -> Self {
        Self {
            watching: store.watching(),
            store,
            callers: Cache::new(KEYS_CACHED_MAX),
            fingerprints: Fingerprints::new(KEY_FINGERPRINTS_MAX),
            flights: Flights::default(),
            streams: Streams::default(),
            generation: Mutex::new(0),
            watch: watch::Watch::new(id::watcher()),
        }
    }

    /// Looks the key with this hash up in memory, without I/O.
    pub fn known(&self, hash: &KeyHash) -> Known {
        let is_fresh = self.watch.is_fresh();
        if let Some(caller) = self.callers.get(hash).filter(|_| is_fresh) {
            return Known::Caller(caller);
        }
        match self.fingerprints.find(&hash.0) {
            Held::Yes => Known::Exists,
            Held::No if is_fresh => Known::Nothing,
            Held::No | Held::Perhaps => Known::Undecided,
        }
    }

    /// The caller with this key by the store, if the key exists and was not revoked. Its expiry is
    /// for whoever asks.
    pub async fn find(&self, key: &KeyText, hash: KeyHash) -> Result<Option<Arc<Caller>>, Error> {
        self.find_by_id(key.id(), hash).await
    }

    async fn find_by_id(&self, key_id: &str, hash: KeyHash) -> Result<Option<Arc<Caller>>, Error> {
        for _ in 0..READS_MAX {
            let seat = self.flights.join(hash, || self.generation());
            let flight = &seat.flight;
            let found = flight.found.get_or_init(|| self.store.find_key(key_id)).await.clone();
            // A read that began before this request may have missed what has changed since.
            let is_current = seat.is_first || self.generation() == flight.generation;
            // Read, and then not run for so long that it may have been revoked and be settled.
            if is_current && flight.began.elapsed() < KEY_LEASE {
                return self.verified(found?, hash, flight.generation);
            }
        }
        Err(Error::unavailable("reading a key takes longer than a lease"))
    }

    /// An unknown key is compared too, with a hash that no key has: its time must not tell.
    fn verified(
        &self,
        record: Option<KeyRecord>,
        hash: KeyHash,
        generation: u64,
    ) -> Result<Option<Arc<Caller>>, Error> {
        let held = record.as_ref().map_or([0; 32], |record| record.key_hash);
        let matches = bool::from(held.ct_eq(&hash.0));
        let accepted = record.filter(|record| matches && record.revoked_at.is_none());
        let Some(caller) = accepted.map(caller).transpose()? else {
            return Ok(None);
        };
        let unchanged = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        if *unchanged == generation {
            self.callers.insert(hash, Arc::clone(&caller));
        }
        Ok(Some(caller))
    }

    fn generation(&self) -> u64 {
        *self.generation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces what the ring holds of a key by its present record.
    fn replace(&self, record: KeyRecord) -> Result<(), Error> {
        let hash = KeyHash(record.key_hash);
        let mut generation = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        *generation += 1;
        if record.revoked_at.is_some() {
            self.fingerprints.remove(&hash.0);
            self.callers.remove(&hash);
            self.streams.tell(&hash, Rights::Revoked);
            return Ok(());
        }
        self.fingerprints.insert(&hash.0);
        let caller = caller(record)?;
        if self.callers.peek(&hash).is_some() {
            self.callers.insert(hash, Arc::clone(&caller));
        }
        self.streams.tell(&hash, Rights::Known(caller));
        Ok(())
    }

    /// Begins anew, with the fingerprints of the keys that there are now and no caller.
    async fn reload(&self) -> Result<(), Error> {
        // Before the read: what changes after it is applied to what was read.
        self.clear();
        let hashes = self.watching.list_key_hashes(KEY_FINGERPRINTS_MAX + 1).await?;
        self.fingerprints.replace(hashes.iter());
        if hashes.len() > KEY_FINGERPRINTS_MAX {
            tracing::warn!(
                most = KEY_FINGERPRINTS_MAX,
                "more keys than fingerprints are held: keys without one spend an attempt of their address when they are first used"
            );
        }
        tracing::debug!(keys = self.fingerprints.len(), "the fingerprints of keys are loaded");
        Ok(())
    }

    /// Forgets every caller.
    fn clear(&self) {
        let mut generation = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        *generation += 1;
        self.callers.clear();
        self.streams.forget();
    }
}

fn caller(record: KeyRecord) -> Result<Arc<Caller>, Error> {
    let scopes = Scopes::of_names(&record.scopes).map_err(|name| {
        Error::internal(format!("key {} has the unknown scope {name}", record.key_id))
    })?;
    Ok(Arc::new(Caller { key: record, scopes }))
}
