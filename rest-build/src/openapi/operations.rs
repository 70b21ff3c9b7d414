//! The operations: one for each HTTP rule, with its parameters and its body.
//!
//! What an operation answers stands in `answers` and `errors`.

use heck::{ToKebabCase, ToLowerCamelCase, ToUpperCamelCase};
use prost_reflect::{FieldDescriptor, Kind};
use serde_json::{Map, Value, json};

use super::contract::{self, Access, Contract, IdempotencyKeyUse, Route, Rpc, is};
use super::errors::{self, Code};
use super::examples;
use super::schemas::Schemas;

/// An operation on its way into the document.
pub struct Operation<'a> {
    pub contract: &'a Contract<'a>,
    pub rpc: &'a Rpc,
    pub route: &'a Route,
    pub id: String,
    /// The operation that this one is another route of.
    alias_of: Option<String>,
    /// The fields of the request by where they stand.
    path: Vec<FieldDescriptor>,
    query: Vec<FieldDescriptor>,
    /// Maps whose entries are query parameters.
    query_maps: Vec<FieldDescriptor>,
    body: Vec<FieldDescriptor>,
}

/// The paths of the document. They name their schemas in `schemas`.
pub fn paths(contract: &Contract, codes: &[Code], schemas: &mut Schemas) -> Map<String, Value> {
    let mut paths = Map::new();
    let mut taken = Vec::new();
    for rpc in &contract.rpcs() {
        for (index, route) in rpc.routes.iter().enumerate() {
            let id = operation_id(rpc, route, index, &taken);
            taken.push(id.clone());
            let operation = Operation::new(contract, rpc, route, id, index);
            let path = path(&route.template, &operation.path);
            let path = paths.entry(path).or_insert_with(|| json!({}));
            path[&route.verb] = operation.render(codes, schemas);
        }
    }
    paths
}

fn operation_id(rpc: &Rpc, route: &Route, index: usize, taken: &[String]) -> String {
    let main = rpc.method.name().to_lower_camel_case();
    let alias = format!("{main}{}", route.verb.to_upper_camel_case());
    let names = std::iter::once(if index == 0 { main } else { alias.clone() });
    let mut names = names.chain((2..).map(|count| format!("{alias}{count}")));
    names.find(|name| !taken.contains(name)).expect("the numbers do not run out")
}

/// A template as OpenAPI writes it: `{task_id=*}` becomes `{taskId}`.
fn path(template: &str, fields: &[FieldDescriptor]) -> String {
    let mut parts = template.split('{');
    let head = parts.next().unwrap_or_default().to_owned();
    parts.zip(fields).fold(head, |path, (part, field)| {
        let (_, rest) = part.split_once('}').expect("a template closes its variables");
        format!("{path}{{{}}}{rest}", field.json_name())
    })
}

/// The names of the fields in a template, in its order.
fn variables(template: &str) -> Vec<&str> {
    let variables = template.split('{').skip(1).filter_map(|part| part.split(['}', '=']).next());
    variables.collect()
}

impl<'a> Operation<'a> {
    fn new(
        contract: &'a Contract,
        rpc: &'a Rpc,
        route: &'a Route,
        id: String,
        index: usize,
    ) -> Self {
        let request = rpc.method.input();
        let variables = variables(&route.template);
        let path = variables.iter().map(|name| {
            let field = request.get_field_by_name(name);
            field.unwrap_or_else(|| panic!("{id}: {name} is no field of {}", request.name()))
        });
        let path = path.collect();
        // A mask is how gRPC says which fields are meant; over REST the body says it.
        let rest = request.fields().filter(|field| {
            !variables.contains(&field.name()) && !is(field, "google.protobuf.FieldMask")
        });
        let (body, query): (_, Vec<_>) =
            rest.partition(|field| route.body == "*" || route.body == field.name());
        let (query_maps, query) = query.into_iter().partition(FieldDescriptor::is_map);
        let alias_of = (index > 0).then(|| rpc.method.name().to_lower_camel_case());
        Self { contract, rpc, route, id, alias_of, path, query, query_maps, body }
    }

    fn render(&self, codes: &[Code], schemas: &mut Schemas) -> Value {
        let mut operation = json!({
            "operationId": self.id,
            "summary": self.summary(),
            "description": self.description(),
            "tags": [super::tag_name(&self.rpc.service)],
            "security": self.security(),
        });
        self.extend(&mut operation);
        let parameters = self.parameters(schemas);
        if !parameters.is_empty() {
            operation["parameters"] = json!(parameters);
        }
        if !self.route.body.is_empty() {
            operation["requestBody"] = self.request_body(schemas);
        }
        let mut responses = Map::new();
        responses.insert(self.rpc.policy.success_status.to_string(), self.success(schemas));
        if self.route.verb == "get" && self.is_versioned() {
            responses.insert("304".to_owned(), self.not_modified());
        }
        responses.extend(errors::of(self.contract, codes, self.rpc, self.route));
        operation["responses"] = Value::Object(responses);
        operation
    }

    /// Adds what OpenAPI has no word for.
    fn extend(&self, operation: &mut Value) {
        let (service, method) = (self.rpc.service.full_name(), self.rpc.method.name());
        operation["x-orqit-rpc"] = json!(format!("{service}/{method}"));
        if let Some(group) = &self.rpc.policy.group {
            operation["x-orqit-group"] = json!(group);
        }
        if let Access::Scope(scope) = &self.rpc.policy.access {
            operation["x-orqit-scope"] = json!(scope);
        }
    }

    fn comment(&self) -> String {
        contract::comment(&self.rpc.service.parent_file(), self.rpc.method.path())
    }

    fn summary(&self) -> String {
        let summary = contract::summary(&self.comment());
        match &self.alias_of {
            Some(_) => format!("{summary} ({})", self.route.verb.to_uppercase()),
            None => summary,
        }
    }

    fn description(&self) -> String {
        let demand = match &self.rpc.policy.access {
            Access::Public => "Needs no key, and ignores one.".to_owned(),
            Access::Authenticated => "Needs a key; any scope will do.".to_owned(),
            Access::Scope(scope) => format!("Needs a key with the scope `{scope}`."),
        };
        let alias = self.alias_of.as_ref().map(|id| format!("The same as `{id}`."));
        let capability = self.rpc.policy.capability.as_ref();
        let plan = capability.map(|name| format!("The workspace needs the capability `{name}`."));
        // OpenAPI has no style for parameters whose names hold a key.
        let maps = self.query_maps.iter().map(|map| {
            let comment = contract::comment(&map.parent_file(), map.path());
            format!("Query parameters `{}.<key>`, each at most once: {comment}", map.json_name())
        });
        [Some(self.comment()), alias, Some(demand), plan]
            .into_iter()
            .flatten()
            .chain(maps)
            .collect::<Vec<_>>()
            .join("\n\n")
    }

    pub fn is_versioned(&self) -> bool {
        self.contract.is_versioned(self.rpc, self.route)
    }

    fn security(&self) -> Value {
        match self.rpc.policy.access {
            Access::Public => json!([]),
            _ => json!([{ "bearerAuth": [] }, { "apiKeyHeader": [] }]),
        }
    }

    fn parameters(&self, schemas: &mut Schemas) -> Vec<Value> {
        let path = self.path.iter().map(|field| self.parameter(field, "path", schemas));
        let mut parameters: Vec<_> = path.collect();
        parameters.extend(self.query.iter().map(|field| self.parameter(field, "query", schemas)));
        if self.is_versioned() {
            for name in ["If-Match", "If-None-Match"] {
                parameters.push(json!({ "$ref": format!("#/components/parameters/{name}") }));
            }
        }
        if self.contract.resumes(self.rpc) {
            parameters.push(json!({ "$ref": "#/components/parameters/Last-Event-ID" }));
        }
        match self.rpc.policy.idempotency_key_on(&self.route.template) {
            IdempotencyKeyUse::Ignored => {}
            IdempotencyKeyUse::Optional => parameters.push(self.idempotency_key(false)),
            IdempotencyKeyUse::Required => parameters.push(self.idempotency_key(true)),
        }
        parameters
    }

    /// Returns the header parameter, with an example of its own for each operation: a key is for
    /// one request.
    fn idempotency_key(&self, required: bool) -> Value {
        json!({
            "name": "Idempotency-Key",
            "in": "header",
            "required": required,
            "description": "Makes a retry safe: 1 to 255 visible ASCII characters of your own. The same request under the same key is done once within 24 hours; a repetition gets the first answer again.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255 },
            "example": format!("{}-4711", self.id.to_kebab_case()),
        })
    }

    fn parameter(&self, field: &FieldDescriptor, place: &str, schemas: &mut Schemas) -> Value {
        let rules = self.contract.rules(field);
        let message = matches!(field.kind(), Kind::Message(_));
        assert!(
            !field.is_map() && (!message || is(field, "google.protobuf.Timestamp")),
            "{}: {} cannot be a parameter",
            self.id,
            field.full_name()
        );
        let mut parameter = json!({
            "name": field.json_name(),
            "in": place,
            "description": contract::comment(&field.parent_message().parent_file(), field.path()),
        });
        if place == "path" || rules.required {
            parameter["required"] = json!(true);
        }
        if field.is_list() {
            // A comma is data in words, so that a list repeats the parameter. Ids and enums take both.
            parameter["style"] = json!("form");
            parameter["explode"] = json!(true);
        }
        parameter["schema"] = schemas.parameter(field);
        let of_page = [("page", json!(1)), ("per_page", json!(20))];
        let of_page = of_page.into_iter().find(|(name, _)| field.name() == *name);
        match rules.example.or(of_page.map(|(_, example)| example)) {
            Some(example) => parameter["example"] = example,
            // No value at all: whoever makes requests of the document leaves it out. Made-up values of all
            // filters together would find nothing, and some of them exclude each other. Nowhere else is
            // such an example taken by converters and linters alike.
            None => parameter["schema"]["examples"] = json!([[]]),
        }
        parameter
    }

    fn request_body(&self, schemas: &mut Schemas) -> Value {
        let request = self.rpc.method.input();
        let schema = match self.body.as_slice() {
            [only] if self.route.body != "*" => schemas.body_field(only),
            fields => {
                let schema = schemas.body(&request, fields);
                self.named(schemas, request.name(), "Body", schema)
            }
        };
        let mut media = json!({ "schema": schema });
        if let Some(example) = examples::body(self.contract, &self.body_fields()) {
            media["example"] = example;
        }
        let mut content = json!({ "application/json": media });
        if self.route.verb == "patch" {
            content["application/merge-patch+json"] = media;
        }
        let mut body = json!({ "required": true, "content": content });
        if self.contract.updates(&request) {
            body["description"] =
                json!("A JSON merge patch: what is left out stays as it is, `null` clears.");
        }
        body
    }

    /// The fields that stand at the top of the body.
    pub fn body_fields(&self) -> Vec<FieldDescriptor> {
        match self.body.as_slice() {
            [only] if self.route.body != "*" => match only.kind() {
                Kind::Message(message) => message.fields().collect(),
                _ => Vec::new(),
            },
            fields => fields.to_vec(),
        }
    }

    /// Puts a schema under `name`, or under one of the operation's own when another has that.
    pub fn named(&self, schemas: &mut Schemas, name: &str, ending: &str, schema: Value) -> Value {
        match schemas.get(name) {
            Some(other) if *other != schema => {
                schemas.add(&format!("{}{ending}", self.id.to_upper_camel_case()), schema)
            }
            _ => schemas.add(name, schema),
        }
    }
}
