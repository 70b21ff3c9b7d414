//! The gRPC client of the commands that go through the API.

use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use super::ClientArgs;
use crate::pb::event_service_client::EventServiceClient;
use crate::pb::key_service_client::KeyServiceClient;
use crate::pb::ticket_service_client::TicketServiceClient;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that sends the API key with every call.
#[derive(Clone)]
pub struct Client {
    channel: InterceptedService<Channel, Authorization>,
}

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
    let mut authorization: MetadataValue<Ascii> = format!("Bearer {}", args.api_key)
        .parse()
        .map_err(|_| "ORQIT_API_KEY is not an API key: it has characters that no key has")?;
    authorization.set_sensitive(true);
    let not_a_url = |_| format!("ORQIT_URL is not a URL: `{}`; write http://host:port", args.url);
    let mut endpoint = Endpoint::from_shared(args.url.clone()).map_err(not_a_url)?;
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
    /// TicketService.
    pub fn tickets(&self) -> TicketServiceClient<InterceptedService<Channel, Authorization>> {
        TicketServiceClient::new(self.channel.clone())
    }

    /// EventService.
    pub fn events(&self) -> EventServiceClient<InterceptedService<Channel, Authorization>> {
        EventServiceClient::new(self.channel.clone())
    }

    /// KeyService.
    pub fn keys(&self) -> KeyServiceClient<InterceptedService<Channel, Authorization>> {
        KeyServiceClient::new(self.channel.clone())
    }
}

/// Calls, and calls again when the key has spent its rate limit: who waits as long as the refusal says
/// is admitted.
pub async fn patiently<R, A>(mut call: impl FnMut() -> A) -> Result<R, Status>
where
    A: Future<Output = Result<R, Status>>,
{
    loop {
        let status = match call().await {
            Err(status) if status.code() == Code::ResourceExhausted => status,
            answered => return answered,
        };
        match status.get_details_retry_info().and_then(|info| info.retry_delay) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return Err(status),
        }
    }
}

/// A refusal as a sentence for the person at the terminal.
pub fn sentence(status: &Status) -> String {
    format!("the service refused: {} ({:?})", status.message(), status.code())
}
