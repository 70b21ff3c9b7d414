//! An attempt to send an event: a signed request, and what is learned of its answer, within one
//! deadline.

use std::error::Error as StdError;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::connect::{ConnectError, Connector};
use super::signature::sign;
use crate::attempt::{Sent, kept_text, retry_after};
use crate::clock::{Clock, Timestamp};
use crate::config::{ANSWER_KEPT_BYTES, ANSWER_READ_BYTES, ATTEMPT_WITHIN};
use crate::store::webhooks::{AttemptError, SentAttempt};

/// The status by which an endpoint says that it is gone for good.
pub const GONE: i32 = 410;
/// The User-Agent of deliveries.
const AGENT: &str = "Orqit-Webhooks/1";
/// The time for which an unused connection is kept, and the number of them to one host.
const IDLE_FOR: Duration = Duration::from_secs(20);
const IDLE_PER_HOST: usize = 8;

/// Sends what is due.
#[derive(Clone)]
pub struct Sender {
    client: Client<Connector, Full<Bytes>>,
    clock: Clock,
}

/// The message of a delivery.
pub struct Message {
    /// The URI of the endpoint.
    pub uri: http::Uri,
    /// The secrets that sign.
    pub secrets: Vec<Vec<u8>>,
    /// The id and the type of the event.
    pub event_id: String,
    pub event_type: String,
    /// The id of the delivery.
    pub delivery: i64,
    /// The number of the attempt.
    pub number: i32,
    /// The payload.
    pub body: Bytes,
}

/// An answer so far as it is looked at.
struct Answer {
    status: http::StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Sender {
    /// A sender by these connections.
    pub fn new(connector: Connector, clock: Clock) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_FOR)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .http1_max_buf_size(ANSWER_READ_BYTES)
            .http2_max_header_list_size(ANSWER_READ_BYTES as u32)
            .timer(TokioTimer::new())
            .build(connector);
        Self { client, clock }
    }

    /// Makes an attempt, which begins at `started_at`.
    pub async fn send(&self, message: Message, started_at: Timestamp) -> Sent {
        let began = Instant::now();
        let request = request(message, started_at);
        let answered = tokio::time::timeout(ATTEMPT_WITHIN, self.exchange(request)).await;
        let answered = answered.unwrap_or(Err(AttemptError::Timeout));
        let duration_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        let answer = match answered {
            Ok(answer) => answer,
            Err(error) => {
                return Sent::failure(SentAttempt::unanswered(started_at, duration_ms, error));
            }
        };
        let attempt = SentAttempt {
            started_at,
            duration_ms,
            status_code: Some(answer.status.as_u16().into()),
            error: answer.status.is_redirection().then_some(AttemptError::Redirect),
            response_headers: kept_headers(&answer.headers),
            response_body: kept_text(&answer.body),
        };
        let asked = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = asked.and_then(|text| retry_after(text, self.clock.now()));
        let is_final = attempt.status_code == Some(GONE);
        Sent { attempt, is_success: answer.status.is_success(), is_final, retry_after }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, AttemptError> {
        let response = self.client.request(request).await.map_err(|error| kind_of(&error))?;
        let (head, mut body) = response.into_parts();
        let mut read = Vec::new();
        // What is beyond is not waited for: dropping the body ends the exchange.
        while read.len() < ANSWER_READ_BYTES {
            let Some(frame) = body.frame().await else { break };
            let frame = frame.map_err(|_| AttemptError::Connect)?;
            if let Ok(data) = frame.into_data() {
                let room = ANSWER_READ_BYTES - read.len();
                read.extend_from_slice(&data[..data.len().min(room)]);
            }
        }
        Ok(Answer { status: head.status, headers: head.headers, body: read })
    }
}

fn request(message: Message, now: Timestamp) -> Request<Full<Bytes>> {
    let seconds = now.0.div_euclid(1000);
    let signed = sign(&message.secrets, &message.event_id, seconds, &message.body);
    let mut request = Request::new(Full::new(message.body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = message.uri;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    let texts = [
        ("x-orqit-signature", signed.orqit),
        ("x-orqit-event", message.event_type),
        ("x-orqit-event-id", message.event_id.clone()),
        ("x-orqit-delivery", message.delivery.to_string()),
        ("x-orqit-attempt", message.number.to_string()),
        ("webhook-id", message.event_id),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", signed.standard),
    ];
    for (name, text) in texts {
        let value = HeaderValue::from_str(&text).expect("ids, numbers and base64 are ASCII");
        headers.insert(name, value);
    }
    request
}

/// Returns the reason why an exchange failed: the connector's own, or else a failure of the
/// connection.
fn kind_of(error: &(dyn StdError + 'static)) -> AttemptError {
    let mut error = Some(error);
    while let Some(it) = error {
        if let Some(connect) = it.downcast_ref::<ConnectError>() {
            return connect.kind;
        }
        error = it.source();
    }
    AttemptError::Connect
}

/// The headers of an answer as a JSON object, as many as fit.
fn kept_headers(headers: &HeaderMap) -> String {
    let mut kept: Map<String, Value> = Map::new();
    let mut bytes = 0;
    for (name, value) in headers {
        let text = kept_text(value.as_bytes());
        bytes += name.as_str().len() + text.len();
        if bytes > ANSWER_KEPT_BYTES {
            break;
        }
        match kept.get_mut(name.as_str()) {
            Some(Value::String(before)) => *before = format!("{before}, {text}"),
            _ => drop(kept.insert(name.as_str().to_owned(), text.into())),
        }
    }
    Value::Object(kept).to_string()
}

/// The root certificates in a file of PEM.
pub fn roots(path: &std::path::Path) -> Result<rustls::RootCertStore, String> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let failed =
        |error: String| format!("cannot read certificates from {}: {error}", path.display());
    let mut roots = rustls::RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    match roots.is_empty() {
        true => Err(failed("it has none".to_owned())),
        false => Ok(roots),
    }
}
