//! Where random names come from.

use rand::Rng;
use rand::distr::Alphanumeric;

/// `len` random characters of `0-9A-Za-z`, from the operating system's seeded generator.
pub fn base62(len: usize) -> String {
    rand::rng().sample_iter(Alphanumeric).take(len).map(char::from).collect()
}

/// The id of a workspace, such as `ws_3kTq8ZbN1xYw`.
pub fn workspace() -> String {
    format!("ws_{}", base62(12))
}

/// The id of an event, such as `evt_5b0JmN…` (22 characters: 131 bits).
pub fn event() -> String {
    format!("evt_{}", base62(22))
}

/// The id of a request that came without one.
pub fn request() -> String {
    format!("req_{}", base62(22))
}
