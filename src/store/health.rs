//! The health of the storage: failing from the first failure until a write has succeeded again.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The least time between two writes that only try whether writing works again.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// The state of the storage, as far as it is known. It is shared by all that write.
#[derive(Debug, Default)]
pub(super) struct Health {
    failing: AtomicBool,
    probed: Mutex<Option<Instant>>,
}

impl Health {
    /// Notes that the storage has failed; told once until it works again.
    pub(super) fn failed(&self, cause: &dyn Display) {
        if !self.failing.swap(true, Ordering::AcqRel) {
            let cause = cause.to_string();
            tracing::error!(
                cause,
                "the database cannot be written: changes are refused until that works again; \
                 see whether its disk is full or failing"
            );
        }
    }

    /// Notes that a write has succeeded.
    pub(super) fn wrote(&self) {
        if self.is_failing() && self.failing.swap(false, Ordering::AcqRel) {
            tracing::info!("the database can be written again");
        }
    }

    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Acquire)
    }

    /// Returns true if a write may be made now only to see whether it succeeds.
    pub(super) fn may_probe(&self) -> bool {
        let mut probed = self.probed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = probed.is_none_or(|at| at.elapsed() >= PROBE_INTERVAL);
        if is_due {
            *probed = Some(Instant::now());
        }
        is_due
    }
}
