//! Who may call: keys and their texts, scopes, callers, the ring of keys that this process knows, failed
//! attempts, and keys that leaked.

pub mod attempts;
pub mod caller;
pub mod key;
pub mod keyring;
pub mod leaks;
pub mod scope;
