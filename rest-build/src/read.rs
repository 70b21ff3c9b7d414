//! Emits what turns JSON into messages: `ReadJson`, field by field.

use proc_macro2::TokenStream;
use quote::quote;

use crate::enums;
use crate::model::{Api, Field, Kind, Message, Shape};
use crate::names;
use crate::write;

/// Generates `ReadJson` for each message that is in a body.
pub fn code(api: &Api) -> Result<TokenStream, String> {
    let mut roots = Vec::new();
    for rpc in api.services.iter().flat_map(|service| &service.rpcs) {
        for route in &rpc.routes {
            match route.rule.body.as_str() {
                "" => {}
                "*" => roots.push(rpc.input.clone()),
                field => roots.push(body_message(api, &rpc.input, field)?),
            }
        }
    }
    let impls = api.below(roots).into_iter().map(|name| read_json(api, api.message(&name)));
    Ok(quote!(#(#impls)*))
}

/// The message of the field that a rule's `body` names.
fn body_message(api: &Api, request: &str, field: &str) -> Result<String, String> {
    let found = api.message(request).field(field);
    let found = found.filter(|found| found.shape == Shape::Optional).and_then(Field::message);
    found.ok_or_else(|| format!("{request}: body {field:?} is not a field that is a message"))
}

fn read_json(api: &Api, message: &Message) -> TokenStream {
    let path = names::path(&message.name);
    let fields = message.fields.iter().map(|field| field_names(&field.json, &field.proto));
    let arms = message.fields.iter().enumerate().map(|(index, field)| {
        let read = read_field(api, message, field);
        quote!(#index => #read,)
    });
    let merged = message.fields.iter().filter(|field| message.is_patch() && field.is_merged());
    let merged: Vec<_> = merged.map(|field| &field.proto).collect();
    let merged = (!merged.is_empty())
        .then(|| quote!(const MERGED: &'static [&'static str] = &[#(#merged),*];));
    quote! {
        impl ::rest::ReadJson for #path {
            const FIELDS: &'static [::rest::Field] = &[#(#fields),*];
            #merged

            #[allow(unused_variables)]
            fn read_field(
                &mut self,
                field: usize,
                value: ::rest::Json,
                at: &::rest::Place<'_>,
                violations: &mut ::rest::Violations,
            ) {
                match field {
                    #(#arms)*
                    _ => {}
                }
            }
        }
    }
}

/// A `rest::Field`.
pub fn field_names(json: &str, proto: &str) -> TokenStream {
    quote!(::rest::Field { json: #json, proto: #proto })
}

fn read_field(api: &Api, owner: &Message, field: &Field) -> TokenStream {
    let name = names::snake(&field.proto);
    if field.rules.judged {
        let read = judged(api, field);
        return quote!(self.#name = #read);
    }
    let (one, element) = match &field.kind {
        Kind::Enum(kind) => {
            let names = enums::names_of(api, field, kind);
            let read = |json| quote!(::rest::read::enumeration(#json, #names, at, violations));
            let (one, element) = (read(quote!(value)), read(quote!(json)));
            (one, quote!(|json, at, violations| #element))
        }
        Kind::String if field.rules.takes_number => {
            let read = quote!(::rest::read::string_or_number);
            (quote!(#read(value, at, violations)), read)
        }
        _ => (quote!(::rest::value(value, at, violations)), quote!(::rest::value)),
    };
    match &field.shape {
        Shape::Implicit => quote!(::rest::read::set(&mut self.#name, #one)),
        Shape::Optional => quote!(self.#name = #one),
        Shape::List => quote!(self.#name = ::rest::read::list(value, at, violations, #element)),
        Shape::Map => quote!(self.#name = ::rest::read::map(value, at, violations, #element)),
        Shape::Member(oneof) => choose(owner, oneof, field, &quote!(self), &one, &quote!(at)),
    }
}

/// Reads the items of a list that are judged one by one. What an item names are the fields that it
/// updates.
fn judged(api: &Api, field: &Field) -> TokenStream {
    let full_name = field.message().unwrap_or_default();
    let item = api.message(&full_name);
    let path = names::path(&item.name);
    let max = usize::try_from(field.rules.max_items).ok().filter(|max| *max > 0);
    let max = max.map_or(quote!(::rest::Rules::DEFAULT.max_items), |max| quote!(#max));
    let names = |field: &Field| field_names(&field.json, &field.proto);
    let resource = item.updates.iter().flat_map(|resource| &api.message(resource).fields);
    let read_only = resource.filter(|field| item.field(&field.proto).is_none()).map(names);
    let (elsewhere, finish) = if item.is_patch() {
        let mask = item.field("update_mask").map(names);
        let is_key = |field: &&Field| field.rules.key || field.proto == "id";
        let keys = item.fields.iter().filter(is_key).map(|field| &field.proto);
        let key = quote!(named.retain(|name| ![#(#keys),*].contains(name)));
        let finish = quote! {
            |item: &mut #path, mut named| {
                #key;
                item.update_mask = Some(::rest::read::mask(named));
            }
        };
        (mask, finish)
    } else {
        (None, quote!(|_: &mut #path, _| {}))
    };
    let elsewhere = elsewhere.iter();
    quote!({
        const ITEM: ::rest::read::Body = ::rest::read::Body {
            required: true,
            elsewhere: &[#(#elsewhere),*],
            read_only: &[#(#read_only),*],
        };
        ::rest::read::judged(value, (&ITEM, #max), at, violations, #finish)
    })
}

/// Sets a member of a oneof of `message` to an `Option` of its value.
pub fn choose(
    owner: &Message,
    oneof: &str,
    field: &Field,
    message: &TokenStream,
    value: &TokenStream,
    at: &TokenStream,
) -> TokenStream {
    let (slot, member) = write::member(owner, oneof, field);
    let is_member = |field: &&Field| field.shape == Shape::Member(oneof.to_owned());
    let members: Vec<_> =
        owner.fields.iter().filter(is_member).map(|field| field.json.as_str()).collect();
    let members = members.join(", ");
    quote!({
        let value = #value.map(#member);
        ::rest::read::choose(&mut #message.#slot, value, #members, #at, violations)
    })
}
