//! The e-mails of a workspace. Each is sent by a delivery that was made with it.

use super::entity::email;
use super::nouns::{
    CREATED_AT, Dimension, NarrowFilter, Noun, Table, Texts, UPDATED_AT, noun_head, noun_row,
};
use super::row::Row;
use super::sql::statement;
use super::stored_enum::stored_enum;
use super::wakes::EndpointKey;
use super::webhooks::MAIL;
use super::{Store, Tx, WorkspaceId};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::Actor;
use crate::resource::Resource;

stored_enum! {
    /// The status of an e-mail; numbered as the contract numbers it.
    EmailStatus {
        /// An attempt is to come.
        Queued = 1,
        /// The SMTP server has taken it.
        Sent = 2,
        /// No attempt is left.
        Failed = 3,
        /// No SMTP server is configured.
        Held = 4,
    }
}

/// The status of e-mails, as a dimension of their list.
pub static STATUS: Dimension = Dimension { name: "status", shift: 0, bits: 7 };

static EMAILS: Table = Table {
    name: "emails",
    resource: Resource::Email,
    noun: 10,
    has_history: false,
    dimensions: &[&STATUS],
    orders: &[&CREATED_AT, &UPDATED_AT],
    alternate_key: None,
    narrows: &[NarrowFilter::of(&["ticket_id"], "emails_ticket_id_created_at_id_idx")],
    sides: &[],
    search: None,
    texts: Texts::unmade(),
};

/// An e-mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// The id: 1, 2, 3 … within the workspace; 0 before it has one.
    pub id: i64,
    /// The addresses of the recipients.
    pub recipients: Vec<String>,
    /// The addresses that get a copy.
    pub copies: Vec<String>,
    /// The subject, one line.
    pub subject: String,
    /// The text, as plain text.
    pub text_body: Option<String>,
    /// The text, as HTML.
    pub html_body: Option<String>,
    /// The address for answers.
    pub reply_to: Option<String>,
    /// The status.
    pub status: EmailStatus,
    /// The number of attempts.
    pub attempt_count: i32,
    /// The reason why the last attempt failed.
    pub last_error: Option<String>,
    /// The last answer of the SMTP server.
    pub response: Option<String>,
    /// The ticket that it tells of.
    pub ticket_id: Option<i64>,
    /// The time at which the server took it.
    pub sent_at: Option<Timestamp>,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The version: 1 when made, one more with every change.
    pub version: i64,
}

impl Noun for Email {
    type Entity = email::Entity;

    fn table() -> &'static Table {
        &EMAILS
    }

    noun_row! {
        email {
            id, recipients, copies, subject, text_body, html_body, reply_to, status, attempt_count,
            last_error, response, ticket_id, sent_at, created_at, updated_at, version,
        }
        |row| {
            facet: row.facet(),
        }
    }

    noun_head!();

    fn facet(&self) -> i16 {
        STATUS.pack(self.status.as_i16())
    }

    fn bytes(&self) -> usize {
        let bodies = [&self.text_body, &self.html_body];
        self.subject.len() + bodies.into_iter().flatten().map(String::len).sum::<usize>()
    }
}

impl Tx {
    /// Makes an e-mail, and the delivery that sends it.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn send_email(&mut self, new: Email) -> Result<Email, Error> {
        let email = self.insert(new).await?;
        self.deliver_email(email.id).await?;
        Ok(email)
    }
}

/// The most e-mails that are deleted in one change.
const DELETED_MAX: i64 = 100;

impl Store {
    /// Deletes e-mails from before `before` that were sent or could not be, a few of them, and returns how
    /// many.
    pub async fn delete_old_emails(
        &self,
        workspace: WorkspaceId,
        before: Timestamp,
    ) -> Result<u64, Error> {
        // By the index of the facet, which is the status.
        let oldest = "SELECT id FROM emails WHERE workspace_id = $1 AND facet = $2 AND created_at < $3 \
                      ORDER BY created_at, id LIMIT $4";
        let mut deleted = 0;
        for status in [EmailStatus::Sent, EmailStatus::Failed] {
            let facet = STATUS.pack(status.as_i16());
            let values = [workspace.0.into(), facet.into(), before.0.into(), DELETED_MAX.into()];
            let select = statement(self.backend(), oldest, values);
            let ids = self.read_everywhere(select, |row: &Row<'_>| row.get::<i64>(0)).await?;
            if ids.is_empty() {
                continue;
            }
            let actor = Actor::system("retention", "Retention");
            let locking = self.begin_locking(workspace, actor).await?;
            let (emails, locking) = locking.find_all_for_update::<Email>(&ids).await?;
            let mut tx = locking.done();
            for email in emails {
                tx.delete(&email).await?;
                deleted += 1;
            }
            tx.commit().await?;
        }
        Ok(deleted)
    }

    /// The workspaces that have e-mail to be sent until `horizon`, each with the time from which on.
    pub async fn due_emails(
        &self,
        horizon: Timestamp,
        most: usize,
    ) -> Result<Vec<(EndpointKey, Timestamp)>, Error> {
        let text = "SELECT workspace_id, MIN(due_at) FROM (SELECT workspace_id, due_at FROM deliveries \
                    WHERE endpoint_id = 0 AND due_at IS NOT NULL AND due_at <= $1 \
                    ORDER BY due_at LIMIT $2) AS due GROUP BY workspace_id";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let select = statement(self.backend(), text, [horizon.0.into(), most.into()]);
        let read = |row: &Row<'_>| Ok(((WorkspaceId(row.get(0)?), MAIL), Timestamp(row.get(1)?)));
        self.read_everywhere(select, read).await
    }
}
