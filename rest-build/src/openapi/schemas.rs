//! The JSON schemas of messages: one set for what is answered, another for what is accepted.
//!
//! An answer has every key always, so all are required and what may be unset is nullable. A
//! request has bounds, and what `null` and absence mean depends on whether it creates or updates.

use std::collections::BTreeMap;

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::contract::is;
use super::contract::{self, Contract, Rules};
use crate::options::Format;

/// The most characters of a string that says nothing of its length.
const LENGTH_MAX: u32 = 65_536;
/// The most elements of a list that says nothing of its size.
const ITEMS_MAX: u32 = 100;
/// The pattern of any text without U+0000, which no database keeps.
const NO_NUL: &str = r"^[^\u0000]*$";
/// The pattern of a text without control characters.
const LINE: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";
/// An e-mail address.
const ADDRESS: &str = r"^[^@\s\u0000-\u001f\u007f-\u009f]+@[^@\s\u0000-\u001f\u007f-\u009f]+$";
/// The form of an IANA time zone.
const TIME_ZONE: &str = "^[A-Za-z0-9/_+-]*$";
/// The form of a BCP 47 language tag.
const LANGUAGE: &str = "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$";

/// The named schemas of a document, made as they are asked for.
pub struct Schemas<'a> {
    contract: &'a Contract<'a>,
    named: BTreeMap<String, Value>,
}

/// The use of a field's schema.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Answer,
    /// A body in which null is the same as absent.
    Create,
    /// A body in which null clears.
    Update,
}

impl<'a> Schemas<'a> {
    pub fn new(contract: &'a Contract<'a>) -> Self {
        Self { contract, named: BTreeMap::new() }
    }

    /// The named schemas, in alphabetical order.
    pub fn into_named(self) -> Map<String, Value> {
        self.named.into_iter().collect()
    }

    /// Adds a schema under a name, and returns the reference to it.
    pub fn add(&mut self, name: &str, schema: Value) -> Value {
        self.named.insert(name.to_owned(), schema);
        reference(name)
    }

    /// The schema that stands under a name, if one does.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.named.get(name)
    }

    /// A message as it is answered.
    pub fn answer(&mut self, message: &MessageDescriptor) -> Value {
        let all: Vec<_> = message.fields().collect();
        self.message(&message_name(message), message, &all, Use::Answer)
    }

    /// A field of a response as it is answered, without its description.
    pub fn answer_field(&mut self, field: &FieldDescriptor) -> Value {
        self.shape(field, Use::Answer)
    }

    /// A body of these `fields` of a request.
    pub fn body(&mut self, request: &MessageDescriptor, fields: &[FieldDescriptor]) -> Value {
        let purpose = if self.contract.updates(request) { Use::Update } else { Use::Create };
        self.object(request, fields, purpose)
    }

    /// A body that is one field of a request.
    pub fn body_field(&mut self, field: &FieldDescriptor) -> Value {
        self.shape(field, Use::Create)
    }

    /// The value of a path variable or query parameter: never null, never empty. Where the rules
    /// give no length, the length of a request's head is what bounds it.
    pub fn parameter(&mut self, field: &FieldDescriptor) -> Value {
        let rules = self.contract.rules(field);
        let mut schema = self.shape(field, Use::Create);
        if field.is_list() {
            schema["minItems"] = json!(1);
        } else if schema.get("maxLength").is_some() {
            schema["minLength"] = json!(rules.min_length.max(1));
            if rules.max_length == 0 {
                schema.as_object_mut().map(|schema| schema.shift_remove("maxLength"));
            }
        }
        schema
    }

    fn message(
        &mut self,
        name: &str,
        message: &MessageDescriptor,
        fields: &[FieldDescriptor],
        purpose: Use,
    ) -> Value {
        if !self.named.contains_key(name) {
            // A message may contain itself: the name is taken before its fields are looked at.
            self.named.insert(name.to_owned(), Value::Null);
            let schema = self.object(message, fields, purpose);
            self.named.insert(name.to_owned(), schema);
        }
        reference(name)
    }

    fn object(
        &mut self,
        message: &MessageDescriptor,
        fields: &[FieldDescriptor],
        purpose: Use,
    ) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in fields {
            let rules = self.contract.rules(field);
            // An item that updates a resource names it by its id, or by other keys.
            let must_stand = purpose == Use::Create || rules.key || field.name() == "id";
            if purpose == Use::Answer || (must_stand && rules.required) {
                required.push(field.json_name().to_owned());
            }
            properties.insert(field.json_name().to_owned(), self.property(field, &rules, purpose));
        }
        let mut schema = json!({ "type": "object" });
        let comment = contract::comment(&message.parent_file(), message.path());
        describe(&mut schema, &contract::about(message.name(), &comment));
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        schema["properties"] = Value::Object(properties);
        schema["additionalProperties"] = json!(false);
        schema
    }

    fn property(&mut self, field: &FieldDescriptor, rules: &Rules, purpose: Use) -> Value {
        let mut schema = self.shape(field, purpose);
        let null = match purpose {
            Use::Answer => !field.is_list() && field.supports_presence(),
            Use::Create | Use::Update => !rules.required,
        };
        if null {
            schema = nullable(schema);
        }
        describe(
            &mut schema,
            &contract::comment(&field.parent_message().parent_file(), field.path()),
        );
        if let Some(example) = &rules.example {
            schema["examples"] = json!([example]);
        }
        schema
    }

    /// A field's schema with its bounds, whether or not it may be null.
    fn shape(&mut self, field: &FieldDescriptor, purpose: Use) -> Value {
        let rules = self.contract.rules(field);
        if let (true, Kind::Message(entry)) = (field.is_map(), field.kind()) {
            let value = self.element(&entry.map_entry_value_field(), &rules, purpose);
            return json!({ "type": "object", "additionalProperties": value });
        }
        let element = self.element(field, &rules, purpose);
        if !field.is_list() {
            return element;
        }
        let mut list = json!({ "type": "array", "items": element });
        if purpose != Use::Answer {
            if rules.required {
                list["minItems"] = json!(1);
            }
            list["maxItems"] = json!(or_default(rules.max_items, ITEMS_MAX));
            if rules.unique {
                list["uniqueItems"] = json!(true);
            }
        }
        list
    }

    fn element(&mut self, field: &FieldDescriptor, rules: &Rules, purpose: Use) -> Value {
        match field.kind() {
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::Float => json!({ "type": "number", "format": "float" }),
            Kind::Double => json!({ "type": "number", "format": "double" }),
            Kind::String => string(field, rules, purpose),
            Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            // A request that may not have every value says which it may have.
            Kind::Enum(_) if !rules.one_of.is_empty() && purpose != Use::Answer => {
                json!({ "type": "string", "enum": rules.one_of })
            }
            Kind::Enum(descriptor) => self.enumeration(&descriptor),
            Kind::Message(message) => self.nested(&message, purpose),
            kind => integer(&kind, rules, purpose),
        }
    }

    fn nested(&mut self, message: &MessageDescriptor, purpose: Use) -> Value {
        let name = message_name(message);
        match message.full_name() {
            "google.protobuf.Timestamp" => json!({ "type": "string", "format": "date-time" }),
            "google.protobuf.Struct" => json!({ "type": "object" }),
            "google.protobuf.ListValue" => json!({ "type": "array" }),
            "google.protobuf.Value" => json!({}),
            other if other.starts_with("google.protobuf.") => {
                panic!("{other} has no schema yet: say in openapi/schemas.rs what its JSON is")
            }
            _ if purpose == Use::Answer => match self.contract.list(message) {
                Some(list) => self.answer_field(&list),
                None => self.answer(message),
            },
            _ => {
                // What a mask says over gRPC, the keys of the item say here.
                let all = message.fields().filter(|field| !is(field, "google.protobuf.FieldMask"));
                let all: Vec<_> = all.collect();
                let is_update = self.contract.updates(message);
                let purpose = if is_update { Use::Update } else { Use::Create };
                self.message(&format!("{name}Input"), message, &all, purpose)
            }
        }
    }

    fn enumeration(&mut self, descriptor: &EnumDescriptor) -> Value {
        let values = contract::enum_values(descriptor);
        let comment = contract::comment(&descriptor.parent_file(), descriptor.path());
        let mut text = contract::about(descriptor.name(), &comment);
        let steps = contract::steps(descriptor);
        text.push('\n');
        for (name, comment) in &values {
            text.push_str(&format!("\n- `{name}`: {}", contract::one_line(comment)));
            let step = steps.iter().find(|(from, _)| from == name);
            text.push_str(&step.map(|(_, to)| leads(to)).unwrap_or_default());
        }
        let names: Vec<_> = values.iter().map(|(name, _)| name).collect();
        self.add(descriptor.name(), json!({ "type": "string", "description": text, "enum": names }))
    }
}

/// Returns the sentence that tells where a status leads.
fn leads(to: &[String]) -> String {
    match to {
        [] => " It is final.".to_owned(),
        to => format!(" Leads to `{}`.", to.join("`, `")),
    }
}

/// A message's own name, with those of the messages that it is declared in.
fn message_name(message: &MessageDescriptor) -> String {
    let outer = message.parent_message().map(|outer| message_name(&outer)).unwrap_or_default();
    outer + message.name()
}

pub fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn string(field: &FieldDescriptor, rules: &Rules, purpose: Use) -> Value {
    if let Some(Format::Date) = rules.format {
        return json!({ "type": "string", "format": "date" });
    }
    if purpose == Use::Answer {
        return json!({ "type": "string" });
    }
    if !rules.one_of.is_empty() {
        return json!({ "type": "string", "enum": rules.one_of });
    }
    // In a string without presence the empty value stands for none.
    let least = u32::from(rules.required && !field.is_list() && !field.supports_presence());
    let kind = if rules.takes_number { json!(["string", "integer"]) } else { json!("string") };
    json!({
        "type": kind,
        "minLength": rules.min_length.max(least),
        "maxLength": or_default(rules.max_length, LENGTH_MAX),
        "pattern": match rules.format {
            Some(Format::Address) => ADDRESS,
            Some(Format::TimeZone) => TIME_ZONE,
            Some(Format::Language) => LANGUAGE,
            Some(Format::Date) | None if rules.line => LINE,
            Some(Format::Date) | None => NO_NUL,
        },
    })
}

fn integer(kind: &Kind, rules: &Rules, purpose: Use) -> Value {
    let (format, least, most) = match kind {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => ("int32", i32::MIN.into(), json!(i32::MAX)),
        Kind::Uint32 | Kind::Fixed32 => ("uint32", 0, json!(u32::MAX)),
        Kind::Uint64 | Kind::Fixed64 => ("uint64", 0, json!(u64::MAX)),
        _ => ("int64", i64::MIN, json!(i64::MAX)),
    };
    let mut schema = json!({ "type": "integer", "format": format });
    if purpose != Use::Answer {
        schema["minimum"] = json!(rules.minimum.unwrap_or(least));
        schema["maximum"] = rules.maximum.map_or(most, |most| json!(most));
    }
    schema
}

fn or_default(bound: u32, default: u32) -> u32 {
    if bound == 0 { default } else { bound }
}

fn nullable(mut schema: Value) -> Value {
    if schema.get("$ref").is_some() {
        return json!({ "anyOf": [schema, { "type": "null" }] });
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.push(Value::Null);
    }
    match schema.get_mut("type") {
        Some(Value::Array(kinds)) => kinds.push(json!("null")),
        Some(kind) => *kind = json!([kind.take(), "null"]),
        None => {}
    }
    schema
}

fn describe(schema: &mut Value, comment: &str) {
    if !comment.is_empty() {
        schema["description"] = json!(comment);
    }
}
