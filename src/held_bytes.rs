//! Bytes that requests and answers hold in memory while a peer is slow: bounded for all together and
//! for each client network.
//!
//! When there is no room, what has made no progress for longest gives way to what is new. So neither
//! bodies whose last byte never comes nor answers that nobody reads keep anybody else out, and a
//! process that has room lets them take their time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;
use metrics::Gauge;

use crate::error::{Error, Kind};
use crate::network::Network;

/// The time without movement after which memory gives way to others. Until then whoever is new is
/// refused.
const GIVES_WAY_AFTER: Duration = Duration::from_secs(1);

/// The most bytes that are held.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The bytes of all clients together.
    pub total: usize,
    /// The bytes of one client network.
    pub of_network: usize,
}

impl Bounds {
    /// Makes bounds of so many MiB in all, and of one network.
    pub fn of_mib(total: u32, of_network: u32) -> Self {
        Self { total: (total as usize) << 20, of_network: (of_network as usize) << 20 }
    }
}

/// The bytes that are held of one kind: request bodies, or answers.
#[derive(Clone)]
pub struct HeldBytes(Arc<Shared>);

struct Shared {
    /// The name of the kind in metrics and messages.
    name: &'static str,
    bounds: Bounds,
    held: Mutex<Held>,
}

struct Held {
    total: usize,
    /// The total in the metrics.
    shown: Gauge,
    of_networks: HashMap<Network, usize>,
    holds: HashMap<u64, Entry>,
    next_id: u64,
}

struct Entry {
    network: Network,
    bytes: usize,
    /// The time at which it last moved; none once it has given way.
    moved_at: Option<Instant>,
    given_way: Arc<GivenWay>,
}

/// The signal to the holder of bytes that they have to go.
#[derive(Default)]
struct GivenWay {
    flag: AtomicBool,
    waker: AtomicWaker,
}

/// An amount of bytes that is held until this is dropped.
pub struct Hold {
    of: HeldBytes,
    id: u64,
    given_way: Arc<GivenWay>,
}

impl HeldBytes {
    /// Makes a count that holds nothing yet. `name` is what metrics and messages call them, such as
    /// `bodies`.
    pub fn new(name: &'static str, bounds: Bounds) -> Self {
        let shown = metrics::gauge!("orqit_held_bytes", "of" => name);
        let (of_networks, holds) = (HashMap::new(), HashMap::new());
        let held = Held { total: 0, shown, of_networks, holds, next_id: 0 };
        Self(Arc::new(Shared { name, bounds, held: Mutex::new(held) }))
    }

    /// Begins to hold bytes for a client, none yet.
    pub fn hold(&self, client: IpAddr) -> Hold {
        let given_way = Arc::<GivenWay>::default();
        let entry = Entry {
            network: Network::of(client),
            bytes: 0,
            moved_at: Some(Instant::now()),
            given_way: Arc::clone(&given_way),
        };
        let mut held = self.lock();
        let id = held.next_id;
        held.next_id += 1;
        held.holds.insert(id, entry);
        Hold { of: self.clone(), id, given_way }
    }

    /// Refuses a client for which there is no room at all.
    pub fn check(&self, client: IpAddr) -> Result<(), Error> {
        let mut held = self.lock();
        self.make_room(&mut held, Network::of(client), 1, None)
    }

    /// Returns the bytes that are held.
    pub fn total(&self) -> usize {
        self.lock().total
    }

    /// Makes room for `bytes` more of a network, other than by what `except` holds.
    fn make_room(
        &self,
        held: &mut Held,
        network: Network,
        bytes: usize,
        except: Option<u64>,
    ) -> Result<(), Error> {
        let bounds = self.0.bounds;
        let of_network = held.of_networks.get(&network).copied().unwrap_or_default();
        if of_network + bytes > bounds.of_network {
            let lacking = of_network + bytes - bounds.of_network;
            self.end(held, lacking, |id, entry| entry.network == network && Some(id) != except)?;
        }
        if held.total + bytes > bounds.total {
            let lacking = held.total + bytes - bounds.total;
            self.end(held, lacking, |id, _| Some(id) != except)?;
        }
        Ok(())
    }

    /// Ends what has not moved for longest of those that `may_end` names, until so many bytes are
    /// free.
    fn end(
        &self,
        held: &mut Held,
        lacking: usize,
        may_end: impl Fn(u64, &Entry) -> bool,
    ) -> Result<(), Error> {
        let now = Instant::now();
        let stuck =
            |entry: &Entry| entry.moved_at.filter(|at| now.duration_since(*at) >= GIVES_WAY_AFTER);
        let candidates = held.holds.iter().filter(|(id, entry)| may_end(**id, entry));
        let mut candidates: Vec<_> =
            candidates.filter_map(|(id, entry)| Some((stuck(entry)?, *id, entry.bytes))).collect();
        candidates.sort_unstable();
        let mut free = 0;
        let mut ending = Vec::new();
        for (_, id, bytes) in candidates {
            if free >= lacking {
                break;
            }
            free += bytes;
            ending.push(id);
        }
        if free < lacking {
            metrics::counter!("orqit_held_bytes_refused_total", "of" => self.0.name).increment(1);
            return Err(self.refusal());
        }
        for id in ending {
            metrics::counter!("orqit_held_bytes_gave_way_total", "of" => self.0.name).increment(1);
            if let Some(entry) = held.remove(id) {
                entry.given_way.flag.store(true, Ordering::Release);
                entry.given_way.waker.wake();
            }
        }
        Ok(())
    }

    /// The refusal of what there is no room for.
    pub fn refusal(&self) -> Error {
        let message = format!(
            "Too many {} are under way, in all or from your address. Try again after 1 second.",
            self.0.name
        );
        Error::new(Kind::ServiceUnavailable { retry_after_secs: 1 }, message)
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // Whoever panicked under the lock has left whole numbers.
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.holds.remove(&id)?;
        self.total -= entry.bytes;
        self.shown.decrement(entry.bytes as f64);
        if let Some(bytes) = self.of_networks.get_mut(&entry.network) {
            *bytes -= entry.bytes;
            if *bytes == 0 {
                self.of_networks.remove(&entry.network);
            }
        }
        Some(entry)
    }

    fn take(&mut self, id: u64, bytes: usize) {
        let Some(entry) = self.holds.get_mut(&id) else { return };
        let bytes = bytes.min(entry.bytes);
        entry.bytes -= bytes;
        self.total -= bytes;
        self.shown.decrement(bytes as f64);
        if let Some(of_network) = self.of_networks.get_mut(&entry.network) {
            *of_network -= bytes;
        }
    }

    fn add(&mut self, id: u64, bytes: usize) {
        if let Some(entry) = self.holds.get_mut(&id) {
            entry.bytes += bytes;
            self.total += bytes;
            self.shown.increment(bytes as f64);
            *self.of_networks.entry(entry.network).or_default() += bytes;
        }
    }
}

impl Hold {
    /// Holds so many more bytes, or refuses where there is no room.
    pub fn grow(&self, bytes: usize) -> Result<(), Error> {
        let mut held = self.of.lock();
        let network = held.holds.get(&self.id).map(|entry| entry.network);
        let network = network.ok_or_else(|| self.of.refusal())?;
        self.of.make_room(&mut held, network, bytes, Some(self.id))?;
        held.add(self.id, bytes);
        Ok(())
    }

    /// Holds so many more bytes, whether there is room or not.
    pub fn grow_anyway(&self, bytes: usize) {
        if self.grow(bytes).is_err() {
            self.of.lock().add(self.id, bytes);
        }
    }

    /// Holds so many bytes less.
    pub fn shrink(&self, bytes: usize) {
        if bytes > 0 {
            self.of.lock().take(self.id, bytes);
        }
    }

    /// Notes that bytes have moved.
    pub fn moved(&self) {
        if let Some(Entry { moved_at: Some(at), .. }) = self.of.lock().holds.get_mut(&self.id) {
            *at = Instant::now();
        }
    }

    /// Keeps what it holds from now on: it gives way to nobody any more.
    pub fn keep(&self) {
        if let Some(entry) = self.of.lock().holds.get_mut(&self.id) {
            entry.moved_at = None;
        }
    }

    /// Resolves once it has given way: its memory is to be dropped. One task may wait.
    pub fn poll_given_way(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.given_way.waker.register(cx.waker());
        match self.given_way.flag.load(Ordering::Acquire) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.of.lock().remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { total: 100, of_network: 40 };

    fn client(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    fn holding(of: &HeldBytes, number: u8, bytes: usize) -> Hold {
        let hold = of.hold(client(number));
        hold.grow(bytes).expect("room");
        hold
    }

    fn has_given_way(hold: &Hold) -> bool {
        let mut cx = Context::from_waker(futures_util::task::noop_waker_ref());
        hold.poll_given_way(&mut cx).is_ready()
    }

    /// Makes a hold look as if it had not moved for so long.
    fn age(hold: &Hold, by: Duration) {
        let mut held = hold.of.lock();
        let entry = held.holds.get_mut(&hold.id).expect("held");
        entry.moved_at = entry.moved_at.and_then(|at| at.checked_sub(by));
    }

    #[test]
    fn a_network_and_all_together_hold_no_more_than_their_bounds() {
        let bodies = HeldBytes::new("bodies", BOUNDS);
        let first = holding(&bodies, 1, 40);
        assert_eq!(first.grow(1).expect_err("full").code(), "SERVICE_UNAVAILABLE");
        assert!(bodies.check(client(1)).is_err());
        bodies.check(client(2)).expect("another's");
        let _others = [holding(&bodies, 2, 40), holding(&bodies, 3, 20)];
        assert!(bodies.check(client(4)).is_err());
        assert_eq!(bodies.total(), 100);
        drop(first);
        assert_eq!(bodies.total(), 60);
        let _again = holding(&bodies, 1, 40);
    }

    #[test]
    fn what_has_not_moved_for_longest_gives_way() {
        let bodies = HeldBytes::new("bodies", BOUNDS);
        let [old, older, other] =
            [(1, 20), (1, 20), (2, 40)].map(|(number, bytes)| holding(&bodies, number, bytes));
        age(&old, GIVES_WAY_AFTER);
        age(&older, GIVES_WAY_AFTER * 2);
        age(&other, GIVES_WAY_AFTER * 3);
        let new = holding(&bodies, 1, 10);
        assert!(has_given_way(&older) && !has_given_way(&old));
        // The other network had its own room.
        assert!(!has_given_way(&other));
        assert!(older.grow(1).is_err(), "it is gone");
        drop(older);
        assert_eq!(bodies.total(), 70);
        old.moved();
        assert!(new.grow(20).is_err(), "everything of its network moves");
        assert!(!has_given_way(&new), "nobody gives way to itself");
    }

    #[test]
    fn what_is_kept_gives_way_to_nobody() {
        let bodies = HeldBytes::new("bodies", BOUNDS);
        let kept = holding(&bodies, 1, 40);
        age(&kept, GIVES_WAY_AFTER);
        kept.keep();
        assert!(bodies.check(client(1)).is_err());
        let new = bodies.hold(client(1));
        new.grow_anyway(5);
        assert_eq!(bodies.total(), 45);
        new.shrink(3);
        assert_eq!(bodies.total(), 42);
        drop((kept, new));
        assert_eq!(bodies.total(), 0);
    }
}
