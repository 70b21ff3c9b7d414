//! Idempotency: an answer is stored in the transaction of the effect that it tells of, so a crash
//! leaves both or neither, and the same request again finds it.
//!
//! Two at once run once. In one process they take turns at a gate; processes on PostgreSQL take
//! turns by an advisory lock that the transaction holds. Whoever gets no turn is told so. On SQLite
//! another process could get between; then the stored answer's own uniqueness undoes the second
//! effect.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use sea_orm::{ConnectionTrait, DbBackend, DbErr, EntityTrait, Set, TryInsertResult};
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::entity::idempotent_answer;
use super::failure::{failed, is_lock_timeout};
use super::sql::statement;
use super::{Reader, Store, Tx, WorkspaceId};
use crate::clock::Timestamp;
use crate::config::{IDEMPOTENCY_KEPT, IDEMPOTENCY_WAIT};
use crate::error::{Error, Kind};

/// What a request is known by: unique within the workspace and the line of rotations of its key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The line of rotations that the caller's key stands in.
    pub line: String,
    /// The `Idempotency-Key`.
    pub key: String,
    /// SHA-256 of the RPC and the request.
    pub fingerprint: [u8; 32],
}

/// A stored answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotentAnswer {
    /// Of the request that got it first.
    pub fingerprint: [u8; 32],
    /// Whether it is a refusal.
    pub refused: bool,
    /// The response message, or the refusal, as the service encodes them.
    pub answer: Vec<u8>,
    /// The id of the request that got it first.
    pub request_id: String,
}

type GateKey = (WorkspaceId, String, String);

/// Where requests with one idempotency key take turns.
#[derive(Debug, Default)]
pub(super) struct Gate {
    busy: std::sync::Mutex<HashMap<GateKey, Arc<Mutex<()>>>>,
}

/// A turn: until it is dropped, nobody else in this process works on the same idempotency key.
#[derive(Debug)]
pub struct Turn {
    gate: Arc<Gate>,
    key: GateKey,
    turn: Option<OwnedMutexGuard<()>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turn = None;
        let mut busy = self.gate.busy.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody else holds it: neither works nor waits.
        if busy.get(&self.key).is_some_and(|turns| Arc::strong_count(turns) == 1) {
            busy.remove(&self.key);
        }
    }
}

impl Store {
    /// Waits for the turn of a claim, for [`IDEMPOTENCY_WAIT`] at most, then it is
    /// IDEMPOTENCY_IN_PROGRESS.
    pub async fn turn(&self, workspace: WorkspaceId, claim: &Claim) -> Result<Turn, Error> {
        let key = (workspace, claim.line.clone(), claim.key.clone());
        let turns = {
            let mut busy = self.gate.busy.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(busy.entry(key.clone()).or_default())
        };
        // Made before waiting, so that who gives up cleans up too.
        let mut turn = Turn { gate: Arc::clone(&self.gate), key, turn: None };
        let waited = tokio::time::timeout(IDEMPOTENCY_WAIT, turns.lock_owned()).await;
        turn.turn = Some(waited.map_err(|_| in_progress())?);
        Ok(turn)
    }

    /// Deletes at most `limit` answers that are too old, and answers how many there were.
    pub async fn delete_old_answers(&self, now: Timestamp, limit: i64) -> Result<u64, Error> {
        let text = "DELETE FROM idempotent_answers \
                    WHERE (workspace_id, line, idempotency_key) IN \
                    (SELECT workspace_id, line, idempotency_key FROM idempotent_answers \
                    WHERE created_at <= $1 LIMIT $2)";
        let values = [oldest_kept(now).into(), limit.into()];
        let statement = statement(&self.writes, text, values);
        Ok(self.writes.execute_raw(statement).await.map_err(failed)?.rows_affected())
    }
}

impl Reader<'_> {
    /// The answer that was stored for the claim's key, if it is not too old at `now`.
    pub async fn find_answer(
        &self,
        claim: &Claim,
        now: Timestamp,
    ) -> Result<Option<IdempotentAnswer>, Error> {
        find_answer(self.connection, self.workspace, claim, now).await
    }
}

impl Tx {
    /// Claims the key for this transaction, and answers what is stored for it already. Another
    /// process that is at it is waited for, for [`IDEMPOTENCY_WAIT`] at most.
    pub async fn claim(&mut self, claim: &Claim) -> Result<Option<IdempotentAnswer>, Error> {
        if self.transaction.get_database_backend() != DbBackend::Postgres {
            return Ok(None);
        }
        let wait = IDEMPOTENCY_WAIT.as_millis().to_string();
        let text = "SELECT set_config('lock_timeout', $1, true), pg_advisory_xact_lock($2)";
        let values = [wait.into(), lock_number(self.workspace, claim).into()];
        let locked = self.transaction.query_one_raw(statement(&self.transaction, text, values));
        locked.await.map_err(in_progress_or_failed)?;
        let text = "SELECT set_config('lock_timeout', '0', true)";
        let unbounded = statement(&self.transaction, text, []);
        self.transaction.query_one_raw(unbounded).await.map_err(failed)?;
        find_answer(&self.transaction, self.workspace, claim, self.now).await
    }

    /// Stores the answer to the claim. False when another process has stored one meanwhile: then
    /// this change must not commit.
    pub async fn insert_answer(
        &mut self,
        claim: &Claim,
        refused: bool,
        answer: Vec<u8>,
    ) -> Result<bool, Error> {
        let text = "DELETE FROM idempotent_answers WHERE workspace_id = $1 AND line = $2 \
                    AND idempotency_key = $3 AND created_at <= $4";
        let values = [
            self.workspace.0.into(),
            claim.line.clone().into(),
            claim.key.clone().into(),
            oldest_kept(self.now).into(),
        ];
        let outdated = statement(&self.transaction, text, values);
        self.transaction.execute_raw(outdated).await.map_err(failed)?;
        let row = idempotent_answer::ActiveModel {
            workspace_id: Set(self.workspace.0),
            line: Set(claim.line.clone()),
            idempotency_key: Set(claim.key.clone()),
            fingerprint: Set(claim.fingerprint.to_vec()),
            refused: Set(refused),
            answer: Set(answer),
            request_id: Set(self.request_id().to_owned()),
            created_at: Set(self.now.0),
        };
        let insert = idempotent_answer::Entity::insert(row)
            .on_conflict_do_nothing()
            .exec_without_returning(&self.transaction);
        match insert.await.map_err(failed)? {
            TryInsertResult::Inserted(rows) => Ok(rows > 0),
            TryInsertResult::Conflicted | TryInsertResult::Empty => Ok(false),
        }
    }
}

async fn find_answer(
    connection: &impl ConnectionTrait,
    workspace: WorkspaceId,
    claim: &Claim,
    now: Timestamp,
) -> Result<Option<IdempotentAnswer>, Error> {
    let key = (workspace.0, claim.line.clone(), claim.key.clone());
    let row = idempotent_answer::Entity::find_by_id(key).one(connection).await.map_err(failed)?;
    let Some(row) = row.filter(|row| row.created_at > oldest_kept(now)) else { return Ok(None) };
    let fingerprint = row.fingerprint.try_into();
    let fingerprint =
        fingerprint.map_err(|_| Error::internal("a fingerprint of another length"))?;
    let (refused, answer, request_id) = (row.refused, row.answer, row.request_id);
    Ok(Some(IdempotentAnswer { fingerprint, refused, answer, request_id }))
}

fn oldest_kept(now: Timestamp) -> i64 {
    now.plus_millis(-(IDEMPOTENCY_KEPT.as_millis() as i64)).0
}

/// A number for the lock of a claim. Two claims with one number only wait for each other.
fn lock_number(workspace: WorkspaceId, claim: &Claim) -> i64 {
    let text = format!("{} {} {}", workspace.0, claim.line, claim.key);
    let digest = Sha256::digest(text);
    let (head, _) = digest.split_first_chunk::<8>().expect("SHA-256 has 32 bytes");
    i64::from_be_bytes(*head)
}

fn in_progress() -> Error {
    let message =
        "The first request with this Idempotency-Key is not done yet. Retry after 1 second.";
    Error::new(Kind::IdempotencyInProgress, message)
}

fn in_progress_or_failed(error: DbErr) -> Error {
    if is_lock_timeout(&error) { in_progress() } else { failed(error) }
}
