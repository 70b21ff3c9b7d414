//! What a run measures, and how long.

use std::path::PathBuf;
use std::time::Duration;

use crate::load::Extent;
use crate::measure::Effort;
use crate::processes::Placement;
use crate::scenarios::Build;

/// What a run measures.
pub struct Plan {
    /// This build first.
    pub builds: Vec<Build>,
    pub tickets: Tickets,
    /// Where loaded databases are kept from run to run.
    pub keep: Option<PathBuf>,
    /// The text that the names of the scenarios must have in them.
    pub only: String,
    /// The most workspaces on PostgreSQL that new tickets are spread over.
    pub workspaces: usize,
    pub effort: Effort,
    /// Of the servers on SQLite.
    pub placement: Placement,
}

/// The tickets in the databases on SQLite.
pub enum Tickets {
    /// So many made-up ones.
    MadeUp(u32),
    /// Those of the files in a folder.
    In(PathBuf),
}

impl Plan {
    pub fn wants(&self, scenario: &str) -> bool {
        scenario.contains(&self.only)
    }

    /// Leaves the servers alone for a while, if time is looked at.
    pub async fn pause(&self, time: Duration) {
        if let Extent::Time(_) = self.effort.extent {
            tokio::time::sleep(time).await;
        }
    }
}
