//! Generates REST bindings from protobuf descriptors with HTTP rules; called from a `build.rs`.
//!
//! The way through it: `model` turns descriptors into plain structs with the help of
//! `options`, `checks` refuses what they cannot mean, and the other modules turn those into code that stands on the crate `rest`. It
//! compiles no `.proto` file, and makes no type for a message: that is for prost.

mod bindings;
mod checks;
mod enumeration;
mod enums;
mod events;
mod merge;
mod model;
mod names;
pub mod openapi;
mod options;
mod parameters;
mod read;
mod rpcs;
mod services;
mod streams;
mod validate;
mod write;

use std::path::Path;

use prost_reflect::DescriptorPool;
use quote::quote;

/// The reason why there is no code: a sentence that names the element of the `.proto` file.
#[derive(Debug)]
pub struct Error(pub String);

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<String> for Error {
    fn from(sentence: String) -> Self {
        Self(sentence)
    }
}

/// Writes `{package}.rest.rs` into `out_dir`, to be included beside what prost and tonic generate
/// for the package. `descriptors` is an encoded `FileDescriptorSet` with all imports and options.
pub fn generate(descriptors: &[u8], package: &str, out_dir: &Path) -> Result<(), Error> {
    let code = code(descriptors, package)?;
    let path = out_dir.join(format!("{package}.rest.rs"));
    std::fs::write(&path, code).map_err(|error| Error(format!("{}: {error}", path.display())))
}

/// The generated code as text.
pub fn code(descriptors: &[u8], package: &str) -> Result<String, Error> {
    let pool = DescriptorPool::decode(descriptors).map_err(|error| Error(error.to_string()))?;
    let api = model::Api::new(&pool, package)?;
    checks::check(&api)?;
    let (rpcs, bindings, enums) = (rpcs::code(&api), bindings::code(&api)?, enums::code(&api));
    let (writers, readers, merges) = (write::code(&api), read::code(&api)?, merge::code(&api)?);
    let (validators, services) = (validate::code(&api), services::code(&api));
    let events = events::code(&pool, package);
    let tokens =
        quote!(#rpcs #bindings #enums #writers #readers #validators #merges #services #events);
    let file = syn::parse2(tokens).map_err(|error| Error(error.to_string()))?;
    Ok(prettyplease::unparse(&file))
}
