//! The public integration API of an IT service desk: gRPC, gRPC-web and REST on one port.
//!
//! ARCHITECTURE.md is the map; the modules stand here in the order a request meets them.

pub mod cli;
pub mod config;
pub mod connections;
pub mod housekeeping;
pub mod readiness;
pub mod server;

pub mod layers;

pub mod auth;
pub mod held_bytes;
pub mod limits;
pub mod network;
pub mod preconditions;
pub mod rpc;
pub mod trail;
pub mod transport;

pub mod api;
pub mod body;
pub mod gateway;
pub mod grpc;
pub mod pb;
pub mod service;

pub mod attempt;
pub mod dispatch;
pub mod email;
pub mod event;
pub mod event_type;
pub mod feed;
pub mod store;
pub mod subscription;
pub mod usage;
pub mod webhooks;

pub mod clock;
pub mod error;
pub mod id;
pub mod metrics;
pub mod resource;
