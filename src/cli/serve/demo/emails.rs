//! An e-mail to one of the people, which waits for an SMTP server. Its address leads nowhere, should there be
//! one.

use std::sync::Arc;

use super::{by, refused};
use crate::auth::caller::Caller;
use crate::error::Error;
use crate::pb;
use crate::pb::email_service_server::EmailService;
use crate::service::emails::{Emails, Outbox};
use crate::store::Store;

/// Loads the e-mail.
pub async fn load(store: &Store, caller: &Arc<Caller>) -> Result<(), Error> {
    let emails = Emails { store: store.clone(), outbox: Outbox { has_server: false } };
    let new = pb::SendEmailRequest {
        to: vec!["amara.diallo@default.example".to_owned()],
        subject: "Your new laptop".to_owned(),
        text: Some("It is ready at the desk. Bring the old one with you.".to_owned()),
        ..pb::SendEmailRequest::default()
    };
    emails.send_email(by(caller, new)).await.map_err(refused)?;
    Ok(())
}
