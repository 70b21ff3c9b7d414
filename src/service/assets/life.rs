//! The life of an asset: its status, and who has it, in step.

use rest::{Mask, Steps, Violations};

use super::messages::refuse_nobody;
use crate::error::{Error, Kind};
use crate::pb;
use crate::pb::AssetStatus::{Assigned, InRepair, InStock, InUse};
use crate::service::transitions;
use crate::store::assets::Asset;

/// Makes the status and the user of a changed asset fit each other. `after` has what the request asks
/// for; where it names the one alone, the other follows.
pub fn step(before: &Asset, after: &mut Asset, mask: &Mask) -> Result<(), Error> {
    let (names_status, names_user) = (mask.has("status"), mask.has("assigned_user_id"));
    if !names_status && names_user {
        follow(after);
    }
    if after.status != before.status {
        transitions::check::<pb::AssetStatus>("An asset", before.status, after.status)?;
    }
    let may_have_user = may_have_user(after.status);
    match after.assigned_user_id {
        Some(_) if !may_have_user && !names_user => after.assigned_user_id = None,
        Some(_) if after.status == number(InStock) => return Err(contradiction()),
        Some(_) if !may_have_user => return Err(not_assignable(after.status)),
        None if after.status == number(Assigned) => {
            let mut violations = Violations::default();
            refuse_nobody(&mut violations);
            return Err(Error::invalid(violations));
        }
        _ => {}
    }
    Ok(())
}

/// The status that a change of the user alone leads to.
fn follow(asset: &mut Asset) {
    let status = asset.status;
    match asset.assigned_user_id {
        Some(_) if status == number(InStock) => asset.status = number(Assigned),
        None if status == number(Assigned) || status == number(InUse) => {
            asset.status = number(InStock);
        }
        _ => {}
    }
}

/// The narrower topics under which a subscriber may ask for a change.
pub fn topics(before: &Asset, after: &Asset) -> impl Iterator<Item = &'static str> {
    let moved = before.status != after.status;
    let given = before.assigned_user_id != after.assigned_user_id;
    let topics = [
        ("asset.status_changed", moved),
        ("asset.assigned", given && after.assigned_user_id.is_some()),
    ];
    topics.into_iter().filter(|(_, applies)| *applies).map(|(topic, _)| topic)
}

fn may_have_user(status: i16) -> bool {
    [Assigned, InUse, InRepair].map(number).contains(&status)
}

fn number(status: pb::AssetStatus) -> i16 {
    status as i16
}

fn contradiction() -> Error {
    let remedy = "status cannot be IN_STOCK together with assignedUserId: leave it out";
    Error::invalid_field("status", "INVALID_COMBINATION", remedy)
}

fn not_assignable(status: i16) -> Error {
    let leads_to_stock = pb::AssetStatus::next(status.into()).contains(&InStock.into());
    let status = transitions::name::<pb::AssetStatus>(status.into());
    let remedy = if leads_to_stock { " Change its status to IN_STOCK first." } else { "" };
    let message = format!("An asset that is {status} cannot be assigned to anybody.{remedy}");
    Error::new(Kind::AssetNotAssignable { status: status.into() }, message)
}
