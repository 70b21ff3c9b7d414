//! The trait of a noun whose records are imported one by one.

use rest::{Place, ReadJson, Steps, Validate, Violations};
use serde::Serialize;
use serde_json::{Map, Value};
use tonic::Status;

use super::mapping::Reason;
use super::progress::Progress;
use crate::cli::client::Client;
use crate::pb;

/// A reference to a record by other means than its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// A user, by their e-mail address.
    Person,
    /// A ticket, by the system that it comes from and its id there.
    Ticket,
}

/// A noun whose records can be imported.
pub trait Noun: Clone + Send + Sync + 'static {
    /// The plural name of the records.
    const NAME: &str;
    /// The members that a record is known by, of which the last is shown.
    const KEYS: &[&str];
    /// The members by which a record refers to others, each with the field that has the id.
    const REFERENCES: &[(&str, &str, Reference)];
    /// True if the records are made one after the other, in the order of the file.
    const IN_ORDER: bool = false;
    type Update: ReadJson + Validate + Default + Clone + Send + Sync;
    type Create: ReadJson + Validate + Default + Send;
    type Resource: Serialize + Send;
    type Status: Steps;

    /// The resource with these keys, if it is there.
    fn find(
        client: &Client,
        keys: &Map<String, Value>,
    ) -> impl Future<Output = Result<Option<Self::Resource>, Status>> + Send;

    /// Makes one. What stands in `keys` and not in the message is where it belongs.
    fn create(
        calls: &Calls,
        keys: &Map<String, Value>,
        new: Self::Create,
    ) -> impl Future<Output = Result<Option<Self::Resource>, Status>> + Send;

    /// Changes the fields that are named of the resource with this id.
    fn update(
        client: &Client,
        id: String,
        fields: Vec<String>,
        update: Self::Update,
    ) -> impl Future<Output = Result<Option<Self::Resource>, Status>> + Send;
}

/// The means by which calls are made.
pub struct Calls {
    pub client: Client,
    pub progress: Progress,
}

/// Takes out the keys that are no fields of an update.
pub fn own_keys<N: Noun>(fields: &mut Map<String, Value>) {
    let is_field = |key: &str| N::Update::FIELDS.iter().any(|field| field.is_called(key));
    fields.retain(|name, _| !N::KEYS.contains(&name.as_str()) || is_field(name));
}

/// The message that JSON is, by its rules.
pub fn message<M: ReadJson + Validate + Default>(
    fields: &Map<String, Value>,
) -> Result<M, Vec<Reason>> {
    let mut wrong = Violations::default();
    let text = Value::Object(fields.clone()).to_string();
    let json = rest::Json::parse(text.as_bytes())
        .map_err(|message| vec![Reason::new("", "MALFORMED_RECORD", message)])?;
    let message: Option<M> = rest::value(json, &Place::ROOT, &mut wrong);
    let message = message.unwrap_or_default();
    message.validate(&mut wrong);
    // An update names its resource by its path, which is not here.
    let all =
        wrong.as_slice().iter().filter(|wrong| !matches!(wrong.field.as_str(), "id" | "taskId"));
    let all: Vec<_> =
        all.map(|wrong| Reason::new(&wrong.field, wrong.code, wrong.message.clone())).collect();
    if all.is_empty() { Ok(message) } else { Err(all) }
}

/// The user with this address.
pub async fn user(client: &Client, email: &str) -> Result<Option<pb::User>, Status> {
    let request = pb::ListUsersRequest { email: Some(email.to_owned()), ..Default::default() };
    let found = client.users().list_users(request).await?;
    Ok(found.into_inner().users.into_iter().next())
}
