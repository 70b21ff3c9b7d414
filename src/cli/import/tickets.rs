//! The first step: create each ticket, or find it where an earlier run left it.

use std::collections::HashMap;
use std::path::Path;

use tokio::task::JoinSet;
use tonic::Code;

use super::records::{self, TicketRecord};
use super::{Import, progress};
use crate::cli::client::patiently;
use crate::pb;

/// A ticket as the service has it before its changes are applied.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub id: i64,
    pub version: i64,
    pub status: pb::TicketStatus,
    /// Whether it was made by this run.
    pub created: bool,
}

/// What became of the tickets.
#[derive(Debug, Default)]
pub struct Outcome {
    /// By external id.
    pub tickets: HashMap<String, Loaded>,
    created: usize,
    found: usize,
    refused: Vec<String>,
    other_priority: usize,
}

impl Outcome {
    /// The figures, in words.
    pub fn report(&self) -> String {
        let mut report = format!(
            "tickets: {} created, {} found, {} refused; {} with another priority than in the file",
            self.created,
            self.found,
            self.refused.len(),
            self.other_priority
        );
        for sentence in self.refused.iter().take(5) {
            report += &format!("\n  refused: {sentence}");
        }
        report
    }
}

/// Creates or finds the ticket of every line.
pub async fn load(import: &Import, file: &Path) -> Result<Outcome, String> {
    let records: Vec<TicketRecord> = records::read(file)?;
    let bar = progress("tickets", records.len());
    let mut outcome = Outcome::default();
    let mut running = JoinSet::new();
    for record in records {
        let slot =
            import.slots.clone().acquire_owned().await.expect("the semaphore is never closed");
        let import = import.clone();
        running.spawn(async move {
            let one = load_one(&import, record).await;
            drop(slot);
            one
        });
        while let Some(done) = running.try_join_next() {
            outcome.count(done.map_err(|error| error.to_string())??);
            bar.inc(1);
        }
    }
    while let Some(done) = running.join_next().await {
        outcome.count(done.map_err(|error| error.to_string())??);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(outcome)
}

enum One {
    Created(Box<pb::Ticket>, Option<String>),
    Found(Box<pb::Ticket>, Option<String>),
    Refused(String),
}

impl Outcome {
    fn count(&mut self, one: One) {
        let (ticket, priority, created) = match one {
            One::Created(ticket, priority) => (ticket, priority, true),
            One::Found(ticket, priority) => (ticket, priority, false),
            One::Refused(sentence) => return self.refused.push(sentence),
        };
        self.created += usize::from(created);
        self.found += usize::from(!created);
        let named = |name: &String| pb::Priority::from_str_name(&format!("PRIORITY_{name}"));
        let same = priority.is_none_or(|name| named(&name) == Some(ticket.priority()));
        self.other_priority += usize::from(!same);
        let loaded =
            Loaded { id: ticket.id, version: ticket.version, status: ticket.status(), created };
        self.tickets.insert(ticket.external_id.unwrap_or_default(), loaded);
    }
}

async fn load_one(import: &Import, record: TicketRecord) -> Result<One, String> {
    let external_id = record.external_id.clone();
    let priority = record.priority.clone();
    let request = match request(import, record) {
        Ok(request) => request,
        Err(sentence) => return Ok(One::Refused(sentence)),
    };
    let created = patiently(|| {
        let (mut client, request) = (import.client.tickets(), request.clone());
        async move { client.create_ticket(request).await }
    });
    match created.await {
        Ok(answer) => {
            let ticket =
                answer.into_inner().ticket.ok_or("the service answered without a ticket")?;
            Ok(One::Created(Box::new(ticket), priority))
        }
        Err(status) if status.code() == Code::AlreadyExists => {
            let ticket = find(import, &external_id).await?;
            Ok(One::Found(Box::new(ticket), priority))
        }
        Err(status) if status.code() == Code::InvalidArgument => {
            Ok(One::Refused(format!("{external_id}: {}", status.message())))
        }
        Err(status) => Err(super::client::sentence(&status)),
    }
}

fn request(import: &Import, record: TicketRecord) -> Result<pb::CreateTicketRequest, String> {
    let unknown = |field: &str| format!("{}: unknown {field}", record.external_id);
    let kind = pb::TicketType::from_str_name(&format!("TICKET_TYPE_{}", record.kind));
    let category = record.category.as_deref().unwrap_or("OTHER");
    let category = pb::TicketCategory::from_str_name(&format!("TICKET_CATEGORY_{category}"));
    let impact = record.impact.as_ref().map(|name| {
        pb::Impact::from_str_name(&format!("IMPACT_{name}")).ok_or_else(|| unknown("impact"))
    });
    let urgency = record.urgency.as_ref().map(|name| {
        pb::Urgency::from_str_name(&format!("URGENCY_{name}")).ok_or_else(|| unknown("urgency"))
    });
    Ok(pb::CreateTicketRequest {
        r#type: kind.ok_or_else(|| unknown("type"))?.into(),
        category: category.ok_or_else(|| unknown("category"))?.into(),
        impact: impact.transpose()?.map(Into::into),
        urgency: urgency.transpose()?.map(Into::into),
        description: record.description.unwrap_or_else(|| record.title.clone()),
        title: record.title,
        external_source: Some(import.source.clone()),
        external_id: Some(record.external_id),
        ..Default::default()
    })
}

async fn find(import: &Import, external_id: &str) -> Result<pb::Ticket, String> {
    let request = pb::ListTicketsRequest {
        external_source: Some(import.source.clone()),
        external_id: Some(external_id.to_owned()),
        ..Default::default()
    };
    let listed = patiently(|| {
        let (mut client, request) = (import.client.tickets(), request.clone());
        async move { client.list_tickets(request).await }
    });
    let answer = listed.await;
    let answer = answer.map_err(|status| super::client::sentence(&status))?;
    let found = answer.into_inner().tickets.into_iter().next();
    found.ok_or_else(|| format!("{external_id} exists, but the list does not show it"))
}
