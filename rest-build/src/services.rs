//! Emits the struct of all services, with their REST bindings and gRPC servers: a service that is
//! missing in it does not compile.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use crate::model::{Api, Service};
use crate::names;
use crate::streams;

/// Generates `Services`, with a field for each service.
pub fn code(api: &Api) -> TokenStream {
    let services: Vec<_> = api.services.iter().map(Names::of).collect();
    let fields: Vec<_> = services.iter().map(|names| &names.field).collect();
    let types: Vec<_> = services.iter().map(|names| &names.service).collect();
    let bounds = services.iter().map(|Names { module, service, .. }| quote!(#module::#service));
    let bindings = services.iter().map(|names| format_ident!("{}_bindings", names.field));
    let servers: Vec<_> =
        services.iter().map(|Names { module, server, .. }| quote!(#module::#server)).collect();
    let guarded: Vec<_> = api.services.iter().map(|found| streams::guarded(api, found)).collect();
    let make = services.iter().zip(&guarded).map(|(names, guarded)| {
        let Names { field, module, server, .. } = names;
        match guarded {
            Some((guarded, _)) => quote!(#module::#server::new(#guarded(self.#field))),
            None => quote!(#module::#server::from_arc(self.#field)),
        }
    });
    let guarded = guarded.iter().flatten().map(|(_, code)| code);
    let docs = api.services.iter().map(|service| format!(" Answers `{}`.", service.full_name));
    quote! {
        #(#guarded)*

        /// The services, each by what answers it.
        pub struct Services<#(#types),*> {
            #(#[doc = #docs] pub #fields: ::std::sync::Arc<#types>,)*
        }

        impl<#(#types: #bounds),*> Services<#(#types),*> {
            /// The REST routes of all of them.
            pub fn bindings(&self) -> Vec<::rest::Binding> {
                let mut bindings = Vec::new();
                #(bindings.extend(#bindings(self.#fields.clone()));)*
                bindings
            }

            /// Adds their gRPC servers, which take messages of so many bytes and compress by gzip, and
            /// answers their names.
            pub fn add_servers(
                self,
                routes: &mut ::tonic::service::RoutesBuilder,
                message_bytes_max: usize,
            ) -> Vec<&'static str> {
                #(
                    let server = #make;
                    let server = server.max_decoding_message_size(message_bytes_max);
                    let server = server.accept_compressed(::tonic::codec::CompressionEncoding::Gzip);
                    routes.add_service(
                        server.send_compressed(::tonic::codec::CompressionEncoding::Gzip),
                    );
                )*
                vec![#(<#servers<()> as ::tonic::server::NamedService>::NAME),*]
            }
        }
    }
}

/// The names of a service in the generated code.
struct Names {
    field: Ident,
    service: Ident,
    module: Ident,
    server: Ident,
}

impl Names {
    fn of(service: &Service) -> Self {
        let name = names::camel(&service.name);
        let server = format_ident!("{name}Server");
        let (field, module) = (names::snake(&service.name), names::server_module(&service.name));
        Self { field, service: name, module, server }
    }
}
