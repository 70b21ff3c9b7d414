//! Starts the [`Trail`] of a request, and when it is answered writes down what it was: the headers
//! that every answer to the caller has.
//!
//! It stands outside of what renders refusals, so that nothing is answered behind its back.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use ipnet::IpNet;

use super::around::{Answered, Around};
use super::client_address::client_address;
use super::request_id::RequestId;
use super::{Request, ResponseFuture};
use crate::clock::Clock;
use crate::connections::Peer;
use crate::trail::{Trail, Transport};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// See the module.
#[derive(Debug, Clone)]
pub struct Record {
    pub clock: Clock,
    /// Whose word counts on who the client is.
    pub trusted_proxies: Arc<[IpNet]>,
}

/// How a request was refused, as an extension of its answer.
#[derive(Debug, Clone, Copy)]
pub struct Refused {
    /// The stable code.
    pub code: &'static str,
    /// The HTTP status, also where the answer is gRPC.
    pub status: u16,
}

impl Around for Record {
    fn around<F: Answered>(
        &self,
        mut request: Request,
        next: impl FnOnce(Request) -> F,
    ) -> ResponseFuture {
        let trail = Arc::new(self.trail(&request));
        request.extensions_mut().insert(Arc::clone(&trail));
        let answered = next(request);
        Box::pin(async move {
            let mut response = answered.await?;
            if let Some(headers) = trail.headers.get() {
                response.headers_mut().extend(headers.clone());
            }
            Ok(response)
        })
    }
}

impl Record {
    fn trail(&self, request: &Request) -> Trail {
        let extensions = request.extensions();
        let peer = extensions.get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0.ip());
        let forwarded = request.headers().get_all(X_FORWARDED_FOR);
        let client = client_address(peer, forwarded.iter(), &self.trusted_proxies);
        let transport = extensions.get::<Transport>().copied().unwrap_or(Transport::Rest);
        let id = extensions.get::<RequestId>().map(RequestId::header);
        let id = id.unwrap_or(HeaderValue::from_static(""));
        Trail::new(self.clock.now(), transport, client, id)
    }
}
