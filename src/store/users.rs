//! The users of a workspace.

use migrations::case_folded;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryTrait, Set};

use super::counters::{Counter, advance};
use super::entity::user;
use super::failure::{failed, is_taken};
use super::sql::Parameters;
use super::transaction::Transaction;
use super::{Reader, Tx, WorkspaceId, unknown_number};
use crate::clock::Timestamp;
use crate::error::{Error, Kind};

/// What a user may be in a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Asks for things.
    EndUser,
    /// Works on tickets.
    Agent,
    /// Runs the workspace.
    Admin,
    /// The built-in user that stands for the service.
    System,
}

/// Whether a user may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserStatus {
    /// May act.
    Active,
    /// May not, for now.
    Suspended,
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
    /// What else is known of the user.
    pub profile: Profile,
    /// When the user was made.
    pub created_at: Timestamp,
    /// When the user last changed.
    pub updated_at: Timestamp,
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

impl NewUser {
    /// A user of this name, address and role, of whom nothing else is known.
    pub fn new(display_name: impl Into<String>, email: impl Into<String>, role: Role) -> Self {
        let profile = Profile::default();
        Self { display_name: display_name.into(), email: email.into(), role, profile }
    }
}

impl Reader<'_> {
    /// The user with this id.
    pub async fn find_user(&self, id: i64) -> Result<Option<User>, Error> {
        let query = user::Entity::find_by_id((self.workspace.0, id));
        query.one(self.connection).await.map_err(failed)?.map(from_row).transpose()
    }

    /// The user with this address, whatever its case.
    pub async fn find_user_by_email(&self, email: &str) -> Result<Option<User>, Error> {
        let query = user::Entity::find()
            .filter(user::Column::WorkspaceId.eq(self.workspace.0))
            .filter(user::Column::EmailKey.eq(case_folded(email)));
        query.one(self.connection).await.map_err(failed)?.map(from_row).transpose()
    }
}

impl Tx {
    /// Makes a user. An address that is taken is ALREADY_EXISTS.
    pub async fn insert_user(&self, new: NewUser) -> Result<User, Error> {
        let id = advance(&self.transaction, self.workspace, Counter::Users, 1).await?;
        let user = User {
            id,
            display_name: new.display_name,
            email: new.email,
            role: new.role,
            status: UserStatus::Active,
            profile: new.profile,
            created_at: self.now,
            updated_at: self.now,
        };
        let insert = user::Entity::insert(to_row(self.workspace, &user));
        match self.transaction.execute(insert.build(self.transaction.backend())).await {
            Ok(_) => Ok(user),
            Err(error) if is_taken(&error, &["email_key"]) => {
                let message = format!("A user with the address \"{}\" exists already.", user.email);
                Err(Error::new(Kind::AlreadyExists, message))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Those of `ids` that are no user of this workspace, in ascending order.
    pub async fn missing_users(&self, ids: &[i64]) -> Result<Vec<i64>, Error> {
        missing(&self.transaction, self.workspace, "users", ids).await
    }
}

/// Those of `ids` that name no row of `table` in the workspace, by one query.
pub(super) async fn missing(
    transaction: &Transaction,
    workspace: WorkspaceId,
    table: &'static str,
    ids: &[i64],
) -> Result<Vec<i64>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut parameters = Parameters::new(transaction.backend());
    let workspace = parameters.bind(workspace.0);
    let asked = parameters.bind_rows(ids);
    let text = format!(
        "SELECT DISTINCT value FROM {asked} WHERE NOT EXISTS \
         (SELECT 1 FROM {table} t WHERE t.workspace_id = {workspace} AND t.id = ids.value) \
         ORDER BY value"
    );
    transaction.read(parameters.statement(text), |row| row.get(0)).await
}

fn to_row(workspace: WorkspaceId, user: &User) -> user::ActiveModel {
    user::ActiveModel {
        workspace_id: Set(workspace.0),
        id: Set(user.id),
        display_name: Set(user.display_name.clone()),
        email: Set(user.email.clone()),
        email_key: Set(case_folded(&user.email)),
        role: Set(role_number(user.role)),
        status: Set(status_number(user.status)),
        created_at: Set(user.created_at.0),
        updated_at: Set(user.updated_at.0),
        phone: Set(user.profile.phone.clone()),
        title: Set(user.profile.title.clone()),
        department: Set(user.profile.department.clone()),
        timezone: Set(user.profile.timezone.clone()),
        locale: Set(user.profile.locale.clone()),
    }
}

fn from_row(row: user::Model) -> Result<User, Error> {
    Ok(User {
        id: row.id,
        display_name: row.display_name,
        email: row.email,
        role: role(row.role)?,
        status: status(row.status)?,
        profile: Profile {
            phone: row.phone,
            title: row.title,
            department: row.department,
            timezone: row.timezone,
            locale: row.locale,
        },
        created_at: Timestamp(row.created_at),
        updated_at: Timestamp(row.updated_at),
    })
}

fn role_number(role: Role) -> i16 {
    match role {
        Role::EndUser => 1,
        Role::Agent => 2,
        Role::Admin => 3,
        Role::System => 4,
    }
}

fn role(number: i16) -> Result<Role, Error> {
    match number {
        1 => Ok(Role::EndUser),
        2 => Ok(Role::Agent),
        3 => Ok(Role::Admin),
        4 => Ok(Role::System),
        _ => Err(unknown_number("users.role", number)),
    }
}

fn status_number(status: UserStatus) -> i16 {
    match status {
        UserStatus::Active => 1,
        UserStatus::Suspended => 2,
    }
}

fn status(number: i16) -> Result<UserStatus, Error> {
    match number {
        1 => Ok(UserStatus::Active),
        2 => Ok(UserStatus::Suspended),
        _ => Err(unknown_number("users.status", number)),
    }
}
