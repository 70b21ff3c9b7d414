//! The people of an import, who are users by their e-mail addresses.

use std::collections::{BTreeMap, BTreeSet};

use migrations::case_folded;
use prost_types::Value;
use prost_types::value::Kind;
use rest::Violations;

use super::known::Known;
use crate::email::address::local_part;
use crate::error::{Error, Kind as Refusal};
use crate::event::Actor;
use crate::event_type::EventType;
use crate::pb;
use crate::service::users::record_new;
use crate::store::users::Role;
use crate::store::{Tx, User};

/// The users by their addresses.
pub struct People {
    /// The ids, by folded addresses.
    ids: BTreeMap<String, i64>,
    /// True if somebody is named who is not there yet.
    are_new: bool,
    /// The folded addresses of the users whom the item under way has made.
    made: Vec<String>,
    system_user: i64,
}

/// The users that an item names.
pub struct Ids {
    pub requester: Option<i64>,
    pub assignee: Option<i64>,
    pub watchers: Vec<i64>,
    /// The author of each comment.
    pub authors: Vec<Option<i64>>,
    /// The actor of each entry of history.
    pub actors: Vec<Option<Actor>>,
    /// The values of custom fields, in which people are ids.
    pub custom_fields: BTreeMap<String, Value>,
}

impl People {
    /// Finds those that the items name.
    pub async fn find(
        tx: &Tx,
        items: &[pb::TicketImport],
        system_user: i64,
    ) -> Result<Self, Error> {
        let wanted = items.iter().flat_map(addresses).map(|(_, address)| case_folded(&address));
        let wanted: BTreeSet<_> = wanted.collect();
        let wanted: Vec<_> = wanted.into_iter().filter(|address| !address.is_empty()).collect();
        let ids = tx.find_ids::<User>("email_key", &wanted, None).await?;
        let are_new = ids.len() < wanted.len();
        Ok(Self { ids, are_new, made: Vec::new(), system_user })
    }

    /// Returns true if somebody is named who is not there yet.
    pub fn are_new(&self) -> bool {
        self.are_new
    }

    /// Notes where an item names the SYSTEM user: nobody speaks in its name.
    pub fn check(&self, item: &pb::TicketImport, violations: &mut Violations) {
        for (field, address) in addresses(item) {
            if self.ids.get(&case_folded(&address)) == Some(&self.system_user) {
                let field = format!("{field}.email");
                let remedy = format!("{field} is that of the SYSTEM user: use another one");
                violations.add(field, "SYSTEM_USER", remedy);
            }
        }
    }

    /// Returns the users that an item names, but for what is known already; those who do not exist
    /// are made.
    pub async fn of(
        &mut self,
        tx: &mut Tx,
        item: &pb::TicketImport,
        known: &Known,
    ) -> Result<Ids, Error> {
        self.made.clear();
        let mut watchers = Vec::with_capacity(item.watchers.len());
        let requester = self.id(tx, item.requester.as_ref()).await?;
        let assignee = self.id(tx, item.assignee.as_ref()).await?;
        for watcher in &item.watchers {
            watchers.extend(self.id(tx, Some(watcher)).await?);
        }
        let mut authors = Vec::with_capacity(item.comments.len());
        for comment in &item.comments {
            let is_new = |_: &&pb::Person| !known.comments.contains(&comment.external_id);
            authors.push(self.id(tx, comment.author.as_ref().filter(is_new)).await?);
        }
        let mut actors = Vec::with_capacity(item.history.len());
        for entry in &item.history {
            actors.push(match &entry.actor {
                Some(actor) if !known.history.contains(&entry.external_id) => {
                    Some(self.actor(tx, actor).await?)
                }
                _ => None,
            });
        }
        let mut custom_fields = item.custom_fields.clone();
        for value in custom_fields.values_mut() {
            if let Some(person) = person_in(value)
                && let Some(id) = self.id(tx, Some(&person)).await?
            {
                // Ids are far below where a double rounds.
                value.kind = Some(Kind::NumberValue(id as f64));
            }
        }
        Ok(Ids { requester, assignee, watchers, authors, actors, custom_fields })
    }

    /// Forgets the users whom a refused item has made.
    pub fn forget_new(&mut self) {
        for address in self.made.drain(..) {
            self.ids.remove(&address);
        }
    }

    async fn actor(&mut self, tx: &mut Tx, actor: &pb::HistoryActor) -> Result<Actor, Error> {
        let name = actor.display_name.as_deref();
        let Some(email) = &actor.email else {
            return Ok(Actor::user(None, name.unwrap_or_default()));
        };
        let name = name.unwrap_or_else(|| local_part(email));
        let person = pb::Person { email: email.clone(), display_name: Some(name.to_owned()) };
        Ok(Actor::user(self.id(tx, Some(&person)).await?, name))
    }

    async fn id(&mut self, tx: &mut Tx, person: Option<&pb::Person>) -> Result<Option<i64>, Error> {
        let Some(pb::Person { email, display_name }) = person else { return Ok(None) };
        let key = case_folded(email);
        if let Some(id) = self.ids.get(&key) {
            return Ok(Some(*id));
        }
        let name = display_name.as_deref().unwrap_or_else(|| local_part(email));
        let new = User::new(name, email, Role::EndUser, tx.now());
        let made = tx.attempt(async |tx| tx.insert(new).await).await;
        let id = match made {
            Ok(user) => {
                record_new(tx, EventType::UserImported, &user);
                self.made.push(key.clone());
                user.id
            }
            // Somebody else has made it meanwhile.
            Err(error) if error.kind == Refusal::AlreadyExists => {
                tx.find_folded::<User>("email_key", email).await?.ok_or(error)?.id
            }
            Err(error) => return Err(error),
        };
        self.ids.insert(key, id);
        Ok(Some(id))
    }
}

/// The person that a value of a custom field is, if it is one.
pub fn person_in(value: &Value) -> Option<pb::Person> {
    let Some(Kind::StructValue(person)) = &value.kind else { return None };
    let text = |name: &str| match person.fields.get(name).and_then(|value| value.kind.as_ref()) {
        Some(Kind::StringValue(text)) => Some(text.clone()),
        _ => None,
    };
    let is_whole =
        person.fields.keys().all(|name| matches!(name.as_str(), "email" | "displayName"));
    let email = text("email").filter(|_| is_whole)?;
    Some(pb::Person { email, display_name: text("displayName") })
}

/// The addresses that an item names, each with the field in which it stands.
fn addresses(item: &pb::TicketImport) -> impl Iterator<Item = (String, String)> {
    let requester = item.requester.iter().map(|it| ("requester".to_owned(), it.email.as_str()));
    let assignee = item.assignee.iter().map(|it| ("assignee".to_owned(), it.email.as_str()));
    let watchers = item.watchers.iter().enumerate();
    let watchers = watchers.map(|(at, it)| (format!("watchers[{at}]"), it.email.as_str()));
    let comments = item.comments.iter().enumerate();
    let authors = comments.filter_map(|(at, comment)| {
        let author = comment.author.as_ref()?;
        Some((format!("comments[{at}].author"), author.email.as_str()))
    });
    let history = item.history.iter().enumerate();
    let actors = history.filter_map(|(at, entry)| {
        let email = entry.actor.as_ref()?.email.as_deref()?;
        Some((format!("history[{at}].actor"), email))
    });
    let values = item.custom_fields.iter().filter_map(|(key, value)| {
        let person = person_in(value)?;
        Some((format!("customFields.{key}"), person.email))
    });
    let named = requester.chain(assignee).chain(watchers).chain(authors).chain(actors);
    named.map(|(field, email)| (field, email.to_owned())).chain(values)
}
