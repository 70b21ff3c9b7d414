//! The records of a file, one after the other: NDJSON, a JSON array or CSV, gzipped or not, from a file or
//! from standard input. However large the file is, one record is in memory.

mod array;
mod table;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use serde_json::{Map, Value};

/// The most bytes of a record, and of a line: no request takes more.
const RECORD_BYTES_MAX: usize = 1024 * 1024;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// A record of a file.
#[derive(Debug)]
pub struct Record {
    /// The line on which it begins, from 1.
    pub line: u64,
    /// The members of the record, or the reason why the line is not a record.
    pub members: Result<Map<String, Value>, String>,
}

/// The format of a file of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A JSON object a line.
    Ndjson,
    /// A JSON array of objects.
    Json,
    /// Comma-separated values, or with semicolons or tabs, below a line with the names of the columns.
    Csv,
}

/// Reads a file, and hands each record to `take`. An error is about the file as a whole, and
/// nothing behind it is read.
pub fn read(
    path: &Path,
    format: Option<Format>,
    mut take: impl FnMut(Record) -> Result<(), String>,
) -> Result<(), String> {
    let name = path.display();
    let cannot = |error: io::Error| cannot_read(path, &error);
    let raw: Box<dyn Read> = match path.as_os_str() == "-" {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(path).map_err(cannot)?),
    };
    let mut raw = BufReader::new(raw);
    let is_gzip = raw.fill_buf().map_err(cannot)?.starts_with(&[0x1f, 0x8b]);
    let plain: Box<dyn Read> =
        if is_gzip { Box::new(MultiGzDecoder::new(raw)) } else { Box::new(raw) };
    let mut text = Counted { inner: BufReader::new(plain), line: 1, left: usize::MAX };
    if text.inner.fill_buf().map_err(cannot)?.starts_with(BOM) {
        text.inner.consume(BOM.len());
    }
    let format = match format {
        Some(format) => format,
        None => guessed(path, &mut text).map_err(cannot)?,
    };
    let read = match format {
        Format::Ndjson => read_lines(&mut text, &mut take),
        Format::Json => array::read(&mut text, &mut take),
        Format::Csv => table::read(&mut text, &mut take),
    };
    read.map_err(|stop| match stop {
        Stop::Taker(sentence) => sentence,
        Stop::File(line, sentence) => format!("{name} line {line}: {sentence}"),
        Stop::Io(line, error) if error.kind() == io::ErrorKind::UnexpectedEof && is_gzip => {
            format!("{name} ends in the middle of its gzip data, after line {line}: copy it again")
        }
        Stop::Io(line, error) => {
            format!("{} (after line {line})", cannot_read(path, &error))
        }
    })
}

/// The reason why the rest of a file is not read.
enum Stop {
    /// The taker of the records does not want more.
    Taker(String),
    /// The line at which the file cannot be read, and the reason.
    File(u64, String),
    /// The file cannot be read behind this line.
    Io(u64, io::Error),
}

fn cannot_read(path: &Path, error: &io::Error) -> String {
    format!("cannot read {}: {error}", path.display())
}

/// Guesses the format of a file by its name, or by its first character.
fn guessed(path: &Path, text: &mut Counted) -> io::Result<Format> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    if name.trim_end_matches(".gz").ends_with(".csv") {
        return Ok(Format::Csv);
    }
    let first = text.inner.fill_buf()?.iter().find(|byte| !byte.is_ascii_whitespace());
    Ok(match first {
        Some(b'[') => Format::Json,
        Some(b'{') | None => Format::Ndjson,
        Some(_) if name.contains("json") => Format::Ndjson,
        Some(_) => Format::Csv,
    })
}

/// A reader that knows on which line it stands, and reads no more than so many bytes.
struct Counted {
    inner: BufReader<Box<dyn Read>>,
    line: u64,
    left: usize,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && !buffer.is_empty() {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "a record exceeds 1 MiB"));
        }
        let most = buffer.len().min(self.left);
        let read = self.inner.read(&mut buffer[..most])?;
        let lines = buffer[..read].iter().filter(|byte| **byte == b'\n').count();
        self.line += lines as u64;
        self.left -= read;
        Ok(read)
    }
}

type Take<'t> = dyn FnMut(Record) -> Result<(), String> + 't;

fn read_lines(text: &mut Counted, take: &mut Take<'_>) -> Result<(), Stop> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let most = RECORD_BYTES_MAX as u64 + 1;
        let cannot = |error| Stop::Io(number - 1, error);
        let read = (&mut text.inner).take(most).read_until(b'\n', &mut line).map_err(cannot)?;
        if read == 0 {
            break;
        }
        let is_whole = line.ends_with(b"\n") || read <= RECORD_BYTES_MAX;
        if !is_whole {
            skip_line(&mut text.inner).map_err(cannot)?;
        }
        let trimmed = line.trim_ascii();
        if trimmed.is_empty() {
            continue;
        }
        let members = match is_whole {
            true => object(trimmed),
            false => Err("it has more than 1 MiB: no request takes so much".to_owned()),
        };
        take(Record { line: number, members }).map_err(Stop::Taker)?;
    }
    Ok(())
}

/// Reads on behind the next line break.
fn skip_line(text: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = text.fill_buf()?;
        let (len, end) = (buffer.len(), buffer.iter().position(|byte| *byte == b'\n'));
        text.consume(end.map_or(len, |end| end + 1));
        if len == 0 || end.is_some() {
            return Ok(());
        }
    }
}

/// The members of a JSON object.
fn object(text: &[u8]) -> Result<Map<String, Value>, String> {
    if let Err(error) = std::str::from_utf8(text) {
        return Err(no_utf8(text, error.valid_up_to()));
    }
    match serde_json::from_slice::<array::Members>(text) {
        Ok(members) => Ok(members.0),
        Err(error) => Err(told(&error, true)),
    }
}

fn no_utf8(text: &[u8], at: usize) -> String {
    let (byte, column) = (text[at], String::from_utf8_lossy(&text[..at]).chars().count() + 1);
    format!(
        "it is not UTF-8: there is the byte 0x{byte:02X} at column {column}; convert the file, \
         such as by `iconv -f ISO-8859-1 -t UTF-8`"
    )
}

/// Returns serde_json's message without its place, because the line that it means is not the
/// file's.
fn told(error: &serde_json::Error, has_column: bool) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    match error.column() {
        column if has_column && column > 0 => {
            format!("it is not a JSON object: {what} at column {column}")
        }
        _ => format!("it is not a JSON object: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn told(name: &str, bytes: &[u8]) -> Vec<String> {
        let folder = std::env::temp_dir().join(format!("orqit-input-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join(name);
        std::fs::write(&path, bytes).expect("a file");
        let mut lines = Vec::new();
        let read = read(&path, None, |Record { line, members }| {
            let members = members.map(|members| Value::Object(members).to_string());
            lines.push(format!("{line} {}", members.unwrap_or_else(|wrong| wrong)));
            Ok(())
        });
        if let Err(stop) = read {
            lines.push(stop.replace(&path.display().to_string(), name));
        }
        std::fs::remove_file(&path).expect("the file");
        lines
    }

    #[test]
    fn a_record_is_read_from_every_kind_of_file() {
        let ndjson = b"\xef\xbb\xbf{\"a\":1}\r\n\r\n{\"a\":\"\xc3\xbc\"}";
        assert_eq!(told("a.ndjson", ndjson), [r#"1 {"a":1}"#, r#"3 {"a":"ü"}"#]);
        assert_eq!(
            told("a.json", b"[{\"a\":1},\n{\"a\":2}\n]\n"),
            [r#"1 {"a":1}"#, r#"2 {"a":2}"#]
        );
        let csv = b"Nummer;\"Betreff, lang\"\r\n1;\"One \"\"word\"\"\r\nmore\"\r\n2;\r\n";
        let expected =
            [r#"2 {"Nummer":"1","Betreff, lang":"One \"word\"\r\nmore"}"#, r#"4 {"Nummer":"2"}"#];
        assert_eq!(told("a.csv", csv), expected);
        let mut zipped = GzEncoder::new(Vec::new(), Compression::default());
        zipped.write_all(ndjson).expect("bytes");
        let zipped = zipped.finish().expect("bytes");
        assert_eq!(told("a.ndjson.gz", &zipped).len(), 2);
        let cut = told("cut.ndjson.gz", &zipped[..zipped.len() - 12]);
        assert_eq!(
            cut.last().map(|line| line.contains("ends in the middle of its gzip")),
            Some(true)
        );
        assert!(told("empty.ndjson", b"").is_empty() && told("empty.json", b"[]").is_empty());
    }

    #[test]
    fn what_is_no_record_is_told_with_its_line_and_the_next_is_read() {
        let long = format!("{{\"a\":\"{}\"}}\n{{\"a\":2}}\n", "x".repeat(2 << 20));
        let long = told("long.ndjson", long.as_bytes());
        assert_eq!(long[0], "1 it has more than 1 MiB: no request takes so much");
        assert_eq!(long[1], r#"2 {"a":2}"#);
        let lines = told(
            "bad.ndjson",
            b"{\"a\":1\n{\"a\":\"\\ud800\"}\n{\"a\":\"\xe9\"}\n[]\n{\"a\":1,\"a\":2}\n",
        );
        assert!(lines[0].starts_with("1 it is not a JSON object: EOF"), "{lines:?}");
        assert!(lines[1].starts_with("2 it is not a JSON object: "), "{lines:?}");
        assert!(
            lines[2].contains("it is not UTF-8: there is the byte 0xE9 at column 7"),
            "{lines:?}"
        );
        assert!(lines[3].contains("an object in braces"), "{lines:?}");
        assert!(lines[4].contains("the member `a` is given twice"), "{lines:?}");
        assert!(lines.iter().all(|line| !line.contains("line 1")), "{lines:?}");
        let cells = told("short.csv", b"a,b\n1\n1,2\n");
        assert_eq!(cells[0], "2 it has 1 cells, and the first line names 2 columns");
        assert_eq!(cells[1], r#"3 {"a":"1","b":"2"}"#);
        assert_eq!(
            told("twice.csv", b"a,a\n"),
            ["twice.csv line 1: the column `a` is there twice"]
        );
        let array = told("bad.json", b"[{\"a\":1},\n7]");
        assert!(array[1].starts_with("bad.json line 2: it is not a JSON object"), "{array:?}");
        let open = format!("a,b\n1,\"{}", "x,".repeat(2 << 20));
        assert!(told("open.csv", open.as_bytes())[0].contains("a record exceeds 1 MiB"));
    }
}
