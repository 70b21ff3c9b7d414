//! Idempotency: an answer is stored in the transaction of the effect that it tells of, so a crash
//! leaves both or neither, and the same request again finds it.
//!
//! Two at once run once. In one process they take turns at a gate; processes on PostgreSQL take
//! turns by an advisory lock that the transaction holds, on SQLite by the write lock. Whoever gets no
//! turn is told so. Should two get between each other all the same, the stored answer's own uniqueness
//! undoes the second effect.

use sea_orm::{DbBackend, DbErr, Statement};
use sha2::{Digest, Sha256};

use super::failure::{failed, is_lock_timeout};
use super::gate::Turn;
use super::row::Row;
use super::rows::RowSource;
use super::sql::statement;
use super::{Begun, Locking, Reader, Store, Tx, WorkspaceId};
use crate::clock::Timestamp;
use crate::config::{IDEMPOTENCY_KEPT, IDEMPOTENCY_WAIT};
use crate::error::{Error, Kind};
use crate::metrics::StoreOperation;

/// The claim of a request to its idempotency key, unique within the workspace and the lineage of
/// its API key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The lineage of rotations that the caller's key stands in.
    pub lineage: String,
    /// The `Idempotency-Key`.
    pub key: String,
    /// The SHA-256 of the RPC and the request.
    pub fingerprint: [u8; 32],
}

/// A stored answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotentAnswer {
    /// The fingerprint of the request that got it first.
    pub fingerprint: [u8; 32],
    /// True if it is a refusal.
    pub refused: bool,
    /// The response message, or the refusal, as the service encodes them.
    pub answer: Vec<u8>,
    /// The id of the request that got it first.
    pub request_id: String,
}

const FIND: &str = "SELECT fingerprint, refused, answer, request_id FROM idempotent_answers \
    WHERE workspace_id = $1 AND line = $2 AND idempotency_key = $3 AND created_at > $4";

/// The key for which requests with one idempotency key take turns.
pub(super) type GateKey = (WorkspaceId, String, String);

impl Store {
    /// Waits for the turn of a claim, for [`IDEMPOTENCY_WAIT`] at most, then it is
    /// IDEMPOTENCY_IN_PROGRESS.
    pub async fn wait_for_claim(
        &self,
        workspace: WorkspaceId,
        claim: &Claim,
    ) -> Result<Turn<GateKey>, Error> {
        let key = (workspace, claim.lineage.clone(), claim.key.clone());
        self.claims.turn(key, IDEMPOTENCY_WAIT).await.map_err(|_| in_progress())
    }

    /// Deletes at most `limit` answers that are too old, and returns how many there were.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn delete_old_answers(&self, now: Timestamp, limit: i64) -> Result<u64, Error> {
        let _timed = StoreOperation::begin("delete_old", "idempotency_keys");
        let text = "DELETE FROM idempotent_answers \
                    WHERE (workspace_id, line, idempotency_key) IN \
                    (SELECT workspace_id, line, idempotency_key FROM idempotent_answers \
                    WHERE created_at <= $1 LIMIT $2)";
        let values = [oldest_kept(now).into(), limit.into()];
        self.execute(statement(self.backend(), text, values)).await
    }
}

impl Reader<'_> {
    /// The answer that was stored for the claim's key, if it is not too old at `now`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_answer(
        &self,
        claim: &Claim,
        now: Timestamp,
    ) -> Result<Option<IdempotentAnswer>, Error> {
        let _timed = StoreOperation::begin("find", "idempotency_keys");
        let find = find_answer(self.backend(), FIND, self.workspace, claim, now);
        Ok(RowSource::Short(*self).read(find, decode).await?.into_iter().next())
    }
}

impl Locking<Begun> {
    /// Claims the key for this transaction, and returns what is stored for it already. Another
    /// process that is at it is waited for, for [`IDEMPOTENCY_WAIT`] at most.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn claim(&self, claim: &Claim) -> Result<Option<IdempotentAnswer>, Error> {
        let _timed = StoreOperation::begin("claim", "idempotency_keys");
        let backend = self.transaction.backend();
        if backend != DbBackend::Postgres {
            // Nobody else writes meanwhile, and so nobody else claims it.
            let find = find_answer(backend, FIND, self.workspace, claim, self.now);
            return self.transaction.read_one(find, decode).await;
        }
        let wait = IDEMPOTENCY_WAIT.as_millis().to_string();
        let text = "SELECT set_config('lock_timeout', $1, true), pg_advisory_xact_lock($2)";
        let values = [wait.into(), lock_number(self.workspace, claim).into()];
        let lock = statement(backend, text, values);
        self.transaction.execute(lock).await.map_err(in_progress_or_failed)?;
        // Other locks are waited for as long as a statement may take. A LEFT JOIN evaluates its left
        // side whether there is an answer or not.
        let text = "WITH unbounded AS MATERIALIZED (SELECT set_config('lock_timeout', '0', true)) \
                    SELECT a.fingerprint, a.refused, a.answer, a.request_id FROM unbounded \
                    LEFT JOIN idempotent_answers a ON a.workspace_id = $1 AND a.line = $2 \
                    AND a.idempotency_key = $3 AND a.created_at > $4";
        let find = find_answer(backend, text, self.workspace, claim, self.now);
        let found = self.transaction.read_one(find, |row| match row.get::<Option<Vec<u8>>>(0)? {
            Some(_) => decode(row).map(Some),
            None => Ok(None),
        });
        Ok(found.await?.flatten())
    }
}

impl Tx {
    /// Stores the answer to the claim. False when another process has stored one meanwhile: then
    /// this change must not commit.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn insert_answer(
        &mut self,
        claim: &Claim,
        refused: bool,
        answer: Vec<u8>,
    ) -> Result<bool, Error> {
        let _timed = StoreOperation::begin("insert", "idempotency_keys");
        // An answer that is too old counts as none.
        let text = "INSERT INTO idempotent_answers (workspace_id, line, idempotency_key, \
                    fingerprint, refused, answer, request_id, created_at) \
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
                    ON CONFLICT (workspace_id, line, idempotency_key) DO UPDATE SET \
                    fingerprint = excluded.fingerprint, refused = excluded.refused, \
                    answer = excluded.answer, request_id = excluded.request_id, \
                    created_at = excluded.created_at \
                    WHERE idempotent_answers.created_at <= $9";
        let values = [
            self.workspace.0.into(),
            claim.lineage.clone().into(),
            claim.key.clone().into(),
            claim.fingerprint.to_vec().into(),
            refused.into(),
            answer.into(),
            self.request_id().into(),
            self.now.0.into(),
            oldest_kept(self.now).into(),
        ];
        let insert = statement(self.transaction.backend(), text, values);
        Ok(self.transaction.execute(insert).await.map_err(failed)? > 0)
    }
}

/// Finds by `text` the answer to a claim that is not too old at `now`; see [`decode`].
fn find_answer(
    backend: DbBackend,
    text: &str,
    workspace: WorkspaceId,
    claim: &Claim,
    now: Timestamp,
) -> Statement {
    let (lineage, key) = (claim.lineage.clone(), claim.key.clone());
    let values = [workspace.0.into(), lineage.into(), key.into(), oldest_kept(now).into()];
    statement(backend, text, values)
}

fn decode(row: &Row<'_>) -> Result<IdempotentAnswer, Error> {
    let fingerprint: Vec<u8> = row.get(0)?;
    let fingerprint = fingerprint.try_into();
    let fingerprint =
        fingerprint.map_err(|_| Error::internal("a fingerprint of another length"))?;
    let (refused, answer, request_id) = (row.get(1)?, row.get(2)?, row.get(3)?);
    Ok(IdempotentAnswer { fingerprint, refused, answer, request_id })
}

fn oldest_kept(now: Timestamp) -> i64 {
    now.minus(IDEMPOTENCY_KEPT).0
}

/// A number for the lock of a claim. Two claims with one number only wait for each other.
fn lock_number(workspace: WorkspaceId, claim: &Claim) -> i64 {
    let text = format!("{} {} {}", workspace.0, claim.lineage, claim.key);
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
