//! The dispatcher of everything that leaves the service on its own: events become deliveries to
//! webhook endpoints, e-mails are deliveries from the start, and both are claimed, sent, retried
//! and recorded the same way.
//!
//! `dispatcher` runs all of it, beside the server, and `attempts` makes each attempt; `slots` says who may
//! be sent to now, `outcome` what follows from an attempt. How something is sent is
//! [`crate::webhooks`]'s and [`crate::email`]'s business.

mod attempts;
mod dispatcher;
mod event_deliveries;
mod outcome;
mod slots;

use std::pin::Pin;
use std::sync::Arc;

use crate::email;
use crate::error::Error;
use crate::store::webhooks::{DisabledReason, EndpointKey, Outcome};

pub use dispatcher::Dispatcher;
pub use event_deliveries::{EventDeliveries, context};

/// A function that disables an endpoint.
pub type Disable = Box<
    dyn Fn(EndpointKey, DisabledReason) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>
        + Send
        + Sync,
>;

/// A function that records the outcome of an e-mail and tells of it; it returns whether the claim
/// still counted.
pub type Settle =
    Arc<dyn Fn(Outcome) -> Pin<Box<dyn Future<Output = Result<bool, Error>> + Send>> + Send + Sync>;

/// The sending of e-mails.
pub struct EmailDeliveries {
    /// Sends one.
    pub sender: email::Sender,
    /// The function that records an outcome.
    pub settle: Settle,
}
