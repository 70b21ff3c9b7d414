//! The lines of the files, and how they are read.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The most bytes of a line: a description has at most 65,536 characters.
const LINE_BYTES_MAX: u64 = 1024 * 1024;

/// A ticket in its file. Fields that the API has no place for are passed over.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TicketRecord {
    pub external_id: String,
    pub title: String,
    pub description: Option<String>,
    #[serde(rename = "type")]
    pub kind: String,
    pub category: Option<String>,
    pub impact: Option<String>,
    pub urgency: Option<String>,
    /// What the other system made of impact and urgency; only compared.
    pub priority: Option<String>,
}

/// A change of status in its file.
#[derive(Debug, Deserialize)]
pub struct EventRecord {
    pub incident: String,
    pub state: String,
}

/// Reads every line of an NDJSON file, gzipped or not.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, String> {
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let mut file = File::open(path).map_err(failed)?;
    let mut magic = [0; 2];
    let gzipped = file.read(&mut magic).map_err(failed)? == 2 && magic == [0x1f, 0x8b];
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let raw = BufReader::new(file);
    let reader: Box<dyn Read> =
        if gzipped { Box::new(MultiGzDecoder::new(raw)) } else { Box::new(raw) };
    let mut lines = BufReader::new(reader);
    let mut records = Vec::new();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let len = (&mut lines).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(failed)?;
        if len == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let record = serde_json::from_slice(&line)
            .map_err(|error| format!("{} line {number}: {error}", path.display()))?;
        records.push(record);
    }
    Ok(records)
}
