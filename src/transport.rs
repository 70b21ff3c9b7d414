//! The protocols of the API.

/// The protocol that a request came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    Rest,
    Grpc,
    GrpcWeb,
}
