//! WorkspaceService: the settings of the caller's workspace.

use std::sync::Arc;

use rest::Mask;
use tonic::{Request, Response, Status};

use super::once::{Answer, once_locking};
use super::{accept, accept_update, changes, no_more, object, users};
use crate::auth::keyring::KeyRing;
use crate::error::Error;
use crate::event_type::EventType;
use crate::pb;
use crate::store::{NewAuditLog, Store, Tx, User, Workspace, WorkspaceChanges};

/// Answers for the workspace.
#[derive(Clone)]
pub struct Workspaces {
    /// The store.
    pub store: Store,
    /// The ring of keys, which every change is told to: callers hold their workspace's settings.
    pub ring: Arc<KeyRing>,
}

#[tonic::async_trait]
impl pb::workspace_service_server::WorkspaceService for Workspaces {
    async fn get_workspace(
        &self,
        request: Request<pb::GetWorkspaceRequest>,
    ) -> Result<Response<pb::GetWorkspaceResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let found = self.store.reader(accepted.caller.workspace()).find_workspace().await?;
        let found = found.ok_or_else(|| Error::internal("a caller without a workspace"))?;
        Ok(Response::new(pb::GetWorkspaceResponse { workspace: Some(message(&found)) }))
    }

    async fn update_workspace(
        &self,
        request: Request<pb::UpdateWorkspaceRequest>,
    ) -> Result<Response<pb::UpdateWorkspaceResponse>, Status> {
        let (accepted, mask) = accept_update(request, no_more)?;
        let changes = changes(&accepted.message, &mask);
        let answered = once_locking(&self.store, &accepted, async |locking| {
            let (before, mut tx) =
                locking.find_workspace_for_update(&accepted.precondition).await?;
            let after = tx.update_workspace(&before, &changes).await?;
            if after != before {
                record_change(&mut tx, &before, &after);
            }
            Ok((pb::UpdateWorkspaceResponse { workspace: Some(message(&after)) }, tx))
        });
        let answer = answered.await?;
        self.ring.settle().await;
        Ok(answer)
    }
}

impl Answer for pb::UpdateWorkspaceResponse {}

/// Returns the changes that an update asks for; a field that the mask does not name stays as it is.
fn changes(message: &pb::UpdateWorkspaceRequest, mask: &Mask) -> WorkspaceChanges {
    let capabilities = message.capabilities.unwrap_or_default();
    WorkspaceChanges {
        name: message.name.clone().filter(|_| mask.has("name")),
        max_active_keys: message.max_active_keys.filter(|_| mask.has("max_active_keys")),
        key_creations_per_hour: message
            .key_creations_per_hour
            .filter(|_| mask.has("key_creations_per_hour")),
        can_manage_api_keys: capabilities.can_manage_api_keys.filter(|_| mask.has("capabilities")),
        notify_by_email: message.notify_by_email.filter(|_| mask.has("notify_by_email")),
    }
}

/// A workspace as the contract shows it.
fn message(workspace: &Workspace) -> pb::Workspace {
    let can_manage_api_keys = workspace.can_manage_api_keys;
    pb::Workspace {
        id: workspace.public_id.clone(),
        slug: workspace.slug.clone(),
        name: workspace.name.clone(),
        max_active_keys: workspace.max_active_keys,
        key_creations_per_hour: workspace.key_creations_per_hour,
        capabilities: Some(pb::Capabilities { can_manage_api_keys }),
        created_at: Some(workspace.created_at.into()),
        updated_at: Some(workspace.updated_at.into()),
        version: workspace.version,
        notify_by_email: workspace.notify_by_email,
    }
}

/// Records a change of the workspace's settings.
pub fn record_change(tx: &mut Tx, before: &Workspace, after: &Workspace) {
    let (was, is) = (message(before), message(after));
    tx.record(changes::changed(EventType::WorkspaceUpdated, &was, &is, []));
    let action = "workspace.update".into();
    tx.audit(NewAuditLog { action, before: Some(object(&was)), ..created(after) });
}

/// The audit log's entry of a new workspace.
pub fn created(workspace: &Workspace) -> NewAuditLog {
    NewAuditLog {
        action: "workspace.create".into(),
        resource_type: "workspace",
        resource_id: Some(workspace.public_id.clone()),
        after: Some(object(&message(workspace))),
        ..NewAuditLog::default()
    }
}

/// Records a new workspace and the users that it begins with.
pub fn record_new(tx: &mut Tx, workspace: &Workspace, users: &[User]) {
    tx.audit(created(workspace));
    users.iter().for_each(|user| users::record_new(tx, EventType::UserCreated, user));
}
