//! The facts of an RPC in the descriptors, as the generator writes them down.

/// A method of a protobuf service.
#[derive(Debug, PartialEq, Eq)]
pub struct Rpc {
    /// The full name of the service, such as `orqit.v1.TicketService`.
    pub service: &'static str,
    /// The method's own name, such as `GetTicket`.
    pub method: &'static str,
    /// The path of the RPC on gRPC, such as `/orqit.v1.TicketService/GetTicket`.
    pub grpc_path: &'static str,
    /// The policy; `None` when the `.proto` file forgot to say, and then nothing starts.
    pub policy: Option<Policy>,
    /// The HTTP rules: the main one, then the additional bindings.
    pub routes: &'static [Route],
    /// True if it reads or changes a resource that has a version.
    pub versioned: bool,
    /// True if its answer shows figures that change without a version.
    pub has_figures: bool,
    /// True if it answers a stream of messages.
    pub streams: bool,
}

/// An HTTP rule of an RPC.
#[derive(Debug, PartialEq, Eq)]
pub struct Route {
    /// The HTTP method, such as `GET`.
    pub method: &'static str,
    /// The path template, such as `/api/public/v1/tickets/{id}`.
    pub template: &'static str,
}

/// The demands of an RPC on its caller, and the way in which REST answers for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The callers who may call.
    pub access: Access,
    /// The endpoint group in lower case, such as `tickets`; `None` counts against no group.
    pub group: Option<&'static str>,
    /// The HTTP status of a success.
    pub success_status: u16,
    /// The use of an Idempotency-Key.
    pub idempotency_key: IdempotencyKeyUse,
    /// The capability that the workspace's plan must have; with `None` every plan will do.
    pub capability: Option<&'static str>,
    /// True if each call spends from a budget of its client's address before anything of it is
    /// read.
    pub limited_by_address: bool,
    /// The other name of the scope, by which clients of another service know it.
    pub ability: Option<&'static str>,
    /// The path on which it can do without an Idempotency-Key although it needs one elsewhere.
    pub keyless_path: Option<&'static str>,
}

impl Policy {
    /// Returns the use of an Idempotency-Key on this route, or over gRPC without one.
    pub fn idempotency_key_on(&self, route: Option<&Route>) -> IdempotencyKeyUse {
        let is_keyless =
            self.keyless_path.is_some_and(|path| route.is_some_and(|route| route.template == path));
        if is_keyless { IdempotencyKeyUse::Optional } else { self.idempotency_key }
    }
}

/// The callers who may call an RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody may call, without a key.
    Public,
    /// Any valid key may call.
    Authenticated,
    /// A key with this scope.
    Scope(&'static str),
}

/// The use that an RPC makes of an Idempotency-Key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdempotencyKeyUse {
    /// A read: the key is ignored.
    Ignored,
    /// A write: the key is optional.
    Optional,
    /// A write that is refused without a key.
    Required,
}
