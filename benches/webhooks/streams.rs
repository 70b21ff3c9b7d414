//! What streams cost: memory for each, and how fast a hundred events a second reach all of them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Failure;
use crate::receiver::percentiles;
use crate::service::{SETTLED, Service};

/// The streams that a key may have.
const PER_KEY: usize = 10;
const EVENTS: usize = 300;
const PAUSE: Duration = Duration::from_millis(10);

/// Measures so many streams at a time.
pub async fn measure(service: &Service, counts: &[usize]) -> Result<(), Failure> {
    let most = counts.iter().copied().max().unwrap_or(0);
    let keys = service.keys(most.div_ceil(PER_KEY)).await?;
    for &count in counts {
        let before = service.memory()?;
        let mut streams = Vec::new();
        for index in 0..count {
            streams.push(keys[index / PER_KEY].stream().await?);
        }
        tokio::time::sleep(SETTLED).await;
        let memory = service.memory()?.saturating_sub(before);
        let read = Arc::new(AtomicUsize::new(0));
        let arrivals = Arc::<Mutex<Vec<(usize, Instant)>>>::default();
        // Ends the streams when it is dropped.
        let mut readers = tokio::task::JoinSet::new();
        for mut stream in streams {
            let (read, arrivals) = (Arc::clone(&read), Arc::clone(&arrivals));
            readers.spawn(async move {
                let mut seen = 0;
                while let Ok(Some(chunk)) = stream.chunk().await {
                    let now = Instant::now();
                    let events = chunk.windows(7).filter(|part| part == b"\nevent:").count();
                    read.fetch_add(events, Ordering::Relaxed);
                    let mut arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
                    arrivals.extend((seen..seen + events).map(|event| (event, now)));
                    seen += events;
                }
            });
        }
        let (cpu, began) = (service.cpu()?, Instant::now());
        let mut sent = Vec::new();
        for event in 0..EVENTS {
            let due = began + PAUSE * u32::try_from(event)?;
            tokio::time::sleep_until(due.into()).await;
            sent.push(Instant::now());
            service.create().await?;
        }
        let waited = Instant::now();
        while read.load(Ordering::Relaxed) < EVENTS * count {
            if waited.elapsed() > Duration::from_secs(60) {
                return Err(format!("only {} came", read.load(Ordering::Relaxed)).into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let took = began.elapsed().as_secs_f64();
        let cpu = service.cpu()? - cpu;
        let arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let millis = arrivals
            .iter()
            .map(|(event, at)| at.duration_since(sent[*event]).as_secs_f64() * 1000.0);
        println!(
            "{count} streams, {:.0} events/s: {}, {:.0} KiB a stream, {:.0} % of a core",
            EVENTS as f64 / took,
            percentiles(&millis.collect::<Vec<_>>()),
            memory as f64 / count as f64,
            cpu / took * 100.0,
        );
    }
    Ok(())
}
