//! Comma-separated values, or with semicolons or tabs, below a line with the names of the columns.

use std::io::{BufRead, Read};

use serde_json::{Map, Value};

use super::{Counted, RECORD_BYTES_MAX, Record, Stop, Take, no_utf8};

/// Reads the rows below the names of the columns.
pub fn read(text: &mut Counted, take: &mut Take<'_>) -> Result<(), Stop> {
    let mut header = Vec::new();
    let most = RECORD_BYTES_MAX as u64;
    let cannot = |error| Stop::Io(0, error);
    (&mut text.inner).take(most).read_until(b'\n', &mut header).map_err(cannot)?;
    let is_crlf = header.ends_with(b"\r\n");
    let header = header.trim_ascii_end().to_vec();
    if let Err(error) = std::str::from_utf8(&header) {
        return Err(Stop::File(1, no_utf8(&header, error.valid_up_to())));
    }
    let delimiter = *[b',', b';', b'\t']
        .iter()
        .max_by_key(|one| header.iter().filter(|byte| byte == one).count())
        .unwrap_or(&b',');
    let mut builder = csv::ReaderBuilder::new();
    builder.has_headers(false).delimiter(delimiter).flexible(true);
    let mut names = csv::ByteRecord::new();
    let of_header = |error: csv::Error| Stop::File(1, error.to_string());
    builder.from_reader(header.as_slice()).read_byte_record(&mut names).map_err(of_header)?;
    let names: Vec<_> =
        names.iter().map(|name| String::from_utf8_lossy(name.trim_ascii()).into_owned()).collect();
    if let Some(twice) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
        return Err(Stop::File(1, format!("the column `{}` is there twice", twice.1)));
    }
    let mut reader = builder.from_reader(text);
    let mut row = csv::ByteRecord::new();
    let mut is_first = true;
    loop {
        // What the reader has read ahead is at most its buffer.
        reader.get_mut().left = RECORD_BYTES_MAX;
        let line = reader.position().line() + 1;
        match reader.read_byte_record(&mut row) {
            Ok(false) => return Ok(()),
            Ok(true) => {}
            Err(error) => {
                return Err(match error.into_kind() {
                    csv::ErrorKind::Io(error) => Stop::Io(line, error),
                    other => Stop::File(line, format!("{other:?}")),
                });
            }
        }
        // Behind the header; and of the two characters that end a line before, the reader has not seen
        // the second yet.
        let before = 1 + u64::from(is_crlf && !is_first);
        let line = row.position().map_or(line, |at| at.line() + before);
        is_first = false;
        take(Record { line, members: cells(&names, &row) }).map_err(Stop::Taker)?;
    }
}

/// The cells of a row by the names of their columns; an empty one is none.
fn cells(names: &[String], row: &csv::ByteRecord) -> Result<Map<String, Value>, String> {
    if row.len() != names.len() {
        let (cells, columns) = (row.len(), names.len());
        return Err(format!("it has {cells} cells, and the first line names {columns} columns"));
    }
    let mut members = Map::new();
    for (name, cell) in names.iter().zip(row) {
        let cell = std::str::from_utf8(cell)
            .map_err(|error| format!("{name}: {}", no_utf8(cell, error.valid_up_to())))?;
        if !cell.trim().is_empty() {
            members.insert(name.clone(), Value::from(cell));
        }
    }
    Ok(members)
}
