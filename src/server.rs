//! THE stack: what a request passes, in which order and why; and the server around it.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Version};
use ipnet::IpNet;
use rest::{Routes, Rpc};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;
use tonic_web::GrpcWebLayer;
use tower::{BoxError, Layer, Service, ServiceBuilder};
use tower_http::compression::CompressionLayer;

use crate::api::{self, Api, MakeApi, Shared};
use crate::auth::attempts::{Budget, FailedAttempts};
use crate::auth::keyring::KeyRing;
use crate::auth::leaks::Leaks;
use crate::body::Bodies;
use crate::clock::Clock;
use crate::connections::{self, Bounds};
use crate::gateway::github::{Github, GithubKeys};
use crate::gateway::{Gateway, OpenApi, is_compressed};
use crate::grpc::Grpc;
use crate::held_bytes::{self, HeldBytes};
use crate::layers::admit::admit;
use crate::layers::around::AroundLayer;
use crate::layers::audit_denials::Attempt;
use crate::layers::authenticate::authenticate;
use crate::layers::authorize::authorize;
use crate::layers::bound_answers::Answer;
use crate::layers::cors::Cors;
use crate::layers::deadline::{self, Deadline};
use crate::layers::drain::Drain;
use crate::layers::guard_stream::Streams;
use crate::layers::head::without_body;
use crate::layers::host;
use crate::layers::idempotency::read_idempotency_key;
use crate::layers::rate_limit::rate_limit;
use crate::layers::read_preconditions::read_preconditions;
use crate::layers::record::Record;
use crate::layers::request_id::RequestIds;
use crate::layers::resolve::{Resolver, Target, resolve};
use crate::layers::respond::Respond;
use crate::layers::trace::Trace;
use crate::layers::{Protocol, Request, Response, ResponseFuture, grpc_web_kind};
use crate::limits::{self, Limiter};
use crate::pb;
use crate::readiness::{Health, Readiness};
use crate::rpc::{self, Rpcs};
use crate::service::{self, emails::Outbox};
use crate::store::Store;
use crate::transport::Transport;
use crate::usage::Recorder;
use crate::usage::retention::Retention;
use crate::{email, housekeeping, metrics, webhooks};

/// The OpenAPI document, generated from the `.proto` files.
pub const OPENAPI: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// The parts of the server.
pub struct Server {
    pub store: Store,
    pub clock: Clock,
    pub limits: limits::Settings,
    pub tls: Option<TlsAcceptor>,
    pub reflection: bool,
    pub cors_origins: Vec<HeaderValue>,
    pub request_timeout: Duration,
    pub body_timeout: Duration,
    pub usage: Recorder,
    pub retention: Retention,
    pub bounds: Bounds,
    /// The most memory of request bodies, and of answers.
    pub bodies: held_bytes::Bounds,
    pub answers: held_bytes::Bounds,
    pub trusted_proxies: Vec<IpNet>,
    pub failed_attempts: Budget,
    pub github_keys: Option<GithubKeys>,
    /// The address under which clients reach the service, such as `https://desk.example`; the
    /// OpenAPI document names it.
    pub public_url: String,
    pub webhooks: webhooks::Settings,
    /// The settings of e-mail; none without an SMTP server.
    pub email: Option<email::Settings>,
}

impl Server {
    /// Serves on `listener` until `stop` resolves. An error is a sentence about the contract: an
    /// RPC without a policy, two RPCs with one route.
    pub async fn run(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> Result<(), String> {
        self.run_api(pb::RPCS, Box::new(api::orqit), listener, stop).await
    }

    /// Serves other RPCs by the same stack: `rpcs` is the table of them.
    pub async fn run_api(
        self,
        rpcs: &'static [Rpc],
        api: MakeApi,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> Result<(), String> {
        let (tls, bounds) = (self.tls.clone(), self.bounds.clone());
        let (stop_streams, stopping) = watch::channel(false);
        let ring = Arc::new(KeyRing::new(self.store.clone()));
        let (store, clock) = (self.store.clone(), self.clock.clone());
        let (retention, usage) = (self.retention, self.usage.clone());
        let dispatcher = api::dispatcher(&store, &clock, &self.webhooks, self.email.as_ref());
        let drain = bounds.drain_timeout;
        let readiness = Readiness::new(self.store.clone());
        let (stack, health) =
            self.stack(rpcs, api, Arc::clone(&ring), readiness.clone(), stopping).await?;
        let stop_dispatch = stop_streams.subscribe();
        let (stop_usage, stopped) = oneshot::channel::<()>();
        // Ends when its sender is dropped.
        let usage = tokio::spawn(usage.run(async { drop(stopped.await) }));
        // Goes on beyond the last request, until what is being sent is sent.
        let dispatch = tokio::spawn(dispatcher.run(stops(stop_dispatch), drain));
        let stop = async {
            stop.await;
            stop_streams.send_replace(true);
        };
        // A first look before the first request: what is cached from then on is trusted. If it
        // fails, `watch` says so and goes on trying.
        let _ = ring.look().await;
        let served = connections::serve(listener, tls, stack, bounds, stop);
        tokio::select! {
            () = served => {}
            // These run beside it for as long as it serves; each step of theirs is made, or not.
            () = ring.watch() => {}
            () = store.share_wakes() => {}
            () = readiness.tell(&health) => {}
            () = housekeeping::run(&store, &clock) => {}
            () = metrics::keep_up(|| store.sample()) => {}
            () = retention.run(store.clone(), clock.clone()) => {}
        }
        dispatch.await.map_err(|error| format!("deliveries were cut off: {error}"))?;
        ring.leave().await;
        // No request is left by now: what they have left behind is written before this returns.
        drop(stop_usage);
        usage.await.map_err(|error| format!("the last requests were not written down: {error}"))
    }

    async fn stack(
        self,
        rpcs: &'static [Rpc],
        api: MakeApi,
        ring: Arc<KeyRing>,
        readiness: Readiness,
        stopping: watch::Receiver<bool>,
    ) -> Result<
        (
            impl Service<Request, Response = Response, Error = BoxError, Future: Send + Unpin + 'static>
            + Clone,
            Health,
        ),
        String,
    > {
        metrics::install();
        let limiter = Limiter::start(self.limits, &rpc::groups(rpcs), self.clock.clone()).await?;
        let limiter = Arc::new(limiter);
        let leaks = Arc::new(leaks(&self.store, &ring, self.failed_attempts));
        let Api { bindings, add_servers } = api(Shared {
            store: self.store.clone(),
            ring: Arc::clone(&ring),
            leaks: Arc::clone(&leaks),
            limiter: Arc::clone(&limiter),
            clock: self.clock.clone(),
            event_types: service::events::catalogue(OPENAPI)?,
            vault: self.webhooks.vault,
            allowed: self.webhooks.allowed,
            outbox: Outbox { has_server: self.email.is_some() },
        });
        let resolver = Resolver {
            rpcs: Rpcs::new(rpcs)?,
            routes: Routes::new(bindings)?,
            reflection: self.reflection,
            github_secret_scanning: self.github_keys.is_some(),
        };
        let bodies = Bodies {
            within: self.body_timeout,
            held: HeldBytes::new("request bodies", self.bodies),
        };
        let streams = Streams {
            keys: Arc::clone(&ring),
            clock: self.clock.clone(),
            stopping: stopping.clone(),
        };
        let (grpc, health) =
            Grpc::new(add_servers, self.reflection, bodies.clone(), stopping).await?;
        let github = self.github_keys.map(|keys| Github { keys, leaks: Arc::clone(&leaks) });
        let gateway = Gateway {
            readiness,
            bodies,
            openapi: OpenApi::new(OPENAPI, &self.public_url)?,
            github,
        };
        let inner = Inner {
            resolver,
            store: self.store,
            keys: ring,
            attempts: FailedAttempts::with_keys(self.failed_attempts),
            clock: self.clock.clone(),
            limiter,
            leaks,
            answers: HeldBytes::new("answers", self.answers),
            streams,
            grpc,
            gateway,
        };

        let shared = ServiceBuilder::new()
            // Sees every answer as the client will, and what is known of the request by then.
            .layer(AroundLayer(Record {
                clock: self.clock.clone(),
                trusted_proxies: self.trusted_proxies.into(),
                usage: self.usage.clone(),
            }))
            // Renders every refusal of what is below it, and catches what panics there.
            .layer(AroundLayer(Respond))
            // Counts from the moment the request is known, and covers all that can wait.
            .layer(AroundLayer(Deadline { longest: self.request_timeout }))
            .service(Dispatch(Arc::new(inner)));
        let branches = Branches {
            // gRPC-web becomes gRPC here: the layer refuses REST, so it stands on its branch alone.
            grpc_web: GrpcWebLayer::new().layer(shared.clone()),
            // gRPC compresses by message, REST by answer.
            rest: CompressionLayer::new()
                .gzip(true)
                .compress_when(is_compressed())
                .layer(shared.clone()),
            shared,
        };
        let stack = ServiceBuilder::new()
            // First, so that every answer has an id.
            .layer(AroundLayer(RequestIds))
            // Its span holds the id, and everything logged below is in it.
            .layer(AroundLayer(Trace))
            // Above all that answers: only here is known that nobody will read the body any more.
            .layer(AroundLayer(Drain))
            // A browser must be able to read refusals too, so it stands above what refuses.
            .layer(AroundLayer(Cors::new(&self.cors_origins)))
            .service(branches);
        Ok((stack, health))
    }
}

/// Resolves when the service stops. A sender that is gone means the same.
async fn stops(mut stopping: watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// Makes the desk for leaked keys. The revocation itself is the job of the service of keys.
fn leaks(store: &Store, ring: &Arc<KeyRing>, budget: Budget) -> Leaks {
    let (revoking, ring) = (store.clone(), Arc::clone(ring));
    Leaks::new(store.clone(), budget, move |key_id, workspace, actor| {
        let (store, ring) = (revoking.clone(), Arc::clone(&ring));
        Box::pin(async move {
            service::keys::revoke_leaked(&store, &ring, workspace, &key_id, actor).await
        })
    })
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

    fn call(&mut self, mut request: Request) -> Self::Future {
        host::check(&mut request);
        match Protocol::of(&request) {
            Protocol::GrpcWeb => {
                // What the layer hands on is gRPC, which the layers below demand over HTTP/2.
                *request.version_mut() = Version::HTTP_2;
                // The layer knows its media types by the letter.
                if let Some(kind) = grpc_web_kind(&request) {
                    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
                }
                request.extensions_mut().insert(Transport::GrpcWeb);
                Box::pin(self.grpc_web.call(request))
            }
            Protocol::Grpc => {
                request.extensions_mut().insert(Transport::Grpc);
                Box::pin(self.shared.call(request))
            }
            Protocol::Rest => {
                let is_head = request.method() == Method::HEAD;
                let answered = self.rest.call(request);
                Box::pin(async move {
                    let response = answered.await?.map(Body::new);
                    Ok(if is_head { without_body(response) } else { response })
                })
            }
        }
    }
}

/// The end of the shared stack: what refuses before anything is read, and what answers.
struct Inner {
    resolver: Resolver,
    store: Store,
    keys: Arc<KeyRing>,
    attempts: FailedAttempts,
    clock: Clock,
    limiter: Arc<Limiter>,
    leaks: Arc<Leaks>,
    answers: HeldBytes,
    streams: Streams,
    grpc: Grpc,
    gateway: Gateway,
}

impl Inner {
    async fn answer(&self, mut request: Request) -> Result<Response, BoxError> {
        // What the request is for decides what it must bring: 404 and 405 need no key.
        resolve(&self.resolver, &mut request)?;
        // Who calls is known before anything is read that the caller sent.
        authenticate(&self.keys, &self.attempts, &self.clock, &mut request).await?;
        // Without a caller it is the address that spends, before anything is read as well.
        admit(&self.leaks, &request)?;
        // Before anything can refuse a caller that is known: refusals spend too.
        rate_limit(&self.limiter, &request).await?;
        let attempt = Attempt::of(&request);
        let answered = self.authenticated(request).await;
        match (attempt, answered) {
            // Round everything that may deny.
            (Some(attempt), Err(refusal)) => {
                attempt.note(&self.store, &refusal).await;
                Err(refusal)
            }
            (_, answered) => answered,
        }
    }

    async fn authenticated(&self, mut request: Request) -> Result<Response, BoxError> {
        // A caller without the scope learns nothing of the rules of the body.
        authorize(&request)?;
        // What a retry is known by is a header, and is looked at before the request itself.
        read_idempotency_key(&request)?;
        read_preconditions(&mut request);
        // With the request itself, as the last of what a header can be wrong about.
        deadline::check(&request)?;
        // Nothing is done whose answer would find no room.
        let answer = Answer::begin(&self.answers, &request)?;
        self.streams.guard(&mut request)?;
        let response = match request.extensions().get::<Target>() {
            Some(Target::Grpc { .. } | Target::GrpcStream { .. }) => {
                self.grpc.answer(request).await?
            }
            _ => self.gateway.answer(request).await?,
        };
        Ok(answer.hold(&self.answers, response)?)
    }
}

/// The tower service of [`Inner`].
#[derive(Clone)]
struct Dispatch(Arc<Inner>);

impl Service<Request> for Dispatch {
    type Response = Response;
    type Error = BoxError;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let inner = self.0.clone();
        Box::pin(async move { inner.answer(request).await })
    }
}
