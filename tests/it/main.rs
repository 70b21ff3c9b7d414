//! The whole suite, in one binary: it runs unchanged on SQLite and on PostgreSQL.

mod support;

mod bad_input;
mod bad_queries;
mod browsers;
mod cli;
mod connections;
mod credentials;
mod envelope;
mod events;
mod every_rpc;
mod grpc;
mod lists;
mod migrations;
mod openapi;
mod query_plans;
mod refusals;
mod request_log_filters;
mod request_logs;
mod ticket_lists;
mod ticket_writes;
mod tickets;
mod tidy;
mod usage;
