//! A gate at which tasks of this process take turns for a key, in order of arrival.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::error::Elapsed;

/// The things that are wanted now.
#[derive(Debug)]
pub(super) struct Gate<K> {
    busy: std::sync::Mutex<HashMap<K, Arc<Mutex<()>>>>,
}

/// A turn: until it is dropped, no other task of this process has one for the same key.
#[derive(Debug)]
pub struct Turn<K: Eq + Hash> {
    gate: Arc<Gate<K>>,
    key: K,
    turn: Option<OwnedMutexGuard<()>>,
}

impl<K> Default for Gate<K> {
    fn default() -> Self {
        Self { busy: std::sync::Mutex::default() }
    }
}

impl<K: Eq + Hash + Clone> Gate<K> {
    /// Waits for a turn, for `within` at most.
    pub(super) async fn turn(
        self: &Arc<Self>,
        key: K,
        within: Duration,
    ) -> Result<Turn<K>, Elapsed> {
        let turns = {
            let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(busy.entry(key.clone()).or_default())
        };
        // Made before waiting, so that who gives up cleans up too.
        let mut turn = Turn { gate: Arc::clone(self), key, turn: None };
        turn.turn = Some(tokio::time::timeout(within, turns.lock_owned()).await?);
        Ok(turn)
    }
}

impl<K: Eq + Hash> Drop for Turn<K> {
    fn drop(&mut self) {
        self.turn = None;
        let mut busy = self.gate.busy.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody else holds it: neither works nor waits.
        if busy.get(&self.key).is_some_and(|turns| Arc::strong_count(turns) == 1) {
            busy.remove(&self.key);
        }
    }
}
