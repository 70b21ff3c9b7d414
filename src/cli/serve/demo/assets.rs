//! The assets of the demo's company.

use std::sync::Arc;

use super::{by, refused};
use crate::auth::caller::Caller;
use crate::error::Error;
use crate::pb::asset_service_server::AssetService;
use crate::pb::{AssetStatus, AssetType, CreateAssetRequest, UpdateAssetRequest};
use crate::service::assets::Assets;
use crate::store::Store;

/// An asset of the demo. People are named by their place.
struct Thing {
    tag: Option<&'static str>,
    name: &'static str,
    kind: AssetType,
    /// The manufacturer, the model and the serial number.
    made: (&'static str, &'static str, &'static str),
    location: &'static str,
    user: Option<usize>,
    /// The date of purchase, the price in euros, and the end of the warranty.
    bought: Option<(&'static str, &'static str, &'static str)>,
    notes: Option<&'static str>,
    tags: &'static [&'static str],
    life: &'static [AssetStatus],
}

use AssetStatus::{InRepair, InUse, Ordered, Retired};
use AssetType::{Laptop, Monitor, Network, Other, Phone, Printer, Server, SoftwareLicense};

const THINGS: [Thing; 11] = [
    Thing {
        tag: None,
        name: "Notebook of the front desk",
        kind: Laptop,
        made: ("Lenovo", "ThinkPad T14 Gen 5", "PF-4A1TQ7"),
        location: "Lisboa, 1st floor",
        user: Some(2),
        bought: Some(("2025-02-03", "1349.00", "2028-02-02")),
        notes: None,
        tags: &["standard"],
        life: &[InUse],
    },
    Thing {
        tag: None,
        name: "Notebook for developers",
        kind: Laptop,
        made: ("Dell", "Precision 5690", "7XK2M54"),
        location: "Berlin, 3.12",
        user: Some(5),
        bought: Some(("2025-09-15", "2899.90", "2028-09-14")),
        notes: Some("Deutsche Tastatur."),
        tags: &["developer"],
        life: &[InUse],
    },
    Thing {
        tag: None,
        name: "Notebook for a new colleague",
        kind: Laptop,
        made: ("Dell", "Precision 5690", "7XK2M61"),
        location: "Berlin, store room",
        user: None,
        bought: Some(("2026-01-12", "2899.90", "2029-01-11")),
        notes: None,
        tags: &["developer", "onboarding"],
        life: &[],
    },
    Thing {
        tag: None,
        name: "Bildschirm 27 Zoll",
        kind: Monitor,
        made: ("EIZO", "FlexScan EV2740X", "62841026"),
        location: "Berlin, 3.12",
        user: Some(5),
        bought: Some(("2025-09-15", "879.00", "2030-09-14")),
        notes: None,
        tags: &[],
        life: &[],
    },
    Thing {
        tag: Some("PRN-2-EAST"),
        name: "Printer on the second floor",
        kind: Printer,
        made: ("Brother", "HL-L9470CDN", "E80214B3N118866"),
        location: "Lisboa, 2nd floor",
        user: None,
        bought: Some(("2023-05-08", "715.50", "2026-05-07")),
        notes: Some("Toner TN-821XXL, spare cartridges in the cupboard below."),
        tags: &["shared"],
        life: &[InUse],
    },
    Thing {
        tag: Some("ROOM-TEJO"),
        name: "Display at the door of Tejo",
        kind: Other,
        made: ("Philips", "10BDL4551T", "AU0A2208000417"),
        location: "Lisboa, 1st floor",
        user: None,
        bought: Some(("2022-11-21", "540.00", "2025-11-20")),
        notes: None,
        tags: &["meeting-rooms", "shared"],
        life: &[InUse],
    },
    Thing {
        tag: Some("SRV-FILES"),
        name: "File server",
        kind: Server,
        made: ("Dell", "PowerEdge R740", "9CQ4XR3"),
        location: "Lisboa, rack 2",
        user: None,
        bought: Some(("2020-06-30", "8450.00", "2025-06-29")),
        notes: Some("Is replaced by the new storage. Nothing new goes onto it."),
        tags: &["storage"],
        life: &[InUse],
    },
    Thing {
        tag: None,
        name: "Telefon służbowy",
        kind: Phone,
        made: ("Fairphone", "5", "FP5-118203"),
        location: "Warszawa",
        user: Some(7),
        bought: Some(("2025-04-01", "599.00", "2030-03-31")),
        notes: None,
        tags: &[],
        life: &[],
    },
    Thing {
        tag: None,
        name: "Access points for Porto, 12 pieces",
        kind: Network,
        made: ("Aruba", "AP-635", "CNRSK8X0BD"),
        location: "On the way",
        user: None,
        bought: None,
        notes: None,
        tags: &["porto"],
        life: &[Ordered],
    },
    Thing {
        tag: Some("LIC-CAD"),
        name: "CAD suite, 25 seats",
        kind: SoftwareLicense,
        made: ("Siemens", "Solid Edge 2026", "SE-0099-2231"),
        location: "All sites",
        user: None,
        bought: Some(("2026-01-01", "18750.00", "2026-12-31")),
        notes: Some("Renewal is due in November."),
        tags: &["license"],
        life: &[InUse],
    },
    Thing {
        tag: None,
        name: "Notebook with a broken hinge",
        kind: Laptop,
        made: ("Lenovo", "ThinkPad T480", "PF-1B7KX2"),
        location: "Lisboa, workshop",
        user: None,
        bought: Some(("2018-10-10", "1199.00", "2021-10-09")),
        notes: None,
        tags: &[],
        life: &[InRepair, Retired],
    },
];

/// Loads the assets.
pub async fn load(store: &Store, caller: &Arc<Caller>, people: &[i64]) -> Result<(), Error> {
    let assets = Assets { store: store.clone() };
    for thing in &THINGS {
        own(&assets, caller, thing, people).await?;
    }
    Ok(())
}

async fn own(
    assets: &Assets,
    caller: &Arc<Caller>,
    thing: &Thing,
    people: &[i64],
) -> Result<(), Error> {
    let (manufacturer, model, serial_number) = thing.made;
    let (ordered, life) = match thing.life {
        [Ordered, life @ ..] => (Some(Ordered.into()), life),
        life => (None, life),
    };
    let create = CreateAssetRequest {
        asset_tag: thing.tag.map(str::to_owned),
        name: thing.name.to_owned(),
        r#type: thing.kind.into(),
        status: ordered,
        serial_number: Some(serial_number.to_owned()),
        manufacturer: Some(manufacturer.to_owned()),
        model: Some(model.to_owned()),
        assigned_user_id: thing.user.map(|user| people[user]),
        location: Some(thing.location.to_owned()),
        purchase_date: thing.bought.map(|(date, _, _)| date.to_owned()),
        purchase_cost: thing.bought.map(|(_, cost, _)| cost.to_owned()),
        currency: thing.bought.map(|_| "EUR".to_owned()),
        warranty_expires_at: thing.bought.map(|(_, _, until)| until.to_owned()),
        notes: thing.notes.map(str::to_owned),
        tags: thing.tags.iter().map(|tag| (*tag).to_owned()).collect(),
    };
    let created = assets.create_asset(by(caller, create)).await.map_err(refused)?.into_inner();
    let id = created.asset.map_or_else(String::new, |asset| asset.id.to_string());
    for status in life {
        let (id, status) = (id.clone(), Some((*status).into()));
        let update = UpdateAssetRequest { id, status, ..UpdateAssetRequest::default() };
        assets.update_asset(by(caller, update)).await.map_err(refused)?;
    }
    Ok(())
}
