//! Tests of the limits of a key in one process.

use super::*;
use crate::clock::Timestamp;

const KEY: KeyLimits<'_> = KeyLimits { key_id: "4fQ7x2Lm", per_minute: 4, group_per_minute: 2 };

async fn limiter(replicas: u32) -> Limiter {
    let settings = Settings { redis: None, redis_timeout: Duration::ZERO, replicas };
    let clock = Clock::manual(Timestamp(1_767_225_600_000));
    Limiter::start(settings, &["tickets", "keys"], clock).await.expect("few groups")
}

/// Spends a request, and returns whether it was admitted and what is left over all and in the
/// group.
async fn spend(limiter: &Limiter, key: KeyLimits<'_>, group: &str) -> (bool, u32, u32) {
    let standing = limiter.spend(key, Some(group), 1).await.expect("a limit");
    let left = |limit: Option<Limit>| limit.expect("a limit").remaining;
    (standing.admitted, left(standing.over_all), left(standing.group))
}

#[tokio::test]
async fn both_limits_are_spent_together_or_neither() {
    let limiter = limiter(1).await;
    assert_eq!(spend(&limiter, KEY, "tickets").await, (true, 3, 1));
    assert_eq!(spend(&limiter, KEY, "tickets").await, (true, 2, 0));
    // Refused by the group: nothing is taken from the limit over all.
    assert_eq!(spend(&limiter, KEY, "tickets").await, (false, 2, 0));
    assert_eq!(spend(&limiter, KEY, "keys").await, (true, 1, 1));
    // Refused over all: nothing is taken from the group.
    let narrow = KeyLimits { per_minute: 3, ..KEY };
    assert_eq!(spend(&limiter, narrow, "keys").await, (false, 0, 1));
    let (limits, _) = limiter.peek(KEY).await;
    let left: Vec<_> = limits.iter().map(|limit| (limit.resource, limit.remaining)).collect();
    assert_eq!(left, [("key", 1), ("tickets", 0), ("keys", 1)]);
}

#[tokio::test]
async fn what_is_unlimited_is_not_counted() {
    let limiter = limiter(1).await;
    let free = KeyLimits { per_minute: 0, group_per_minute: 0, ..KEY };
    assert_eq!(limiter.spend(free, Some("tickets"), 1).await, None);
    assert_eq!(limiter.peek(free).await.0, []);
    // Nothing over all and no group: nothing to count either.
    let groups = KeyLimits { per_minute: 0, ..KEY };
    assert_eq!(limiter.spend(groups, None, 1).await, None);
    let standing = limiter.spend(groups, Some("tickets"), 1).await.expect("a limit");
    assert_eq!((standing.over_all, standing.group.map(|limit| limit.remaining)), (None, Some(1)));
}

#[tokio::test]
async fn a_limit_may_change_within_a_window() {
    let limiter = limiter(1).await;
    for _ in 0..2 {
        limiter.spend(KEY, Some("tickets"), 1).await;
    }
    let wider = KeyLimits { group_per_minute: 3, ..KEY };
    assert_eq!(spend(&limiter, wider, "tickets").await, (true, 1, 0));
    let narrower = KeyLimits { per_minute: 1, ..wider };
    assert_eq!(spend(&limiter, narrower, "keys").await, (false, 0, 3));
}

#[tokio::test]
async fn replicas_that_cannot_count_together_share_a_limit_out() {
    let limiter = limiter(3).await;
    let key = KeyLimits { per_minute: 7, ..KEY };
    // 7 / 3 over all, and 2 / 3, but at least 1, in the group.
    assert_eq!(spend(&limiter, key, "tickets").await, (true, 1, 0));
    assert_eq!(spend(&limiter, key, "tickets").await, (false, 1, 0));
}

#[tokio::test]
async fn more_groups_than_there_is_room_for_are_refused() {
    let settings = Settings { redis: None, redis_timeout: Duration::ZERO, replicas: 1 };
    let sentence = Limiter::start(settings, &["tickets"; 9], Clock::System).await;
    assert!(sentence.expect_err("nine groups").contains("raise it"));
}

#[test]
fn a_redis_url_is_checked_and_never_repeated() {
    let settings = Settings { redis: None, redis_timeout: Duration::ZERO, replicas: 1 };
    for right in ["redis://localhost", "redis://me:secret@host:6380/2", "valkey://host"] {
        assert!(settings.clone().with_redis(right).is_ok(), "{right}");
    }
    for wrong in ["", "localhost:6379", "amqp://host", "rediss://host", "redis://me:secret@host/x"]
    {
        let sentence = settings.clone().with_redis(wrong).expect_err(wrong);
        assert!(sentence.starts_with("ORQIT_REDIS_URL must be like redis://"), "{sentence}");
        assert!(!sentence.contains("secret"), "{sentence}");
    }
}

#[test]
fn one_second_is_no_seconds() {
    let refused = |reset_secs| {
        let limit = |resource, limit| Some(Limit { resource, limit, remaining: 0 });
        let (over_all, group) = (limit("key", 60), limit("tickets", 30));
        Standing { admitted: false, reset_secs, over_all, group }.refusal(1, "4fQ7x2Lm")
    };
    assert_eq!(refused(43).message, "Too many requests. Retry after 43 seconds.");
    assert_eq!(refused(1).message, "Too many requests. Retry after 1 second.");
    let Kind::RateLimitExceeded { exhausted, .. } = refused(1).kind else { unreachable!() };
    let subjects: Vec<_> = exhausted.iter().map(|quota| quota.subject.as_str()).collect();
    assert_eq!(subjects, ["key:4fQ7x2Lm", "group:tickets"]);
}

#[tokio::test]
async fn what_counts_as_many_is_admitted_as_a_whole_or_not_at_all() {
    let limiter = limiter(1).await;
    let standing = limiter.spend(KEY, Some("tickets"), 3).await.expect("a limit");
    assert!(!standing.admitted);
    let Kind::RateLimitExceeded { exhausted, .. } = standing.refusal(3, KEY.key_id).kind else {
        unreachable!()
    };
    // The limit over all would have admitted them.
    assert_eq!(exhausted.len(), 1);
    assert_eq!(exhausted[0].subject, "group:tickets");
    assert!(limiter.spend(KEY, Some("tickets"), 2).await.expect("a limit").admitted);
    assert_eq!(spend(&limiter, KEY, "tickets").await, (false, 2, 0));
}
