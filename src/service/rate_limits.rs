//! The standing of a caller's rate limits, as GetSelf tells it.

use crate::auth::caller::Caller;
use crate::limits::Limiter;
use crate::pb;

/// The limit over all, then that of each endpoint group; an unlimited one has no item.
pub async fn rate_limits(limiter: &Limiter, caller: &Caller) -> Vec<pb::RateLimitState> {
    let (limits, reset_secs) = limiter.peek(caller.limits()).await;
    // A key's limits are at most 1,000,000, and a window has 60 seconds.
    let states = limits.into_iter().map(|limit| pb::RateLimitState {
        resource: limit.resource.to_owned(),
        limit: limit.limit as i32,
        remaining: limit.remaining as i32,
        reset_seconds: reset_secs as i32,
    });
    states.collect()
}
