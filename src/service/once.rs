//! A change is made once for each idempotency key, however often it is asked for.
//!
//! The answer is stored in the transaction of the change; the same request again gets it back, and
//! another request under the same key is refused. Refusals that stay true are stored too, each on
//! its own: nothing else of their change lasts. What is stored holds no secret.

use std::borrow::Cow;

use prost::Message;
use rest::Violations;
use serde::{Deserialize, Serialize};
use tonic::Response;
use tonic::metadata::MetadataValue;

use super::accept::Accepted;
use crate::error::{Error, Kind, Transition};
use crate::resource::Resource;
use crate::store::nouns::Noun;
use crate::store::{Begun, Claim, IdempotentAnswer, Locking, Store, Tx};

const REPLAYED: &str = "idempotent-replayed";

/// An answer to a change.
pub trait Answer: Message + Default + Clone {
    /// Takes out what may be told only once.
    fn forget_secrets(&mut self) {}
}

/// Makes a change that locks nothing before: what `work` does commits together with its answer, once.
pub async fn once<M, R: Answer>(
    store: &Store,
    accepted: &Accepted<M>,
    work: impl AsyncFnOnce(&mut Tx) -> Result<R, Error>,
) -> Result<Response<R>, Error> {
    let work = async |locking: Locking<Begun>| {
        let mut tx = locking.done();
        let answer = work(&mut tx).await?;
        Ok((answer, tx))
    };
    once_locking(store, accepted, work).await
}

/// Makes a change of one row, as [`once`] does: `work` gets the row, locked, at a version that the request
/// is meant for. `name` is what the path names it by: its id, or its alternate key where it has one.
pub async fn once_on<M, N: Noun, R: Answer>(
    store: &Store,
    accepted: &Accepted<M>,
    name: &str,
    work: impl AsyncFnOnce(&mut Tx, N) -> Result<R, Error>,
) -> Result<Response<R>, Error> {
    let work = async |locking: Locking<Begun>| {
        let (row, locking) = locking.find_for_update::<N>(name, &accepted.precondition).await?;
        let mut tx = locking.done();
        let answer = work(&mut tx, row).await?;
        Ok((answer, tx))
    };
    once_locking(store, accepted, work).await
}

/// Makes a change, as [`once`] does, that takes its locks itself, and hands back what is to be committed.
pub async fn once_locking<M, R: Answer>(
    store: &Store,
    accepted: &Accepted<M>,
    work: impl AsyncFnOnce(Locking<Begun>) -> Result<(R, Tx), Error>,
) -> Result<Response<R>, Error> {
    let workspace = accepted.caller.workspace();
    let Some(claim) = &accepted.claim else {
        let locking = store.begin_locking(workspace, accepted.origin()).await?;
        let (answer, tx) = work(locking).await?;
        tx.commit().await?;
        return Ok(Response::new(answer));
    };
    let _turn = store.wait_for_claim(workspace, claim).await?;
    let locking = store.begin_locking(workspace, accepted.origin()).await?;
    if let Some(stored) = locking.claim(claim).await? {
        return replay(claim, &stored);
    }
    match work(locking).await {
        Ok((answer, mut tx)) => {
            let mut told = answer.clone();
            told.forget_secrets();
            if tx.insert_answer(claim, false, told.encode_to_vec()).await? {
                tx.commit().await?;
                return Ok(Response::new(answer));
            }
        }
        Err(error) => {
            let Some(refusal) = StoredRefusal::of(&error) else { return Err(error) };
            let mut tx = store.begin(workspace, accepted.origin()).await?;
            let refusal = serde_json::to_vec(&refusal).map_err(Error::internal)?;
            if tx.insert_answer(claim, true, refusal).await? {
                tx.commit().await?;
                return Err(error);
            }
        }
    }
    // Another process was quicker: what it did is what this request asked for, or another one.
    let stored = store.reader(workspace).find_answer(claim, store.now()).await?;
    replay(claim, &stored.ok_or_else(|| Error::internal("a stored answer is gone"))?)
}

/// An answer that shows a secret: no cache on the way may keep it.
pub fn kept_by_nobody<R>(mut answer: Response<R>) -> Response<R> {
    answer.metadata_mut().insert("cache-control", MetadataValue::from_static("no-store"));
    answer
}

fn replay<R: Answer>(claim: &Claim, stored: &IdempotentAnswer) -> Result<Response<R>, Error> {
    if stored.fingerprint != claim.fingerprint {
        let message = "This Idempotency-Key was used for another request. Use a new key for each request that is not a retry.";
        return Err(Error::new(Kind::IdempotencyKeyConflict, message));
    }
    if stored.refused {
        let refusal: StoredRefusal =
            serde_json::from_slice(&stored.answer).map_err(Error::internal)?;
        return Err(refusal.into_error(&stored.request_id));
    }
    let mut response = Response::new(R::decode(stored.answer.as_slice()).map_err(Error::internal)?);
    response.metadata_mut().insert(REPLAYED, MetadataValue::from_static("true"));
    Ok(response)
}

/// A refusal as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredRefusal {
    kind: StoredKind,
    message: String,
    /// The fields that name nothing in the workspace, with their violations.
    references: Vec<(String, String)>,
}

/// The kinds of refusals that stay true: what is not there, is taken, has moved on or may not move.
/// Any other one may be granted when it is tried again.
#[derive(Serialize, Deserialize)]
enum StoredKind {
    NotFound(Resource),
    InvalidReference,
    VersionConflict,
    AlreadyExists,
    SystemUser,
    ResourceLimitReached,
    ProjectClosed,
    /// The status in which nobody can have it.
    AssetNotAssignable(String),
    /// The status, the refused one, and those that would have been allowed.
    InvalidStatusTransition(String, String, Vec<String>),
}

impl StoredKind {
    fn of(kind: &Kind) -> Option<Self> {
        Some(match kind {
            Kind::NotFound(resource) => Self::NotFound(*resource),
            Kind::InvalidReference => Self::InvalidReference,
            Kind::VersionConflict => Self::VersionConflict,
            Kind::AlreadyExists => Self::AlreadyExists,
            Kind::SystemUser => Self::SystemUser,
            Kind::ResourceLimitReached => Self::ResourceLimitReached,
            Kind::ProjectClosed => Self::ProjectClosed,
            Kind::AssetNotAssignable { status } => Self::AssetNotAssignable(status.to_string()),
            Kind::InvalidStatusTransition(step) => {
                let allowed = step.allowed.iter().map(|status| status.to_string()).collect();
                Self::InvalidStatusTransition(step.from.to_string(), step.to.to_string(), allowed)
            }
            // No wildcard: whoever adds a kind says here whether it stays true.
            Kind::MissingApiKey
            | Kind::InvalidApiKey
            | Kind::ApiKeyExpired
            | Kind::AmbiguousCredentials
            | Kind::InsufficientScope { .. }
            | Kind::FeatureNotEnabled
            | Kind::ValidationFailed
            | Kind::MalformedJson
            | Kind::UnknownField
            | Kind::ApiKeyLimitReached
            | Kind::RouteNotFound
            | Kind::MethodNotAllowed { .. }
            | Kind::IdempotencyKeyRequired
            | Kind::InvalidIdempotencyKey
            | Kind::IdempotencyKeyConflict
            | Kind::IdempotencyInProgress
            | Kind::RateLimitExceeded { .. }
            | Kind::ApiKeyCreationLimited { .. }
            | Kind::TooManyFailedAttempts { .. }
            | Kind::PayloadTooLarge
            | Kind::PageTooLarge
            | Kind::UnsupportedMediaType
            | Kind::UnsupportedCoding
            | Kind::RequestTimeout
            | Kind::DeadlineExceeded
            | Kind::ServiceUnavailable { .. }
            | Kind::TooManyStreams
            | Kind::BatchAborted
            | Kind::EventsExpired { .. }
            | Kind::WebhookUrlForbidden
            | Kind::WebhookDisabled
            | Kind::Internal => return None,
        })
    }

    fn into_kind(self) -> Kind {
        match self {
            Self::NotFound(resource) => Kind::NotFound(resource),
            Self::InvalidReference => Kind::InvalidReference,
            Self::VersionConflict => Kind::VersionConflict,
            Self::AlreadyExists => Kind::AlreadyExists,
            Self::SystemUser => Kind::SystemUser,
            Self::ResourceLimitReached => Kind::ResourceLimitReached,
            Self::ProjectClosed => Kind::ProjectClosed,
            Self::AssetNotAssignable(status) => Kind::AssetNotAssignable { status: status.into() },
            Self::InvalidStatusTransition(from, to, allowed) => {
                let allowed = allowed.into_iter().map(Cow::Owned).collect();
                let step = Transition { from: from.into(), to: to.into(), allowed };
                Kind::InvalidStatusTransition(Box::new(step))
            }
        }
    }
}

impl StoredRefusal {
    fn of(error: &Error) -> Option<Self> {
        let kind = StoredKind::of(&error.kind)?;
        let references = error.details.iter();
        let references = references.map(|wrong| (wrong.field.clone(), wrong.message.clone()));
        Some(Self { kind, message: error.message.clone(), references: references.collect() })
    }

    fn into_error(self, request_id: &str) -> Error {
        let mut violations = Violations::default();
        for (field, message) in self.references {
            violations.add(field, "INVALID_REFERENCE", message);
        }
        Error {
            details: violations.as_slice().to_vec(),
            replay_of: Some(request_id.to_owned()),
            ..Error::new(self.kind.into_kind(), self.message)
        }
    }
}
