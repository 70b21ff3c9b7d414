//! The order in which a change takes its locks. It is the same in every change, so no two changes
//! wait for each other crosswise; a change that would take one out of order fails instead.
//!
//! The tree of parents comes first, then rows by noun and ascending id, then what is known of a
//! workspace's webhook endpoints, then the counters of new ids, with which a change has its turn. What [`Tx::commit`](super::Tx::commit) takes comes after them: the counter of the audit log,
//! the sequence of events, and the key epoch.

use crate::error::Error;

/// What a change locks, in the order in which it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lock {
    /// The tree of a noun's parents.
    Parents,
    /// A row, by the number of its noun and by its id.
    Row(i16, i64),
    /// What tells that the webhook endpoints of the workspace have changed.
    Endpoints,
    /// The counter of a new row's id.
    Id,
}

/// The locks that a change has taken.
#[derive(Debug, Default)]
pub(super) struct Locks {
    last: Option<Lock>,
}

impl Locks {
    /// Notes that a lock is about to be taken; one that is held already may be taken again.
    pub(super) fn take(&mut self, lock: Lock) -> Result<(), Error> {
        if self.last.is_some_and(|last| lock < last) {
            return Err(Error::internal(format!(
                "a change would lock {lock:?} after {:?}: lock parents first, then rows by ascending id, then endpoints, then make rows",
                self.last
            )));
        }
        self.last = Some(lock);
        Ok(())
    }

    /// Notes the rows of a noun from the one id to the other.
    pub(super) fn take_all(&mut self, noun: i16, first: i64, last: i64) -> Result<(), Error> {
        self.take(Lock::Row(noun, first))?;
        self.take(Lock::Row(noun, last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_taken_in_one_order() {
        let mut locks = Locks::default();
        assert!(locks.take(Lock::Parents).is_ok());
        assert!(locks.take_all(1, 3, 9).is_ok());
        assert!(locks.take(Lock::Row(1, 9)).is_ok());
        assert!(locks.take(Lock::Row(1, 4)).is_err());
        assert!(locks.take(Lock::Row(2, 1)).is_ok());
        assert!(locks.take(Lock::Parents).is_err());
        assert!(locks.take(Lock::Id).is_ok());
        assert!(locks.take(Lock::Row(2, 2)).is_err());
    }
}
