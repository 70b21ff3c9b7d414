//! The options of the contract: HTTP rules, policies, and the rules of fields.
//!
//! Options of ours are read by name, so that the generator needs no code for them.

use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage, Value};

/// An RPC's `(orqit.v1.policy)`.
#[derive(Debug, PartialEq, Eq)]
pub struct Policy {
    pub access: Access,
    /// The group's name in lower case, without prefix.
    pub group: Option<String>,
    pub success_status: u16,
    pub idempotency_key: IdempotencyKeyUse,
    /// The capability that the workspace's plan must have.
    pub capability: Option<String>,
    /// True if each call spends from a budget of its client's address.
    pub limited_by_address: bool,
    /// True if a precondition is about the resource that the path names.
    pub guarded: bool,
    /// The other name of the scope.
    pub ability: Option<String>,
    /// The path on which it can do without an Idempotency-Key.
    pub keyless_path: Option<String>,
}

impl Policy {
    /// Returns the use of an Idempotency-Key on this path.
    pub fn idempotency_key_on(&self, path: &str) -> &IdempotencyKeyUse {
        match self.keyless_path.as_deref() == Some(path) {
            true => &IdempotencyKeyUse::Optional,
            false => &self.idempotency_key,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum Access {
    Public,
    Authenticated,
    Scope(String),
}

#[derive(Debug, PartialEq, Eq)]
pub enum IdempotencyKeyUse {
    Ignored,
    Optional,
    Required,
}

/// A `google.api.http` rule.
#[derive(Debug, PartialEq, Eq)]
pub struct HttpRule {
    pub method: String,
    pub template: String,
    /// A field's name, `*`, or empty.
    pub body: String,
    /// A field's name, or empty for the whole message.
    pub response_body: String,
}

/// A field's `(orqit.v1.rules)`.
#[derive(Debug, Default, Clone)]
pub struct Rules {
    pub required: bool,
    pub min_length: u32,
    pub max_length: u32,
    pub max_items: u32,
    pub minimum: Option<i64>,
    pub maximum: Option<i64>,
    pub one_of: Vec<String>,
    pub unique: bool,
    /// True if a string may be written as a JSON integer.
    pub takes_number: bool,
    /// True if the items of a list are judged one by one.
    pub judged: bool,
    /// True if a resource is known by the field.
    pub key: bool,
    /// True if a string is one line of text.
    pub line: bool,
    /// The form that a string has, if it is bound to one.
    pub format: Option<Format>,
    /// A value for the documentation.
    pub example: Option<serde_json::Value>,
}

/// A form of strings, as the rules name it; its variants are those of `rest::Format`.
#[derive(Debug, Clone, Copy)]
pub enum Format {
    Date,
    Address,
    TimeZone,
    Language,
}

impl Format {
    fn of(rules: &DynamicMessage) -> Option<Self> {
        let forms = [
            ("date", Self::Date),
            ("address", Self::Address),
            ("time_zone", Self::TimeZone),
            ("language", Self::Language),
        ];
        forms.into_iter().find(|(name, _)| bool_of(rules, name)).map(|(_, form)| form)
    }
}

/// An RPC's `(orqit.v1.event_stream)`: the names of fields.
#[derive(Debug, PartialEq, Eq)]
pub struct EventStream {
    pub data: String,
    pub id: Option<String>,
    pub event: Option<String>,
    pub checkpoint: Option<String>,
}

/// The policy of an RPC; `None` when it has none, or one that does not say who may call.
pub fn policy(pool: &DescriptorPool, options: &DynamicMessage) -> Option<Policy> {
    let policy = extension(pool, options, "orqit.v1.policy")?;
    let policy = policy.as_message()?;
    let access = if bool_of(policy, "public") {
        Access::Public
    } else if bool_of(policy, "authenticated") {
        Access::Authenticated
    } else {
        Access::Scope(string_of(policy, "scope")).some_unless_empty()?
    };
    let status = u32_of(policy, "success_status");
    let named = |option| Some(string_of(policy, option)).filter(|name| !name.is_empty());
    Some(Policy {
        access,
        group: enum_of(policy, "group", "ENDPOINT_GROUP_"),
        success_status: u16::try_from(status).ok().filter(|status| *status != 0).unwrap_or(200),
        idempotency_key: match enum_of(policy, "idempotency_key", "IDEMPOTENCY_KEY_USE_") {
            Some(required) if required == "required" => IdempotencyKeyUse::Required,
            Some(_) => IdempotencyKeyUse::Optional,
            None => IdempotencyKeyUse::Ignored,
        },
        capability: named("capability"),
        limited_by_address: bool_of(policy, "limited_by_address"),
        guarded: bool_of(policy, "guarded"),
        ability: named("ability"),
        keyless_path: named("keyless_path"),
    })
}

impl Access {
    fn some_unless_empty(self) -> Option<Self> {
        match &self {
            Self::Scope(scope) if scope.is_empty() => None,
            _ => Some(self),
        }
    }
}

/// The HTTP rules of an RPC: the main one, then the additional bindings.
pub fn http_rules(pool: &DescriptorPool, options: &DynamicMessage) -> Vec<HttpRule> {
    let Some(main) = extension(pool, options, "google.api.http") else { return Vec::new() };
    let Some(main) = main.as_message() else { return Vec::new() };
    let additional = field(main, "additional_bindings");
    let additional = additional.as_list().unwrap_or_default();
    let rules = std::iter::once(main).chain(additional.iter().filter_map(Value::as_message));
    rules.filter_map(http_rule).collect()
}

fn http_rule(rule: &DynamicMessage) -> Option<HttpRule> {
    let standard = ["get", "put", "post", "delete", "patch"];
    let set = standard.into_iter().find(|name| rule.has_field_by_name(name));
    let (method, template) = match set {
        Some(name) => (name.to_uppercase(), string_of(rule, name)),
        None if rule.has_field_by_name("custom") => {
            let custom = field(rule, "custom");
            let custom = custom.as_message()?;
            (string_of(custom, "kind"), string_of(custom, "path"))
        }
        None => return None,
    };
    let (body, response_body) = (string_of(rule, "body"), string_of(rule, "response_body"));
    Some(HttpRule { method, template, body, response_body })
}

/// The rules of a field.
pub fn rules(pool: &DescriptorPool, options: &DynamicMessage) -> Rules {
    let Some(rules) = extension(pool, options, "orqit.v1.rules") else { return Rules::default() };
    let Some(rules) = rules.as_message() else { return Rules::default() };
    let bound = |name| rules.has_field_by_name(name).then(|| field(rules, name).as_i64());
    let one_of = field(rules, "one_of");
    let one_of = one_of.as_list().unwrap_or_default().iter().filter_map(Value::as_str);
    Rules {
        required: bool_of(rules, "required"),
        min_length: u32_of(rules, "min_length"),
        max_length: u32_of(rules, "max_length"),
        max_items: u32_of(rules, "max_items"),
        minimum: bound("minimum").flatten(),
        maximum: bound("maximum").flatten(),
        one_of: one_of.map(str::to_owned).collect(),
        unique: bool_of(rules, "unique"),
        takes_number: bool_of(rules, "takes_number"),
        judged: bool_of(rules, "judged"),
        key: bool_of(rules, "key"),
        line: bool_of(rules, "line"),
        format: Format::of(rules),
        example: example(&string_of(rules, "example")),
    }
}

/// The value that an example is.
///
/// # Panics
///
/// If it is not JSON: a build stops, no request does.
fn example(text: &str) -> Option<serde_json::Value> {
    let parsed = (!text.is_empty()).then(|| serde_json::from_str(text));
    parsed.map(|parsed| {
        parsed.unwrap_or_else(|error| panic!("the example {text} is not JSON: {error}"))
    })
}

/// Reads the format in which REST writes the messages of a stream; `None` where each is a document
/// by itself.
pub fn event_stream(pool: &DescriptorPool, options: &DynamicMessage) -> Option<EventStream> {
    let stream = extension(pool, options, "orqit.v1.event_stream")?;
    let stream = stream.as_message()?;
    let name = |field| Some(string_of(stream, field)).filter(|name| !name.is_empty());
    let data = string_of(stream, "data");
    Some(EventStream { data, id: name("id"), event: name("event"), checkpoint: name("checkpoint") })
}

/// The full name of the resource that a request updates.
pub fn updates(pool: &DescriptorPool, options: &DynamicMessage) -> Option<String> {
    let resource = extension(pool, options, "orqit.v1.updates")?;
    resource.as_str().map(str::to_owned)
}

/// Returns true if a resource shows figures that change without a version.
pub fn has_figures(pool: &DescriptorPool, options: &DynamicMessage) -> bool {
    let figures = extension(pool, options, "orqit.v1.has_figures");
    figures.and_then(|figures| figures.as_bool()).unwrap_or_default()
}

/// Returns true if the JSON of a message is its only field, a list.
pub fn is_list(pool: &DescriptorPool, options: &DynamicMessage) -> bool {
    let list = extension(pool, options, "orqit.v1.list");
    list.and_then(|list| list.as_bool()).unwrap_or_default()
}

/// The short names of the values that may follow one of an enum; `None` where it says nothing of that.
pub fn step(pool: &DescriptorPool, options: &DynamicMessage) -> Option<Vec<String>> {
    let step = extension(pool, options, "orqit.v1.step")?;
    let to = field(step.as_message()?, "to");
    let names = to.as_list().unwrap_or_default().iter().filter_map(Value::as_str);
    Some(names.map(str::to_owned).collect())
}

/// The facts of a type of events.
pub struct EventKind {
    /// The name in payloads, such as `ticket.updated`.
    pub name: String,
    /// The message that its payload shows.
    pub object: String,
    /// The narrower topics of some of its events.
    pub topics: Vec<String>,
    /// The message whose fields its payload has beside.
    pub beside: Option<String>,
    /// True if webhooks get it only by its name.
    pub only_by_name: bool,
}

/// Reads the type of events that an enum's value is, if it is one.
pub fn event(pool: &DescriptorPool, options: &DynamicMessage) -> Option<EventKind> {
    let event = extension(pool, options, "orqit.v1.event")?;
    let event = event.as_message()?;
    let topics = field(event, "topics");
    let topics = topics.as_list().unwrap_or_default().iter().filter_map(Value::as_str);
    Some(EventKind {
        name: string_of(event, "name"),
        object: string_of(event, "object"),
        topics: topics.map(str::to_owned).collect(),
        beside: Some(string_of(event, "beside")).filter(|beside| !beside.is_empty()),
        only_by_name: bool_of(event, "only_by_name"),
    })
}

fn extension(pool: &DescriptorPool, options: &DynamicMessage, name: &str) -> Option<Value> {
    let extension = pool.get_extension_by_name(name)?;
    let is_set = options.has_extension(&extension);
    is_set.then(|| options.get_extension(&extension).into_owned())
}

fn field(message: &DynamicMessage, name: &str) -> Value {
    let value = message.get_field_by_name(name);
    value.map(|value| value.into_owned()).unwrap_or(Value::Bool(false))
}

fn string_of(message: &DynamicMessage, name: &str) -> String {
    field(message, name).as_str().unwrap_or_default().to_owned()
}

fn bool_of(message: &DynamicMessage, name: &str) -> bool {
    field(message, name).as_bool().unwrap_or_default()
}

fn u32_of(message: &DynamicMessage, name: &str) -> u32 {
    field(message, name).as_u32().unwrap_or_default()
}

/// The short name of an enum value in lower case; `None` for zero.
fn enum_of(message: &DynamicMessage, name: &str, prefix: &str) -> Option<String> {
    let number = field(message, name).as_enum_number().filter(|number| *number != 0)?;
    let kind = message.descriptor().get_field_by_name(name)?.kind();
    let value = kind.as_enum()?.get_value(number)?;
    Some(value.name().strip_prefix(prefix).unwrap_or(value.name()).to_lowercase())
}
