//! The control tower of the generator's probe, behind Orqit's own stack: the RPCs that stream.

use std::pin::Pin;
use std::sync::Arc;

use http::Method;
use orqit::api::Api;
use orqit::error::{Error, Kind};
use orqit::resource::Resource;
use rest::{Validate, Violations};
use rest_probe::streams::tower_service_client::TowerServiceClient;
use rest_probe::streams::tower_service_server::TowerService;
use rest_probe::streams::watch_flights_response::Told;
use rest_probe::streams::{
    Flight, GetTowerRequest, GetTowerResponse, RPCS, Services, WatchFlightsRequest,
    WatchFlightsResponse, WatchWindRequest, WatchWindResponse,
};
use serde_json::Value;
use tokio::sync::watch;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

use super::rest::Rest;
use super::server::{Options, Orqit, with_key};
use super::wire::soon;

type Telling<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A tower, where so many flights have come.
pub struct Tower {
    pub flights: Arc<watch::Sender<i64>>,
}

/// A server of the tower, and what lets flights come.
pub async fn start(options: Options) -> (Orqit, Arc<watch::Sender<i64>>) {
    let flights = Arc::new(watch::Sender::new(0));
    let orqit = Orqit::start_with(with(options, &flights)).await;
    (orqit, flights)
}

/// Options of a server that serves the tower.
pub fn with(options: Options, flights: &Arc<watch::Sender<i64>>) -> Options {
    let flights = Arc::clone(flights);
    Options { api: Some((RPCS, Arc::new(move || api(Arc::clone(&flights))))), ..options }
}

/// The path of a stream that goes on until somebody ends it.
pub const FLIGHTS: &str = "/towers/north/flights";
/// The scope that the tower demands.
pub const SCOPE: &[&str] = &["tickets:read"];

/// A stream over REST, read frame by frame.
pub struct Frames {
    pub response: reqwest::Response,
    read: String,
    end: &'static str,
}

impl Frames {
    pub async fn open(rest: &Rest, path: &str, accept: &str) -> Self {
        let request = rest.request(Method::GET, path).header("accept", accept);
        let response = soon(request.send()).await.expect("an answer");
        assert_eq!(response.status(), 200, "{:?}", response.text().await);
        let end = if accept.contains("ndjson") { "\n" } else { "\n\n" };
        Self { response, read: String::new(), end }
    }

    pub async fn sse(rest: &Rest, path: &str) -> Self {
        Self::open(rest, path, "*/*").await
    }

    /// The next frame without its end; none once the stream has ended.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((frame, rest)) = self.read.split_once(self.end) {
                let frame = frame.to_owned();
                self.read = rest.to_owned();
                return Some(frame);
            }
            let chunk = soon(self.response.chunk()).await.expect("a whole stream")?;
            self.read += str::from_utf8(&chunk).expect("UTF-8");
        }
    }

    pub async fn all(mut self) -> Vec<String> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }

    /// The error in the last frame, after which there is none.
    pub async fn error(mut self) -> Value {
        let frame = self.next().await.expect("a frame");
        let data = frame.strip_prefix("event: error\ndata: ").unwrap_or_else(|| panic!("{frame}"));
        assert_eq!(self.next().await, None);
        let mut envelope: Value = serde_json::from_str(data).expect("JSON");
        assert_eq!(envelope["success"], false);
        let of_head = self.response.headers()["x-request-id"].to_str().expect("text");
        assert_eq!(envelope["error"]["requestId"], of_head);
        envelope["error"].take()
    }
}

pub async fn client(orqit: &Orqit) -> TowerServiceClient<Channel> {
    TowerServiceClient::new(orqit.channel().await)
}

pub fn flights(tower: &str) -> WatchFlightsRequest {
    WatchFlightsRequest { tower: tower.to_owned(), ..WatchFlightsRequest::default() }
}

pub async fn open(orqit: &Orqit, key: &str) -> Streaming<WatchFlightsResponse> {
    let request = with_key(key, flights("north"));
    let answer = client(orqit).await.watch_flights(request).await.expect("a stream");
    let mut stream = answer.into_inner();
    assert_eq!(told(&mut stream).await, Told::Checkpoint(0));
    stream
}

pub async fn told(stream: &mut Streaming<WatchFlightsResponse>) -> Told {
    let message = soon(stream.message()).await.expect("no error").expect("a message");
    message.told.expect("it tells something")
}

pub async fn status(mut stream: Streaming<WatchFlightsResponse>) -> Status {
    soon(stream.message()).await.expect_err("an error")
}

fn api(flights: Arc<watch::Sender<i64>>) -> Api {
    let services = Services { tower_service: Arc::new(Tower { flights }) };
    Api {
        bindings: services.bindings(),
        add_servers: Box::new(|routes| services.add_servers(routes, 1 << 20)),
    }
}

fn accept<T: Validate>(request: &mut Request<T>) -> Result<(), Error> {
    let mut violations: Violations = request.extensions_mut().remove().unwrap_or_default();
    request.get_ref().validate(&mut violations);
    if violations.is_empty() { Ok(()) } else { Err(Error::invalid(violations)) }
}

fn checkpoint(at: i64) -> WatchFlightsResponse {
    WatchFlightsResponse { told: Some(Told::Checkpoint(at)) }
}

fn flight(sequence: i64, bytes: i32) -> WatchFlightsResponse {
    let cargo = "x".repeat(usize::try_from(bytes).unwrap_or_default());
    let flight = Flight { sequence, kind: "flight.landed".to_owned(), cargo };
    WatchFlightsResponse { told: Some(Told::Flight(flight)) }
}

#[tonic::async_trait]
impl TowerService for Tower {
    async fn get_tower(
        &self,
        mut request: Request<GetTowerRequest>,
    ) -> Result<Response<GetTowerResponse>, Status> {
        accept(&mut request)?;
        Ok(Response::new(GetTowerResponse { name: request.into_inner().name }))
    }

    type WatchFlightsStream = Telling<WatchFlightsResponse>;

    async fn watch_flights(
        &self,
        mut request: Request<WatchFlightsRequest>,
    ) -> Result<Response<Self::WatchFlightsStream>, Status> {
        accept(&mut request)?;
        let last = request.metadata().get("last-event-id").map(|id| id.to_str().unwrap_or("?"));
        let last = last.map(str::parse).transpose();
        let last = last.map_err(|_| {
            Error::invalid_field("Last-Event-ID", "INVALID_VALUE", "Last-Event-ID must be a number")
        })?;
        let WatchFlightsRequest { tower, count, after, bytes } = request.into_inner();
        let after = last.unwrap_or(after);
        match tower.as_str() {
            "nowhere" => {
                return Err(Error::new(Kind::NotFound(Resource::Ticket), "No such tower.").into());
            }
            "gone" => {
                let error = Error::invalid_field("tower", "GONE", "The tower is gone");
                let told = [Ok(flight(after + 1, bytes)), Err(error.into())];
                return Ok(Response::new(Box::pin(tokio_stream::iter(told))));
            }
            "broken" => {
                let told = tokio_stream::iter([after + 1, 0]);
                let told = told.map(move |sequence| {
                    assert!(sequence > 0, "the secret of this test");
                    Ok(flight(sequence, bytes))
                });
                return Ok(Response::new(Box::pin(told)));
            }
            _ => {}
        }
        let begin = tokio_stream::once(Ok(checkpoint(after)));
        if count > 0 {
            let told = tokio_stream::iter(after + 1..=after + i64::from(count));
            let told = told.map(move |sequence| Ok(flight(sequence, bytes)));
            return Ok(Response::new(Box::pin(begin.chain(told))));
        }
        let flights = self.flights.subscribe();
        let live =
            futures_util::stream::unfold((flights, after), move |(mut flights, last)| async move {
                flights.wait_for(|came| *came > last).await.ok()?;
                Some((Ok(flight(last + 1, bytes)), (flights, last + 1)))
            });
        Ok(Response::new(Box::pin(begin.chain(live))))
    }

    type WatchWindStream = Telling<WatchWindResponse>;

    async fn watch_wind(
        &self,
        mut request: Request<WatchWindRequest>,
    ) -> Result<Response<Self::WatchWindStream>, Status> {
        accept(&mut request)?;
        let told = [1, 2].map(|strength| Ok(WatchWindResponse { strength }));
        Ok(Response::new(Box::pin(tokio_stream::iter(told))))
    }
}
