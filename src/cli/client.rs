//! The gRPC client of the commands that go through the API.

use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

use super::ClientArgs;
use crate::pb::asset_service_client::AssetServiceClient;
use crate::pb::category_service_client::CategoryServiceClient;
use crate::pb::custom_field_service_client::CustomFieldServiceClient;
use crate::pb::event_service_client::EventServiceClient;
use crate::pb::key_service_client::KeyServiceClient;
use crate::pb::knowledge_service_client::KnowledgeServiceClient;
use crate::pb::project_service_client::ProjectServiceClient;
use crate::pb::ticket_service_client::TicketServiceClient;
use crate::pb::user_service_client::UserServiceClient;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The time between two keep-alive pings, and the time that the answer to one may take.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// A connection that sends the API key with every call.
#[derive(Clone)]
pub struct Client {
    channel: Keyed,
}

/// A channel whose calls have the API key.
type Keyed = InterceptedService<Channel, Authorization>;

/// Puts the API key on a call.
#[derive(Clone)]
pub struct Authorization(MetadataValue<Ascii>);

impl Interceptor for Authorization {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// Connects to the service.
pub async fn connect(args: &ClientArgs) -> Result<Client, String> {
    if args.api_key.trim().is_empty() {
        return Err(
            "ORQIT_API_KEY is empty: set it, or --api-key, to an API key, which begins with orq_"
                .to_owned(),
        );
    }
    let mut authorization: MetadataValue<Ascii> = format!("Bearer {}", args.api_key)
        .parse()
        .map_err(|_| "ORQIT_API_KEY is not an API key: it has characters that no key has")?;
    authorization.set_sensitive(true);
    let not_a_url = |()| format!("ORQIT_URL is not a URL: `{}`; write http://host:port", args.url);
    if !args.url.starts_with("http://") && !args.url.starts_with("https://") {
        return Err(not_a_url(()));
    }
    let endpoint = Endpoint::from_shared(args.url.clone()).map_err(|_| not_a_url(()))?;
    let mut endpoint =
        endpoint.http2_keep_alive_interval(KEEP_ALIVE).keep_alive_timeout(KEEP_ALIVE);
    if args.url.starts_with("https:") {
        let tls = ClientTlsConfig::new().with_webpki_roots();
        endpoint = endpoint.tls_config(tls).map_err(|error| error.to_string())?;
    }
    let channel = endpoint.connect_timeout(CONNECT_TIMEOUT).connect().await;
    let channel = channel.map_err(|_| {
        format!("cannot connect to {}: start it with `orqit serve`, or set ORQIT_URL", args.url)
    })?;
    Ok(Client { channel: InterceptedService::new(channel, Authorization(authorization)) })
}

impl Client {
    /// Makes a client of TicketService.
    pub fn tickets(&self) -> TicketServiceClient<Keyed> {
        TicketServiceClient::new(self.channel.clone())
    }

    /// Makes a client of UserService.
    pub fn users(&self) -> UserServiceClient<Keyed> {
        UserServiceClient::new(self.channel.clone())
    }

    /// Makes a client of AssetService.
    pub fn assets(&self) -> AssetServiceClient<Keyed> {
        AssetServiceClient::new(self.channel.clone())
    }

    /// Makes a client of ProjectService.
    pub fn projects(&self) -> ProjectServiceClient<Keyed> {
        ProjectServiceClient::new(self.channel.clone())
    }

    /// Makes a client of KnowledgeService.
    pub fn articles(&self) -> KnowledgeServiceClient<Keyed> {
        KnowledgeServiceClient::new(self.channel.clone())
    }

    /// Makes a client of CategoryService.
    pub fn categories(&self) -> CategoryServiceClient<Keyed> {
        CategoryServiceClient::new(self.channel.clone())
    }

    /// Makes a client of CustomFieldService.
    pub fn custom_fields(&self) -> CustomFieldServiceClient<Keyed> {
        CustomFieldServiceClient::new(self.channel.clone())
    }

    /// Makes a client of EventService.
    pub fn events(&self) -> EventServiceClient<Keyed> {
        EventServiceClient::new(self.channel.clone())
    }

    /// Makes a client of KeyService.
    pub fn keys(&self) -> KeyServiceClient<Keyed> {
        KeyServiceClient::new(self.channel.clone())
    }
}

/// A refusal as a sentence for the person at the terminal.
pub fn sentence(status: &Status) -> String {
    format!("the service refused: {} ({:?})", status.message(), status.code())
}
