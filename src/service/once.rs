//! A change is made once for each idempotency key, however often it is asked for.
//!
//! The answer is stored in the transaction of the change; the same request again gets it back, and
//! another request under the same key is refused. Refusals that stay true are stored too, each on
//! its own: nothing else of their change lasts. What is stored holds no secret.

use std::borrow::Cow;

use prost::Message;
use rest::{Validate, Violations};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tonic::Response;
use tonic::metadata::MetadataValue;

use super::Accepted;
use crate::caller::Caller;
use crate::error::{Error, Kind, Transition};
use crate::preconditions::Preconditions;
use crate::store::{Claim, IdempotentAnswer, Store, Tx};
use crate::trail::Trail;

const REPLAYED: &str = "idempotent-replayed";

/// An answer to a change.
pub trait Answer: Message + Default + Clone {
    /// Takes out what may be told only once.
    fn forget_secrets(&mut self) {}
}

/// What a request is known by, if it came with an idempotency key: its RPC, its message, and its
/// condition. Over which protocol it came does not matter.
pub fn claim<M: Validate + Message + Clone>(
    trail: &Trail,
    caller: &Caller,
    message: &M,
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
    for line in &preconditions.lines {
        hash.update(line);
        hash.update([0]);
    }
    let fingerprint = hash.finalize().into();
    Some(Claim { line: caller.key.lineage.clone(), key: key.clone(), fingerprint })
}

/// Makes a change: what `work` does commits together with its answer, once.
pub async fn once<M, R: Answer>(
    store: &Store,
    accepted: &Accepted<M>,
    work: impl AsyncFnOnce(&mut Tx) -> Result<R, Error>,
) -> Result<Response<R>, Error> {
    let workspace = accepted.caller.workspace();
    let Some(claim) = &accepted.claim else {
        let mut tx = store.begin(workspace, accepted.origin()).await?;
        let answer = work(&mut tx).await?;
        tx.commit().await?;
        return Ok(Response::new(answer));
    };
    let _turn = store.turn(workspace, claim).await?;
    let mut tx = store.begin(workspace, accepted.origin()).await?;
    if let Some(stored) = tx.claim(claim).await? {
        return replay(claim, &stored);
    }
    match work(&mut tx).await {
        Ok(answer) => {
            let mut told = answer.clone();
            told.forget_secrets();
            if tx.insert_answer(claim, false, told.encode_to_vec()).await? {
                tx.commit().await?;
                return Ok(Response::new(answer));
            }
            drop(tx);
        }
        Err(error) => {
            drop(tx);
            let Some(refusal) = StoredRefusal::of(&error) else { return Err(error) };
            let mut tx = store.begin(workspace, accepted.origin()).await?;
            let refusal = serde_json::to_vec(&refusal).map_err(Error::internal)?;
            if tx.insert_answer(claim, true, refusal).await? {
                tx.commit().await?;
                return Err(error);
            }
            drop(tx);
        }
    }
    // Another process was quicker: what it did is what this request asked for, or another one.
    let stored = store.reader(workspace).find_answer(claim, store.now()).await?;
    replay(claim, &stored.ok_or_else(|| Error::internal("a stored answer is gone"))?)
}

fn replay<R: Answer>(claim: &Claim, stored: &IdempotentAnswer) -> Result<Response<R>, Error> {
    if stored.fingerprint != claim.fingerprint {
        let message = "This Idempotency-Key was used for another request. Use a new key for each request that is not a retry.";
        return Err(Error::new(Kind::IdempotencyKeyConflict, message));
    }
    if stored.refused {
        let refusal: StoredRefusal =
            serde_json::from_slice(&stored.answer).map_err(Error::internal)?;
        return Err(refusal.into_error(&stored.request_id)?);
    }
    let mut response = Response::new(R::decode(stored.answer.as_slice()).map_err(Error::internal)?);
    response.metadata_mut().insert(REPLAYED, MetadataValue::from_static("true"));
    Ok(response)
}

/// A refusal as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredRefusal {
    code: String,
    message: String,
    /// Fields with what is wrong with them, where they name what is not there.
    references: Vec<(String, String)>,
    /// From where to where a status could not go, and where it could have gone.
    transition: Option<(String, String, Vec<String>)>,
}

impl StoredRefusal {
    /// Refusals that stay true: what is not there, is taken, has moved on or may not move. Any
    /// other one may be granted when it is tried again.
    fn of(error: &Error) -> Option<Self> {
        let transition = match &error.kind {
            Kind::TicketNotFound
            | Kind::ApiKeyNotFound
            | Kind::VersionConflict
            | Kind::AlreadyExists
            | Kind::InvalidReference => None,
            Kind::InvalidStatusTransition(step) => {
                let allowed = step.allowed.iter().map(|status| status.to_string()).collect();
                Some((step.from.to_string(), step.to.to_string(), allowed))
            }
            _ => return None,
        };
        let references = error.details.iter();
        let references = references.map(|wrong| (wrong.field.clone(), wrong.message.clone()));
        Some(Self {
            code: error.code().to_owned(),
            message: error.message.clone(),
            references: references.collect(),
            transition,
        })
    }

    fn into_error(self, request_id: &str) -> Result<Error, Error> {
        let kind = match (self.code.as_str(), self.transition) {
            ("TICKET_NOT_FOUND", _) => Kind::TicketNotFound,
            ("API_KEY_NOT_FOUND", _) => Kind::ApiKeyNotFound,
            ("VERSION_CONFLICT", _) => Kind::VersionConflict,
            ("ALREADY_EXISTS", _) => Kind::AlreadyExists,
            ("INVALID_REFERENCE", _) => Kind::InvalidReference,
            ("INVALID_STATUS_TRANSITION", Some((from, to, allowed))) => {
                let allowed = allowed.into_iter().map(Cow::Owned).collect();
                let step = Transition { from: from.into(), to: to.into(), allowed };
                Kind::InvalidStatusTransition(Box::new(step))
            }
            (code, _) => {
                return Err(Error::internal(format!("a stored refusal has the code {code}")));
            }
        };
        let mut violations = Violations::default();
        for (field, message) in self.references {
            violations.add(field, "INVALID_REFERENCE", message);
        }
        Ok(Error {
            details: violations.as_slice().to_vec(),
            replay_of: Some(request_id.to_owned()),
            ..Error::new(kind, self.message)
        })
    }
}
