//! The columns of a noun's fields, and the parts of `Noun` that are the same for every noun whose
//! fields have the names of their columns.

use std::collections::BTreeMap;

use rusqlite::types::FromSql;
use sea_orm::TryGetable;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Columns;
use crate::clock::{Date, Timestamp};
use crate::error::Error;
use crate::store::{from_json, to_json};

/// A field that stands in one column.
pub trait Stored: Sized {
    /// The type of the column.
    type Column: TryGetable + FromSql;

    /// The field as the column holds it.
    fn to_column(&self) -> Self::Column;

    /// The field in a column of this name; an error where the column holds what no field is, which
    /// only a later version or somebody else can have written.
    fn from_column(column: Self::Column, name: &str) -> Result<Self, Error>;
}

impl Columns<'_> {
    /// The field in the next column, whose name is for the error.
    pub(in crate::store) fn field<T: Stored>(&mut self, name: &str) -> Result<T, Error> {
        T::from_column(self.take()?, name)
    }
}

macro_rules! as_it_is {
    ($($type:ty),+) => {
        $(impl Stored for $type {
            type Column = Self;

            fn to_column(&self) -> Self {
                self.clone()
            }

            fn from_column(column: Self, _: &str) -> Result<Self, Error> {
                Ok(column)
            }
        })+
    };
}

as_it_is!(i64, i32, i16, bool, String);

impl Stored for Timestamp {
    type Column = i64;

    fn to_column(&self) -> i64 {
        self.0
    }

    fn from_column(column: i64, _: &str) -> Result<Self, Error> {
        Ok(Self(column))
    }
}

/// A date is the instant at which it begins.
impl Stored for Date {
    type Column = i64;

    fn to_column(&self) -> i64 {
        self.start().0
    }

    fn from_column(column: i64, _: &str) -> Result<Self, Error> {
        Ok(Self::of(Timestamp(column)))
    }
}

impl<T: Stored> Stored for Option<T>
where
    Option<T::Column>: TryGetable + FromSql,
{
    type Column = Option<T::Column>;

    fn to_column(&self) -> Self::Column {
        self.as_ref().map(T::to_column)
    }

    fn from_column(column: Self::Column, name: &str) -> Result<Self, Error> {
        column.map(|column| T::from_column(column, name)).transpose()
    }
}

/// A list is JSON.
impl<T: Serialize + DeserializeOwned> Stored for Vec<T> {
    type Column = String;

    fn to_column(&self) -> String {
        to_json(self)
    }

    fn from_column(column: String, _: &str) -> Result<Self, Error> {
        from_json(&column)
    }
}

/// A map is JSON, or NULL where it is empty, which it is in most rows.
impl<T: Serialize + DeserializeOwned> Stored for BTreeMap<String, T> {
    type Column = Option<String>;

    fn to_column(&self) -> Self::Column {
        let text = || serde_json::to_string(self).expect("texts and numbers always serialize");
        (!self.is_empty()).then(text)
    }

    fn from_column(column: Self::Column, _: &str) -> Result<Self, Error> {
        let values = column.map(|text| serde_json::from_str(&text).map_err(Error::internal));
        Ok(values.transpose()?.unwrap_or_default())
    }
}

/// Writes `decode` and `encode` for `impl Noun`, of a row whose fields, in the order of the entity,
/// have the names of their columns. Behind them come the columns that only the store looks at.
macro_rules! noun_row {
    ($entity:ident { $($field:ident),+ $(,)? } |$row:ident| { $($only:ident: $value:expr),+ $(,)? }) => {
        fn decode(
            columns: &mut $crate::store::nouns::Columns<'_>,
        ) -> Result<Self, $crate::error::Error> {
            Ok(Self { $($field: columns.field(stringify!($field))?),+ })
        }

        fn encode(&self, workspace: $crate::store::WorkspaceId) -> $entity::ActiveModel {
            let $row = self;
            $entity::ActiveModel {
                workspace_id: ::sea_orm::Set(workspace.0),
                $($field: ::sea_orm::Set($crate::store::nouns::Stored::to_column(&self.$field)),)+
                $($only: ::sea_orm::Set($value),)+
            }
        }
    };
}

/// Writes the accessors of the fields that every noun has, for `impl Noun`.
macro_rules! noun_head {
    () => {
        fn id(&self) -> i64 {
            self.id
        }

        fn version(&self) -> i64 {
            self.version
        }

        fn created_at(&self) -> $crate::clock::Timestamp {
            self.created_at
        }

        fn set_id(&mut self, id: i64) {
            self.id = id;
        }

        fn set_version(&mut self, version: i64, updated_at: $crate::clock::Timestamp) {
            (self.version, self.updated_at) = (version, updated_at);
        }
    };
}

pub(in crate::store) use {noun_head, noun_row};
