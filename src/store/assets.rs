//! The assets of a workspace. Their types and statuses are numbers here, as the contract numbers them:
//! what they mean is the service's business.

use std::borrow::Cow;

use migrations::case_folded;
use sea_orm::{ColumnTrait, DbErr, QueryTrait, Value};

use super::entity::asset;
use super::failure::is_taken;
use super::nouns::{
    Dimension, FigureNumber, KeyValue, NarrowFilter, Noun, Order, Search, Side, Table, Texts,
    Values, decode, noun_head, noun_row, rows_where,
};
use super::rows::RowSource;
use super::sql::statement;
use super::{Reader, Tx};
use crate::clock::{Date, Timestamp};
use crate::error::{Error, Kind};
use crate::metrics::StoreOperation;
use crate::resource::Resource;

/// The status of assets, as a dimension of their lists.
pub static STATUS: Dimension = Dimension { name: "status", shift: 5, bits: 15 };
/// What kind of thing they are.
pub static TYPE: Dimension = Dimension { name: "asset_type", shift: 1, bits: 15 };
/// Whether nobody has them.
pub static UNASSIGNED: Dimension = Dimension { name: "unassigned", shift: 0, bits: 1 };

static CREATED_AT: Order =
    Order { name: "createdAt", column: "created_at", values: Values::Numbers, by_facet: true };
static UPDATED_AT: Order =
    Order { name: "updatedAt", column: "updated_at", values: Values::Numbers, by_facet: true };
static NAME: Order =
    Order { name: "name", column: "name_key", values: Values::Texts, by_facet: false };
static WARRANTY_EXPIRES_AT: Order = Order {
    name: "warrantyExpiresAt",
    column: "warranty_expires_at",
    values: Values::NumbersOrNull,
    by_facet: false,
};

/// Their tags.
pub static TAGS: Side = Side {
    table: "asset_tags",
    owner: "asset_id",
    value: "tag",
    is_text: true,
    created_at: Some("asset_created_at"),
};

/// The words of name, model and notes.
pub static WORDS: Search = Search { table: "asset_words" };

/// The number of open tickets that name an asset, beside the asset.
pub const OPEN_TICKETS: FigureNumber = FigureNumber(1);

static ASSETS: Table = Table {
    name: "assets",
    resource: Resource::Asset,
    noun: 6,
    has_history: true,
    dimensions: &[&STATUS, &TYPE, &UNASSIGNED],
    orders: &[&CREATED_AT, &UPDATED_AT, &NAME, &WARRANTY_EXPIRES_AT],
    narrows: &[
        NarrowFilter::unique(&["asset_tag_key"], "assets_asset_tag_key_idx"),
        NarrowFilter::of(&["serial_number_key"], "assets_serial_number_key_created_at_id_idx"),
        NarrowFilter::of(&["assigned_user_id"], "assets_assigned_user_id_created_at_id_idx"),
        NarrowFilter::beside(&TAGS, "asset_tags_tag_asset_created_at_asset_id_idx"),
        NarrowFilter::of(&["location_key"], "assets_location_key_created_at_id_idx"),
        NarrowFilter::of(&["manufacturer_key"], "assets_manufacturer_key_created_at_id_idx"),
    ],
    sides: &[&TAGS],
    search: Some(&WORDS),
    texts: Texts::unmade(),
};

/// An asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// 1, 2, 3 … within the workspace; 0 before it has one.
    pub id: i64,
    /// What is written on it, unique whatever its case.
    pub asset_tag: String,
    /// What it is called.
    pub name: String,
    /// The number of its type.
    pub asset_type: i16,
    /// The number of its status.
    pub status: i16,
    /// Its serial number, unique among those of its manufacturer.
    pub serial_number: Option<String>,
    /// Who made it.
    pub manufacturer: Option<String>,
    /// Which model it is.
    pub model: Option<String>,
    /// The user who has it.
    pub assigned_user_id: Option<i64>,
    /// Where it is.
    pub location: Option<String>,
    /// When it was bought.
    pub purchase_date: Option<Date>,
    /// What it cost, a decimal number as it was written.
    pub purchase_cost: Option<String>,
    /// The currency of that.
    pub currency: Option<String>,
    /// Until when it is under warranty.
    pub warranty_expires_at: Option<Date>,
    /// What else there is to know.
    pub notes: Option<String>,
    /// Words to find it by; none twice.
    pub tags: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// 1 when made, one more with every change.
    pub version: i64,
}

impl Reader<'_> {
    /// The asset with exactly this tag.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_asset_by_tag(&self, tag: &str) -> Result<Option<Asset>, Error> {
        let _timed = StoreOperation::begin("find_by_tag", "assets");
        let of_tag = asset::Column::AssetTagKey.eq(case_folded(tag));
        let select = rows_where::<Asset>(self.workspace, of_tag).build(self.backend());
        let found = RowSource::Reader(*self).read(select, decode::<Asset>).await?;
        Ok(found.into_iter().find(|asset| asset.asset_tag == tag))
    }
}

impl Tx {
    /// The id of the asset with this tag, whatever its case, and the tag itself.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_asset_tag(&self, tag: &str) -> Result<Option<(i64, String)>, Error> {
        let _timed = StoreOperation::begin("find_by_tag", "assets");
        let text =
            "SELECT id, asset_tag FROM assets WHERE workspace_id = $1 AND asset_tag_key = $2";
        let values = [self.workspace.0.into(), case_folded(tag).into()];
        let find = statement(self.transaction.backend(), text, values);
        self.transaction.read_one(find, |row| Ok((row.get(0)?, row.get(1)?))).await
    }
}

impl Noun for Asset {
    type Entity = asset::Entity;

    fn table() -> &'static Table {
        &ASSETS
    }

    noun_row! {
        asset {
            id, asset_tag, name, asset_type, status, serial_number, manufacturer, model,
            assigned_user_id, location, purchase_date, purchase_cost, currency,
            warranty_expires_at, notes, tags, created_at, updated_at, version,
        }
        |row| {
            facet: row.facet(),
            name_key: case_folded(&row.name),
            asset_tag_key: case_folded(&row.asset_tag),
            manufacturer_key: row.manufacturer.as_deref().map(case_folded),
            location_key: row.location.as_deref().map(case_folded),
            serial_number_key: row.serial_number.as_deref().map(case_folded),
            serial_key: row.serial_key(),
        }
    }

    noun_head!();

    fn facet(&self) -> i16 {
        STATUS.pack(self.status)
            | TYPE.pack(self.asset_type)
            | UNASSIGNED.pack(self.assigned_user_id.is_none().into())
    }

    fn key(&self, order: &Order) -> Option<KeyValue> {
        let number = match order.column {
            "name_key" => return Some(KeyValue::Text(case_folded(&self.name))),
            "updated_at" => self.updated_at.0,
            "warranty_expires_at" => self.warranty_expires_at?.start().0,
            _ => self.created_at.0,
        };
        Some(KeyValue::Number(number))
    }

    fn bytes(&self) -> usize {
        self.name.len() + self.notes.as_ref().map_or(0, String::len)
    }

    fn side(&self, _: &Side) -> Vec<Value> {
        self.tags.iter().map(|tag| tag.clone().into()).collect()
    }

    fn searched(&self) -> [Cow<'_, str>; 2] {
        let texts = [self.model.as_deref(), self.notes.as_deref()];
        let texts = texts.into_iter().flatten().collect::<Vec<_>>().join("\n");
        [Cow::Borrowed(&self.name), Cow::Owned(texts)]
    }

    fn taken(&self, error: &DbErr) -> Option<Error> {
        let message = if is_taken(error, &["assets_asset_tag_key_idx", "assets.asset_tag_key"]) {
            format!("An asset with the assetTag \"{}\" exists already.", self.asset_tag)
        } else if is_taken(error, &["assets_serial_key_idx", "assets.serial_key"]) {
            let number = self.serial_number.as_deref().unwrap_or_default();
            match &self.manufacturer {
                Some(by) => {
                    format!("An asset of {by} with the serialNumber \"{number}\" exists already.")
                }
                None => format!(
                    "An asset with the serialNumber \"{number}\" and no manufacturer exists already."
                ),
            }
        } else {
            return None;
        };
        Some(Error::new(Kind::AlreadyExists, message))
    }
}

impl Asset {
    /// What no other asset has: manufacturer and serial number, each one line.
    fn serial_key(&self) -> Option<String> {
        let number = case_folded(self.serial_number.as_deref()?);
        let by = self.manufacturer.as_deref().map(case_folded).unwrap_or_default();
        Some(format!("{by}\n{number}"))
    }
}
