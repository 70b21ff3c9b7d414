//! What the descriptors say of the API: RPCs with their routes and policies, rules, comments.
//!
//! It reads; what a document makes of it stands in the modules beside.

use std::borrow::Cow;

use heck::ToShoutySnakeCase;
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, ExtensionDescriptor, FieldDescriptor,
    FileDescriptor, Kind, MessageDescriptor, MethodDescriptor, ReflectMessage, ServiceDescriptor,
    Value,
};

/// The descriptors, with the extensions by which they are read.
pub struct Contract<'a> {
    pub pool: &'a DescriptorPool,
    http: ExtensionDescriptor,
    policy: ExtensionDescriptor,
    rules: ExtensionDescriptor,
    updates: ExtensionDescriptor,
    event_stream: ExtensionDescriptor,
}

/// An RPC with at least one HTTP rule.
pub struct Rpc {
    pub service: ServiceDescriptor,
    pub method: MethodDescriptor,
    pub policy: Policy,
    /// The main rule, then the additional bindings.
    pub routes: Vec<Route>,
}

/// One HTTP rule.
pub struct Route {
    /// The HTTP method in lower case, such as `get`.
    pub verb: String,
    /// The path template as it stands in the rule.
    pub template: String,
    /// Empty, `*`, or the field that is the body.
    pub body: String,
    /// Empty, or the field of the response that is the data.
    pub response_body: String,
}

pub struct Policy {
    pub access: Access,
    /// The endpoint group in lower case, such as `tickets`.
    pub group: Option<String>,
    pub success_status: u32,
    /// Whether an `Idempotency-Key` is taken, and whether it is needed.
    pub idempotency_key: Option<Presence>,
    /// The capability that the workspace's plan must have.
    pub capability: Option<String>,
    /// Whether each call spends from a budget of its client's address.
    pub limited_by_address: bool,
    /// Whether a precondition is about the resource that the path names.
    pub guarded: bool,
}

/// Whether something that can be sent must be sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    Optional,
    Required,
}

pub enum Access {
    Public,
    Authenticated,
    Scope(String),
}

/// The bounds of a field; 0 where the contract leaves a bound to its default.
#[derive(Default)]
pub struct Rules {
    pub required: bool,
    pub min_length: u32,
    pub max_length: u32,
    pub max_items: u32,
    pub minimum: Option<i64>,
    pub maximum: Option<i64>,
    pub one_of: Vec<String>,
    pub unique: bool,
    pub takes_number: bool,
    pub example: Option<serde_json::Value>,
}

impl<'a> Contract<'a> {
    /// # Panics
    ///
    /// If the pool lacks `google.api.http` or one of the options of `orqit.v1`.
    pub fn new(pool: &'a DescriptorPool) -> Self {
        let extension = |name: &str| {
            pool.get_extension_by_name(name)
                .unwrap_or_else(|| panic!("the descriptors do not declare the option {name}"))
        };
        Self {
            pool,
            http: extension("google.api.http"),
            policy: extension("orqit.v1.policy"),
            rules: extension("orqit.v1.rules"),
            updates: extension("orqit.v1.updates"),
            event_stream: extension("orqit.v1.event_stream"),
        }
    }

    /// Every RPC that has an HTTP rule, in the order of the files.
    pub fn rpcs(&self) -> Vec<Rpc> {
        let services: Vec<_> = self.pool.services().collect();
        let methods = services.iter().flat_map(|service| {
            service.methods().map(|method| (service.clone(), method)).collect::<Vec<_>>()
        });
        methods.filter_map(|(service, method)| self.rpc(service, method)).collect()
    }

    fn rpc(&self, service: ServiceDescriptor, method: MethodDescriptor) -> Option<Rpc> {
        let rule = option(&method.options(), &self.http)?;
        let name = method.full_name().to_owned();
        let policy = option(&method.options(), &self.policy)
            .unwrap_or_else(|| panic!("{name} has an HTTP rule but no policy"));
        let mut routes = vec![route(&rule)];
        if let Some(bindings) = get(&rule, "additional_bindings").as_list() {
            routes.extend(bindings.iter().filter_map(Value::as_message).map(route));
        }
        Some(Rpc { policy: read_policy(&name, &policy), service, method, routes })
    }

    pub fn rules(&self, field: &FieldDescriptor) -> Rules {
        option(&field.options(), &self.rules)
            .map_or_else(Rules::default, |rules| read_rules(field, &rules))
    }

    /// A field of the messages that an RPC streams, by what it is for, such as `data`; none where the
    /// RPC does not say.
    pub fn streamed(&self, rpc: &Rpc, purpose: &str) -> Option<FieldDescriptor> {
        let stream = option(&rpc.method.options(), &self.event_stream)?;
        rpc.method.output().get_field_by_name(&text(&stream, purpose))
    }

    /// Whether a client can resume a stream after the last event that it has seen.
    pub fn resumes(&self, rpc: &Rpc) -> bool {
        let stream = option(&rpc.method.options(), &self.event_stream);
        stream.is_some_and(|stream| !text(&stream, "id").is_empty())
    }

    /// Whether a route reads or changes a resource that has a version, and so an entity tag.
    pub fn is_versioned(&self, rpc: &Rpc, route: &Route) -> bool {
        if rpc.policy.guarded {
            return true;
        }
        let makes = route.verb == "post" && !route.template.contains('{');
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

    /// Whether the request is an update, in which absent means unchanged and null cleared.
    pub fn updates(&self, request: &MessageDescriptor) -> bool {
        request.options().has_extension(&self.updates)
    }
}

fn option(options: &DynamicMessage, extension: &ExtensionDescriptor) -> Option<DynamicMessage> {
    let present = options.has_extension(extension);
    present.then(|| options.get_extension(extension).as_message().cloned()).flatten()
}

fn get<'m>(message: &'m DynamicMessage, field: &str) -> Cow<'m, Value> {
    message.get_field_by_name(field).unwrap_or_else(|| panic!("an option has no field {field}"))
}

fn text(message: &DynamicMessage, field: &str) -> String {
    get(message, field).as_str().unwrap_or_default().to_owned()
}

fn number(message: &DynamicMessage, field: &str) -> u32 {
    get(message, field).as_u32().unwrap_or_default()
}

fn flag(message: &DynamicMessage, field: &str) -> bool {
    get(message, field).as_bool().unwrap_or_default()
}

fn route(rule: &DynamicMessage) -> Route {
    let verb = ["get", "put", "post", "delete", "patch"]
        .into_iter()
        .find(|verb| rule.has_field_by_name(verb))
        .expect("an HTTP rule has one of the five methods");
    Route {
        verb: verb.to_owned(),
        template: text(rule, verb),
        body: text(rule, "body"),
        response_body: text(rule, "response_body"),
    }
}

fn read_policy(rpc: &str, policy: &DynamicMessage) -> Policy {
    let access = if policy.has_field_by_name("scope") {
        Access::Scope(text(policy, "scope"))
    } else if flag(policy, "authenticated") {
        Access::Authenticated
    } else {
        assert!(flag(policy, "public"), "{rpc}: its policy does not say who may call");
        Access::Public
    };
    let group = group(policy);
    let status = number(policy, "success_status");
    let capability = text(policy, "capability");
    Policy {
        access,
        group,
        success_status: if status == 0 { 200 } else { status },
        idempotency_key: match get(policy, "idempotency_key").as_enum_number() {
            Some(1) => Some(Presence::Optional),
            Some(2) => Some(Presence::Required),
            _ => None,
        },
        capability: (!capability.is_empty()).then_some(capability),
        limited_by_address: flag(policy, "limited_by_address"),
        guarded: flag(policy, "guarded"),
    }
}

fn group(policy: &DynamicMessage) -> Option<String> {
    let Kind::Enum(groups) = policy.descriptor().get_field_by_name("group")?.kind() else {
        return None;
    };
    let group = groups.get_value(get(policy, "group").as_enum_number()?)?;
    (group.number() != 0).then(|| short_name(&groups, group.name()).to_lowercase())
}

fn read_rules(field: &FieldDescriptor, rules: &DynamicMessage) -> Rules {
    let bound = |name: &str| {
        let present = rules.has_field_by_name(name);
        present.then(|| get(rules, name).as_i64()).flatten()
    };
    let example = text(rules, "example");
    let example = (!example.is_empty()).then(|| {
        serde_json::from_str(&example)
            .unwrap_or_else(|e| panic!("the example of {} is not JSON: {e}", field.full_name()))
    });
    let one_of = get(rules, "one_of");
    Rules {
        required: flag(rules, "required"),
        min_length: number(rules, "min_length"),
        max_length: number(rules, "max_length"),
        max_items: number(rules, "max_items"),
        minimum: bound("minimum"),
        maximum: bound("maximum"),
        one_of: (one_of.as_list().into_iter().flatten())
            .filter_map(|value| Some(value.as_str()?.to_owned()))
            .collect(),
        unique: flag(rules, "unique"),
        takes_number: flag(rules, "takes_number"),
        example,
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

/// What the comment of a declaration says, without the name that it opens with: "Ticket is one
/// piece of work." becomes "One piece of work."
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
