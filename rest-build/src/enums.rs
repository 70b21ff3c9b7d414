//! The enums of the API: their names as JSON has them, and the steps between those that are statuses.

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::{Api, Field};
use crate::names;

/// A reference to the `EnumNames` of a field: those of its enum, or the ones that its rules leave.
pub fn names_of(api: &Api, field: &Field, full_name: &str) -> TokenStream {
    let (found, left) = (&api.enums[full_name], &field.rules.one_of);
    if left.is_empty() {
        let name = names::enum_names(&found.name);
        return quote!(&#name);
    }
    let values = found.values.iter().filter(|(_, short)| left.contains(short));
    let values = values.map(|(number, short)| quote!((#number, #short)));
    let prefix = &found.prefix;
    quote!(&::rest::EnumNames { prefix: #prefix, values: &[#(#values),*] })
}

/// Generates an `EnumNames` for each enum of the API, and `Steps` for those that are statuses.
pub fn code(api: &Api) -> TokenStream {
    let statics = api.enums.values().map(|found| {
        let (name, prefix) = (names::enum_names(&found.name), &found.prefix);
        let values = found.values.iter().map(|(number, short)| quote!((#number, #short)));
        let doc = format!(" The names of `{}`.", found.name);
        quote! {
            #[doc = #doc]
            pub static #name: ::rest::EnumNames =
                ::rest::EnumNames { prefix: #prefix, values: &[#(#values),*] };
        }
    });
    let statuses = api.enums.values().filter(|found| !found.steps.is_empty()).map(|found| {
        let (path, name) = (names::path(&found.name), names::enum_names(&found.name));
        let steps = found.steps.iter().map(|(from, to)| quote!((#from, &[#(#to),*])));
        quote! {
            impl ::rest::Steps for #path {
                const NAMES: &'static ::rest::EnumNames = &#name;
                const STEPS: &'static [(i32, &'static [i32])] = &[#(#steps),*];
            }
        }
    });
    quote!(#(#statics)* #(#statuses)*)
}
