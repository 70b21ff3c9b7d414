//! The SQL of a page of tickets and of their total, for the path that `plan` has chosen.
//!
//! Page and total are one statement, so they are of one moment. Only values vary between equal
//! questions, never the text. A condition that is not to choose the index stands on an expression
//! (`+t.column`): both databases then leave the index that was chosen alone.

use sea_orm::{DbBackend, Statement};

use super::CursorKey;
use super::counts::{ALL_TICKETS, PRIORITY_SHIFT, counted, facet_conditions};
use super::filter::{Direction, Sort, TicketFilter};
use super::plan::{Family, Narrow, Part, Path};
use super::row::COLUMNS;
use crate::store::WorkspaceId;
use crate::store::sql::Parameters;

/// How many tickets a probe looks at. They are one stretch of an index: as dear as about twenty of
/// the up to 1,152 ranges of a merge.
const PROBE_ROWS: u32 = 512;

/// A list, as far as its SQL depends on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct List<'a> {
    pub(super) backend: DbBackend,
    pub(super) workspace: WorkspaceId,
    pub(super) filter: &'a TicketFilter,
    pub(super) sort: Sort,
}

/// A piece of one part of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) part: Part,
    pub(super) after: Option<CursorKey>,
    pub(super) offset: u64,
    pub(super) limit: u64,
}

/// A statement as it is put together.
pub(super) struct Query<'a> {
    pub(super) list: List<'a>,
    pub(super) path: Path,
    pub(super) parameters: Parameters,
    /// The placeholder of the workspace.
    pub(super) workspace: String,
}

impl<'a> List<'a> {
    /// Selects the tickets of a piece, [`COLUMNS`] first, then the total of the list.
    pub(super) fn page(self, piece: Piece) -> Statement {
        let mut query = self.query();
        let text = match query.path {
            Path::Walk | Path::WalkStatus => query.walk(piece),
            Path::Merge(family) => query.merge(family, piece),
            Path::Gather(narrow) => query.gather(narrow, piece),
        };
        query.parameters.statement(text)
    }

    /// Selects what [`List::page`] would, but looks only at the next [`PROBE_ROWS`] tickets of the
    /// whole order: most filters find a page among them sooner than in hundreds of ranges. Fewer
    /// rows than asked for mean nothing. There is none where `page` is as quick.
    pub(super) fn probe(self, piece: Piece) -> Option<Statement> {
        let mut query = self.query();
        if query.path != Path::Merge(Family::Facet) || piece.offset > 0 {
            return None;
        }
        let text = query.probe(piece);
        Some(query.parameters.statement(text))
    }

    /// Selects the total of the list.
    pub(super) fn total(self) -> Statement {
        let mut query = self.query();
        let text = query.total();
        query.parameters.statement(format!("SELECT {text}"))
    }

    /// Selects how many of the list's tickets are due at some time.
    pub(super) fn dated_total(self) -> Statement {
        let mut query = self.query();
        let text = match query.path {
            Path::Merge(family) => {
                let (streams, column) = query.streams(family, None);
                format!(
                    "SELECT COUNT(*) FROM ({streams}) s CROSS JOIN tickets t \
                     WHERE t.workspace_id = {} AND t.{column} = s.v AND {}",
                    query.workspace,
                    dated("t.due_at"),
                )
            }
            _ => {
                let (from, mut conditions) = query.found();
                conditions.push(dated("t.due_at"));
                format!("SELECT COUNT(*) FROM {from} WHERE {}", conditions.join(" AND "))
            }
        };
        query.parameters.statement(text)
    }

    fn query(self) -> Query<'a> {
        let mut parameters = Parameters::new(self.backend);
        let workspace = parameters.bind(self.workspace.0);
        Query { list: self, path: Path::choose(self.filter, self.sort), parameters, workspace }
    }
}

impl Query<'_> {
    /// The total of the list, as an expression.
    fn total(&mut self) -> String {
        let workspace = self.workspace.clone();
        let sum = "COALESCE(CAST(SUM(c.ticket_count) AS BIGINT), 0)";
        let filter = self.list.filter;
        let counters = match self.path {
            Path::Walk if *filter == TicketFilter::default() => {
                format!("c.workspace_id = {workspace} AND c.facet = {ALL_TICKETS}")
            }
            Path::WalkStatus | Path::Merge(_) => counted(&mut self.parameters, &workspace, filter),
            Path::Walk | Path::Gather(_) => return self.count(),
        };
        format!("(SELECT {sum} FROM ticket_counts c WHERE {counters})")
    }

    fn count(&mut self) -> String {
        let filter = self.list.filter;
        let only_tag = TicketFilter { tag: filter.tag.clone(), ..TicketFilter::default() };
        if filter.tag.is_some() && *filter == only_tag {
            let tag = self.parameters.bind(filter.tag.clone());
            return format!(
                "(SELECT COUNT(*) FROM ticket_tags g WHERE g.workspace_id = {} AND g.tag = {tag})",
                self.workspace
            );
        }
        let (from, conditions) = self.found();
        format!("(SELECT COUNT(*) FROM {from} WHERE {})", conditions.join(" AND "))
    }

    /// Along an index that has the order.
    fn walk(&mut self, piece: Piece) -> String {
        let total = self.total();
        let (from, mut conditions) = self.found();
        let (key, id) = (format!("t.{}", piece.part.column()), "t.id".to_owned());
        conditions.extend(self.beyond(piece, &key, &id));
        let (order, limit) = (self.order(&key, &id), self.limit(piece));
        format!(
            "SELECT {COLUMNS}, {total} FROM {from} WHERE {} {order} {limit}",
            conditions.join(" AND ")
        )
    }

    /// All that the filter's own index finds: first the ids in order, then only the rows of the
    /// page, so that no more of them are carried through the sort.
    fn gather(&mut self, narrow: Narrow, piece: Piece) -> String {
        let total = self.total();
        let (from, mut conditions) = self.found();
        let in_order =
            piece.part == Part::CreatedAt && narrow.is_in_order_of_creation(self.list.filter);
        let (key, id) = match narrow {
            Narrow::Tag if in_order => ("g.ticket_created_at".to_owned(), "g.ticket_id".to_owned()),
            _ if in_order => ("t.created_at".to_owned(), "t.id".to_owned()),
            // Not the bare columns: their index would be walked to its end for a few rows.
            _ => (format!("+t.{}", piece.part.column()), "+t.id".to_owned()),
        };
        conditions.extend(self.beyond(piece, &key, &id));
        let (order, limit) = (self.order(&key, &id), self.limit(piece));
        let ids =
            format!("SELECT t.id FROM {from} WHERE {} {order} {limit}", conditions.join(" AND "));
        let order = self.order(&format!("t.{}", piece.part.column()), "t.id");
        format!(
            "SELECT {COLUMNS}, {total} FROM ({ids}) p CROSS JOIN tickets t \
             WHERE t.workspace_id = {} AND t.id = p.id {order}",
            self.workspace
        )
    }

    fn probe(&mut self, piece: Piece) -> String {
        let total = self.total();
        let key = format!("t.{}", piece.part.column());
        let mut conditions = vec![format!("t.workspace_id = {}", self.workspace)];
        conditions.extend(self.beyond(piece, &key, "t.id"));
        let next = format!(
            "SELECT t.id, {key} AS key, t.facet FROM tickets t WHERE {} {} LIMIT {PROBE_ROWS}",
            conditions.join(" AND "),
            self.order(&key, "t.id")
        );
        let wanted = facet_conditions(&mut self.parameters, "n.facet", self.list.filter);
        let (order, limit) = (self.order("n.key", "n.id"), self.limit(piece));
        format!(
            "SELECT {COLUMNS}, {total} FROM \
             (SELECT n.id FROM ({next}) n WHERE {} {order} {limit}) p CROSS JOIN tickets t \
             WHERE t.workspace_id = {} AND t.id = p.id {}",
            wanted.join(" AND "),
            self.workspace,
            self.order(&key, "t.id")
        )
    }

    /// Merges index ranges that are each in order.
    fn merge(&mut self, family: Family, piece: Piece) -> String {
        let total = self.total();
        let (streams, column) = self.streams(family, Some(piece));
        let start = self.stream_start(piece);
        match self.list.backend {
            DbBackend::Postgres => self.merge_lateral(piece, &total, &streams, column, &start),
            _ => self.merge_queue(piece, &total, &streams, column, &start),
        }
    }

    /// PostgreSQL: the first rows of every range, sorted.
    fn merge_lateral(
        &mut self,
        piece: Piece,
        total: &str,
        streams: &str,
        column: &str,
        start: &str,
    ) -> String {
        let workspace = self.workspace.clone();
        let (key, stream_order) = match piece.part {
            Part::Priority => (priority_of("s.v"), self.order("", "x.id")),
            part => {
                let key = format!("x.{}", part.column());
                let order = self.order(&key, "x.id");
                (key, order)
            }
        };
        let order = self.order("p.key", "p.id");
        let depth = self.parameters.bind(as_i64(piece.offset + piece.limit));
        let limit = self.limit(piece);
        format!(
            "SELECT {COLUMNS}, {total} FROM ( \
               SELECT p.id, p.key FROM ({streams}) s CROSS JOIN LATERAL ( \
                 SELECT x.id, {key} AS key FROM tickets x \
                 WHERE x.workspace_id = {workspace} AND x.{column} = s.v AND {start} \
                 {stream_order} LIMIT {depth} \
               ) p {order} {limit} \
             ) p CROSS JOIN tickets t WHERE t.workspace_id = {workspace} AND t.id = p.id {order}"
        )
    }

    /// SQLite, which has no LATERAL: the rows of a recursive query wait in a queue that its ORDER
    /// BY sorts. It begins with the first row of every range; each row that leaves it brings in
    /// the next of its range. So it looks up one row per range and one per row of the page.
    fn merge_queue(
        &mut self,
        piece: Piece,
        total: &str,
        streams: &str,
        column: &str,
        start: &str,
    ) -> String {
        let workspace = self.workspace.clone();
        let key = piece.part.column();
        let (_, beyond) = self.direction();
        let (next, stream_order) = match piece.part {
            Part::Priority => (format!("x.id {beyond} m.id"), self.order("", "x.id")),
            Part::Undated => {
                (format!("x.due_at IS NULL AND x.id {beyond} m.id"), self.order("", "x.id"))
            }
            _ => {
                let next = format!("(x.{key}, x.id) {beyond} (m.key, m.id)");
                (next, self.order(&format!("x.{key}"), "x.id"))
            }
        };
        let first = format!(
            "SELECT x.rowid FROM tickets x WHERE x.workspace_id = {workspace} AND x.{column} ="
        );
        let queue_order = self.order("3", "4");
        let order = self.order("m.key", "m.id");
        let limit = self.limit(piece);
        format!(
            "WITH RECURSIVE merge (v, place, key, id) AS ( \
               SELECT s.v, t.rowid, t.{key}, t.id FROM ({streams}) s CROSS JOIN tickets t \
               WHERE t.rowid = ({first} s.v AND {start} {stream_order} LIMIT 1) \
               UNION ALL \
               SELECT m.v, t.rowid, t.{key}, t.id FROM merge m CROSS JOIN tickets t \
               WHERE t.rowid = ({first} m.v AND {next} {stream_order} LIMIT 1) \
               {queue_order} {limit} \
             ) \
             SELECT {COLUMNS}, {total} FROM merge m CROSS JOIN tickets t \
             WHERE t.rowid = m.place {order}"
        )
    }

    /// Selects, as `v`, the values of the family that the filter asks for, and names the column
    /// that they are values of. With a cursor in a list by priority, only those that are not past.
    fn streams(&mut self, family: Family, piece: Option<Piece>) -> (String, &'static str) {
        let workspace = self.workspace.clone();
        if family == Family::Status {
            let mask = self.list.filter.status.iter().fold(0, |mask, s| mask | 1_i64 << s.as_i16());
            let mask = self.parameters.bind(mask);
            let statuses = "WITH statuses (v) AS (VALUES (1), (2), (3), (4), (5), (6))";
            let streams =
                format!("{statuses} SELECT v FROM statuses WHERE (({mask} >> v) & 1) = 1");
            return (streams, "status");
        }
        let mut wanted = counted(&mut self.parameters, &workspace, self.list.filter);
        if let Some(Piece { part: Part::Priority, after: Some(key), .. }) = piece {
            let (_, beyond) = self.direction();
            let rank = self.parameters.bind(key.value.unwrap_or_default());
            wanted.push_str(&format!(" AND {} {beyond}= {rank}", priority_of("c.facet")));
        }
        let streams = format!(
            "SELECT c.facet AS v FROM ticket_counts c WHERE {wanted} AND c.ticket_count > 0"
        );
        (streams, "facet")
    }

    /// Where a range begins: the condition on its rows `x`.
    fn stream_start(&mut self, piece: Piece) -> String {
        let (_, beyond) = self.direction();
        match (piece.part, piece.after) {
            // Only the range of the cursor's own priority begins in its middle.
            (Part::Priority, Some(key)) => {
                let rank = self.parameters.bind(key.value.unwrap_or_default());
                let id = self.parameters.bind(key.id);
                let end = match self.list.sort.direction {
                    Direction::Ascending => -i64::MAX,
                    Direction::Descending => i64::MAX,
                };
                let priority = priority_of("s.v");
                format!("x.id {beyond} CASE WHEN {priority} = {rank} THEN {id} ELSE {end} END")
            }
            (Part::Dated, None) => dated("x.due_at"),
            (_, None) if piece.part != Part::Undated => "1 = 1".to_owned(),
            _ => {
                let key = format!("x.{}", piece.part.column());
                self.beyond(piece, &key, "x.id").join(" AND ")
            }
        }
    }

    /// The conditions that a piece puts on its rows: its part, and what is behind its cursor.
    fn beyond(&mut self, piece: Piece, key: &str, id: &str) -> Vec<String> {
        let (_, beyond) = self.direction();
        match (piece.part, piece.after) {
            (Part::Undated, after) => {
                let mut conditions = vec![format!("{key} IS NULL")];
                if let Some(after) = after {
                    conditions.push(format!("{id} {beyond} {}", self.parameters.bind(after.id)));
                }
                conditions
            }
            (Part::Dated, None) => vec![dated(key)],
            (_, None) => Vec::new(),
            (_, Some(after)) => {
                let value = self.parameters.bind(after.value.unwrap_or_default());
                let after_id = self.parameters.bind(after.id);
                vec![format!("({key}, {id}) {beyond} ({value}, {after_id})")]
            }
        }
    }

    /// ORDER BY the key, if it is not empty, then the id.
    fn order(&self, key: &str, id: &str) -> String {
        let (direction, _) = self.direction();
        if key.is_empty() {
            format!("ORDER BY {id} {direction}")
        } else {
            format!("ORDER BY {key} {direction}, {id} {direction}")
        }
    }

    /// `+ 0`, because SQLite plans a statement anew whenever a bare parameter of its LIMIT is bound:
    /// half of the time that it spends on a page.
    fn limit(&mut self, piece: Piece) -> String {
        let limit = self.parameters.bind(as_i64(piece.limit));
        let offset = self.parameters.bind(as_i64(piece.offset));
        format!("LIMIT {limit} + 0 OFFSET {offset} + 0")
    }

    /// The direction's keyword, and the comparison that finds what follows.
    fn direction(&self) -> (&'static str, &'static str) {
        match self.list.sort.direction {
            Direction::Ascending => ("ASC", ">"),
            Direction::Descending => ("DESC", "<"),
        }
    }
}

/// Not `IS NOT NULL`: SQLite does not look that up in an index.
fn dated(column: &str) -> String {
    format!("{column} >= -{}", i64::MAX)
}

/// The rank of a facet's priority.
fn priority_of(facet: &str) -> String {
    format!("(({facet} >> {PRIORITY_SHIFT}) & 7)")
}

fn as_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
