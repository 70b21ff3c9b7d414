//! Finds out who is calling. A known key costs no I/O; RPCs that demand nothing ignore a key.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};

use super::Request;
use super::resolve::Target;
use crate::attempts::{Admission, FailedAttempts};
use crate::caller::Caller;
use crate::clock::Clock;
use crate::error::{Error, Kind};
use crate::key::{KeyHash, KeyText};
use crate::keyring::{KeyRing, Known};
use crate::rpc::Demand;
use crate::trail::Trail;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Puts the [`Caller`] into the request, or refuses.
pub async fn authenticate(
    keys: &KeyRing,
    attempts: &FailedAttempts,
    clock: &Clock,
    request: &mut Request,
) -> Result<(), Error> {
    let demand = request.extensions().get::<Target>().map_or(Demand::Key, Target::demand);
    if demand != Demand::Nothing {
        let trail = request.extensions().get::<Arc<Trail>>();
        let client = trail.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |trail| trail.client);
        let unknown = Unknown { keys, attempts, client };
        let caller = identify(unknown, clock, request.headers()).await?;
        if let Some(trail) = request.extensions().get::<Arc<Trail>>() {
            // Set once: a request is authenticated once.
            let _ = trail.caller.set(Arc::clone(&caller));
        }
        request.extensions_mut().insert(caller);
    }
    Ok(())
}

async fn identify(
    unknown: Unknown<'_>,
    clock: &Clock,
    headers: &HeaderMap,
) -> Result<Arc<Caller>, Error> {
    let credential = credential(headers)?;
    let Some(key) = KeyText::parse(credential) else { return Err(unknown.refuse()) };
    let hash = key.hash();
    let caller = match unknown.keys.known(&hash) {
        Known::Caller(caller) => caller,
        // A key that is known passes by the limit: it goes on working from an address that guesses.
        Known::Outdated => unknown.keys.find(&key, hash).await?.ok_or_else(invalid)?,
        Known::Nothing => unknown.find(&key, hash).await?,
    };
    if caller.is_expired(clock.now()) {
        let message = "The API key has expired. Ask a workspace admin for a new one.";
        return Err(Error::new(Kind::ApiKeyExpired, message));
    }
    Ok(caller)
}

/// A credential that this process does not know, and what it costs to find out.
#[derive(Clone, Copy)]
struct Unknown<'a> {
    keys: &'a KeyRing,
    attempts: &'a FailedAttempts,
    client: IpAddr,
}

impl Unknown<'_> {
    /// What cannot be a key at all is an attempt too.
    fn refuse(self) -> Error {
        self.attempts.admit(self.client).err().unwrap_or_else(invalid)
    }

    /// The caller with this key. The attempt is spent before the database is asked, and is given
    /// back unless the key was refused: only then did it fail. A client that goes away meanwhile
    /// has spent it.
    async fn find(self, key: &KeyText, hash: KeyHash) -> Result<Arc<Caller>, Error> {
        let attempt = loop {
            match self.attempts.begin(self.client)? {
                Admission::Admitted(attempt) => break attempt,
                Admission::Undecided(settled) => settled.await,
            }
            // Whoever it waited for may have come with the same key.
            if let Known::Caller(caller) = self.keys.known(&hash) {
                return Ok(caller);
            }
        };
        let found = self.keys.find(key, hash).await;
        if !matches!(found, Ok(None)) {
            attempt.give_back();
        }
        found?.ok_or_else(invalid)
    }
}

/// The one credential of the request, whichever header it came in.
fn credential(headers: &HeaderMap) -> Result<&str, Error> {
    let bearer = only(headers, &AUTHORIZATION)?.map(token);
    let api_key = only(headers, &X_API_KEY)?.map(str::trim);
    match (bearer, api_key) {
        (Some(bearer), Some(api_key)) if bearer != api_key => Err(ambiguous()),
        (Some(credential), _) | (None, Some(credential)) => Ok(credential),
        (None, None) => {
            let message = "An API key is needed. Send it as `Authorization: Bearer orq_…` or `X-API-Key: orq_…`.";
            Err(Error::new(Kind::MissingApiKey, message))
        }
    }
}

/// The value of a header that may stand there once. What is not text cannot be a key: "".
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Error> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(ambiguous()),
        (value, None) => Ok(value.map(|value| value.to_str().unwrap_or_default())),
    }
}

/// What follows `Bearer`; "" for any other scheme, which is a credential all the same.
fn token(authorization: &str) -> &str {
    match authorization.trim().split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => "",
    }
}

fn ambiguous() -> Error {
    let message = "More than one credential was sent. Send one `Authorization: Bearer orq_…` or one `X-API-Key: orq_…`.";
    Error::new(Kind::AmbiguousCredentials, message)
}

/// One text for a malformed, mistyped, unknown, wrong and revoked key: which it is, is not told.
fn invalid() -> Error {
    let message = "The API key is not valid. Check that it is sent whole, as `Authorization: Bearer orq_…` or `X-API-Key: orq_…`, and that it was not revoked.";
    Error::new(Kind::InvalidApiKey, message)
}
