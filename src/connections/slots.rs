//! The slots of connections: how many there may be, in all and of one client network, and who gives
//! way when they are taken.
//!
//! A connection without a request gives way to a new one: first those that never made a request, then
//! those idle for longest. Where every connection has a request in flight, a new one of the same
//! network is closed, and a new one of another network waits for a slot.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::in_flight::Activity;
use crate::network::Network;

/// The pause between two log lines about connections that give way or are refused.
const TOLD_EVERY: Duration = Duration::from_secs(60);
/// The number of connections for each of which one gives way at a time, so that a flood does not look
/// through all of them for each of its own.
const GIVE_WAY_SHARE: usize = 64;

/// The slots of connections, in all and of each client network.
pub struct Slots {
    most: usize,
    of_network_most: usize,
    /// The proxies, which speak for many clients and have no bound of their own.
    trusted_proxies: Arc<[IpNet]>,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Default)]
struct Taken {
    by_id: HashMap<u64, (Network, Arc<Activity>)>,
    by_network: HashMap<Network, BTreeSet<u64>>,
    next_id: u64,
    told_at: Option<Instant>,
}

/// The slot of one connection, until it is dropped.
pub struct Slot {
    slots: Arc<Slots>,
    id: u64,
    /// The activity of the connection, by which the slots judge it.
    pub activity: Arc<Activity>,
}

impl Slots {
    pub fn new(most: u32, of_network_most: u32, trusted_proxies: Arc<[IpNet]>) -> Self {
        let (most, of_network_most) = (most as usize, of_network_most as usize);
        let taken = Mutex::new(Taken::default());
        Self { most, of_network_most, trusted_proxies, taken, freed: Notify::new() }
    }

    /// A slot for a connection of this peer, once there is one; none where its network has as many
    /// connections as it may, each with a request in flight.
    pub async fn take(self: &Arc<Self>, peer: IpAddr) -> Option<Slot> {
        loop {
            let freed = self.freed.notified();
            match self.try_take(peer) {
                Ok(slot) => return Some(slot),
                Err(Refusal::OfNetwork) => return None,
                Err(Refusal::OfAll) => freed.await,
            }
        }
    }

    fn try_take(self: &Arc<Self>, peer: IpAddr) -> Result<Slot, Refusal> {
        let (peer, network) = (peer.to_canonical(), Network::of(peer));
        let is_bound = !self.trusted_proxies.iter().any(|proxies| proxies.contains(&peer));
        let mut taken = self.lock();
        let of_network = taken.by_network.get(&network).map_or(0, BTreeSet::len);
        if is_bound && of_network >= self.of_network_most && !taken.give_way(Some(network)) {
            taken.tell("address", "connections of an address are refused: it has as many as it may, all with requests; see ORQIT_CONNECTIONS_PER_ADDRESS");
            metrics::counter!("orqit_connections_refused_total").increment(1);
            return Err(Refusal::OfNetwork);
        }
        if taken.by_id.len() >= self.most && !taken.give_way(None) {
            taken.tell("all", "all connections are taken, all with requests: new ones wait; see ORQIT_CONNECTIONS_MAX");
            return Err(Refusal::OfAll);
        }
        Ok(self.insert(&mut taken, network))
    }

    fn insert(self: &Arc<Self>, taken: &mut Taken, network: Network) -> Slot {
        let (id, activity) = (taken.next_id, Arc::<Activity>::default());
        taken.next_id += 1;
        taken.by_id.insert(id, (network, Arc::clone(&activity)));
        taken.by_network.entry(network).or_default().insert(id);
        metrics::gauge!("orqit_connections").set(taken.by_id.len() as f64);
        Slot { slots: Arc::clone(self), id, activity }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reason why there is no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    OfNetwork,
    OfAll,
}

impl Taken {
    /// Ends connections without a request, of this network or of all; whether there was one.
    fn give_way(&mut self, network: Option<Network>) -> bool {
        let ids: Vec<u64> = match network {
            Some(network) => self.by_network.get(&network).into_iter().flatten().copied().collect(),
            None => self.by_id.keys().copied().collect(),
        };
        let at_a_time = 1 + ids.len() / GIVE_WAY_SHARE;
        let idle = |id: u64| {
            let (_, activity) = self.by_id.get(&id)?;
            Some((activity.counts().begun > 0, activity.idle_since_ms()?, id))
        };
        let mut idle: Vec<_> = ids.into_iter().filter_map(idle).collect();
        if idle.len() > at_a_time {
            idle.select_nth_unstable(at_a_time);
            idle.truncate(at_a_time);
        }
        for (_, _, id) in &idle {
            if let Some(activity) = self.remove(*id) {
                activity.give_way();
                metrics::counter!("orqit_connections_gave_way_total").increment(1);
            }
        }
        if idle.is_empty() {
            return false;
        }
        let of = if network.is_some() { "address" } else { "all" };
        self.tell(of, "as many connections as may be are open: those without a request give way to new ones; see ORQIT_CONNECTIONS_MAX and ORQIT_CONNECTIONS_PER_ADDRESS");
        true
    }

    fn remove(&mut self, id: u64) -> Option<Arc<Activity>> {
        let (network, activity) = self.by_id.remove(&id)?;
        if let Some(ids) = self.by_network.get_mut(&network) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_network.remove(&network);
            }
        }
        Some(activity)
    }

    /// Logs the sentence, unless a similar one was logged a moment ago.
    fn tell(&mut self, of: &'static str, sentence: &'static str) {
        let is_new = self.told_at.is_none_or(|at| at.elapsed() >= TOLD_EVERY);
        if is_new {
            self.told_at = Some(Instant::now());
            tracing::warn!(connections = self.by_id.len(), of, "{sentence}");
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.lock();
        // Whoever gave way has no slot any more.
        if taken.remove(self.id).is_some() {
            metrics::gauge!("orqit_connections").set(taken.by_id.len() as f64);
            drop(taken);
            self.slots.freed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(most: u32, of_network_most: u32) -> Arc<Slots> {
        let proxies = Arc::from(["10.0.0.0/8".parse().expect("a network")]);
        Arc::new(Slots::new(most, of_network_most, proxies))
    }

    fn take(slots: &Arc<Slots>, peer: &str) -> Result<Slot, Refusal> {
        slots.try_take(peer.parse().expect("an address"))
    }

    fn has_given_way(slot: &Slot) -> bool {
        let mut cx = std::task::Context::from_waker(futures_util::task::noop_waker_ref());
        slot.activity.poll_gives_way(&mut cx).is_ready()
    }

    #[test]
    fn the_connections_of_a_network_give_way_to_its_own() {
        let slots = slots(10, 2);
        let first = take(&slots, "192.0.2.1").expect("a slot");
        let other = take(&slots, "192.0.2.2").expect("another's");
        let second = take(&slots, "192.0.2.1").expect("a slot");
        let third = take(&slots, "::ffff:192.0.2.1").expect("in place of one");
        assert!(has_given_way(&first) && !has_given_way(&second) && !has_given_way(&other));
        drop(first);
        let _requests = [second.activity.begin_one(), third.activity.begin_one()];
        assert_eq!(take(&slots, "192.0.2.1").err(), Some(Refusal::OfNetwork));
        take(&slots, "192.0.2.2").expect("another's");
    }

    #[test]
    fn one_that_never_made_a_request_gives_way_before_one_that_did() {
        let slots = slots(2, 10);
        let used = take(&slots, "192.0.2.1").expect("a slot");
        drop(used.activity.begin_one());
        let unused = take(&slots, "192.0.2.2").expect("a slot");
        let _new = take(&slots, "192.0.2.3").expect("in place of one");
        assert!(has_given_way(&unused) && !has_given_way(&used));
    }

    #[test]
    fn trusted_proxies_have_no_bound_of_their_own() {
        let slots = slots(3, 1);
        let taken = [1, 2, 3].map(|_| take(&slots, "10.1.2.3").expect("a slot"));
        let _requests = taken.each_ref().map(|slot| slot.activity.begin_one());
        assert_eq!(take(&slots, "10.1.2.3").err(), Some(Refusal::OfAll));
    }

    #[tokio::test]
    async fn where_all_have_requests_a_new_one_waits() {
        let slots = slots(1, 10);
        let busy = take(&slots, "192.0.2.1").expect("a slot");
        let request = busy.activity.begin_one();
        let waiting = Arc::clone(&slots);
        let waiting = tokio::spawn(async move {
            waiting.take("192.0.2.2".parse().expect("an address")).await.is_some()
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop((request, busy));
        assert!(waiting.await.expect("no panic"));
    }
}
