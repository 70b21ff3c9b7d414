//! The kinds of resources, and what each is called in refusals, events and the audit log.

use serde::{Deserialize, Serialize};

use crate::event_type::EventType;

/// A kind of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resource {
    /// A ticket.
    Ticket,
    /// An API key.
    ApiKey,
    /// A user.
    User,
    /// A category of tickets.
    Category,
    /// A custom field of tickets.
    CustomField,
    /// An article of the knowledge base.
    Article,
    /// An asset.
    Asset,
    /// A project.
    Project,
    /// A task of a project.
    Task,
    /// An event.
    Event,
    /// A webhook endpoint.
    Webhook,
    /// A delivery to a webhook endpoint.
    Delivery,
    /// An e-mail.
    Email,
}

/// The names of a kind of resource.
struct Names {
    /// The name in the audit log.
    resource_type: &'static str,
    /// The code of a refusal.
    not_found: &'static str,
    /// The message of that refusal: the same for a resource of another workspace and for one that
    /// does not exist.
    remedy: &'static str,
    /// The types of the events of a new one and of a changed one; unspecified where there are none.
    created: EventType,
    updated: EventType,
}

impl Resource {
    const fn names(self) -> Names {
        match self {
            Self::Ticket => Names {
                resource_type: "ticket",
                not_found: "TICKET_NOT_FOUND",
                remedy: "There is no such ticket in this workspace. Check the id, such as 42 or TCK-42.",
                created: EventType::TicketCreated,
                updated: EventType::TicketUpdated,
            },
            Self::ApiKey => Names {
                resource_type: "api_key",
                not_found: "API_KEY_NOT_FOUND",
                remedy: "There is no such API key in this workspace. The id is the 8 characters after orq_.",
                created: EventType::ApiKeyCreated,
                updated: EventType::ApiKeyUpdated,
            },
            Self::User => Names {
                resource_type: "user",
                not_found: "USER_NOT_FOUND",
                remedy: "There is no such user in this workspace. Check the id, such as 7.",
                created: EventType::UserCreated,
                updated: EventType::UserUpdated,
            },
            Self::Category => Names {
                resource_type: "category",
                not_found: "CATEGORY_NOT_FOUND",
                remedy: "There is no such category in this workspace. Check the id, such as 3.",
                created: EventType::CategoryCreated,
                updated: EventType::CategoryUpdated,
            },
            Self::CustomField => Names {
                resource_type: "custom_field",
                not_found: "CUSTOM_FIELD_NOT_FOUND",
                remedy: "There is no such custom field in this workspace. Check the id, such as 1, or the key.",
                created: EventType::CustomFieldCreated,
                updated: EventType::CustomFieldUpdated,
            },
            Self::Article => Names {
                resource_type: "article",
                not_found: "ARTICLE_NOT_FOUND",
                remedy: "There is no such article in this workspace. Check the id, such as 1, or the slug.",
                created: EventType::ArticleCreated,
                updated: EventType::ArticleUpdated,
            },
            Self::Asset => Names {
                resource_type: "asset",
                not_found: "ASSET_NOT_FOUND",
                remedy: "There is no such asset in this workspace. Check the id, such as 1, or the tag, such as AST-1.",
                created: EventType::AssetCreated,
                updated: EventType::AssetUpdated,
            },
            Self::Project => Names {
                resource_type: "project",
                not_found: "PROJECT_NOT_FOUND",
                remedy: "There is no such project in this workspace. Check the id, such as 1, or the key, such as OPS.",
                created: EventType::ProjectCreated,
                updated: EventType::ProjectUpdated,
            },
            Self::Task => Names {
                resource_type: "task",
                not_found: "TASK_NOT_FOUND",
                remedy: "There is no such task in this workspace. Check the id, such as 1, or the number, such as OPS-1.",
                created: EventType::TaskCreated,
                updated: EventType::TaskUpdated,
            },
            Self::Webhook => Names {
                resource_type: "webhook",
                not_found: "WEBHOOK_NOT_FOUND",
                remedy: "There is no such webhook endpoint in this workspace. Check the id, such as 1.",
                created: EventType::WebhookCreated,
                updated: EventType::WebhookUpdated,
            },
            Self::Delivery => Names {
                resource_type: "webhook_delivery",
                not_found: "DELIVERY_NOT_FOUND",
                remedy: "There is no such delivery to this webhook endpoint. Check the id, such as 1.",
                created: EventType::Unspecified,
                updated: EventType::Unspecified,
            },
            Self::Email => Names {
                resource_type: "email",
                not_found: "EMAIL_NOT_FOUND",
                remedy: "There is no such e-mail in this workspace. Check the id, such as 1.",
                created: EventType::Unspecified,
                updated: EventType::Unspecified,
            },
            Self::Event => Names {
                resource_type: "event",
                not_found: "EVENT_NOT_FOUND",
                remedy: "There is no such event in this workspace, or it is not kept any more. Check the id, such as evt_5b0JmN3kTq8ZbN1xYw4fQ7.",
                created: EventType::Unspecified,
                updated: EventType::Unspecified,
            },
        }
    }

    /// Returns the name in the audit log, such as `api_key`.
    pub fn resource_type(self) -> &'static str {
        self.names().resource_type
    }

    /// The code of the refusal of one that is not there, such as `TICKET_NOT_FOUND`.
    pub fn not_found_code(self) -> &'static str {
        self.names().not_found
    }

    /// The message of that refusal: what to check.
    pub fn not_found_remedy(self) -> &'static str {
        self.names().remedy
    }

    /// The type of the event of a new one.
    pub fn created(self) -> EventType {
        self.names().created
    }

    /// The type of the event of a changed one.
    pub fn updated(self) -> EventType {
        self.names().updated
    }
}
