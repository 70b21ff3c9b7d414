//! An attempt to send an e-mail: a connection to the SMTP server, and the handing over of one
//! message.

use std::error::Error as StdError;

use lettre::message::Mailbox;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::response::Response;
use tokio::time::Instant;

use super::message::message;
use super::server::Server;
use crate::attempt::{Sent, kept_text};
use crate::clock::Timestamp;
use crate::config::EMAIL_SENT_WITHIN;
use crate::store::emails::Email;
use crate::store::webhooks::{AttemptError, SentAttempt};

/// The sender of due e-mails. Each e-mail has a connection of its own: one that breaks off in the
/// middle leaves nothing behind.
#[derive(Clone)]
pub struct Sender {
    server: Server,
    from: Mailbox,
}

/// The reason why an e-mail was not accepted.
struct Failure {
    error: Option<AttemptError>,
    code: Option<i32>,
    text: String,
    is_final: bool,
}

impl Sender {
    pub(super) fn new(server: Server, from: Mailbox) -> Self {
        Self { server, from }
    }

    /// Makes an attempt, which begins at `started_at`. `workspace` is the id of the e-mail's workspace
    /// outside. The attempt's body is what the server answered, or why it did not.
    pub async fn send(&self, email: &Email, workspace: &str, started_at: Timestamp) -> Sent {
        let began = Instant::now();
        let handed_over = tokio::time::timeout(EMAIL_SENT_WITHIN, self.hand_over(email, workspace));
        let handed_over = handed_over.await.unwrap_or_else(|_| {
            Err(Failure {
                error: Some(AttemptError::Timeout),
                code: None,
                text: format!("no answer within {} seconds", EMAIL_SENT_WITHIN.as_secs()),
                is_final: false,
            })
        });
        let duration_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        let (is_success, failure) = match handed_over {
            Ok(answer) => (true, answered(&answer)),
            Err(failure) => (false, failure),
        };
        let attempt = SentAttempt {
            started_at,
            duration_ms,
            status_code: failure.code,
            error: failure.error,
            response_headers: "{}".to_owned(),
            response_body: kept_text(failure.text.as_bytes()),
        };
        Sent { attempt, is_success, is_final: failure.is_final, retry_after: None }
    }

    async fn hand_over(&self, email: &Email, workspace: &str) -> Result<Response, Failure> {
        let message = message(email, workspace, &self.from).map_err(|text| Failure {
            error: None,
            code: None,
            text,
            is_final: true,
        })?;
        // Who does not let us in says nothing of the e-mail: that may be mended.
        let connected = self.server.connect(self.from.email.domain()).await;
        let mut connection =
            connected.map_err(|error| Failure { is_final: false, ..failure(&error) })?;
        let answer = connection.send(message.envelope(), &message.formatted()).await;
        let answer = answer.map_err(|error| failure(&error))?;
        // It has the e-mail, whatever it says to that.
        let _ = connection.quit().await;
        Ok(answer)
    }
}

/// Returns the server's answer as the record of a failure.
fn answered(answer: &Response) -> Failure {
    let code = answer.code();
    let text: Vec<_> = answer.message().collect();
    let text = format!("{code} {}", text.join(" "));
    Failure { error: None, code: text[..3].parse().ok(), text, is_final: false }
}

fn failure(error: &Error) -> Failure {
    let code = error.status().and_then(|code| code.to_string().parse().ok());
    // What this side refuses, such as letters that the server does not take, stays refused.
    let is_final = error.is_permanent() || error.is_client();
    let kind = match code {
        Some(_) => None,
        None if error.is_timeout() => Some(AttemptError::Timeout),
        None if error.is_tls() => Some(AttemptError::Tls),
        None if error.is_client() => None,
        None => Some(AttemptError::Connect),
    };
    Failure { error: kind, code, text: told(error), is_final }
}

/// An error with its causes, of which lettre's own text has the first already.
fn told(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(it) = cause {
        let more = it.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = it.source();
    }
    text
}
