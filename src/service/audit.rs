//! AuditService: the actions in a workspace, and the refused attempts.

use rest::Violations;
use tonic::{Request, Response, Status};

use super::pages;
use super::{accept, messages};
use crate::pb;
use crate::store::{AuditFilter, AuditLog, CursorKey, Store};

/// Answers for the audit log.
#[derive(Clone)]
pub struct Audits {
    /// The store.
    pub store: Store,
}

#[tonic::async_trait]
impl pb::audit_service_server::AuditService for Audits {
    async fn list_audit_logs(
        &self,
        request: Request<pb::ListAuditLogsRequest>,
    ) -> Result<Response<pb::ListAuditLogsResponse>, Status> {
        let accepted = accept(request, check)?;
        let workspace = accepted.caller.workspace();
        let filter = AuditFilter {
            actor_id: accepted.message.actor_id.clone(),
            resource_type: accepted.message.resource_type.clone(),
            resource_id: accepted.message.resource_id.clone(),
        };
        let list = format!("{workspace:?} {filter:?}");
        let page = pages::asked(&accepted.message, |text| CursorKey::decode_in(text, &list))?;
        let found = self.store.reader(workspace).list_audit_logs(&filter, &page).await?;
        let next = found.next.map(|next| next.encode_in(&list));
        let meta = Some(pages::meta(&page, found.total_count, next));
        let audit_logs = found.rows.into_iter().map(message).collect();
        Ok(Response::new(pb::ListAuditLogsResponse { audit_logs, meta }))
    }
}

fn check(message: &pb::ListAuditLogsRequest, violations: &mut Violations) {
    if message.resource_id.is_some() && message.resource_type.is_none() {
        let remedy = "resourceType is needed beside resourceId";
        violations.add("resourceType", "REQUIRED", remedy);
    }
}

/// An entry as the contract shows it.
fn message(entry: AuditLog) -> pb::AuditLog {
    let outcome = match entry.reason {
        None => pb::AuditOutcome::Success,
        Some(_) => pb::AuditOutcome::Denied,
    };
    pb::AuditLog {
        id: entry.id,
        created_at: Some(entry.created_at.into()),
        actor: Some(messages::actor(entry.actor)),
        action: entry.action,
        outcome: outcome.into(),
        reason: entry.reason,
        resource_type: entry.resource_type,
        resource_id: entry.resource_id,
        before: entry.before.map(messages::structure),
        after: entry.after.map(messages::structure),
        request_id: entry.request_id,
        client_ip: entry.client_ip,
    }
}
