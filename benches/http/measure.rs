//! One scenario: all contenders in turn, round after round, and the medians.

use crate::load::{self, Extent, Sample, Target};
use crate::report::{Row, Table};
use crate::scenarios::{Contender, Scenario};

/// How much of each scenario.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    pub rounds: usize,
    pub extent: Extent,
}

/// Measures a scenario.
pub async fn measure<'t>(
    scenario: &Scenario,
    target: impl Fn(&Contender) -> Target<'t>,
    effort: Effort,
) -> Result<Table, String> {
    let mut samples: Vec<Vec<Sample>> = scenario.contenders.iter().map(|_| Vec::new()).collect();
    for _ in 0..effort.rounds {
        for (contender, samples) in scenario.contenders.iter().zip(&mut samples) {
            let (target, calls) = (target(contender), &contender.calls);
            let asked = load::run(target, scenario.protocol, calls, effort.extent).await;
            let named = |error| format!("{}, {}: {error}", scenario.name, contender.name);
            samples.push(asked.map_err(named)?);
        }
    }
    let contenders = scenario.contenders.iter().zip(&samples);
    let rows = contenders.map(|(contender, samples)| row(&contender.name, samples)).collect();
    Ok(Table { scenario: scenario.name.clone(), comparison: scenario.comparison, rows })
}

fn row(name: &str, samples: &[Sample]) -> Row {
    let each = |figure: &dyn Fn(&Sample) -> f64| median(samples.iter().map(figure).collect());
    let count = |sample: &Sample| sample.latencies.count() as f64;
    let micros = |share: f64| each(&|sample| sample.latencies.quantile(share) as f64 / 1e3);
    let database: Option<Vec<f64>> = samples
        .iter()
        .map(|sample| sample.cpu.database.map(|seconds| seconds * 1e6 / count(sample)))
        .collect();
    Row {
        name: name.to_owned(),
        per_second: each(&|sample| count(sample) / sample.seconds),
        p50_us: micros(0.5),
        p99_us: micros(0.99),
        cpu_us: each(&|sample| sample.cpu.server * 1e6 / count(sample)),
        database_cpu_us: database.map(median),
        server_busy: each(&|sample| sample.cpu.server / sample.seconds),
        load_busy: each(&|sample| sample.cpu.load / sample.seconds),
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
