//! What an endpoint notices of two others that hold their deliveries up.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::Failure;
use crate::receiver::{Receiver, percentile};
use crate::service::Service;

/// The pause from one creation to the next.
const PAUSE: Duration = Duration::from_millis(20);
/// The pause from one byte of a dripping answer to the next.
const DRIP: Duration = Duration::from_millis(500);

/// Measures how long `count` events take to an endpoint that is alone, and how long when `queued`
/// deliveries wait for one that never answers and as many for one that drips its answers.
pub async fn measure(service: &Service, count: usize, queued: usize) -> Result<(), Failure> {
    let receiver = Receiver::start().await?;
    let hook = service.register(&receiver.url()).await?;
    let alone = latencies(service, &receiver, count).await?;
    service.delete(hook).await?;

    let held = [server(stay_silent).await?, server(drip).await?];
    let mut hooks = Vec::new();
    for address in held {
        hooks.push(service.register(&format!("http://{address}/")).await?);
    }
    for _ in 0..queued {
        service.create().await?;
    }
    hooks.push(service.register(&receiver.url()).await?);
    let beside = latencies(service, &receiver, count).await?;
    for hook in hooks {
        service.delete(hook).await?;
    }
    let [p50, p99] = [0.5, 0.99].map(|part| [&alone, &beside].map(|of| percentile(of, part)));
    println!(
        "an endpoint alone: p50 {:.1} ms, p99 {:.1} ms; beside one that never answers and one that \
         drips, {queued} deliveries queued to each: p50 {:.1} ms, p99 {:.1} ms, {:.2} times",
        p50[0],
        p99[0],
        p50[1],
        p99[1],
        p99[1] / p99[0],
    );
    Ok(())
}

async fn latencies(
    service: &Service,
    receiver: &Receiver,
    count: usize,
) -> Result<Vec<f64>, Failure> {
    let mut sent = Vec::new();
    for _ in 0..count {
        let began = Instant::now();
        sent.push((service.create().await?, began));
        tokio::time::sleep(PAUSE.saturating_sub(began.elapsed())).await;
    }
    receiver.wait(count).await?;
    let took = receiver.millis(&sent);
    receiver.clear();
    Ok(took)
}

/// Somebody who does this with every connection.
async fn server<F: Future<Output = std::io::Result<()>> + Send + 'static>(
    serve: fn(TcpStream) -> F,
) -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(serve(connection));
        }
    });
    Ok(address)
}

/// Reads all that comes, and never answers.
async fn stay_silent(mut connection: TcpStream) -> std::io::Result<()> {
    tokio::io::copy(&mut connection, &mut tokio::io::sink()).await.map(|_| ())
}

/// Answers 200 to what comes, and then sends one byte of the body after the other.
async fn drip(mut connection: TcpStream) -> std::io::Result<()> {
    let mut some = [0; 16 * 1024];
    let _ = connection.read(&mut some).await?;
    connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await?;
    loop {
        tokio::time::sleep(DRIP).await;
        connection.write_all(b".").await?;
    }
}
