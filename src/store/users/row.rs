//! A user's row, there and back, and the facts of the table of users.

use std::borrow::Cow;

use migrations::case_folded;
use sea_orm::DbErr;

use super::User;
use crate::error::{Error, Kind};
use crate::resource::Resource;
use crate::store::entity::user;
use crate::store::failure::is_taken;
use crate::store::nouns::{
    Dimension, KeyValue, NarrowFilter, Noun, Order, Search, Table, Texts, Values, noun_head,
    noun_row,
};

/// What users may be, as a dimension of their lists.
pub static ROLE: Dimension = Dimension { name: "role", shift: 2, bits: 7 };
/// Whether they may act.
pub static STATUS: Dimension = Dimension { name: "status", shift: 0, bits: 3 };

pub(super) static CREATED_AT: Order =
    Order { name: "createdAt", column: "created_at", values: Values::Numbers, by_facet: true };
static UPDATED_AT: Order =
    Order { name: "updatedAt", column: "updated_at", values: Values::Numbers, by_facet: true };
static DISPLAY_NAME: Order =
    Order { name: "displayName", column: "name_key", values: Values::Texts, by_facet: true };

/// The words of name and address.
pub static WORDS: Search = Search { table: "user_words" };

/// Users.
static USERS: Table = Table {
    name: "users",
    resource: Resource::User,
    noun: 2,
    has_history: false,
    dimensions: &[&ROLE, &STATUS],
    orders: &[&CREATED_AT, &UPDATED_AT, &DISPLAY_NAME],
    narrows: &[
        NarrowFilter::unique(&["email_key"], "users_email_key_idx"),
        NarrowFilter::of(&["department_key"], "users_department_key_created_at_id_idx"),
    ],
    sides: &[],
    search: Some(&WORDS),
    texts: Texts::unmade(),
};

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

    fn key(&self, order: &Order) -> Option<KeyValue> {
        Some(match order.column {
            "updated_at" => KeyValue::Number(self.updated_at.0),
            "name_key" => KeyValue::Text(case_folded(&self.display_name)),
            _ => KeyValue::Number(self.created_at.0),
        })
    }

    fn searched(&self) -> [Cow<'_, str>; 2] {
        [self.display_name.as_str().into(), self.email.as_str().into()]
    }

    fn taken(&self, error: &DbErr) -> Option<Error> {
        let message = || format!("A user with the address \"{}\" exists already.", self.email);
        is_taken(error, &["email_key"]).then(|| Error::new(Kind::AlreadyExists, message()))
    }
}
