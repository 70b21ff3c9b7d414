//! `orqit import tickets --replay`: tickets are created as if they were new, and the events of their status
//! are applied to them one after the other, by the rules that changes made here have. Nothing is brought of
//! their times, and people cannot be.

mod figures;

use prost::Message;
use prost_types::value::Kind as JsonKind;
use rest::Steps;
use tokio::task::JoinSet;
use tonic::Code;

use self::figures::Figures;
use super::Import;
use super::calls::{call, code, reasons};
use super::mapping::Reason;
use super::progress::Progress;
use super::sending::Outgoing;
use super::spool::WaitingEvent;
use crate::cli::client::{Client, sentence};
use crate::pb;

/// The most events of one ticket that are kept in memory; a ticket with more is refused.
const EVENTS_MAX: usize = 10_000;
const EVENTS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The result of replaying one ticket.
struct Replayed {
    outgoing: Outgoing,
    figures: Figures,
    /// The reasons why the ticket is refused, if it is.
    refused: Vec<Reason>,
    /// The events that were refused, with their lines.
    events: Vec<(i64, u64, Reason)>,
}

/// Creates the tickets that an import holds, or finds them, and applies their events.
pub async fn run(
    import: &mut Import,
    client: &Client,
    parallel: usize,
    progress: &Progress,
) -> (Figures, Result<(), String>) {
    let replay = Replay { client: client.clone(), progress: progress.clone() };
    let mut figures = Figures::default();
    let ended = replay_all(import, &replay, parallel, &mut figures).await;
    progress.end();
    (figures, ended)
}

async fn replay_all(
    import: &mut Import,
    replay: &Replay,
    parallel: usize,
    figures: &mut Figures,
) -> Result<(), String> {
    let mut running = JoinSet::new();
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let mut next =
        Next { stages: import.spool.stages()?.into_iter().rev().collect(), ..Next::default() };
    let mut stop = None;
    loop {
        while stop.is_none() && running.len() < parallel {
            match next.ticket(import) {
                Ok(Some((item, outgoing, events))) => {
                    running.spawn(replay.clone().one(item, outgoing, events));
                }
                Ok(None) => break,
                Err(sentence) => stop = Some(sentence),
            }
        }
        let done = tokio::select! {
            done = running.join_next() => done,
            _ = &mut interrupted, if stop.is_none() => {
                replay.progress.note("stopping: what is under way is finished first");
                stop = Some("interrupted: the same command goes on".to_owned());
                continue;
            }
        };
        let Some(done) = done else { break };
        let noted = match done.map_err(|error| error.to_string()).and_then(|one| one) {
            Ok(one) => note(import, one, figures),
            Err(sentence) => Err(sentence),
        };
        if let Err(sentence) = noted {
            stop.get_or_insert(sentence);
        }
        replay.progress.add(1);
    }
    stop.map_or(Ok(()), Err)
}

fn note(import: &mut Import, one: Replayed, figures: &mut Figures) -> Result<(), String> {
    let Outgoing { waiting, events, .. } = one.outgoing;
    let known_by = waiting.key.rsplit('\u{1f}').next().map(str::to_owned);
    let events_file = import.rejected.len() - 1;
    figures.add(one.figures);
    let refused = |(id, line, reason): (i64, u64, Reason)| (id, line, vec![reason]);
    let mut of_events: Vec<_> = one.events.into_iter().map(refused).collect();
    if !one.refused.is_empty() {
        if let Some(raw) = import.spool.refuse(&waiting)? {
            import.refuse(waiting.file, waiting.line, known_by.as_deref(), &one.refused, &raw)?;
        }
        of_events = events.iter().map(|(id, line)| (*id, *line, one.refused.clone())).collect();
    }
    for (id, line, reasons) in of_events {
        let raw = import.spool.raw_event(id)?;
        import.refuse(events_file, line, known_by.as_deref(), &reasons, &raw)?;
    }
    Ok(())
}

/// The state of the replay.
#[derive(Default)]
struct Next {
    stages: Vec<i64>,
    after: i64,
}

impl Next {
    fn ticket(
        &mut self,
        import: &Import,
    ) -> Result<Option<(pb::TicketImport, Outgoing, Vec<WaitingEvent>)>, String> {
        while let Some(stage) = self.stages.last() {
            let Some(waiting) = import.spool.next(*stage, self.after)? else {
                self.stages.pop();
                self.after = 0;
                continue;
            };
            self.after = waiting.id;
            let item = pb::TicketImport::decode(waiting.item.as_slice())
                .map_err(|error| format!("a record is broken: {error}"))?;
            let events = import.spool.take_events(&waiting.key, EVENTS_MAX, EVENTS_BYTES_MAX)?;
            let ids = events.iter().map(|event| (event.id, event.line)).collect();
            return Ok(Some((item, Outgoing { waiting, events: ids, is_bare: false }, events)));
        }
        Ok(None)
    }
}

#[derive(Clone)]
struct Replay {
    client: Client,
    progress: Progress,
}

/// A ticket as the service has it before its events are applied.
struct Loaded {
    id: i64,
    version: i64,
    status: pb::TicketStatus,
}

impl Replay {
    async fn one(
        self,
        item: pb::TicketImport,
        outgoing: Outgoing,
        events: Vec<WaitingEvent>,
    ) -> Result<Replayed, String> {
        let mut one = Replayed {
            outgoing,
            figures: Figures::default(),
            refused: Vec::new(),
            events: Vec::new(),
        };
        one.refused = not_replayed(&item);
        if one.refused.is_empty() {
            match self.load(&item, &mut one.figures).await? {
                Ok(ticket) => self.apply(ticket, &events, &mut one).await?,
                Err(reasons) => one.refused = reasons,
            }
        }
        Ok(one)
    }

    /// Creates the ticket, or finds it where an earlier run has left it.
    async fn load(
        &self,
        item: &pb::TicketImport,
        figures: &mut Figures,
    ) -> Result<Result<Loaded, Vec<Reason>>, String> {
        let request = new_ticket(item);
        let created = call(&self.progress, || {
            let (mut client, request) = (self.client.tickets(), request.clone());
            async move { client.create_ticket(request).await }
        });
        let ticket = match created.await {
            Ok(answer) => {
                figures.created += 1;
                answer.into_inner().ticket
            }
            Err(status) if status.code() == Code::AlreadyExists => {
                figures.found += 1;
                self.find(item).await?
            }
            Err(status) => return Ok(Err(reasons(&status)?)),
        };
        let ticket = ticket.ok_or("the service answered without a ticket")?;
        figures.other_priority +=
            usize::from(item.priority.is_some_and(|it| it != ticket.priority));
        let status = ticket.status();
        Ok(Ok(Loaded { id: ticket.id, version: ticket.version, status }))
    }

    async fn find(&self, item: &pb::TicketImport) -> Result<Option<pb::Ticket>, String> {
        let request = pb::ListTicketsRequest {
            external_source: Some(item.external_source.clone()),
            external_id: Some(item.external_id.clone()),
            ..Default::default()
        };
        let listed = call(&self.progress, || {
            let (mut client, request) = (self.client.tickets(), request.clone());
            async move { client.list_tickets(request).await }
        });
        let listed = listed.await.map_err(|status| sentence(&status))?;
        Ok(listed.into_inner().tickets.into_iter().next())
    }

    async fn apply(
        &self,
        ticket: Loaded,
        events: &[WaitingEvent],
        one: &mut Replayed,
    ) -> Result<(), String> {
        let statuses: Vec<_> = events.iter().map(status).collect();
        let skipped = applied_before(&statuses, ticket.version);
        one.figures.applied_before += skipped;
        let (mut version, mut end) = (ticket.version, ticket.status);
        for (event, status) in events.iter().zip(statuses).skip(skipped) {
            let request = pb::UpdateTicketRequest {
                id: ticket.id.to_string(),
                status: Some(status),
                ..Default::default()
            };
            let updated = call(&self.progress, || {
                let (mut client, request) = (self.client.tickets(), request.clone());
                async move { client.update_ticket(request).await }
            });
            match updated.await {
                Ok(answer) => {
                    let now = answer.into_inner().ticket;
                    let now = now.ok_or("the service answered without a ticket")?;
                    let changed = now.version > version;
                    one.figures.changed += usize::from(changed);
                    one.figures.unchanged += usize::from(!changed);
                    (version, end) = (now.version, now.status());
                }
                Err(refusal) => {
                    reasons(&refusal)?;
                    one.figures.refused += 1;
                    let reason = Reason::new("status", &code(&refusal), refusal.message());
                    one.events.push((event.id, event.line, reason));
                }
            }
        }
        if !events.is_empty() {
            one.figures.ends.insert(end.as_str_name(), 1);
        }
        Ok(())
    }
}

/// The number of the status to which an event moves its ticket; of none that there is, where it does not.
fn status(event: &WaitingEvent) -> i32 {
    let entry = pb::HistoryImport::decode(event.entry.as_slice()).unwrap_or_default();
    let name = match entry.to.and_then(|value| value.kind) {
        Some(JsonKind::StringValue(name)) if entry.field == "status" => name,
        _ => String::new(),
    };
    let status = pb::TicketStatus::from_str_name(&format!("TICKET_STATUS_{name}"));
    status.map_or(-1, Into::into)
}

/// Returns how many of the leading statuses an earlier run has applied to a ticket of this version:
/// all before the first that would make a further version.
fn applied_before(statuses: &[i32], version: i64) -> usize {
    if version == 1 {
        return 0;
    }
    let (mut at, mut now) = (1, pb::TicketStatus::Open.into());
    let next_change = statuses.iter().position(|to| {
        if !pb::TicketStatus::next(now).contains(to) {
            return false;
        }
        if at == version {
            return true;
        }
        now = *to;
        at += 1;
        false
    });
    next_change.unwrap_or(statuses.len())
}

/// Returns the fields of a ticket that cannot be set when it is created.
fn not_replayed(item: &pb::TicketImport) -> Vec<Reason> {
    let has = [
        ("requester", item.requester.is_some()),
        ("assignee", item.assignee.is_some()),
        ("watchers", !item.watchers.is_empty()),
        ("parent", item.parent.is_some()),
        ("assetTags", !item.asset_tags.is_empty()),
        ("categoryConfig", item.category_config.is_some()),
        ("resolution", item.resolution.is_some()),
        ("comments", !item.comments.is_empty()),
        ("history", !item.history.is_empty()),
    ];
    let has = has.into_iter().filter(|(_, is_there)| *is_there);
    has.map(|(field, _)| {
        let message = format!("{field} cannot be brought with --replay: leave it out, or --replay");
        Reason::new(field, "NOT_REPLAYED", message)
    })
    .collect()
}

/// The request that creates a ticket as it was at first.
fn new_ticket(item: &pb::TicketImport) -> pb::CreateTicketRequest {
    let item = item.clone();
    // Its priority follows from impact and urgency, and is compared.
    let follows = item.impact.is_some() && item.urgency.is_some();
    pb::CreateTicketRequest {
        title: item.title.unwrap_or_default(),
        description: item.description.unwrap_or_default(),
        r#type: item.r#type.unwrap_or_default(),
        category: item.category.unwrap_or_default(),
        priority: item.priority.filter(|_| !follows),
        impact: item.impact,
        urgency: item.urgency,
        tags: item.tags,
        due_at: item.due_at,
        source: item.source,
        external_source: Some(item.external_source),
        external_id: Some(item.external_id),
        custom_fields: item.custom_fields,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_broke_off_is_taken_up_where_it_stood() {
        use pb::TicketStatus::{Closed, InProgress, Open, Pending, Resolved};
        let states = [Open, InProgress, InProgress, Resolved, Pending, Closed].map(i32::from);
        let applied: Vec<_> = (1..=4).map(|version| applied_before(&states, version)).collect();
        assert_eq!(applied, [0, 3, 5, 6]);
    }
}
