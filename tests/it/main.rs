//! The whole suite, in one binary: it runs unchanged on SQLite and on PostgreSQL.

mod support;

mod bad_input;
mod browsers;
mod cli;
mod connections;
mod credentials;
mod envelope;
mod events;
mod grpc;
mod lists;
mod migrations;
mod query_plans;
mod ticket_lists;
mod ticket_writes;
mod tickets;
