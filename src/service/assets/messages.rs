//! The translation between the messages of the contract and the assets of the store.

use iso_currency::Currency;
use rest::Violations;

use crate::clock::{Date, Timestamp};
use crate::error::Error;
use crate::pb;
use crate::service::{decimal, stored};
use crate::store::assets::Asset;

/// The most digits of a price, before and behind the point.
const COST_DIGITS: (usize, usize) = (12, 4);

/// The rules of a new asset that no single field can tell.
pub fn check_new(message: &pb::CreateAssetRequest, violations: &mut Violations) {
    use pb::AssetStatus::{Assigned, InStock, Ordered, Unspecified};
    check_tag(message.asset_tag.as_deref(), violations);
    check_cost(message.purchase_cost.as_deref(), violations);
    check_currency(message.currency.as_deref(), violations);
    if message.purchase_cost.is_some() && message.currency.is_none() {
        refuse_cost_alone(violations);
    }
    let status = message.status.map_or(Unspecified, |_| message.status());
    let remedy = match (status, message.assigned_user_id) {
        (Unspecified | Assigned, Some(_)) | (Unspecified | Ordered | InStock, None) => return,
        (Assigned, None) => return refuse_nobody(violations),
        (_, Some(_)) => {
            "status of a new asset that somebody has can only be ASSIGNED; leave it out"
        }
        (_, None) => {
            "status of a new asset can only be IN_STOCK, ORDERED, or ASSIGNED with assignedUserId"
        }
    };
    violations.add("status", "INVALID_COMBINATION", remedy);
}

/// The rules of a change that no single field can tell.
pub fn check_changed(message: &pb::UpdateAssetRequest, violations: &mut Violations) {
    check_tag(message.asset_tag.as_deref(), violations);
    check_cost(message.purchase_cost.as_deref(), violations);
    check_currency(message.currency.as_deref(), violations);
}

fn check_tag(tag: Option<&str>, violations: &mut Violations) {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if tag.is_some_and(|tag| !tag.chars().all(fits)) {
        let remedy =
            "assetTag must be of letters from A to Z, digits, dots, underscores and hyphens";
        violations.add("assetTag", "INVALID_VALUE", remedy);
    }
}

fn check_cost(cost: Option<&str>, violations: &mut Violations) {
    if cost.is_some_and(|cost| !decimal::fits(cost, COST_DIGITS)) {
        let remedy = "purchaseCost must be a decimal number of at most 12 digits before the point and 4 behind, such as 1299.00";
        violations.add("purchaseCost", "INVALID_DECIMAL", remedy);
    }
}

fn check_currency(code: Option<&str>, violations: &mut Violations) {
    if code.is_some_and(|code| Currency::from_code(code).is_none()) {
        let remedy = "currency must be a code of ISO 4217, such as EUR";
        violations.add("currency", "INVALID_VALUE", remedy);
    }
}

fn refuse_cost_alone(violations: &mut Violations) {
    violations.add("currency", "REQUIRED", "currency is needed beside purchaseCost");
}

/// Notes that an asset that is to be ASSIGNED needs a user.
pub fn refuse_nobody(violations: &mut Violations) {
    let remedy = "assignedUserId is needed where status is ASSIGNED";
    violations.add("assignedUserId", "REQUIRED", remedy);
}

/// An asset as the contract shows it, with nothing counted beside it.
pub fn shown(asset: Asset) -> pb::Asset {
    pb::Asset {
        id: asset.id,
        asset_tag: asset.asset_tag,
        name: asset.name,
        r#type: asset.asset_type.into(),
        status: asset.status.into(),
        serial_number: asset.serial_number,
        manufacturer: asset.manufacturer,
        model: asset.model,
        assigned_user_id: asset.assigned_user_id,
        location: asset.location,
        purchase_date: asset.purchase_date.map(|date| date.to_string()),
        purchase_cost: asset.purchase_cost,
        currency: asset.currency,
        warranty_expires_at: asset.warranty_expires_at.map(|date| date.to_string()),
        notes: asset.notes,
        tags: asset.tags,
        open_ticket_count: 0,
        created_at: Some(asset.created_at.into()),
        updated_at: Some(asset.updated_at.into()),
        version: asset.version,
    }
}

/// The asset that a request asks for; without a tag where it gives none.
pub fn new_asset(message: pb::CreateAssetRequest, now: Timestamp) -> Asset {
    use pb::AssetStatus::{Assigned, InStock};
    let default = if message.assigned_user_id.is_some() { Assigned } else { InStock };
    Asset {
        id: 0,
        asset_tag: message.asset_tag.unwrap_or_default(),
        name: message.name,
        asset_type: stored(message.r#type),
        status: stored(message.status.unwrap_or(default.into())),
        serial_number: message.serial_number,
        manufacturer: message.manufacturer,
        model: message.model,
        assigned_user_id: message.assigned_user_id,
        location: message.location,
        purchase_date: message.purchase_date.as_deref().and_then(Date::parse),
        purchase_cost: message.purchase_cost,
        currency: message.currency,
        warranty_expires_at: message.warranty_expires_at.as_deref().and_then(Date::parse),
        notes: message.notes,
        tags: message.tags,
        created_at: now,
        updated_at: now,
        version: 1,
    }
}

/// The asset `before` as `wanted` shows it.
pub fn updated(before: &Asset, wanted: pb::Asset) -> Result<Asset, Error> {
    let mut violations = Violations::default();
    if wanted.purchase_cost.is_some() && wanted.currency.is_none() {
        refuse_cost_alone(&mut violations);
        return Err(Error::invalid(violations));
    }
    Ok(Asset {
        asset_tag: wanted.asset_tag,
        name: wanted.name,
        asset_type: stored(wanted.r#type),
        status: stored(wanted.status),
        serial_number: wanted.serial_number,
        manufacturer: wanted.manufacturer,
        model: wanted.model,
        assigned_user_id: wanted.assigned_user_id,
        location: wanted.location,
        purchase_date: wanted.purchase_date.as_deref().and_then(Date::parse),
        purchase_cost: wanted.purchase_cost,
        currency: wanted.currency,
        warranty_expires_at: wanted.warranty_expires_at.as_deref().and_then(Date::parse),
        notes: wanted.notes,
        tags: wanted.tags,
        ..before.clone()
    })
}
