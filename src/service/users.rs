//! UserService: the people of a workspace.

use rest::Violations;
use tonic::{Request, Response, Status};

use super::once::{Answer, once};
use super::{accept, object};
use crate::event::Event;
use crate::pb;
use crate::store::{NewAuditLog, NewUser, Profile, Role, Store, Tx, User, UserStatus};

/// Answers for users.
#[derive(Clone)]
pub struct Users {
    /// Where the users are.
    pub store: Store,
}

#[tonic::async_trait]
impl pb::user_service_server::UserService for Users {
    async fn create_user(
        &self,
        request: Request<pb::CreateUserRequest>,
    ) -> Result<Response<pb::CreateUserResponse>, Status> {
        let accepted = accept(request, check)?;
        let new = new_user(accepted.message.clone());
        let answered = once(&self.store, &accepted, async |tx| {
            let user = tx.insert_user(new).await?;
            record_new(tx, &user);
            Ok(pb::CreateUserResponse { user: Some(message(&user)) })
        });
        Ok(answered.await?)
    }
}

impl Answer for pb::CreateUserResponse {}

fn check(message: &pb::CreateUserRequest, violations: &mut Violations) {
    if message.role == Some(pb::UserRole::System.into()) {
        violations.add("role", "INVALID_ENUM", "role must be END_USER, AGENT or ADMIN");
    }
    if !message.email.is_empty() && !is_address(&message.email) {
        violations.add("email", "INVALID_EMAIL", "email must be an address such as name@host");
    }
    let one_line = [
        ("displayName", Some(&message.display_name)),
        ("phone", message.phone.as_ref()),
        ("title", message.title.as_ref()),
        ("department", message.department.as_ref()),
    ];
    for (field, text) in one_line {
        if text.is_some_and(|text| text.contains(char::is_control)) {
            violations.add(field, "INVALID_VALUE", format!("{field} must be one line of text"));
        }
    }
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '+');
    if message.timezone.as_ref().is_some_and(|zone| !zone.chars().all(name)) {
        let remedy = "timezone must be an IANA name such as Europe/Lisbon";
        violations.add("timezone", "INVALID_VALUE", remedy);
    }
    if message.locale.as_ref().is_some_and(|locale| !is_language(locale)) {
        violations.add("locale", "INVALID_VALUE", "locale must be a BCP 47 tag such as pt-PT");
    }
}

/// One `@` with something on both sides, no blanks and no control characters.
pub fn is_address(text: &str) -> bool {
    let parts = text.split_once('@');
    let whole = parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    let one = text.matches('@').count() == 1;
    whole && one && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// The shape of a BCP 47 tag: parts of 1 to 8 letters and digits, the first of 2 or more letters.
fn is_language(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let language = parts.next().unwrap_or_default();
    let shaped = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    (2..=8).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_alphabetic())
        && parts.all(shaped)
}

fn new_user(message: pb::CreateUserRequest) -> NewUser {
    let role = match message.role() {
        pb::UserRole::Agent => Role::Agent,
        pb::UserRole::Admin => Role::Admin,
        _ => Role::EndUser,
    };
    NewUser {
        display_name: message.display_name,
        email: message.email,
        role,
        profile: Profile {
            phone: message.phone,
            title: message.title,
            department: message.department,
            timezone: message.timezone,
            locale: message.locale,
        },
    }
}

/// A user as the contract shows it.
fn message(user: &User) -> pb::User {
    let role = match user.role {
        Role::EndUser => pb::UserRole::EndUser,
        Role::Agent => pb::UserRole::Agent,
        Role::Admin => pb::UserRole::Admin,
        Role::System => pb::UserRole::System,
    };
    let status = match user.status {
        UserStatus::Active => pb::UserStatus::Active,
        UserStatus::Suspended => pb::UserStatus::Suspended,
    };
    pb::User {
        id: user.id,
        display_name: user.display_name.clone(),
        email: user.email.clone(),
        role: role.into(),
        status: status.into(),
        phone: user.profile.phone.clone(),
        title: user.profile.title.clone(),
        department: user.profile.department.clone(),
        timezone: user.profile.timezone.clone(),
        locale: user.profile.locale.clone(),
        created_at: Some(user.created_at.into()),
        updated_at: Some(user.updated_at.into()),
    }
}

/// Records a new user: the event, and the entry of the audit log.
pub fn record_new(tx: &mut Tx, user: &User) {
    tx.record(created(user));
    tx.audit(audit(user));
}

/// The event of a new user.
fn created(user: &User) -> Event {
    Event {
        event_type: "user.created",
        topics: vec!["user.created".to_owned()],
        object: object(&message(user)).into(),
        changed_fields: Vec::new(),
        previous: serde_json::Map::new(),
    }
}

/// The audit log's entry of a new user.
fn audit(user: &User) -> NewAuditLog {
    NewAuditLog {
        action: "user.create".into(),
        resource_type: "user",
        resource_id: Some(user.id.to_string()),
        after: Some(object(&message(user))),
        ..NewAuditLog::default()
    }
}
