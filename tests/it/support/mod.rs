//! What tests need before they can begin.

pub mod database;
pub mod tickets;
