//! The trail of a request: the facts that become known on its way, for those that look at it once
//! it is answered.
//!
//! The outermost layer that knows requests makes it, the layers below write into it, and a service
//! reads from it where a change came from. It holds no secret.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use http::HeaderValue;
use rest::{Route, Rpc};

use crate::auth::caller::Caller;
use crate::clock::Timestamp;
use crate::limits::Standing;
use crate::transport::Transport;

/// The facts of a request that become known on its way. It is an extension of the request, as an
/// `Arc`.
#[derive(Debug)]
pub struct Trail {
    /// The time at which the request came, by the service's clock.
    pub at: Timestamp,
    /// The protocol that it came by.
    pub transport: Transport,
    /// The address of the client, as far as the configured proxies are to be trusted.
    pub client: IpAddr,
    request_id: HeaderValue,
    /// The caller, once the key is known.
    pub caller: OnceLock<Arc<Caller>>,
    /// The RPC, and the HTTP rule by which it was called.
    pub rpc: OnceLock<(&'static Rpc, Option<&'static Route>)>,
    /// The `Idempotency-Key`, where the RPC takes one and it was sent.
    pub idempotency_key: OnceLock<String>,
    /// The standing of the key's limits after what the request has spent, for every answer to tell.
    standing: Mutex<Option<Standing>>,
    /// The HTTP status and the code of the error by which a stream ended after it had begun.
    pub ended: OnceLock<(u16, &'static str)>,
}

impl Trail {
    /// Begins the trail of a request that has just come. `request_id` is visible ASCII.
    pub fn new(
        at: Timestamp,
        transport: Transport,
        client: IpAddr,
        request_id: HeaderValue,
    ) -> Self {
        Self {
            at,
            transport,
            client,
            request_id,
            caller: OnceLock::new(),
            rpc: OnceLock::new(),
            idempotency_key: OnceLock::new(),
            standing: Mutex::new(None),
            ended: OnceLock::new(),
        }
    }

    /// Returns the standing of the key's limits, where it has some.
    pub fn standing(&self) -> Option<Standing> {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how they stand now that the request has spent of them.
    pub fn set_standing(&self, standing: Standing) {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = Some(standing);
    }

    /// The id of the request.
    pub fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }
}
