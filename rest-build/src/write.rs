//! Emits what turns messages into JSON: `Serialize`.

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::{Api, Field, Kind, Message, Shape};
use crate::names;

/// Generates `Serialize` for each message that is in an answer.
pub fn code(api: &Api) -> TokenStream {
    let rpcs = api.services.iter().flat_map(|service| &service.rpcs);
    let roots = rpcs.flat_map(|rpc| {
        let output = api.message(&rpc.output);
        let meta = page_meta(api, output).and_then(Field::message);
        let data = rpc.routes.iter().filter_map(|route| {
            let event = rpc.event_stream.as_ref().map(|stream| stream.data.as_str());
            match event.unwrap_or(route.rule.response_body.as_str()) {
                "" => Some(rpc.output.clone()),
                field => output.field(field).and_then(Field::message),
            }
        });
        data.chain(meta.filter(|_| !rpc.routes.is_empty())).collect::<Vec<_>>()
    });
    let impls = api.below(roots).into_iter().map(|name| serialize(api, &name));
    quote!(#(#impls)*)
}

fn serialize(api: &Api, full_name: &str) -> TokenStream {
    let message = api.message(full_name);
    // What stands beside the data of an answer does not stand in it.
    let mut rpcs = api.services.iter().flat_map(|service| &service.rpcs);
    let meta = page_meta(api, message).filter(|_| rpcs.any(|rpc| rpc.output == full_name));
    let fields = message.fields.iter();
    let fields: Vec<_> =
        fields.filter(|field| meta.is_none_or(|meta| meta.proto != field.proto)).collect();
    let (path, name, count) = (names::path(&message.name), &message.name, fields.len());
    if let (true, [list]) = (message.is_list, fields.as_slice()) {
        let value = value(api, message, list, &quote!(self));
        return quote! {
            impl ::serde::Serialize for #path {
                fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    ::serde::Serialize::serialize(#value, serializer)
                }
            }
        };
    }
    let writes = fields.iter().map(|field| {
        let (json, value) = (&field.json, value(api, message, field, &quote!(self)));
        quote!(fields.serialize_field(#json, #value)?;)
    });
    quote! {
        impl ::serde::Serialize for #path {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use ::serde::ser::SerializeStruct;
                #[allow(unused_mut)]
                let mut fields = serializer.serialize_struct(#name, #count)?;
                #(#writes)*
                fields.end()
            }
        }
    }
}

/// The messages that tell where a page stands.
pub const PAGE_METAS: [&str; 3] = ["PageMeta", "FeedMeta", "EventsMeta"];

/// The field of a response that tells where a page stands, in a list or a feed.
pub fn page_meta<'a>(api: &Api, response: &'a Message) -> Option<&'a Field> {
    let is_meta = |name: String| PAGE_METAS.contains(&api.message(&name).name.as_str());
    response.fields.iter().find(|field| field.message().is_some_and(is_meta))
}

/// A reference to what serializes as the value of `message.field`.
pub fn value(api: &Api, owner: &Message, field: &Field, message: &TokenStream) -> TokenStream {
    let name = names::snake(&field.proto);
    let adapter = adapter(api, &field.kind);
    match (&field.shape, adapter) {
        (Shape::Member(oneof), adapter) => {
            let (oneof, member) = member(owner, oneof, field);
            let value = adapter.map_or(quote!(value), |adapter| quote!((#adapter)(value)));
            quote!(&match &#message.#oneof { Some(#member(value)) => Some(#value), _ => None })
        }
        (_, None) => quote!(&#message.#name),
        (Shape::Implicit, Some(adapter)) => quote!(&(#adapter)(&#message.#name)),
        (Shape::Optional, Some(adapter)) => quote!(&#message.#name.as_ref().map(#adapter)),
        (Shape::List, Some(adapter)) => quote!(&::rest::write::List(&#message.#name, #adapter)),
        (Shape::Map, Some(adapter)) => quote!(&::rest::write::Map(&#message.#name, #adapter)),
    }
}

/// The field that prost makes for a oneof, and the variant of one member.
pub fn member(owner: &Message, oneof: &str, field: &Field) -> (proc_macro2::Ident, TokenStream) {
    let path = names::path(&format!("{}.{oneof}", owner.name));
    let variant = names::camel(&field.proto);
    (names::snake(oneof), quote!(#path::#variant))
}

/// Returns the adapter of a reference to a value that does not serialize by itself.
fn adapter(api: &Api, kind: &Kind) -> Option<TokenStream> {
    Some(match kind {
        Kind::Enum(name) => {
            let names = names::enum_names(&api.enums[name].name);
            quote!(|number: &i32| ::rest::write::Enum(*number, &#names))
        }
        Kind::Bytes => quote!(::rest::write::Base64),
        Kind::Timestamp => quote!(::rest::write::Timestamp),
        Kind::Duration => quote!(::rest::write::Duration),
        Kind::FieldMask => quote!(::rest::write::FieldMask),
        Kind::Struct => quote!(::rest::write::Struct),
        Kind::Value => quote!(::rest::write::Value),
        Kind::ListValue => quote!(::rest::write::ListValue),
        Kind::Bool
        | Kind::Int64
        | Kind::Integer
        | Kind::Float
        | Kind::String
        | Kind::Message(_) => return None,
    })
}
