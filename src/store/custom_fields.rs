//! The fields that a workspace adds to its tickets.

use sea_orm::{DbBackend, DbErr, Set, Statement};
use serde::{Deserialize, Serialize};

use super::entity::custom_field;
use super::failure::is_taken;
use super::nouns::{
    AlternateKey, CREATED_AT, Columns, Condition, Dimension, Direction, Noun, Order, Query, Table,
    Texts, UPDATED_AT, decode, noun_head, selected,
};
use super::rows::RowSource;
use super::sql::Parameters;
use super::stored_enum::stored_enum;
use super::tickets::CustomValue;
use super::{Reader, Tx, WorkspaceId, to_json};
use crate::clock::Timestamp;
use crate::error::{Error, Kind};
use crate::metrics::StoreOperation;
use crate::resource::Resource;

/// The most fields of a workspace.
pub const CUSTOM_FIELDS_MAX: i64 = 100;

static ACTIVE: Dimension = Dimension { name: "active", shift: 1, bits: 1 };
/// A bit that is always set: no row has the facet 0.
static MADE: Dimension = Dimension { name: "made", shift: 0, bits: 1 };

static KEY: Order = Order::of_texts("key", "name");

/// The table of custom fields.
static CUSTOM_FIELDS: Table = Table {
    name: "custom_fields",
    resource: Resource::CustomField,
    noun: 4,
    has_history: false,
    dimensions: &[&ACTIVE],
    orders: &[&CREATED_AT, &UPDATED_AT, &KEY],
    alternate_key: Some(AlternateKey::exact("name")),
    narrows: &[],
    sides: &[],
    search: None,
    texts: Texts::unmade(),
};

stored_enum! {
    /// The type of a custom field's values.
    CustomFieldType {
        /// A text.
        Text = 1,
        /// A whole number.
        Integer = 2,
        /// A decimal number.
        Decimal = 3,
        /// Yes or no.
        Boolean = 4,
        /// A date.
        Date = 5,
        /// One of the field's options.
        Select = 6,
        /// Several of the field's options.
        MultiSelect = 7,
        /// An address of the web.
        Url = 8,
        /// An e-mail address.
        Email = 9,
        /// A user of the workspace.
        User = 10,
    }
}

/// An option, which is a value that the field may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldOption {
    /// The value.
    pub value: String,
    /// The label that people see.
    pub label: String,
    /// True if tickets can get it.
    pub is_active: bool,
}

/// The bounds of the values of a field that are sent from now on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The options, of a type that has some.
    pub options: Vec<FieldOption>,
    /// The least value, of the field's type.
    pub minimum: Option<CustomValue>,
    /// The greatest value, of the field's type.
    pub maximum: Option<CustomValue>,
    /// The most characters.
    pub max_length: Option<i32>,
}

/// A custom field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomField {
    /// The id: 1, 2, 3 … within the workspace.
    pub id: i64,
    /// The key by which tickets name it; it never changes.
    pub key: String,
    /// The label that people see.
    pub label: String,
    /// The type of its values; it never changes.
    pub field_type: CustomFieldType,
    /// True if new tickets must have a value.
    pub is_required: bool,
    /// The bounds of its values.
    pub bounds: Bounds,
    /// True if tickets can get values.
    pub is_active: bool,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The version: 1 when made, one more with every change.
    pub version: i64,
}

/// A custom field to be made.
#[derive(Debug, Clone)]
pub struct NewCustomField {
    /// The key by which tickets name it.
    pub key: String,
    /// The label that people see.
    pub label: String,
    /// The type of its values.
    pub field_type: CustomFieldType,
    /// True if new tickets must have a value.
    pub is_required: bool,
    /// The bounds of its values.
    pub bounds: Bounds,
    /// True if tickets can get values.
    pub is_active: bool,
}

impl CustomField {
    /// The list of the fields that are active (true), inactive (false), or all; the newest first, unless
    /// an order is given.
    pub fn query(active: Option<bool>, sort: Option<(&'static Order, Direction)>) -> Query {
        let (order, direction) = sort.unwrap_or((&CREATED_AT, Direction::Descending));
        Query::all(order, direction).filter(Condition::dimension(&ACTIVE, active.map(i16::from)))
    }
}

impl Reader<'_> {
    /// The fields with these keys.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn custom_fields(&self, keys: &[String]) -> Result<Vec<CustomField>, Error> {
        let _timed = StoreOperation::begin("find_by_key", "custom_fields");
        let select = select(self.backend(), self.workspace, "", keys);
        RowSource::Reader(*self).read(select, decode::<CustomField>).await
    }

    /// The fields that tickets can get values of.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn active_custom_fields(&self) -> Result<Vec<CustomField>, Error> {
        let _timed = StoreOperation::begin("find_active", "custom_fields");
        let select = select(self.backend(), self.workspace, "t.is_active", &[]);
        RowSource::Reader(*self).read(select, decode::<CustomField>).await
    }
}

/// Selects the fields that meet a condition, if there is one, and those with these keys.
fn select(
    backend: DbBackend,
    workspace: WorkspaceId,
    condition: &str,
    keys: &[String],
) -> Statement {
    let mut parameters = Parameters::new(backend);
    let workspace = parameters.bind(workspace.0);
    let keys = (!keys.is_empty() || condition.is_empty())
        .then(|| format!("t.name {}", parameters.bind_in_texts(keys)));
    let condition = Some(condition.to_owned()).filter(|condition| !condition.is_empty());
    let any = condition.into_iter().chain(keys).collect::<Vec<_>>().join(" OR ");
    let columns = selected::<CustomField>();
    parameters.statement(format!(
        "SELECT {columns} FROM custom_fields t WHERE t.workspace_id = {workspace} AND ({any})"
    ))
}

impl Tx {
    /// The fields with these keys, and those that new tickets must have a value of.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn custom_fields(&self, keys: &[String]) -> Result<Vec<CustomField>, Error> {
        let _timed = StoreOperation::begin("find_by_key", "custom_fields");
        let select = select(self.transaction.backend(), self.workspace, "t.is_required", keys);
        self.transaction.read(select, decode::<CustomField>).await
    }

    /// Makes a custom field. A key that is taken is ALREADY_EXISTS, and one field too many
    /// RESOURCE_LIMIT_REACHED.
    pub async fn insert_custom_field(&mut self, new: NewCustomField) -> Result<CustomField, Error> {
        let field = CustomField {
            id: 0,
            key: new.key,
            label: new.label,
            field_type: new.field_type,
            is_required: new.is_required,
            bounds: new.bounds,
            is_active: new.is_active,
            created_at: self.now,
            updated_at: self.now,
            version: 1,
        };
        let made = self.insert(field).await?;
        // Fields are never deleted, and their ids are dense.
        if made.id > CUSTOM_FIELDS_MAX {
            let message = format!("A workspace has at most {CUSTOM_FIELDS_MAX} custom fields.");
            return Err(Error::new(Kind::ResourceLimitReached, message));
        }
        Ok(made)
    }
}

impl Noun for CustomField {
    type Entity = custom_field::Entity;

    fn table() -> &'static Table {
        &CUSTOM_FIELDS
    }

    fn decode(row: &mut Columns<'_>) -> Result<Self, Error> {
        let bound = |text: Option<String>| -> Result<Option<CustomValue>, Error> {
            text.map(|text| serde_json::from_str(&text).map_err(Error::internal)).transpose()
        };
        Ok(Self {
            id: row.take()?,
            key: row.take()?,
            label: row.take()?,
            field_type: row.field("field_type")?,
            is_required: row.take()?,
            bounds: Bounds {
                options: row.field("options")?,
                minimum: bound(row.take()?)?,
                maximum: bound(row.take()?)?,
                max_length: row.take()?,
            },
            is_active: row.take()?,
            created_at: row.field("created_at")?,
            updated_at: row.field("updated_at")?,
            version: row.take()?,
        })
    }

    fn encode(&self, workspace: WorkspaceId) -> custom_field::ActiveModel {
        custom_field::ActiveModel {
            workspace_id: Set(workspace.0),
            id: Set(self.id),
            name: Set(self.key.clone()),
            label: Set(self.label.clone()),
            field_type: Set(self.field_type.as_i16()),
            is_required: Set(self.is_required),
            options: Set(to_json(&self.bounds.options)),
            minimum: Set(self.bounds.minimum.as_ref().map(CustomValue::to_text)),
            maximum: Set(self.bounds.maximum.as_ref().map(CustomValue::to_text)),
            max_length: Set(self.bounds.max_length),
            is_active: Set(self.is_active),
            created_at: Set(self.created_at.0),
            updated_at: Set(self.updated_at.0),
            version: Set(self.version),
            facet: Set(self.facet()),
        }
    }

    noun_head!();

    fn facet(&self) -> i16 {
        ACTIVE.pack(self.is_active.into()) | MADE.pack(1)
    }

    fn bytes(&self) -> usize {
        self.bounds.options.iter().map(|option| option.value.len() + option.label.len()).sum()
    }

    fn taken(&self, error: &DbErr) -> Option<Error> {
        let message = || format!("A custom field with the key \"{}\" exists already.", self.key);
        let is_taken = is_taken(error, &["custom_fields_name_idx", "custom_fields.name"]);
        is_taken.then(|| Error::new(Kind::AlreadyExists, message()))
    }
}
