//! Refuses a caller whose key lacks the scope that the RPC demands, or whose workspace's plan lacks
//! the capability, before the body is read.

use std::sync::Arc;

use super::Request;
use super::resolve::Target;
use crate::auth::caller::Caller;
use crate::error::{Error, Kind};
use crate::rpc::Demand;

/// Lets the request through if its caller has the scope and its workspace the capability.
pub fn authorize(request: &Request) -> Result<(), Error> {
    let extensions = request.extensions();
    let caller = extensions.get::<Arc<Caller>>().map(Arc::as_ref);
    extensions.get::<Target>().map_or(Ok(()), |target| check(target, caller))
}

/// Refuses a caller whom the target is not for.
pub fn check(target: &Target, caller: Option<&Caller>) -> Result<(), Error> {
    let Demand::Scope(scope) = target.demand() else {
        return Ok(());
    };
    let Some(caller) = caller.filter(|caller| caller.scopes.has(scope)) else {
        let required = scope.name();
        let policy = target.rpc().and_then(|(rpc, _)| rpc.policy);
        let ability = policy.and_then(|policy| policy.ability);
        let ability = ability.map_or_else(String::new, |ability| format!(" ({ability})"));
        let message = format!(
            "The key lacks the scope `{required}{ability}`. Use a key that has it, or ask a workspace admin for one."
        );
        return Err(Error::new(Kind::InsufficientScope { required: Some(required) }, message));
    };
    let policy = target.rpc().and_then(|(rpc, _)| rpc.policy);
    match policy.and_then(|policy| policy.capability) {
        Some(capability) if !caller.has_capability(capability) => {
            let message = format!(
                "The workspace lacks the capability `{capability}`. Ask a workspace admin to enable it."
            );
            Err(Error::new(Kind::FeatureNotEnabled, message))
        }
        _ => Ok(()),
    }
}
