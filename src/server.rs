//! THE stack: what a request passes, in which order and why; and the server around it.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::HeaderValue;
use rest::Routes;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;
use tonic::codec::CompressionEncoding::Gzip;
use tonic_web::GrpcWebLayer;
use tower::{BoxError, Layer, Service, ServiceBuilder};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;

use crate::clock::Clock;
use crate::config::{BODY_BYTES_MAX, COMPRESS_BYTES_MIN};
use crate::connections::{self, Bounds};
use crate::gateway::Gateway;
use crate::keyring::KeyRing;
use crate::layers::authenticate::authenticate;
use crate::layers::authorize::authorize;
use crate::layers::cors::CorsLayer;
use crate::layers::deadline::DeadlineLayer;
use crate::layers::request_id::RequestIdLayer;
use crate::layers::resolve::{Resolver, Target, resolve};
use crate::layers::respond::RespondLayer;
use crate::layers::trace::TraceLayer;
use crate::layers::{Request, Response, ResponseFuture};
use crate::pb;
use crate::rpc::Rpcs;
use crate::service::keys::Keys;
use crate::service::system::Systems;
use crate::service::tickets::Tickets;
use crate::store::Store;

/// The OpenAPI document, generated from the `.proto` files.
pub const OPENAPI: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// What the server is made of.
pub struct Server {
    pub store: Store,
    pub clock: Clock,
    pub tls: Option<TlsAcceptor>,
    pub reflection: bool,
    pub cors_origins: Vec<HeaderValue>,
    pub request_timeout: Duration,
    pub body_timeout: Duration,
    pub bounds: Bounds,
}

impl Server {
    /// Serves on `listener` until `stop` resolves. An error is a sentence about the contract: an
    /// RPC without a policy, two RPCs with one route.
    pub async fn run(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> Result<(), String> {
        let (tls, bounds) = (self.tls.clone(), self.bounds);
        let stack = self.stack().await?;
        connections::serve(listener, tls, stack, bounds, stop).await;
        Ok(())
    }

    async fn stack(
        self,
    ) -> Result<
        impl Service<Request, Response = Response, Error = BoxError, Future: Send + 'static> + Clone,
        String,
    > {
        let system = Arc::new(Systems);
        let keys = Arc::new(Keys { clock: self.clock.clone() });
        let tickets = Arc::new(Tickets { store: self.store.clone() });
        let bindings = [
            pb::system_service_bindings(system.clone()),
            pb::key_service_bindings(keys.clone()),
            pb::ticket_service_bindings(tickets.clone()),
        ];
        let resolver = Arc::new(Resolver {
            rpcs: Rpcs::new(pb::RPCS)?,
            routes: Routes::new(bindings.concat())?,
            reflection: self.reflection,
        });
        let grpc = grpc(system, keys, tickets, self.reflection).await?;
        let store = self.store.clone();
        let gateway = Gateway { store, body_timeout: self.body_timeout, openapi: OPENAPI };
        let keyring = Arc::new(KeyRing::new(self.store));
        let clock = self.clock;

        let shared = ServiceBuilder::new()
            // Renders every refusal of what is below it, and catches what panics there.
            .layer(RespondLayer)
            // Counts from the moment the request is known, and covers all that can wait.
            .layer(DeadlineLayer { longest: self.request_timeout })
            // What the request is for decides what it must bring: 404 and 405 need no key.
            .filter(move |request| resolve(&resolver, request))
            // Who calls is known before anything is read that the caller sent.
            .filter_async(move |request| authenticate(keyring.clone(), clock.clone(), request))
            // A caller without the scope learns nothing of the rules of the body.
            .filter(authorize)
            .service(Dispatch { grpc, gateway });
        let branches = Branches {
            // gRPC-web becomes gRPC here: the layer refuses REST, so it stands on its branch alone.
            grpc_web: GrpcWebLayer::new().layer(shared.clone()),
            // gRPC compresses by message, REST by answer.
            rest: CompressionLayer::new()
                .gzip(true)
                .compress_when(SizeAbove::new(COMPRESS_BYTES_MIN))
                .layer(shared.clone()),
            shared,
        };
        Ok(ServiceBuilder::new()
            // First, so that every answer has an id.
            .layer(RequestIdLayer)
            // Its span holds the id, and everything logged below is in it.
            .layer(TraceLayer)
            // A browser must be able to read refusals too, so it stands above what refuses.
            .layer(CorsLayer::new(&self.cors_origins))
            .service(branches))
    }
}

/// The gRPC side: our services, health, and reflection when it is on.
async fn grpc(
    system: Arc<Systems>,
    keys: Arc<Keys>,
    tickets: Arc<Tickets>,
    reflection: bool,
) -> Result<tonic::service::Routes, String> {
    // Each server bounds its messages as the gateway bounds bodies.
    macro_rules! bounded {
        ($server:path, $service:expr) => {
            <$server>::from_arc($service)
                .max_decoding_message_size(BODY_BYTES_MAX)
                .accept_compressed(Gzip)
                .send_compressed(Gzip)
        };
    }
    let mut routes = tonic::service::Routes::builder();
    routes
        .add_service(bounded!(pb::system_service_server::SystemServiceServer::<_>, system))
        .add_service(bounded!(pb::key_service_server::KeyServiceServer::<_>, keys))
        .add_service(bounded!(pb::ticket_service_server::TicketServiceServer::<_>, tickets));
    let (health, health_server) = tonic_health::server::health_reporter();
    health.set_serving::<pb::system_service_server::SystemServiceServer<Systems>>().await;
    health.set_serving::<pb::key_service_server::KeyServiceServer<Keys>>().await;
    health.set_serving::<pb::ticket_service_server::TicketServiceServer<Tickets>>().await;
    routes.add_service(health_server);
    if reflection {
        let describe = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(pb::DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let failed =
            |error| format!("the protobuf definitions cannot be served by reflection: {error}");
        routes.add_service(describe().build_v1().map_err(failed)?);
        routes.add_service(describe().build_v1alpha().map_err(failed)?);
    }
    Ok(routes.routes().prepare())
}

/// The three ways in, by content type.
#[derive(Clone)]
struct Branches<G, R, S> {
    grpc_web: G,
    rest: R,
    shared: S,
}

impl<G, R, S, B> Service<Request> for Branches<G, R, S>
where
    G: Service<Request, Response = Response, Error = BoxError, Future: Send + 'static>,
    R: Service<Request, Response = http::Response<B>, Error = BoxError, Future: Send + 'static>,
    S: Service<Request, Response = Response, Error = BoxError, Future: Send + 'static>,
    B: http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response;
    type Error = BoxError;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // No layer below holds back; each is ready when it is called.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let content_type = request.headers().get(http::header::CONTENT_TYPE);
        let kind = content_type.map_or(&b""[..], HeaderValue::as_bytes);
        let under_api = request.uri().path().starts_with("/api/");
        if !under_api && kind.starts_with(b"application/grpc-web") {
            Box::pin(self.grpc_web.call(request))
        } else if !under_api && kind.starts_with(b"application/grpc") {
            Box::pin(self.shared.call(request))
        } else {
            let answered = self.rest.call(request);
            Box::pin(async move { Ok(answered.await?.map(Body::new)) })
        }
    }
}

/// The end of the shared stack: tonic for gRPC, the gateway for the rest.
#[derive(Clone)]
struct Dispatch {
    grpc: tonic::service::Routes,
    gateway: Gateway,
}

impl Service<Request> for Dispatch {
    type Response = Response;
    type Error = BoxError;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match request.extensions().get::<Target>() {
            Some(Target::Grpc { .. }) => {
                let answered = self.grpc.call(request);
                Box::pin(async move { answered.await.map_err(Into::into) })
            }
            _ => self.gateway.call(request),
        }
    }
}
