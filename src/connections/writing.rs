//! The writing of an answer: whether it waits for the peer, since when, and for how long it may.
//!
//! hyper asks the body of an answer for its next piece when there is room for one. So an answer waits
//! for its peer from the moment it has given a piece until it is asked again, and until the socket has
//! taken all pieces; it waits for the service while it has none to give. Only the first is limited.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::{Instant, Sleep};

use crate::held_bytes::Hold;

/// The mark of an answer that does not wait for its peer.
const NOT_WAITING: u64 = u64::MAX;

/// The time in milliseconds since the process first asked.
pub fn now_ms() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_millis() as u64
}

/// The writing of one answer, as it is known to whoever gives its pieces and to whoever limits it.
pub struct Writing {
    /// The pieces that hyper has and the socket has not taken.
    pieces: AtomicUsize,
    waits_since_ms: AtomicU64,
    /// Wakes the body, which waits for the last piece to be taken.
    taken: AtomicWaker,
    /// The memory of the answer, if it is so large that it counts.
    hold: OnceLock<Arc<Hold>>,
}

impl Writing {
    /// Begins the writing of an answer whose head is given to hyper now.
    pub fn new(hold: Option<Arc<Hold>>) -> Self {
        Self {
            pieces: AtomicUsize::new(0),
            waits_since_ms: AtomicU64::new(now_ms()),
            taken: AtomicWaker::new(),
            hold: hold.map(OnceLock::from).unwrap_or_default(),
        }
    }

    /// Returns true if its memory counts.
    pub fn is_held(&self) -> bool {
        self.hold.get().is_some()
    }

    /// Notes that a piece was given.
    pub fn give(&self) {
        self.pieces.fetch_add(1, Ordering::Relaxed);
        self.moved(now_ms());
    }

    /// Notes that a piece was taken.
    pub fn take(&self, now_ms: u64) {
        self.moved(now_ms);
        if self.pieces.fetch_sub(1, Ordering::Release) == 1 {
            self.taken.wake();
        }
    }

    /// Notes that the service has nothing to give at the moment.
    pub fn rest(&self) {
        if self.pieces.load(Ordering::Acquire) == 0 {
            self.waits_since_ms.store(NOT_WAITING, Ordering::Relaxed);
        }
    }

    /// Returns true if every piece was taken; if not, has `waker` woken once it is.
    pub fn is_taken(&self, waker: &Waker) -> bool {
        self.taken.register(waker);
        self.pieces.load(Ordering::Acquire) == 0
    }

    /// Notes that bytes have moved.
    pub fn moved(&self, now_ms: u64) {
        self.waits_since_ms.store(now_ms, Ordering::Relaxed);
        if let Some(hold) = self.hold.get() {
            hold.moved();
        }
    }
}

/// The patience of a writer with a peer that takes nothing.
pub struct Patience {
    within: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub fn new(within: Duration) -> Self {
        Self { within, timer: None }
    }

    /// Resolves once the answer is to be given up: it has waited too long for its peer, or its
    /// memory is needed for others.
    pub fn poll_over(&mut self, writing: &Writing, cx: &mut Context<'_>) -> Poll<()> {
        if writing.hold.get().is_some_and(|hold| hold.poll_given_way(cx).is_ready()) {
            return Poll::Ready(());
        }
        match writing.waits_since_ms.load(Ordering::Relaxed) {
            NOT_WAITING => Poll::Pending,
            since => self.poll_after(since, cx),
        }
    }

    /// Resolves once so much time has passed since then.
    pub fn poll_after(&mut self, since_ms: u64, cx: &mut Context<'_>) -> Poll<()> {
        let passed = Duration::from_millis(now_ms().saturating_sub(since_ms));
        let Some(left) = self.within.checked_sub(passed).filter(|left| !left.is_zero()) else {
            return Poll::Ready(());
        };
        self.arm_for(left, cx);
        Poll::Pending
    }

    /// Has the task polled again within the time, whatever happens until then.
    pub fn arm(&mut self, cx: &mut Context<'_>) {
        self.arm_for(self.within, cx);
    }

    /// A timer that is armed already is left alone until it fires: what it watches moves on far more
    /// often than it is over.
    fn arm_for(&mut self, left: Duration, cx: &mut Context<'_>) {
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(left)));
        while timer.as_mut().poll(cx).is_ready() {
            timer.as_mut().reset(Instant::now() + left);
        }
    }
}
