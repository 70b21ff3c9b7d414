//! The Rust names that prost and tonic give to what a `.proto` file declares.
//!
//! They must agree with `prost-build` and `tonic-build`; a difference does not compile.

use heck::{ToShoutySnakeCase, ToSnakeCase, ToUpperCamelCase};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

/// A field, a method, or the module of a message's nested types.
pub fn snake(name: &str) -> Ident {
    let snake = name.to_snake_case();
    if matches!(snake.as_str(), "self" | "super" | "extern" | "crate") {
        return format_ident!("{snake}_");
    }
    // `syn` refuses what is a keyword without `r#`, except the newest one.
    match syn::parse_str::<Ident>(&snake) {
        Ok(name) if name != "gen" => name,
        _ => format_ident!("r#{snake}"),
    }
}

/// A message, an enum, or a member of a oneof.
pub fn camel(name: &str) -> Ident {
    match name.to_upper_camel_case().as_str() {
        "Self" => format_ident!("Self_"),
        camel => format_ident!("{camel}"),
    }
}

/// The path of a type from the module of its package: `Outer.Inner` is `outer::Inner`.
pub fn path(name_in_package: &str) -> TokenStream {
    let (outer, name) = match name_in_package.rsplit_once('.') {
        Some((outer, name)) => (outer.split('.').collect(), name),
        None => (Vec::new(), name_in_package),
    };
    let (modules, name) = (outer.into_iter().map(snake), camel(name));
    quote!(#(#modules::)* #name)
}

/// The static that holds the names of an enum.
pub fn enum_names(name_in_package: &str) -> Ident {
    format_ident!("{}_NAMES", name_in_package.replace('.', "_").to_shouty_snake_case())
}

/// Returns the prefix of an enum's values.
pub fn enum_prefix(enum_name: &str) -> String {
    format!("{}_", enum_name.to_shouty_snake_case())
}

/// The module that tonic makes for a service: it puts an underscore before every capital.
pub fn server_module(service: &str) -> Ident {
    let mut name = String::new();
    for (index, letter) in service.chars().enumerate() {
        if index > 0 && letter.is_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    format_ident!("{name}_server")
}

/// Returns the name of an element within its package.
pub fn in_package(full_name: &str, package: &str) -> String {
    full_name[package.len()..].trim_start_matches('.').to_owned()
}
