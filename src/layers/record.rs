//! Starts the [`Trail`] of a request, and when it is answered writes down what it was: the headers
//! that every answer to the caller has, and the entry of the request log, also when the client has
//! gone before there was an answer. The entry of a stream is taken at its end, and tells how long it
//! was open.
//!
//! It stands outside of what renders refusals, so that nothing is answered behind its back.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderName, HeaderValue, Method};
use http_body_util::BodyExt;
use ipnet::IpNet;
use tonic::body::Body;

use super::around::{Answered, Around};
use super::client_address::client_address;
use super::rate_limit;
use super::request_id::RequestId;
use super::{IsStream, Request, Response, ResponseFuture};
use crate::clock::Clock;
use crate::connections::Peer;
use crate::metrics;
use crate::trail::Trail;
use crate::transport::Transport;
use crate::usage::{Entry, Recorder};

/// The status and the code of a request whose client has gone: what nginx made usual, for there is
/// none in HTTP.
const CLIENT_GONE: (u16, Option<&str>) = (499, Some("CLIENT_GONE"));

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The layer that starts the [`Trail`] of a request and records its end.
#[derive(Clone)]
pub struct Record {
    pub clock: Clock,
    /// The proxies whose word counts on the client's address.
    pub trusted_proxies: Arc<[IpNet]>,
    pub usage: Recorder,
}

/// The refusal of a request, as an extension of its answer.
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
        let begun = Instant::now();
        let trail = Arc::new(self.trail(&request));
        let head = request.method() == Method::HEAD;
        request.extensions_mut().insert(Arc::clone(&trail));
        let usage = self.usage.clone();
        let mut open = Open {
            usage,
            trail: Arc::clone(&trail),
            head,
            begun,
            outcome: CLIENT_GONE,
            measured: false,
        };
        let answered = next(request);
        Box::pin(async move {
            let mut response = answered.await?;
            open.outcome = outcome(&trail, &response);
            open.measure();
            if let Some(standing) = trail.standing() {
                response.headers_mut().extend(rate_limit::headers(&standing));
            }
            if response.extensions().get::<IsStream>().is_some() {
                // Its entry is taken when its body is dropped.
                return Ok(response.map(|body| {
                    Body::new(body.map_frame(move |frame| {
                        let _until_then = &open;
                        frame
                    }))
                }));
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

/// The status and the code of an answer.
fn outcome(trail: &Trail, response: &Response) -> (u16, Option<&'static str>) {
    if let Some(refused) = response.extensions().get::<Refused>() {
        return (refused.status, Some(refused.code));
    }
    let policy = trail.rpc.get().and_then(|(rpc, _)| rpc.policy);
    match (trail.transport, policy) {
        (Transport::Grpc | Transport::GrpcWeb, Some(policy)) => (policy.success_status, None),
        _ => (response.status().as_u16(), None),
    }
}

/// A request that is not answered to the end yet. However it ends, its entry is taken: when its client
/// goes, the future or the body that holds this is dropped.
struct Open {
    usage: Recorder,
    trail: Arc<Trail>,
    head: bool,
    begun: Instant,
    outcome: (u16, Option<&'static str>),
    /// True if the metrics have counted the request.
    measured: bool,
}

impl Open {
    /// Records the latency of the answer's head in the metrics.
    fn measure(&mut self) {
        let (status, _) = self.outcome;
        if let Some((rpc, _)) = self.trail.rpc.get().filter(|_| !self.measured) {
            metrics::record_request(rpc, self.trail.transport, status, self.begun.elapsed());
        }
        self.measured = true;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.measure();
        // How a stream ended is what counts of it.
        let ended = self.trail.ended.get().map(|(status, code)| (*status, Some(*code)));
        let (status, code) = ended.unwrap_or(self.outcome);
        let route = self.trail.rpc.get().and_then(|(_, route)| *route);
        let method = match route {
            Some(_) if self.head => "HEAD",
            Some(route) => route.method,
            None => "POST",
        };
        let (trail, latency) = (Arc::clone(&self.trail), self.begun.elapsed());
        self.usage.take(Entry { trail, method, status, code, latency });
    }
}
