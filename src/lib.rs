//! The public integration API of an IT service desk: gRPC, gRPC-web and REST on one port.

pub mod clock;
pub mod error;
pub mod id;
pub mod pb;
