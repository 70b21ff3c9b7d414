//! The generator's probe: an API that uses what Orqit's does not. Its tests are all it is for.

/// The code that `build.rs` generates.
#[allow(clippy::all, clippy::pedantic, missing_docs)]
pub mod pb {
    tonic::include_proto!("probe.v1");
    include!(concat!(env!("OUT_DIR"), "/probe.v1.rest.rs"));
}

/// The part of it that streams.
#[allow(clippy::all, clippy::pedantic, missing_docs)]
pub mod streams {
    tonic::include_proto!("probe.streams.v1");
    include!(concat!(env!("OUT_DIR"), "/probe.streams.v1.rest.rs"));
}
