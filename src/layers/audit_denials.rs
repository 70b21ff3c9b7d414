//! Notes in the audit log every attempt to manage keys that was denied.
//!
//! It stands round what may deny: scope, plan, and the service itself. That a change was made, the
//! service notes in the transaction of the change.

use std::borrow::Cow;
use std::sync::Arc;

use tower::BoxError;

use super::Request;
use super::resolve::Target;
use crate::auth::caller::CAN_MANAGE_API_KEYS;
use crate::auth::key::can_be_id;
use crate::error::{Error, Kind, causes};
use crate::event::Origin;
use crate::store::{NewAuditLog, Store};
use crate::trail::Trail;

/// An attempt to manage keys, as far as it is known before it is made.
pub struct Attempt {
    trail: Arc<Trail>,
    action: Cow<'static, str>,
    /// The key that the path names; over gRPC only the message would tell.
    resource_id: Option<String>,
}

impl Attempt {
    /// The attempt that a request is; none when it is for something else.
    pub fn of(request: &Request) -> Option<Self> {
        let trail = request.extensions().get::<Arc<Trail>>()?;
        let (rpc, _) = trail.rpc.get()?;
        // What needs the capability is what manages keys.
        rpc.policy.filter(|policy| policy.capability == Some(CAN_MANAGE_API_KEYS))?;
        let verb = rpc.method.trim_end_matches('s').trim_end_matches("Key").to_lowercase();
        let resource_id = match request.extensions().get::<Target>() {
            // Anything else may be what nobody should find there, such as a whole key.
            Some(Target::Rest { captures, .. }) => {
                captures.first().filter(|id| can_be_id(id)).cloned()
            }
            _ => None,
        };
        let action = format!("api_key.{verb}").into();
        Some(Self { trail: Arc::clone(trail), action, resource_id })
    }

    /// Notes the attempt if `refusal` denies it.
    pub async fn note(self, store: &Store, refusal: &BoxError) {
        let Some(error) = refusal.downcast_ref::<Error>().filter(|error| is_denial(&error.kind))
        else {
            return;
        };
        let Some(caller) = self.trail.caller.get() else { return };
        let origin = Origin {
            actor: caller.actor(),
            request_id: Some(self.trail.request_id().to_owned()),
            client_ip: Some(self.trail.client.to_string()),
        };
        let entry = NewAuditLog {
            action: self.action,
            reason: Some(error.code()),
            resource_type: "api_key",
            resource_id: self.resource_id,
            ..NewAuditLog::default()
        };
        if let Err(error) = store.insert_denial(caller.workspace(), origin, entry).await {
            // It stays denied. Whoever watches the log learns of it there at least.
            let (key, cause) = (caller.key.key_id.as_str(), causes(&error));
            tracing::error!(
                key,
                cause,
                "a denied attempt to manage keys is missing in the audit log"
            );
        }
    }
}

fn is_denial(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::InsufficientScope { .. }
            | Kind::FeatureNotEnabled
            | Kind::ApiKeyLimitReached
            | Kind::ApiKeyCreationLimited { .. }
    )
}
