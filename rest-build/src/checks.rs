//! The checks of an API: what the options of its RPCs and messages cannot ask for together.

use crate::model::{Api, Field, Kind, Route, Rpc, Shape};

/// Refuses an API that asks for what the generator cannot make; the sentence names the RPC.
pub fn check(api: &Api) -> Result<(), String> {
    for service in &api.services {
        for rpc in &service.rpcs {
            streams(api, rpc)
                .and_then(|()| judged(api, rpc))
                .and_then(|()| lists(api, rpc))
                .and_then(|()| values(api, rpc))
                .map_err(|wrong| format!("{}.{}: {wrong}", service.full_name, rpc.name))?;
        }
    }
    Ok(())
}

/// Checks that a stream is opened by GET, and that its `event_stream` names fields of the right types.
fn streams(api: &Api, rpc: &Rpc) -> Result<(), String> {
    let opens = |route: &Route| route.rule.method == "GET" && route.rule.response_body.is_empty();
    if rpc.streams && !rpc.routes.iter().all(opens) {
        return Err("a stream needs an HTTP rule that is `get` and has no response_body".to_owned());
    }
    let Some(stream) = &rpc.event_stream else { return Ok(()) };
    let output = api.message(&rpc.output);
    let named: Vec<_> = std::iter::once(&stream.data).chain(&stream.checkpoint).collect();
    let oneof = output.fields.first().map(|field| &field.shape);
    let is_told = |field: &Field| {
        matches!(field.shape, Shape::Member(_))
            && Some(&field.shape) == oneof
            && named.contains(&&field.proto)
    };
    let is_alone = output.fields.len() == named.len() && output.fields.iter().all(is_told);
    let event = output.field(&stream.data).and_then(Field::message);
    let Some(event) = event.filter(|_| rpc.streams && is_alone) else {
        let named = named.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
        return Err(format!(
            "(event_stream) needs a stream whose message has a oneof of {} alone",
            named.join(" and ")
        ));
    };
    let event = api.message(&event);
    let within = |field: &Option<String>, kind: Kind| {
        let is_it = |found: &Field| found.kind == kind && found.shape == Shape::Implicit;
        field.as_deref().is_none_or(|field| event.field(field).is_some_and(is_it))
    };
    let is_int64 = |field: &str| output.field(field).is_some_and(|it| it.kind == Kind::Int64);
    if !within(&stream.id, Kind::Int64) || !stream.checkpoint.as_deref().is_none_or(is_int64) {
        return Err("(event_stream) needs an int64 for `id` and `checkpoint`".to_owned());
    }
    if !within(&stream.event, Kind::String) {
        return Err("(event_stream) needs a string for `event`".to_owned());
    }
    Ok(())
}

/// Checks that items are judged of one list alone, which stands in the request itapi.
fn judged(api: &Api, rpc: &Rpc) -> Result<(), String> {
    let is_judged = |field: &&Field| field.rules.judged;
    let lists: Vec<_> = api.message(&rpc.input).fields.iter().filter(is_judged).collect();
    let fits = |field: &&Field| field.shape == Shape::List && field.message().is_some();
    let below = api.below([rpc.input.clone()]);
    let all = below.iter().flat_map(|name| &api.message(name).fields).filter(is_judged);
    if lists.len() > 1 || !lists.iter().all(fits) || all.count() > lists.len() {
        return Err("`judged` is for one list of messages in the request itself".to_owned());
    }
    Ok(())
}

/// Only an answer has a list that may be absent.
fn lists(api: &Api, rpc: &Rpc) -> Result<(), String> {
    let below = api.below([rpc.input.clone()]);
    match below.iter().find(|name| api.message(name).is_list) {
        Some(name) => Err(format!("{name} is a (list), which no request may have")),
        None => Ok(()),
    }
}

/// Checks that a field of a request may only have values that its enum has.
fn values(api: &Api, rpc: &Rpc) -> Result<(), String> {
    let below = api.below([rpc.input.clone()]);
    for field in below.iter().flat_map(|name| &api.message(name).fields) {
        let Kind::Enum(name) = &field.kind else { continue };
        let values = &api.enums[name].values;
        let is_missing = |one: &&String| !values.iter().any(|(_, short)| short == *one);
        if let Some(missing) = field.rules.one_of.iter().find(is_missing) {
            let field = &field.proto;
            return Err(format!("{field} may be {missing}, which its enum does not have"));
        }
    }
    Ok(())
}
