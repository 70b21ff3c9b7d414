//! The knowledge base of a workspace: articles, their tags, and the words that they are found by.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, small_integer, text, text_null};

use crate::m0021_words::create_words;
use crate::schema::{
    bytewise, clustered, in_workspace, same_workspace, workspace_index, workspace_key,
};

#[derive(DeriveMigrationName)]
pub struct Migration;

const INDEXES: [&[&str]; 4] = [
    &["created_at", "id", "facet"],
    &["updated_at", "id", "facet"],
    &["facet", "created_at", "id"],
    &["facet", "updated_at", "id"],
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let articles = Table::create()
            .table("articles")
            .col(big_integer("workspace_id"))
            .col(big_integer("id"))
            .col(bytewise(manager, &mut text("slug")))
            .col(text("title"))
            .col(text_null("summary"))
            .col(text("body"))
            .col(small_integer("kind"))
            .col(small_integer("status"))
            .col(text_null("category"))
            .col(text("tags"))
            .col(big_integer_null("published_at"))
            .col(big_integer("created_at"))
            .col(big_integer("updated_at"))
            .col(big_integer("version"))
            .col(small_integer("facet"))
            .col(bytewise(manager, &mut text_null("category_key")))
            .primary_key(&mut workspace_key(&["id"]))
            .foreign_key(&mut in_workspace("articles"))
            .to_owned();
        manager.create_table(articles).await?;
        manager.create_index(workspace_index("articles", &["slug"]).unique().to_owned()).await?;
        for columns in INDEXES {
            manager.create_index(workspace_index("articles", columns)).await?;
        }
        let category = workspace_index("articles", &["category_key", "created_at", "id"])
            .and_where(Expr::col("category_key").is_not_null())
            .to_owned();
        manager.create_index(category).await?;
        create_tags(manager).await?;
        create_words(manager, "article_words", "articles").await
    }
}

/// A tag repeats its article's creation time, which never changes, so that the articles of a tag are
/// found in the default order.
async fn create_tags(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut article_tags = Table::create()
        .table("article_tags")
        .col(big_integer("workspace_id"))
        .col(big_integer("article_id"))
        .col(bytewise(manager, &mut text("tag")))
        .col(big_integer("article_created_at"))
        .primary_key(&mut workspace_key(&["article_id", "tag"]))
        .foreign_key(&mut same_workspace("article_tags", "article_id", "articles"))
        .to_owned();
    clustered(manager, &mut article_tags);
    manager.create_table(article_tags).await?;
    let by_tag = workspace_index("article_tags", &["tag", "article_created_at", "article_id"]);
    manager.create_index(by_tag).await
}
