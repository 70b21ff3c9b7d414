//! `orqit import users|assets|projects|tasks|articles`: each record is found by what it is known by, or
//! made, changed where it differs, and brought to its status by steps that there are.

use std::process::ExitCode;

use rest::{Place, ReadJson, Steps, Validate, Violations};
use serde::Serialize;
use serde_json::{Map, Value};
use tonic::Status;

use super::mapping::Reason;
use super::progress::Progress;
use super::upserts::{Calls, Upserts};
use super::{Import, ImportArgs, Kind, Piece};
use crate::cli::client::{self, Client};

/// What a record refers to by other means than ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// A user, by their e-mail address.
    Person,
    /// A ticket, by the system that it comes from and its id there.
    Ticket,
}

/// A noun whose records can be imported.
pub trait Noun: Clone + Send + Sync + 'static {
    /// What they are called together.
    const NAME: &str;
    /// The members that a record is known by, of which the last is shown.
    const KEYS: &[&str];
    /// The members by which a record refers to others, each with the field that has the id.
    const REFERENCES: &[(&str, &str, Reference)];
    /// Whether one is made after the other, in the order of the file.
    const IN_ORDER: bool = false;
    type Update: ReadJson + Validate + Default + Send;
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

/// Runs the import of a noun's records.
pub async fn run<N: Noun>(args: &ImportArgs) -> Result<ExitCode, String> {
    let mut import = Import::read(args, &mut Records::<N>(std::marker::PhantomData))?;
    if let Some(code) = import.checked(args)? {
        return Ok(code);
    }
    let client = client::connect(&args.client).await?;
    let (records, _) = import.spool.len()?;
    let progress = Progress::new(N::NAME, Some(records));
    let parallel = if N::IN_ORDER { 1 } else { args.parallel as usize };
    let upserts = Upserts::<N>::new(Calls { client, progress: progress.clone() });
    let sent = import.send(upserts, parallel, &progress).await;
    let code = import.finish();
    sent.map(|()| code)
}

/// Records of a noun, as they are checked.
struct Records<N>(std::marker::PhantomData<N>);

impl<N: Noun> Kind for Records<N> {
    const NAME: &str = N::NAME;

    fn known_by(item: &Map<String, Value>) -> Option<String> {
        let key = N::KEYS.last()?;
        item.get(*key).and_then(Value::as_str).map(str::to_owned)
    }

    fn check(&self, item: Map<String, Value>) -> Result<Vec<Piece>, Vec<Reason>> {
        let mut wrong = Vec::new();
        let mut keys = Vec::new();
        for key in N::KEYS {
            match item.get(*key).and_then(Value::as_str).filter(|text| !text.is_empty()) {
                Some(text) => keys.push(migrations::case_folded(text)),
                None => {
                    let message = format!("{key} is needed: the record is known by it");
                    wrong.push(Reason::new(key, "REQUIRED", message));
                }
            }
        }
        let mut fields = item.clone();
        for (member, field, kind) in N::REFERENCES {
            if let Some(value) = fields.remove(*member) {
                wrong.extend(check_reference(member, *kind, &value));
                // Any id, to be checked with the rest.
                fields.insert((*field).to_owned(), Value::from(1));
            } else if fields.contains_key(*field) {
                let message = format!("{field} is an id of another workspace: send {member}");
                wrong.push(Reason::new(field, "UNKNOWN_FIELD", message));
            }
        }
        own_keys::<N>(&mut fields);
        if let Err(reasons) = message::<N::Update>(&fields) {
            wrong.extend(reasons);
        }
        match wrong.is_empty() {
            false => Err(wrong),
            true => Ok(vec![Piece {
                key: keys.join("\u{1f}"),
                parent: None,
                adds: false,
                item: Value::Object(item).to_string().into_bytes(),
            }]),
        }
    }
}

/// Takes out the keys that are no fields of an update.
pub fn own_keys<N: Noun>(fields: &mut Map<String, Value>) {
    let is_field = |key: &str| N::Update::FIELDS.iter().any(|field| field.is_called(key));
    fields.retain(|name, _| !N::KEYS.contains(&name.as_str()) || is_field(name));
}

fn check_reference(member: &str, kind: Reference, value: &Value) -> Option<Reason> {
    let has = |name: &str| value.get(name).is_some_and(Value::is_string);
    let (is_right, needed) = match kind {
        Reference::Person => (has("email"), "email"),
        Reference::Ticket => {
            (has("externalSource") && has("externalId"), "externalSource and externalId")
        }
    };
    let message = format!("{member} must be an object with {needed}, or null");
    (!is_right && !value.is_null()).then(|| Reason::new(member, "WRONG_TYPE", message))
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
