//! UserService: the people of a workspace.

mod messages;

use rest::{Mask, Merge, Patch, Violations};
use tonic::{Request, Response, Status};

use super::once::{Answer, once};
use super::pages;
use super::{accept, changes, next_milli, no_more, number};
use crate::error::{Error, Kind};
use crate::event_type::EventType;
use crate::pb;
use crate::resource::Resource;
use crate::store::nouns::{Condition, Query};
use crate::store::users::{ROLE, STATUS, WORDS};
use crate::store::{Role, Store, Tx, User};

/// Answers for users.
#[derive(Clone)]
pub struct Users {
    pub store: Store,
}

#[tonic::async_trait]
impl pb::user_service_server::UserService for Users {
    async fn list_users(
        &self,
        request: Request<pb::ListUsersRequest>,
    ) -> Result<Response<pb::ListUsersResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let list = query(&accepted.message);
        let listed = pages::list(&self.store, &accepted, &list, messages::user).await?;
        let (users, meta) = (listed.messages, Some(listed.meta));
        Ok(Response::new(pb::ListUsersResponse { users, meta }))
    }

    async fn get_user(
        &self,
        request: Request<pb::GetUserRequest>,
    ) -> Result<Response<pb::GetUserResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let id = user_id(&accepted.message.id)?;
        let found = self.store.reader(accepted.caller.workspace()).find::<User>(id).await?;
        let user = found.ok_or_else(|| Resource::User.not_found())?;
        Ok(Response::new(pb::GetUserResponse { user: Some(messages::user(user)) }))
    }

    async fn create_user(
        &self,
        request: Request<pb::CreateUserRequest>,
    ) -> Result<Response<pb::CreateUserResponse>, Status> {
        let accepted = accept(request, check_create)?;
        let new = messages::new_user(accepted.message.clone());
        let answered = once(&self.store, &accepted, async |tx| {
            let user = tx.insert_user(new).await?;
            record_new(tx, &user);
            Ok(pb::CreateUserResponse { user: Some(messages::user(user)) })
        });
        Ok(answered.await?)
    }

    async fn update_user(
        &self,
        request: Request<pb::UpdateUserRequest>,
    ) -> Result<Response<pb::UpdateUserResponse>, Status> {
        let mut mask = Mask::default();
        let accepted = accept(request, |message: &pb::UpdateUserRequest, violations| {
            mask = message.mask(violations);
            check_update(message, violations);
        })?;
        let message = &accepted.message;
        let id = user_id(&message.id);
        let answered = once(&self.store, &accepted, async |tx| {
            let before = tx.find_for_update::<User>(id?, &accepted.precondition).await?;
            check_changeable(&before)?;
            let was = messages::user(before.clone());
            let mut wanted = was.clone();
            message.merge(&mask, &mut wanted);
            let mut after = messages::updated(&before, wanted);
            if after != before {
                after = tx.update(&before, after).await?;
                let is = messages::user(after.clone());
                tx.record_update(&after, changes::updated(Resource::User, &was, &is, []));
                tx.audit(changes::audit(Resource::User, "update", after.id, Some(&was), Some(&is)));
            }
            Ok(pb::UpdateUserResponse { user: Some(messages::user(after)) })
        });
        Ok(answered.await?)
    }

    async fn anonymize_user(
        &self,
        request: Request<pb::AnonymizeUserRequest>,
    ) -> Result<Response<pb::AnonymizeUserResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let id = user_id(&accepted.message.id);
        let answered = once(&self.store, &accepted, async |tx| {
            let before = tx.find_for_update::<User>(id?, &accepted.precondition).await?;
            check_changeable(&before)?;
            let mut after = before.anonymized();
            if after != before {
                after = tx.update(&before, after).await?;
                let (was, is) = (messages::user(before), messages::user(after.clone()));
                let mut event = changes::updated(Resource::User, &was, &is, []);
                // Who was erased stands nowhere else either.
                event.previous.clear();
                tx.record(event);
                let by_id = changes::audit::<pb::User>;
                tx.audit(by_id(Resource::User, "anonymize", after.id, None, None));
            }
            Ok(pb::AnonymizeUserResponse { user: Some(messages::user(after)) })
        });
        Ok(answered.await?)
    }
}

impl Answer for pb::CreateUserResponse {}
impl Answer for pb::UpdateUserResponse {}
impl Answer for pb::AnonymizeUserResponse {}

fn check_changeable(user: &User) -> Result<(), Error> {
    match user.role {
        Role::System => {
            Err(Error::new(Kind::SystemUser, "The built-in SYSTEM user cannot be changed."))
        }
        _ => Ok(()),
    }
}

/// Records a new user: the event, and the entry of the audit log.
pub fn record_new(tx: &mut Tx, user: &User) {
    record_new_as(tx, EventType::UserCreated, user);
}

/// The same with an event of another type.
pub fn record_new_as(tx: &mut Tx, event_type: EventType, user: &User) {
    let message = messages::user(user.clone());
    tx.record(changes::created_as(event_type, &message));
    tx.audit(changes::audit(Resource::User, "create", user.id, None, Some(&message)));
}

/// What somebody is called of whom nothing but an address is known.
pub fn name_of(address: &str) -> &str {
    address.rsplit_once('@').map_or(address, |(local, _)| local)
}

/// The id that a path names. What can be no id is simply not found.
fn user_id(text: &str) -> Result<i64, Error> {
    number(text).ok_or_else(|| Resource::User.not_found())
}

/// What a list of users asks for, as the store understands it.
fn query(message: &pb::ListUsersRequest) -> Query {
    let conditions = [
        Condition::dimension(&ROLE, message.role.iter().copied()),
        Condition::dimension(&STATUS, message.status.iter().copied()),
        Condition::folded("email_key", message.email.as_deref()),
        Condition::folded("department_key", message.department.as_deref()),
        message.q.as_deref().map(|text| Condition::search(&WORDS, text)),
        Condition::since("created_at", message.created_after.map(next_milli)),
        Condition::before("created_at", message.created_before.map(next_milli)),
        Condition::since("updated_at", message.updated_since.map(next_milli)),
    ];
    pages::query::<User>(message.sort.as_deref(), message.updated_since, conditions)
}

fn check_create(message: &pb::CreateUserRequest, violations: &mut Violations) {
    check_role(message.role, violations);
    check_email(Some(&message.email).filter(|email| !email.is_empty()), violations);
    check_locale(message.timezone.as_ref(), message.locale.as_ref(), violations);
}

fn check_update(message: &pb::UpdateUserRequest, violations: &mut Violations) {
    check_role(message.role, violations);
    check_email(message.email.as_ref(), violations);
    check_locale(message.timezone.as_ref(), message.locale.as_ref(), violations);
}

fn check_role(role: Option<i32>, violations: &mut Violations) {
    if role == Some(pb::UserRole::System.into()) {
        violations.add("role", "INVALID_ENUM", "role must be END_USER, AGENT or ADMIN");
    }
}

fn check_email(email: Option<&String>, violations: &mut Violations) {
    if email.is_some_and(|email| !is_address(email)) {
        violations.add("email", "INVALID_EMAIL", "email must be an address such as name@host");
    }
}

fn check_locale(timezone: Option<&String>, locale: Option<&String>, violations: &mut Violations) {
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '+');
    if timezone.is_some_and(|zone| !zone.chars().all(name)) {
        let remedy = "timezone must be an IANA name such as Europe/Lisbon";
        violations.add("timezone", "INVALID_VALUE", remedy);
    }
    if locale.is_some_and(|locale| !is_language(locale)) {
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
