//! The whole suite, in one binary: it runs unchanged on SQLite and on PostgreSQL.

mod events;
mod query_plans;
mod support;
mod ticket_lists;
mod ticket_writes;
