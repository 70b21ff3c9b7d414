//! A mapping: which member or column of a record is which field, and which values stand for which.

mod made;
mod rule;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use self::made::Made;
use super::dates::Dates;

/// A mapping as a file has it. One on top of another, what the upper one says counts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Mapping {
    /// The externalSource of records that have none.
    pub source: Option<String>,
    /// True if members that have the name of a field are taken as that field without a rule.
    #[serde(default)]
    pub is_open: bool,
    /// The formats of times and dates, where a rule does not name one.
    #[serde(default)]
    pub dates: Dates,
    /// The members that are left out.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// The rule of each field, such as `title` or `requester.email`.
    #[serde(default)]
    pub fields: BTreeMap<String, Field>,
    /// The mapping of the comments that a record holds in a list.
    pub comments: Option<List>,
    pub history: Option<List>,
    /// The mapping of the records of a file of events.
    pub events: Option<List>,
}

/// The mapping of the records of a list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// The member that is the list; none for a file.
    #[serde(default)]
    from: String,
    /// The text before the id of a ticket, in a file of events.
    #[serde(default)]
    pub prefix: String,
    #[serde(default)]
    ignore: Vec<String>,
    fields: BTreeMap<String, Field>,
}

/// The source of a field.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Field {
    /// The member of this name, as it is.
    Member(String),
    /// The field is made by a rule.
    Rule(Box<Rule>),
}

/// The rule by which a field is made.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The members that it may be, the first that is there.
    #[serde(default)]
    from: OneOrMore,
    /// The members whose texts it is, one after the other.
    #[serde(default)]
    join: Vec<String>,
    /// The separator between the members, and between the parts of a list that is one text.
    #[serde(default)]
    separator: Option<String>,
    /// The value of the field where the record has none of the members.
    value: Option<Value>,
    /// The values of the field by the values of the members; a `*` in one stands for any
    /// characters.
    values: Option<BTreeMap<String, String>>,
    /// The format of times or dates, as strptime has it, such as `%d.%m.%Y %H:%M`.
    format: Option<String>,
    /// The zone of times that name none, such as `Europe/Berlin`.
    zone: Option<String>,
    /// The type into which the value is converted: `text`, `number`, `boolean`, `list`.
    #[serde(rename = "as")]
    kind: Option<Kind>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    #[default]
    None,
    One(String),
    More(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Text,
    Number,
    Boolean,
    List,
}

/// A record in the words of the contract.
#[derive(Debug, Default)]
pub struct Mapped {
    pub item: Map<String, Value>,
    /// All reasons why the record is refused.
    pub wrong: Vec<Reason>,
    /// The members with a value that are left out.
    pub left_out: Vec<String>,
}

/// A reason why a field of a record is refused.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Reason {
    /// The field, or the member where no field is made of it.
    pub field: String,
    /// A stable code.
    pub code: String,
    /// The sentence.
    pub message: String,
}

impl Reason {
    pub fn new(field: &str, code: &str, message: impl Into<String>) -> Self {
        Self { field: field.to_owned(), code: code.to_owned(), message: message.into() }
    }
}

impl Mapping {
    /// The mapping of a file.
    pub fn load(path: &Path) -> Result<Self, String> {
        let name = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read the mapping {name}: {error}"))?;
        Self::parse(&text).map_err(|error| format!("the mapping {name} is wrong: {error}"))
    }

    /// The mapping in a text, whose zones and formats are right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mapping: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        mapping.dates.check()?;
        let lists = [&mapping.comments, &mapping.history, &mapping.events];
        let lists = lists.into_iter().flatten().flat_map(|list| list.fields.values());
        for field in mapping.fields.values().chain(lists) {
            if let Field::Rule(rule) = field {
                rule.dates(&mapping.dates).check()?;
            }
        }
        Ok(mapping)
    }

    /// Returns this mapping on top of another.
    pub fn over(mut self, base: Self) -> Self {
        let mut fields = base.fields;
        fields.append(&mut self.fields);
        let ignore = base.ignore.into_iter().chain(self.ignore).collect();
        Self {
            source: self.source.or(base.source),
            is_open: self.is_open || base.is_open,
            dates: self.dates.or(base.dates),
            ignore,
            fields,
            comments: self.comments.or(base.comments),
            history: self.history.or(base.history),
            events: self.events.or(base.events),
        }
    }

    /// The record in the words of the contract.
    pub fn apply(&self, record: &Map<String, Value>) -> Mapped {
        let mut made = Made::new(&self.dates, String::new());
        made.fields(record, &self.fields);
        for (name, list) in [("comments", &self.comments), ("history", &self.history)] {
            if let Some(list) = list {
                made.list(record, name, list);
            }
        }
        made.rest(record, &self.ignore, self.is_open);
        Mapped { item: made.item, wrong: made.wrong, left_out: made.left_out }
    }

    /// Applies the mapping to a record of a file of events.
    pub fn apply_to_event(&self, record: &Map<String, Value>) -> Mapped {
        let Some(events) = &self.events else {
            return Mapped { item: record.clone(), ..Mapped::default() };
        };
        let mut made = Made::new(&self.dates, String::new());
        made.fields(record, &events.fields);
        made.rest(record, &events.ignore, false);
        if let Some(Value::String(ticket)) = made.item.get_mut("ticket")
            && !ticket.starts_with(&events.prefix)
        {
            ticket.insert_str(0, &events.prefix);
        }
        Mapped { item: made.item, wrong: made.wrong, left_out: made.left_out }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().expect("an object").clone()
    }

    const GERMAN: &str = r#"
        source = "helpdesk"
        ignore = ["Intern*"]
        [dates]
        format = "%d.%m.%Y %H:%M"
        zone = "Europe/Berlin"
        [fields]
        externalId = "Nummer"
        title = "Betreff"
        "requester.email" = "Melder"
        description = { from = ["Text", "Betreff"] }
        type = { value = "INCIDENT" }
        tags = { from = "Schlagworte", as = "list", separator = ";" }
        createdAt = "Erstellt"
        status = { from = "Status", values = { "Neu" = "OPEN", "Accepted/Wait*" = "PENDING", "*" = "CLOSED" } }
    "#;

    #[test]
    fn a_row_becomes_an_item_by_columns_values_patterns_and_dates() {
        let mapping = Mapping::parse(GERMAN).expect("a mapping");
        let row = json!({"Nummer": "7", "Betreff": "Drucker", "Status": "Accepted/Wait - User",
            "Erstellt": "01.07.2024 09:30", "Schlagworte": "a; b ;", "Melder": "jo@example.com",
            "Internes": "x"});
        let Mapped { item, wrong, left_out } = mapping.apply(&object(row));
        assert_eq!(left_out, ["Internes"]);
        assert_eq!(wrong, []);
        let expected = json!({"externalId": "7", "title": "Drucker", "description": "Drucker",
            "type": "INCIDENT", "tags": ["a", "b"], "createdAt": "2024-07-01T07:30:00Z",
            "requester": {"email": "jo@example.com"}, "status": "PENDING"});
        assert_eq!(Value::Object(item), expected);
    }

    #[test]
    fn what_is_not_mapped_is_refused_by_name() {
        let closed = GERMAN.replace(r#", "*" = "CLOSED""#, "");
        let mapping = Mapping::parse(&closed).expect("a mapping");
        let row = json!({"Nummer": "7", "Status": "Anders", "Farbe": "rot", "Erstellt": "2024"});
        let wrong = mapping.apply(&object(row)).wrong;
        let told: Vec<_> = wrong.iter().map(|it| (it.field.as_str(), it.code.as_str())).collect();
        let expected = [
            ("createdAt", "INVALID_TIMESTAMP"),
            ("status", "UNMAPPED_VALUE"),
            ("Farbe", "UNKNOWN_FIELD"),
        ];
        assert_eq!(told, expected);
        assert!(
            wrong[1].message.contains("`Anders` is not mapped; these are: `Accepted/Wait*`, `Neu`")
        );
        for text in [
            "fields = 7",
            "[fields]\na = { form = 'b' }",
            "[dates]\nzone = 'Mars/Base'",
            "[dates]\nformat = '%'",
        ] {
            assert!(Mapping::parse(text).is_err(), "{text}");
        }
    }
}
