//! Authentication and authorization: keys and their texts, scopes, callers, the ring of keys in
//! memory, failed attempts, and leaked keys.

pub mod attempts;
pub mod caller;
pub mod key;
pub mod keyring;
pub mod leaks;
pub mod scope;
