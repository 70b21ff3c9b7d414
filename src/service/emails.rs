//! EmailService: the e-mails of a workspace.

use std::sync::Arc;

use rest::Violations;
use tonic::{Request, Response, Status};

use super::once::{Answer, once};
use super::{accept, changes, next_milli, no_more, pages};
use crate::auth::caller::Caller;
use crate::dispatch::Settle;
use crate::email::address;
use crate::error::Error;
use crate::event::Actor;
use crate::event_type::EventType;
use crate::pb;
use crate::store::emails::{Email, EmailStatus, STATUS};
use crate::store::nouns::Condition;
use crate::store::webhooks::Outcome;
use crate::store::{Store, Tx, WorkspaceId};

/// The most bytes of a text.
const TEXT_BYTES_MAX: usize = 256 * 1024;

/// The outbox, into which e-mails are put to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Outbox {
    /// True if an SMTP server is configured; without one e-mails are held.
    pub has_server: bool,
}

/// An e-mail that is to be sent.
#[derive(Debug, Clone, Default)]
pub struct NewEmail {
    pub to: Vec<String>,
    pub cc: Vec<String>,
    pub subject: String,
    pub text: Option<String>,
    pub html: Option<String>,
    pub reply_to: Option<String>,
    /// The ticket that it tells of.
    pub ticket_id: Option<i64>,
}

impl Outbox {
    /// Returns the outbox for notices of a ticket; none where the caller's workspace does not want
    /// them.
    pub fn of_notices(self, caller: &Caller) -> Option<Self> {
        caller.key.workspace.notify_by_email.then_some(self)
    }

    /// Puts an e-mail, which is sent once the change has committed.
    pub async fn put(self, tx: &mut Tx, new: NewEmail) -> Result<Email, Error> {
        let status = if self.has_server { EmailStatus::Queued } else { EmailStatus::Held };
        let now = tx.now();
        let email = Email {
            id: 0,
            recipients: new.to,
            copies: new.cc,
            subject: new.subject,
            text_body: new.text,
            html_body: new.html,
            reply_to: new.reply_to,
            status,
            attempt_count: 0,
            last_error: None,
            response: None,
            ticket_id: new.ticket_id,
            sent_at: None,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        tx.send_email(email).await
    }
}

/// Answers for e-mails.
#[derive(Clone)]
pub struct Emails {
    /// The store.
    pub store: Store,
    /// The outbox for new e-mails.
    pub outbox: Outbox,
}

#[tonic::async_trait]
impl pb::email_service_server::EmailService for Emails {
    async fn list_emails(
        &self,
        request: Request<pb::ListEmailsRequest>,
    ) -> Result<Response<pb::ListEmailsResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let message = &accepted.message;
        let conditions = [
            Condition::dimension(&STATUS, message.status.iter().copied()),
            Condition::numbers("ticket_id", &message.ticket_id),
            Condition::since("created_at", message.created_after.map(next_milli)),
            Condition::before("created_at", message.created_before.map(next_milli)),
        ];
        let list = pages::query::<Email>(None, None, conditions);
        let listed = pages::list(&self.store, &accepted, &list, shown).await?;
        let (emails, meta) = (listed.messages, Some(listed.meta));
        Ok(Response::new(pb::ListEmailsResponse { emails, meta }))
    }

    async fn get_email(
        &self,
        request: Request<pb::GetEmailRequest>,
    ) -> Result<Response<pb::GetEmailResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let reader = self.store.reader(accepted.caller.workspace());
        let email = Some(shown(reader.find_named(&accepted.message.id).await?));
        Ok(Response::new(pb::GetEmailResponse { email }))
    }

    async fn send_email(
        &self,
        request: Request<pb::SendEmailRequest>,
    ) -> Result<Response<pb::SendEmailResponse>, Status> {
        let accepted = accept(request, check)?;
        let answered = once(&self.store, &accepted, async |tx| {
            let message = accepted.message.clone();
            let new = NewEmail {
                to: message.to,
                cc: message.cc,
                subject: message.subject,
                text: message.text,
                html: message.html,
                reply_to: message.reply_to,
                ticket_id: None,
            };
            let email = Some(shown(self.outbox.put(tx, new).await?));
            Ok(pb::SendEmailResponse { email })
        });
        Ok(answered.await?)
    }
}

impl Answer for pb::SendEmailResponse {}

/// The rules of an e-mail that no single field can tell.
fn check(message: &pb::SendEmailRequest, violations: &mut Violations) {
    for (field, texts) in [("to", &message.to), ("cc", &message.cc)] {
        for (place, text) in texts.iter().enumerate() {
            check_address(&format!("{field}[{place}]"), text, violations);
        }
    }
    if let Some(text) = &message.reply_to {
        check_address("replyTo", text, violations);
    }
    if message.text.is_none() && message.html.is_none() {
        let remedy = "text is required, or html, or both";
        violations.add("text", "REQUIRED", remedy);
    }
    for (field, text) in [("text", &message.text), ("html", &message.html)] {
        check_text(field, text.as_deref().unwrap_or_default(), violations);
    }
}

/// Refuses a text that has more bytes than an e-mail may.
pub fn check_text(field: &str, text: &str, violations: &mut Violations) {
    // What has too many characters is refused already.
    if text.len() > TEXT_BYTES_MAX && text.chars().count() <= TEXT_BYTES_MAX {
        let remedy = format!("{field} must have at most 262,144 bytes");
        violations.add(field, "TOO_LONG", &remedy);
    }
}

/// Refuses what is no address of e-mail.
pub fn check_address(field: &str, text: &str, violations: &mut Violations) {
    if address::parse(text).is_none() {
        let remedy = format!("{field} must be an address such as ana@example.com, without a name");
        violations.add(field, "INVALID_EMAIL", &remedy);
    }
}

/// An e-mail as the contract shows it.
pub fn shown(email: Email) -> pb::Email {
    pb::Email {
        id: email.id,
        to: email.recipients,
        cc: email.copies,
        subject: email.subject,
        text: email.text_body,
        html: email.html_body,
        reply_to: email.reply_to,
        status: email.status.as_i16().into(),
        attempt_count: email.attempt_count,
        last_error: email.last_error,
        server_response: email.response,
        ticket_id: email.ticket_id,
        created_at: Some(email.created_at.into()),
        sent_at: email.sent_at.map(Into::into),
    }
}

/// Makes the function that records the outcome of an e-mail and tells of its end.
pub fn settle(store: &Store) -> Settle {
    let store = store.clone();
    Arc::new(move |outcome| {
        let store = store.clone();
        Box::pin(async move { settle_one(&store, outcome).await })
    })
}

async fn settle_one(store: &Store, outcome: Outcome) -> Result<bool, Error> {
    let (workspace, id): (WorkspaceId, i64) = (outcome.endpoint.0, -outcome.delivery);
    let Some(attempt) = &outcome.attempt else { return Ok(true) };
    let actor = Actor::system("emails", "E-mail delivery");
    let locking = store.begin_locking(workspace, actor).await?;
    let (found, locking) = locking.find_all_for_update::<Email>(&[id]).await?;
    let before = found.into_iter().next();
    let before = before.ok_or_else(|| Error::internal("a delivery of no e-mail"))?;
    let mut tx = locking.done();
    if !tx.settle_delivery(&outcome).await? {
        return Ok(false);
    }
    let mut after = Email { attempt_count: outcome.number, ..before.clone() };
    if attempt.status_code.is_some() {
        after.response = Some(attempt.response_body.clone());
    }
    let told = match (outcome.is_success, outcome.next_at) {
        (true, _) => {
            after.status = EmailStatus::Sent;
            after.last_error = None;
            after.sent_at = Some(tx.now());
            Some(EventType::EmailSent)
        }
        (false, next_at) => {
            let lost = "whoever sent it did not finish, five times";
            let cause = attempt.response_body.as_str();
            after.last_error = Some(if cause.is_empty() { lost } else { cause }.to_owned());
            let is_over = next_at.is_none();
            after.status = if is_over { EmailStatus::Failed } else { EmailStatus::Queued };
            is_over.then_some(EventType::EmailFailed)
        }
    };
    let after = tx.update(&before, after).await?;
    if let Some(event_type) = told {
        tx.record(changes::changed(event_type, &shown(before), &shown(after), []));
    }
    tx.commit().await?;
    Ok(true)
}
