//! The translation between the messages of the contract and the articles of the store.

use crate::clock::Timestamp;
use crate::pb;
use crate::service::stored;
use crate::store::articles::Article;

/// An article as the contract shows it.
pub fn shown(article: Article) -> pb::Article {
    pb::Article {
        id: article.id,
        slug: article.slug,
        title: article.title,
        summary: article.summary,
        body: article.body,
        kind: article.kind.into(),
        status: article.status.into(),
        category: article.category,
        tags: article.tags,
        published_at: article.published_at.map(Into::into),
        created_at: Some(article.created_at.into()),
        updated_at: Some(article.updated_at.into()),
        version: article.version,
    }
}

/// The article that a request asks for; without a slug where it gives none.
pub fn new_article(message: pb::CreateArticleRequest, now: Timestamp) -> Article {
    Article {
        id: 0,
        slug: message.slug.unwrap_or_default(),
        title: message.title,
        summary: message.summary,
        body: message.body,
        kind: stored(message.kind.unwrap_or(pb::ArticleKind::Article.into())),
        status: pb::ArticleStatus::Draft as i16,
        category: message.category,
        tags: message.tags,
        published_at: None,
        created_at: now,
        updated_at: now,
        version: 1,
    }
}

/// The article `before` as `wanted` shows it.
pub fn updated(before: &Article, wanted: pb::Article) -> Article {
    Article {
        slug: wanted.slug,
        title: wanted.title,
        summary: wanted.summary,
        body: wanted.body,
        kind: stored(wanted.kind),
        status: stored(wanted.status),
        category: wanted.category,
        tags: wanted.tags,
        ..before.clone()
    }
}
