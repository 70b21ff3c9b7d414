//! KeyService: who a key is, and which workspace it opens.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::pages::Asked;
use super::rate_limits::rate_limits;
use super::{accept, no_more};
use crate::caller::Caller;
use crate::clock::{Clock, Timestamp};
use crate::config::PER_PAGE_DEFAULT;
use crate::limits::Limiter;
use crate::pb;

/// Answers for keys. What it tells is in the caller already: it reads nothing.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Tells whether a key has expired.
    pub clock: Clock,
    /// Tells what is left of the rate limits.
    pub limiter: Arc<Limiter>,
}

#[tonic::async_trait]
impl pb::key_service_server::KeyService for Keys {
    async fn get_self(
        &self,
        request: Request<pb::GetSelfRequest>,
    ) -> Result<Response<pb::GetSelfResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let mut key = api_key(&accepted.caller, self.clock.now());
        key.rate_limits = rate_limits(&self.limiter, &accepted.caller).await;
        Ok(Response::new(pb::GetSelfResponse { key: Some(key) }))
    }

    async fn list_accounts(
        &self,
        request: Request<pb::ListAccountsRequest>,
    ) -> Result<Response<pb::ListAccountsResponse>, Status> {
        let accepted = accept(request, |message: &pb::ListAccountsRequest, violations| {
            Asked { page: message.page, per_page: message.per_page, cursor: None }
                .check(violations);
        })?;
        let page = accepted.message.page.unwrap_or(1);
        let per_page = accepted.message.per_page.unwrap_or(PER_PAGE_DEFAULT as i32);
        let accounts = if page == 1 { vec![account(&accepted.caller)] } else { Vec::new() };
        let meta = pb::PageMeta {
            page: Some(page),
            per_page,
            total_count: 1,
            has_more: false,
            next_cursor: None,
        };
        Ok(Response::new(pb::ListAccountsResponse { accounts, meta: Some(meta) }))
    }

    async fn list_keys(
        &self,
        _: Request<pb::ListKeysRequest>,
    ) -> Result<Response<pb::ListKeysResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_key(
        &self,
        _: Request<pb::GetKeyRequest>,
    ) -> Result<Response<pb::GetKeyResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn create_key(
        &self,
        _: Request<pb::CreateKeyRequest>,
    ) -> Result<Response<pb::CreateKeyResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn update_key(
        &self,
        _: Request<pb::UpdateKeyRequest>,
    ) -> Result<Response<pb::UpdateKeyResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn revoke_key(
        &self,
        _: Request<pb::RevokeKeyRequest>,
    ) -> Result<Response<pb::RevokeKeyResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn rotate_key(
        &self,
        _: Request<pb::RotateKeyRequest>,
    ) -> Result<Response<pb::RotateKeyResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn report_leak(
        &self,
        _: Request<pb::ReportLeakRequest>,
    ) -> Result<Response<pb::ReportLeakResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

fn account(caller: &Caller) -> pb::Account {
    let workspace = &caller.key.workspace;
    pb::Account {
        id: workspace.public_id.clone(),
        slug: workspace.slug.clone(),
        name: workspace.name.clone(),
        created_at: Some(workspace.created_at.into()),
    }
}

fn api_key(caller: &Caller, now: Timestamp) -> pb::ApiKey {
    let key = &caller.key;
    let status = if key.revoked_at.is_some() {
        pb::ApiKeyStatus::Revoked
    } else if caller.is_expired(now) {
        pb::ApiKeyStatus::Expired
    } else {
        pb::ApiKeyStatus::Active
    };
    pb::ApiKey {
        id: key.key_id.clone(),
        name: key.name.clone(),
        description: key.description.clone(),
        scopes: key.scopes.clone(),
        requested_scopes: key.requested_scopes.clone(),
        limits: Some(pb::ApiKeyLimits {
            per_minute: key.per_minute,
            group_per_minute: key.group_per_minute,
        }),
        expires_at: key.expires_at.map(Into::into),
        status: status.into(),
        created_at: Some(key.created_at.into()),
        created_by: key.created_by,
        last_four: key.last_four.clone(),
        workspace_id: key.workspace.public_id.clone(),
        ..pb::ApiKey::default()
    }
}
