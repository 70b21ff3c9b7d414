//! Scopes, which say what a key may do: the native ones, and the names that stand for sets of them.

use std::fmt;

/// A native scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Scope {
    AssetsRead,
    AssetsWrite,
    AuditRead,
    EmailSend,
    KbRead,
    KbWrite,
    KeysManage,
    ProjectsRead,
    ProjectsWrite,
    TicketsCreate,
    TicketsImport,
    TicketsRead,
    TicketsRespond,
    TicketsWrite,
    UsersRead,
    UsersWrite,
    WebhooksManage,
    WorkspaceManage,
}

impl Scope {
    /// Every scope with its name, in alphabetical order of the names.
    pub const ALL: [(Scope, &'static str); 18] = [
        (Scope::AssetsRead, "assets:read"),
        (Scope::AssetsWrite, "assets:write"),
        (Scope::AuditRead, "audit:read"),
        (Scope::EmailSend, "email:send"),
        (Scope::KbRead, "kb:read"),
        (Scope::KbWrite, "kb:write"),
        (Scope::KeysManage, "keys:manage"),
        (Scope::ProjectsRead, "projects:read"),
        (Scope::ProjectsWrite, "projects:write"),
        (Scope::TicketsCreate, "tickets:create"),
        (Scope::TicketsImport, "tickets:import"),
        (Scope::TicketsRead, "tickets:read"),
        (Scope::TicketsRespond, "tickets:respond"),
        (Scope::TicketsWrite, "tickets:write"),
        (Scope::UsersRead, "users:read"),
        (Scope::UsersWrite, "users:write"),
        (Scope::WebhooksManage, "webhooks:manage"),
        (Scope::WorkspaceManage, "workspace:manage"),
    ];

    /// The scope of this name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(scope, _)| *scope)
    }

    /// Returns the name, such as `tickets:read`.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// A set of native scopes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u32);

impl Scopes {
    /// Every scope.
    pub const ALL: Scopes = Scopes((1 << Scope::ALL.len()) - 1);

    /// The set that a name stands for: a native scope, or a name for several.
    ///
    /// `tickets:write` includes creating tickets and responding to them; nothing else implies
    /// anything.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "ticket-index" => Scope::TicketsRead.into(),
            "create-ticket" => Scope::TicketsCreate.into(),
            "ticket-respond" => Scope::TicketsRespond.into(),
            "send-email" => Scope::EmailSend.into(),
            "read-only" => Scope::ALL
                .iter()
                .filter(|(scope, name)| name.ends_with(":read") && *scope != Scope::AuditRead)
                .map(|(scope, _)| *scope)
                .collect(),
            "read-write" => {
                use Scope::{AuditRead, KeysManage, TicketsImport, UsersWrite, WorkspaceManage};
                let kept_back = [KeysManage, UsersWrite, TicketsImport, AuditRead, WorkspaceManage];
                Scope::ALL
                    .iter()
                    .map(|(scope, _)| *scope)
                    .filter(|scope| !kept_back.contains(scope))
                    .collect()
            }
            "admin" => Self::ALL,
            "tickets:write" => [Scope::TicketsWrite, Scope::TicketsCreate, Scope::TicketsRespond]
                .into_iter()
                .collect(),
            native => Scope::parse(native)?.into(),
        })
    }

    /// The union of what the names stand for, or the first name that stands for nothing.
    pub fn of_names<S: AsRef<str>>(names: &[S]) -> Result<Self, &str> {
        names.iter().try_fold(Self::default(), |scopes, name| {
            let named = Self::named(name.as_ref()).ok_or(name.as_ref())?;
            Ok(Self(scopes.0 | named.0))
        })
    }

    /// Returns true if the set has `scope`.
    pub fn has(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u8) != 0
    }

    /// The first scope, by name, that the set has and `other` has not.
    pub fn beyond(self, other: Self) -> Option<Scope> {
        Scope::ALL
            .iter()
            .map(|(scope, _)| *scope)
            .find(|scope| self.has(*scope) && !other.has(*scope))
    }

    /// The names of its scopes, in alphabetical order.
    pub fn names(self) -> Vec<&'static str> {
        Scope::ALL.iter().filter(|(scope, _)| self.has(*scope)).map(|(_, name)| *name).collect()
    }
}

impl From<Scope> for Scopes {
    fn from(scope: Scope) -> Self {
        Self(1 << scope as u8)
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | (1 << scope as u8)))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_stands_at_its_own_place() {
        for (index, (scope, name)) in Scope::ALL.iter().enumerate() {
            assert_eq!(*scope as usize, index);
            assert_eq!(Scope::parse(name), Some(*scope));
            assert!(Scopes::ALL.has(*scope));
        }
    }

    #[test]
    fn presets_grant_what_they_are_known_for() {
        let names = |name| Scopes::named(name).expect("a known name").names();
        assert_eq!(names("tickets:write"), ["tickets:create", "tickets:respond", "tickets:write"]);
        assert_eq!(
            names("read-only"),
            ["assets:read", "kb:read", "projects:read", "tickets:read", "users:read"]
        );
        assert_eq!(names("read-write").len(), 13);
        assert_eq!(names("admin").len(), 18);
        assert_eq!(Scopes::of_names(&["tickets:read", "tickets:delete"]), Err("tickets:delete"));
    }
}
