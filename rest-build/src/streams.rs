//! Emits what server-streaming RPCs need: the frames of their messages over REST, and over gRPC the
//! guard that the layers left in the request.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use crate::model::{Api, Rpc, Service, Shape};
use crate::names;
use crate::write::member;

/// The function that makes a frame of a message.
pub fn frame(api: &Api, rpc: &Rpc, function: &Ident) -> TokenStream {
    let output = api.message(&rpc.output);
    let path = names::path(&output.name);
    let Some(stream) = &rpc.event_stream else {
        return quote! {
            fn #function(format: ::rest::StreamFormat, message: &#path) -> ::rest::stream::Frame {
                ::rest::stream::message(format, message)
            }
        };
    };
    let arm = |field: &str, frame: &dyn Fn(&str) -> TokenStream| {
        let field = output.field(field)?;
        let Shape::Member(oneof) = &field.shape else { return None };
        let (oneof, variant) = member(output, oneof, field);
        let frame = frame(&field.json);
        Some((oneof, quote!(Some(#variant(value)) => #frame,)))
    };
    let of_event = |field: &Option<String>| field.as_deref().map(names::snake);
    let id = of_event(&stream.id).map_or(quote!(None), |id| quote!(Some(&value.#id)));
    let event = of_event(&stream.event).map_or(quote!(None), |event| quote!(Some(&value.#event)));
    let event = |json: &str| quote!(::rest::stream::event(format, #json, value, #id, #event));
    let checkpoint = |json: &str| quote!(::rest::stream::checkpoint(format, #json, *value));
    let arms = [
        arm(&stream.data, &event),
        stream.checkpoint.as_deref().and_then(|field| arm(field, &checkpoint)),
    ];
    let (oneofs, arms): (Vec<_>, Vec<_>) = arms.into_iter().flatten().unzip();
    let oneof = &oneofs[0];
    quote! {
        fn #function(format: ::rest::StreamFormat, message: &#path) -> ::rest::stream::Frame {
            match &message.#oneof {
                #(#arms)*
                None => ::rest::stream::Frame::new(),
            }
        }
    }
}

/// The type that puts the streams of a service under their guards, for gRPC; none for a service that
/// has no streams.
pub fn guarded(api: &Api, service: &Service) -> Option<(Ident, TokenStream)> {
    if !service.rpcs.iter().any(|rpc| rpc.streams) {
        return None;
    }
    let (name, module) = (names::camel(&service.name), names::server_module(&service.name));
    let guarded = format_ident!("Guarded{name}");
    let methods = service.rpcs.iter().map(|rpc| {
        let method = names::snake(&rpc.name);
        let (input, output) = (api.message(&rpc.input), api.message(&rpc.output));
        let (input, output) = (names::path(&input.name), names::path(&output.name));
        if !rpc.streams {
            return quote! {
                async fn #method(
                    &self,
                    request: ::tonic::Request<#input>,
                ) -> Result<::tonic::Response<#output>, ::tonic::Status> {
                    self.0.#method(request).await
                }
            };
        }
        let stream = format_ident!("{}Stream", names::camel(&rpc.name));
        quote! {
            type #stream = ::rest::Guarded<#output>;

            async fn #method(
                &self,
                mut request: ::tonic::Request<#input>,
            ) -> Result<::tonic::Response<Self::#stream>, ::tonic::Status> {
                let guard = ::rest::StreamGuard::take(request.extensions_mut());
                let response = self.0.#method(request).await?;
                Ok(response.map(|messages| ::rest::Guarded::new(messages, guard)))
            }
        }
    });
    let doc = format!(" `{}` with its streams under their guards.", service.full_name);
    let code = quote! {
        #[doc = #doc]
        pub struct #guarded<S>(pub ::std::sync::Arc<S>);

        #[::tonic::async_trait]
        impl<S: #module::#name> #module::#name for #guarded<S> {
            #(#methods)*
        }
    };
    Some((guarded, code))
}
