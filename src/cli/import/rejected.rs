//! The file of what was refused, beside the one that it was read from: a JSON object a line, with the
//! record as it was read, which can be mended there and imported again.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::mapping::Reason;

/// The writer of a file's refused records.
pub struct Rejected {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    /// The number of refused records.
    pub count: u64,
}

impl Rejected {
    /// Makes the file of refused records beside an input file. One that an earlier import has left
    /// is gone.
    pub fn beside(input: &Path) -> Result<Self, String> {
        let mut name = match input.as_os_str() == "-" {
            true => "stdin".into(),
            false => input.as_os_str().to_owned(),
        };
        name.push(".rejected.ndjson");
        let path = PathBuf::from(name);
        match std::fs::remove_file(&path) {
            // Where nothing can be written, nothing is read from there either: it is written elsewhere.
            Err(error) if path.exists() => Err(cannot(&path, &error)),
            _ => Ok(Self { path, file: None, count: 0 }),
        }
    }

    /// Makes the file: beside the input, in the working folder where that cannot be written to, or else
    /// in the one for temporary files.
    fn create(&mut self) -> Result<&mut BufWriter<File>, String> {
        if self.file.is_none() {
            let name = PathBuf::from(self.path.file_name().unwrap_or_default());
            let places = [self.path.clone(), name.clone(), std::env::temp_dir().join(name)];
            let made = places.into_iter().find_map(|path| Some((File::create(&path).ok()?, path)));
            let (file, path) = made.ok_or_else(|| {
                let error = File::create(&self.path).err();
                error.map_or_else(String::new, |error| cannot(&self.path, &error))
            })?;
            self.path = path;
            self.file = Some(BufWriter::new(file));
        }
        self.file.as_mut().ok_or_else(|| "the file of refused records is gone".to_owned())
    }

    /// Writes a record with the reasons why it is refused. `raw` is the record as JSON.
    pub fn put(
        &mut self,
        line: u64,
        external_id: Option<&str>,
        reasons: &[Reason],
        raw: &str,
    ) -> Result<(), String> {
        self.count += 1;
        let record: Value = serde_json::from_str(raw).unwrap_or_default();
        let told =
            json!({"line": line, "externalId": external_id, "reasons": reasons, "record": record});
        let file = self.create()?;
        let written = writeln!(file, "{told}").and_then(|()| file.flush());
        written.map_err(|error| cannot(&self.path, &error))
    }

    /// Returns the path of the file of refused records, if there are any.
    pub fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|_| self.path.as_path())
    }
}

fn cannot(path: &Path, error: &std::io::Error) -> String {
    format!("cannot write {}: {error}", path.display())
}

/// The record within a line that an earlier import has refused, and that was mended since; any other record
/// as it is.
pub fn unwrapped(mut record: Map<String, Value>) -> Map<String, Value> {
    const MEMBERS: [&str; 4] = ["line", "externalId", "reasons", "record"];
    let is_refused = record.len() == MEMBERS.len()
        && MEMBERS.iter().all(|member| record.contains_key(*member))
        && record["reasons"].is_array();
    match record.remove("record") {
        Some(Value::Object(within)) if is_refused => within,
        Some(other) => {
            record.insert("record".to_owned(), other);
            record
        }
        None => record,
    }
}
