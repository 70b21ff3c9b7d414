//! Which answers count, and when it is enough.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use super::Extent;
use crate::latencies::Latencies;

/// Shared by the connections of one load.
pub struct Meter {
    phase: Cell<Phase>,
    latencies: RefCell<Latencies>,
    wanted: u64,
}

#[derive(Clone, Copy)]
enum Phase {
    WarmUp,
    Counting,
    Over,
}

impl Meter {
    pub fn new(extent: Extent) -> Self {
        let wanted = match extent {
            Extent::Requests(count) => count,
            Extent::Time(_) => u64::MAX,
        };
        let latencies = RefCell::new(Latencies::default());
        Self { phase: Cell::new(Phase::WarmUp), latencies, wanted }
    }

    /// From now on answers count.
    pub fn begin(&self) {
        self.phase.set(Phase::Counting);
    }

    /// It is enough: every connection ends with its next answer.
    pub fn end(&self) {
        self.phase.set(Phase::Over);
    }

    /// Counts an answer that took so long; whether to ask on.
    pub fn answered(&self, took: Duration) -> bool {
        match self.phase.get() {
            Phase::WarmUp => true,
            Phase::Over => false,
            Phase::Counting => {
                let mut latencies = self.latencies.borrow_mut();
                latencies.record(took.as_nanos() as u64);
                let enough = latencies.count() >= self.wanted;
                if enough {
                    self.end();
                }
                !enough
            }
        }
    }

    /// What was counted.
    pub fn take(&self) -> Latencies {
        self.latencies.take()
    }
}
