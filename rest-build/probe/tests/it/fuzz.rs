//! Whatever bytes come, there is an answer: nothing panics.

use crate::support::{Answer, send};

const BODY: &str = r#"{"everything": {"small": 2, "large": "-5", "ratio": 1.5e3, "text": "\u00e9",
    "blob": "AP+/", "colours": ["RED"], "points": [{"x": 1}], "labels": {"a": "b"},
    "spots": {"1": {}}, "extra": {"a": [1, null]}, "at": "2026-01-31T09:30:00.5+01:00",
    "span": "3.5s", "names": "a,b", "child": {"paint": "PLAIN"}, "twin": null}, "type": "x"}"#;

const TARGET: &str = "/v1/shelves/a%20b/books?ids=1,2&tags=a%2Bb&genres=NOVEL&lent=true&ratio=1.5\
    &publishedAfter=2026-01-31T09:30:00Z&filter.author.fullName=x&person=y";

/// Numbers that look random and are the same in every run: xorshift.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    /// Overwrites, removes or doubles up to four bytes.
    fn spoil(&mut self, text: &str) -> Vec<u8> {
        const BYTES: &[u8] = b"{}[]\",:%+-.0189eTZaX&=;/ \\\x00\xc3\xff";
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..=self.roll(4) {
            let at = self.roll(bytes.len());
            match self.roll(3) {
                0 => bytes[at] = BYTES[self.roll(BYTES.len())],
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, bytes[at]),
            }
        }
        bytes
    }
}

#[tokio::test]
async fn a_spoiled_body_gets_an_answer() {
    let (mut dice, mut answered) = (Dice(7), [0; 3]);
    for _ in 0..5_000 {
        match send("POST", "/v1/echo", dice.spoil(BODY)).await {
            Answer::Reply { .. } => answered[0] += 1,
            Answer::Malformed(_) => answered[1] += 1,
            Answer::Refused(_) => answered[2] += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(answered.iter().all(|count| *count > 100), "{answered:?}");
}

#[tokio::test]
async fn a_spoiled_target_gets_an_answer() {
    let (mut dice, mut answered) = (Dice(11), [0; 3]);
    for _ in 0..5_000 {
        let target = String::from_utf8_lossy(&dice.spoil(TARGET)).into_owned();
        match send("GET", &target, "").await {
            Answer::Reply { .. } => answered[0] += 1,
            Answer::Refused(_) => answered[1] += 1,
            _ => answered[2] += 1,
        }
    }
    assert!(answered.iter().all(|count| *count > 100), "{answered:?}");
}
