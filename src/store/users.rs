//! The users of a workspace.

use std::borrow::Cow;

use migrations::case_folded;
use sea_orm::DbErr;

use super::entity::user;
use super::failure::is_taken;
use super::nouns::{
    CREATED_AT, Dimension, NarrowFilter, Noun, Order, Search, Table, Texts, UPDATED_AT, noun_head,
    noun_row,
};
use super::stored_enum::stored_enum;
use crate::clock::Timestamp;
use crate::error::{Error, Kind};
use crate::id;
use crate::resource::Resource;

/// The role of a user, as a dimension of lists.
pub static ROLE: Dimension = Dimension { name: "role", shift: 2, bits: 7 };
/// The status of a user, as a dimension of lists.
pub static STATUS: Dimension = Dimension { name: "status", shift: 0, bits: 3 };

static DISPLAY_NAME: Order = Order::of_texts("displayName", "name_key");

/// The words of name and address.
pub static WORDS: Search = Search { table: "user_words" };

static USERS: Table = Table {
    name: "users",
    resource: Resource::User,
    noun: 2,
    has_history: false,
    dimensions: &[&ROLE, &STATUS],
    orders: &[&CREATED_AT, &UPDATED_AT, &DISPLAY_NAME],
    alternate_key: None,
    narrows: &[
        NarrowFilter::unique(&["email_key"], "users_email_key_idx"),
        NarrowFilter::of(&["department_key"], "users_department_key_created_at_id_idx"),
    ],
    sides: &[],
    search: Some(&WORDS),
    texts: Texts::unmade(),
};

/// The domain of the addresses of erased users, to which no mail goes.
const ANONYMIZED_DOMAIN: &str = "@anonymized.invalid";

stored_enum! {
    /// The role of a user in a workspace.
    Role {
        /// Asks for things.
        EndUser = 1,
        /// Works on tickets.
        Agent = 2,
        /// Runs the workspace.
        Admin = 3,
        /// The built-in user that stands for the service.
        System = 4,
    }
}

stored_enum! {
    /// The status of a user.
    UserStatus {
        /// May act.
        Active = 1,
        /// May not, for now.
        Suspended = 2,
    }
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The id: 1, 2, 3 … within the workspace.
    pub id: i64,
    pub display_name: String,
    /// The user's address, unique in the workspace whatever its case.
    pub email: String,
    pub role: Role,
    pub status: UserStatus,
    pub phone: Option<String>,
    pub title: Option<String>,
    pub department: Option<String>,
    /// The time zone, by its IANA name.
    pub timezone: Option<String>,
    /// The language, as a BCP 47 tag.
    pub locale: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The version: 1 when made, one more with every change.
    pub version: i64,
}

impl User {
    /// A new user of this name, address and role, ACTIVE, of whom nothing else is known. It gets its id
    /// when it is inserted.
    pub fn new(display_name: &str, email: &str, role: Role, now: Timestamp) -> Self {
        Self {
            id: 0,
            display_name: display_name.to_owned(),
            email: email.to_owned(),
            role,
            status: UserStatus::Active,
            phone: None,
            title: None,
            department: None,
            timezone: None,
            locale: None,
            created_at: now,
            updated_at: now,
            version: 1,
        }
    }

    /// Returns the user without anything of the person, who is erased; the user itself where that
    /// was done before.
    pub fn anonymized(&self) -> Self {
        let email = match self.email.ends_with(ANONYMIZED_DOMAIN) {
            true => self.email.clone(),
            false => format!("{}-{}{ANONYMIZED_DOMAIN}", self.id, id::base62(12)),
        };
        Self {
            id: self.id,
            status: UserStatus::Suspended,
            updated_at: self.updated_at,
            version: self.version,
            ..Self::new("Anonymized user", &email, self.role, self.created_at)
        }
    }
}

impl Noun for User {
    type Entity = user::Entity;

    fn table() -> &'static Table {
        &USERS
    }

    noun_row! {
        user {
            id, display_name, email, role, status, created_at, updated_at, phone, title, department,
            timezone, locale, version,
        }
        |row| {
            facet: row.facet(),
            name_key: case_folded(&row.display_name),
            email_key: case_folded(&row.email),
            department_key: row.department.as_deref().map(case_folded),
        }
    }

    noun_head!();

    fn facet(&self) -> i16 {
        ROLE.pack(self.role.as_i16()) | STATUS.pack(self.status.as_i16())
    }

    fn searched(&self) -> [Cow<'_, str>; 2] {
        [self.display_name.as_str().into(), self.email.as_str().into()]
    }

    fn taken(&self, error: &DbErr) -> Option<Error> {
        let message = || format!("A user with the address \"{}\" exists already.", self.email);
        is_taken(error, &["email_key"]).then(|| Error::new(Kind::AlreadyExists, message()))
    }
}
