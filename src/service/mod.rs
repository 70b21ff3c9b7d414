//! What the RPCs do, one file a noun: check, begin, write, record, commit, reply.
//!
//! A service maps between the messages of the contract and the structs of the store. It knows
//! nothing of HTTP: both protocols call the same methods.

pub mod audit;
mod changes;
pub mod keys;
mod once;
mod pages;
mod rate_limits;
pub mod system;
pub mod tickets;
pub mod usage;
pub mod users;
pub mod workspace;

use std::sync::Arc;

use prost::Message;
use rest::{Validate, Violations};
use serde_json::Value;

use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::Origin;
use crate::held_bytes::Hold;
use crate::preconditions::{Precondition, Preconditions};
use crate::store::Claim;
use crate::trail::Trail;

/// A request that was checked, and who sent it.
struct Accepted<M> {
    caller: Arc<Caller>,
    message: M,
    /// None where the service calls itself, to load its demo.
    trail: Option<Arc<Trail>>,
    /// What the request is known by, if it came with an idempotency key.
    claim: Option<Claim>,
    /// The versions of a resource for which it is meant.
    precondition: Precondition,
    /// Counts the memory of the message for as long as the service works on it.
    _memory: Option<Arc<Hold>>,
}

impl<M> Accepted<M> {
    /// Who makes the change that is asked for, and by which request.
    fn origin(&self) -> Origin {
        Origin {
            actor: self.caller.actor(),
            request_id: self.trail.as_ref().map(|trail| trail.request_id().to_owned()),
            client_ip: self.trail.as_ref().map(|trail| trail.client.to_string()),
        }
    }
}

/// Checks the message by the rules of its `.proto` file and by `check`, and reports everything
/// that is wrong at once, together with what the gateway found while reading JSON.
fn accept<M: Validate + Message + Clone>(
    mut request: tonic::Request<M>,
    check: impl FnOnce(&M, &mut Violations),
) -> Result<Accepted<M>, Error> {
    let caller = request.extensions_mut().remove::<Arc<Caller>>();
    let trail = request.extensions_mut().remove::<Arc<Trail>>();
    let memory = request.extensions_mut().remove::<Arc<Hold>>();
    let preconditions = request.extensions().get::<Arc<Preconditions>>().cloned();
    let preconditions = preconditions.unwrap_or_default();
    let message = accept_public(request, check)?;
    let caller =
        caller.ok_or_else(|| Error::internal("an RPC that needs a caller was called without"))?;
    let claim =
        trail.as_ref().and_then(|trail| once::claim(trail, &caller, &message, &preconditions));
    let precondition = Precondition::new(preconditions, message.version());
    Ok(Accepted { caller, message, trail, claim, precondition, _memory: memory })
}

/// The same for an RPC that anybody may call.
fn accept_public<M: Validate>(
    mut request: tonic::Request<M>,
    check: impl FnOnce(&M, &mut Violations),
) -> Result<M, Error> {
    let mut violations = request.extensions_mut().remove::<Violations>().unwrap_or_default();
    if let Some(conditions) = request.extensions_mut().remove::<Arc<Preconditions>>() {
        violations.extend(&conditions.violations);
    }
    let message = request.into_inner();
    message.validate(&mut violations);
    check(&message, &mut violations);
    if violations.is_empty() { Ok(message) } else { Err(Error::invalid(violations)) }
}

/// The number that digits without a leading zero are, as ids are written.
fn number(digits: &str) -> Option<i64> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|_| plain)
}

/// Defines functions that make the enum of the store of the number of the enum of the contract: both
/// number alike.
macro_rules! from_number {
    ($($function:ident -> $enum:ident,)+) => {
        $(pub fn $function(number: i32) -> $enum {
            i16::try_from(number)
                .ok()
                .and_then($enum::from_i16)
                .expect("validation refuses numbers that the contract does not have")
        })+
    };
}

use from_number;

/// A resource as the API shows it.
fn object(resource: &impl serde::Serialize) -> serde_json::Map<String, Value> {
    match serde_json::to_value(resource) {
        Ok(Value::Object(object)) => object,
        _ => unreachable!("a message always serializes, to an object"),
    }
}

/// No rules beyond those of the `.proto` file.
fn no_more<M>(_: &M, _: &mut Violations) {}

/// The first whole millisecond at `time` or later. The store keeps whole ones, so a bound between
/// two of them bounds the same rows as the later one.
fn next_milli(time: prost_types::Timestamp) -> Timestamp {
    let finer = i64::from(time.nanos % 1_000_000 > 0);
    Timestamp::from(time).plus_millis(finer)
}
