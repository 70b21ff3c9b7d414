//! The events of tickets, which become their history.

use prost::Message;
use serde_json::{Value, json};

use super::items::{BETWEEN, PIECE_BYTES_MAX, PIECE_ROWS_MAX, key, read};
use super::mapping::{Mapped, Reason};
use super::sending::EventIds;
use super::{Import, add_reasons, input};
use crate::pb;

impl Import {
    /// Takes a record of a file of events.
    pub fn take_event(
        &mut self,
        source: Option<&str>,
        is_replay: bool,
        record: input::Record,
    ) -> Result<(), String> {
        self.tally.events_read += 1;
        let (file, line) = (self.rejected.len() - 1, record.line);
        let Some((members, raw)) = self.members(file, record)? else { return Ok(()) };
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
        let entry = read.map(|mut item| item.history.pop().unwrap_or_default());
        let entry = entry.unwrap_or_else(|reasons| {
            let reasons = reasons.into_iter().map(|reason| Reason {
                field: reason.field.replace("history[0].", ""),
                message: reason.message.replace("history[0].", ""),
                ..reason
            });
            add_reasons(&mut wrong, reasons.collect());
            pb::HistoryImport::default()
        });
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
    pub fn refuse_orphans(&mut self) -> Result<u64, String> {
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
