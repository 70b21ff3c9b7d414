//! The articles of a knowledge base. Their kinds and statuses are numbers here, as the contract numbers
//! them.

use std::borrow::Cow;

use migrations::case_folded;
use sea_orm::{DbErr, Value};

use super::entity::article;
use super::failure::is_taken;
use super::nouns::{
    AlternateKey, CREATED_AT, Dimension, NarrowFilter, Noun, Search, Side, Table, Texts,
    UPDATED_AT, noun_head, noun_row,
};
use crate::clock::Timestamp;
use crate::error::{Error, Kind};
use crate::resource::Resource;

/// The status of articles, as a dimension of their lists.
pub static STATUS: Dimension = Dimension { name: "status", shift: 3, bits: 3 };
/// The kind of an article, as a dimension of lists.
pub static KIND: Dimension = Dimension { name: "kind", shift: 0, bits: 7 };

/// The tags of an article.
pub static TAGS: Side = Side {
    table: "article_tags",
    owner: "article_id",
    value: "tag",
    is_text: true,
    created_at: Some("article_created_at"),
};

/// The words of title, summary and body.
pub static WORDS: Search = Search { table: "article_words" };

/// The table of articles.
static ARTICLES: Table = Table {
    name: "articles",
    resource: Resource::Article,
    noun: 5,
    has_history: false,
    dimensions: &[&STATUS, &KIND],
    orders: &[&CREATED_AT, &UPDATED_AT],
    alternate_key: Some(AlternateKey::exact("slug")),
    narrows: &[
        NarrowFilter::beside(&TAGS, "article_tags_tag_article_created_at_article_id_idx"),
        NarrowFilter::of(&["category_key"], "articles_category_key_created_at_id_idx"),
    ],
    sides: &[&TAGS],
    search: Some(&WORDS),
    texts: Texts::unmade(),
};

/// An article.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Article {
    /// The id: 1, 2, 3 … within the workspace; 0 before it has one.
    pub id: i64,
    /// The name in addresses, unique in the workspace.
    pub slug: String,
    /// The title, in a line.
    pub title: String,
    /// The summary, in a few sentences.
    pub summary: Option<String>,
    /// The text, in Markdown.
    pub body: String,
    /// The number of its kind.
    pub kind: i16,
    /// The number of its status.
    pub status: i16,
    /// The category.
    pub category: Option<String>,
    /// The tags; none twice.
    pub tags: Vec<String>,
    /// The time of the last publication.
    pub published_at: Option<Timestamp>,
    /// The time of creation.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The version: 1 when made, one more with every change.
    pub version: i64,
}

impl Noun for Article {
    type Entity = article::Entity;

    fn table() -> &'static Table {
        &ARTICLES
    }

    noun_row! {
        article {
            id, slug, title, summary, body, kind, status, category, tags, published_at, created_at,
            updated_at, version,
        }
        |row| {
            facet: row.facet(),
            category_key: row.category.as_deref().map(case_folded),
        }
    }

    noun_head!();

    fn facet(&self) -> i16 {
        STATUS.pack(self.status) | KIND.pack(self.kind)
    }

    fn bytes(&self) -> usize {
        self.title.len() + self.body.len() + self.summary.as_ref().map_or(0, String::len)
    }

    fn side(&self, _: &Side) -> Vec<Value> {
        self.tags.iter().map(|tag| tag.clone().into()).collect()
    }

    fn searched(&self) -> [Cow<'_, str>; 2] {
        let text = match &self.summary {
            Some(summary) => Cow::Owned(format!("{summary}\n{}", self.body)),
            None => Cow::Borrowed(self.body.as_str()),
        };
        [Cow::Borrowed(&self.title), text]
    }

    fn taken(&self, error: &DbErr) -> Option<Error> {
        let message = || format!("An article with the slug \"{}\" exists already.", self.slug);
        is_taken(error, &["articles_slug_idx", "articles.slug"])
            .then(|| Error::new(Kind::AlreadyExists, message()))
    }
}
