//! The whole suite, in one binary: it runs unchanged on SQLite and on PostgreSQL.

mod support;

mod audit;
mod bad_input;
mod bad_queries;
mod browsers;
mod canary;
mod cli;
mod connections;
mod credentials;
mod envelope;
mod events;
mod every_rpc;
mod failed_attempts;
mod grpc;
mod idempotency;
mod key_grants;
mod keys;
mod kills;
mod leaks;
mod lists;
mod migrations;
mod openapi;
mod query_plans;
mod rate_limits;
mod refusals;
mod request_log_filters;
mod request_logs;
mod revocation;
mod shared_rate_limits;
mod storage;
mod ticket_lists;
mod ticket_writes;
mod tickets;
mod tidy;
mod usage;
