//! Requests of which a test needs one that is right.

use orqit::pb;
use serde_json::{Value, json};

/// A new ticket, as JSON.
pub fn vpn() -> Value {
    json!({
        "title": "VPN not connecting",
        "description": "User cannot connect.",
        "type": "INCIDENT",
        "category": "NETWORK",
    })
}

/// A new ticket with further fields, or others.
pub fn vpn_with(more: Value) -> Value {
    let mut ticket = vpn();
    let fields = more.as_object().expect("an object").clone();
    ticket.as_object_mut().expect("an object").extend(fields);
    ticket
}

/// A new ticket, as a message.
pub fn vpn_message() -> pb::CreateTicketRequest {
    pb::CreateTicketRequest {
        title: "VPN not connecting".to_owned(),
        description: "User cannot connect.".to_owned(),
        r#type: pb::TicketType::Incident.into(),
        category: pb::TicketCategory::Network.into(),
        ..Default::default()
    }
}
