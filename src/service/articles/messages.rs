//! Between the messages of the contract and the articles of the store.

use crate::clock::Timestamp;
use crate::pb;
use crate::service::from_number;
use crate::store::{Article, ArticleKind, ArticleStatus};

from_number! {
    kind -> ArticleKind,
    status -> ArticleStatus,
}

/// An article as the contract shows it.
pub fn shown(article: Article) -> pb::Article {
    pb::Article {
        id: article.id,
        slug: article.slug,
        title: article.title,
        summary: article.summary,
        body: article.body,
        kind: article.kind.as_i16().into(),
        status: article.status.as_i16().into(),
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
        kind: message.kind.map_or(ArticleKind::Article, kind),
        status: ArticleStatus::Draft,
        category: message.category,
        tags: message.tags,
        published_at: None,
        created_at: now,
        updated_at: now,
        version: 1,
    }
}

/// The article `before` as `wanted` shows it; all but its status, which is a move.
pub fn updated(before: &Article, wanted: pb::Article) -> Article {
    Article {
        slug: wanted.slug,
        title: wanted.title,
        summary: wanted.summary,
        body: wanted.body,
        kind: kind(wanted.kind),
        category: wanted.category,
        tags: wanted.tags,
        ..before.clone()
    }
}
