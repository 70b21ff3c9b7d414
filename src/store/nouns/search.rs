//! Search by words: how rows are found, and how the found rows are ranked.
//!
//! Beside a noun's table stands one with the words of each row, folded (see `migrations::words`), in
//! columns of falling weight. Words are found as the beginnings of words, by an index over all of
//! them: a tsvector of PostgreSQL, or FTS5 of SQLite. There, rows wait until enough of them are taken
//! into the index at once, and a search looks through those that wait.

use std::collections::BTreeSet;

use migrations::words;
use sea_orm::{DbBackend, Statement};

use super::conditions::lateral;
use super::noun::Noun;
use super::page::{Found, bytes_max};
use super::query::{Condition, Query};
use super::row::decode_listed;
use super::sql::{List, Slice, Sql, Stretch, all};
use super::table::Search;
use crate::error::Error;
use crate::metrics::StoreOperation;
use crate::store::Reader;
use crate::store::pages::{Page, PageRequest};
use crate::store::rows::RowSource;

/// The most words of a search.
pub const SEARCH_WORDS_MAX: usize = 64;
/// The number of found rows that are ranked.
const RANKED_ROWS: u32 = 1_000;
/// The columns with words, each with what a word adds to the rank of a row: as a whole, and as the
/// beginning of another.
const WEIGHTS: [(&str, u32, u32); 3] = [("words_a", 16, 12), ("words_b", 6, 4), ("words_c", 2, 1)];
/// The bits of an id in an index of SQLite, where a row is known by its workspace and its id.
const ID_BITS: u32 = 40;

/// The words that a text searches for, but for those that another one of them begins with, which are
/// found with it.
pub fn searched_words(text: &str) -> Vec<String> {
    let sorted: BTreeSet<_> = words(text).into_iter().collect();
    let mut asked: Vec<String> = Vec::new();
    for word in sorted {
        match asked.last_mut() {
            // It stands right before those that begin with it.
            Some(last) if word.starts_with(last.as_str()) => *last = word,
            _ => asked.push(word),
        }
    }
    asked
}

impl Condition {
    /// Makes the condition that each word of `text` begins a word of the row. They are at most
    /// [`SEARCH_WORDS_MAX`].
    pub fn search(search: &'static Search, text: &str) -> Self {
        Self::Words(search, searched_words(text))
    }
}

impl Query {
    /// The words that are searched for.
    pub(super) fn search(&self) -> Option<(&'static Search, &[String])> {
        self.conditions.iter().find_map(|condition| match condition {
            Condition::Words(search, words) => Some((*search, words.as_slice())),
            _ => None,
        })
    }

    /// Returns true if it searches for a text without a word, which finds nothing.
    pub(super) fn finds_nothing(&self) -> bool {
        self.search().is_some_and(|(_, words)| words.is_empty())
    }
}

impl Reader<'_> {
    /// A page of what a search finds, the best first; between equals the newest. The newest
    /// 1,000 that are found are ranked.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn list_by_relevance<N: Noun>(
        &self,
        query: &Query,
        page: &PageRequest,
    ) -> Result<Page<N>, Error> {
        let _timed = StoreOperation::begin("search", N::table().name);
        if query.finds_nothing() {
            return Ok(Found { rows: Vec::new(), total_count: Some(0) }.into_page(query, page));
        }
        let list = self.listed::<N>(query, page);
        let statement = list.ranked(page);
        let bytes = |(row, _): &(N, Option<i64>)| row.bytes();
        let source = RowSource::Reader(*self);
        let found =
            source.read_within(statement, decode_listed::<N>, bytes, bytes_max(page)).await?;
        let total_count = match found.first() {
            Some((_, total)) => *total,
            None => {
                let total = source.read(list.total(), |row| row.get(0)).await?;
                total.into_iter().next()
            }
        };
        let rows = found.into_iter().map(|(row, _)| row).collect();
        Ok(Found { rows, total_count }.into_page(query, page))
    }
}

impl List<'_> {
    /// Selects a page of the rows that are ranked, and the total of the list.
    pub(super) fn ranked(self, page: &PageRequest) -> Statement {
        let mut sql = self.sql();
        let offset = page.position.skipped(page.per_page).min(RANKED_ROWS.into());
        // One more than the page has tells whether there are more, within what is ranked.
        let limit = (u64::from(page.per_page) + 1).min(u64::from(RANKED_ROWS) - offset);
        let text = sql.ranked(&Slice { stretch: Stretch::All, after: None, offset, limit });
        sql.parameters.statement(text)
    }
}

impl Sql<'_> {
    /// Selects, as `id`, the rows in which each word occurs.
    pub(super) fn hits(&mut self) -> String {
        let Some((Search { table, .. }, words)) = self.query.search() else {
            return "SELECT 0 AS id WHERE 1 = 0".to_owned();
        };
        let number = self.workspace_number;
        match self.backend {
            DbBackend::Postgres => {
                let lexemes: Vec<_> =
                    words.iter().map(|word| format!("'{number}:{word}':*")).collect();
                let lexemes = self.parameters.bind(lexemes.join(" & "));
                format!("SELECT w.id FROM {table} w WHERE w.lexemes @@ CAST({lexemes} AS tsquery)")
            }
            _ => {
                let lexemes: Vec<_> =
                    words.iter().map(|word| format!("\"{number}:{word}\"*")).collect();
                let lexemes = self.parameters.bind(lexemes.join(" "));
                let pending = format!("{table} w INDEXED BY {table}_pending_idx");
                let workspace = self.workspace.clone();
                let occur = self.occur(words);
                format!(
                    "SELECT f.rowid & {} AS id FROM {table}_fts f \
                     WHERE {table}_fts MATCH {lexemes} AND f.rowid NOT IN \
                     (SELECT (w.workspace_id << {ID_BITS}) + w.id FROM {pending} \
                     WHERE w.is_pending = 1) \
                     UNION ALL SELECT w.id FROM {pending} \
                     WHERE w.is_pending = 1 AND w.workspace_id = {workspace} AND {occur}",
                    (1_i64 << ID_BITS) - 1
                )
            }
        }
    }

    /// Returns the condition that each of the words occurs in a row `of`, which is not looked up by
    /// them.
    pub(super) fn has_words(&mut self, of: &str, search: &Search, words: &[String]) -> String {
        let (table, workspace) = (search.table, self.workspace.clone());
        let occur = self.occur(words);
        format!(
            "EXISTS (SELECT 1 FROM {table} w \
             WHERE w.workspace_id = {workspace} AND w.id = {of}.id AND {occur})"
        )
    }

    /// Returns the condition that each of the words occurs in a row `w` of the words.
    fn occur(&mut self, words: &[String]) -> String {
        let conditions: Vec<_> = words
            .iter()
            .map(|word| {
                let beginning = self.parameters.bind(format!(" {word}"));
                let places = WEIGHTS.map(|(column, ..)| self.place(column, &beginning));
                format!("{} > 0", places.join(" + "))
            })
            .collect();
        conditions.join(" AND ")
    }

    /// Returns the ranked rows of a search: first the ids of the newest, then only the rows of the
    /// page.
    fn ranked(&mut self, slice: &Slice) -> String {
        let total = self.total_beside();
        let Some((search, words)) = self.query.search() else {
            return format!(
                "SELECT {}, {total} FROM {} t WHERE 1 = 0",
                self.columns, self.table.name
            );
        };
        let newest = match self.query.conditions.len() {
            1 => format!(
                "SELECT h.id FROM ({}) h ORDER BY h.id DESC LIMIT {RANKED_ROWS}",
                self.hits()
            ),
            _ => {
                let (from, conditions) = self.selection();
                let conditions = all(&conditions);
                format!(
                    "SELECT t.id FROM {from} WHERE {conditions} ORDER BY t.id DESC LIMIT {RANKED_ROWS}"
                )
            }
        };
        let rank = self.rank(words);
        let (words, workspace) = (search.table, self.workspace.clone());
        let words = lateral(
            self.backend,
            &format!("({newest}) n"),
            words,
            "w",
            &format!("w.workspace_id = {workspace} AND w.id = n.id"),
        );
        let limit = self.limit(slice);
        let page = format!(
            "SELECT n.id, {rank} AS score FROM {} ORDER BY score DESC, n.id DESC {limit}",
            words
        );
        format!(
            "SELECT {}, {total} FROM ({page}) p CROSS JOIN {} t \
             WHERE t.workspace_id = {workspace} AND t.id = p.id ORDER BY p.score DESC, p.id DESC",
            self.columns, self.table.name
        )
    }

    /// The rank of a row `w` of the words: the sum of what each word adds where it counts most.
    fn rank(&mut self, words: &[String]) -> String {
        let ranks: Vec<_> = words
            .iter()
            .map(|word| {
                let beginning = self.parameters.bind(format!(" {word}"));
                let whole = self.parameters.bind(format!(" {word} "));
                let mut cases = String::new();
                for (column, as_whole, as_beginning) in WEIGHTS {
                    let (whole, beginning) =
                        (self.place(column, &whole), self.place(column, &beginning));
                    cases += &format!(
                        " WHEN {whole} > 0 THEN {as_whole} WHEN {beginning} > 0 THEN {as_beginning}"
                    );
                }
                format!("CASE{cases} ELSE 0 END")
            })
            .collect();
        ranks.join(" + ")
    }

    /// Returns the place at which a text stands in a column of the words; 0 where it does not.
    fn place(&self, column: &str, text: &str) -> String {
        match self.backend {
            DbBackend::Postgres => format!("strpos(w.{column}, {text})"),
            _ => format!("instr(w.{column}, {text})"),
        }
    }
}
