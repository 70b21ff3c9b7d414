//! gRPC behind the layers: our services, health and reflection by tonic, and what tonic leaves to
//! us: the time that a message may take, and streams that end when the service stops.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use http_body_util::Full;
use tokio::sync::watch;
use tonic::body::Body;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::{BoxError, Service};

use crate::body;
use crate::config::BODY_BYTES_MAX;
use crate::error::{Error, Kind};
use crate::layers::resolve::Target;
use crate::layers::{Request, Response};
use crate::pb;
use crate::pb::audit_service_server::AuditServiceServer;
use crate::pb::key_service_server::KeyServiceServer;
use crate::pb::system_service_server::SystemServiceServer;
use crate::pb::ticket_service_server::TicketServiceServer;
use crate::pb::usage_service_server::UsageServiceServer;
use crate::pb::user_service_server::UserServiceServer;
use crate::pb::workspace_service_server::WorkspaceServiceServer;
use crate::readiness::Readiness;
use crate::service::audit::Audits;
use crate::service::keys::Keys;
use crate::service::system::Systems;
use crate::service::tickets::Tickets;
use crate::service::usage::Usages;
use crate::service::users::Users;
use crate::service::workspace::Workspaces;

/// What stands before a message: whether it is compressed, and its length in four bytes.
const FRAME_HEAD_BYTES: usize = 5;

/// The services that are called, by either protocol.
#[derive(Clone)]
pub struct Services {
    pub system: Arc<Systems>,
    pub keys: Arc<Keys>,
    pub workspace: Arc<Workspaces>,
    pub users: Arc<Users>,
    pub audit: Arc<Audits>,
    pub tickets: Arc<Tickets>,
    pub usage: Arc<Usages>,
}

/// Answers everything that is gRPC.
pub struct Grpc {
    routes: Routes,
    body_timeout: Duration,
    stopping: watch::Receiver<bool>,
}

impl Grpc {
    /// Our services and health, and reflection when it is on; and what tells health how the services
    /// are, which until then is serving. `stopping` turns true when the service begins to stop.
    pub async fn new(
        services: Services,
        reflection: bool,
        body_timeout: Duration,
        stopping: watch::Receiver<bool>,
    ) -> Result<(Self, Readiness), String> {
        let mut routes = Routes::builder();
        let mut names = vec![""];
        let (reporter, health_server) = tonic_health::server::health_reporter();
        routes.add_service(health_server.max_decoding_message_size(BODY_BYTES_MAX));
        // Each server bounds its messages as the gateway bounds bodies.
        macro_rules! serve {
            ($server:ident, $service:expr) => {
                let server = $server::from_arc($service).max_decoding_message_size(BODY_BYTES_MAX);
                routes.add_service(server.accept_compressed(Gzip).send_compressed(Gzip));
                let name = <$server<()> as tonic::server::NamedService>::NAME;
                reporter.set_service_status(name, tonic_health::ServingStatus::Serving).await;
                names.push(name);
            };
        }
        serve!(SystemServiceServer, services.system);
        serve!(KeyServiceServer, services.keys);
        serve!(WorkspaceServiceServer, services.workspace);
        serve!(UserServiceServer, services.users);
        serve!(AuditServiceServer, services.audit);
        serve!(TicketServiceServer, services.tickets);
        serve!(UsageServiceServer, services.usage);
        if reflection {
            let describe = || {
                tonic_reflection::server::Builder::configure()
                    .register_encoded_file_descriptor_set(pb::DESCRIPTORS)
                    .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            };
            let failed = |error| format!("the protobuf definitions cannot be served: {error}");
            let v1 = describe().build_v1().map_err(failed)?;
            routes.add_service(v1.max_decoding_message_size(BODY_BYTES_MAX));
            let v1alpha = describe().build_v1alpha().map_err(failed)?;
            routes.add_service(v1alpha.max_decoding_message_size(BODY_BYTES_MAX));
        }
        let grpc = Self { routes: routes.routes().prepare(), body_timeout, stopping };
        Ok((grpc, Readiness { reporter, services: names }))
    }

    /// Answers a request whose target is known.
    pub async fn answer(&self, request: Request) -> Result<Response, BoxError> {
        match request.extensions().get::<Target>() {
            Some(Target::Grpc { .. }) => self.unary(request).await,
            _ => self.streaming(request).await,
        }
    }

    /// A call whose request is one message: it is read here, within its time.
    async fn unary(&self, request: Request) -> Result<Response, BoxError> {
        let (parts, body) = request.into_parts();
        let max = FRAME_HEAD_BYTES + BODY_BYTES_MAX;
        let bytes = body::collect(&parts.headers, body, max, self.body_timeout).await?;
        one_message(&bytes)?;
        let request = Request::from_parts(parts, Body::new(Full::new(bytes)));
        refusal_in(self.routes.clone().call(request).await?).map_err(Into::into)
    }

    /// A call of health or reflection, which may stay open.
    async fn streaming(&self, request: Request) -> Result<Response, BoxError> {
        let response = self.routes.clone().call(request).await?;
        let mut stopping = self.stopping.clone();
        let stop = Box::pin(async move {
            // A sender that is gone means the same: nobody serves any more.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        });
        Ok(response.map(|body| Body::new(UntilStop { body, stop, ended: false })))
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

/// Refuses bytes behind the one message of a unary call. A message that is cut short is for tonic
/// to refuse.
fn one_message(bytes: &[u8]) -> Result<(), Error> {
    let Some((head, message)) = bytes.split_at_checked(FRAME_HEAD_BYTES) else {
        return Ok(());
    };
    let len = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if len > BODY_BYTES_MAX {
        return Err(Error::too_large());
    }
    if message.len() > len {
        let text = "The call takes one message, and its frame must have the length that it says.";
        return Err(Error::new(Kind::ValidationFailed, text));
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
