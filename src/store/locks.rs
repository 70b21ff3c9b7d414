//! The order in which a change takes its locks, as types: a lock out of order has no spelling.
//!
//! Every change takes its locks in the same order, so no two changes wait for each other crosswise:
//!
//! 1. its idempotency key, if it has one;
//! 2. the tree of parents;
//! 3. rows of one noun, by ascending id, or the row of a key, or that of the workspace;
//! 4. the epoch of the workspace's webhook endpoints;
//! 5. the counters of new ids, with the change's turn;
//! 6. in [`Tx::commit`], the counter of the audit log, the sequence of events, and the key epoch.
//!
//! A change begins as a [`Locking`] of [`Begun`]. Each method that locks consumes it and returns the next
//! step; the last step is a [`Tx`], which makes and changes rows and can lock no more of them. A
//! change that needs rows of two nouns would need a step between them; none does.

use std::marker::PhantomData;
use std::ops::Deref;

use super::Tx;

/// The first step: the change holds no lock but that of its idempotency key.
#[derive(Debug)]
pub struct Begun;

/// The second step: the change holds the tree of parents, or does not need it.
#[derive(Debug)]
pub struct Parents;

/// The third step: the change holds the rows that it will change.
#[derive(Debug)]
pub struct Rows;

/// The steps from which rows can be locked.
pub trait BeforeRows {}

impl BeforeRows for Begun {}
impl BeforeRows for Parents {}

/// A change that is still taking locks, and has come to the step `S`. It reads as a [`Tx`] does.
///
/// ```compile_fail,E0599
/// # use orqit::{error::Error, store::{Locking, Rows}};
/// async fn crosswise(locking: Locking<Rows>) -> Result<(), Error> {
///     // Rows are locked: it is too late for the tree of parents.
///     locking.lock_parents().await.map(|_| ())
/// }
/// ```
#[must_use = "a change that is not committed is rolled back"]
#[derive(Debug)]
pub struct Locking<S> {
    tx: Tx,
    step: PhantomData<S>,
}

impl Locking<Begun> {
    pub(super) fn begin(tx: Tx) -> Self {
        Self { tx, step: PhantomData }
    }
}

impl<S> Locking<S> {
    /// Moves on to a later step, whose lock the caller has taken.
    pub(super) fn step<T>(self) -> Locking<T> {
        Locking { tx: self.tx, step: PhantomData }
    }

    /// Ends the locking: the change can make and change rows from here on.
    pub fn done(self) -> Tx {
        self.tx
    }
}

impl<S> Deref for Locking<S> {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.tx
    }
}
