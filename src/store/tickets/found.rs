//! FROM and WHERE of a list that is walked or gathered: which tickets the filters find, and by
//! which index. Order and page are `page`'s.

use sea_orm::DbBackend;

use super::counts::facet_conditions;
use super::filter::SortField;
use super::page::Query;
use super::plan::{Narrow, Path};

impl Query<'_> {
    /// What to select from and on which conditions, without order or page.
    pub(super) fn found(&mut self) -> (String, Vec<String>) {
        let workspace = self.workspace.clone();
        let filter = self.list.filter;
        let narrow = match self.path {
            Path::Gather(narrow) => Some(narrow),
            _ => None,
        };
        if self.path == Path::WalkStatus {
            let status = self.parameters.bind(filter.status.first().map(|status| status.as_i16()));
            let conditions =
                vec![format!("t.workspace_id = {workspace}"), format!("t.status = {status}")];
            return ("tickets t".to_owned(), conditions);
        }

        let (from, mut conditions) = match narrow {
            Some(Narrow::Tag) => self.tickets_by_tag(),
            _ => (self.tickets_by_index(), vec![format!("t.workspace_id = {workspace}")]),
        };
        self.add_references(narrow, &mut conditions);
        self.add_external(narrow, &mut conditions);
        self.add_ranges(narrow, &mut conditions);
        conditions.extend(facet_conditions(&mut self.parameters, "t.facet", filter));
        (from, conditions)
    }

    /// From the tickets by the filter's index, also where so many pass that reading the table might
    /// be quicker today: it would be slower with every ticket that comes. PostgreSQL has no such
    /// hint; its connections are told so once (see `connect`).
    fn tickets_by_index(&self) -> String {
        let index = match (self.path, self.list.sort.field) {
            (Path::Gather(narrow), _) => narrow.index(),
            // A walk over a range; one over everything takes the index of its order anyway.
            (_, SortField::CreatedAt) => Narrow::CreatedAt.index(),
            (_, SortField::UpdatedAt) => Narrow::UpdatedAt.index(),
            _ => None,
        };
        match index {
            Some(index) if self.list.backend == DbBackend::Sqlite => {
                format!("tickets t INDEXED BY {index}")
            }
            _ => "tickets t".to_owned(),
        }
    }

    /// From the tag to its tickets, never the other way round, which the planners would prefer
    /// for a tag that many tickets have: SQLite does not reorder a CROSS JOIN; PostgreSQL does, but
    /// cannot take a subquery with OFFSET apart.
    fn tickets_by_tag(&mut self) -> (String, Vec<String>) {
        let workspace = &self.workspace;
        let tag = self.list.filter.tag.clone();
        let tag = self.parameters.bind(tag);
        let conditions = vec![format!("g.workspace_id = {workspace}"), format!("g.tag = {tag}")];
        let ticket = format!("t.workspace_id = {workspace} AND t.id = g.ticket_id");
        match self.list.backend {
            DbBackend::Postgres => {
                let ticket = format!("SELECT t.* FROM tickets t WHERE {ticket} OFFSET 0");
                (format!("ticket_tags g CROSS JOIN LATERAL ({ticket}) t"), conditions)
            }
            _ => {
                let from = "ticket_tags g CROSS JOIN tickets t".to_owned();
                (from, [conditions, vec![ticket]].concat())
            }
        }
    }

    fn add_references(&mut self, narrow: Option<Narrow>, conditions: &mut Vec<String>) {
        let filter = self.list.filter;
        for (path, column, ids) in [
            (Narrow::Parent, "t.parent_id", &filter.parent_ids),
            (Narrow::Assignee, "t.assignee_id", &filter.assignee_ids),
            (Narrow::Requester, "t.requester_id", &filter.requester_ids),
        ] {
            if let [id] = ids.as_slice() {
                let id = self.parameters.bind(*id);
                conditions.push(format!("{}{column} = {id}", unless(narrow == Some(path))));
            } else if !ids.is_empty() {
                let ids = self.parameters.bind_in(ids);
                conditions.push(format!("{}{column} {ids}", unless(narrow == Some(path))));
            }
        }
        if let Some(tag) = filter.tag.clone().filter(|_| narrow != Some(Narrow::Tag)) {
            let (workspace, tag) = (self.workspace.clone(), self.parameters.bind(tag));
            conditions.push(format!(
                "EXISTS (SELECT 1 FROM ticket_tags g WHERE g.workspace_id = {workspace} \
                 AND g.ticket_id = t.id AND g.tag = {tag})"
            ));
        }
    }

    fn add_external(&mut self, narrow: Option<Narrow>, conditions: &mut Vec<String>) {
        let filter = self.list.filter;
        if let Some(source) = filter.external_source.clone() {
            let source = self.parameters.bind(source);
            let drives = matches!(narrow, Some(Narrow::External | Narrow::ExternalSource));
            // PostgreSQL has no `+` for text.
            let column = if drives { "t.external_source" } else { "t.external_source || ''" };
            conditions.push(format!("{column} = {source}"));
        }
        if let Some(id) = filter.external_id.clone() {
            conditions.push(format!("t.external_id = {}", self.parameters.bind(id)));
        }
    }

    fn add_ranges(&mut self, narrow: Option<Narrow>, conditions: &mut Vec<String>) {
        let filter = self.list.filter;
        let walked = |field| self.path == Path::Walk && self.list.sort.field == field;
        let created = unless(narrow == Some(Narrow::CreatedAt) || walked(SortField::CreatedAt));
        let updated = unless(narrow == Some(Narrow::UpdatedAt) || walked(SortField::UpdatedAt));
        for (prefix, comparison, bound) in [
            (created, "t.created_at >=", filter.created_after),
            (created, "t.created_at <", filter.created_before),
            (updated, "t.updated_at >=", filter.updated_since),
        ] {
            if let Some(bound) = bound {
                let bound = self.parameters.bind(bound.0);
                conditions.push(format!("{prefix}{comparison} {bound}"));
            }
        }
    }
}

/// What keeps a column's index out of the choice, unless it is the one that was chosen.
fn unless(chosen: bool) -> &'static str {
    if chosen { "" } else { "+" }
}
