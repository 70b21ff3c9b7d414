//! The rules of REST, from both sides, over the probe's API.

mod answers;
mod bodies;
mod descriptors;
mod fuzz;
mod judged;
mod kinds;
mod masks;
mod paths;
mod queries;
mod support;
mod validation;
