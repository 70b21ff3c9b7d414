//! The load: connections that each ask the next question when the answer to the last is there.
//!
//! It must cost much less than any server it loads, so it speaks just enough HTTP/1.1 and HTTP/2
//! by itself: requests are bytes made beforehand, and of an answer only what tells its end is read.
//! An answer that is not a success ends the benchmark.

pub mod http1;
mod http2;
mod meter;

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::{JoinSet, LocalSet};

use crate::latencies::Latencies;
use crate::processes::{self, Server};
use meter::Meter;

/// HTTP/1.1 connections, each with one request under way.
const REST_CONNECTIONS: usize = 32;
/// HTTP/2 connections, and the requests under way on each.
const GRPC_CONNECTIONS: usize = 4;
const GRPC_STREAMS: usize = 8;
/// How long the server answers before its answers count.
const WARM_UP: Duration = Duration::from_millis(300);

/// Which protocol the load speaks.
#[derive(Debug, Clone, Copy)]
pub enum Protocol {
    Rest,
    Grpc,
}

/// One request.
#[derive(Debug, Clone, Default)]
pub struct Call {
    pub path: String,
    /// The encoded message of gRPC; over REST the body, without which it is a GET.
    pub message: Vec<u8>,
    /// Whether each request has an idempotency key of its own; REST only.
    pub idempotent: bool,
}

/// How much load.
#[derive(Debug, Clone, Copy)]
pub enum Extent {
    Requests(u64),
    Time(Duration),
}

/// What came of it.
pub struct Sample {
    pub seconds: f64,
    pub latencies: Latencies,
    pub server_cpu_seconds: f64,
    pub load_cpu_seconds: f64,
}

/// Loads `server` with the calls in turn.
pub async fn run(
    server: &Server,
    protocol: Protocol,
    key: &str,
    calls: &[Call],
    extent: Extent,
) -> Result<Sample, String> {
    let meter = Rc::new(Meter::new(extent));
    let work = async {
        let mut connections = connect(server.address, protocol, key, calls, &meter);
        if let Extent::Time(_) = extent {
            tokio::time::sleep(WARM_UP).await;
        }
        let begun = (Instant::now(), server.cpu_seconds()?, processes::cpu_seconds("self")?);
        meter.begin();
        if let Extent::Time(time) = extent {
            tokio::time::sleep(time).await;
            meter.end();
        } else {
            finish(&mut connections).await?;
        }
        let sample = Sample {
            seconds: begun.0.elapsed().as_secs_f64(),
            latencies: meter.take(),
            server_cpu_seconds: server.cpu_seconds()? - begun.1,
            load_cpu_seconds: processes::cpu_seconds("self")? - begun.2,
        };
        finish(&mut connections).await?;
        Ok(sample)
    };
    LocalSet::new().run_until(work).await
}

fn connect(
    address: SocketAddr,
    protocol: Protocol,
    key: &str,
    calls: &[Call],
    meter: &Rc<Meter>,
) -> JoinSet<Result<(), String>> {
    let mut connections = JoinSet::new();
    // Each begins elsewhere, so that they do not ask for the same at the same time.
    let starts = |count: usize| (0..count).map(move |at| at * calls.len() / count);
    match protocol {
        Protocol::Rest => {
            let requests: Rc<[_]> =
                calls.iter().map(|call| http1::Request::new(address, call, key)).collect();
            for start in starts(REST_CONNECTIONS) {
                let connection = http1::run(address, requests.clone(), start, meter.clone());
                connections.spawn_local(connection);
            }
        }
        Protocol::Grpc => {
            let requests = Rc::new(http2::Requests::new(address, key, calls));
            for start in starts(GRPC_CONNECTIONS) {
                let streams = GRPC_STREAMS;
                let connection =
                    http2::run(address, requests.clone(), start, streams, meter.clone());
                connections.spawn_local(connection);
            }
        }
    }
    connections
}

async fn finish(connections: &mut JoinSet<Result<(), String>>) -> Result<(), String> {
    while let Some(ended) = connections.join_next().await {
        ended.map_err(|error| error.to_string())??;
    }
    Ok(())
}
