//! KnowledgeService: the articles of a workspace.

mod messages;
mod slug;

use rest::Merge;
use tonic::{Request, Response, Status};

use self::messages::shown;
use super::once::{Answer, once, once_on};
use super::pages;
use super::{accept, accept_update, changes, free, next_milli, no_more, transitions};
use crate::auth::caller::Caller;
use crate::auth::scope::Scope;
use crate::clock::Timestamp;
use crate::error::{Error, Kind};
use crate::pb;
use crate::resource::Resource;
use crate::store::articles::{Article, KIND, STATUS, TAGS, WORDS};
use crate::store::nouns::{Condition, Query};
use crate::store::{Store, Tx};

/// The status of what every reader sees.
const PUBLISHED: i32 = pb::ArticleStatus::Published as i32;

/// Answers for articles.
#[derive(Clone)]
pub struct Articles {
    pub store: Store,
}

#[tonic::async_trait]
impl pb::knowledge_service_server::KnowledgeService for Articles {
    async fn list_articles(
        &self,
        request: Request<pb::ListArticlesRequest>,
    ) -> Result<Response<pb::ListArticlesResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let message = &accepted.message;
        let sees_all = sees_all(&accepted.caller);
        if !sees_all && !message.status.is_empty() {
            return Err(needs_write("status needs a key with the scope kb:write.").into());
        }
        let statuses = if sees_all { message.status.as_slice() } else { &[PUBLISHED] };
        let list = query(message, statuses);
        let listed = pages::list(&self.store, &accepted, &list, shown).await?;
        let (articles, meta) = (listed.messages, Some(listed.meta));
        Ok(Response::new(pb::ListArticlesResponse { articles, meta }))
    }

    async fn list_faqs(
        &self,
        request: Request<pb::ListFaqsRequest>,
    ) -> Result<Response<pb::ListFaqsResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let pb::ListFaqsRequest { q, category, tag, .. } = accepted.message.clone();
        let kind = vec![pb::ArticleKind::Faq.into()];
        let faqs = pb::ListArticlesRequest { q, category, tag, kind, ..Default::default() };
        let list = query(&faqs, &[PUBLISHED]);
        let listed = pages::list(&self.store, &accepted, &list, shown).await?;
        let (articles, meta) = (listed.messages, Some(listed.meta));
        Ok(Response::new(pb::ListFaqsResponse { articles, meta }))
    }

    async fn get_article(
        &self,
        request: Request<pb::GetArticleRequest>,
    ) -> Result<Response<pb::GetArticleResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let reader = self.store.reader(accepted.caller.workspace());
        let article = reader.find_named::<Article>(&accepted.message.id).await?;
        if !sees_all(&accepted.caller) && i32::from(article.status) != PUBLISHED {
            return Err(Resource::Article.not_found().into());
        }
        Ok(Response::new(pb::GetArticleResponse { article: Some(shown(article)) }))
    }

    async fn create_article(
        &self,
        request: Request<pb::CreateArticleRequest>,
    ) -> Result<Response<pb::CreateArticleResponse>, Status> {
        let accepted = accept(request, |message: &pb::CreateArticleRequest, violations| {
            slug::check(message.slug.as_deref(), violations);
        })?;
        let answered = once(&self.store, &accepted, async |tx| {
            let new = messages::new_article(accepted.message.clone(), tx.now());
            let made = shown(insert(tx, new).await?);
            tx.record(changes::created(Resource::Article, &made));
            Ok(pb::CreateArticleResponse { article: Some(made) })
        });
        Ok(answered.await?)
    }

    async fn update_article(
        &self,
        request: Request<pb::UpdateArticleRequest>,
    ) -> Result<Response<pb::UpdateArticleResponse>, Status> {
        let (accepted, mask) =
            accept_update(request, |message: &pb::UpdateArticleRequest, violations| {
                slug::check(message.slug.as_deref(), violations);
            })?;
        let message = &accepted.message;
        let id = &message.id;
        let answered = once_on(&self.store, &accepted, id, async |tx, before: Article| {
            let was = shown(before.clone());
            let mut wanted = was.clone();
            message.merge(&mask, &mut wanted);
            let mut after = messages::updated(&before, wanted);
            enter(before.status, &mut after, tx.now())?;
            if after != before {
                after = tx.update(&before, after).await?;
                let is = shown(after.clone());
                let topics = topics(&before, &after);
                let event = changes::updated(Resource::Article, &was, &is, topics);
                tx.record_update(&after, event);
            }
            Ok(pb::UpdateArticleResponse { article: Some(shown(after)) })
        });
        Ok(answered.await?)
    }
}

impl Answer for pb::CreateArticleResponse {}
impl Answer for pb::UpdateArticleResponse {}

/// Makes an article, with a slug of its title where it has none.
async fn insert(tx: &mut Tx, new: Article) -> Result<Article, Error> {
    if !new.slug.is_empty() {
        return tx.insert(new).await;
    }
    let slug = slug::of_title(&new.title);
    free::insert(tx, new, |number| slug::numbered(&slug, number)).await
}

/// Applies a change of its status to an article.
fn enter(from: i16, article: &mut Article, now: Timestamp) -> Result<(), Error> {
    if from != article.status {
        transitions::check::<pb::ArticleStatus>("An article", from, article.status)?;
        let published = i32::from(article.status) == PUBLISHED;
        article.published_at = published.then_some(now).or(article.published_at);
    }
    Ok(())
}

fn topics(before: &Article, after: &Article) -> impl Iterator<Item = &'static str> {
    let topic = match pb::ArticleStatus::try_from(i32::from(after.status)) {
        Ok(pb::ArticleStatus::Published) => Some("kb.article.published"),
        Ok(pb::ArticleStatus::Archived) => Some("kb.article.archived"),
        _ => None,
    };
    topic.filter(|_| before.status != after.status).into_iter()
}

/// Returns true if the caller sees unpublished articles too.
fn sees_all(caller: &Caller) -> bool {
    caller.scopes.has(Scope::KbWrite)
}

fn needs_write(message: &str) -> Error {
    Error::new(Kind::InsufficientScope { required: Some(Scope::KbWrite.name()) }, message)
}

/// Translates the filters of a list of articles in these statuses, or in any if there are none.
fn query(message: &pb::ListArticlesRequest, statuses: &[i32]) -> Query {
    let conditions = [
        Condition::dimension(&STATUS, statuses.iter().copied()),
        Condition::dimension(&KIND, message.kind.iter().copied()),
        Condition::texts(&TAGS, message.tag.iter().cloned().collect()),
        Condition::folded("category_key", message.category.as_deref()),
        message.q.as_deref().map(|text| Condition::search(&WORDS, text)),
        Condition::since("updated_at", message.updated_since.map(next_milli)),
    ];
    pages::query::<Article>(message.sort.as_deref(), message.updated_since, conditions)
}
