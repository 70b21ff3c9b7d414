//! The part of an item's past that its ticket has already.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::pb;
use crate::store::Tx;
use crate::store::tickets::Ticket;

/// The comments and the entries of history that a ticket has already, by their ids elsewhere.
#[derive(Default)]
pub struct Known {
    pub comments: BTreeSet<String>,
    pub history: BTreeSet<String>,
}

impl Known {
    /// Finds those of an item that a ticket, which was `before` or is new, has already.
    pub async fn find(
        tx: &Tx,
        item: &pb::TicketImport,
        before: Option<&Ticket>,
    ) -> Result<Self, Error> {
        let Some(before) = before else { return Ok(Self::default()) };
        let said: Vec<_> = item.comments.iter().map(|it| it.external_id.clone()).collect();
        let changed: Vec<_> = item.history.iter().map(|it| it.external_id.clone()).collect();
        Ok(Self {
            comments: tx.known_comments(before.id, &said).await?,
            history: tx.known_history::<Ticket>(before.id, &changed).await?,
        })
    }
}
