//! What the RPCs do, one file a noun: check, begin, write, record, commit, reply.
//!
//! A service maps between the messages of the contract and the structs of the store. It knows
//! nothing of HTTP: both protocols call the same methods.

pub mod keys;
mod pages;
pub mod system;
pub mod tickets;
pub mod usage;

use std::sync::Arc;

use rest::{Validate, Violations};

use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::error::Error;

/// A request that was checked, and who sent it.
struct Accepted<M> {
    caller: Arc<Caller>,
    message: M,
}

/// Checks the message by the rules of its `.proto` file and by `check`, and reports everything
/// that is wrong at once, together with what the gateway found while reading JSON.
fn accept<M: Validate>(
    mut request: tonic::Request<M>,
    check: impl FnOnce(&M, &mut Violations),
) -> Result<Accepted<M>, Error> {
    let caller = request.extensions_mut().remove::<Arc<Caller>>();
    let message = accept_public(request, check)?;
    let caller =
        caller.ok_or_else(|| Error::internal("an RPC that needs a caller was called without"))?;
    Ok(Accepted { caller, message })
}

/// The same for an RPC that anybody may call.
fn accept_public<M: Validate>(
    mut request: tonic::Request<M>,
    check: impl FnOnce(&M, &mut Violations),
) -> Result<M, Error> {
    let mut violations = request.extensions_mut().remove::<Violations>().unwrap_or_default();
    let message = request.into_inner();
    message.validate(&mut violations);
    check(&message, &mut violations);
    if violations.is_empty() { Ok(message) } else { Err(Error::invalid(violations)) }
}

/// No rules beyond those of the `.proto` file.
fn no_more<M>(_: &M, _: &mut Violations) {}

impl From<Timestamp> for prost_types::Timestamp {
    fn from(time: Timestamp) -> Self {
        let millis = time.0.rem_euclid(1000);
        Self { seconds: time.0.div_euclid(1000), nanos: (millis * 1_000_000) as i32 }
    }
}

impl From<prost_types::Timestamp> for Timestamp {
    /// To the millisecond: what is finer is dropped.
    fn from(time: prost_types::Timestamp) -> Self {
        Self(time.seconds.saturating_mul(1000).saturating_add(i64::from(time.nanos / 1_000_000)))
    }
}

/// The first whole millisecond at `time` or later. The store keeps whole ones, so a bound between
/// two of them bounds the same rows as the later one.
fn next_milli(time: prost_types::Timestamp) -> Timestamp {
    let finer = i64::from(time.nanos % 1_000_000 > 0);
    Timestamp::from(time).plus_millis(finer)
}
