//! The enums of the API: their names as JSON has them, and the steps between those that are statuses.

use proc_macro2::TokenStream;
use prost_reflect::EnumDescriptor;
use quote::quote;

use crate::model::{Api, name_in_package};
use crate::{names, options};

/// An enum.
pub struct Enum {
    /// The name within its package.
    pub name: String,
    pub prefix: String,
    /// Number and short name, by number, without zero.
    pub values: Vec<(i32, String)>,
    /// The numbers that may follow each, by number; empty where the values are no statuses.
    pub steps: Vec<(i32, Vec<i32>)>,
}

impl Enum {
    /// The enum that a descriptor describes; refused where a step leads nowhere.
    pub fn new(descriptor: &EnumDescriptor) -> Result<Self, String> {
        let prefix = names::enum_prefix(descriptor.name());
        let short = |name: &str| name.strip_prefix(&prefix).unwrap_or(name).to_owned();
        let values = descriptor.values().filter(|value| value.number() != 0);
        let mut values: Vec<_> =
            values.map(|value| (value.number(), short(value.name()))).collect();
        values.sort_by_key(|(number, _)| *number);
        let name = name_in_package(descriptor.full_name(), descriptor.package_name());
        let steps = steps(descriptor, &values)?;
        Ok(Self { name, prefix, values, steps })
    }
}

/// The steps that the values of an enum say, with the numbers of the names.
fn steps(
    descriptor: &EnumDescriptor,
    values: &[(i32, String)],
) -> Result<Vec<(i32, Vec<i32>)>, String> {
    let pool = descriptor.parent_pool();
    let mut steps = Vec::new();
    for value in descriptor.values() {
        let Some(to) = options::step(pool, &value.options()) else { continue };
        let number = |name: &String| {
            let found = values.iter().find(|(_, short)| short == name);
            found.map(|(number, _)| *number).ok_or_else(|| {
                format!("{} leads to {name}, which the enum does not have", value.name())
            })
        };
        steps.push((value.number(), to.iter().map(number).collect::<Result<_, _>>()?));
    }
    Ok(steps)
}

/// One `EnumNames` for each enum of the API, and `Steps` for those that are statuses.
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
