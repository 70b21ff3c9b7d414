//! KeyService: the lifecycle of keys, and the identity of a caller.
//!
//! What a caller may do to keys stands in `grants`. A change of a key is answered once every process
//! that accepts keys has applied it.

mod grants;
mod lifecycle;
mod messages;

use std::sync::Arc;

use rest::Violations;
use tonic::{Request, Response, Status};

use super::once::{Answer, kept_by_nobody, once, once_locking};
use super::pages;
use super::rate_limits::rate_limits;
use super::{accept, accept_public, accept_update, no_more};
use crate::auth::key::{KeyText, can_be_id};
use crate::auth::keyring::KeyRing;
use crate::auth::leaks::{Leaks, Reporter};
use crate::auth::scope::Scopes;
use crate::clock::{Clock, Timestamp};
use crate::error::Error;
use crate::event_type::EventType;
use crate::limits::Limiter;
use crate::pb;
use crate::resource::Resource;
use crate::store::{CursorError, CursorKey, KeyRecord, Position, Store, WorkspaceId};

use lifecycle::{admit, changed, changes, check_rotation, made, new_key, successor};
pub use lifecycle::{audit, cap_reached, created, revoke, revoke_leaked};

/// Answers for keys.
#[derive(Clone)]
pub struct Keys {
    /// The store.
    pub store: Store,
    /// The ring of keys, which every change is told to.
    pub ring: Arc<KeyRing>,
    /// The desk for leaked keys, which revokes them.
    pub leaks: Arc<Leaks>,
    /// The limiter, which knows what is left of the rate limits.
    pub limiter: Arc<Limiter>,
    /// Tells whether a key has expired.
    pub clock: Clock,
}

#[tonic::async_trait]
impl pb::key_service_server::KeyService for Keys {
    async fn get_self(
        &self,
        request: Request<pb::GetSelfRequest>,
    ) -> Result<Response<pb::GetSelfResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let caller = &accepted.caller;
        let mut key = self.shown(caller.workspace(), std::slice::from_ref(&caller.key)).await?;
        let mut key = key.remove(0);
        key.rate_limits = rate_limits(&self.limiter, &accepted.caller).await;
        Ok(Response::new(pb::GetSelfResponse { key: Some(key) }))
    }

    async fn list_accounts(
        &self,
        request: Request<pb::ListAccountsRequest>,
    ) -> Result<Response<pb::ListAccountsResponse>, Status> {
        let accepted = accept(request, no_more)?;
        // There is one account, so no page has handed out a cursor.
        let page = pages::asked(&accepted.message, |_| Err(CursorError::Malformed))?;
        let is_first = matches!(page.position, Position::Page(1) | Position::Start);
        let accounts =
            if is_first { vec![messages::account(&accepted.caller)] } else { Vec::new() };
        let total_count = matches!(page.position, Position::Page(_)).then_some(1);
        let meta = Some(pages::meta(&page, total_count, None));
        Ok(Response::new(pb::ListAccountsResponse { accounts, meta }))
    }

    async fn list_keys(
        &self,
        request: Request<pb::ListKeysRequest>,
    ) -> Result<Response<pb::ListKeysResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let workspace = accepted.caller.workspace();
        let mut statuses: Vec<_> =
            accepted.message.status.iter().filter_map(|number| messages::status(*number)).collect();
        statuses.sort_unstable_by_key(|status| *status as u8);
        statuses.dedup();
        let list = format!("{workspace:?} keys {statuses:?}");
        let page = pages::asked(&accepted.message, |text| CursorKey::decode_in(text, &list))?;
        let now = self.clock.now();
        let found = self.store.reader(workspace).list_keys(&statuses, now, &page).await?;
        let next = found.next.map(|next| next.encode_in(&list));
        let meta = Some(pages::meta(&page, found.total_count, next));
        let keys = self.shown(workspace, &found.rows).await?;
        Ok(Response::new(pb::ListKeysResponse { keys, meta }))
    }

    async fn get_key(
        &self,
        request: Request<pb::GetKeyRequest>,
    ) -> Result<Response<pb::GetKeyResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let reader = self.store.reader(accepted.caller.workspace());
        let key = reader
            .find_key(key_id(&accepted.message.id)?)
            .await?
            .ok_or_else(|| Resource::ApiKey.not_found())?;
        let mut key = self.shown(accepted.caller.workspace(), &[key]).await?;
        Ok(Response::new(pb::GetKeyResponse { key: key.pop() }))
    }

    async fn create_key(
        &self,
        request: Request<pb::CreateKeyRequest>,
    ) -> Result<Response<pb::CreateKeyResponse>, Status> {
        let now = self.clock.now();
        let accepted = accept(request, |message: &pb::CreateKeyRequest, violations| {
            check_scopes(&message.scopes, violations);
            check_expiry(message.expires_at, now, violations);
        })?;
        let text = KeyText::generate();
        let new = new_key(&accepted.caller, &accepted.message, &text)?;
        let answered = once(&self.store, &accepted, async |tx| {
            admit(tx).await?;
            tx.insert_key(new).await?;
            let made = made(tx, text.id()).await?;
            tx.record(created(&made, tx.now()));
            tx.audit(audit("api_key.create", &made.key_id, None, Some(&made), tx.now()));
            let key = Some(messages::revealed(&made, &text, tx.now()));
            Ok(pb::CreateKeyResponse { key })
        });
        let answer = answered.await?;
        // Every process accepts the key by the time it is shown.
        self.ring.settle().await;
        Ok(kept_by_nobody(answer))
    }

    async fn update_key(
        &self,
        request: Request<pb::UpdateKeyRequest>,
    ) -> Result<Response<pb::UpdateKeyResponse>, Status> {
        let now = self.clock.now();
        let (accepted, mask) =
            accept_update(request, |message: &pb::UpdateKeyRequest, violations| {
                check_scopes(&message.scopes, violations);
                check_expiry(message.expires_at, now, violations);
            })?;
        let caller = &accepted.caller;
        let changes = changes(&accepted.message, &mask)?;
        grants::may_change(caller, &changes)?;
        let answered = once_locking(&self.store, &accepted, async |locking| {
            let id = key_id(&accepted.message.id)?;
            let (before, mut tx) = locking.find_key_for_update(id, &accepted.precondition).await?;
            grants::within(caller, &before)?;
            grants::narrower(&before, &changes)?;
            tx.update_key(&before, &changes).await?;
            let after = made(&tx, &before.key_id).await?;
            if after != before {
                let id = &before.key_id;
                tx.record(changed(EventType::ApiKeyUpdated, &before, &after, tx.now()));
                tx.audit(audit("api_key.update", id, Some(&before), Some(&after), tx.now()));
            }
            let key = Some(messages::api_key(&after, tx.now()));
            Ok((pb::UpdateKeyResponse { key }, tx))
        });
        let answer = answered.await?;
        self.ring.settle().await;
        Ok(answer)
    }

    async fn revoke_key(
        &self,
        request: Request<pb::RevokeKeyRequest>,
    ) -> Result<Response<pb::RevokeKeyResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let answered = once_locking(&self.store, &accepted, async |locking| {
            let id = key_id(&accepted.message.id)?;
            let (before, mut tx) = locking.find_key_for_update(id, &accepted.precondition).await?;
            let key = messages::api_key(&revoke(&mut tx, before).await?, tx.now());
            Ok((pb::RevokeKeyResponse { key: Some(key) }, tx))
        });
        let answer = answered.await?;
        // Also where it was revoked before: whoever asked then may not have had an answer.
        self.ring.settle().await;
        Ok(answer)
    }

    async fn rotate_key(
        &self,
        request: Request<pb::RotateKeyRequest>,
    ) -> Result<Response<pb::RotateKeyResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let grace = i64::from(accepted.message.grace_period_seconds.unwrap_or_default()) * 1000;
        let text = KeyText::generate();
        let answered = once_locking(&self.store, &accepted, async |locking| {
            let id = key_id(&accepted.message.id)?;
            let (old, mut tx) = locking.find_key_for_update(id, &accepted.precondition).await?;
            grants::within(&accepted.caller, &old)?;
            check_rotation(&old, tx.now())?;
            let new = successor(&mut tx, &accepted.caller, &old, &text, grace).await?;
            let key = Some(messages::revealed(&new, &text, tx.now()));
            Ok((pb::RotateKeyResponse { key }, tx))
        });
        let answer = answered.await?;
        self.ring.settle().await;
        Ok(kept_by_nobody(answer))
    }

    async fn report_leak(
        &self,
        request: Request<pb::ReportLeakRequest>,
    ) -> Result<Response<pb::ReportLeakResponse>, Status> {
        let message = accept_public(request, no_more)?;
        // Whether it was a key is told to nobody but its workspace.
        self.leaks.report(&message.key, Reporter::LeakReport).await?;
        Ok(Response::new(pb::ReportLeakResponse { received: true }))
    }
}

impl Keys {
    /// The keys as the contract shows them, each with its last use.
    async fn shown(
        &self,
        workspace: WorkspaceId,
        keys: &[KeyRecord],
    ) -> Result<Vec<pb::ApiKey>, Error> {
        let ids: Vec<_> = keys.iter().map(|key| key.key_id.as_str()).collect();
        let uses = self.store.reader(workspace).find_key_uses(&ids).await?;
        let now = self.clock.now();
        let shown = keys
            .iter()
            .map(|key| messages::with_use(messages::api_key(key, now), uses.get(&key.key_id)));
        Ok(shown.collect())
    }
}

impl Answer for pb::CreateKeyResponse {
    fn forget_secrets(&mut self) {
        forget_key(&mut self.key);
    }
}

impl Answer for pb::RotateKeyResponse {
    fn forget_secrets(&mut self) {
        forget_key(&mut self.key);
    }
}

impl Answer for pb::UpdateKeyResponse {}
impl Answer for pb::RevokeKeyResponse {}

fn forget_key(key: &mut Option<pb::ApiKey>) {
    if let Some(key) = key {
        key.key = None;
    }
}

/// The id, if it can be one. What cannot is simply not found.
fn key_id(text: &str) -> Result<&str, Error> {
    if can_be_id(text) { Ok(text) } else { Err(Resource::ApiKey.not_found()) }
}

fn check_scopes(scopes: &[String], violations: &mut Violations) {
    for (at, name) in scopes.iter().enumerate() {
        if Scopes::named(name).is_none() {
            let field = format!("scopes[{at}]");
            let message = format!(
                "{field} is not a scope; use a native one such as tickets:read, or read-only, read-write, admin, ticket-index, create-ticket, ticket-respond, send-email"
            );
            violations.add(field, "INVALID_SCOPE", message);
        }
    }
}

fn check_expiry(
    expiry: Option<prost_types::Timestamp>,
    now: Timestamp,
    violations: &mut Violations,
) {
    if expiry.is_some_and(|expiry| Timestamp::from(expiry) <= now) {
        violations.add("expiresAt", "OUT_OF_RANGE", "expiresAt must be in the future");
    }
}
