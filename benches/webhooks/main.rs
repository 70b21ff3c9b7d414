//! How fast an event reaches an endpoint and a stream, and what that costs, on SQLite and, where
//! `ORQIT_TEST_DATABASE_URL` names a server, on PostgreSQL:
//!
//!     ORQIT_TEST_POSTGRES_FSYNC=on scripts/with-postgres cargo bench --bench webhooks
//!
//! Prints the tables of docs/performance.md. As a test it does a little of everything, and looks at no
//! time.

mod fairness;
#[path = "../http/linux.rs"]
#[expect(dead_code, reason = "the other benchmark uses all of it")]
mod linux;
mod receiver;
mod service;
mod streams;

use std::time::{Duration, Instant};

use receiver::{Receiver, percentiles};
use service::Service;

/// How much of everything.
pub struct Size {
    quiet: usize,
    queued: usize,
    burst: usize,
    endpoints: &'static [usize],
    streams: &'static [usize],
}

const WHOLE: Size = Size {
    quiet: 300,
    queued: 1_000,
    burst: 5_000,
    endpoints: &[1, 10],
    streams: &[1, 100, 1_000],
};
const SMALL: Size = Size { quiet: 5, queued: 20, burst: 20, endpoints: &[2], streams: &[2] };
/// Connections that create tickets at once.
const CONNECTIONS: usize = 16;

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let size = if std::env::args().any(|argument| argument == "--bench") { WHOLE } else { SMALL };
    let mut databases = vec![None];
    databases.extend(std::env::var("ORQIT_TEST_DATABASE_URL").ok().map(Some));
    for server in databases {
        let name = if server.is_some() { "PostgreSQL" } else { "SQLite" };
        println!("\n{name}\n");
        let service = Service::start(server.as_deref()).await?;
        deliveries(&service, &size).await?;
        fairness::measure(&service, size.quiet, size.queued).await?;
        println!();
        streams::measure(&service, size.streams).await?;
        service.stop().await?;
    }
    Ok(())
}

/// Measures how long an event takes to an endpoint, alone and among others, and how many get there.
async fn deliveries(service: &Service, size: &Size) -> Result<(), Failure> {
    let receiver = Receiver::start().await?;
    let hook = service.register(&receiver.url()).await?;
    for (what, pause) in [("idle", 60), ("50 a second", 20)] {
        let mut sent = Vec::new();
        for _ in 0..size.quiet {
            let began = Instant::now();
            sent.push((service.create().await?, began));
            tokio::time::sleep(Duration::from_millis(pause).saturating_sub(began.elapsed())).await;
        }
        receiver.wait(sent.len()).await?;
        println!("{what}, from request to receipt: {}", percentiles(&receiver.millis(&sent)));
        receiver.clear();
    }
    service.delete(hook).await?;
    for &endpoints in size.endpoints {
        let mut hooks = Vec::new();
        for _ in 0..endpoints {
            hooks.push(service.register(&receiver.url()).await?);
        }
        let (began, cpu) = (Instant::now(), service.cpu()?);
        let mut creating = tokio::task::JoinSet::new();
        for _ in 0..CONNECTIONS {
            let (client, count) = (service.connection()?, size.burst / CONNECTIONS);
            creating.spawn(async move {
                for _ in 0..count {
                    client.create().await?;
                }
                Ok::<_, Failure>(count)
            });
        }
        let mut created = 0;
        while let Some(count) = creating.join_next().await {
            created += count??;
        }
        let made = began.elapsed().as_secs_f64();
        receiver.wait(created * endpoints).await?;
        let took = receiver.last().duration_since(began).as_secs_f64();
        // What came of the last ones is still being written down.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let cpu = service.cpu()? - cpu;
        let deliveries = (created * endpoints) as f64;
        println!(
            "{created} tickets over {CONNECTIONS} connections, {endpoints} endpoints: {:.0} created/s, \
             {:.0} messages/s, {:.0} deliveries/s, {:.2} CPU-seconds per 1,000 deliveries",
            created as f64 / made,
            created as f64 / took,
            deliveries / took,
            cpu * 1000.0 / deliveries,
        );
        receiver.clear();
        for hook in hooks {
            service.delete(hook).await?;
        }
    }
    Ok(())
}
