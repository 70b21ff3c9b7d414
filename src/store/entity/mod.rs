//! The tables as sea-orm sees them. Nothing of this leaves the store.

pub(super) mod api_key;
pub(super) mod api_key_use;
pub(super) mod article;
pub(super) mod asset;
pub(super) mod audit_log;
pub(super) mod category;
pub(in crate::store) mod comment;
pub(super) mod custom_field;
pub(super) mod email;
pub(super) mod event;
pub(super) mod history;
pub(super) mod project;
pub(super) mod request_log;
pub(super) mod task;
pub(super) mod ticket;
pub(super) mod usage_figure;
pub(super) mod user;
pub(in crate::store) mod webhook;
pub(super) mod workspace;
