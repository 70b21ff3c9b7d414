//! Emits what checks messages of either protocol: `Validate` from the rules of fields, and `Patch`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use crate::enums;
use crate::model::{Api, Field, Kind, Message, Shape};
use crate::names;
use crate::options::Rules;
use crate::read;
use crate::write;

/// Generates `Validate` for each message that is in a request, and `Patch` for those with an update
/// mask.
pub fn code(api: &Api) -> TokenStream {
    let rpcs = api.services.iter().flat_map(|service| &service.rpcs);
    let requests = api.below(rpcs.map(|rpc| rpc.input.clone()));
    let impls = requests.iter().map(|name| {
        let message = api.message(name);
        let updatable = if message.is_patch() { updatable(api, name) } else { Vec::new() };
        let patch = message.is_patch().then(|| patch(message, &updatable));
        let validate = validate(api, name, &updatable);
        quote!(#validate #patch)
    });
    quote!(#(#impls)*)
}

/// The fields of a request that a mask may name.
pub fn updatable<'a>(api: &'a Api, request: &str) -> Vec<&'a Field> {
    let bound = api.path_bound(request);
    let is_item = api.is_item(request);
    let is_other = |name: &str| {
        matches!(name, "update_mask" | "version") || bound.contains(name) || is_item && name == "id"
    };
    let fields = api.message(request).fields.iter();
    fields.filter(|field| !field.rules.key && !is_other(&field.proto)).collect()
}

fn patch(message: &Message, updatable: &[&Field]) -> TokenStream {
    let path = names::path(&message.name);
    let fields = updatable.iter().map(|field| read::field_names(&field.json, &field.proto));
    let others = updatable.iter().map(|field| {
        let name = names::snake(&field.proto);
        let slot = match &field.shape {
            Shape::Member(oneof) => write::member(message, oneof, field).0,
            _ => name,
        };
        let (proto, is_set) = (&field.proto, is_set(message, field));
        quote! {
            if !mask.has(#proto) && #is_set {
                self.#slot = Default::default();
            }
        }
    });
    let present = updatable.iter().map(|field| {
        let (name, is_set) = (&field.proto, is_set(message, field));
        quote!((#name, #is_set))
    });
    quote! {
        impl ::rest::Patch for #path {
            fn mask(&self, violations: &mut ::rest::Violations) -> ::rest::Mask {
                const FIELDS: &[::rest::Field] = &[#(#fields),*];
                match &self.update_mask {
                    Some(mask) => ::rest::Mask::explicit(mask, FIELDS, violations),
                    None => ::rest::Mask::present(&[#(#present),*]),
                }
            }

            fn keep_only(&mut self, mask: &::rest::Mask) {
                #(#others)*
            }
        }
    }
}

fn is_set(owner: &Message, field: &Field) -> TokenStream {
    let name = names::snake(&field.proto);
    match &field.shape {
        Shape::Implicit => quote!(self.#name != Default::default()),
        Shape::Optional => quote!(self.#name.is_some()),
        Shape::List | Shape::Map => quote!(!self.#name.is_empty()),
        Shape::Member(oneof) => {
            let (slot, member) = write::member(owner, oneof, field);
            quote!(matches!(self.#slot, Some(#member(_))))
        }
    }
}

fn validate(api: &Api, full_name: &str, updatable: &[&Field]) -> TokenStream {
    let message = api.message(full_name);
    let path = names::path(&message.name);
    let mask = message
        .is_patch()
        .then(|| quote!(let mask = <Self as ::rest::Patch>::mask(self, violations);));
    let own = message.is_patch().then(|| {
        quote! {
            let mask = <Self as ::rest::Patch>::mask(self, &mut ::rest::Violations::default());
            self.update_mask = Some(mask.to_message());
        }
    });
    let judged = message.fields.iter().filter(|field| field.rules.judged).map(|field| {
        let name = names::snake(&field.proto);
        quote!(self.#name.iter_mut().for_each(::rest::Validate::normalize);)
    });
    let steps: Vec<_> = own.into_iter().chain(judged).collect();
    let normalize = (!steps.is_empty()).then(|| quote!(fn normalize(&mut self) { #(#steps)* }));
    let version = message.field("version");
    let version =
        version.filter(|field| field.kind == Kind::Int64 && field.shape == Shape::Optional);
    let version = version.map(|_| {
        quote!(
            fn version(&self) -> Option<i64> {
                self.version
            }
        )
    });
    let page = page_parameters(message);
    let bound = api.path_bound(full_name);
    let checks = message.fields.iter().map(|field| {
        if bound.contains(field.proto.as_str()) && field.kind == Kind::String {
            return check_presence(message, field);
        }
        if !updatable.iter().any(|updatable| updatable.proto == field.proto) {
            return check_field(api, message, field);
        }
        let (name, json) = (&field.proto, &field.json);
        let optional = Rules { required: false, ..field.rules.clone() };
        let check = check_field(api, message, &Field { rules: optional, ..field.clone() });
        let is_set = is_set(message, field);
        let not_null = quote! {
            ::rest::validate::updated(mask.has(#name), #is_set, &at.field(#json), violations);
        };
        let not_null = Some(not_null).filter(|_| field.rules.required);
        quote!(#not_null #check)
    });
    quote! {
        impl ::rest::Validate for #path {
            #[allow(unused_variables)]
            fn check(&self, at: &::rest::Place<'_>, violations: &mut ::rest::Violations) {
                #mask
                #(#checks)*
            }

            #normalize

            #version

            #page
        }
    }
}

/// Generates the page parameters of a request for a page of a list.
fn page_parameters(message: &Message) -> Option<TokenStream> {
    let has = |name: &str, kind: &Kind| {
        let field = message.field(name);
        field.is_some_and(|field| field.kind == *kind && field.shape == Shape::Optional)
    };
    let is_list = has("per_page", &Kind::Integer) && has("cursor", &Kind::String);
    let page = match has("page", &Kind::Integer) {
        true => quote!(self.page),
        false => quote!(None),
    };
    let searched = has("q", &Kind::String).then(|| {
        quote! {
            fn searched(&self) -> Option<&str> {
                self.q.as_deref()
            }
        }
    });
    is_list.then(|| {
        quote! {
            #searched

            fn page_parameters(&self) -> Option<::rest::PageParameters<'_>> {
                Some(::rest::PageParameters {
                    page: #page,
                    per_page: self.per_page,
                    cursor: self.cursor.as_deref(),
                })
            }
        }
    })
}

/// Generates the check of a path's text, which is an id: one that cannot be an id is not found,
/// like any other that does not exist.
fn check_presence(owner: &Message, field: &Field) -> TokenStream {
    check_with(owner, field, None)
}

fn check_field(api: &Api, owner: &Message, field: &Field) -> TokenStream {
    check_with(owner, field, check_value(api, field, &rules(&field.rules)))
}

fn check_with(owner: &Message, field: &Field, check: Option<TokenStream>) -> TokenStream {
    let (name, json) = (names::snake(&field.proto), &field.json);
    let (rules, at) = (rules(&field.rules), quote!(&at.field(#json)));
    let is_plain = check.is_none();
    let check = check.unwrap_or_else(|| quote!(|_, _, _| {}));
    let is_number = matches!(field.kind, Kind::Bool | Kind::Int64 | Kind::Integer | Kind::Float);
    let arguments = quote!(&self.#name, #rules, #at, violations, #check);
    let list = |function: TokenStream| quote!(::rest::validate::#function(#arguments););
    match &field.shape {
        Shape::List if field.rules.judged => {
            quote!(::rest::validate::judged(&self.#name, #rules, #at, violations);)
        }
        Shape::List => {
            let list = list(quote!(list));
            let unique = field
                .rules
                .unique
                .then(|| quote!(::rest::validate::unique(&self.#name, #rules, #at, violations);));
            quote!(#list #unique)
        }
        Shape::Map => list(quote!(map)),
        _ if is_plain && (!field.rules.required || is_number && field.shape == Shape::Implicit) => {
            TokenStream::new()
        }
        // Zero is a number that was given: there is no telling it from none.
        Shape::Implicit if is_number && field.rules.required => {
            quote!(::rest::validate::present(&self.#name, #at, violations, #check);)
        }
        Shape::Implicit => list(quote!(implicit)),
        Shape::Optional => {
            let value = quote!(self.#name.as_ref());
            quote!(::rest::validate::optional(#value, #rules, #at, violations, #check);)
        }
        Shape::Member(oneof) => {
            let (slot, member) = write::member(owner, oneof, field);
            let value =
                quote!(match &self.#slot { Some(#member(value)) => Some(value), _ => None });
            quote!(::rest::validate::optional(#value, #rules, #at, violations, #check);)
        }
    }
}

/// A function that checks one value; `None` when every value of the kind will do.
fn check_value(api: &Api, field: &Field, rules: &TokenStream) -> Option<TokenStream> {
    let is_bounded = field.rules.minimum.is_some() || field.rules.maximum.is_some();
    Some(match &field.kind {
        Kind::Int64 | Kind::Integer if is_bounded => quote! {
            |value, at, violations| ::rest::validate::integer(*value, #rules, at, violations)
        },
        Kind::Float if is_bounded => quote! {
            |value, at, violations| ::rest::validate::float(*value, #rules, at, violations)
        },
        Kind::String => quote! {
            |value, at, violations| ::rest::validate::string(value, #rules, at, violations)
        },
        Kind::Enum(name) => {
            let names = enums::names_of(api, field, name);
            quote! {
                |value, at, violations|
                    ::rest::validate::enumeration(*value, #names, at, violations)
            }
        }
        Kind::Message(_) => quote!(::rest::Validate::check),
        Kind::Timestamp => quote!(::rest::validate::timestamp),
        Kind::Duration => quote!(::rest::validate::duration),
        Kind::Struct => quote!(::rest::validate::structure),
        Kind::Value => quote!(::rest::validate::value),
        Kind::ListValue => quote!(::rest::validate::list_value),
        Kind::Bool | Kind::Int64 | Kind::Integer | Kind::Float | Kind::Bytes | Kind::FieldMask => {
            return None;
        }
    })
}

/// A reference to a `rest::Rules` that says what differs from the default.
fn rules(rules: &Rules) -> TokenStream {
    let (min_length, max_length) = (rules.min_length as usize, rules.max_length as usize);
    let (max_items, one_of) = (rules.max_items as usize, &rules.one_of);
    let bound = |bound: Option<i64>| bound.map(|bound| quote!(Some(#bound)));
    let minimum = bound(rules.minimum).map(|bound| quote!(minimum: #bound,));
    let maximum = bound(rules.maximum).map(|bound| quote!(maximum: #bound,));
    let required = rules.required.then(|| quote!(required: true,));
    let min_length = (min_length > 0).then(|| quote!(min_length: #min_length,));
    let max_length = (max_length > 0).then(|| quote!(max_length: #max_length,));
    let max_items = (max_items > 0).then(|| quote!(max_items: #max_items,));
    let one_of = (!one_of.is_empty()).then(|| quote!(one_of: &[#(#one_of),*],));
    let line = rules.line.then(|| quote!(line: true,));
    let format = rules.format.map(|format| {
        let format = format_ident!("{}", format!("{format:?}"));
        quote!(format: Some(::rest::Format::#format),)
    });
    let lengths = quote!(#min_length #max_length #max_items);
    let said = quote!(#required #lengths #minimum #maximum #one_of #line #format);
    if said.is_empty() {
        quote!(&::rest::Rules::DEFAULT)
    } else {
        quote!(&::rest::Rules { #said ..::rest::Rules::DEFAULT })
    }
}
