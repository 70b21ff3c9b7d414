//! The types of events: one list of their names and of the resources that they show.

/// Defines the enum, and the facts of each type beside it, so that no type lacks them.
macro_rules! event_types {
    ($($(#[$doc:meta])* $variant:ident = $name:literal of $message:literal,)+) => {
        /// A type of event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum EventType {
            $($(#[$doc])* $variant,)+
        }

        impl EventType {
            /// Every type.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its name in payloads and subscriptions, such as `ticket.updated`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The message that `data.object` of its payload holds, such as `Ticket`: its schema in
            /// the OpenAPI document has this name.
            pub fn message(self) -> &'static str {
                match self {
                    $(Self::$variant => $message,)+
                }
            }
        }
    };
}

event_types! {
    /// A new ticket.
    TicketCreated = "ticket.created" of "Ticket",
    /// A changed ticket.
    TicketUpdated = "ticket.updated" of "Ticket",
    /// A new comment on a ticket.
    TicketCommentCreated = "ticket.comment.created" of "Comment",
    /// A new category of tickets.
    CategoryCreated = "category.created" of "Category",
    /// A changed category of tickets.
    CategoryUpdated = "category.updated" of "Category",
    /// A new custom field of tickets.
    CustomFieldCreated = "custom_field.created" of "CustomField",
    /// A changed custom field of tickets.
    CustomFieldUpdated = "custom_field.updated" of "CustomField",
    /// A new article of the knowledge base.
    ArticleCreated = "kb.article.created" of "Article",
    /// A changed article of the knowledge base.
    ArticleUpdated = "kb.article.updated" of "Article",
    /// A new asset.
    AssetCreated = "asset.created" of "Asset",
    /// A changed asset.
    AssetUpdated = "asset.updated" of "Asset",
    /// A new project.
    ProjectCreated = "project.created" of "Project",
    /// A changed project.
    ProjectUpdated = "project.updated" of "Project",
    /// A new task of a project.
    TaskCreated = "task.created" of "Task",
    /// A changed task of a project.
    TaskUpdated = "task.updated" of "Task",
    /// A new user.
    UserCreated = "user.created" of "User",
    /// A changed user.
    UserUpdated = "user.updated" of "User",
    /// A new API key, also one that succeeds another.
    ApiKeyCreated = "api_key.created" of "ApiKey",
    /// An API key whose name, description, scopes, limits or expiry have changed.
    ApiKeyUpdated = "api_key.updated" of "ApiKey",
    /// An API key that has a successor now.
    ApiKeyRotated = "api_key.rotated" of "ApiKey",
    /// An API key that is revoked now.
    ApiKeyRevoked = "api_key.revoked" of "ApiKey",
    /// Changed settings of the workspace.
    WorkspaceUpdated = "workspace.updated" of "Workspace",
}
