//! The position of a key's windows in time.
//!
//! They last 60 seconds each, and begin at a phase that follows from the key's id: every replica
//! finds the same one without asking anybody, and not all keys begin anew in the same instant.

use crate::clock::Timestamp;
use crate::config::RATE_LIMIT_WINDOW_MS;

/// A key, as the limits know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key<'k> {
    /// The 8 characters after `orq_`.
    pub id: &'k str,
    /// The id of a key as a number, by which a map is looked up.
    pub number: u64,
    /// The milliseconds by which its windows begin before the full minute.
    phase: u32,
}

impl<'k> Key<'k> {
    /// The key with this id.
    pub fn of(id: &'k str) -> Self {
        let bytes = id.as_bytes().first_chunk().expect("the id of a parsed key has 8 characters");
        // It must never change: replicas of different versions share windows.
        let phase = crc32fast::hash(bytes) % RATE_LIMIT_WINDOW_MS;
        Self { id, number: u64::from_le_bytes(*bytes), phase }
    }

    /// The window that `now` is in.
    pub fn window(self, now: Timestamp) -> Window {
        let length = i64::from(RATE_LIMIT_WINDOW_MS);
        let at = now.0.max(0).saturating_add(self.phase.into());
        // Minutes since 1970 fit into 32 bits for 8,000 years, and what is left of one always does.
        Window { number: (at / length) as u32, left_ms: (length - at % length) as u32 }
    }

    /// Returns the milliseconds by which its windows begin before the full minute.
    pub fn phase_ms(self) -> u32 {
        self.phase
    }
}

/// A window of a key, seen at an instant within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// The number of the window, counted from 1970.
    pub number: u32,
    /// The rest of the window, 1 to 60,000 milliseconds.
    pub left_ms: u32,
}

impl Window {
    /// The window with this number, at its beginning.
    pub fn whole(number: u32) -> Self {
        Self { number, left_ms: RATE_LIMIT_WINDOW_MS }
    }

    /// Returns the seconds until the next window, 1 to 60, rounded up: who waits that long is in
    /// it.
    pub fn reset_secs(self) -> u32 {
        self.left_ms.div_ceil(1000)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn who_waits_as_told_is_in_the_next_window(id in "[0-9A-Za-z]{8}", now in 0..4_000_000_000_000_i64) {
            let key = Key::of(&id);
            let window = key.window(Timestamp(now));
            prop_assert!((1..=60).contains(&window.reset_secs()));
            let later = key.window(Timestamp(now + i64::from(window.reset_secs()) * 1000));
            prop_assert_eq!(later.number, window.number + 1);
            // Not a second more than it takes.
            let before = key.window(Timestamp(now + i64::from(window.reset_secs() - 1) * 1000));
            prop_assert_eq!(before.number, window.number);
        }
    }

    #[test]
    fn the_phase_of_a_key_never_changes() {
        assert_eq!(Key::of("4fQ7x2Lm").phase_ms(), 3_764);
        assert_eq!(Key::of("00000000").phase_ms(), 25_859);
    }
}
