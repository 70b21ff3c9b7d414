//! The users of a workspace.

mod row;

use migrations::case_folded;
use sea_orm::{ColumnTrait, QueryTrait};

use super::entity::user;
use super::nouns::{Condition, Direction, Query, decode, rows_where};
use super::pages::{PageRequest, Position};
use super::stored_enum::stored_enum;
use super::{Reader, Tx};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::id;
use crate::metrics::StoreOperation;

use row::CREATED_AT;
pub use row::{ROLE, STATUS, WORDS};

/// Behind the addresses of those who were erased: a domain that no mail goes to.
const ANONYMIZED_DOMAIN: &str = "@anonymized.invalid";

stored_enum! {
    /// What a user may be in a workspace.
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
    /// Whether a user may act.
    UserStatus {
        /// May act.
        Active = 1,
        /// May not, for now.
        Suspended = 2,
    }
}

/// What else is known of a user; nothing here means anything to the service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// The telephone number.
    pub phone: Option<String>,
    /// The job title.
    pub title: Option<String>,
    /// The department.
    pub department: Option<String>,
    /// The time zone, by its IANA name.
    pub timezone: Option<String>,
    /// The language, as a BCP 47 tag.
    pub locale: Option<String>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// 1, 2, 3 … within the workspace.
    pub id: i64,
    /// What the user is called.
    pub display_name: String,
    /// The user's address, unique in the workspace whatever its case.
    pub email: String,
    /// What the user may be.
    pub role: Role,
    /// Whether the user may act.
    pub status: UserStatus,
    /// The telephone number.
    pub phone: Option<String>,
    /// The job title.
    pub title: Option<String>,
    /// The department.
    pub department: Option<String>,
    /// The time zone, by its IANA name.
    pub timezone: Option<String>,
    /// The language, as a BCP 47 tag.
    pub locale: Option<String>,
    /// When the user was made.
    pub created_at: Timestamp,
    /// When the user last changed.
    pub updated_at: Timestamp,
    /// 1 when made, one more with every change.
    pub version: i64,
}

/// A user to be made; active.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// What the user is called.
    pub display_name: String,
    /// The user's address.
    pub email: String,
    /// What the user may be.
    pub role: Role,
    /// What else is known of the user.
    pub profile: Profile,
}

impl User {
    /// What is left of the user when the person is erased; the user itself where that was done before.
    pub fn anonymized(&self) -> Self {
        let email = match self.email.ends_with(ANONYMIZED_DOMAIN) {
            true => self.email.clone(),
            false => format!("{}-{}{ANONYMIZED_DOMAIN}", self.id, id::base62(12)),
        };
        Self {
            display_name: "Anonymized user".to_owned(),
            email,
            status: UserStatus::Suspended,
            phone: None,
            title: None,
            department: None,
            timezone: None,
            locale: None,
            ..self.clone()
        }
    }
}

impl NewUser {
    /// A user of this name, address and role, of whom nothing else is known.
    pub fn new(display_name: impl Into<String>, email: impl Into<String>, role: Role) -> Self {
        let profile = Profile::default();
        Self { display_name: display_name.into(), email: email.into(), role, profile }
    }
}

impl Reader<'_> {
    /// The user with this address, whatever its case.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_user_by_email(&self, email: &str) -> Result<Option<User>, Error> {
        let _timed = StoreOperation::begin("find_by_email", "users");
        let query = Query::all(&CREATED_AT, Direction::Descending);
        let query = query.filter(Condition::folded("email_key", Some(email)));
        let page = PageRequest { per_page: 1, position: Position::Start };
        let found = self.list::<User>(&query, &page).await?;
        Ok(found.rows.into_iter().next())
    }
}

impl Tx {
    /// The user with this address, whatever its case.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_user_by_email(&self, email: &str) -> Result<Option<User>, Error> {
        let _timed = StoreOperation::begin("find_by_email", "users");
        let of_email = user::Column::EmailKey.eq(case_folded(email));
        let select = rows_where::<User>(self.workspace, of_email).build(self.transaction.backend());
        Ok(self.transaction.read(select, decode::<User>).await?.into_iter().next())
    }

    /// Makes a user. An address that is taken is ALREADY_EXISTS.
    pub async fn insert_user(&mut self, new: NewUser) -> Result<User, Error> {
        let Profile { phone, title, department, timezone, locale } = new.profile;
        let user = User {
            id: 0,
            display_name: new.display_name,
            email: new.email,
            role: new.role,
            status: UserStatus::Active,
            phone,
            title,
            department,
            timezone,
            locale,
            created_at: self.now,
            updated_at: self.now,
            version: 1,
        };
        self.insert(user).await
    }
}
