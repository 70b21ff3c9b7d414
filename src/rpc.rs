//! The table of RPCs and what each demands, checked before the service starts.

use std::collections::HashMap;

use rest::{Access, Rpc};

use crate::auth::caller::CAN_MANAGE_API_KEYS;
use crate::auth::scope::Scope;

/// The demand of an RPC on its caller, as the layers read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// No key is needed, and none is looked at.
    Nothing,
    /// Any valid key will do.
    Key,
    /// A key with this scope.
    Scope(Scope),
}

/// The table of RPCs by their gRPC paths.
#[derive(Debug)]
pub struct Rpcs {
    by_path: HashMap<&'static str, (&'static Rpc, Demand)>,
}

impl Rpcs {
    /// The table, or a sentence that names the first RPC which does not say who may call it.
    pub fn new(rpcs: &'static [Rpc]) -> Result<Self, String> {
        let by_path = rpcs
            .iter()
            .map(|rpc| Ok((rpc.grpc_path, (rpc, demand(rpc)?))))
            .collect::<Result<_, String>>()?;
        Ok(Self { by_path })
    }

    /// The RPC of a gRPC path such as `/orqit.v1.TicketService/GetTicket`.
    pub fn find(&self, grpc_path: &str) -> Option<(&'static Rpc, Demand)> {
        self.by_path.get(grpc_path).copied()
    }
}

/// The endpoint groups of these RPCs, in the order in which they first stand there.
pub fn groups(rpcs: &[Rpc]) -> Vec<&'static str> {
    let mut groups = Vec::new();
    for group in rpcs.iter().filter_map(|rpc| rpc.policy?.group) {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

/// Returns the name of an RPC in the request log and the usage: `TicketService/GetTicket`.
pub fn endpoint(rpc: &Rpc) -> &'static str {
    rpc.grpc_path.rsplit_once('.').map_or(rpc.grpc_path, |(_, name)| name)
}

fn demand(rpc: &Rpc) -> Result<Demand, String> {
    let name = format!("{}/{}", rpc.service, rpc.method);
    let Some(policy) = rpc.policy else {
        return Err(format!(
            "{name} declares no policy: say in its .proto file who may call it, by \
             `option (orqit.v1.policy) = {{scope: \"…\"}}`, `authenticated: true` or `public: true`"
        ));
    };
    if let Some(capability) = policy.capability.filter(|name| *name != CAN_MANAGE_API_KEYS) {
        return Err(format!(
            "{name} demands the capability `{capability}`, which does not exist: name one that a workspace can have"
        ));
    }
    if rpc.streams && policy.access == Access::Public {
        return Err(format!(
            "{name} streams and demands no key: a stream is bounded by its key, so demand one"
        ));
    }
    match policy.access {
        Access::Public => Ok(Demand::Nothing),
        Access::Authenticated => Ok(Demand::Key),
        Access::Scope(scope) => Scope::parse(scope).map(Demand::Scope).ok_or(format!(
            "{name} demands the scope `{scope}`, which does not exist: name a native scope in its policy"
        )),
    }
}

#[cfg(test)]
mod tests {
    use rest::{IdempotencyKeyUse, Policy};

    use super::*;

    const fn rpc(policy: Option<Policy>) -> Rpc {
        let grpc_path = "/orqit.v1.TicketService/DeleteTicket";
        Rpc {
            service: "orqit.v1.TicketService",
            method: "DeleteTicket",
            grpc_path,
            policy,
            routes: &[],
            versioned: false,
            has_figures: false,
            streams: false,
        }
    }

    const POLICY: Policy = Policy {
        access: Access::Authenticated,
        group: None,
        success_status: 200,
        idempotency_key: IdempotencyKeyUse::Ignored,
        capability: None,
        ability: None,
        keyless_path: None,
        limited_by_address: false,
    };

    const fn scoped(scope: &'static str) -> Rpc {
        rpc(Some(Policy { access: Access::Scope(scope), ..POLICY }))
    }

    #[test]
    fn an_rpc_without_a_policy_is_named() {
        static RPCS: [Rpc; 1] = [rpc(None)];
        let sentence = Rpcs::new(&RPCS).expect_err("no policy");
        assert!(sentence.starts_with("orqit.v1.TicketService/DeleteTicket declares no policy"));
    }

    #[test]
    fn a_scope_that_does_not_exist_is_named() {
        static RPCS: [Rpc; 1] = [scoped("tickets:delete")];
        assert!(Rpcs::new(&RPCS).expect_err("no such scope").contains("`tickets:delete`"));
        static GOOD: [Rpc; 1] = [scoped("tickets:write")];
        let rpcs = Rpcs::new(&GOOD).expect("a table");
        let found = rpcs.find("/orqit.v1.TicketService/DeleteTicket").expect("its path");
        assert_eq!(found.1, Demand::Scope(Scope::TicketsWrite));
    }

    #[test]
    fn a_stream_that_demands_no_key_is_named() {
        static RPCS: [Rpc; 1] = [Rpc {
            streams: true,
            policy: Some(Policy { access: Access::Public, ..POLICY }),
            ..rpc(None)
        }];
        assert!(Rpcs::new(&RPCS).expect_err("no key").contains("demand one"));
    }
}
