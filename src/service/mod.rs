//! The services: what each RPC does, one file a noun, in the steps check, begin, write, record,
//! commit, reply.
//!
//! A service maps between the messages of the contract and the structs of the store. It knows
//! nothing of HTTP: both protocols call the same methods.

mod accept;
pub mod articles;
pub mod assets;
pub mod audit;
mod batch;
pub mod categories;
mod changes;
pub mod compat;
pub mod custom_fields;
mod decimal;
pub mod emails;
pub mod events;
mod free;
pub mod keys;
mod messages;
mod once;
mod pages;
pub mod projects;
mod rate_limits;
mod references;
pub mod system;
pub mod tickets;
mod transitions;
pub mod usage;
pub mod users;
pub mod webhooks;
pub mod workspace;

use serde_json::Value;

use crate::clock::Timestamp;
use crate::id::number;
use accept::{accept, accept_public, accept_update, no_more};

/// Defines functions that translate the numbers of an enum of the contract into the enum of the
/// store: both number alike.
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

/// A number of an enum of the contract as it is stored.
fn stored(number: i32) -> i16 {
    i16::try_from(number).expect("validation refuses numbers that the contract does not have")
}

/// A resource as the API shows it.
fn object(resource: &impl serde::Serialize) -> serde_json::Map<String, Value> {
    match serde_json::to_value(resource) {
        Ok(Value::Object(object)) => object,
        _ => unreachable!("a message always serializes, to an object"),
    }
}

/// The first whole millisecond at `time` or later. The store keeps whole ones, so a bound between
/// two of them bounds the same rows as the later one.
fn next_milli(time: prost_types::Timestamp) -> Timestamp {
    let finer = i64::from(time.nanos % 1_000_000 > 0);
    Timestamp::from(time).plus_millis(finer)
}
