//! Fingerprints of the keys that are not revoked, so that a key nobody has is refused without a read
//! of the database.
//!
//! A fingerprint is the first 64 bits of a key's hash. A key without one does not exist, has another
//! secret, or was revoked: which of them, neither the answer nor its time tells. A key with one may
//! still be refused by the database. That two of a million keys share a fingerprint has a probability
//! of 3 in 100 million; revoking the one would then refuse the other until the next start.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The answer to the question whether there is a key with a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    Yes,
    No,
    /// The filter cannot tell: there are more keys than fingerprints.
    Perhaps,
}

/// The fingerprints, of at most so many keys.
pub(super) struct Fingerprints {
    keys_max: usize,
    held: Mutex<Fill>,
}

#[derive(Default)]
struct Fill {
    set: HashSet<u64, BuildHasherDefault<Unhashed>>,
    /// True if a key was left out, because there were too many or because none was loaded yet.
    lacks_some: bool,
}

impl Fingerprints {
    /// Makes an empty set: any key that is asked for may exist.
    pub(super) fn new(keys_max: usize) -> Self {
        let fill = Fill { lacks_some: true, ..Fill::default() };
        Self { keys_max, held: Mutex::new(fill) }
    }

    pub(super) fn find(&self, hash: &[u8; 32]) -> Held {
        let held = self.lock();
        match (held.set.contains(&fingerprint(hash)), held.lacks_some) {
            (true, _) => Held::Yes,
            (false, false) => Held::No,
            (false, true) => Held::Perhaps,
        }
    }

    pub(super) fn insert(&self, hash: &[u8; 32]) {
        self.lock().insert(fingerprint(hash), self.keys_max);
    }

    pub(super) fn remove(&self, hash: &[u8; 32]) {
        self.lock().set.remove(&fingerprint(hash));
    }

    /// Replaces the fingerprints by those of these keys, and notes whether that is all of them.
    pub(super) fn replace<'h>(&self, hashes: impl Iterator<Item = &'h [u8; 32]>) {
        let mut fill = Fill::default();
        hashes.for_each(|hash| fill.insert(fingerprint(hash), self.keys_max));
        *self.lock() = fill;
    }

    pub(super) fn len(&self) -> usize {
        self.lock().set.len()
    }

    fn lock(&self) -> MutexGuard<'_, Fill> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fill {
    fn insert(&mut self, fingerprint: u64, keys_max: usize) {
        if self.set.len() < keys_max || self.set.contains(&fingerprint) {
            self.set.insert(fingerprint);
        } else {
            self.lacks_some = true;
        }
    }
}

fn fingerprint(hash: &[u8; 32]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *hash;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Takes a fingerprint as its own hash: it is one already, and nobody can choose it.
#[derive(Default)]
struct Unhashed(u64);

impl Hasher for Unhashed {
    fn write(&mut self, bytes: &[u8]) {
        // Never called for a u64; whatever is written must count all the same.
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, fingerprint: u64) {
        self.0 = fingerprint;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u8) -> [u8; 32] {
        [number; 32]
    }

    #[test]
    fn a_key_without_a_fingerprint_does_not_exist_once_all_are_loaded() {
        let held = Fingerprints::new(10);
        assert_eq!(held.find(&hash(1)), Held::Perhaps);
        held.replace([hash(1), hash(2)].iter());
        assert_eq!((held.find(&hash(1)), held.find(&hash(3))), (Held::Yes, Held::No));
        held.insert(&hash(3));
        held.remove(&hash(1));
        assert_eq!((held.find(&hash(3)), held.find(&hash(1))), (Held::Yes, Held::No));
    }

    #[test]
    fn a_key_beyond_the_bound_may_exist() {
        let held = Fingerprints::new(2);
        held.replace([hash(1), hash(2), hash(1)].iter());
        assert_eq!(held.find(&hash(3)), Held::No);
        held.insert(&hash(2));
        assert_eq!(held.find(&hash(3)), Held::No);
        held.insert(&hash(3));
        assert_eq!((held.find(&hash(3)), held.find(&hash(1))), (Held::Perhaps, Held::Yes));
        assert_eq!(held.len(), 2);
        // Which one is missing is not known: only all of them anew tell.
        held.remove(&hash(1));
        assert_eq!(held.find(&hash(4)), Held::Perhaps);
        held.replace([hash(4)].iter());
        assert_eq!(held.find(&hash(1)), Held::No);
    }
}
