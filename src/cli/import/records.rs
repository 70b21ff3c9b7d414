//! `orqit import users|assets|projects|tasks|articles`: each record is found by what it is known by, or
//! made, changed where it differs, and brought to its status by steps that there are.

use std::process::ExitCode;

use serde_json::{Map, Value};

use super::mapping::Reason;
use super::noun::{Calls, Noun, Reference, message, own_keys};
use super::progress::Progress;
use super::upserts::Upserts;
use super::{Import, ImportArgs, ItemToSend, Kind};
use crate::cli::client;

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

    fn check(&self, item: Map<String, Value>) -> Result<Vec<ItemToSend>, Vec<Reason>> {
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
            true => Ok(vec![ItemToSend {
                key: keys.join("\u{1f}"),
                parent: None,
                adds: false,
                item: Value::Object(item).to_string().into_bytes(),
            }]),
        }
    }
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
