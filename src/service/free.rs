//! Alternate keys that are given where a request gives none: unique, with a number behind them when
//! they are taken.

use crate::error::{Error, Kind};
use crate::store::Tx;
use crate::store::nouns::Noun;

/// The number of tries for a name that others may take meanwhile.
const TRIES: u32 = 5;

/// A noun whose rows may be given an alternate key.
pub trait Named: Noun {
    /// The row with this key.
    fn named(self, name: String) -> Self;
}

/// Makes a row with the first of its names that is free; `name` makes the one with a number, from 1 on.
/// Another row may take that name first: then the next one is tried.
pub async fn insert<N: Named>(
    tx: &mut Tx,
    new: N,
    name: impl Fn(u64) -> String + Send + Sync,
) -> Result<N, Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        let row = new.clone().named(first::<N>(tx, &name).await?);
        match tx.attempt(async |tx| tx.insert(row).await).await {
            Err(error) if error.kind == Kind::AlreadyExists && tries < TRIES => {}
            done => return done,
        }
    }
}

/// The first name that is free. They are taken from 1 on almost without a gap, so it lies between one
/// that is taken and the next that is not.
async fn first<N: Named>(
    tx: &Tx,
    name: &(impl Fn(u64) -> String + Send + Sync),
) -> Result<String, Error> {
    if !tx.is_key_taken::<N>(&name(1)).await? {
        return Ok(name(1));
    }
    let (mut taken, mut free) = (1, 2);
    while tx.is_key_taken::<N>(&name(free)).await? {
        (taken, free) = (free, free * 2);
    }
    while free - taken > 1 {
        let between = taken + (free - taken) / 2;
        match tx.is_key_taken::<N>(&name(between)).await? {
            true => taken = between,
            false => free = between,
        }
    }
    Ok(name(free))
}
