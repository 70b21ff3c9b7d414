//! The bounds that have no setting. Those that have one stand in `cli::settings`, each with its default.

use std::num::NonZeroU32;
use std::time::Duration;

/// The most bytes of a request body or gRPC message, also after decompression.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The most bytes of a body or message that needs no key; GitHub's reports are signed, and may have
/// more.
pub const PUBLIC_BODY_BYTES_MAX: usize = 4 * 1024;
/// The most bytes of a request's header list.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;
/// The most streams that one HTTP/2 connection may have open.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 100;
/// The most bytes of a refused body that are read and dropped, so that its sender gets to read why.
pub const DRAINED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The time for which a refused body is read and dropped.
pub const DRAIN_REFUSED_WITHIN: Duration = Duration::from_secs(2);
/// The bytes of an answer that a stream of HTTP/2 gives at a time. Answers that have no more than one
/// such piece do not count among those that are held.
pub const ANSWER_PIECE_BYTES: usize = 16 * 1024;
/// The bytes that are charged for an open call of health or reflection.
pub const OPEN_CALL_BYTES: usize = 64 * 1024;
/// The bytes that are charged for an open stream of an RPC, beside a message that its client has not
/// taken.
pub const OPEN_STREAM_BYTES: usize = 16 * 1024;
/// The most streams that a key may have open in one process.
pub const STREAMS_PER_KEY_MAX: usize = 10;
/// The most keys whose callers are kept in memory.
pub const KEYS_CACHED_MAX: usize = 100_000;
/// The most keys, in all workspaces, whose fingerprints are kept in memory: at most 18 bytes each.
/// Further ones are looked up in the database, and spend an attempt of their address, whenever their
/// callers are not in memory.
pub const KEY_FINGERPRINTS_MAX: usize = 1_000_000;
/// The most keys that a new workspace may have active at a time.
pub const MAX_ACTIVE_KEYS_DEFAULT: i32 = 10;
/// The most keys that callers may make in a new workspace within an hour.
pub const KEY_CREATIONS_PER_HOUR_DEFAULT: i32 = 5;
/// The requests that a key may send a minute over all, and in one endpoint group, by default.
pub const LIMITS_DEFAULT: (i32, i32) = (60, 30);
/// Changes of keys that are kept for watchers that fall behind; one that is further behind forgets
/// all that it has cached.
pub const KEY_CHANGES_KEPT: i64 = 10_000;
/// The pause between two looks at whether another process has changed a key.
pub const KEY_EPOCH_POLLED: Duration = Duration::from_millis(100);
/// The time for which a server accepts keys from memory after it last looked.
pub const KEY_LEASE: Duration = Duration::from_secs(2);
/// The time beyond the lease for which a process that changed a key waits for a server that does
/// not answer: more than the clocks of two machines differ in rate over that time.
pub const KEY_LEASE_MARGIN: Duration = Duration::from_millis(200);
/// The time for which the answer to a request with an idempotency key is kept.
pub const IDEMPOTENCY_KEPT: Duration = Duration::from_secs(24 * 3600);
/// The longest time that a request waits for another one with the same idempotency key.
pub const IDEMPOTENCY_WAIT: Duration = Duration::from_secs(2);
/// The longest time that a start waits for another server of the same SQLite file to stop.
pub const SERVER_LOCK_WAIT: Duration = Duration::from_secs(5);
/// The pause between two looks at whether it has stopped.
pub const SERVER_LOCK_POLLED: Duration = Duration::from_millis(50);
/// The failed attempts that a client address has at once; see `attempts`.
pub const FAILED_ATTEMPTS_BURST: NonZeroU32 = NonZeroU32::new(30).expect("30 is not 0");
/// The time until a client address has one of them back.
pub const FAILED_ATTEMPT_BACK_EVERY: Duration = Duration::from_secs(2);
/// The most client networks whose failed attempts are told apart.
pub const FAILED_ATTEMPT_NETWORKS_MAX: usize = 100_000;
/// The most addresses of `X-Forwarded-For` that are looked at.
pub const FORWARDED_HOPS_MAX: usize = 32;
/// The most tokens that one message of GitHub's secret scanning may report.
pub const SCANNED_TOKENS_MAX: usize = 1000;
/// The deepest row that `page` and `perPage` reach.
pub const PAGED_ROWS_MAX: i64 = 100_000;
/// The most bytes of a page as a message of protobuf, so that it fits the 4 MiB that clients of gRPC
/// take by default.
pub const PAGE_BYTES_MAX: usize = 7 * 512 * 1024;
/// The number of items of a page by number that are answered however many bytes they have.
pub const PER_PAGE_ALWAYS: u32 = 20;
/// The items of a page unless the caller says otherwise.
pub const PER_PAGE_DEFAULT: u32 = 20;
/// The time after closing within which a ticket may be opened again.
pub const REOPEN_WITHIN: Duration = Duration::from_secs(30 * 24 * 3600);
/// The length of a window of the rate limits, in milliseconds; `limits/spend.lua` has it too.
pub const RATE_LIMIT_WINDOW_MS: u32 = 60_000;
/// The most endpoint groups that have a rate limit of their own.
pub const ENDPOINT_GROUPS_MAX: usize = 8;
/// The pause between two tries to reach Redis while it is away.
pub const REDIS_RETRY_EVERY: Duration = Duration::from_secs(1);
/// The most events of a workspace that are kept in memory for the followers of its log.
pub const FEED_EVENTS_MAX: usize = 256;
/// The most bytes of them, for one workspace and for all together.
pub const FEED_BYTES_PER_WORKSPACE: usize = 1024 * 1024;
pub const FEED_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The number of events that a stream that is behind reads of the log at a time.
pub const FEED_PAGE_EVENTS: u32 = 16;
pub const FEED_PAGE_BYTES: usize = 64 * 1024;
/// The time after which a stream with nothing else to tell says how far it has read.
pub const CHECKPOINT_EVERY: Duration = Duration::from_secs(15);
/// The pause between two looks of a stream at the log while nothing wakes it.
pub const LOG_POLLED: Duration = Duration::from_secs(1);
/// The most webhook endpoints of a workspace.
pub const WEBHOOKS_MAX: i64 = 50;
/// The most secrets of an endpoint that sign at a time; one more rotation removes the oldest.
pub const WEBHOOK_SECRETS_MAX: usize = 10;
/// The most events that one replay sends again.
pub const REPLAYED_EVENTS_MAX: usize = 100_000;
/// The time for which a claim of a delivery holds: longer than an attempt takes with its record.
pub const CLAIM_LASTS: Duration = Duration::from_secs(20);
/// The time for which a claim of an e-mail holds, whose server may take its time to look at it.
pub const EMAIL_CLAIM_LASTS: Duration = Duration::from_secs(150);
/// The longest time of an attempt to send an e-mail.
pub const EMAIL_SENT_WITHIN: Duration = Duration::from_secs(120);
/// The most connections to the SMTP server: of all, and of a workspace.
pub const EMAILS_MAX: usize = 16;
pub const EMAILS_PER_WORKSPACE_MAX: usize = 4;
/// The time after its claim within which a delivery may still be sent; later there would be no time
/// for the attempt.
pub const CLAIM_STARTS_WITHIN: Duration = Duration::from_secs(4);
/// The number of claims without a record of the attempt after which a delivery is parked.
pub const CLAIMS_MAX: i16 = 5;
/// The most events, and bytes of them, that become deliveries in one transaction.
pub const FAN_OUT_EVENTS: u32 = 100;
pub const FAN_OUT_BYTES: usize = 2 * 1024 * 1024;
/// The longest time of an attempt: look-up, connection, TLS, headers and body.
pub const ATTEMPT_WITHIN: Duration = Duration::from_secs(15);
/// The most bytes of an answer's body that are read, and those that are kept of body and headers.
pub const ANSWER_READ_BYTES: usize = 16 * 1024;
pub const ANSWER_KEPT_BYTES: usize = 4 * 1024;
/// The most attempts at a time: of all, of a workspace, of an endpoint.
pub const ATTEMPTS_MAX: usize = 512;
pub const ATTEMPTS_PER_WORKSPACE_MAX: usize = 128;
pub const ATTEMPTS_PER_ENDPOINT_MAX: usize = 32;
/// The attempts that endpoints which fail may not use.
pub const ATTEMPTS_RESERVED: usize = 128;
/// The number of failures in a row after which an endpoint gets one attempt at a time.
pub const FAILURES_SLOW: u32 = 3;
/// The time for which an endpoint fails until it is disabled.
pub const FAILING_FOR: Duration = Duration::from_secs(5 * 24 * 3600);
/// The longest wait that an endpoint may ask for by `Retry-After`.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);
/// The pause between two looks of the dispatcher for work that nothing has woken it for.
pub const DISPATCH_POLLED: Duration = Duration::from_secs(3);
/// The least bytes of an answer that is worth compressing.
pub const COMPRESS_BYTES_MIN: u16 = 1024;

/// The most changes that share one COMMIT on SQLite.
pub const SQLITE_COMMIT_CHANGES_MAX: usize = 64;
/// The most bytes of text that a read of SQLite may take in place: what a thread of the runtime does
/// within a fraction of a millisecond.
pub const SQLITE_SHORT_READ_BYTES_MAX: usize = 256 * 1024;

/// The pause between two writes of the request log and the figures.
pub const USAGE_WRITE_INTERVAL: Duration = Duration::from_secs(1);
/// The number of requests of one thread after which they are written sooner.
pub const USAGE_WRITE_AT: usize = 500;
/// The most requests that are written in one transaction.
pub const USAGE_BATCH_MAX: usize = 1000;
/// The longest pause between two tries to write them.
pub const USAGE_RETRY_WITHIN_MAX: Duration = Duration::from_secs(30);
/// The number of times that a database that answers may refuse requests before they are given up.
pub const USAGE_ATTEMPTS_MAX: u32 = 5;
/// The longest time that a stop waits for the last requests to be written.
pub const USAGE_STOP_WITHIN: Duration = Duration::from_secs(10);
/// The most figures (by key, endpoint and hour) that are kept of requests beyond the queue.
pub const USAGE_OVERFLOW_MAX: usize = 5_000;
/// The pause between two warnings that requests are missing in the log.
pub const USAGE_WARN_INTERVAL: Duration = Duration::from_secs(60);
/// The least time that figures of hours are kept: as far as one question reaches back.
pub const USAGE_HOURS_KEPT_MIN: Duration = Duration::from_secs(32 * 24 * 3600);
/// The time for which daily figures are kept.
pub const USAGE_DAYS_KEPT: Duration = Duration::from_secs(400 * 24 * 3600);
/// The pause between two searches for rows past their retention.
pub const RETENTION_INTERVAL: Duration = Duration::from_secs(3600);
/// The pause between two deletions of rows past their retention.
pub const RETENTION_PAUSE: Duration = Duration::from_millis(50);
/// The most requests of a workspace that are deleted at once.
pub const RETENTION_ROWS_MAX: u64 = 1000;
