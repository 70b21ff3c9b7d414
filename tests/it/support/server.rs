//! A server in this process on a port of its own, over a database of its own.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender};
use std::time::Duration;

use http::HeaderValue;
use ipnet::IpNet;
use orqit::api::Api;
use orqit::attempt::Schedule;
use orqit::auth::attempts::Budget;
use orqit::auth::key::KeyText;
use orqit::auth::keyring;
use orqit::auth::scope::Scopes;
use orqit::clock::Clock;
use orqit::connections::Bounds;
use orqit::event::{Actor, RecordedEvent};
use orqit::gateway::github::GithubKeys;
use orqit::held_bytes;
use orqit::limits;
use orqit::pb::ticket_service_client::TicketServiceClient;
use orqit::server::Server;
use orqit::store::{MadeBy, NewKey, NewWorkspace, Role, Settings, Store, Tx, User, Workspace};
use orqit::usage::Recorder;
use orqit::usage::retention::Retention;
use orqit::webhooks;
use orqit::webhooks::address::Allowed;
use orqit::webhooks::connect::{Resolve, SystemResolver};
use orqit::webhooks::vault::Vault;
use rest::Rpc;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

use super::database::{START, TestDatabase, audit_only};
use super::tickets::new_ticket;

/// A running service with one workspace.
pub struct Orqit {
    pub address: SocketAddr,
    pub clock: Clock,
    pub store: Store,
    pub workspace: Workspace,
    pub usage: Recorder,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<()>>,
    _deadline: Deadline,
    /// None for a replica: the database is the first server's.
    pub database: Option<TestDatabase>,
}

/// A table of RPCs, and what makes their services.
type OtherApi = (&'static [Rpc], Arc<dyn Fn() -> Api + Send + Sync>);

/// What a test may want otherwise.
#[derive(Clone)]
pub struct Options {
    pub reflection: bool,
    pub cors_origins: Vec<HeaderValue>,
    pub request_timeout: Duration,
    pub body_timeout: Duration,
    pub header_timeout: Duration,
    pub write_timeout: Duration,
    pub drain_timeout: Duration,
    pub connections_max: u32,
    pub connections_per_address: u32,
    /// The most memory of request bodies, and of answers.
    pub bodies: held_bytes::Bounds,
    pub answers: held_bytes::Bounds,
    pub tls: Option<tokio_rustls::TlsAcceptor>,
    /// Networks, such as `127.0.0.0/8`.
    pub trusted_proxies: Vec<&'static str>,
    pub failed_attempts: Budget,
    pub github_keys: Option<GithubKeys>,
    /// With one, Redis's clock counts for rate limits, so the server goes by the machine's clock.
    pub redis_url: Option<String>,
    pub redis_timeout: Duration,
    pub replicas: u32,
    pub request_log_queue: usize,
    pub request_log_retention: Duration,
    pub event_retention: Duration,
    /// How webhooks are sent; to this machine, unless a test has it otherwise.
    pub webhooks: Webhooks,
    /// How e-mails are sent; they are held without.
    pub email: Option<orqit::email::Settings>,
    /// How the store uses its database.
    pub store: Settings,
    /// Other RPCs than Orqit's own, and what makes their services.
    pub api: Option<OtherApi>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            reflection: true,
            cors_origins: Vec::new(),
            request_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(15),
            header_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(10),
            connections_max: 1000,
            // All tests come from one address.
            connections_per_address: 1000,
            bodies: held_bytes::Bounds::of_mib(64, 16),
            answers: held_bytes::Bounds::of_mib(64, 32),
            tls: None,
            trusted_proxies: Vec::new(),
            // All tests come from one address, and many of them with keys that are refused.
            failed_attempts: Budget { burst: NonZeroU32::MAX, ..Budget::default() },
            github_keys: None,
            redis_url: None,
            // Longer than a busy machine takes: only a test of it should find Redis too slow.
            redis_timeout: Duration::from_secs(10),
            replicas: 1,
            request_log_queue: 16_384,
            request_log_retention: Duration::from_secs(30 * 24 * 3600),
            event_retention: Duration::from_secs(30 * 24 * 3600),
            webhooks: Webhooks::default(),
            email: None,
            store: Settings::default(),
            api: None,
        }
    }
}

/// How webhooks are sent in a test.
#[derive(Clone)]
pub struct Webhooks {
    pub allowed: Vec<&'static str>,
    pub schedule: Schedule,
    pub resolver: Arc<dyn Resolve>,
    pub roots: rustls::RootCertStore,
    /// Whether there is a master key.
    pub has_key: bool,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            allowed: vec!["127.0.0.0/8"],
            schedule: Schedule::default(),
            resolver: Arc::new(SystemResolver),
            roots: rustls::RootCertStore::empty(),
            has_key: true,
        }
    }
}

/// The master key of all tests: replicas have the same.
pub const MASTER_KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

impl Webhooks {
    fn settings(self) -> webhooks::Settings {
        let vault = match self.has_key {
            true => Vault::parse(MASTER_KEY).expect("a key"),
            false => Vault::default(),
        };
        let networks = self.allowed.iter().map(|network| network.parse().expect("a network"));
        webhooks::Settings {
            allowed: Arc::new(Allowed::new(networks.collect())),
            schedule: self.schedule,
            resolver: self.resolver,
            roots: self.roots,
            ..webhooks::Settings::new(vault)
        }
    }
}

impl Options {
    fn limits(&self) -> limits::Settings {
        let (redis_timeout, replicas) = (self.redis_timeout, self.replicas);
        let settings = limits::Settings { redis: None, redis_timeout, replicas };
        match &self.redis_url {
            Some(url) => settings.with_redis(url).expect("a URL of Redis"),
            None => settings,
        }
    }
}

/// The end of a test that never ends: without it one that waits for what does not come would hold
/// up all the others.
struct Deadline(
    #[expect(dead_code, reason = "dropping it says that the test has ended")] Sender<()>,
);

impl Deadline {
    /// Far longer than any test takes.
    const AFTER: Duration = Duration::from_secs(600);

    fn start() -> Self {
        let (ended, end) = std::sync::mpsc::channel();
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        std::thread::spawn(move || {
            if end.recv_timeout(Self::AFTER) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{test} has not ended within {:?}", Self::AFTER);
                std::process::exit(101);
            }
        });
        Self(ended)
    }
}

impl Orqit {
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub async fn start_with(options: Options) -> Self {
        let clock = if options.redis_url.is_some() { Clock::System } else { Clock::manual(START) };
        let database = TestDatabase::create().await;
        let store = database.open_with(&options.store, clock.clone()).await;
        let workspace = make_workspace(&store, "default").await;
        Self::serve(options, clock, store, workspace, Some(database)).await
    }

    /// A further server over the same database.
    pub async fn replica(&self, options: Options) -> Self {
        let (clock, store) = (self.clock.clone(), self.store.clone());
        Self::serve(options, clock, store, self.workspace.clone(), None).await
    }

    /// A server over a database that is there already, by the machine's clock.
    pub async fn over(store: Store, workspace: Workspace) -> Self {
        Self::over_with(Options::default(), store, workspace).await
    }

    /// The same with other options.
    pub async fn over_with(options: Options, store: Store, workspace: Workspace) -> Self {
        Self::serve(options, Clock::System, store, workspace, None).await
    }

    async fn serve(
        options: Options,
        clock: Clock,
        store: Store,
        workspace: Workspace,
        database: Option<TestDatabase>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let trusted = options.trusted_proxies.iter();
        let trusted_proxies: Vec<IpNet> =
            trusted.map(|network| network.parse().expect("a network")).collect();
        let usage = Recorder::new(store.clone(), options.request_log_queue);
        let server = Server {
            store: store.clone(),
            clock: clock.clone(),
            limits: options.limits(),
            tls: options.tls,
            reflection: options.reflection,
            cors_origins: options.cors_origins,
            request_timeout: options.request_timeout,
            body_timeout: options.body_timeout,
            usage: usage.clone(),
            retention: Retention {
                request_logs: options.request_log_retention,
                events: options.event_retention,
                emails: options.event_retention,
            },
            bounds: Bounds {
                header_timeout: options.header_timeout,
                write_timeout: options.write_timeout,
                drain_timeout: options.drain_timeout,
                connections_max: options.connections_max,
                connections_per_address: options.connections_per_address,
                trusted_proxies: trusted_proxies.clone().into(),
            },
            bodies: options.bodies,
            answers: options.answers,
            trusted_proxies,
            failed_attempts: options.failed_attempts,
            github_keys: options.github_keys,
            public_url: "http://127.0.0.1:8080".to_owned(),
            webhooks: options.webhooks.settings(),
            email: options.email,
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            let stop = async { drop(stopped.await) };
            let served = match options.api {
                Some((rpcs, api)) => {
                    server.run_api(rpcs, Box::new(move |_| api()), listener, stop).await
                }
                None => server.run(listener, stop).await,
            };
            served.expect("a sound contract");
        });
        let (stop, running) = (Some(stop), Some(running));
        let _deadline = Deadline::start();
        Self { address, clock, store, workspace, usage, stop, running, _deadline, database }
    }

    /// Asks the server to stop and waits until it has.
    pub async fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(running) = self.running.take() {
            running.await.expect("the server does not panic");
        }
    }

    /// Connects to the database beside the service.
    pub async fn connect(&self) -> sea_orm::DatabaseConnection {
        self.database.as_ref().expect("its own").connect().await
    }

    /// Writes down what the requests so far have left behind.
    pub async fn flush_usage(&self) {
        self.usage.flush().await.expect("written");
    }

    /// A key of the default workspace with these scopes.
    pub async fn key(&self, scopes: &[&str]) -> String {
        self.key_of(&self.workspace, scopes).await
    }

    /// A key of another workspace.
    pub async fn key_of(&self, workspace: &Workspace, scopes: &[&str]) -> String {
        self.key_with(workspace, scopes, |_| {}).await
    }

    /// A key that differs in `change` from the usual.
    pub async fn key_with(
        &self,
        workspace: &Workspace,
        scopes: &[&str],
        change: impl FnOnce(&mut NewKey),
    ) -> String {
        let key = KeyText::generate();
        let native = Scopes::of_names(scopes).expect("known scopes");
        let mut new = NewKey {
            key_id: key.id().to_owned(),
            key_hash: key.hash().0,
            name: "Test key".to_owned(),
            description: None,
            scopes: native.names().into_iter().map(str::to_owned).collect(),
            requested_scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            per_minute: 0,
            group_per_minute: 0,
            expires_at: None,
            created_by: None,
            last_four: key.last_four().to_owned(),
            made_by: MadeBy::Operator,
        };
        change(&mut new);
        let mut tx = self.store.begin(workspace.id, Actor::operator()).await.expect("begun");
        tx.insert_key(new).await.expect("a key");
        tx.commit().await.expect("committed");
        let (epoch, _) = self.store.read_key_epoch("").await.expect("an epoch");
        keyring::settle(&self.store, epoch, "").await;
        key.reveal().to_owned()
    }

    /// A further workspace.
    pub async fn workspace(&self, slug: &str) -> Workspace {
        make_workspace(&self.store, slug).await
    }

    /// A further user of the default workspace; its id.
    pub async fn user(&self, name: &str) -> i64 {
        self.user_of(&self.workspace, name).await
    }

    /// A further user of another workspace; its id.
    pub async fn user_of(&self, workspace: &Workspace, name: &str) -> i64 {
        let mut tx = self.store.begin(workspace.id, Actor::operator()).await.expect("begun");
        let email = format!("{}@test.example", name.to_lowercase());
        let user = tx.insert(User::new(name, &email, Role::Agent, tx.now())).await.expect("a user");
        tx.commit().await.expect("committed");
        user.id
    }

    /// A change that has a connection to itself until it is dropped.
    pub async fn hold_connection(&self) -> Tx {
        self.store.begin(self.workspace.id, Actor::operator()).await.expect("begun")
    }

    /// A change that is under way until it is dropped: who creates a ticket meanwhile has to wait.
    pub async fn hold_writes(&self) -> Tx {
        let mut tx = self.hold_connection().await;
        tx.insert_ticket(new_ticket("Never committed")).await.expect("a ticket");
        tx
    }

    /// The events of the default workspace, oldest first.
    pub async fn events(&self) -> Vec<RecordedEvent> {
        self.store.reader(self.workspace.id).list_events(0, 1000).await.expect("events")
    }

    /// The payloads of those events.
    pub async fn payloads(&self) -> Vec<Value> {
        let events = self.events().await;
        let payloads = events.iter().map(|event| event.payload(&self.workspace.public_id));
        payloads.map(|text| serde_json::from_str(&text).expect("JSON")).collect()
    }

    /// REST as this key.
    pub fn rest(&self, key: &str) -> super::rest::Rest {
        super::rest::Rest::new(format!("http://{}", self.address), key)
    }

    /// REST as a new key with these scopes.
    pub async fn rest_as(&self, scopes: &[&str]) -> super::rest::Rest {
        self.rest(&self.key(scopes).await)
    }

    /// A gRPC connection.
    pub async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).expect("a URL");
        endpoint.connect().await.expect("a connection")
    }

    /// TicketService by gRPC.
    pub async fn tickets(&self) -> TicketServiceClient<Channel> {
        TicketServiceClient::new(self.channel().await)
    }
}

async fn make_workspace(store: &Store, slug: &str) -> Workspace {
    let new = NewWorkspace { slug: slug.to_owned(), name: slug.to_uppercase(), admin_email: None };
    store.insert_workspace(new, audit_only).await.expect("a workspace")
}

/// A message with a key.
pub fn with_key<M>(key: &str, message: M) -> tonic::Request<M> {
    let mut request = tonic::Request::new(message);
    let bearer = format!("Bearer {key}").parse().expect("ASCII");
    request.metadata_mut().insert("authorization", bearer);
    request
}
