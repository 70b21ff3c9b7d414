//! Reads of one key that are under way: requests that ask for the same key at the same time share
//! one read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::OnceCell;

use crate::error::Error;
use crate::key::KeyHash;
use crate::store::KeyRecord;

/// The reads that are under way, by the hash of the whole key.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<KeyHash, Arc<Flight>>>);

/// A read that several requests may wait for.
pub(super) struct Flight {
    /// When it was asked for first.
    pub(super) began: Instant,
    /// The ring's generation at that moment.
    pub(super) generation: u64,
    /// What the database answers. Whoever waits goes on with the read if who began it is gone.
    pub(super) found: OnceCell<Result<Option<KeyRecord>, Error>>,
}

/// A place among those who wait for a read. The last one to leave ends it.
pub(super) struct Seat<'a> {
    flights: &'a Flights,
    hash: KeyHash,
    pub(super) flight: Arc<Flight>,
    /// Whether the read began with this request.
    pub(super) is_first: bool,
}

impl Flights {
    /// Takes a place with the read of this key that is under way, or begins one.
    pub(super) fn join(&self, hash: KeyHash, generation: impl FnOnce() -> u64) -> Seat<'_> {
        let mut flights = self.lock();
        let under_way = flights.get(&hash).map(Arc::clone);
        let is_first = under_way.is_none();
        let flight = under_way.unwrap_or_else(|| {
            let (began, found) = (Instant::now(), OnceCell::new());
            let flight = Arc::new(Flight { began, generation: generation(), found });
            flights.insert(hash, Arc::clone(&flight));
            flight
        });
        Seat { flights: self, hash, flight, is_first }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<KeyHash, Arc<Flight>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut flights = self.flights.lock();
        let is_listed = flights.get(&self.hash).is_some_and(|it| Arc::ptr_eq(it, &self.flight));
        // Beside the list, nobody but this one waits. A read that is done answers nobody else: it
        // would be as old as its beginning.
        let is_last = Arc::strong_count(&self.flight) == 2 || self.flight.found.initialized();
        if is_listed && is_last {
            flights.remove(&self.hash);
        }
    }
}
