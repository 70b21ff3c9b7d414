//! The layer that spends from the budget of the client's address for calls that need no key and are
//! costly to answer; `authenticate` does so for keys that are refused.

use std::sync::Arc;

use super::Request;
use super::resolve::Target;
use crate::auth::leaks::Leaks;
use crate::error::Error;
use crate::trail::Trail;

/// Refuses a client that calls too often. Reports of leaks are the only such calls.
pub fn admit(leaks: &Leaks, request: &Request) -> Result<(), Error> {
    let rpc = request.extensions().get::<Target>().and_then(Target::rpc);
    let is_limited = rpc.and_then(|(rpc, _)| rpc.policy).is_some_and(|it| it.limited_by_address);
    match request.extensions().get::<Arc<Trail>>() {
        Some(trail) if is_limited => leaks.admit(trail.client),
        _ => Ok(()),
    }
}
