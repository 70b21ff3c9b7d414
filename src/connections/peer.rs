//! The address from which a connection comes.

use std::net::SocketAddr;

/// The address of the client, as a request extension.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);
