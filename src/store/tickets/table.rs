//! The facts of the table of tickets: what they are counted by, and by what their lists are found.

use crate::resource::Resource;
use crate::store::nouns::{
    CREATED_AT, Dimension, NarrowFilter, Order, Search, Side, Table, Texts, UPDATED_AT, Values,
};

/// A workspace has at most 1,152 combinations of these.
pub(super) static STATUS: Dimension = Dimension { name: "status", shift: 10, bits: 7 };
pub(super) static PRIORITY: Dimension = Dimension { name: "priority", shift: 7, bits: 7 };
pub(super) static TYPE: Dimension = Dimension { name: "ticket_type", shift: 4, bits: 7 };
pub(super) static CATEGORY: Dimension = Dimension { name: "category", shift: 1, bits: 7 };
pub(super) static UNASSIGNED: Dimension = Dimension { name: "unassigned", shift: 0, bits: 1 };

pub(super) static TAGS: Side = Side {
    table: "ticket_tags",
    owner: "ticket_id",
    value: "tag",
    is_text: true,
    created_at: Some("ticket_created_at"),
};
pub(super) static WATCHERS: Side = Side {
    table: "ticket_watchers",
    owner: "ticket_id",
    value: "user_id",
    is_text: false,
    created_at: None,
};

pub(super) static ASSETS: Side = Side {
    table: "ticket_assets",
    owner: "ticket_id",
    value: "asset_id",
    is_text: false,
    created_at: Some("ticket_created_at"),
};

pub(super) static TERMS: Side = Side {
    table: "ticket_terms",
    owner: "ticket_id",
    value: "term",
    is_text: true,
    created_at: Some("ticket_created_at"),
};

/// The words of title and description, and of public comments.
pub(super) static WORDS: Search = Search { table: "ticket_words" };

/// The table of tickets.
pub(super) static TICKETS: Table = Table {
    name: "tickets",
    resource: Resource::Ticket,
    noun: 1,
    has_history: true,
    dimensions: &[&STATUS, &PRIORITY, &TYPE, &CATEGORY, &UNASSIGNED],
    orders: &[&CREATED_AT, &UPDATED_AT, &BY_PRIORITY, &DUE_AT],
    alternate_key: None,
    narrows: &[
        NarrowFilter::unique(
            &["external_source", "external_id"],
            "tickets_external_source_external_id_idx",
        ),
        NarrowFilter::of(&["parent_id"], "tickets_parent_id_created_at_id_idx"),
        NarrowFilter::of(&["category_config_id"], "tickets_category_config_id_created_at_id_idx"),
        NarrowFilter::beside(&ASSETS, "ticket_assets_asset_id_ticket_created_at_ticket_id_idx"),
        NarrowFilter::beside(&TAGS, "ticket_tags_tag_ticket_created_at_ticket_id_idx"),
        NarrowFilter::beside(&TERMS, "ticket_terms_term_ticket_created_at_ticket_id_idx"),
        NarrowFilter::of(&["assignee_id"], "tickets_assignee_id_created_at_id_facet_idx"),
        NarrowFilter::of(&["requester_id"], "tickets_requester_id_created_at_id_facet_idx"),
        NarrowFilter::of(&["external_source"], "tickets_external_source_created_at_id_idx"),
        NarrowFilter::of(&["source"], "tickets_source_created_at_id_idx"),
    ],
    sides: &[&TAGS, &TERMS, &WATCHERS, &ASSETS],
    search: Some(&WORDS),
    texts: Texts::unmade(),
};

static BY_PRIORITY: Order = Order {
    name: "priority",
    column: "priority",
    values: Values::Rank(&PRIORITY),
    by_facet: false,
};
static DUE_AT: Order =
    Order { name: "dueAt", column: "due_at", values: Values::NumbersOrNull, by_facet: false };
