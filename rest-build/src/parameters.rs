//! The parameters of a request: the fields that come from the path and the query, and those that
//! the body cannot set.

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::{Api, Field, Kind, Message, Route, Rpc, Shape};
use crate::names;
use crate::read;

/// A field, possibly within other messages, that is written as text.
pub struct Parameter<'a> {
    /// The path in JSON names, such as `filter.dueAt`.
    pub json: String,
    /// The path in proto names, such as `filter.due_at`.
    pub proto: String,
    pub field: &'a Field,
    /// The message that has the field.
    owner: &'a Message,
    /// The place of that message, from `message`; made where it is missing.
    target: TokenStream,
}

impl Parameter<'_> {
    /// A statement that sets the field to `value`; a member of a oneof also uses `at`.
    pub fn set(&self) -> TokenStream {
        let (target, name) = (&self.target, names::snake(&self.field.proto));
        match &self.field.shape {
            Shape::Optional => quote!(#target.#name = Some(value);),
            Shape::Member(oneof) => {
                let (value, at) = (quote!(Some(value)), quote!(&at));
                read::choose(self.owner, oneof, self.field, target, &value, &at)
            }
            _ => quote!(#target.#name = value;),
        }
    }

    /// Returns true if the fields of this message are parameters. A message within itself would
    /// have parameters without end: they stop at four steps.
    fn may_open(&self) -> bool {
        self.field.shape == Shape::Optional && self.proto.split('.').count() < 4
    }

    /// A field of the message that stands here.
    fn below<'a>(&self, owner: &'a Message, field: &'a Field) -> Parameter<'a> {
        let into = names::snake(&self.field.proto);
        let target = &self.target;
        let target = quote!(#target.#into.get_or_insert_default());
        let (json, proto) = (&self.json, &self.proto);
        Parameter {
            json: format!("{json}.{}", field.json),
            proto: format!("{proto}.{}", field.proto),
            field,
            owner,
            target,
        }
    }
}

/// The query parameters of a route: every field that neither path nor body has. A map to text stands
/// for a parameter per key, such as `labels.colour`.
pub fn of_query<'a>(api: &'a Api, rpc: &Rpc, route: &Route) -> Vec<Parameter<'a>> {
    let rule = &route.rule;
    if rule.body == "*" {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut open: Vec<_> = top_level(api, &rpc.input).collect();
    open.retain(|parameter| parameter.proto != rule.body);
    open.reverse();
    while let Some(parameter) = open.pop() {
        match &parameter.field.kind {
            Kind::Message(name) if parameter.may_open() => {
                let owner = api.message(name);
                let fields = owner.fields.iter().rev();
                open.extend(fields.map(|field| parameter.below(owner, field)));
            }
            _ if parameter.field.is_text_map() => found.push(parameter),
            _ if parameter.field.is_text() && !route.variables.contains(&parameter.proto) => {
                found.push(parameter);
            }
            _ => {}
        }
    }
    found
}

/// The variables of a route's template, in its order.
pub fn variables<'a>(api: &'a Api, rpc: &Rpc, route: &Route) -> Result<Vec<Parameter<'a>>, String> {
    let variables = route.variables.iter().map(|variable| {
        let mut steps = variable.split('.');
        let first = steps.next().unwrap_or_default();
        let mut found = top_level(api, &rpc.input).find(|parameter| parameter.proto == first);
        for step in steps {
            found = found.and_then(|parameter| {
                let name = parameter.field.message()?;
                let owner = api.message(&name);
                let is_one = parameter.field.shape == Shape::Optional;
                let field = owner.field(step).filter(|_| is_one)?;
                Some(parameter.below(owner, field))
            });
        }
        let found = found.filter(|found| found.field.is_text() && found.field.shape != Shape::List);
        found.ok_or_else(|| {
            format!("{}: {{{variable}}} is not a field that a path can set", rpc.name)
        })
    });
    variables.collect()
}

/// The fields of the body's message that the path sets.
pub fn bound_in_body(api: &Api, rpc: &Rpc, route: &Route) -> Result<Vec<Field>, String> {
    let body = route.rule.body.as_str();
    let mut bound = Vec::new();
    for variable in variables(api, rpc, route)? {
        let below = match body {
            "*" => Some(variable.proto.as_str()),
            body => variable.proto.strip_prefix(body).and_then(|below| below.strip_prefix('.')),
        };
        match below {
            Some(below) if below.contains('.') => {
                let (rpc, variable) = (&rpc.name, &variable.proto);
                return Err(format!(
                    "{rpc}: {{{variable}}} is too deep in the body: not supported"
                ));
            }
            Some(_) => bound.push(variable.field.clone()),
            None => {}
        }
    }
    Ok(bound)
}

fn top_level<'a>(api: &'a Api, request: &str) -> impl Iterator<Item = Parameter<'a>> {
    let owner = api.message(request);
    owner.fields.iter().map(move |field| Parameter {
        json: field.json.clone(),
        proto: field.proto.clone(),
        field,
        owner,
        target: quote!(message),
    })
}
