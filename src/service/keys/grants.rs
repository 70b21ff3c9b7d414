//! The limits of a caller's rights over keys: a key never makes, changes or becomes more than
//! itself.
//!
//! More is a scope that the caller lacks, a limit above its own, or an expiry after its own.

use rest::Violations;

use crate::auth::caller::Caller;
use crate::auth::scope::{Scope, Scopes};
use crate::clock::Timestamp;
use crate::config::LIMITS_DEFAULT;
use crate::error::{Error, Kind};
use crate::pb;
use crate::store::{KeyChanges, KeyRecord};

/// Refuses a key that would reach beyond the caller.
pub fn may_grant(
    caller: &Caller,
    scopes: Scopes,
    (per_minute, group_per_minute): (i32, i32),
    expires_at: Option<Timestamp>,
) -> Result<(), Error> {
    has_all(caller, scopes)?;
    let own = &caller.key;
    let higher = above(per_minute, own.per_minute) || above(group_per_minute, own.group_per_minute);
    if higher {
        let message = "The key would have higher limits than the one that the request was sent with. Use a key whose limits are as high.";
        return Err(beyond(None, message));
    }
    if later(expires_at, own.expires_at) {
        let message = "The key would be accepted longer than the one that the request was sent with. Set expiresAt no later than that, or use a key that expires later.";
        return Err(beyond(None, message));
    }
    Ok(())
}

/// Refuses a key that reaches beyond the caller, whatever is to be done to it.
pub fn within(caller: &Caller, key: &KeyRecord) -> Result<(), Error> {
    let scopes = Scopes::of_names(&key.scopes).map_err(|name| {
        Error::internal(format!("key {} has the unknown scope {name}", key.key_id))
    })?;
    may_grant(caller, scopes, (key.per_minute, key.group_per_minute), key.expires_at)
}

/// Refuses changes that reach beyond the caller, whichever key they are for.
pub fn may_change(caller: &Caller, changes: &KeyChanges) -> Result<(), Error> {
    may_set_limits(caller, changes.per_minute.is_some() || changes.group_per_minute.is_some())?;
    let scopes = changes.scopes.as_ref().map(|(native, _)| Scopes::of_names(native));
    let scopes = scopes
        .transpose()
        .map_err(|name| Error::internal(format!("the scope {name} passed validation")))?;
    let own = &caller.key;
    let limits = (
        changes.per_minute.unwrap_or(own.per_minute),
        changes.group_per_minute.unwrap_or(own.group_per_minute),
    );
    may_grant(
        caller,
        scopes.unwrap_or_default(),
        limits,
        changes.expires_at.unwrap_or(own.expires_at),
    )
}

/// Refuses changes that would give a key what it has not: a key is only narrowed.
pub fn narrower(before: &KeyRecord, changes: &KeyChanges) -> Result<(), Error> {
    let mut violations = Violations::default();
    if let Some((scopes, _)) = &changes.scopes {
        let gained: Vec<_> = scopes.iter().filter(|name| !before.scopes.contains(name)).collect();
        if let Some(first) = gained.first() {
            let message = format!(
                "scopes can only be taken from a key, and it lacks {first}; make another key instead"
            );
            violations.add("scopes", "NOT_NARROWER", message);
        }
    }
    if changes.expires_at.is_some_and(|expiry| later(expiry, before.expires_at)) {
        let message = "expiresAt can only become earlier; make another key instead";
        violations.add("expiresAt", "NOT_NARROWER", message);
    }
    if violations.is_empty() { Ok(()) } else { Err(Error::invalid(violations)) }
}

/// Refuses limits from a caller who may not set any.
pub fn may_set_limits(caller: &Caller, sets_limits: bool) -> Result<(), Error> {
    if !sets_limits || caller.scopes.has(Scope::WorkspaceManage) {
        return Ok(());
    }
    let message = "Only a key with the scope `workspace:manage` may set limits. Leave them out, or use a key that has it.";
    Err(beyond(Some(Scope::WorkspaceManage.name()), message))
}

/// Returns the limits of a new key: those that are asked for, and otherwise the usual ones, or the
/// caller's own where they are lower.
pub fn limits(caller: &Caller, asked: pb::ApiKeyLimitsInput) -> (i32, i32) {
    let usual = |usual, own| if above(usual, own) { own } else { usual };
    let own = &caller.key;
    (
        asked.per_minute.unwrap_or_else(|| usual(LIMITS_DEFAULT.0, own.per_minute)),
        asked.group_per_minute.unwrap_or_else(|| usual(LIMITS_DEFAULT.1, own.group_per_minute)),
    )
}

fn has_all(caller: &Caller, scopes: Scopes) -> Result<(), Error> {
    match scopes.beyond(caller.scopes) {
        None => Ok(()),
        Some(scope) => {
            let name = scope.name();
            let message = format!(
                "The key would have the scope `{name}`, which the one that the request was sent with lacks. Use a key that has it."
            );
            Err(beyond(Some(name), message))
        }
    }
}

/// Returns true if a limit is higher than another; 0 is none, and so the highest.
fn above(limit: i32, other: i32) -> bool {
    other != 0 && (limit == 0 || limit > other)
}

/// Returns true if an expiry is later than another; none is never, and so the latest.
fn later(expiry: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    other.is_some_and(|other| expiry.is_none_or(|expiry| expiry > other))
}

fn beyond(required: Option<&'static str>, message: impl Into<String>) -> Error {
    Error::new(Kind::InsufficientScope { required }, message)
}
