//! The binding of one route to one method of a service.
//!
//! A binding reads the request, calls the service and writes the answer. It does not stop at a
//! wrong field: the [`Violations`] go to the service in the request's extensions, so that it can
//! add its own and report all at once. It checks no key, no media type and no size.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::Extensions;
use tonic::metadata::MetadataMap;

use crate::place::Place;
use crate::rpc::{Route, Rpc};
use crate::stream::{Frames, StreamFormat};
use crate::violations::{Violations, Wrong};

type Answer = Pin<Box<dyn Future<Output = Result<Reply, Refusal>> + Send>>;

/// A route of an RPC, bound to the service that answers it. A clone shares the service.
#[derive(Clone)]
pub struct Binding {
    /// The RPC.
    pub rpc: &'static Rpc,
    /// The one of its routes that this is.
    pub route: &'static Route,
    /// True if the request has a body; for others, bytes of a body are a wrong field.
    pub takes_body: bool,
    answer: Arc<dyn Fn(Call) -> Answer + Send + Sync>,
}

/// A REST request, as far as a binding looks at it.
#[derive(Debug, Default)]
pub struct Call {
    /// The values of the template's variables, in its order, percent-decoded.
    pub captures: Vec<String>,
    /// The raw query string, without `?`.
    pub query: Option<String>,
    /// The whole body, decompressed.
    pub body: Bytes,
    /// The metadata of the request, as the service sees it.
    pub metadata: MetadataMap,
    /// The extensions that layers before have left for the service.
    pub extensions: Extensions,
    /// The format of a stream, if the answer is one.
    pub stream_format: StreamFormat,
}

/// An answer, ready to be sent.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The content.
    pub content: Content,
    /// The version of the resource, if it has one.
    pub version: Option<i64>,
    /// The metadata of the service's response.
    pub metadata: MetadataMap,
}

/// The content of an answer.
pub enum Content {
    /// The complete envelope, as JSON.
    Whole(Bytes),
    /// The frames of a stream.
    Stream(Frames),
}

/// The reason why there is no answer.
#[derive(Debug)]
pub enum Refusal {
    /// The body is not one JSON object: a sentence for the caller. The service was not called.
    MalformedJson(String),
    /// The service refused or failed.
    Status(tonic::Status),
}

impl Binding {
    /// Binds a route to what answers it.
    pub fn new<F, A>(rpc: &'static Rpc, route: &'static Route, takes_body: bool, answer: F) -> Self
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Reply, Refusal>> + Send + 'static,
    {
        Self { rpc, route, takes_body, answer: Arc::new(move |call| Box::pin(answer(call))) }
    }

    /// Answers a request. The future owns all it needs.
    pub fn call(&self, call: Call) -> Answer {
        (self.answer)(call)
    }
}

impl std::fmt::Debug for Binding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} -> {}", self.route.method, self.route.template, self.rpc.grpc_path)
    }
}

impl Call {
    /// The request of the service: the message, with everything that is wrong with it in the
    /// extensions, if anything is.
    pub fn into_request<T>(mut self, message: T, violations: Violations) -> tonic::Request<T> {
        if !violations.is_blank() {
            self.extensions.insert(violations);
        }
        tonic::Request::from_parts(self.metadata, self.extensions, message)
    }

    /// Notes a body on a route that has none: nothing that is sent is ignored.
    pub fn refuse_body(&self, violations: &mut Violations) {
        if !self.body.is_empty() {
            let wrong = Wrong::new("UNKNOWN_FIELD", "is not taken here; send none");
            violations.note(&Place::ROOT.field("body"), wrong);
        }
    }
}

impl Reply {
    /// The answer to a success.
    pub fn new(rpc: &Rpc, body: Bytes, version: Option<i64>, metadata: MetadataMap) -> Self {
        let status = rpc.policy.map_or(200, |policy| policy.success_status);
        Self { status, content: Content::Whole(body), version, metadata }
    }

    /// The answer to a stream that was opened.
    pub fn stream(rpc: &Rpc, frames: Frames, metadata: MetadataMap) -> Self {
        let status = rpc.policy.map_or(200, |policy| policy.success_status);
        Self { status, content: Content::Stream(frames), version: None, metadata }
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(body) => write!(f, "{}", body.escape_ascii()),
            Self::Stream(_) => f.write_str("a stream"),
        }
    }
}
