//! The runtime of the generated REST bindings: routes, JSON rules, query parameters, violations,
//! streams.
//!
//! It knows no service and no store; `rest-build` writes code against it. It keeps no state and
//! does no I/O: bytes come in with a [`Call`] and go out with a [`Reply`].

mod binding;
mod enums;
mod escape;
mod from_json;
mod json;
mod mask;
mod place;
mod query;
pub mod read;
mod routes;
mod rpc;
pub mod stream;
mod template;
mod text;
mod time;
pub mod validate;
mod violations;
pub mod write;

#[cfg(test)]
mod tests;

pub use binding::{Binding, Call, Content, Refusal, Reply};
pub use enums::{EnumNames, Steps};
pub use from_json::{FromJson, value};
pub use json::{Json, MAX_DEPTH, Number};
pub use mask::{Mask, Merge, Patch, merge_entries};
pub use place::Place;
pub use query::Query;
pub use read::{Field, ReadJson};
pub use routes::{Match, Routes};
pub use rpc::{Access, IdempotencyKeyUse, Policy, Route, Rpc};
pub use stream::{Guard, Guarded, StreamFormat, StreamGuard};
pub use text::FromText;
pub use time::{format_timestamp, parse_timestamp};
pub use validate::{Format, PageParameters, Rules, Validate};
pub use violations::{Violation, Violations, Wrong};
