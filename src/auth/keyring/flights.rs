//! Reads of one key that are under way: requests that ask for the same key at the same time share
//! one read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::OnceCell;

use crate::auth::key::KeyHash;
use crate::error::Error;
use crate::store::KeyRecord;

/// The reads that are under way, by the hash of the whole key.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<KeyHash, Arc<Flight>>>);

/// A read that several requests may wait for.
pub(super) struct Flight {
    /// The time at which the key was asked for first.
    pub(super) began: Instant,
    /// The ring's generation at that moment.
    pub(super) generation: u64,
    /// The database's answer. Whoever waits goes on with the read if who began it is gone.
    pub(super) found: OnceCell<Result<Option<KeyRecord>, Error>>,
}

/// A place among those who wait for a read. The last one to leave ends it.
pub(super) struct Seat<'a> {
    flights: &'a Flights,
    hash: KeyHash,
    pub(super) flight: Arc<Flight>,
    /// True if the read began with this request.
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const KEY: KeyHash = KeyHash([7; 32]);
    const OTHER: KeyHash = KeyHash([8; 32]);

    #[tokio::test]
    async fn those_who_ask_at_once_share_one_read() {
        let (flights, reads) = (Arc::new(Flights::default()), Arc::new(AtomicU32::new(0)));
        let (answer, answered) = tokio::sync::watch::channel(false);
        let asking = (0..100).map(|_| {
            let (flights, reads) = (Arc::clone(&flights), Arc::clone(&reads));
            let mut answered = answered.clone();
            tokio::spawn(async move {
                let seat = flights.join(KEY, || 1);
                let read = async || {
                    reads.fetch_add(1, Ordering::SeqCst);
                    answered.wait_for(|answered| *answered).await.expect("answered");
                    Ok(None)
                };
                seat.flight.found.get_or_init(read).await.clone().expect("read");
            })
        });
        let asking: Vec<_> = asking.collect();
        while Arc::strong_count(&flights) > 1 && flights.waiting(KEY) < 100 {
            tokio::task::yield_now().await;
        }
        answer.send_replace(true);
        for asked in asking {
            asked.await.expect("no panic");
        }
        assert_eq!(reads.load(Ordering::SeqCst), 1);
        assert!(flights.lock().is_empty(), "a read that is done is forgotten");
    }

    #[test]
    fn a_read_is_left_with_the_last_who_waits_and_shared_with_no_other_key() {
        let flights = Flights::default();
        let first = flights.join(KEY, || 1);
        let second = flights.join(KEY, || 2);
        assert!(first.is_first && !second.is_first);
        assert!(Arc::ptr_eq(&first.flight, &second.flight));
        assert!(flights.join(OTHER, || 1).is_first);
        drop(first);
        assert!(!flights.join(KEY, || 3).is_first, "the second still waits");
        drop(second);
        assert!(flights.join(KEY, || 4).is_first);
    }

    impl Flights {
        fn waiting(&self, hash: KeyHash) -> usize {
            self.lock().get(&hash).map_or(0, |flight| Arc::strong_count(flight) - 1)
        }
    }
}
