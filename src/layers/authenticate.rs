//! The layer that finds the caller of a request. A known key costs no I/O, nor does one that does
//! not exist; RPCs that demand nothing ignore a key.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};

use super::Request;
use super::resolve::Target;
use crate::auth::attempts::FailedAttempts;
use crate::auth::caller::Caller;
use crate::auth::key::KeyText;
use crate::auth::keyring::{KeyRing, Known};
use crate::clock::Clock;
use crate::error::{Error, Kind};
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
        let stranger = Stranger { attempts, client };
        let caller = identify(keys, stranger, clock, request.headers()).await?;
        if let Some(trail) = request.extensions().get::<Arc<Trail>>() {
            // Set once: a request is authenticated once.
            let _ = trail.caller.set(Arc::clone(&caller));
        }
        request.extensions_mut().insert(caller);
    }
    Ok(())
}

async fn identify(
    keys: &KeyRing,
    stranger: Stranger<'_>,
    clock: &Clock,
    headers: &HeaderMap,
) -> Result<Arc<Caller>, Error> {
    let credential = credential(headers)?;
    let Some(key) = KeyText::parse(credential) else { return Err(stranger.refusal()) };
    let hash = key.hash();
    let caller = match keys.known(&hash) {
        Known::Caller(caller) => caller,
        // A key that exists spends nothing: it is let in from an address that guesses, too.
        Known::Exists => keys.find(&key, hash).await?.ok_or_else(invalid)?,
        Known::Nothing => return Err(stranger.refusal()),
        Known::Undecided => {
            stranger.attempts.admit(stranger.client)?;
            keys.find(&key, hash).await?.ok_or_else(invalid)?
        }
    };
    if caller.is_expired(clock.now()) {
        return Err(expired());
    }
    Ok(caller)
}

/// The sender of a key that does not exist, and the number of times that this may happen.
#[derive(Clone, Copy)]
struct Stranger<'a> {
    attempts: &'a FailedAttempts,
    client: IpAddr,
}

impl Stranger<'_> {
    /// Spends an attempt, and returns the refusal of the key, or else of its client because it has
    /// none left.
    fn refusal(self) -> Error {
        self.attempts.admit(self.client).err().unwrap_or_else(invalid)
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

/// Returns the token after `Bearer`; "" for any other scheme, which is a credential all the same.
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

/// The refusal of a key whose expiry has passed.
pub fn expired() -> Error {
    let message = "The API key has expired. Ask a workspace admin for a new one.";
    Error::new(Kind::ApiKeyExpired, message)
}

/// Makes the refusal of a malformed, mistyped, unknown, wrong or revoked key, in one text, so that
/// nobody learns which it is.
pub fn invalid() -> Error {
    let message = "The API key is not valid. Check that it is sent whole, as `Authorization: Bearer orq_…` or `X-API-Key: orq_…`, and that it was not revoked.";
    Error::new(Kind::InvalidApiKey, message)
}
