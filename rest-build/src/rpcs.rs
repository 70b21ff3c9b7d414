//! Emits the table of RPCs: what each demands, and its routes.

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::{Api, Kind, Message, Route, Rpc, Service};
use crate::options::{Access, IdempotencyKeyUse, Policy};

/// The table; an RPC stands where [`all`] has it.
pub fn code(api: &Api) -> TokenStream {
    let rpcs = all(api).map(|(service, found)| rpc(api, service, found));
    quote! {
        /// The RPCs of the package.
        pub static RPCS: &[::rest::Rpc] = &[#(#rpcs),*];
    }
}

/// Returns all RPCs with their services, in the order of the table.
pub fn all(api: &Api) -> impl Iterator<Item = (&Service, &Rpc)> {
    api.services.iter().flat_map(|service| service.rpcs.iter().map(move |rpc| (service, rpc)))
}

fn rpc(api: &Api, service: &Service, rpc: &Rpc) -> TokenStream {
    let (service, method, streams) = (&service.full_name, &rpc.name, rpc.streams);
    let grpc_path = format!("/{service}/{method}");
    let policy = match &rpc.policy {
        Some(found) => {
            let policy = policy(found);
            quote!(Some(#policy))
        }
        None => quote!(None),
    };
    let routes = rpc.routes.iter().map(|route| {
        let (method, template) = (&route.rule.method, shown(api, rpc, route));
        quote!(::rest::Route { method: #method, template: #template })
    });
    let main = rpc.routes.first();
    let resource = main.and_then(|route| api.resource(rpc, route));
    let has_figures = resource.is_some_and(|resource| resource.has_figures);
    // What is only made has no version yet.
    let makes = |route: &Route| api.makes(route);
    let has_version = |resource: &Message| {
        resource.field("version").is_some_and(|version| version.kind == Kind::Int64)
    };
    let is_guarded = rpc.policy.as_ref().is_some_and(|policy| policy.guarded);
    let has_own = main.is_some_and(|route| !makes(route)) && resource.is_some_and(has_version);
    let versioned = is_guarded || has_own && !streams;
    quote! {
        ::rest::Rpc {
            service: #service,
            method: #method,
            grpc_path: #grpc_path,
            policy: #policy,
            routes: &[#(#routes),*],
            versioned: #versioned,
            has_figures: #has_figures,
            streams: #streams,
        }
    }
}

/// The template of a route with the names of its variables as JSON has them, as the documentation and
/// the log of requests show it.
fn shown(api: &Api, rpc: &Rpc, route: &Route) -> String {
    let input = api.message(&rpc.input);
    let mut template = route.rule.template.clone();
    for variable in &route.variables {
        if let Some(field) = input.field(variable) {
            template = template.replacen(&format!("{{{variable}"), &format!("{{{}", field.json), 1);
        }
    }
    template
}

fn policy(policy: &Policy) -> TokenStream {
    let access = match &policy.access {
        Access::Public => quote!(Public),
        Access::Authenticated => quote!(Authenticated),
        Access::Scope(scope) => quote!(Scope(#scope)),
    };
    let idempotency_key = match policy.idempotency_key {
        IdempotencyKeyUse::Ignored => quote!(Ignored),
        IdempotencyKeyUse::Optional => quote!(Optional),
        IdempotencyKeyUse::Required => quote!(Required),
    };
    let success_status = policy.success_status;
    let name = |name: &Option<String>| match name {
        Some(name) => quote!(Some(#name)),
        None => quote!(None),
    };
    let (capability, ability) = (name(&policy.capability), name(&policy.ability));
    let group = name(&policy.group);
    let keyless_path = name(&policy.keyless_path);
    let limited_by_address = policy.limited_by_address;
    quote! {
        ::rest::Policy {
            access: ::rest::Access::#access,
            group: #group,
            success_status: #success_status,
            idempotency_key: ::rest::IdempotencyKeyUse::#idempotency_key,
            capability: #capability,
            limited_by_address: #limited_by_address,
            ability: #ability,
            keyless_path: #keyless_path,
        }
    }
}
