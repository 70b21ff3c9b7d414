//! The mappings that come with the command.

use super::mapping::Mapping;

/// A system whose words are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// The words of the API, as `orqit export` writes them.
    Orqit,
    /// The incidents of ServiceNow.
    Servicenow,
    /// The JSON export of Zendesk.
    Zendesk,
}

impl Preset {
    /// Returns the mapping of the preset.
    pub fn mapping(self) -> Mapping {
        let text = match self {
            Self::Orqit => include_str!("presets/orqit.toml"),
            Self::Servicenow => include_str!("presets/servicenow.toml"),
            Self::Zendesk => include_str!("presets/zendesk.toml"),
        };
        Mapping::parse(text).expect("a test reads each of them")
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;
    use serde_json::{Value, json};

    use super::*;

    fn item(preset: Preset, record: Value) -> (Value, Vec<String>) {
        let record = record.as_object().expect("an object").clone();
        let mapped = preset.mapping().apply(&record);
        let wrong = mapped.wrong.into_iter().map(|reason| reason.message);
        (Value::Object(mapped.item), wrong.collect())
    }

    #[test]
    fn every_preset_is_a_mapping() {
        for preset in Preset::value_variants() {
            preset.mapping();
        }
    }

    #[test]
    fn servicenow_is_read_by_its_table_and_by_its_exports() {
        let table = json!({"number": "INC1", "short_description": "Printer", "state": "Awaiting Vendor",
            "impact": "2 - Medium", "priority": "3 - Moderate", "opened_at": "2024-03-01 08:15:00"});
        let (made, wrong) = item(Preset::Servicenow, table);
        assert!(wrong.is_empty(), "{wrong:?}");
        let expected = json!({"category": "OTHER", "createdAt": "2024-03-01T08:15:00Z", "description": "Printer",
            "externalId": "INC1", "impact": "MEDIUM", "priority": "MEDIUM", "status": "PENDING",
            "title": "Printer", "type": "INCIDENT"});
        assert_eq!(made, expected);
        for state in [json!(2), json!("Doing"), json!("IN_PROGRESS")] {
            let (_, wrong) = item(Preset::Servicenow, json!({"number": "INC1", "state": state}));
            assert!(wrong[0].starts_with("status: `"), "{wrong:?}");
            assert!(
                wrong[0].contains("is not mapped; these are: `Active`, `Awaiting*`"),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn zendesk_is_read_with_its_comments() {
        let ticket = json!({"id": 35, "subject": "Help", "description": "It broke.", "status": "solved",
            "requester": {"id": 2, "name": "Jo", "email": "jo@example.com"}, "assignee": null,
            "via": {"channel": "sms"}, "created_at": "2024-03-01T08:15:00Z", "brand_id": 7,
            "comments": [{"id": 9, "body": "Hi", "public": false, "author_id": 2, "created_at": "2024-03-01T09:00:00Z"}]});
        let (made, wrong) = item(Preset::Zendesk, ticket);
        assert!(wrong.is_empty(), "{wrong:?}");
        assert_eq!(made["requester"], json!({"email": "jo@example.com", "displayName": "Jo"}));
        assert_eq!(
            (&made["externalId"], &made["assignee"], &made["source"]),
            (&json!("35"), &Value::Null, &json!("OTHER"))
        );
        let comment = json!({"externalId": "9", "body": "Hi", "visibility": "INTERNAL", "createdAt": "2024-03-01T09:00:00Z"});
        assert_eq!(made["comments"], json!([comment]));
    }
}
