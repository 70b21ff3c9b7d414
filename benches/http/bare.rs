//! The bare server: axum and tonic with nothing around them, answering the service's own bytes.
//!
//! `/sqlx/…` is the other limit: the same handler after a raw query of the same rows, which are
//! fetched and counted, and nothing is made of them.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path as Capture, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::serve::ListenerExt;
use bytes::Bytes;
use orqit::pb;
use prost::Message;
use sea_orm::sqlx;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use tokio::net::TcpListener;
use tonic_prost::ProstCodec;
use tower::service_fn;

use crate::answers::{GRPC, REST};

/// What stands before the address in the first line.
pub const READY: &str = "listening on ";
const TICKET: &str = "SELECT * FROM tickets WHERE workspace_id = $1 AND id = $2";
const LIST: &str = "SELECT * FROM tickets WHERE workspace_id = $1 \
                    ORDER BY created_at DESC, id DESC LIMIT 20";
/// The number of the first workspace.
const WORKSPACE: i64 = 1;

/// What REST answers, and the database for those who ask it first.
struct Answers {
    ping: Bytes,
    ticket: Bytes,
    list: Bytes,
    pool: SqlitePool,
}

/// Serves the answers in `folder` until it is killed.
pub async fn serve(folder: &Path, database: &Path) -> Result<(), String> {
    let kept = |name| {
        let read = std::fs::read(folder.join(name));
        read.map(Bytes::from).map_err(|error| format!("{name}: {error}"))
    };
    let [ping, ticket, list] = REST.map(kept);
    let pool = open(database).await.map_err(|error| error.to_string())?;
    let answers = Answers { ping: ping?, ticket: ticket?, list: list?, pool };
    let router = Router::new()
        .route("/api/public/v1/ping", get(async |State(answers): Shared| json(&answers.ping)))
        .route("/api/public/v1/tickets/{id}", get(async |State(a): Shared| json(&a.ticket)))
        .route("/api/public/v1/tickets", get(async |State(answers): Shared| json(&answers.list)))
        .route("/sqlx/tickets/{id}", get(find))
        .route("/sqlx/tickets", get(list_page))
        .with_state(Arc::new(answers));
    let [ping, ticket, list] = GRPC.map(|(path, name)| kept(name).map(|bytes| (path, bytes)));
    let router = grpc::<pb::PingRequest, pb::PingResponse>(router, ping?)?;
    let router = grpc::<pb::GetTicketRequest, pb::GetTicketResponse>(router, ticket?)?;
    let router = grpc::<pb::ListTicketsRequest, pb::ListTicketsResponse>(router, list?)?;
    listen(router).await.map_err(|error| error.to_string())
}

type Shared = State<Arc<Answers>>;

fn json(answer: &Bytes) -> impl IntoResponse + use<> {
    ([(CONTENT_TYPE, "application/json")], answer.clone())
}

/// A pool as the service has it.
async fn open(database: &Path) -> Result<SqlitePool, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(database)
        .row_buffer_size(128)
        .pragma("query_only", "ON")
        .pragma("cache_size", "-16384");
    let pool = SqlitePoolOptions::new().max_connections(8).min_connections(8);
    pool.test_before_acquire(false).connect_with(options).await
}

async fn find(State(answers): Shared, Capture(id): Capture<i64>) -> impl IntoResponse {
    let query = sqlx::query(TICKET).bind(WORKSPACE).bind(id);
    match query.fetch_optional(&answers.pool).await {
        Ok(Some(_)) => Ok(json(&answers.ticket)),
        Ok(None) => Err(StatusCode::NOT_FOUND),
        Err(_) => Err(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

async fn list_page(State(answers): Shared) -> impl IntoResponse {
    match sqlx::query(LIST).bind(WORKSPACE).fetch_all(&answers.pool).await {
        Ok(rows) if !rows.is_empty() => Ok(json(&answers.list)),
        Ok(_) => Err(StatusCode::NOT_FOUND),
        Err(_) => Err(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// Adds a gRPC method that answers a message which is ready.
fn grpc<Q, A>(router: Router, (path, bytes): (&str, Bytes)) -> Result<Router, String>
where
    Q: Message + Default + 'static,
    A: Message + Default + Clone + Sync + 'static,
{
    let answer = A::decode(bytes).map_err(|error| error.to_string())?;
    let service = service_fn(move |request: Request<Body>| {
        let answer = answer.clone();
        async move {
            let answer = service_fn(move |_: tonic::Request<Q>| {
                std::future::ready(Ok(tonic::Response::new(answer.clone())))
            });
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<A, Q>::default());
            Ok::<_, Infallible>(grpc.unary(answer, request).await)
        }
    });
    Ok(router.route_service(path, service))
}

async fn listen(router: Router) -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{READY}{}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        // As the service does.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await
}
