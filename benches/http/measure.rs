//! One scenario: all contenders in turn, round after round, and the medians.

use crate::load::{self, Extent, Sample};
use crate::processes::Server;
use crate::report::{Row, Table};
use crate::scenarios::{Scenario, Side};

/// Measures a scenario.
pub async fn measure<'s>(
    scenario: &Scenario,
    server: impl Fn(Side) -> &'s Server,
    rounds: usize,
    extent: Extent,
) -> Result<Table, String> {
    let mut samples: Vec<Vec<Sample>> = scenario.contenders.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (contender, samples) in scenario.contenders.iter().zip(&mut samples) {
            let server = server(contender.side);
            let key = contender.key.as_ref().unwrap_or(&scenario.key);
            let asked = load::run(server, scenario.protocol, key, &contender.calls, extent).await;
            let named = |error| format!("{}, {}: {error}", scenario.name, contender.name);
            samples.push(asked.map_err(named)?);
        }
    }
    let contenders = scenario.contenders.iter().zip(&samples);
    let rows = contenders.map(|(contender, samples)| row(&contender.name, samples)).collect();
    Ok(Table { scenario: scenario.name.clone(), rows })
}

fn row(name: &str, samples: &[Sample]) -> Row {
    let each = |figure: &dyn Fn(&Sample) -> f64| median(samples.iter().map(figure).collect());
    let count = |sample: &Sample| sample.latencies.count() as f64;
    let micros = |share: f64| each(&|sample| sample.latencies.quantile(share) as f64 / 1e3);
    Row {
        name: name.to_owned(),
        per_second: each(&|sample| count(sample) / sample.seconds),
        p50_us: micros(0.5),
        p99_us: micros(0.99),
        cpu_us: each(&|sample| sample.server_cpu_seconds * 1e6 / count(sample)),
        server_busy: each(&|sample| sample.server_cpu_seconds / sample.seconds),
        load_busy: each(&|sample| sample.load_cpu_seconds / sample.seconds),
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
