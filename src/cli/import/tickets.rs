//! `orqit import tickets`: by ImportTickets, a hundred at a time, each with the events of its history.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use prost::Message;
use serde_json::{Map, Value};

use super::batches::Batches;
use super::items::{in_pieces, key, read};
use super::mapping::Reason;
use super::progress::Progress;
use super::rejected::Rejected;
use super::{Import, ImportArgs, ItemToSend, Kind, input, nothing_sent, replay};
use crate::cli::client;
use crate::pb;

/// The number of tickets that are replayed at a time for each call of an import, because each makes
/// a call of its own.
const REPLAYED_BESIDE: usize = 4;
/// The arguments of an import of tickets.
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
    #[arg(long)]
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

/// The records of tickets.
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

    fn check(&self, mut item: Map<String, Value>) -> Result<Vec<ItemToSend>, Vec<Reason>> {
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
        let piece = |item: pb::TicketImport, adds: bool| ItemToSend {
            key: key.clone(),
            parent: parent.clone().filter(|_| !adds),
            adds,
            item: item.encode_to_vec(),
        };
        let pieces = in_pieces(item).into_iter().enumerate();
        Ok(pieces.map(|(at, item)| piece(item, adds || at > 0)).collect())
    }
}
