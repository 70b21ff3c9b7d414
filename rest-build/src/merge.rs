//! Emits `Merge`: how an update request changes the resource that it names. A field that the resource
//! does not have is refused here, so no field of a request can be accepted and then ignored.
//!
//! A request that has a field of another type than the resource gets no `Merge`: what such a field
//! means is for the service to say.

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::{Api, Field, Message, Shape};
use crate::names;
use crate::validate::updatable;

/// Generates `Merge` for each request that updates a resource.
pub fn code(api: &Api) -> Result<TokenStream, String> {
    let mut code = TokenStream::new();
    for (name, request) in &api.messages {
        let Some(resource) = &request.updates else { continue };
        code.extend(merge(api, name, request, api.message(resource))?);
    }
    Ok(code)
}

fn merge(
    api: &Api,
    name: &str,
    request: &Message,
    resource: &Message,
) -> Result<Option<TokenStream>, String> {
    let mut fields = Vec::new();
    let mut is_alike = true;
    for field in updatable(api, name) {
        let target = resource.field(&field.proto).ok_or_else(|| {
            let (request, field, resource) = (&request.name, &field.proto, &resource.name);
            format!("{request}.{field} is not a field of {resource}, which the request updates")
        })?;
        match merge_field(field, target) {
            Some(code) => fields.push(code),
            None => is_alike = false,
        }
    }
    let (path, of) = (names::path(&request.name), names::path(&resource.name));
    Ok(is_alike.then(|| {
        quote! {
            impl ::rest::Merge for #path {
                type Resource = #of;

                fn merge(&self, mask: &::rest::Mask, resource: &mut Self::Resource) {
                    #(#fields)*
                }
            }
        }
    }))
}

/// Generates the merge of a field; none where the two are of different types.
fn merge_field(field: &Field, target: &Field) -> Option<TokenStream> {
    let (name, proto) = (names::snake(&field.proto), &field.proto);
    if field.is_merged() && field.kind == target.kind && field.shape == target.shape {
        return Some(quote! {
            if mask.has(#proto) {
                ::rest::merge_entries(&self.#name, &mut resource.#name);
            }
        });
    }
    let value = match (&field.shape, &target.shape) {
        _ if field.kind != target.kind => return None,
        (Shape::Optional, Shape::Implicit) => quote!(self.#name.clone().unwrap_or_default()),
        (Shape::Implicit, Shape::Optional) => quote!(Some(self.#name.clone())),
        (Shape::Member(_), _) => return None,
        (one, other) if one == other => quote!(self.#name.clone()),
        _ => return None,
    };
    Some(quote! {
        if mask.has(#proto) {
            resource.#name = #value;
        }
    })
}
