//! The catalogue of events: the values of an enum that say what each type of events tells of.

use proc_macro2::TokenStream;
use prost_reflect::{DescriptorPool, EnumDescriptor, EnumValueDescriptor};
use quote::quote;

use crate::names;
use crate::openapi::contract;
use crate::options::{self, EventKind};

/// A type of events, as a value of an enum declares it.
pub struct EventType {
    pub value: EnumValueDescriptor,
    pub kind: EventKind,
    /// The comment, which tells what happened.
    pub about: String,
}

/// The types that an enum declares, in its order; empty for any other enum.
pub fn of(pool: &DescriptorPool, descriptor: &EnumDescriptor) -> Vec<EventType> {
    let types = descriptor.values().filter_map(|value| {
        let kind = options::event(pool, &value.options())?;
        let about = contract::comment(&value.parent_enum().parent_file(), value.path());
        Some(EventType { value, kind, about })
    });
    types.collect()
}

/// Generates the facts that each catalogue among the enums of a package has of its types.
pub fn code(pool: &DescriptorPool, package: &str) -> TokenStream {
    let enums = pool.all_enums().filter(|found| found.package_name() == package);
    let catalogues = enums.filter_map(|found| {
        let types = of(pool, &found);
        (!types.is_empty()).then(|| catalogue(&found, &types))
    });
    quote!(#(#catalogues)*)
}

fn catalogue(descriptor: &EnumDescriptor, types: &[EventType]) -> TokenStream {
    let path = names::path(descriptor.name());
    let prefix = names::enum_prefix(descriptor.name());
    let variants: Vec<_> = types
        .iter()
        .map(|found| {
            let name = found.value.name();
            names::camel(name.strip_prefix(&prefix).unwrap_or(name))
        })
        .collect();
    let texts = |of: fn(&EventType) -> &String| types.iter().map(of).collect::<Vec<_>>();
    let (kinds, objects) = (texts(|it| &it.kind.name), texts(|it| &it.kind.object));
    let abouts = texts(|it| &it.about);
    let only_by_name = types.iter().map(|found| found.kind.only_by_name);
    let topics = types.iter().map(|found| {
        let topics = &found.kind.topics;
        quote!(&[#(#topics),*])
    });
    quote! {
        impl #path {
            /// The types that are sent.
            pub const ALL: &'static [Self] = &[#(Self::#variants),*];

            /// Returns the name in payloads and subscriptions, such as `ticket.updated`.
            pub fn name(self) -> &'static str {
                match self {
                    #(Self::#variants => #kinds,)*
                    Self::Unspecified => "",
                }
            }

            /// The message that `data.object` of its payload shows, such as `Ticket`.
            pub fn object(self) -> &'static str {
                match self {
                    #(Self::#variants => #objects,)*
                    Self::Unspecified => "",
                }
            }

            /// Returns the description of the event.
            pub fn about(self) -> &'static str {
                match self {
                    #(Self::#variants => #abouts,)*
                    Self::Unspecified => "",
                }
            }

            /// Returns true if webhooks get it only where they name it.
            pub fn is_only_by_name(self) -> bool {
                match self {
                    #(Self::#variants => #only_by_name,)*
                    Self::Unspecified => false,
                }
            }

            /// The narrower topics that some of its events have.
            pub fn topics(self) -> &'static [&'static str] {
                match self {
                    #(Self::#variants => #topics,)*
                    Self::Unspecified => &[],
                }
            }
        }
    }
}
