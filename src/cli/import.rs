//! `orqit import`: brings records from files into the service, by its API.
//!
//! Everything is read and checked before the first record is sent; then it is sent in batches that are
//! made again where they fail on the way, which does nothing twice: every record is known by what it has
//! from where it comes. What is refused is written beside the file that it was in.

mod batches;
pub mod calls;
mod dates;
mod events;
mod input;
mod items;
mod mapping;
mod noun;
mod nouns;
mod presets;
pub mod progress;
mod records;
mod rejected;
mod replay;
mod sending;
mod spool;
mod tickets;
mod upserts;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value};

use self::input::{Format, Record};
use self::mapping::{Mapped, Mapping, Reason};
use self::presets::Preset;
use self::progress::{Progress, plain};
use self::rejected::{Rejected, unwrapped};
use self::sending::Tally;
use self::spool::{Checked, Spool, Taken};
use super::ClientArgs;

/// The nouns that can be imported.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Bring tickets, with their comments and their history.
    Tickets(tickets::TicketsArgs),
    /// Bring users, by their e-mail addresses.
    Users(ImportArgs),
    /// Bring assets, by their tags, with who has them.
    Assets(ImportArgs),
    /// Bring projects, by their keys.
    Projects(ImportArgs),
    /// Bring the tasks of projects that are there, by their numbers and in their order.
    Tasks(ImportArgs),
    /// Bring articles of the knowledge base, by their slugs.
    Articles(ImportArgs),
}

/// The arguments of every import.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Files of records: NDJSON, a JSON array or CSV, gzipped or not; `-` is standard input.
    files: Vec<PathBuf>,
    /// The format of the files; by default their names and first characters tell.
    #[arg(long)]
    format: Option<Format>,
    /// A mapping: which member or column is which field, and what values stand for (TOML).
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// The system whose words the records have; `orqit` unless there is a mapping. A mapping adds to it.
    #[arg(long)]
    preset: Option<Preset>,
    /// Check everything, write what is wrong beside the files, and send nothing.
    #[arg(long)]
    dry_run: bool,
    /// Send nothing unless everything is right.
    #[arg(long)]
    strict: bool,
    /// The number of calls that are under way at a time.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    parallel: u32,
    #[command(flatten)]
    client: ClientArgs,
}

/// Runs an import. The code is 0 where all of it went in, 2 where some of it did not, and 1, by an error,
/// where it stopped.
pub async fn run(command: Command) -> Result<ExitCode, String> {
    match command {
        Command::Tickets(args) => tickets::run(args).await,
        Command::Users(args) => records::run::<nouns::Users>(&args).await,
        Command::Assets(args) => records::run::<nouns::Assets>(&args).await,
        Command::Projects(args) => records::run::<nouns::Projects>(&args).await,
        Command::Tasks(args) => records::run::<nouns::Tasks>(&args).await,
        Command::Articles(args) => records::run::<nouns::Articles>(&args).await,
    }
}

/// A kind of records that can be imported.
trait Kind {
    /// The plural name of the records.
    const NAME: &str;

    /// Checks a record and returns the pieces to send, one or several; or all reasons why it is
    /// refused.
    fn check(&self, item: Map<String, Value>) -> Result<Vec<ItemToSend>, Vec<Reason>>;

    /// Tells the noun the system that the mapping names as the source of the records.
    fn set_source(&mut self, _source: Option<&str>) {}

    /// Returns true if there is something to import without a file of records.
    fn needs_no_file(&self) -> bool {
        false
    }

    /// Returns the name of a record, for people.
    fn known_by(item: &Map<String, Value>) -> Option<String>;
}

/// An item that is sent of a record: all of it, or a piece of one that is too long.
struct ItemToSend {
    key: String,
    parent: Option<String>,
    adds: bool,
    item: Vec<u8>,
}

/// The members of a record, and the record as JSON.
type Whole = (Map<String, Value>, String);

/// An import whose files have been read.
struct Import {
    spool: Spool,
    /// The rejected records of each file, and those of the files of events.
    rejected: Vec<Rejected>,
    tally: Tally,
    mapping: Mapping,
}

impl Import {
    /// Reads and checks the files.
    fn read<K: Kind>(args: &ImportArgs, kind: &mut K) -> Result<Self, String> {
        let base = match (args.preset, &args.map) {
            (Some(preset), _) => preset.mapping(),
            (None, None) => Preset::Orqit.mapping(),
            (None, Some(_)) => Mapping::default(),
        };
        let mapping = match &args.map {
            Some(file) => Mapping::load(file)?.over(base),
            None => base,
        };
        kind.set_source(mapping.source.as_deref());
        if args.files.is_empty() && !kind.needs_no_file() {
            return Err("name a file to import, or - for standard input".to_owned());
        }
        let rejected = args.files.iter().map(|file| Rejected::beside(file));
        let rejected = rejected.collect::<Result<_, _>>()?;
        let tally = Tally::new(K::NAME);
        let mut import = Self { spool: Spool::open()?, rejected, tally, mapping };
        let progress = Progress::new("checked", None);
        for (file, path) in args.files.iter().enumerate() {
            input::read(path, args.format, |record| {
                progress.add(1);
                import.take(kind, file, record)
            })
            .map_err(nothing_sent)?;
        }
        progress.end();
        Ok(import)
    }

    fn take<K: Kind>(&mut self, kind: &K, file: usize, record: Record) -> Result<(), String> {
        self.tally.read += 1;
        let line = record.line;
        let Some((members, raw)) = self.members(file, record)? else { return Ok(()) };
        let Mapped { item, wrong, left_out } = self.mapping.apply(&members);
        self.tally.leave_out(left_out);
        let known_by = K::known_by(&item);
        let mut reasons = wrong;
        let pieces = kind.check(item).unwrap_or_else(|others| {
            add_reasons(&mut reasons, others);
            Vec::new()
        });
        if !reasons.is_empty() {
            return self.refuse(file, line, known_by.as_deref(), &reasons, &raw);
        }
        for (at, ItemToSend { key, parent, adds, item }) in pieces.into_iter().enumerate() {
            let raw = if at == 0 { raw.clone() } else { String::new() };
            let is_part = at > 0;
            let checked = Checked { file, line, key, parent, adds, is_part, item, raw };
            if let Taken::Before(other, first) = self.spool.put(&checked)? {
                let known_by = known_by.unwrap_or_default();
                let of = if other == file { "" } else { " of an earlier file" };
                let message = format!(
                    "`{known_by}` stands on line {first}{of} already, which is the one that is taken"
                );
                let reason = [Reason::new("externalId", "DUPLICATE_RECORD", message)];
                return self.refuse(file, line, Some(&known_by), &reason, &checked.raw);
            }
        }
        Ok(())
    }

    /// The members of a record; none where it is refused for being none.
    fn members(&mut self, file: usize, record: Record) -> Result<Option<Whole>, String> {
        match record.members {
            Ok(members) => {
                let members = unwrapped(members);
                let raw = Value::Object(members.clone()).to_string();
                Ok(Some((members, raw)))
            }
            Err(sentence) => {
                let reason = [Reason::new("", "MALFORMED_RECORD", sentence)];
                self.refuse(file, record.line, None, &reason, "null").map(|()| None)
            }
        }
    }

    /// Notes that a record is refused.
    fn refuse(
        &mut self,
        file: usize,
        line: u64,
        known_by: Option<&str>,
        reasons: &[Reason],
        raw: &str,
    ) -> Result<(), String> {
        let is_event = file + 1 == self.rejected.len() && self.tally.has_events;
        match is_event {
            true => self.tally.events_refused += 1,
            false => self.tally.refused += 1,
        }
        self.tally.show(line, known_by, reasons);
        self.rejected[file].put(line, known_by, reasons, raw)
    }

    /// Ends the reading; the exit code where nothing more is to be done.
    fn checked(&mut self, args: &ImportArgs) -> Result<Option<ExitCode>, String> {
        self.tally.tell_left_out();
        let wrong = self.tally.refused + self.tally.events_refused;
        if args.strict && wrong > 0 {
            let files = self.rejected_files();
            return Err(format!("{wrong} records are wrong: nothing was sent; mend {files}"));
        }
        if !args.dry_run {
            self.spool.order()?;
            return Ok(None);
        }
        let right = self.tally.read + self.tally.events_read - wrong;
        println!("dry run: {right} records are right, {wrong} are not; nothing was sent");
        self.tell_rejected();
        Ok(Some(self.code()))
    }

    /// Tells how it went.
    fn finish(&self) -> ExitCode {
        println!("{}", self.tally.report());
        self.tell_rejected();
        self.code()
    }

    fn code(&self) -> ExitCode {
        match self.tally.refused + self.tally.events_refused {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::from(2),
        }
    }

    fn tell_rejected(&self) {
        for rejected in &self.rejected {
            if let Some(path) = rejected.path() {
                let (count, path) = (rejected.count, plain(&path.display().to_string()));
                eprintln!(
                    "{count} refused records are in {path}: mend them there, and import that file"
                );
            }
        }
    }

    fn rejected_files(&self) -> String {
        let files = self.rejected.iter().filter_map(Rejected::path);
        files.map(|path| plain(&path.display().to_string())).collect::<Vec<_>>().join(", ")
    }
}

/// The sentence of a file that cannot be read.
fn nothing_sent(sentence: String) -> String {
    format!("{sentence}; nothing was sent")
}

/// Adds reasons to those of a record, but for fields of which something is said already.
fn add_reasons(reasons: &mut Vec<Reason>, others: Vec<Reason>) {
    let is_told = |one: &Reason| reasons.iter().any(|told| told.field == one.field);
    let others: Vec<_> = others.into_iter().filter(|one| !is_told(one)).collect();
    reasons.extend(others);
}
