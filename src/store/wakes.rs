//! The wakes: whoever follows a workspace's log is woken when it has grown.
//!
//! A wake-up is a hint and nothing more: who waits for one looks at the log now and then all the same.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::WorkspaceId;

/// The workspace and the endpoint of a delivery.
pub type EndpointKey = (WorkspaceId, i64);

/// The readers of logs that wait.
#[derive(Debug, Default)]
pub struct Wakes {
    /// The followers of each workspace's log, for as long as there are any.
    followers: Mutex<HashMap<WorkspaceId, watch::Sender<()>>>,
    /// The workspaces whose log has grown, for those who look after all workspaces.
    everywhere: Noted<WorkspaceId>,
    /// The workspaces that other processes must be told of, if there may be any.
    elsewhere: Option<Noted<WorkspaceId>>,
    /// The webhook endpoints that something is due for, by hand.
    due: Noted<EndpointKey>,
}

/// The things that were noted since somebody last asked, each once.
#[derive(Debug)]
pub struct Noted<T> {
    noted: Mutex<HashSet<T>>,
    wake: Notify,
}

impl<T> Default for Noted<T> {
    fn default() -> Self {
        Self { noted: Mutex::default(), wake: Notify::new() }
    }
}

impl<T: Eq + Hash> Noted<T> {
    /// Waits until there is something, and takes it.
    pub async fn next(&self) -> HashSet<T> {
        loop {
            let noted = self.take();
            if !noted.is_empty() {
                return noted;
            }
            self.wake.notified().await;
        }
    }

    /// Takes what there is.
    pub fn take(&self) -> HashSet<T> {
        std::mem::take(&mut *lock(&self.noted))
    }

    /// Notes something.
    pub fn add(&self, what: T) {
        lock(&self.noted).insert(what);
        self.wake.notify_one();
    }
}

impl Wakes {
    /// Makes wakes for which nobody waits yet. `is_shared` tells whether other processes may change
    /// the database.
    pub fn new(is_shared: bool) -> Self {
        Self { elsewhere: is_shared.then(Noted::default), ..Self::default() }
    }

    /// Returns a receiver that tells of each growth of a workspace's log from here on.
    pub fn follow(&self, workspace: WorkspaceId) -> watch::Receiver<()> {
        let mut followers = lock(&self.followers);
        followers.entry(workspace).or_insert_with(|| watch::Sender::new(())).subscribe()
    }

    /// The workspaces whose logs have grown, whoever has made the changes. One may ask.
    pub fn everywhere(&self) -> &Noted<WorkspaceId> {
        &self.everywhere
    }

    /// Returns the workspaces that this process has changed, for the other processes; none where
    /// there are no others. One may ask.
    pub fn elsewhere(&self) -> Option<&Noted<WorkspaceId>> {
        self.elsewhere.as_ref()
    }

    /// The endpoints that something is due for although no event has happened. One may ask.
    pub fn due(&self) -> &Noted<EndpointKey> {
        &self.due
    }

    /// Tells of a change that this process has made.
    pub fn grown(&self, workspace: WorkspaceId) {
        if let Some(elsewhere) = &self.elsewhere {
            elsewhere.add(workspace);
        }
        self.heard(workspace);
    }

    /// Tells of a change that another process has made.
    pub fn heard(&self, workspace: WorkspaceId) {
        self.everywhere.add(workspace);
        let mut followers = lock(&self.followers);
        if let Some(follower) = followers.get(&workspace)
            && follower.send(()).is_err()
        {
            // Nobody follows it any more.
            followers.remove(&workspace);
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_is_woken_once_for_all_that_has_grown() {
        let wakes = Wakes::new(true);
        let mut follower = wakes.follow(WorkspaceId(1));
        for workspace in [1, 2, 1] {
            wakes.grown(WorkspaceId(workspace));
        }
        follower.changed().await.expect("a growth");
        assert!(!follower.has_changed().expect("a sender"));
        assert_eq!(wakes.everywhere().next().await.len(), 2);
        assert_eq!(wakes.elsewhere().expect("shared").next().await.len(), 2);
        wakes.heard(WorkspaceId(3));
        assert_eq!(wakes.everywhere().next().await, HashSet::from([WorkspaceId(3)]));
    }

    #[tokio::test]
    async fn nothing_is_kept_of_a_workspace_that_nobody_follows() {
        let wakes = Wakes::default();
        drop(wakes.follow(WorkspaceId(1)));
        wakes.grown(WorkspaceId(1));
        assert!(lock(&wakes.followers).is_empty());
    }
}
