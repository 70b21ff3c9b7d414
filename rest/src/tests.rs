//! What the runtime promises, part by part.
