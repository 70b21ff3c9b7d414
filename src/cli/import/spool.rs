//! The spool, a temporary database of records that were read and checked: a file is read once, also
//! from a pipe, and the memory of an import does not grow with it.

use rusqlite::{Connection, OptionalExtension, Row, params};

/// Records and events that wait to be sent. The database is a file that is gone with it.
pub struct Spool {
    database: Connection,
}

/// A record that was checked.
pub struct Checked {
    /// The number of the file that has the record.
    pub file: usize,
    /// The line on which it begins.
    pub line: u64,
    /// The key of the record within the import.
    pub key: String,
    /// The key of the record that must be sent before this one, if it is in the files at all.
    pub parent: Option<String>,
    /// True if the record adds to one before it, as comments do.
    pub adds: bool,
    /// True if the record is the rest of the one before it, which was too long.
    pub is_part: bool,
    /// The item to send.
    pub item: Vec<u8>,
    /// The record as it was read, as JSON.
    pub raw: String,
}

/// A record that waits.
pub struct Waiting {
    pub id: i64,
    pub file: usize,
    pub line: u64,
    pub key: String,
    pub is_part: bool,
    pub item: Vec<u8>,
}

/// An event that waits.
pub struct WaitingEvent {
    pub id: i64,
    pub line: u64,
    pub entry: Vec<u8>,
}

/// The reason why a record is not taken.
pub enum Taken {
    /// It waits for another record.
    Waits,
    /// Another record of the same key stands in this file, on this line.
    Before(usize, u64),
}

type Result<T> = std::result::Result<T, String>;

fn failed(error: rusqlite::Error) -> String {
    format!("the temporary database failed: {error}; is the disk full?")
}

impl Spool {
    pub fn open() -> Result<Self> {
        // An empty name is a file that nobody else sees.
        let database = Connection::open("").map_err(failed)?;
        database
            .execute_batch(
                "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -8192; \
                 CREATE TABLE records (id INTEGER PRIMARY KEY, file INTEGER, line INTEGER, key TEXT, \
                   parent TEXT, adds INTEGER, is_part INTEGER, stage INTEGER DEFAULT 0, is_refused INTEGER DEFAULT 0, item BLOB, raw TEXT); \
                 CREATE UNIQUE INDEX whole ON records (key) WHERE adds = 0; \
                 CREATE INDEX of_key ON records (key, id); \
                 CREATE TABLE events (id INTEGER PRIMARY KEY, line INTEGER, key TEXT, name TEXT, \
                   entry BLOB, raw TEXT, is_sent INTEGER DEFAULT 0, UNIQUE (key, name)); \
                 CREATE INDEX of_ticket ON events (key, is_sent, id); BEGIN",
            )
            .map_err(failed)?;
        Ok(Self { database })
    }

    pub fn put(&self, record: &Checked) -> Result<Taken> {
        if !record.adds {
            let text = "SELECT file, line FROM records WHERE key = ?1 AND adds = 0";
            let mut before = self.database.prepare_cached(text).map_err(failed)?;
            let before = before.query_row([&record.key], |row| Ok((row.get(0)?, row.get(1)?)));
            if let Some((file, line)) = before.optional().map_err(failed)? {
                return Ok(Taken::Before(file, line));
            }
        }
        let text = "INSERT INTO records (file, line, key, parent, adds, is_part, item, raw) \
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let mut insert = self.database.prepare_cached(text).map_err(failed)?;
        let Checked { file, line, key, parent, adds, is_part, item, raw } = record;
        insert
            .execute(params![file, line, key, parent, adds, is_part, item, raw])
            .map_err(failed)?;
        Ok(Taken::Waits)
    }

    /// Adds an event of the record with this key; another one of the same name is told by its line.
    pub fn put_event(
        &self,
        line: u64,
        (key, name): (&str, &str),
        entry: &[u8],
        raw: &str,
    ) -> Result<Option<u64>> {
        let text = "INSERT OR IGNORE INTO events (line, key, name, entry, raw) VALUES (?1, ?2, ?3, ?4, ?5)";
        let mut insert = self.database.prepare_cached(text).map_err(failed)?;
        if insert.execute(params![line, key, name, entry, raw]).map_err(failed)? == 1 {
            return Ok(None);
        }
        let text = "SELECT line FROM events WHERE key = ?1 AND name = ?2";
        let line = self.database.query_row(text, params![key, name], |row| row.get(0));
        line.map(Some).map_err(failed)
    }

    /// Puts the records in the order in which they can be sent: those of a later stage need those of an
    /// earlier one.
    pub fn order(&self) -> Result<()> {
        let text = "SELECT EXISTS (SELECT 1 FROM records WHERE parent IS NOT NULL)";
        let has_parents: bool =
            self.database.query_row(text, [], |row| row.get(0)).map_err(failed)?;
        if has_parents {
            // However deep they stand; in a circle each waits for another, and the bound ends it.
            for stage in 0..PARENTS_MAX {
                let text = "UPDATE records SET stage = ?1 + 1 WHERE stage = ?1 AND adds = 0 AND parent IN \
                            (SELECT key FROM records WHERE stage = ?1 AND adds = 0)";
                if self.database.execute(text, [stage]).map_err(failed)? == 0 {
                    break;
                }
            }
        }
        let text = "UPDATE records SET stage = ?1 + (SELECT COUNT(*) FROM records earlier \
                    WHERE earlier.key = records.key AND earlier.adds AND earlier.id < records.id) WHERE adds";
        self.database.execute(text, [PARENTS_MAX + 1]).map_err(failed)?;
        self.database
            .execute("CREATE INDEX in_order ON records (stage, id)", [])
            .map_err(failed)?;
        Ok(())
    }

    /// The stages that there are.
    pub fn stages(&self) -> Result<Vec<i64>> {
        let text = "SELECT DISTINCT stage FROM records ORDER BY stage";
        let mut stages = self.database.prepare_cached(text).map_err(failed)?;
        let rows = stages.query_map([], |row| row.get(0)).map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    /// The next record of a stage behind the one with this id.
    pub fn next(&self, stage: i64, after: i64) -> Result<Option<Waiting>> {
        let text = "SELECT id, file, line, key, is_part, item FROM records \
                    WHERE stage = ?1 AND id > ?2 ORDER BY id LIMIT 1";
        let mut next = self.database.prepare_cached(text).map_err(failed)?;
        let waiting = |row: &Row<'_>| {
            let (id, file, line, key) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            Ok(Waiting { id, file, line, key, is_part: row.get(4)?, item: row.get(5)? })
        };
        next.query_row(params![stage, after], waiting).optional().map_err(failed)
    }

    /// The next events of a record, as many as fit into so many bytes; they count as sent from then on.
    pub fn take_events(&self, key: &str, most: usize, bytes: usize) -> Result<Vec<WaitingEvent>> {
        let text = "SELECT id, line, entry FROM events WHERE key = ?1 AND is_sent = 0 ORDER BY id LIMIT ?2";
        let mut next = self.database.prepare_cached(text).map_err(failed)?;
        let mut rows = next.query(params![key, most]).map_err(failed)?;
        let (mut events, mut left): (Vec<WaitingEvent>, _) = (Vec::new(), bytes);
        while let Some(row) = rows.next().map_err(failed)? {
            let event =
                || Ok(WaitingEvent { id: row.get(0)?, line: row.get(1)?, entry: row.get(2)? });
            let event = event().map_err(failed)?;
            if event.entry.len() > left && !events.is_empty() {
                break;
            }
            left = left.saturating_sub(event.entry.len());
            events.push(event);
        }
        drop(rows);
        if let (Some(first), Some(last)) = (events.first(), events.last()) {
            let text = "UPDATE events SET is_sent = 1 WHERE key = ?1 AND is_sent = 0 AND id BETWEEN ?2 AND ?3";
            let mut sent = self.database.prepare_cached(text).map_err(failed)?;
            sent.execute(params![key, first.id, last.id]).map_err(failed)?;
        }
        Ok(events)
    }

    /// The event before the first of those, of the same record.
    pub fn event_before(&self, key: &str, id: i64) -> Result<Option<Vec<u8>>> {
        let text = "SELECT entry FROM events WHERE key = ?1 AND is_sent = 1 AND id < ?2 \
                    ORDER BY id DESC LIMIT 1";
        let mut before = self.database.prepare_cached(text).map_err(failed)?;
        before.query_row(params![key, id], |row| row.get(0)).optional().map_err(failed)
    }

    /// The next record, behind this key, that has events which wait.
    pub fn next_with_events(&self, after: &str) -> Result<Option<String>> {
        let text = "SELECT key FROM events WHERE is_sent = 0 AND key > ?1 ORDER BY key LIMIT 1";
        let mut next = self.database.prepare_cached(text).map_err(failed)?;
        next.query_row([after], |row| row.get(0)).optional().map_err(failed)
    }

    /// Returns the number of records and of events.
    pub fn len(&self) -> Result<(u64, u64)> {
        let text = "SELECT (SELECT COUNT(*) FROM records), (SELECT COUNT(*) FROM events)";
        self.database.query_row(text, [], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed)
    }

    /// Marks a record, or a part of it, as refused, and returns the record as it was read, the
    /// first time.
    pub fn refuse(&self, record: &Waiting) -> Result<Option<String>> {
        let Waiting { file, line, key, .. } = record;
        let text = "UPDATE records SET is_refused = 1 WHERE key = ?1 AND file = ?2 AND line = ?3 \
                    AND is_part = 0 AND is_refused = 0 RETURNING raw";
        let mut refused = self.database.prepare_cached(text).map_err(failed)?;
        refused.query_row(params![key, file, line], |row| row.get(0)).optional().map_err(failed)
    }

    /// An event as it was read.
    pub fn raw_event(&self, id: i64) -> Result<String> {
        let text = "SELECT raw FROM events WHERE id = ?1";
        self.database.query_row(text, [id], |row| row.get(0)).map_err(failed)
    }
}

/// The depth of records that wait for each other; the service refuses what is deeper.
const PARENTS_MAX: i64 = 16;
