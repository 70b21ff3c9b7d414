//! The stop of a server, as its connections see it.

use tokio::sync::watch;

/// The phase of the stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Serving,
    /// Requests in flight may finish.
    Draining,
    /// Open requests end at once.
    Aborting,
}

/// The stop, as a connection sees it.
pub struct Stop(pub watch::Receiver<Phase>);

impl Stop {
    /// Resolves once the stop has reached this phase.
    pub async fn reached(&mut self, phase: Phase) {
        // Without a sender nobody serves any more, which is the last phase.
        let _ = self.0.wait_for(|now| *now >= phase).await;
    }
}
