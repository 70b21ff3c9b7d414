//! The demo, a small company: its people, assets and projects, the tickets of a week with their
//! comments, articles and e-mails.
//!
//! All but people and keys goes through the services like anybody's, so that it has events and versions.

mod articles;
mod assets;
mod emails;
mod projects;
mod tickets;
mod webhooks;

use std::sync::Arc;

use tonic::Request;

use crate::auth::caller::Caller;
use crate::auth::key::KeyText;
use crate::cli::key;
use crate::clock::Clock;
use crate::error::Error;
use crate::event_type::EventType;
use crate::service::users;
use crate::store::{NewKey, Role, Store, User};
use crate::webhooks::Settings;

const DAY_MILLIS: i64 = 24 * 3600 * 1000;

const LISBON: &str = "Europe/Lisbon";
const BERLIN: &str = "Europe/Berlin";

/// A person of the demo: name, the part of the address before the `@`, role; title, department,
/// time zone and language.
type Person = (&'static str, &'static str, Role, [&'static str; 4]);

const PEOPLE: [Person; 8] = [
    ("Ines Carvalho", "ines.carvalho", Role::Agent, ["Head of the desk", "IT", LISBON, "pt-PT"]),
    ("Tomasz Wolski", "tomasz.wolski", Role::Agent, ["Engineer", "IT", BERLIN, "de-DE"]),
    ("Amara Diallo", "amara.diallo", Role::EndUser, ["Receptionist", "Office", LISBON, "fr-FR"]),
    ("Jonas Lindqvist", "jonas.lindqvist", Role::EndUser, ["Manager", "Sales", BERLIN, "sv-SE"]),
    ("Priya Raman", "priya.raman", Role::EndUser, ["Accountant", "Finance", LISBON, "en-GB"]),
    ("Jürgen Weiß", "juergen.weiss", Role::EndUser, ["Developer", "Product", BERLIN, "de-DE"]),
    ("Rui Gonçalves", "rui.goncalves", Role::EndUser, ["Architect", "Office", LISBON, "pt-PT"]),
    (
        "Małgorzata Żak",
        "malgorzata.zak",
        Role::EndUser,
        ["Consultant", "Sales", "Europe/Warsaw", "pl-PL"],
    ),
];

/// The keys of the demo, which nobody has: their secrets were never told. The documentation has
/// their ids as its examples, and those of much else that is here.
const KEYS: [(&str, &str, &str); 2] =
    [("4fQ7x2Lm", "Monitoring", "read-only"), ("9zR3nT8v", "Old portal", "tickets:create")];

/// Loads the demo as `caller`.
pub async fn load(
    store: &Store,
    clock: &Clock,
    settings: &Settings,
    caller: &Arc<Caller>,
) -> Result<(), Error> {
    let people = employ(store, caller).await?;
    assets::load(store, caller, &people).await?;
    tickets::load(store, clock, caller, &people).await?;
    projects::load(store, clock, caller, &people).await?;
    emails::load(store, caller).await?;
    // Before the last events, which they get.
    webhooks::load(store, settings, caller).await?;
    articles::load(store, caller).await
}

/// Loads the people, and the keys.
async fn employ(store: &Store, caller: &Arc<Caller>) -> Result<Vec<i64>, Error> {
    let mut tx = store.begin(caller.workspace(), caller.actor()).await?;
    for (key_id, name, scope) in KEYS {
        let new = key::new_key(&KeyText::generate(), name.to_owned(), vec![scope.to_owned()]);
        let new = NewKey { key_id: key_id.to_owned(), ..new.map_err(Error::internal)? };
        key::insert(&mut tx, new).await?;
    }
    let mut people = Vec::with_capacity(PEOPLE.len());
    for (name, address, role, [title, department, timezone, locale]) in PEOPLE {
        let new = User {
            title: Some(title.to_owned()),
            department: Some(department.to_owned()),
            timezone: Some(timezone.to_owned()),
            locale: Some(locale.to_owned()),
            ..User::new(name, &format!("{address}@default.example"), role, tx.now())
        };
        let user = tx.insert(new).await?;
        users::record_new(&mut tx, EventType::UserCreated, &user);
        people.push(user.id);
    }
    tx.commit().await?;
    Ok(people)
}

fn by<M>(caller: &Arc<Caller>, message: M) -> Request<M> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(caller.clone());
    request
}

fn refused(status: tonic::Status) -> Error {
    Error::of_status(status).unwrap_or_else(Error::internal)
}
