//! Attacks on a server of its own process, and what they may not do: no answer of 5xx but the
//! documented 503 to the attacker, nothing that hangs, memory within a bound, and a client beside
//! them that is served as ever.
//!
//! The suite runs them in small. `scripts/attack` runs them at their full size and prints the table.

mod answers;
mod bodies;
mod frames;
mod fuzz;
mod keys;
mod normal;
mod slots;
mod target;
