//! Who is to be woken when a workspace's log has grown.
//!
//! A wake-up is a hint and nothing more: who waits for one looks at the log now and then all the same.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::WorkspaceId;

/// The readers of logs that wait.
#[derive(Debug, Default)]
pub struct Wakes {
    /// Who follows the log of one workspace, for as long as somebody does.
    followers: Mutex<HashMap<WorkspaceId, watch::Sender<()>>>,
    /// For who looks after all workspaces.
    everywhere: Grown,
    /// For who tells other processes.
    elsewhere: Grown,
}

/// The workspaces whose logs have grown since somebody last asked.
#[derive(Debug, Default)]
pub struct Grown {
    workspaces: Mutex<HashSet<WorkspaceId>>,
    grown: Notify,
}

impl Grown {
    /// Waits until there are some, and takes them.
    pub async fn next(&self) -> HashSet<WorkspaceId> {
        loop {
            let grown = std::mem::take(&mut *lock(&self.workspaces));
            if !grown.is_empty() {
                return grown;
            }
            self.grown.notified().await;
        }
    }

    /// Adds a workspace.
    pub fn add(&self, workspace: WorkspaceId) {
        lock(&self.workspaces).insert(workspace);
        self.grown.notify_one();
    }
}

impl Wakes {
    /// What tells of each growth of a workspace's log from here on.
    pub fn follow(&self, workspace: WorkspaceId) -> watch::Receiver<()> {
        let mut followers = lock(&self.followers);
        followers.entry(workspace).or_insert_with(|| watch::Sender::new(())).subscribe()
    }

    /// The workspaces whose logs have grown, whoever has made the changes. One may ask.
    pub fn everywhere(&self) -> &Grown {
        &self.everywhere
    }

    /// Those of them that this process has changed. One may ask.
    pub fn elsewhere(&self) -> &Grown {
        &self.elsewhere
    }

    /// Tells of a change that this process has made.
    pub fn grown(&self, workspace: WorkspaceId) {
        self.elsewhere.add(workspace);
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
        let wakes = Wakes::default();
        let mut follower = wakes.follow(WorkspaceId(1));
        for workspace in [1, 2, 1] {
            wakes.grown(WorkspaceId(workspace));
        }
        follower.changed().await.expect("a growth");
        assert!(!follower.has_changed().expect("a sender"));
        assert_eq!(wakes.everywhere().next().await.len(), 2);
        assert_eq!(wakes.elsewhere().next().await.len(), 2);
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
