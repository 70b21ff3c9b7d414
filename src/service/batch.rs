//! Batches: what they spend, and what is answered for each item.

use std::collections::BTreeMap;

use rest::Violations;

use super::accept::Accepted;
use super::tickets::messages::ticket_number;
use crate::auth::caller::Caller;
use crate::error::{Error, Kind};
use crate::limits::Limiter;
use crate::pb;
use crate::store::Tx;

/// The result of the ticket of an item.
pub struct Done {
    pub id: i64,
    pub version: i64,
    pub outcome: pb::BatchOutcome,
}

/// Refuses more items than the limits of the key ever admit at once.
pub fn check_size(caller: &Caller, items: usize) -> Result<(), Error> {
    let limits = caller.limits();
    let all = [limits.per_minute, limits.group_per_minute].into_iter().filter(|limit| *limit > 0);
    match all.min().filter(|limit| items > *limit as usize) {
        None => Ok(()),
        Some(limit) => {
            let message = format!(
                "items must have at most {limit} items: the key may make {limit} requests a minute, and each item counts as one"
            );
            Err(Error::invalid_field("items", "TOO_MANY_ITEMS", message))
        }
    }
}

/// Spends a request for each item but the first, for which the call itself was admitted; refuses where the
/// limits of the key do not admit them all.
pub async fn spend<M>(
    limiter: Option<&Limiter>,
    accepted: &Accepted<M>,
    items: usize,
) -> Result<(), Error> {
    let more = u32::try_from(items).unwrap_or(u32::MAX).saturating_sub(1);
    let (Some(limiter), Some(trail)) = (limiter.filter(|_| more > 0), &accepted.trail) else {
        return Ok(());
    };
    let group = trail.rpc.get().and_then(|(rpc, _)| rpc.policy?.group);
    let caller = &accepted.caller;
    let Some(standing) = limiter.spend(caller.limits(), group, more).await else { return Ok(()) };
    trail.set_standing(standing);
    match standing.admitted {
        true => Ok(()),
        false => Err(standing.refusal(more, &caller.key.key_id)),
    }
}

/// The results of a batch in the making.
#[derive(Default)]
pub struct Results(Vec<pb::ItemResult>);

impl Results {
    /// Takes the result of the next item. A failure on our side is the whole batch's.
    pub fn push(&mut self, done: Result<Done, Error>) -> Result<(), Error> {
        self.0.push(match done {
            Ok(Done { id, version, outcome }) => pb::ItemResult {
                status: if outcome == pb::BatchOutcome::Created { 201 } else { 200 },
                data: Some(pb::ItemTicket {
                    id,
                    ticket_number: ticket_number(id),
                    version,
                    outcome: outcome.into(),
                }),
                error: None,
            },
            Err(error) if error.kind.table().1.is_server_error() => return Err(error),
            Err(error) => refused(error),
        });
        Ok(())
    }

    /// Returns true if no item was refused.
    fn are_well(&self) -> bool {
        self.0.iter().all(|result| result.error.is_none())
    }

    /// Refuses the items that were well themselves.
    fn abort(&mut self) {
        let message = "Another item of the batch was refused, and the batch is atomic: nothing was done. Mend that item and send the batch again.";
        for result in self.0.iter_mut().filter(|result| result.error.is_none()) {
            *result = refused(Error::new(Kind::BatchAborted, message));
        }
    }
}

/// Does the items of a batch; where it is atomic, nothing of them lasts unless all are well.
pub async fn all(
    tx: &mut Tx,
    is_atomic: bool,
    items: impl AsyncFnOnce(&mut Tx, &mut Results) -> Result<(), Error>,
) -> Result<Vec<pb::ItemResult>, Error> {
    let mut results = Results::default();
    let savepoint = tx.savepoint().await?;
    items(tx, &mut results).await?;
    if is_atomic && !results.are_well() {
        tx.roll_back_to(savepoint).await?;
        results.abort();
    } else {
        tx.release(savepoint).await?;
    }
    Ok(results.0)
}

/// Refuses the item at this index if it has violations.
pub fn judge(items: &BTreeMap<usize, Violations>, index: usize) -> Result<(), Error> {
    match items.get(&index) {
        None => Ok(()),
        Some(violations) => Err(Error::invalid(violations.clone())),
    }
}

fn refused(error: Error) -> pb::ItemResult {
    let details = error.details.iter().map(|wrong| pb::ItemErrorDetail {
        field: wrong.field.clone(),
        code: wrong.code.to_owned(),
        message: wrong.message.clone(),
    });
    let details = details.collect();
    let (code, status, _) = error.kind.table();
    let error = pb::ItemError { code: code.to_owned(), message: error.message, details };
    pb::ItemResult { status: status.as_u16().into(), data: None, error: Some(error) }
}
