//! Names that another workspace can resolve, for the ids in exported records.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use crate::cli::client::{Client, sentence};
use crate::cli::import::calls::call;
use crate::cli::import::progress::Progress;
use crate::pb;

/// The number of names of each kind that are remembered.
const KNOWN_MAX: usize = 10_000;

/// The look-up of the names that ids stand for.
pub struct Outer {
    client: Client,
    progress: Progress,
    /// The source of tickets that were made here: `orqit:` and the workspace.
    source: String,
    /// The custom fields whose values are users.
    user_fields: Vec<String>,
    users: Mutex<BTreeMap<i64, Value>>,
    assets: Mutex<BTreeMap<i64, String>>,
    categories: Mutex<BTreeMap<i64, String>>,
}

impl Outer {
    pub async fn new(client: Client, progress: Progress) -> Result<Self, String> {
        let accounts = call(&progress, || {
            let mut client = client.keys();
            async move { client.list_accounts(pb::ListAccountsRequest::default()).await }
        });
        let accounts = accounts.await.map_err(|status| sentence(&status))?.into_inner().accounts;
        let slug = accounts.into_iter().next().map(|account| account.slug).unwrap_or_default();
        let source = format!("orqit:{slug}").chars().take(64).collect();
        let user_fields = user_fields(&client, &progress).await?;
        let (users, assets, categories) = Default::default();
        Ok(Self { client, progress, source, user_fields, users, assets, categories })
    }

    /// Returns a user as a person with an address; null for none, and for the SYSTEM user, in whose
    /// place another workspace has its own.
    pub async fn person(&self, id: Option<i64>) -> Result<Value, String> {
        let Some(id) = id else { return Ok(Value::Null) };
        if let Some(known) = self.users.lock().await.get(&id) {
            return Ok(known.clone());
        }
        let found = call(&self.progress, || {
            let mut client = self.client.users();
            async move { client.get_user(pb::GetUserRequest { id: id.to_string() }).await }
        });
        let user = found.await.map_err(|status| sentence(&status))?.into_inner().user;
        let user = user.filter(|user| user.role() != pb::UserRole::System);
        let person =
            user.map(|user| json!({"email": user.email, "displayName": user.display_name}));
        let person = person.unwrap_or_default();
        remember(&mut *self.users.lock().await, id, person.clone());
        Ok(person)
    }

    /// The values of custom fields, with users by their addresses.
    pub async fn custom_fields(
        &self,
        mut values: Map<String, Value>,
    ) -> Result<Map<String, Value>, String> {
        for key in &self.user_fields {
            if let Some(value) = values.get_mut(key) {
                *value = self.person(value.as_i64()).await?;
            }
        }
        Ok(values)
    }

    /// Returns the actor of a change, in the form that imports of history take.
    pub async fn actor(&self, actor: Option<&pb::AuditActor>) -> Result<Value, String> {
        let Some(actor) = actor else { return Ok(Value::Null) };
        let name = Value::from(actor.name.as_str());
        let person = match (actor.r#type(), actor.id.parse()) {
            (pb::ActorType::User, Ok(id)) => self.person(Some(id)).await?,
            _ => Value::Null,
        };
        Ok(match person {
            Value::Object(mut person) => {
                person.insert("displayName".to_owned(), name);
                Value::Object(person)
            }
            _ => json!({ "displayName": name }),
        })
    }

    /// The id of a comment, or of an entry of history, elsewhere: where it has none yet, by its number here.
    pub fn id(&self, external_id: Option<&str>, number: i64) -> String {
        external_id.map_or_else(|| format!("{}:{number}", self.source), str::to_owned)
    }

    /// Returns the names by which another workspace can find a ticket.
    pub fn known_by(&self, ticket: &pb::Ticket) -> Map<String, Value> {
        let (source, id) = match (&ticket.external_source, &ticket.external_id) {
            (Some(source), Some(id)) => (source.clone(), id.clone()),
            _ => (self.source.clone(), ticket.ticket_number.clone()),
        };
        let members = [("externalSource", source), ("externalId", id)];
        members.into_iter().map(|(name, text)| (name.to_owned(), Value::from(text))).collect()
    }

    /// Returns these names of the ticket with this id.
    pub async fn ticket(&self, id: i64) -> Result<Map<String, Value>, String> {
        let found = call(&self.progress, || {
            let mut client = self.client.tickets();
            let request = pb::GetTicketRequest { id: id.to_string(), ..Default::default() };
            async move { client.get_ticket(request).await }
        });
        let found = found.await.map_err(|status| sentence(&status))?.into_inner();
        let ticket = found.ticket.ok_or("the service answered without a ticket")?;
        Ok(self.known_by(&ticket))
    }

    /// The tag of an asset.
    pub async fn asset(&self, id: i64) -> Result<String, String> {
        if let Some(known) = self.assets.lock().await.get(&id) {
            return Ok(known.clone());
        }
        let found = call(&self.progress, || {
            let mut client = self.client.assets();
            async move { client.get_asset(pb::GetAssetRequest { id: id.to_string() }).await }
        });
        let found = found.await.map_err(|status| sentence(&status))?.into_inner().asset;
        let tag = found.map(|asset| asset.asset_tag).unwrap_or_default();
        remember(&mut *self.assets.lock().await, id, tag.clone());
        Ok(tag)
    }

    /// The name of a category.
    pub async fn category(&self, id: i64) -> Result<String, String> {
        if let Some(known) = self.categories.lock().await.get(&id) {
            return Ok(known.clone());
        }
        let found = call(&self.progress, || {
            let mut client = self.client.categories();
            async move { client.get_category(pb::GetCategoryRequest { id: id.to_string() }).await }
        });
        let found = found.await.map_err(|status| sentence(&status))?.into_inner().category;
        let name = found.map(|category| category.name).unwrap_or_default();
        remember(&mut *self.categories.lock().await, id, name.clone());
        Ok(name)
    }
}

async fn user_fields(client: &Client, progress: &Progress) -> Result<Vec<String>, String> {
    let (mut keys, mut cursor) = (Vec::new(), Some("start".to_owned()));
    while let Some(from) = cursor {
        let listed = call(progress, || {
            let (mut client, cursor) = (client.custom_fields(), Some(from.clone()));
            let request = pb::ListCustomFieldsRequest { cursor, ..Default::default() };
            async move { client.list_custom_fields(request).await }
        });
        let listed = listed.await.map_err(|status| sentence(&status))?.into_inner();
        let users = listed.custom_fields.into_iter();
        let users = users.filter(|field| field.r#type() == pb::CustomFieldType::User);
        keys.extend(users.map(|field| field.key));
        cursor = listed.meta.and_then(|meta| meta.next_cursor);
    }
    Ok(keys)
}

fn remember<T>(known: &mut BTreeMap<i64, T>, id: i64, value: T) {
    if known.len() >= KNOWN_MAX {
        known.clear();
    }
    known.insert(id, value);
}
