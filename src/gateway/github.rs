//! The endpoint by which GitHub's secret scanning reports keys of ours that it found in public.
//!
//! It is no RPC, because its format is GitHub's and not ours: the sender is known by a signature
//! over the bytes of the body, members that we do not know are passed over, and the answer is a bare
//! array that tells of each token whether it is a key. A token is never repeated, only its hash.

mod public_keys;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use rest::{Json, Place, Violations, Wrong};
use serde::Serialize;
use sha2::{Digest, Sha256};

pub use public_keys::GithubKeys;

use super::body;
use super::body::Received;
use super::json::json;
use crate::auth::key::redact;
use crate::auth::leaks::{Leaks, Reporter};
use crate::body::Bodies;
use crate::config::{BODY_BYTES_MAX, SCANNED_TOKENS_MAX};
use crate::error::{Error, Kind};
use crate::layers::{Request, Response};
use crate::trail::Trail;

/// The header that names the key of the signature; in lower case for the look-up, and as GitHub
/// writes it for messages.
const IDENTIFIER: (HeaderName, &str) =
    (HeaderName::from_static("github-public-key-identifier"), "Github-Public-Key-Identifier");
/// The header with the signature.
const SIGNATURE: (HeaderName, &str) =
    (HeaderName::from_static("github-public-key-signature"), "Github-Public-Key-Signature");

/// Takes the reports.
pub struct Github {
    /// The public keys of GitHub.
    pub keys: GithubKeys,
    /// The desk for leaked keys, which revokes them.
    pub leaks: Arc<Leaks>,
}

/// A token that was found.
#[derive(Default)]
struct Found {
    token: String,
    /// The name by which GitHub calls tokens of this kind.
    token_type: String,
}

/// The answer to GitHub about a token.
#[derive(Serialize)]
struct Feedback {
    /// The SHA-256 of the token, in base64.
    token_hash: String,
    token_type: String,
    label: &'static str,
}

impl Github {
    /// Revokes the keys among the reported tokens. GitHub may report as many as it finds; whatever it
    /// has not signed counts against its client's budget.
    pub async fn answer(&self, request: Request, bodies: &Bodies) -> Result<Response, Error> {
        let trail = request.extensions().get::<Arc<Trail>>();
        let client = trail.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |trail| trail.client);
        self.leaks.check(client)?;
        let received = match self.signed(request, bodies).await {
            Ok(received) => received,
            Err(refusal) => return Err(self.leaks.admit(client).err().unwrap_or(refusal)),
        };
        let mut feedback = Vec::new();
        for found in read(&received.decode()?)? {
            feedback.push(self.judge(found).await?);
        }
        let body = serde_json::to_vec(&feedback).map_err(Error::internal)?;
        let mut response = json(StatusCode::OK, body.into());
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }

    /// The body, if GitHub signed it.
    async fn signed(&self, request: Request, bodies: &Bodies) -> Result<Received, Error> {
        let (mut parts, body) = request.into_parts();
        if parts.uri.query().is_some() {
            return Err(Error::new(Kind::UnknownField, "This path takes no query parameters."));
        }
        let received = body::receive(bodies, &mut parts, body, BODY_BYTES_MAX).await?;
        self.verify(&parts.headers, &received.raw)?;
        Ok(received)
    }

    /// Checks that GitHub signed these bytes; reports everything that is wrong with the headers.
    fn verify(&self, headers: &HeaderMap, raw: &Bytes) -> Result<(), Error> {
        let mut violations = Violations::default();
        let identifier = only(headers, &IDENTIFIER, &mut violations);
        let signature = only(headers, &SIGNATURE, &mut violations);
        let key = identifier.and_then(|identifier| {
            let key = self.keys.find(identifier);
            if key.is_none() {
                let remedy = "must name one of GitHub's keys that are configured here";
                note(&IDENTIFIER, Wrong::new("INVALID_VALUE", remedy), &mut violations);
            }
            key
        });
        if let (Some(key), Some(signature)) = (key, signature) {
            let signature = STANDARD.decode(signature).unwrap_or_default();
            if key.verify(raw, &signature).is_err() {
                let remedy = "must be that key's signature of the body (ECDSA P-256 and SHA-256, DER, base64)";
                note(&SIGNATURE, Wrong::new("INVALID_VALUE", remedy), &mut violations);
            }
        }
        if violations.is_empty() { Ok(()) } else { Err(Error::invalid(violations)) }
    }

    async fn judge(&self, found: Found) -> Result<Feedback, Error> {
        let is_key = self.leaks.report(&found.token, Reporter::GithubSecretScanning).await?;
        let token_hash = STANDARD.encode(Sha256::digest(found.token.as_bytes()));
        let mut token_type = found.token_type;
        redact(&mut token_type);
        let label = if is_key { "true_positive" } else { "false_positive" };
        Ok(Feedback { token_hash, token_type, label })
    }
}

/// The value of a header that must stand there once.
fn only<'h>(
    headers: &'h HeaderMap,
    header: &(HeaderName, &'static str),
    violations: &mut Violations,
) -> Option<&'h str> {
    let mut values = headers.get_all(&header.0).iter();
    let wrong = match (values.next().map(HeaderValue::to_str), values.next()) {
        (Some(Ok(value)), None) => return Some(value),
        (None, _) => Wrong::new("REQUIRED", "is required"),
        (Some(_), Some(_)) => Wrong::new("DUPLICATE_FIELD", "must be given only once"),
        (Some(Err(_)), None) => Wrong::new("INVALID_VALUE", "must be ASCII"),
    };
    note(header, wrong, violations);
    None
}

fn note(header: &(HeaderName, &'static str), wrong: Wrong, violations: &mut Violations) {
    violations.note(&Place::ROOT.field(header.1), wrong);
}

/// The tokens of a message.
fn read(bytes: &[u8]) -> Result<Vec<Found>, Error> {
    let malformed = |sentence: String| Error::new(Kind::MalformedJson, sentence);
    let Json::Array(items) = Json::parse(bytes).map_err(malformed)? else {
        return Err(malformed("The body must be a JSON array.".to_owned()));
    };
    if items.len() > SCANNED_TOKENS_MAX {
        let remedy = format!("the body must have at most {SCANNED_TOKENS_MAX} items");
        return Err(Error::invalid_field("body", "TOO_MANY_ITEMS", remedy));
    }
    let mut violations = Violations::default();
    let items = items.into_iter().enumerate();
    let found: Vec<_> = items
        .map(|(index, item)| read_item(item, &Place::ROOT.index(index), &mut violations))
        .collect();
    if violations.is_empty() { Ok(found) } else { Err(Error::invalid(violations)) }
}

/// A token. Where it was found is GitHub's to know, and what GitHub may add one day is passed over.
fn read_item(item: Json, at: &Place<'_>, violations: &mut Violations) -> Found {
    let mut found = Found::default();
    let Json::Object(members) = item else {
        violations.note(at, Wrong::wrong_type("must be an object"));
        return found;
    };
    for (name, field) in [("token", &mut found.token), ("type", &mut found.token_type)] {
        let mut values = members.iter().filter(|(named, _)| named == name).map(|(_, value)| value);
        let wrong = match (values.next(), values.next()) {
            (Some(Json::String(value)), None) => {
                field.clone_from(value);
                continue;
            }
            (None, _) => Wrong::new("REQUIRED", "is required"),
            (Some(_), Some(_)) => Wrong::new("DUPLICATE_FIELD", "must be given only once"),
            (Some(_), None) => Wrong::wrong_type("must be a string"),
        };
        violations.note(&at.field(name), wrong);
    }
    found
}
