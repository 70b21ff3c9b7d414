//! The assets of a workspace. Their types and statuses are numbers here, as the contract numbers them:
//! what they mean is the service's business.

use std::borrow::Cow;

use migrations::case_folded;
use sea_orm::{DbErr, Value};

use super::entity::asset;
use super::failure::is_taken;
use super::nouns::{
    AlternateKey, CREATED_AT, Dimension, FigureNumber, NarrowFilter, Noun, Order, Search, Side,
    Table, Texts, UPDATED_AT, Values, noun_head, noun_row,
};
use crate::clock::{Date, Timestamp};
use crate::error::{Error, Kind};
use crate::resource::Resource;

/// The status of assets, as a dimension of their lists.
pub static STATUS: Dimension = Dimension { name: "status", shift: 5, bits: 15 };
/// The type of an asset, as a dimension of lists.
pub static TYPE: Dimension = Dimension { name: "asset_type", shift: 1, bits: 15 };
/// The assets that no user has, as a dimension of lists.
pub static UNASSIGNED: Dimension = Dimension { name: "unassigned", shift: 0, bits: 1 };

static NAME: Order =
    Order { name: "name", column: "name_key", values: Values::Texts, by_facet: false };
static WARRANTY_EXPIRES_AT: Order = Order {
    name: "warrantyExpiresAt",
    column: "warranty_expires_at",
    values: Values::NumbersOrNull,
    by_facet: false,
};

/// The tags of an asset.
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
    alternate_key: Some(AlternateKey::folded("asset_tag", "asset_tag_key")),
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
    /// The id: 1, 2, 3 … within the workspace; 0 before it has one.
    pub id: i64,
    /// The tag on the asset, unique whatever its case.
    pub asset_tag: String,
    /// The name.
    pub name: String,
    /// The number of its type.
    pub asset_type: i16,
    /// The number of its status.
    pub status: i16,
    /// The serial number, unique among those of its manufacturer.
    pub serial_number: Option<String>,
    /// The manufacturer.
    pub manufacturer: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The user who has it.
    pub assigned_user_id: Option<i64>,
    /// The location.
    pub location: Option<String>,
    /// The date of purchase.
    pub purchase_date: Option<Date>,
    /// The price, a decimal number as it was written.
    pub purchase_cost: Option<String>,
    /// The currency of that.
    pub currency: Option<String>,
    /// The date until which it is under warranty.
    pub warranty_expires_at: Option<Date>,
    /// The notes.
    pub notes: Option<String>,
    /// The tags; none twice.
    pub tags: Vec<String>,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The version: 1 when made, one more with every change.
    pub version: i64,
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
    /// Returns the text that no other asset has: manufacturer and serial number, each one line.
    fn serial_key(&self) -> Option<String> {
        let number = case_folded(self.serial_number.as_deref()?);
        let by = self.manufacturer.as_deref().map(case_folded).unwrap_or_default();
        Some(format!("{by}\n{number}"))
    }
}
