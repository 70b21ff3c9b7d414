//! `orqit import tickets`: by ImportTickets, a hundred at a time, each with the events of its history.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use prost::Message;
use rest::{Place, Validate, Violations};
use serde_json::{Map, Value, json};

use super::batches::Batches;
use super::mapping::{Mapped, Reason};
use super::progress::Progress;
use super::rejected::{Rejected, unwrapped};
use super::sending::EventIds;
use super::{Import, ImportArgs, Kind, Piece, input, nothing_sent, replay};
use crate::cli::client;
use crate::pb;
use crate::service::tickets::check_import;

/// What stands in one piece of a ticket: a longer one is sent piece by piece.
const PIECE_BYTES_MAX: usize = 256 * 1024;
const PIECE_ROWS_MAX: usize = 500;
/// So many tickets are replayed at a time for each call of an import: each is a call of its own.
const REPLAYED_BESIDE: usize = 4;
/// Between the source of a ticket and its id there.
pub const BETWEEN: char = '\u{1f}';

/// Which tickets, and how to bring them.
#[derive(Debug, Args)]
pub struct TicketsArgs {
    #[command(flatten)]
    import: ImportArgs,
    /// A file with what has changed of the tickets, a record for each change; it becomes their history.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// The system that the tickets come from, where neither they nor the preset or the mapping say; with
    /// externalId it names a ticket for good.
    #[arg(long, value_parser = source)]
    source: Option<String>,
    /// Create the tickets as new ones, and apply the events of their status one after the other, by the
    /// rules that changes here have, in place of bringing them as history.
    #[arg(long, requires = "events")]
    replay: bool,
}

fn source(text: &str) -> Result<String, String> {
    match text.chars().count() {
        1..=64 => Ok(text.to_owned()),
        _ => Err("the source of tickets has 1 to 64 characters, such as servicenow".to_owned()),
    }
}

/// Runs the import.
pub async fn run(args: TicketsArgs) -> Result<ExitCode, String> {
    let has_events = args.events.is_some();
    let mut kind = Tickets { source: args.source.clone(), has_events };
    let mut import = Import::read(&args.import, &mut kind)?;
    if let Some(events) = &args.events {
        import.rejected.push(Rejected::beside(events)?);
        import.tally.has_events = true;
        let source = kind.source.clone();
        let progress = Progress::new("checked events", None);
        input::read(events, None, |record| {
            progress.add(1);
            import.take_event(source.as_deref(), args.replay, record)
        })
        .map_err(nothing_sent)?;
        progress.end();
    }
    if let Some(code) = import.checked(&args.import)? {
        return Ok(code);
    }
    let client = client::connect(&args.import.client).await?;
    let (records, _) = import.spool.len()?;
    let progress = Progress::new("tickets", Some(records));
    if args.replay {
        let parallel = args.import.parallel as usize * REPLAYED_BESIDE;
        let unknown = import.tally.events_refused;
        let (figures, ended) = replay::run(&mut import, &client, parallel, &progress).await;
        let orphaned = if ended.is_ok() { import.refuse_orphans()? } else { 0 };
        println!("{}", figures.report(import.tally.refused, unknown, orphaned));
        import.tell_rejected();
        return ended.map(|()| import.code());
    }
    let batches = Batches::new(client, progress.clone());
    let sent = import.send(batches, args.import.parallel as usize, &progress).await;
    let code = import.finish();
    sent.map(|()| code)
}

/// Tickets, as records.
struct Tickets {
    source: Option<String>,
    has_events: bool,
}

impl Kind for Tickets {
    const NAME: &str = "tickets";

    fn known_by(item: &Map<String, Value>) -> Option<String> {
        item.get("externalId").and_then(Value::as_str).map(str::to_owned)
    }

    fn needs_no_file(&self) -> bool {
        self.has_events
    }

    fn set_source(&mut self, source: Option<&str>) {
        if self.source.is_none() {
            self.source = source.map(str::to_owned);
        }
    }

    fn check(&self, mut item: Map<String, Value>) -> Result<Vec<Piece>, Vec<Reason>> {
        if let Some(source) = &self.source
            && !item.contains_key("externalSource")
        {
            item.insert("externalSource".to_owned(), Value::from(source.as_str()));
        }
        let item = read(item)?;
        let parent = item.parent.as_ref().map(|it| key(&it.external_source, &it.external_id));
        let adds = item.update_mask.as_ref().is_some_and(|mask| {
            let more = ["comments", "history", "updated_at"];
            !mask.paths.is_empty() && mask.paths.iter().all(|path| more.contains(&path.as_str()))
        });
        let key = key(&item.external_source, &item.external_id);
        let piece = |item: pb::TicketImport, adds: bool| Piece {
            key: key.clone(),
            parent: parent.clone().filter(|_| !adds),
            adds,
            item: item.encode_to_vec(),
        };
        let pieces = in_pieces(item).into_iter().enumerate();
        Ok(pieces.map(|(at, item)| piece(item, adds || at > 0)).collect())
    }
}

fn key(source: &str, id: &str) -> String {
    format!("{source}{BETWEEN}{id}")
}

/// A ticket by the rules of the service.
fn read(item: Map<String, Value>) -> Result<pb::TicketImport, Vec<Reason>> {
    let mut wrong = Violations::default();
    let body = json!({ "items": [item] }).to_string();
    let json = rest::Json::parse(body.as_bytes())
        .map_err(|message| vec![Reason::new("", "MALFORMED_RECORD", message)])?;
    let request: Option<pb::ImportTicketsRequest> = rest::value(json, &Place::ROOT, &mut wrong);
    let mut request = request.unwrap_or_default();
    request.validate(&mut wrong);
    check_import(&request, &mut wrong);
    let of_item = wrong.take_items().into_values().next().unwrap_or_default();
    let all = wrong.as_slice().iter().chain(of_item.as_slice());
    let all: Vec<_> =
        all.map(|wrong| Reason::new(&wrong.field, wrong.code, wrong.message.clone())).collect();
    match request.items.pop().filter(|_| all.is_empty()) {
        Some(item) => Ok(item),
        None => Err(all),
    }
}

/// A ticket in pieces that fit into a call: the later ones bring comments and history.
fn in_pieces(mut item: pb::TicketImport) -> Vec<pb::TicketImport> {
    let is_small = item.comments.len() <= PIECE_ROWS_MAX && item.history.len() <= PIECE_ROWS_MAX;
    if is_small && item.encoded_len() <= PIECE_BYTES_MAX {
        return vec![item];
    }
    let more = |path: &str| pb::TicketImport {
        external_source: item.external_source.clone(),
        external_id: item.external_id.clone(),
        update_mask: Some(mask(&[path])),
        ..pb::TicketImport::default()
    };
    let (mut comments, mut history) = (more("comments"), more("history"));
    let mut pieces = Vec::new();
    for comment in std::mem::take(&mut item.comments) {
        let is_full = comments.encoded_len() + comment.encoded_len() > PIECE_BYTES_MAX;
        if !comments.comments.is_empty() && (is_full || comments.comments.len() == PIECE_ROWS_MAX) {
            pieces.push(std::mem::replace(&mut comments, more("comments")));
        }
        comments.comments.push(comment);
    }
    for entry in std::mem::take(&mut item.history) {
        let is_full = history.encoded_len() + entry.encoded_len() > PIECE_BYTES_MAX;
        if !history.history.is_empty() && (is_full || history.history.len() == PIECE_ROWS_MAX) {
            pieces.push(std::mem::replace(&mut history, more("history")));
        }
        history.history.push(entry);
    }
    pieces.push(comments);
    pieces.push(history);
    pieces.retain(|piece| !piece.comments.is_empty() || !piece.history.is_empty());
    // The time of the last change is the one that the ticket had.
    for piece in &mut pieces {
        piece.updated_at = item.updated_at;
        if item.updated_at.is_some() {
            piece.update_mask.get_or_insert_default().paths.push("updated_at".to_owned());
        }
    }
    pieces.insert(0, item);
    pieces
}

fn mask(paths: &[&str]) -> prost_types::FieldMask {
    prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() }
}

impl Import {
    /// Takes a record of a file of events.
    fn take_event(
        &mut self,
        source: Option<&str>,
        is_replay: bool,
        record: input::Record,
    ) -> Result<(), String> {
        self.tally.events_read += 1;
        let (file, line) = (self.rejected.len() - 1, record.line);
        let members = match record.members {
            Ok(members) => unwrapped(members),
            Err(sentence) => {
                let reason = [Reason::new("", "MALFORMED_RECORD", sentence)];
                return self.refuse(file, line, None, &reason, "null");
            }
        };
        let raw = Value::Object(members.clone()).to_string();
        let Mapped { item: mut entry, mut wrong, left_out } = self.mapping.apply_to_event(&members);
        self.tally.leave_out(left_out);
        let ticket = entry.remove("ticket").and_then(|id| id.as_str().map(str::to_owned));
        let of = entry.remove("externalSource").and_then(|it| it.as_str().map(str::to_owned));
        let of = of.or_else(|| source.map(str::to_owned)).unwrap_or_default();
        let id = ticket.clone().unwrap_or_default();
        if is_replay {
            // They are applied in the order of the file, whatever they are called.
            entry.insert("externalId".to_owned(), Value::from(line.to_string()));
        }
        // As an entry of the history of its ticket.
        let item = json!({"externalSource": of, "externalId": id, "history": [entry]});
        let read = read(item.as_object().cloned().unwrap_or_default());
        let entry = match read {
            Ok(mut item) if wrong.is_empty() => item.history.pop().unwrap_or_default(),
            Ok(_) => pb::HistoryImport::default(),
            Err(reasons) => {
                let reasons = reasons.into_iter().map(|reason| Reason {
                    field: reason.field.replace("history[0].", ""),
                    message: reason.message.replace("history[0].", ""),
                    ..reason
                });
                if wrong.is_empty() {
                    wrong.extend(reasons);
                }
                pb::HistoryImport::default()
            }
        };
        if !wrong.is_empty() {
            return self.refuse(file, line, ticket.as_deref(), &wrong, &raw);
        }
        let name = (key(&of, &id), entry.external_id.clone());
        let encoded = entry.encode_to_vec();
        match self.spool.put_event(line, (&name.0, &name.1), &encoded, &raw)? {
            None => Ok(()),
            Some(first) => {
                let message = format!(
                    "`{}` of {id} stands on line {first} already, which is the one that is taken",
                    name.1
                );
                let reason = [Reason::new("externalId", "DUPLICATE_RECORD", message)];
                self.refuse(file, line, Some(&id), &reason, &raw)
            }
        }
    }

    /// Refuses the events that are left: those of tickets that are not in the files.
    fn refuse_orphans(&mut self) -> Result<u64, String> {
        let mut orphaned = 0;
        while let Some(key) = self.spool.next_with_events("")? {
            let id = key.rsplit(BETWEEN).next().unwrap_or_default();
            for event in self.spool.take_events(&key, PIECE_ROWS_MAX, PIECE_BYTES_MAX)? {
                orphaned += 1;
                let message = format!("there is no ticket `{id}` in the files");
                let reason = [Reason::new("ticket", "NOT_FOUND", message)];
                let raw = self.spool.raw_event(event.id)?;
                self.refuse(self.rejected.len() - 1, event.line, Some(id), &reason, &raw)?;
            }
        }
        Ok(orphaned)
    }

    /// The events that go with a ticket now, as entries of its history, with their ids and lines.
    pub fn events_of(&self, key: &str) -> Result<(Vec<pb::HistoryImport>, EventIds), String> {
        let events = self.spool.take_events(key, PIECE_ROWS_MAX, PIECE_BYTES_MAX)?;
        let ids = events.iter().map(|event| (event.id, event.line)).collect();
        let decode = |entry: &[u8]| {
            pb::HistoryImport::decode(entry).map_err(|error| format!("an event is broken: {error}"))
        };
        let mut last = match events.first() {
            Some(first) => self.spool.event_before(key, first.id)?,
            None => None,
        };
        let mut entries = Vec::with_capacity(events.len());
        for event in &events {
            let mut entry = decode(&event.entry)?;
            if entry.from.is_none() {
                // What it was is what the event before it made of it.
                let before = last.as_deref().map(decode).transpose()?;
                entry.from = before.filter(|it| it.field == entry.field).and_then(|it| it.to);
            }
            last = Some(event.entry.clone());
            entries.push(entry);
        }
        Ok((entries, ids))
    }
}
