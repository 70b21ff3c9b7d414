//! Ids: how those of rows are read, and where random ones come from.

use rand::Rng;

/// The digits of base62, by value.
pub const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// The number of digits that are drawn at once: 62 to this power still fits into 64 bits.
const DRAWN: u32 = 10;

/// The id of a row that digits are: a number without a leading zero, as ids are written.
pub fn number(digits: &str) -> Option<i64> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|_| plain)
}

/// Returns `len` random characters of `0-9A-Za-z`, from the operating system's seeded generator.
pub fn base62(len: usize) -> String {
    with_base62("", len)
}

/// Returns `prefix` and then `len` random characters.
fn with_base62(prefix: &str, len: usize) -> String {
    let mut random = rand::rng();
    let mut text = String::with_capacity(prefix.len() + len);
    text.push_str(prefix);
    while text.len() < prefix.len() + len {
        let mut drawn = random.random_range(0..62_u64.pow(DRAWN));
        for _ in 0..(prefix.len() + len - text.len()).min(DRAWN as usize) {
            text.push(BASE62[(drawn % 62) as usize].into());
            drawn /= 62;
        }
    }
    text
}

/// The id of a workspace, such as `ws_3kTq8ZbN1xYw`.
pub fn workspace() -> String {
    with_base62("ws_", 12)
}

/// The id of an event, such as `evt_5b0JmN…` (22 characters: 131 bits).
pub fn event() -> String {
    with_base62("evt_", 22)
}

/// The name of a process among those that watch keys.
pub fn watcher() -> String {
    with_base62("watcher_", 22)
}

/// The id of a request that came without one.
pub fn request() -> String {
    with_base62("req_", 22)
}
