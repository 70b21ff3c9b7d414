//! The articles of a knowledge base. Their kinds and statuses are numbers here, as the contract numbers
//! them.

use std::borrow::Cow;

use migrations::case_folded;
use sea_orm::{ColumnTrait, DbErr, QueryTrait, Value};

use super::entity::article;
use super::failure::is_taken;
use super::nouns::{
    Dimension, KeyValue, NarrowFilter, Noun, Order, Search, Side, Table, Texts, Values, decode,
    noun_head, noun_row, rows_where,
};
use super::rows::RowSource;
use super::sql::statement;
use super::{Reader, Tx};
use crate::clock::Timestamp;
use crate::error::{Error, Kind};
use crate::metrics::StoreOperation;
use crate::resource::Resource;

/// The status of articles, as a dimension of their lists.
pub static STATUS: Dimension = Dimension { name: "status", shift: 3, bits: 3 };
/// What they are for.
pub static KIND: Dimension = Dimension { name: "kind", shift: 0, bits: 7 };

static CREATED_AT: Order =
    Order { name: "createdAt", column: "created_at", values: Values::Numbers, by_facet: true };
static UPDATED_AT: Order =
    Order { name: "updatedAt", column: "updated_at", values: Values::Numbers, by_facet: true };

/// Their tags.
pub static TAGS: Side = Side {
    table: "article_tags",
    owner: "article_id",
    value: "tag",
    is_text: true,
    created_at: Some("article_created_at"),
};

/// The words of title, summary and body.
pub static WORDS: Search = Search { table: "article_words" };

/// Articles.
static ARTICLES: Table = Table {
    name: "articles",
    resource: Resource::Article,
    noun: 5,
    has_history: false,
    dimensions: &[&STATUS, &KIND],
    orders: &[&CREATED_AT, &UPDATED_AT],
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
    /// 1, 2, 3 … within the workspace; 0 before it has one.
    pub id: i64,
    /// Its name in addresses, unique in the workspace.
    pub slug: String,
    /// What it is about, in a line.
    pub title: String,
    /// What it says, in a few sentences.
    pub summary: Option<String>,
    /// What it says.
    pub body: String,
    /// The number of its kind.
    pub kind: i16,
    /// The number of its status.
    pub status: i16,
    /// What it belongs to.
    pub category: Option<String>,
    /// Words to find it by; none twice.
    pub tags: Vec<String>,
    /// When it was last published.
    pub published_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// 1 when made, one more with every change.
    pub version: i64,
}

impl Reader<'_> {
    /// The article with this slug.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_article_by_slug(&self, slug: &str) -> Result<Option<Article>, Error> {
        let _timed = StoreOperation::begin("find_by_slug", "articles");
        let of_slug = article::Column::Slug.eq(slug);
        let select = rows_where::<Article>(self.workspace, of_slug).build(self.backend());
        let found = RowSource::Reader(*self).read(select, decode::<Article>).await?;
        Ok(found.into_iter().next())
    }
}

impl Tx {
    /// The id of the article with this slug.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn find_article_id(&self, slug: &str) -> Result<Option<i64>, Error> {
        let _timed = StoreOperation::begin("find_by_slug", "articles");
        let text = "SELECT id FROM articles WHERE workspace_id = $1 AND slug = $2";
        let values = [self.workspace.0.into(), slug.into()];
        let find = statement(self.transaction.backend(), text, values);
        self.transaction.read_one(find, |row| row.get(0)).await
    }
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

    fn key(&self, order: &Order) -> Option<KeyValue> {
        let at = if order.column == "updated_at" { self.updated_at } else { self.created_at };
        Some(KeyValue::Number(at.0))
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
