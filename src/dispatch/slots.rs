//! The slots of the dispatcher: the attempts that are under way, counted for each endpoint, each
//! workspace and all, and the next due time of each endpoint.
//!
//! An endpoint that fails gets one attempt at a time, and all of those together never get the last
//! ones: so those that answer are not held up by those that do not.

use std::collections::{BTreeSet, HashMap};

use crate::clock::Timestamp;
use crate::config::{
    ATTEMPTS_MAX, ATTEMPTS_PER_ENDPOINT_MAX, ATTEMPTS_PER_WORKSPACE_MAX, ATTEMPTS_RESERVED,
    EMAILS_MAX, EMAILS_PER_WORKSPACE_MAX, FAILURES_SLOW,
};
use crate::store::WorkspaceId;
use crate::store::webhooks::{EndpointKey, MAIL};

/// The attempts that are under way, and the next due time of each endpoint.
#[derive(Debug, Default)]
pub struct Slots {
    lanes: HashMap<EndpointKey, Lane>,
    due: BTreeSet<(Timestamp, EndpointKey)>,
    workspaces: HashMap<WorkspaceId, usize>,
    taken: usize,
    /// The slots that send e-mails, all by one server.
    emails: usize,
}

/// The state of an endpoint.
#[derive(Debug, Default)]
struct Lane {
    taken: usize,
    /// The failures in a row.
    failures: u32,
    /// The time from which on something is due.
    due: Option<Timestamp>,
}

impl Slots {
    /// Returns the number of attempts that are under way.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// Returns how many more attempts an endpoint may have now.
    pub fn room(&self, key: EndpointKey) -> usize {
        let (taken, failures) =
            self.lanes.get(&key).map_or((0, 0), |lane| (lane.taken, lane.failures));
        let is_slow = failures >= FAILURES_SLOW;
        let is_email = key.1 == MAIL;
        let of_endpoint = match (is_slow, is_email) {
            (true, _) => 1,
            (false, true) => EMAILS_PER_WORKSPACE_MAX,
            (false, false) => ATTEMPTS_PER_ENDPOINT_MAX,
        };
        let of_all = if is_slow { ATTEMPTS_MAX - ATTEMPTS_RESERVED } else { ATTEMPTS_MAX };
        of_endpoint
            .saturating_sub(taken)
            .min(self.room_of_workspace(key.0))
            .min(of_all.saturating_sub(self.taken))
            .min(if is_email { EMAILS_MAX.saturating_sub(self.emails) } else { usize::MAX })
    }

    /// Returns how many more attempts the endpoints of a workspace may have now, all together.
    pub fn room_of_workspace(&self, workspace: WorkspaceId) -> usize {
        let taken = self.workspaces.get(&workspace).copied().unwrap_or(0);
        ATTEMPTS_PER_WORKSPACE_MAX
            .saturating_sub(taken)
            .min(ATTEMPTS_MAX.saturating_sub(self.taken))
    }

    /// Takes one for an endpoint.
    pub fn take(&mut self, key: EndpointKey) {
        self.lanes.entry(key).or_default().taken += 1;
        *self.workspaces.entry(key.0).or_default() += 1;
        self.taken += 1;
        self.emails += usize::from(key.1 == MAIL);
    }

    /// Gives one back. `is_success` is what came of it, if something did.
    pub fn free(&mut self, key: EndpointKey, is_success: Option<bool>) {
        self.taken = self.taken.saturating_sub(1);
        self.emails = self.emails.saturating_sub(usize::from(key.1 == MAIL));
        if let Some(taken) = self.workspaces.get_mut(&key.0) {
            *taken = taken.saturating_sub(1);
            if *taken == 0 {
                self.workspaces.remove(&key.0);
            }
        }
        let Some(lane) = self.lanes.get_mut(&key) else { return };
        lane.taken = lane.taken.saturating_sub(1);
        match is_success {
            Some(true) => lane.failures = 0,
            Some(false) => lane.failures = lane.failures.saturating_add(1),
            None => {}
        }
        self.tidy(key);
    }

    /// Notes that an endpoint has something due then.
    pub fn note_due(&mut self, key: EndpointKey, at: Timestamp) {
        let lane = self.lanes.entry(key).or_default();
        if lane.due.is_none_or(|due| at < due) {
            if let Some(due) = lane.due.replace(at) {
                self.due.remove(&(due, key));
            }
            self.due.insert((at, key));
        }
    }

    /// Returns true if something that is due waits for an endpoint.
    pub fn has_due(&self, key: EndpointKey, now: Timestamp) -> bool {
        self.lanes.get(&key).and_then(|lane| lane.due).is_some_and(|due| due <= now)
    }

    /// Returns the next time at which something is known to be due.
    pub fn next_due(&self) -> Option<Timestamp> {
        let with_room = self.due.iter().find(|(_, key)| self.room(*key) > 0);
        with_room.map(|(at, _)| *at)
    }

    /// The endpoints that have something due at `now`, with how much of it they may be sent: those that
    /// have least first. They have nothing due from here on, as far as is known.
    pub fn take_due(&mut self, now: Timestamp) -> Vec<(EndpointKey, usize)> {
        let due = self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, key)| *key);
        let mut due: Vec<_> = due.filter(|key| self.room(*key) > 0).collect();
        due.sort_by_key(|key| self.lanes.get(key).map_or(0, |lane| lane.taken));
        let mut left = ATTEMPTS_MAX.saturating_sub(self.taken);
        let mut emails_left = EMAILS_MAX.saturating_sub(self.emails);
        let mut of_workspaces: HashMap<WorkspaceId, usize> = HashMap::new();
        let mut wanted = Vec::new();
        for key in due {
            let planned = of_workspaces.entry(key.0).or_default();
            let of_workspace = self.room_of_workspace(key.0).saturating_sub(*planned);
            let of_emails = if key.1 == MAIL { emails_left } else { usize::MAX };
            let most = self.room(key).min(left).min(of_workspace).min(of_emails);
            if most > 0 {
                emails_left -= if key.1 == MAIL { most } else { 0 };
                *planned += most;
                left -= most;
                wanted.push((key, most));
            }
        }
        for (key, _) in &wanted {
            let due = self.lanes.get_mut(key).and_then(|lane| lane.due.take());
            if let Some(due) = due {
                self.due.remove(&(due, *key));
            }
        }
        wanted
    }

    /// Forgets an endpoint that has nothing under way and nothing due.
    pub fn tidy(&mut self, key: EndpointKey) {
        let is_idle = |lane: &Lane| lane.taken == 0 && lane.failures == 0 && lane.due.is_none();
        if self.lanes.get(&key).is_some_and(is_idle) {
            self.lanes.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000);

    fn endpoint(workspace: i64, id: i64) -> EndpointKey {
        (WorkspaceId(workspace), id)
    }

    #[test]
    fn an_endpoint_that_fails_has_one_attempt_at_a_time() {
        let (mut slots, slow, quick) = (Slots::default(), endpoint(1, 1), endpoint(1, 2));
        for _ in 0..ATTEMPTS_PER_ENDPOINT_MAX {
            slots.take(slow);
        }
        assert_eq!((slots.room(slow), slots.room(quick)), (0, ATTEMPTS_PER_ENDPOINT_MAX));
        for _ in 0..ATTEMPTS_PER_ENDPOINT_MAX {
            slots.free(slow, Some(false));
        }
        assert_eq!(slots.room(slow), 1);
        slots.take(slow);
        slots.free(slow, Some(true));
        assert_eq!(slots.room(slow), ATTEMPTS_PER_ENDPOINT_MAX);
        assert!(slots.lanes.is_empty() && slots.workspaces.is_empty());
    }

    #[test]
    fn what_fails_leaves_something_to_what_answers() {
        let mut slots = Slots::default();
        for id in 0..ATTEMPTS_MAX as i64 {
            let slow = endpoint(id, 1);
            slots.take(slow);
            for _ in 0..FAILURES_SLOW {
                slots.free(slow, Some(false));
                slots.take(slow);
            }
        }
        slots.taken = ATTEMPTS_MAX - ATTEMPTS_RESERVED;
        assert_eq!(slots.room(endpoint(1_000, 1)), ATTEMPTS_PER_ENDPOINT_MAX);
        slots.free(endpoint(1, 1), Some(false));
        slots.taken += 1;
        assert_eq!(slots.room(endpoint(1, 1)), 0);
    }

    #[test]
    fn what_is_due_is_told_once_and_within_what_a_workspace_may_have() {
        let mut slots = Slots::default();
        for id in 1..=6 {
            slots.note_due(endpoint(1, id), NOW);
        }
        slots.note_due(endpoint(2, 1), NOW.plus_millis(5));
        assert_eq!(slots.next_due(), Some(NOW));
        let wanted = slots.take_due(NOW);
        assert_eq!(wanted.iter().map(|(_, most)| most).sum::<usize>(), ATTEMPTS_PER_WORKSPACE_MAX);
        // Two of the six have no room, and stay due.
        assert_eq!((wanted.len(), slots.due.len()), (4, 3));
    }
}
