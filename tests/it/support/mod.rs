//! What tests need before they can begin.

pub mod database;
pub mod grpc;
pub mod http2;
pub mod receiver;
pub mod redis;
pub mod requests;
pub mod rest;
pub mod server;
pub mod slow_link;
pub mod smtp;
pub mod tickets;
pub mod tls;
pub mod tower;
pub mod usage;
pub mod wire;
