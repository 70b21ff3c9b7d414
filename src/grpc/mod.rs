//! gRPC behind the layers: our services and health by tonic, and what tonic leaves to us: the size and
//! time of a message, and calls that end when the service stops.

mod answers;
mod reflection;

use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Uri};
use http_body::Frame;
use http_body_util::Full;
use tokio::sync::watch;
use tonic::body::Body;
use tonic::service::{Routes, RoutesBuilder};
use tonic::{Code, Status};
use tonic_reflection::pb::v1::server_reflection_server::ServerReflectionServer;
use tower::{BoxError, Service};

use crate::body::{Bodies, bytes_max, gunzip};
use crate::config::{BODY_BYTES_MAX, OPEN_CALL_BYTES, PUBLIC_BODY_BYTES_MAX};
use crate::error::{Error, Kind};
use crate::held_bytes::Hold;
use crate::layers::resolve::Target;
use crate::layers::{Request, Response};
use crate::readiness::Health;
use crate::trail::Trail;

pub use answers::AnswerBytes;
use reflection::Reflection;

/// The bytes before a message: one that tells whether it is compressed, and four of its length.
const FRAME_HEAD_BYTES: usize = 5;
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
/// The RPC of server reflection, in each of its versions.
const REFLECTION_METHOD: &str = "/ServerReflectionInfo";
const REFLECTION_V1: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/// Answers everything that is gRPC.
pub struct Grpc {
    routes: Routes,
    bodies: Bodies,
    stopping: watch::Receiver<bool>,
}

impl Grpc {
    /// Makes the gRPC routes: the services that `add_services` adds and names, health, and
    /// reflection when it is on; with the health reporter, which until then says serving.
    /// `stopping` turns true when the service begins to stop.
    pub async fn new(
        add_services: impl FnOnce(&mut RoutesBuilder) -> Vec<&'static str>,
        reflection: bool,
        bodies: Bodies,
        stopping: watch::Receiver<bool>,
    ) -> Result<(Self, Health), String> {
        let mut routes = Routes::builder();
        let mut names = vec![""];
        let (reporter, health_server) = tonic_health::server::health_reporter();
        routes.add_service(health_server.max_decoding_message_size(PUBLIC_BODY_BYTES_MAX));
        let services = add_services(&mut routes);
        for name in &services {
            reporter.set_service_status(name, tonic_health::ServingStatus::Serving).await;
        }
        names.extend(services);
        if reflection {
            let reflection = Reflection::new(bodies.within)?;
            let server = ServerReflectionServer::new(reflection);
            routes.add_service(server.max_decoding_message_size(PUBLIC_BODY_BYTES_MAX));
        }
        let grpc = Self { routes: routes.routes().prepare(), bodies, stopping };
        Ok((grpc, Health { reporter, services: names }))
    }

    /// Answers a request whose target is known.
    pub async fn answer(&self, request: Request) -> Result<Response, BoxError> {
        match request.extensions().get::<Target>() {
            Some(Target::GrpcStream { name }) if name.ends_with(REFLECTION_METHOD) => {
                self.reflect(request).await
            }
            Some(Target::GrpcStream { .. }) => self.health(request).await,
            Some(Target::Grpc { rpc, .. }) if rpc.streams => self.stream(request).await,
            _ => self.unary(request).await,
        }
    }

    /// Calls one of our RPCs with one message each way, whole before it goes on.
    async fn unary(&self, request: Request) -> Result<Response, BoxError> {
        let request = self.whole(request).await?;
        let response = refusal_in(self.routes.clone().call(request).await?)?;
        Ok(answers::whole(response).await?)
    }

    /// Calls one of our RPCs that answers a stream. Its guard, which the layers made, ends it.
    async fn stream(&self, request: Request) -> Result<Response, BoxError> {
        let mut request = self.whole(request).await?;
        // Each message would be compressed by itself: it costs more than it saves.
        request.headers_mut().remove(GRPC_ACCEPT_ENCODING);
        Ok(refusal_in(self.routes.clone().call(request).await?)?)
    }

    /// A call of health: one message from the client, and one answer or a stream of them.
    async fn health(&self, request: Request) -> Result<Response, BoxError> {
        let hold = self.open_call(&request)?;
        let request = self.whole(request).await?;
        let response = refusal_in(self.routes.clone().call(request).await?)?;
        Ok(self.until_stop(response, hold))
    }

    /// A call of reflection, which may ask many times. Both of its versions are the same on the wire.
    async fn reflect(&self, mut request: Request) -> Result<Response, BoxError> {
        let hold = self.open_call(&request)?;
        *request.uri_mut() = Uri::from_static(REFLECTION_V1);
        let response = refusal_in(self.routes.clone().call(request).await?)?;
        Ok(self.until_stop(response, hold))
    }

    /// The memory of a call that may stay open, which gives way to others like a body.
    fn open_call(&self, request: &Request) -> Result<Arc<Hold>, Error> {
        let trail = request.extensions().get::<Arc<Trail>>();
        let client = trail.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |trail| trail.client);
        let hold = self.bodies.held.hold(client);
        hold.grow(OPEN_CALL_BYTES)?;
        Ok(Arc::new(hold))
    }

    /// The request with its one message, read within size and time.
    async fn whole(&self, request: Request) -> Result<Request, Error> {
        let max = bytes_max(request.extensions().get::<Target>());
        let (mut parts, body) = request.into_parts();
        let bytes = self.bodies.collect(&mut parts, body, FRAME_HEAD_BYTES + max).await?;
        one_message(&bytes, max)?;
        Ok(Request::from_parts(parts, Body::new(Full::new(bytes))))
    }

    fn until_stop(&self, mut response: Response, hold: Arc<Hold>) -> Response {
        let mut stopping = self.stopping.clone();
        let stop = Box::pin(async move {
            // A sender that is gone means the same: nobody serves any more.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        });
        response.extensions_mut().insert(hold);
        response.map(|body| Body::new(UntilStop { body, stop, ended: false }))
    }
}

/// The refusal that a service left in the response's extensions; the response when it left none.
fn refusal_in(mut response: Response) -> Result<Response, Error> {
    match response.extensions_mut().remove::<Status>() {
        Some(status) if status.code() != Code::Ok => match Error::of_status(status) {
            Ok(error) => Err(error),
            Err(_) => Ok(response),
        },
        _ => Ok(response),
    }
}

/// Refuses bytes behind the one message of a call, and a message of more than `max` bytes, also once
/// decompressed. A message that is cut short is for tonic to refuse, and so is a large one where `max`
/// is what a body may have anyway.
fn one_message(bytes: &[u8], max: usize) -> Result<(), Error> {
    let Some((head, message)) = bytes.split_at_checked(FRAME_HEAD_BYTES) else {
        return Ok(());
    };
    let len = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if len > max {
        return Err(Error::too_large(max));
    }
    if message.len() > len {
        let text = "The call takes one message, and its frame must have the length that it says.";
        return Err(Error::new(Kind::ValidationFailed, text));
    }
    if head[0] == 1 && max < BODY_BYTES_MAX {
        gunzip(message, max)?;
    }
    Ok(())
}

/// A stream that ends with UNAVAILABLE when the service stops: its client opens it again elsewhere.
struct UntilStop {
    body: Body,
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    ended: bool,
}

impl http_body::Body for UntilStop {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        std::task::ready!(self.stop.as_mut().poll(cx));
        self.ended = true;
        let mut trailers = HeaderMap::new();
        Status::unavailable("The service stops. Open the stream again.")
            .add_header(&mut trailers)?;
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }
}
