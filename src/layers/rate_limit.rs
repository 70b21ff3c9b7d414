//! The layer that counts the request against the limits of its key, and tells their standing in
//! headers.
//!
//! Every request of a known caller spends, whatever becomes of it, unless it is refused here. What
//! needs no key spends nothing and has no such headers.

use std::sync::Arc;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Request;
use crate::error::Error;
use crate::limits::{Limit, Limiter, Standing};
use crate::trail::Trail;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const RESOURCE: HeaderName = HeaderName::from_static("x-ratelimit-resource");

/// The headers that this layer sets, on every answer to a caller who has a limit.
pub const HEADERS: [HeaderName; 6] = [POLICY, RATE_LIMIT, LIMIT, REMAINING, RESET, RESOURCE];

/// Lets the request through if the limits of its key admit it.
pub fn rate_limit<'l>(
    limiter: &'l Limiter,
    request: &Request,
) -> impl Future<Output = Result<(), Error>> + Send + use<'l> {
    let trail = request.extensions().get::<Arc<Trail>>().cloned();
    async move {
        let Some((trail, caller)) =
            trail.as_ref().and_then(|trail| Some((trail, trail.caller.get()?)))
        else {
            return Ok(());
        };
        let group = trail.rpc.get().and_then(|(rpc, _)| rpc.policy?.group);
        let Some(standing) = limiter.spend(caller.limits(), group, 1).await else {
            return Ok(());
        };
        trail.set_standing(standing);
        match standing.admitted {
            true => Ok(()),
            false => Err(standing.refusal(1, &caller.key.key_id)),
        }
    }
}

/// Returns the headers about rate limits of an answer (draft-ietf-httpapi-ratelimit-headers, and
/// the older `X-RateLimit-*` for the one limit that has the fewest left).
pub fn headers(standing: &Standing) -> HeaderMap {
    let limits = || standing.over_all.iter().chain(&standing.group);
    let (mut policy, mut states) = (Line::default(), Line::default());
    for limit in limits() {
        policy.item(limit).number(";q=", limit.limit).text(";w=60");
        states.item(limit).number(";r=", limit.remaining).number(";t=", standing.reset_secs);
    }
    let mut headers = HeaderMap::with_capacity(HEADERS.len() + 1);
    // The first of those that have as few left: the limit over all comes before the group's.
    if let Some(scarcest) = limits().min_by_key(|limit| limit.remaining) {
        headers.insert(POLICY, policy.value());
        headers.insert(RATE_LIMIT, states.value());
        headers.insert(LIMIT, HeaderValue::from(scarcest.limit));
        headers.insert(REMAINING, HeaderValue::from(scarcest.remaining));
        headers.insert(RESET, HeaderValue::from(standing.reset_secs));
        headers.insert(RESOURCE, HeaderValue::from_static(scarcest.resource));
    }
    if !standing.admitted {
        headers.insert(RETRY_AFTER, HeaderValue::from(standing.reset_secs));
    }
    headers
}

/// A header's value in the making. Pieces are put together by hand, since every answer has two of
/// them and the machinery of `format!` costs several times as much.
#[derive(Default)]
struct Line(String);

impl Line {
    /// Begins an item of the list: the name of the limit.
    fn item(&mut self, limit: &Limit) -> &mut Self {
        if self.0.is_empty() {
            // Enough for two items.
            self.0.reserve(64);
        } else {
            self.text(", ");
        }
        self.text("\"").text(limit.resource).text("\"")
    }

    fn number(&mut self, name: &str, number: u32) -> &mut Self {
        self.text(name).text(itoa::Buffer::new().format(number))
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.0.push_str(text);
        self
    }

    fn value(self) -> HeaderValue {
        HeaderValue::try_from(self.0).expect("names and numbers are visible ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(resource: &'static str, limit: u32, remaining: u32) -> Option<Limit> {
        Some(Limit { resource, limit, remaining })
    }

    fn shown(over_all: Option<Limit>, group: Option<Limit>) -> Vec<String> {
        let standing = Standing { admitted: true, reset_secs: 43, over_all, group };
        let headers = headers(&standing);
        let text = |value: &HeaderValue| value.to_str().expect("ASCII").to_owned();
        HEADERS.iter().filter_map(|name| headers.get(name)).map(text).collect()
    }

    #[test]
    fn every_limit_has_its_item_and_the_scarcest_is_named() {
        let both = shown(limit("key", 60, 41), limit("tickets", 30, 11));
        let policy = r#""key";q=60;w=60, "tickets";q=30;w=60"#;
        let state = r#""key";r=41;t=43, "tickets";r=11;t=43"#;
        assert_eq!(both, [policy, state, "30", "11", "43", "tickets"]);

        let tie = shown(limit("key", 1_000_000, 0), limit("kb", 4_294_967_295, 0));
        let policy = r#""key";q=1000000;w=60, "kb";q=4294967295;w=60"#;
        assert_eq!(tie, [policy, r#""key";r=0;t=43, "kb";r=0;t=43"#, "1000000", "0", "43", "key"]);
    }

    #[test]
    fn an_unlimited_limit_has_no_item() {
        let key = shown(limit("key", 60, 41), None);
        assert_eq!(key, [r#""key";q=60;w=60"#, r#""key";r=41;t=43"#, "60", "41", "43", "key"]);
        let group = shown(None, limit("kb", 30, 7));
        assert_eq!(group, [r#""kb";q=30;w=60"#, r#""kb";r=7;t=43"#, "30", "7", "43", "kb"]);
        assert!(shown(None, None).is_empty());
    }
}
