//! Reads the `Idempotency-Key` of a request whose RPC takes one, and hands it on.
//!
//! It answers nothing from memory: the service claims the key in the transaction of the effect.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use rest::IdempotencyKeyUse;

use super::Request;
use crate::auth::key::holds_key;
use crate::error::{Error, Kind};
use crate::trail::Trail;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const LEN_MAX: usize = 255;

/// Puts the key into the request's trail, or refuses one that is none. Reads ignore it.
pub fn read_idempotency_key(request: &Request) -> Result<(), Error> {
    let Some(trail) = request.extensions().get::<Arc<Trail>>() else { return Ok(()) };
    let taken = trail.rpc.get().and_then(|(rpc, route)| Some((rpc.policy?, *route)));
    let taken = taken
        .map_or(IdempotencyKeyUse::Ignored, |(policy, route)| policy.idempotency_key_on(route));
    if taken == IdempotencyKeyUse::Ignored {
        return Ok(());
    }
    let mut sent = request.headers().get_all(IDEMPOTENCY_KEY).iter();
    match (sent.next(), sent.next()) {
        (None, _) if taken == IdempotencyKeyUse::Required => {
            let message = "This call needs an Idempotency-Key: 1 to 255 visible ASCII characters of your own, the same for each retry.";
            Err(Error::new(Kind::IdempotencyKeyRequired, message))
        }
        (None, _) => Ok(()),
        (Some(value), None) => {
            let key = key(value).ok_or_else(invalid)?;
            // Set once: a request passes here once.
            let _ = trail.idempotency_key.set(key);
            Ok(())
        }
        (Some(_), Some(_)) => Err(invalid()),
    }
}

/// The key as text. An API key is none: what is stored must hold no secret.
fn key(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    let right = (1..=LEN_MAX).contains(&text.len()) && visible && !holds_key(text);
    right.then(|| text.to_owned())
}

fn invalid() -> Error {
    let message = "Idempotency-Key must be sent once, as 1 to 255 visible ASCII characters, and must not be an API key.";
    Error::new(Kind::InvalidIdempotencyKey, message)
}
