//! The acceptance of requests by services: each is checked as a whole, and comes with its caller
//! and its claim.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message;
use rest::{Mask, PageParameters, Patch, Validate, Violations};
use sha2::{Digest, Sha256};

use crate::auth::caller::Caller;
use crate::config::{PAGED_ROWS_MAX, PER_PAGE_DEFAULT};
use crate::error::Error;
use crate::event::Origin;
use crate::held_bytes::Hold;
use crate::preconditions::{Precondition, Preconditions};
use crate::store::Claim;
use crate::store::nouns::{SEARCH_WORDS_MAX, searched_words};
use crate::trail::Trail;

/// A checked request, with its caller.
pub struct Accepted<M> {
    pub caller: Arc<Caller>,
    pub message: M,
    /// The violations of items that are judged one by one, by their index.
    pub items: BTreeMap<usize, Violations>,
    /// The trail of the request; none where the service calls itself, to load its demo.
    pub(super) trail: Option<Arc<Trail>>,
    /// The claim of the request, if it came with an idempotency key.
    pub claim: Option<Claim>,
    /// The versions of a resource for which it is meant.
    pub precondition: Precondition,
    /// Counts the memory of the message for as long as the service works on it.
    _memory: Option<Arc<Hold>>,
}

impl<M> Accepted<M> {
    /// Returns the origin of the change that is asked for: its actor and its request.
    pub fn origin(&self) -> Origin {
        Origin {
            actor: self.caller.actor(),
            request_id: self.trail.as_ref().map(|trail| trail.request_id().to_owned()),
            client_ip: self.trail.as_ref().map(|trail| trail.client.to_string()),
        }
    }
}

/// Checks the message by the rules of its `.proto` file and by `check`, and reports everything
/// that is wrong at once, together with what the gateway found while reading JSON.
pub fn accept<M: Validate + Message + Clone>(
    mut request: tonic::Request<M>,
    check: impl FnOnce(&M, &mut Violations),
) -> Result<Accepted<M>, Error> {
    let caller = request.extensions_mut().remove::<Arc<Caller>>();
    let trail = request.extensions_mut().remove::<Arc<Trail>>();
    let memory = request.extensions_mut().remove::<Arc<Hold>>();
    let preconditions = request.extensions().get::<Arc<Preconditions>>().cloned();
    let preconditions = preconditions.unwrap_or_default();
    let (message, items) = judge(request, check)?;
    let caller =
        caller.ok_or_else(|| Error::internal("an RPC that needs a caller was called without"))?;
    let claim =
        trail.as_ref().and_then(|trail| claim(trail, &caller, &message, &items, &preconditions));
    let precondition = Precondition::new(preconditions, message.version());
    Ok(Accepted { caller, message, items, trail, claim, precondition, _memory: memory })
}

/// Checks an update as [`accept`] does, and returns the fields that it names beside it.
pub fn accept_update<M: Validate + Patch + Message + Clone>(
    request: tonic::Request<M>,
    check: impl FnOnce(&M, &mut Violations),
) -> Result<(Accepted<M>, Mask), Error> {
    let mut mask = Mask::default();
    let accepted = accept(request, |message: &M, violations| {
        mask = message.mask(violations);
        check(message, violations);
    })?;
    Ok((accepted, mask))
}

/// Checks a message as [`accept`] does, for an RPC that anybody may call.
pub fn accept_public<M: Validate>(
    request: tonic::Request<M>,
    check: impl FnOnce(&M, &mut Violations),
) -> Result<M, Error> {
    judge(request, check).map(|(message, _)| message)
}

/// Checks the message, and returns it with the violations of its items; refuses it where there are
/// others.
fn judge<M: Validate>(
    mut request: tonic::Request<M>,
    check: impl FnOnce(&M, &mut Violations),
) -> Result<(M, BTreeMap<usize, Violations>), Error> {
    let mut violations = request.extensions_mut().remove::<Violations>().unwrap_or_default();
    if let Some(conditions) = request.extensions_mut().remove::<Arc<Preconditions>>() {
        violations.extend(&conditions.violations);
    }
    let message = request.into_inner();
    message.validate(&mut violations);
    if let Some(asked) = message.page_parameters() {
        check_page(asked, &mut violations);
        check_search(message.searched(), &mut violations);
    }
    check(&message, &mut violations);
    match violations.is_empty() {
        true => Ok((message, violations.take_items())),
        false => Err(Error::invalid(violations)),
    }
}

/// Refuses pages beyond the depth to which rows are counted off, and two places at once.
fn check_page(asked: PageParameters<'_>, violations: &mut Violations) {
    let page = i64::from(asked.page.unwrap_or(1));
    let per_page = asked.per_page.map_or(i64::from(PER_PAGE_DEFAULT), i64::from);
    if page.saturating_mul(per_page) > PAGED_ROWS_MAX {
        let remedy = "page × perPage must be at most 100,000; read on with cursor, from nextCursor of the page before";
        violations.add("page", "OUT_OF_RANGE", remedy);
    }
    if asked.page.is_some() && asked.cursor.is_some() {
        let remedy = "cursor cannot be combined with page: send one of them";
        violations.add("cursor", "INVALID_COMBINATION", remedy);
    }
}

/// Refuses a search for more words than are searched for.
fn check_search(text: Option<&str>, violations: &mut Violations) {
    if text.is_some_and(|text| searched_words(text).len() > SEARCH_WORDS_MAX) {
        let remedy = format!("q must have at most {SEARCH_WORDS_MAX} different words");
        violations.add("q", "TOO_MANY_WORDS", remedy);
    }
}

/// Checks nothing beyond the rules of the `.proto` file.
pub fn no_more<M>(_: &M, _: &mut Violations) {}

/// Returns the claim of a request, if it came with an idempotency key: a hash of its RPC, its
/// message, what its message cannot hold of items that are wrong, and its condition. Over which
/// protocol it came does not matter.
fn claim<M: Validate + Message + Clone>(
    trail: &Trail,
    caller: &Caller,
    message: &M,
    items: &BTreeMap<usize, Violations>,
    preconditions: &Preconditions,
) -> Option<Claim> {
    let (key, (rpc, _)) = (trail.idempotency_key.get()?, trail.rpc.get()?);
    let mut message = message.clone();
    message.normalize();
    let mut hash = Sha256::new();
    for part in [rpc.grpc_path.as_bytes(), &message.encode_to_vec()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    for (index, violations) in items {
        hash.update(index.to_be_bytes());
        for wrong in violations.as_slice() {
            hash.update(wrong.field.as_bytes());
            hash.update([0]);
        }
    }
    for line in &preconditions.lines {
        hash.update(line);
        hash.update([0]);
    }
    let fingerprint = hash.finalize().into();
    Some(Claim { lineage: caller.key.lineage.clone(), key: key.clone(), fingerprint })
}
