//! The message that the SMTP server gets: an e-mail as RFC 5322 writes it, with encoded headers
//! (RFC 2047).

use std::time::{Duration, SystemTime};

use lettre::Message;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};

use super::address;
use crate::store::emails::Email;

/// The header that keeps automatic responders from answering (RFC 3834).
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// The message of an e-mail of the workspace with this id, from `from`. The same e-mail has the same
/// Message-ID at every attempt; those of one ticket refer to the same one, which makes a thread of them.
/// An error says what of it no message can have.
pub fn message(email: &Email, workspace: &str, from: &Mailbox) -> Result<Message, String> {
    let domain = from.email.domain();
    let created = Duration::from_millis(email.created_at.0.max(0).unsigned_abs());
    let mut builder = Message::builder()
        .from(from.clone())
        .subject(email.subject.clone())
        .date(SystemTime::UNIX_EPOCH + created)
        .message_id(Some(format!("<email.{}.{workspace}@{domain}>", email.id)));
    for text in &email.recipients {
        builder = builder.to(mailbox(text)?);
    }
    for text in &email.copies {
        builder = builder.cc(mailbox(text)?);
    }
    if let Some(text) = &email.reply_to {
        builder = builder.reply_to(mailbox(text)?);
    }
    if let Some(ticket) = email.ticket_id {
        let thread = format!("<ticket.{ticket}.{workspace}@{domain}>");
        builder = builder.in_reply_to(thread.clone()).references(thread).header(AutoSubmitted);
    }
    let html =
        |html: &String| SinglePart::builder().header(ContentType::TEXT_HTML).body(html.clone());
    let built = match (&email.text_body, &email.html_body) {
        (Some(text), Some(rich)) => builder.multipart(
            MultiPart::alternative()
                .singlepart(SinglePart::plain(text.clone()))
                .singlepart(html(rich)),
        ),
        (None, Some(rich)) => builder.singlepart(html(rich)),
        (text, None) => builder.singlepart(SinglePart::plain(text.clone().unwrap_or_default())),
    };
    built.map_err(|error| format!("no message can be made of it: {error}"))
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    let address = address::parse(text).ok_or_else(|| format!("{text} is no address of e-mail"))?;
    Ok(Mailbox::new(None, address))
}
