//! The translation between the messages of the contract and the users of the store.

use crate::clock::Timestamp;
use crate::pb;
use crate::service::from_number;
use crate::store::{Role, User, UserStatus};

from_number! {
    role -> Role,
    status -> UserStatus,
}

/// A user as the contract shows it.
pub fn user(user: User) -> pb::User {
    pb::User {
        id: user.id,
        display_name: user.display_name,
        email: user.email,
        role: user.role.as_i16().into(),
        status: user.status.as_i16().into(),
        phone: user.phone,
        title: user.title,
        department: user.department,
        timezone: user.timezone,
        locale: user.locale,
        created_at: Some(user.created_at.into()),
        updated_at: Some(user.updated_at.into()),
        version: user.version,
    }
}

/// The user that a request asks for.
pub fn new_user(message: pb::CreateUserRequest, now: Timestamp) -> User {
    let role = message.role.map_or(Role::EndUser, role);
    User {
        phone: message.phone,
        title: message.title,
        department: message.department,
        timezone: message.timezone,
        locale: message.locale,
        ..User::new(&message.display_name, &message.email, role, now)
    }
}

/// The user `before` as `wanted` shows it.
pub fn updated(before: &User, wanted: pb::User) -> User {
    User {
        display_name: wanted.display_name,
        email: wanted.email,
        role: role(wanted.role),
        status: status(wanted.status),
        phone: wanted.phone,
        title: wanted.title,
        department: wanted.department,
        timezone: wanted.timezone,
        locale: wanted.locale,
        ..before.clone()
    }
}
