//! UserService: the people of a workspace.

mod messages;

use rest::Merge;
use tonic::{Request, Response, Status};

use super::once::{Answer, once, once_on};
use super::pages;
use super::{accept, accept_update, changes, next_milli, no_more};
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
        let reader = self.store.reader(accepted.caller.workspace());
        let user = messages::user(reader.find_named(&accepted.message.id).await?);
        Ok(Response::new(pb::GetUserResponse { user: Some(user) }))
    }

    async fn create_user(
        &self,
        request: Request<pb::CreateUserRequest>,
    ) -> Result<Response<pb::CreateUserResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let answered = once(&self.store, &accepted, async |tx| {
            let new = messages::new_user(accepted.message.clone(), tx.now());
            let user = tx.insert(new).await?;
            record_new(tx, EventType::UserCreated, &user);
            Ok(pb::CreateUserResponse { user: Some(messages::user(user)) })
        });
        Ok(answered.await?)
    }

    async fn update_user(
        &self,
        request: Request<pb::UpdateUserRequest>,
    ) -> Result<Response<pb::UpdateUserResponse>, Status> {
        let (accepted, mask) = accept_update(request, no_more)?;
        let message = &accepted.message;
        let answered = once_on(&self.store, &accepted, &message.id, async |tx, before: User| {
            check_changeable(&before)?;
            let mut wanted = messages::user(before.clone());
            message.merge(&mask, &mut wanted);
            let after = messages::updated(&before, wanted);
            let user = changes::update_audited(tx, before, after, messages::user).await?;
            Ok(pb::UpdateUserResponse { user: Some(user) })
        });
        Ok(answered.await?)
    }

    async fn anonymize_user(
        &self,
        request: Request<pb::AnonymizeUserRequest>,
    ) -> Result<Response<pb::AnonymizeUserResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let id = &accepted.message.id;
        let answered = once_on(&self.store, &accepted, id, async |tx, before: User| {
            check_changeable(&before)?;
            let mut user = before.anonymized();
            if user != before {
                user = tx.update(&before, user).await?;
                let (was, is) = (messages::user(before), messages::user(user.clone()));
                let mut event = changes::updated(Resource::User, &was, &is, []);
                // Who was erased stands nowhere else either.
                event.previous.clear();
                tx.record(event);
                tx.audit(changes::audit::<pb::User>(
                    Resource::User,
                    "anonymize",
                    user.id,
                    None,
                    None,
                ));
            }
            Ok(pb::AnonymizeUserResponse { user: Some(messages::user(user)) })
        });
        Ok(answered.await?)
    }
}

impl Answer for pb::CreateUserResponse {}
impl Answer for pb::UpdateUserResponse {}
impl Answer for pb::AnonymizeUserResponse {}

fn check_changeable(user: &User) -> Result<(), Error> {
    let refusal = || Error::new(Kind::SystemUser, "The built-in SYSTEM user cannot be changed.");
    if user.role == Role::System { Err(refusal()) } else { Ok(()) }
}

/// Records a new user: the event, of a type that says how it came to be, and the entry of the audit log.
pub fn record_new(tx: &mut Tx, event_type: EventType, user: &User) {
    let message = messages::user(user.clone());
    changes::record_created_as(tx, Resource::User, event_type, user.id, &message);
}

/// Translates the filters of a list of users.
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
