//! Made-up tickets of the shape that an IT service desk's incidents have: short titles built of
//! codes, nearly all of medium impact and urgency. The same number makes the same tickets.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Of 1,000 incidents so many have this impact and urgency.
const MIX: [(u32, &str, &str); 7] = [
    (942, "MEDIUM", "MEDIUM"),
    (27, "LOW", "LOW"),
    (11, "HIGH", "HIGH"),
    (10, "MEDIUM", "HIGH"),
    (6, "HIGH", "MEDIUM"),
    (3, "LOW", "MEDIUM"),
    (1, "MEDIUM", "LOW"),
];

/// Writes `count` tickets into a file in `folder` that `orqit import tickets` reads.
pub fn write(folder: &Path, count: u32) -> Result<PathBuf, String> {
    let mut dice = Dice(0x4f72_7169);
    let mut lines = String::new();
    for number in 1..=count {
        let (impact, urgency) = dice.impact_and_urgency();
        let (symptom, category, sub) = (dice.below(600), dice.below(60), dice.below(260));
        writeln!(
            lines,
            r#"{{"externalId":"INC{number:07}","type":"INCIDENT","title":"Symptom {symptom} in category {category}/{sub}","impact":"{impact}","urgency":"{urgency}"}}"#
        )
        .expect("a String takes all text");
    }
    let file = folder.join("tickets.ndjson");
    let written = std::fs::write(&file, lines);
    written.map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    Ok(file)
}

/// Numbers that look random and are the same every time: a 64-bit linear congruential generator
/// (Knuth's MMIX constants).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The high bits are the good ones.
        ((self.0 >> 33) % u64::from(bound)) as u32
    }

    fn impact_and_urgency(&mut self) -> (&'static str, &'static str) {
        let mut rolled = self.below(1000);
        for (share, impact, urgency) in MIX {
            if rolled < share {
                return (impact, urgency);
            }
            rolled -= share;
        }
        ("MEDIUM", "MEDIUM")
    }
}
