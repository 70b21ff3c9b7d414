//! The load: connections that each ask the next question when the answer to the last is there.
//!
//! It must cost much less than any server it loads, so it speaks just enough HTTP/1.1 and HTTP/2
//! by itself: requests are bytes made beforehand, and of an answer only what tells its end is read.
//! An answer that is not a success ends the benchmark.

pub mod http1;
mod http2;
mod meter;

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::{JoinSet, LocalSet};

use crate::latencies::Latencies;
use crate::linux;
use crate::postmaster::Postmaster;
use crate::processes::Server;
use meter::Meter;

/// HTTP/2 connections, and the requests under way on each.
const GRPC_CONNECTIONS: usize = 4;
const GRPC_STREAMS: usize = 8;
/// The requests that each connection sends at least, where their number is given.
const REQUESTS_PER_CONNECTION: u64 = 8;
/// How long the server answers before its answers count.
const WARM_UP: Duration = Duration::from_millis(300);

/// Which protocol the load speaks.
#[derive(Debug, Clone, Copy)]
pub enum Protocol {
    /// HTTP/1.1 connections, each with one request under way.
    Rest { connections: usize },
    /// HTTP/2, always as many connections and requests under way.
    Grpc,
}

/// Who is loaded.
#[derive(Clone, Copy)]
pub struct Target<'t> {
    pub server: &'t Server,
    /// The keys that the requests carry in turn; over gRPC only the first.
    pub keys: &'t [String],
    /// The database server, where there is one on this machine.
    pub database: Option<&'t Postmaster>,
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

impl Extent {
    /// Of so many connections those that get several requests each to send. A few requests at once
    /// are answered in time by the busiest of machines, where a service gives up what waits.
    fn connections(self, wanted: usize) -> usize {
        match self {
            Self::Time(_) => wanted,
            Self::Requests(count) => wanted.min((count / REQUESTS_PER_CONNECTION).max(1) as usize),
        }
    }
}

/// What came of it.
pub struct Sample {
    pub seconds: f64,
    pub latencies: Latencies,
    pub cpu: CpuSeconds,
}

/// Processor time, in seconds.
#[derive(Clone, Copy)]
pub struct CpuSeconds {
    pub server: f64,
    pub database: Option<f64>,
    pub load: f64,
}

impl CpuSeconds {
    /// All that was used until now.
    fn used(target: Target<'_>) -> Result<Self, String> {
        Ok(Self {
            server: target.server.cpu_seconds()?,
            database: target.database.map(Postmaster::cpu_seconds).transpose()?,
            load: linux::cpu_seconds("self")?,
        })
    }

    fn since(self, before: Self) -> Self {
        Self {
            server: self.server - before.server,
            database: self.database.zip(before.database).map(|(now, before)| now - before),
            load: self.load - before.load,
        }
    }
}

/// Loads the target with the calls in turn.
pub async fn run(
    target: Target<'_>,
    protocol: Protocol,
    calls: &[Call],
    extent: Extent,
) -> Result<Sample, String> {
    let meter = Rc::new(Meter::new(extent));
    let work = async {
        let mut connections = connect(target, protocol, calls, extent, &meter);
        if let Extent::Time(_) = extent {
            tokio::time::sleep(WARM_UP).await;
        }
        let (begun, before) = (Instant::now(), CpuSeconds::used(target)?);
        meter.begin();
        if let Extent::Time(time) = extent {
            tokio::time::sleep(time).await;
            meter.end();
        } else {
            finish(&mut connections).await?;
        }
        let seconds = begun.elapsed().as_secs_f64();
        let cpu = CpuSeconds::used(target)?.since(before);
        let sample = Sample { seconds, latencies: meter.take(), cpu };
        finish(&mut connections).await?;
        Ok(sample)
    };
    LocalSet::new().run_until(work).await
}

fn connect<'t>(
    target: Target<'t>,
    protocol: Protocol,
    calls: &'t [Call],
    extent: Extent,
    meter: &Rc<Meter>,
) -> JoinSet<Result<(), String>> {
    let address = target.server.address;
    let mut connections = JoinSet::new();
    // Each begins elsewhere, so that they do not ask for the same at the same time.
    let starts = |requests: usize, count: usize| (0..count).map(move |at| at * requests / count);
    match protocol {
        Protocol::Rest { connections: count } => {
            let of_key = |key: &'t String| {
                calls.iter().map(move |call| http1::Request::new(address, call, key))
            };
            let requests: Rc<[_]> = target.keys.iter().flat_map(of_key).collect();
            for start in starts(requests.len(), extent.connections(count)) {
                let connection = http1::run(address, requests.clone(), start, meter.clone());
                connections.spawn_local(connection);
            }
        }
        Protocol::Grpc => {
            let requests = Rc::new(http2::Requests::new(address, &target.keys[0], calls));
            for start in starts(calls.len(), GRPC_CONNECTIONS) {
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
