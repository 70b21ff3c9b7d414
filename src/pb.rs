//! The code that `build.rs` generates from the `.proto` files: messages, services and REST
//! bindings.
//!
//! Nothing is written here by hand, so only here are lints silenced.

#![allow(clippy::all, clippy::pedantic, missing_docs)]

tonic::include_proto!("orqit.v1");
include!(concat!(env!("OUT_DIR"), "/orqit.v1.rest.rs"));

/// The encoded `FileDescriptorSet` of the API: all files with their imports, options and comments.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/orqit.bin"));

/// The encoded files of google.protobuf that the details of a refusal import.
pub const WELL_KNOWN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/well_known.bin"));
