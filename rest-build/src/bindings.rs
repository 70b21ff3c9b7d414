//! Emits for each HTTP rule the binding that reads, calls and writes.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use crate::model::{Api, Field, Kind, Message, Route, Rpc, Service, Shape};
use crate::names;
use crate::parameters::{self, Parameter};
use crate::read;
use crate::rpcs;
use crate::streams;
use crate::write;

/// The function of each service that makes its bindings, and what they call.
pub fn code(api: &Api) -> Result<TokenStream, String> {
    let table = rpcs::all(api);
    let mut functions = TokenStream::new();
    for (index, (_, rpc)) in table.enumerate() {
        for (number, route) in rpc.routes.iter().enumerate() {
            let routed = Routed { api, rpc, route, index, number };
            functions.extend(routed.reader()?);
            functions.extend(if rpc.streams {
                streams::frame(api, rpc, &routed.function("frame"))
            } else {
                routed.writer()?
            });
        }
    }
    let mut first = 0;
    let bindings = api.services.iter().map(|service| {
        let code = service_bindings(api, service, first);
        first += service.rpcs.len();
        code
    });
    Ok(quote!(#(#bindings)* #functions))
}

fn service_bindings(api: &Api, service: &Service, first: usize) -> TokenStream {
    let (name, module) = (names::camel(&service.name), names::server_module(&service.name));
    let function = format_ident!("{}_bindings", names::snake(&service.name));
    let rpcs = service.rpcs.iter().enumerate();
    let bindings = rpcs.flat_map(|(offset, rpc)| {
        let routes = rpc.routes.iter().enumerate();
        routes.map(move |(number, route)| {
            Routed { api, rpc, route, index: first + offset, number }.binding()
        })
    });
    let doc = format!(" The routes of `{}`, bound to `service`.", service.full_name);
    quote! {
        #[doc = #doc]
        pub fn #function<S: #module::#name>(service: ::std::sync::Arc<S>) -> Vec<::rest::Binding> {
            vec![#(#bindings),*]
        }
    }
}

/// An HTTP rule of an RPC, and its place in the table.
pub struct Routed<'a> {
    pub api: &'a Api,
    pub rpc: &'a Rpc,
    route: &'a Route,
    index: usize,
    number: usize,
}

impl Routed<'_> {
    /// The name of its function that does this.
    pub fn function(&self, verb: &str) -> Ident {
        let method = names::snake(&self.rpc.name).to_string();
        format_ident!("{verb}_{}_{}", method.trim_start_matches("r#"), self.number)
    }

    fn binding(&self) -> TokenStream {
        let (index, number) = (self.index, self.number);
        let takes_body = !self.route.rule.body.is_empty();
        let method = names::snake(&self.rpc.name);
        let read = self.function("read");
        let answer = if self.rpc.streams {
            let frame = self.function("frame");
            quote! {
                let format = call.stream_format;
                let mut request = call.into_request(message, violations);
                let guard = ::rest::StreamGuard::take(request.extensions_mut());
                let response = service.#method(request).await.map_err(::rest::Refusal::Status)?;
                let (metadata, messages, _) = response.into_parts();
                let messages = ::rest::Guarded::new(messages, guard);
                let frames = ::rest::stream::frames(messages, format, #frame);
                Ok(::rest::Reply::stream(&RPCS[#index], frames, metadata))
            }
        } else {
            let write = self.function("write");
            quote! {
                let request = call.into_request(message, violations);
                let response = service.#method(request).await;
                response.map(#write).map_err(::rest::Refusal::Status)
            }
        };
        quote! {
            ::rest::Binding::new(&RPCS[#index], &RPCS[#index].routes[#number], #takes_body, {
                let service = service.clone();
                move |call: ::rest::Call| {
                    let service = service.clone();
                    async move {
                        let mut violations = ::rest::Violations::default();
                        let message = #read(&call, &mut violations)?;
                        #answer
                    }
                }
            })
        }
    }

    /// The function that makes the request message.
    fn reader(&self) -> Result<TokenStream, String> {
        let (function, input) = (self.function("read"), self.api.message(&self.rpc.input));
        let path = names::path(&input.name);
        let parameters = parameters::of_query(self.api, self.rpc, self.route);
        let (maps, parameters): (Vec<_>, Vec<_>) =
            parameters.into_iter().partition(|parameter| parameter.field.is_text_map());
        let names = |parameter: &Parameter| read::field_names(&parameter.json, &parameter.proto);
        let (fields, map_fields) = (parameters.iter().map(names), maps.iter().map(names));
        let reads = parameters.iter().enumerate();
        let reads = reads.map(|(at, parameter)| self.read_parameter(at, parameter));
        let map_reads = maps.iter().enumerate().map(|(at, map)| {
            let set = map.set();
            quote!(if let Some(value) = query.entries(#at, violations) { #set })
        });
        let variables = parameters::variables(self.api, self.rpc, self.route)?;
        let captures =
            variables.iter().enumerate().map(|(at, variable)| self.read_capture(at, variable));
        let body = self.read_body(input)?;
        Ok(quote! {
            #[allow(unused_mut, unused_variables)]
            fn #function(
                call: &::rest::Call,
                violations: &mut ::rest::Violations,
            ) -> Result<#path, ::rest::Refusal> {
                const PARAMETERS: &[::rest::Field] = &[#(#fields),*];
                const MAPS: &[::rest::Field] = &[#(#map_fields),*];
                let mut message = #path::default();
                #body
                #(#captures)*
                let query =
                    ::rest::Query::read(call.query.as_deref(), PARAMETERS, MAPS, violations);
                #(#reads)*
                #(#map_reads)*
                Ok(message)
            }
        })
    }

    fn read_capture(&self, index: usize, variable: &Parameter) -> TokenStream {
        let json = &variable.json;
        let text = quote!(&call.captures[#index]);
        let value = match &variable.field.kind {
            Kind::Enum(name) => {
                let names = names::enum_names(&self.api.enums[name].name);
                quote!(::rest::read::text_enum(#text, &#names, &at, violations))
            }
            _ => quote!(::rest::read::text(#text, &at, violations)),
        };
        let set = variable.set();
        quote! {
            let at = ::rest::Place::ROOT.field(#json);
            if let Some(value) = #value { #set }
        }
    }

    fn read_parameter(&self, index: usize, parameter: &Parameter) -> TokenStream {
        let is_list = parameter.field.shape == Shape::List;
        let value = match &parameter.field.kind {
            Kind::Enum(name) => {
                let names = names::enum_names(&self.api.enums[name].name);
                let function = if is_list { quote!(many_enum) } else { quote!(one_enum) };
                quote!(query.#function(#index, &#names, violations))
            }
            _ if is_list && !parameter.field.rules.one_of.is_empty() => {
                quote!(query.many_names(#index, violations))
            }
            _ if is_list => quote!(query.many(#index, violations)),
            _ => quote!(query.one(#index, violations)),
        };
        let (json, set) = (&parameter.json, parameter.set());
        let at = matches!(parameter.field.shape, Shape::Member(_))
            .then(|| quote!(let at = ::rest::Place::ROOT.field(#json);));
        quote!(if let Some(value) = #value { #at #set })
    }

    fn read_body(&self, input: &Message) -> Result<TokenStream, String> {
        let body = self.route.rule.body.as_str();
        if body.is_empty() {
            return Ok(quote!(call.refuse_body(violations);));
        }
        let rules = self.body_rules(input)?;
        let (target, at) = match input.field(body) {
            Some(field) => {
                let (name, json) = (names::snake(&field.proto), &field.json);
                let target = quote!(message.#name.get_or_insert_default());
                (target, quote!(&::rest::Place::ROOT.field(#json)))
            }
            None => (quote!(&mut message), quote!(&::rest::Place::ROOT)),
        };
        let mask = self
            .derives_mask(input)
            .then(|| quote!(message.update_mask = Some(::rest::read::mask(named));));
        Ok(quote! {
            const BODY: ::rest::read::Body = #rules;
            let named = ::rest::read::body(&call.body, &BODY, #target, #at, violations)?;
            #mask
        })
    }

    /// Returns true if the keys of the body are the update mask.
    fn derives_mask(&self, input: &Message) -> bool {
        let rule = &self.route.rule;
        matches!(rule.method.as_str(), "PATCH" | "PUT") && rule.body == "*" && input.is_patch()
    }

    fn body_rules(&self, input: &Message) -> Result<TokenStream, String> {
        let bound = parameters::bound_in_body(self.api, self.rpc, self.route)?;
        let is_bound = |field: &Field| bound.iter().any(|bound| bound.proto == field.proto);
        let is_whole = self.route.rule.body == "*";
        let demands = |field: &Field| field.rules.required && !is_bound(field);
        let required = !is_whole || input.is_patch() || input.fields.iter().any(demands);
        let names = |field: &Field| read::field_names(&field.json, &field.proto);
        let mut elsewhere = Vec::new();
        let mut read_only = Vec::new();
        match &input.updates {
            Some(resource) if is_whole => {
                let resource = self.api.message(resource).fields.iter();
                let is_fixed = |field: &&Field| input.field(&field.proto).is_none();
                read_only.extend(resource.filter(is_fixed).map(names));
                read_only.extend(bound.iter().map(names));
            }
            _ => elsewhere.extend(bound.iter().map(names)),
        }
        if self.derives_mask(input) {
            elsewhere.extend(input.field("update_mask").map(names));
        }
        Ok(quote! {
            ::rest::read::Body {
                required: #required,
                elsewhere: &[#(#elsewhere),*],
                read_only: &[#(#read_only),*],
            }
        })
    }

    /// The function that makes the answer.
    fn writer(&self) -> Result<TokenStream, String> {
        let (function, index) = (self.function("write"), self.index);
        let output = self.api.message(&self.rpc.output);
        let path = names::path(&output.name);
        let response_body = self.route.rule.response_body.as_str();
        let field = match response_body {
            "" => None,
            name => Some(output.field(name).ok_or_else(|| {
                format!("{}: {} has no field {name}", self.rpc.name, output.name)
            })?),
        };
        let message = quote!(message);
        let data =
            field.map_or(quote!(&message), |field| write::value(self.api, output, field, &message));
        let body = match write::page_meta(self.api, output) {
            Some(meta) => {
                let meta = names::snake(&meta.proto);
                quote!(::rest::write::envelope_with_meta(#data, &message.#meta))
            }
            None => quote!(::rest::write::envelope(#data)),
        };
        let version = self.version(output, field);
        Ok(quote! {
            fn #function(response: ::tonic::Response<#path>) -> ::rest::Reply {
                let (metadata, message, _) = response.into_parts();
                let body = #body;
                ::rest::Reply::new(&RPCS[#index], body, #version, metadata)
            }
        })
    }

    /// The version of the resource in the answer, if it has one.
    fn version(&self, output: &Message, field: Option<&Field>) -> TokenStream {
        let resource = match field {
            None => Some((output, quote!(Some(&message)))),
            Some(field) if field.shape == Shape::Optional => field.message().map(|name| {
                let field = names::snake(&field.proto);
                (self.api.message(&name), quote!(message.#field.as_ref()))
            }),
            Some(_) => None,
        };
        let version = resource.as_ref().and_then(|(resource, _)| resource.field("version"));
        match (resource.as_ref(), version) {
            (Some((_, value)), Some(version)) if version.kind == Kind::Int64 => match version.shape
            {
                Shape::Optional => quote!(#value.and_then(|resource| resource.version)),
                _ => quote!(#value.map(|resource| resource.version)),
            },
            _ => quote!(None),
        }
    }
}
