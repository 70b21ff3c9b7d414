//! Refuses a caller whose key lacks the scope that the RPC demands, before the body is read.

use std::sync::Arc;

use super::Request;
use super::resolve::Target;
use crate::caller::Caller;
use crate::error::{Error, Kind};
use crate::rpc::Demand;

/// Lets the request through if its caller has the scope.
pub fn authorize(request: &Request) -> Result<(), Error> {
    let extensions = request.extensions();
    let demand = extensions.get::<Target>().map_or(Demand::Key, Target::demand);
    let Demand::Scope(scope) = demand else {
        return Ok(());
    };
    match extensions.get::<Arc<Caller>>() {
        Some(caller) if caller.scopes.has(scope) => Ok(()),
        _ => {
            let required = scope.name();
            let message = format!(
                "The key lacks the scope `{required}`. Use a key that has it, or ask a workspace admin for one."
            );
            Err(Error::new(Kind::InsufficientScope { required: Some(required) }, message))
        }
    }
}
