//! The keys whose streams are open: how many each has, and what each stream is told when the rights
//! of its key change.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{KeyRing, Known};
use crate::auth::caller::Caller;
use crate::auth::key::KeyHash;
use crate::config::STREAMS_PER_KEY_MAX;
use crate::error::Error;

/// The rights of the key of an open stream, as far as they are known.
#[derive(Debug, Clone)]
pub enum Rights {
    /// The caller as it is now.
    Known(Arc<Caller>),
    /// The key was revoked.
    Revoked,
    /// A change may have been missed: only the database can tell.
    Unknown,
}

/// The keys with open streams.
#[derive(Default)]
pub(super) struct Streams(Mutex<HashMap<KeyHash, Open>>);

struct Open {
    count: usize,
    rights: watch::Sender<Rights>,
}

/// An open stream of a key, which is counted until it is dropped.
pub struct OpenStream {
    ring: Arc<KeyRing>,
    key_id: String,
    hash: KeyHash,
    /// The rights of the key, as far as they are known.
    pub rights: watch::Receiver<Rights>,
}

impl Streams {
    /// Tells the streams of a key what its rights are now.
    pub(super) fn tell(&self, hash: &KeyHash, rights: Rights) {
        if let Some(open) = self.lock().get(hash) {
            open.rights.send_replace(rights);
        }
    }

    /// Tells all streams that the known rights of their keys do not count any more.
    pub(super) fn forget(&self) {
        for open in self.lock().values() {
            open.rights.send_if_modified(|rights| {
                let counts = matches!(rights, Rights::Known(_));
                if counts {
                    *rights = Rights::Unknown;
                }
                counts
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<KeyHash, Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyRing {
    /// Opens a stream of a caller; none when its key has as many as it may have in this process.
    pub fn open_stream(self: &Arc<Self>, caller: &Caller) -> Option<OpenStream> {
        let (key_id, hash) = (caller.key.key_id.clone(), KeyHash(caller.key.key_hash));
        let mut streams = self.streams.lock();
        let open = streams
            .entry(hash)
            .or_insert_with(|| Open { count: 0, rights: watch::Sender::new(Rights::Unknown) });
        if open.count >= STREAMS_PER_KEY_MAX {
            return None;
        }
        open.count += 1;
        let rights = open.rights.subscribe();
        drop(streams);
        // Only now that changes are told: one that was applied before shows in what is known.
        let before = self.generation();
        if let Known::Caller(caller) = self.known(&hash) {
            self.tell_unless_changed(before, &hash, Rights::Known(caller));
        }
        Some(OpenStream { ring: Arc::clone(self), key_id, hash, rights })
    }
}

impl KeyRing {
    /// Tells the streams of a key its rights, unless a key has changed, or was forgotten, since
    /// `generation`; returns whether they were told.
    fn tell_unless_changed(&self, generation: u64, hash: &KeyHash, found: Rights) -> bool {
        let now = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        let unchanged = *now == generation;
        if unchanged {
            self.streams.tell(hash, found);
        }
        unchanged
    }
}

impl OpenStream {
    /// Returns true if the known rights of the key may be relied on without asking the database.
    pub fn is_fresh(&self) -> bool {
        self.ring.watch.is_fresh()
    }

    /// Asks the database for the key, and tells its streams the answer.
    pub fn confirm(&self) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let (ring, key_id, hash) = (Arc::clone(&self.ring), self.key_id.clone(), self.hash);
        async move {
            loop {
                let before = ring.generation();
                let found = ring.find_by_id(&key_id, hash).await?;
                let rights = found.map_or(Rights::Revoked, Rights::Known);
                // What changed meanwhile may be newer than what was read.
                if ring.tell_unless_changed(before, &hash, rights) {
                    return Ok(());
                }
            }
        }
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        if let Entry::Occupied(mut open) = self.ring.streams.lock().entry(self.hash) {
            open.get_mut().count -= 1;
            if open.get().count == 0 {
                open.remove();
            }
        }
    }
}
