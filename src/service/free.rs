//! Names that are given where a request gives none: unique, with a number behind them when they are
//! taken.

use crate::error::{Error, Kind};
use crate::store::Tx;
use crate::store::nouns::Noun;

/// How often a new row tries for a name that others take meanwhile.
const TRIES: u32 = 5;

/// A noun whose rows may be given a name.
pub trait Named: Noun {
    /// Whether a row has this name.
    fn is_taken(tx: &Tx, name: &str) -> impl Future<Output = Result<bool, Error>> + Send;

    /// The row with this name.
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
    if !N::is_taken(tx, &name(1)).await? {
        return Ok(name(1));
    }
    let (mut taken, mut free) = (1, 2);
    while N::is_taken(tx, &name(free)).await? {
        (taken, free) = (free, free * 2);
    }
    while free - taken > 1 {
        let between = taken + (free - taken) / 2;
        match N::is_taken(tx, &name(between)).await? {
            true => taken = between,
            false => free = between,
        }
    }
    Ok(name(free))
}
