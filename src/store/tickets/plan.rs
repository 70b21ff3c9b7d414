//! By which index a list of tickets is read.
//!
//! No list reads the whole table. In short:
//!
//! | filters | page | total |
//! | --- | --- | --- |
//! | none | along the index of the order | a counter |
//! | one status | along the index of that status and the order | a sum of at most 192 counters |
//! | statuses, priorities, types, categories, unassigned | merged from one index range per status or facet | a sum of at most 1,152 counters |
//! | a time range of what the list is in order of | along that index, within the range | counted along the range |
//! | anything else | all that the narrowest filter's index finds, then sorted | counted through that index |
//!
//! A merge over facets is preceded by a probe (`page`), which spares it most of the time.
//!
//! The first three cost the same however many tickets there are; the last two as much as the range
//! or the narrowest filter finds.
//!
//! This module only decides; `page` writes the SQL.

use super::PageRequest;
use super::filter::{Sort, SortField, TicketFilter};

/// The most rows that a page may count off to be short work.
const SHORT_ROWS_MAX: u64 = 200;

/// How the rows of a page are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    /// Along the index of the order, over the whole workspace or a time range of it.
    Walk,
    /// Along the index of the order within the one status asked for.
    WalkStatus,
    /// Merged from the indexes of the order within each of these.
    Merge(Family),
    /// Everything that this filter finds, sorted.
    Gather(Narrow),
}

/// What splits the tickets into index ranges that are each in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Status,
    Facet,
}

/// A filter that finds its tickets through an index of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Narrow {
    /// The source and the id in it, which are unique together.
    External,
    ExternalId,
    Parent,
    Tag,
    Assignee,
    Requester,
    ExternalSource,
    UpdatedAt,
    CreatedAt,
}

/// A stretch of a list whose rows are in order of one column. Those that are never due follow
/// those that are, in a stretch of their own: one index then serves both directions on both
/// databases, which disagree about where NULL comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    CreatedAt,
    UpdatedAt,
    Priority,
    Dated,
    Undated,
}

impl Part {
    pub(super) fn column(self) -> &'static str {
        match self {
            Self::CreatedAt => "created_at",
            Self::UpdatedAt => "updated_at",
            Self::Priority => "priority",
            Self::Dated | Self::Undated => "due_at",
        }
    }
}

impl Sort {
    /// The stretches of a list in this order, one after the other.
    pub(super) fn parts(self) -> &'static [Part] {
        match self.field {
            SortField::CreatedAt => &[Part::CreatedAt],
            SortField::UpdatedAt => &[Part::UpdatedAt],
            SortField::Priority => &[Part::Priority],
            SortField::DueAt => &[Part::Dated, Part::Undated],
        }
    }
}

impl Path {
    /// The path for a list.
    pub(super) fn choose(filter: &TicketFilter, sort: Sort) -> Self {
        if let Some(narrow) = narrowest(filter) {
            return Self::Gather(narrow);
        }
        let created = filter.created_after.is_some() || filter.created_before.is_some();
        let updated = filter.updated_since.is_some();
        match sort.field {
            SortField::CreatedAt if created => return Self::Walk,
            SortField::UpdatedAt if updated => return Self::Walk,
            // Who asks for changes since has usually seen the rest: it is the shorter range.
            _ if updated => return Self::Gather(Narrow::UpdatedAt),
            _ if created => return Self::Gather(Narrow::CreatedAt),
            _ => {}
        }
        let only_status = filter.priority.is_empty()
            && filter.ticket_type.is_empty()
            && filter.category.is_empty()
            && filter.unassigned.is_none();
        match filter.status.as_slice() {
            [] if only_status => Self::Walk,
            // A status's index has no order by priority; in a facet the priority is the same.
            _ if !only_status || sort.field == SortField::Priority => Self::Merge(Family::Facet),
            [_] => Self::WalkStatus,
            _ => Self::Merge(Family::Status),
        }
    }
}

/// Whether a page is short work whatever stands in the filter: a few rows along one index, and a
/// total that is kept.
pub(super) fn is_short(filter: &TicketFilter, sort: Sort, page: PageRequest) -> bool {
    let rows = page.position.skipped(page.per_page) + u64::from(page.per_page);
    let is_kept = match Path::choose(filter, sort) {
        Path::Walk => *filter == TicketFilter::default(),
        Path::WalkStatus | Path::Gather(Narrow::External) => true,
        Path::Merge(_) | Path::Gather(_) => false,
    };
    is_kept && rows <= SHORT_ROWS_MAX
}

/// The filter that can be expected to find the fewest tickets, of those that have an index of
/// their own.
fn narrowest(filter: &TicketFilter) -> Option<Narrow> {
    let given = [
        (filter.external_source.is_some() && filter.external_id.is_some(), Narrow::External),
        (filter.external_id.is_some(), Narrow::ExternalId),
        (!filter.parent_ids.is_empty(), Narrow::Parent),
        (filter.tag.is_some(), Narrow::Tag),
        (!filter.assignee_ids.is_empty(), Narrow::Assignee),
        (!filter.requester_ids.is_empty(), Narrow::Requester),
        (filter.external_source.is_some(), Narrow::ExternalSource),
    ];
    given.into_iter().find(|(given, _)| *given).map(|(_, narrow)| narrow)
}

impl Narrow {
    /// The index that finds the filter's tickets, by its name in the schema; none for a tag, which
    /// is found in a table of its own.
    pub(super) fn index(self) -> Option<&'static str> {
        match self {
            Self::External => Some("tickets_external_source_external_id_idx"),
            Self::ExternalId => Some("tickets_external_id_idx"),
            Self::Parent => Some("tickets_parent_id_created_at_id_idx"),
            Self::Tag => None,
            Self::Assignee => Some("tickets_assignee_id_created_at_id_facet_idx"),
            Self::Requester => Some("tickets_requester_id_created_at_id_facet_idx"),
            Self::ExternalSource => Some("tickets_external_source_created_at_id_idx"),
            Self::UpdatedAt => Some("tickets_updated_at_id_facet_idx"),
            Self::CreatedAt => Some("tickets_created_at_id_facet_idx"),
        }
    }

    /// Whether what the filter finds comes out of its index in order of creation.
    pub(super) fn is_in_order_of_creation(self, filter: &TicketFilter) -> bool {
        match self {
            Self::Parent => filter.parent_ids.len() == 1,
            Self::Assignee => filter.assignee_ids.len() == 1,
            Self::Requester => filter.requester_ids.len() == 1,
            Self::Tag | Self::ExternalSource => true,
            Self::External | Self::ExternalId | Self::UpdatedAt | Self::CreatedAt => false,
        }
    }
}
