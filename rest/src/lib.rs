//! What the generated REST bindings stand on: routes, JSON rules, query parameters, violations.
//!
//! It knows no service and no store; `rest-build` writes code against it.

mod rpc;
mod violations;

pub use rpc::{Access, IdempotencyKeyUse, Policy, Route, Rpc};
pub use violations::{Violation, Violations};
