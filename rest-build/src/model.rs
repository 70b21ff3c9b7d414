//! The API as plain structs: what the generated code needs to know of the descriptors.
//!
//! What the bindings cannot carry is refused here, with a sentence that names it.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{
    DescriptorPool, FieldDescriptor, Kind as ProtoKind, MessageDescriptor, MethodDescriptor,
    ServiceDescriptor,
};

use crate::enumeration::Enum;
use crate::names;
use crate::options::{self, EventStream, HttpRule, Policy, Rules};

/// The services of a package with all messages and enums that they use, by full name.
pub struct Api {
    pub services: Vec<Service>,
    pub messages: BTreeMap<String, Message>,
    pub enums: BTreeMap<String, Enum>,
}

pub struct Service {
    pub name: String,
    pub full_name: String,
    pub rpcs: Vec<Rpc>,
}

pub struct Rpc {
    pub name: String,
    /// The full name of its request message.
    pub input: String,
    /// The full name of its response message.
    pub output: String,
    pub policy: Option<Policy>,
    pub routes: Vec<Route>,
    /// True if it answers a stream of messages.
    pub streams: bool,
    /// The format in which REST writes them, where each is not a document by itself.
    pub event_stream: Option<EventStream>,
}

/// An HTTP rule, with the variables of its template.
pub struct Route {
    pub rule: HttpRule,
    /// The field paths of the variables, such as `id` or `book.name`, in the order of the template.
    pub variables: Vec<String>,
}

pub struct Message {
    /// The name within its package, such as `Outer.Inner`.
    pub name: String,
    pub fields: Vec<Field>,
    /// The resource that it updates.
    pub updates: Option<String>,
    /// True if it shows figures that change without a version.
    pub has_figures: bool,
    /// True if its JSON is its only field, a list.
    pub is_list: bool,
}

#[derive(Clone)]
pub struct Field {
    pub proto: String,
    pub json: String,
    pub kind: Kind,
    pub shape: Shape,
    pub rules: Rules,
}

/// The number of values that a field has, and the type in which prost keeps them.
#[derive(Clone, PartialEq, Eq)]
pub enum Shape {
    /// A value that is its default when absent.
    Implicit,
    /// The field is an `Option`.
    Optional,
    /// The field is a `Vec`.
    List,
    /// The field is a `BTreeMap`.
    Map,
    /// A member of the oneof with this name.
    Member(String),
}

#[derive(Clone, PartialEq, Eq)]
pub enum Kind {
    Bool,
    /// A signed integer of 64 bits.
    Int64,
    /// Any other integer.
    Integer,
    Float,
    String,
    Bytes,
    /// An enum's full name.
    Enum(String),
    /// A message's full name.
    Message(String),
    Timestamp,
    Duration,
    FieldMask,
    Struct,
    Value,
    ListValue,
}

impl Api {
    /// The services of `package`, and what they use.
    pub fn new(pool: &DescriptorPool, package: &str) -> Result<Self, String> {
        let mut api =
            Self { services: Vec::new(), messages: BTreeMap::new(), enums: BTreeMap::new() };
        for service in pool.services().filter(|service| service.package_name() == package) {
            let rpcs: Result<_, _> = service.methods().map(|method| api.rpc(&method)).collect();
            api.services.push(Service {
                name: service.name().to_owned(),
                full_name: ServiceDescriptor::full_name(&service).to_owned(),
                rpcs: rpcs?,
            });
        }
        api.add_resources(pool)?;
        Ok(api)
    }

    /// A message that is in the API.
    pub fn message(&self, full_name: &str) -> &Message {
        &self.messages[full_name]
    }

    /// The names of `roots` and of all messages below them.
    pub fn below(&self, roots: impl IntoIterator<Item = String>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open: Vec<_> = roots.into_iter().collect();
        while let Some(name) = open.pop() {
            if found.insert(name.clone()) {
                open.extend(self.message(&name).fields.iter().filter_map(Field::message));
            }
        }
        found
    }

    /// The fields of a request that some route of its RPCs takes from the path, by proto name.
    pub fn path_bound(&self, request: &str) -> BTreeSet<&str> {
        let rpcs = self.services.iter().flat_map(|service| &service.rpcs);
        let routes = rpcs.filter(|rpc| rpc.input == request).flat_map(|rpc| &rpc.routes);
        routes.flat_map(|route| &route.variables).map(String::as_str).collect()
    }

    /// Returns true if the message is an item of a list whose items are judged one by one.
    pub fn is_item(&self, full_name: &str) -> bool {
        let fields = self.messages.values().flat_map(|message| &message.fields);
        let mut judged = fields.filter(|field| field.rules.judged);
        judged.any(|field| field.message().is_some_and(|name| name == full_name))
    }

    /// The resource that the answer to a route is; none where it is a list.
    pub fn resource(&self, rpc: &Rpc, route: &Route) -> Option<&Message> {
        let output = self.message(&rpc.output);
        match output.field(&route.rule.response_body) {
            None => Some(output),
            Some(field) if field.shape == Shape::Optional => {
                field.message().map(|name| self.message(&name))
            }
            Some(_) => None,
        }
    }

    /// Returns true if a route makes a resource: it names none, or GET lists what is made on the
    /// same path.
    pub fn makes(&self, route: &Route) -> bool {
        let rpcs = self.services.iter().flat_map(|service| &service.rpcs);
        let mut routes = rpcs.flat_map(|rpc| &rpc.routes).map(|route| &route.rule);
        let rule = &route.rule;
        let mut is_listed =
            || routes.any(|other| other.method == "GET" && other.template == rule.template);
        rule.method == "POST" && (route.variables.is_empty() || is_listed())
    }

    /// Adds the resources that requests update: what they have beside is read-only.
    fn add_resources(&mut self, pool: &DescriptorPool) -> Result<(), String> {
        let mut resources = Vec::new();
        for message in self.messages.values() {
            let Some(resource) = &message.updates else { continue };
            let name = &message.name;
            if !message.is_patch() {
                let mask = "google.protobuf.FieldMask update_mask";
                return Err(format!("{name}: (updates) needs a field {mask}"));
            }
            let found = pool.get_message_by_name(resource);
            resources.push(found.ok_or_else(|| {
                format!("{name}: (updates) names {resource}, which is not there")
            })?);
        }
        resources.iter().try_for_each(|resource| self.add_message(resource))
    }

    fn rpc(&mut self, method: &MethodDescriptor) -> Result<Rpc, String> {
        let pool = method.parent_pool();
        let rules = options::http_rules(pool, &method.options());
        if method.is_client_streaming() {
            return Err(format!("{} takes a stream: not supported", method.full_name()));
        }
        for message in [method.input(), method.output()] {
            if message.package_name() != method.parent_service().package_name() {
                let name = method.full_name();
                return Err(format!("{name} has a message of another package: not supported"));
            }
            self.add_message(&message)?;
        }
        Ok(Rpc {
            name: method.name().to_owned(),
            input: method.input().full_name().to_owned(),
            output: method.output().full_name().to_owned(),
            policy: options::policy(pool, &method.options()),
            routes: rules.into_iter().map(Route::new).collect(),
            streams: method.is_server_streaming(),
            event_stream: options::event_stream(pool, &method.options()),
        })
    }

    fn add_message(&mut self, message: &MessageDescriptor) -> Result<(), String> {
        if self.messages.contains_key(message.full_name()) {
            return Ok(());
        }
        let pool = message.parent_pool();
        let fields: Result<_, _> = message.fields().map(|field| Field::new(&field)).collect();
        let entry = Message {
            name: names::in_package(message.full_name(), message.package_name()),
            fields: fields?,
            updates: options::updates(pool, &message.options()),
            has_figures: options::has_figures(pool, &message.options()),
            is_list: options::is_list(pool, &message.options()),
        };
        if entry.is_list && !matches!(entry.fields.as_slice(), [only] if only.shape == Shape::List)
        {
            return Err(format!("{}: (list) is for a message of one list", entry.name));
        }
        self.messages.insert(message.full_name().to_owned(), entry);
        for field in message.fields() {
            match value_of(&field) {
                ProtoKind::Message(below) if below.package_name() == message.package_name() => {
                    self.add_message(&below)?;
                }
                ProtoKind::Enum(below) if below.package_name() == message.package_name() => {
                    self.enums.insert(below.full_name().to_owned(), Enum::new(&below)?);
                }
                ProtoKind::Message(below) if is_well_known(&below) => {}
                ProtoKind::Message(_) | ProtoKind::Enum(_) => {
                    let name = field.full_name();
                    return Err(format!("{name} has a type of another package: not supported"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Route {
    fn new(rule: HttpRule) -> Self {
        let variables = rule.template.split('{').skip(1);
        let name = |variable: &str| variable.split(['=', '}']).next().map(str::to_owned);
        Self { variables: variables.filter_map(name).collect(), rule }
    }
}

impl Message {
    /// The field with this proto name.
    pub fn field(&self, proto: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.proto == proto)
    }

    /// Returns true if it changes the fields of a mask.
    pub fn is_patch(&self) -> bool {
        self.field("update_mask").is_some_and(|field| field.kind == Kind::FieldMask)
    }
}

impl Field {
    fn new(field: &FieldDescriptor) -> Result<Self, String> {
        let shape = if field.is_map() {
            Shape::Map
        } else if field.is_list() {
            Shape::List
        } else if let Some(oneof) = field.containing_oneof().filter(|oneof| !oneof.is_synthetic()) {
            Shape::Member(oneof.name().to_owned())
        } else if field.supports_presence() {
            Shape::Optional
        } else {
            Shape::Implicit
        };
        Ok(Self {
            proto: field.name().to_owned(),
            json: field.json_name().to_owned(),
            kind: Kind::new(&value_of(field)),
            shape,
            rules: options::rules(field.parent_message().parent_pool(), &field.options()),
        })
    }

    /// The full name of the message that its values are.
    pub fn message(&self) -> Option<String> {
        match &self.kind {
            Kind::Message(name) => Some(name.clone()),
            _ => None,
        }
    }

    /// Returns true if it is a map to text: each entry can be a query parameter, named by field and
    /// key.
    pub fn is_text_map(&self) -> bool {
        self.shape == Shape::Map && self.kind == Kind::String
    }

    /// Returns true if an update merges it entry by entry: it is a map to any JSON.
    pub fn is_merged(&self) -> bool {
        self.shape == Shape::Map && self.kind == Kind::Value
    }

    /// Returns true if it can stand in a path or a query parameter.
    pub fn is_text(&self) -> bool {
        use Kind::{ListValue, Message, Struct, Value};
        self.shape != Shape::Map && !matches!(self.kind, Message(_) | Struct | Value | ListValue)
    }
}

/// The kind of a field's values: of a map, the kind of what its keys lead to.
fn value_of(field: &FieldDescriptor) -> ProtoKind {
    match field.kind() {
        ProtoKind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
        kind => kind,
    }
}

impl Kind {
    fn new(kind: &ProtoKind) -> Self {
        match kind {
            ProtoKind::Bool => Self::Bool,
            ProtoKind::Double | ProtoKind::Float => Self::Float,
            ProtoKind::String => Self::String,
            ProtoKind::Bytes => Self::Bytes,
            ProtoKind::Enum(kind) => Self::Enum(kind.full_name().to_owned()),
            ProtoKind::Message(message) => match message.full_name() {
                "google.protobuf.Timestamp" => Self::Timestamp,
                "google.protobuf.Duration" => Self::Duration,
                "google.protobuf.FieldMask" => Self::FieldMask,
                "google.protobuf.Struct" => Self::Struct,
                "google.protobuf.Value" => Self::Value,
                "google.protobuf.ListValue" => Self::ListValue,
                other => Self::Message(other.to_owned()),
            },
            ProtoKind::Int64 | ProtoKind::Sint64 | ProtoKind::Sfixed64 => Self::Int64,
            _ => Self::Integer,
        }
    }
}

fn is_well_known(message: &MessageDescriptor) -> bool {
    !matches!(Kind::new(&ProtoKind::Message(message.clone())), Kind::Message(_))
}
