//! The contract in the descriptors: RPCs with their routes and policies, rules, comments.
//!
//! It reads; what a document makes of it stands in the modules beside.

use std::collections::BTreeSet;

use heck::ToShoutySnakeCase;
use prost_reflect::{
    DescriptorPool, EnumDescriptor, EnumValueDescriptor, FieldDescriptor, FileDescriptor, Kind,
    MessageDescriptor, MethodDescriptor, ServiceDescriptor,
};

use crate::options::{self, EventStream, HttpRule};
pub use crate::options::{Access, IdempotencyKeyUse, Policy, Rules};

/// The descriptors, with their options.
pub struct Contract<'a> {
    pub pool: &'a DescriptorPool,
    /// The templates that GET has an answer for.
    gets: BTreeSet<String>,
}

/// An RPC with at least one HTTP rule.
pub struct Rpc {
    pub service: ServiceDescriptor,
    pub method: MethodDescriptor,
    pub policy: Policy,
    /// The main rule, then the additional bindings.
    pub routes: Vec<Route>,
}

/// An HTTP rule.
pub struct Route {
    /// The HTTP method in lower case, such as `get`.
    pub verb: String,
    /// The path template as it stands in the rule.
    pub template: String,
    /// The body: empty, `*`, or the field that is the body.
    pub body: String,
    /// The data: empty, or the field of the response that is the data.
    pub response_body: String,
}

impl<'a> Contract<'a> {
    /// Reads the contract of these descriptors.
    pub fn new(pool: &'a DescriptorPool) -> Self {
        let methods = pool.services().flat_map(|it| it.methods().collect::<Vec<_>>());
        let rules = methods.flat_map(|method| options::http_rules(pool, &method.options()));
        let gets = rules.filter(|rule| rule.method == "GET").map(|rule| rule.template).collect();
        Self { pool, gets }
    }

    /// Returns every RPC that has an HTTP rule, in the order of the files.
    pub fn rpcs(&self) -> Vec<Rpc> {
        let services: Vec<_> = self.pool.services().collect();
        let methods = services.iter().flat_map(|service| {
            service.methods().map(|method| (service.clone(), method)).collect::<Vec<_>>()
        });
        methods.filter_map(|(service, method)| self.rpc(service, method)).collect()
    }

    fn rpc(&self, service: ServiceDescriptor, method: MethodDescriptor) -> Option<Rpc> {
        let rules = options::http_rules(self.pool, &method.options());
        if rules.is_empty() {
            return None;
        }
        let policy = options::policy(self.pool, &method.options()).unwrap_or_else(|| {
            panic!("{} has an HTTP rule but no policy that says who may call", method.full_name())
        });
        let routes = rules.into_iter().map(Route::new).collect();
        Some(Rpc { policy, service, method, routes })
    }

    /// The rules of a field.
    pub fn rules(&self, field: &FieldDescriptor) -> Rules {
        options::rules(self.pool, &field.options())
    }

    /// The field of an RPC's messages that is an event, and the one that is a checkpoint, if the RPC says
    /// which they are.
    pub fn streamed(&self, rpc: &Rpc) -> (Option<FieldDescriptor>, Option<FieldDescriptor>) {
        let Some(stream) = self.event_stream(rpc) else { return (None, None) };
        let field = |name: &str| rpc.method.output().get_field_by_name(name);
        (field(&stream.data), stream.checkpoint.as_deref().and_then(field))
    }

    /// Returns true if a client can resume a stream after the last event that it has seen.
    pub fn resumes(&self, rpc: &Rpc) -> bool {
        self.event_stream(rpc).is_some_and(|stream| stream.id.is_some())
    }

    fn event_stream(&self, rpc: &Rpc) -> Option<EventStream> {
        options::event_stream(self.pool, &rpc.method.options())
    }

    /// Returns true if a route reads or changes a resource that has a version, and so an entity
    /// tag.
    pub fn is_versioned(&self, rpc: &Rpc, route: &Route) -> bool {
        if rpc.policy.guarded {
            return true;
        }
        let is_listed = self.gets.contains(&route.template);
        let makes = route.verb == "post" && (!route.template.contains('{') || is_listed);
        let output = rpc.method.output();
        let field = output.get_field_by_name(&route.response_body);
        let resource = match field.as_ref().map(|field| (field.is_list(), field.kind())) {
            Some((false, Kind::Message(resource))) => resource,
            Some(_) => return false,
            None => output,
        };
        let version = resource.get_field_by_name("version").map(|field| field.kind());
        !makes && version == Some(Kind::Int64) && !rpc.method.is_server_streaming()
    }

    /// The field whose list is the JSON of a message, if one is.
    pub fn list(&self, message: &MessageDescriptor) -> Option<FieldDescriptor> {
        options::is_list(self.pool, &message.options()).then(|| message.fields().next()).flatten()
    }

    /// Returns true if the request is an update, in which absent means unchanged and null cleared.
    pub fn updates(&self, request: &MessageDescriptor) -> bool {
        let is_masked = request.get_field_by_name("update_mask").is_some();
        is_masked || options::updates(self.pool, &request.options()).is_some()
    }
}

impl Route {
    fn new(rule: HttpRule) -> Self {
        let HttpRule { method, template, body, response_body } = rule;
        Self { verb: method.to_lowercase(), template, body, response_body }
    }
}

/// The names of an enum's values as JSON has them, each with its comment; never UNSPECIFIED.
pub fn enum_values(descriptor: &EnumDescriptor) -> Vec<(String, String)> {
    descriptor
        .values()
        .map(|value| {
            let comment = comment(&value.parent_enum().parent_file(), value.path());
            (short_name(descriptor, value.name()), comment)
        })
        .filter(|(name, _)| name != "UNSPECIFIED")
        .collect()
}

/// The short names of the values that may follow each value of an enum of statuses, in its order; empty
/// for any other enum.
pub fn steps(descriptor: &EnumDescriptor) -> Vec<(String, Vec<String>)> {
    let pool = descriptor.parent_pool();
    let step = |value: &EnumValueDescriptor| options::step(pool, &value.options());
    if !descriptor.values().any(|value| step(&value).is_some()) {
        return Vec::new();
    }
    let steps = descriptor.values();
    let steps =
        steps.map(|value| (short_name(descriptor, value.name()), step(&value).unwrap_or_default()));
    steps.filter(|(name, _)| name != "UNSPECIFIED").collect()
}

fn short_name(descriptor: &EnumDescriptor, value: &str) -> String {
    let prefix = format!("{}_", descriptor.name().to_shouty_snake_case());
    value.strip_prefix(&prefix).unwrap_or(value).to_owned()
}

/// The comment that leads a declaration, as markdown; empty when there is none or when the
/// descriptors were made without source information.
pub fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let location = info.and_then(|info| info.location.iter().find(|at| at.path == path));
    let lines = location.map(|at| at.leading_comments()).unwrap_or_default().lines();
    let lines: Vec<_> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    let paragraphs = lines.split(|line| line.trim().is_empty()).filter(|lines| !lines.is_empty());
    paragraphs.map(paragraph).collect::<Vec<_>>().join("\n\n")
}

/// The lines of a paragraph as one, unless it is a list, a table or code.
fn paragraph(lines: &[&str]) -> String {
    let shaped = lines.iter().any(|line| line.starts_with(['-', '*', '|', ' ', '`']));
    if shaped { lines.join("\n") } else { lines.join(" ") }
}

/// Returns the comment of a declaration, without the name that it opens with: "Ticket is one piece
/// of work." becomes "One piece of work."
pub fn about(name: &str, comment: &str) -> String {
    let Some(about) = comment.strip_prefix(name).and_then(|rest| rest.strip_prefix(' ')) else {
        return comment.to_owned();
    };
    let about = ["is ", "are "].iter().find_map(|verb| about.strip_prefix(verb)).unwrap_or(about);
    let mut letters = about.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

/// The first sentence of a comment, in one line and without its full stop.
pub fn summary(comment: &str) -> String {
    let line = one_line(comment.split("\n\n").next().unwrap_or_default());
    let end = line.match_indices(". ").find(|(at, _)| {
        line[at + 2..].starts_with(|next: char| next.is_uppercase() || next == '`')
    });
    line[..end.map_or(line.len(), |(at, _)| at)].trim_end_matches('.').to_owned()
}

/// A comment in one line, as a table or a list wants it.
pub fn one_line(comment: &str) -> String {
    comment.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns true if a field holds messages of this full name.
pub fn is(field: &FieldDescriptor, message: &str) -> bool {
    matches!(field.kind(), Kind::Message(kind) if kind.full_name() == message)
}
