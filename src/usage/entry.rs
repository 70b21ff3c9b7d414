//! What a request leaves behind for its log and its figures.

use std::sync::Arc;
use std::time::Duration;

use crate::trail::Trail;

/// The entry of a request that is answered.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The trail of the request: its time, address, caller and RPC.
    pub trail: Arc<Trail>,
    /// The HTTP method.
    pub method: &'static str,
    /// The HTTP status, for gRPC that which REST would have answered.
    pub status: u16,
    /// The code of the refusal, if it was one.
    pub code: Option<&'static str>,
    /// The time from the head of the request to the head of the answer.
    pub latency: Duration,
}
