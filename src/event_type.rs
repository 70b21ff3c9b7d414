//! The types of events: the catalogue that the contract declares, with the resource that each shows
//! and the topics that its events can have.

pub use crate::pb::EventType;
