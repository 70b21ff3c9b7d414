//! CategoryService: a workspace's own categories of tickets.

use rest::{Mask, Merge, Patch};
use tonic::{Request, Response, Status};

use super::once::{Answer, once};
use super::pages;
use super::{accept, changes, no_more, number};
use crate::error::Error;
use crate::pb;
use crate::resource::Resource;
use crate::service::tickets::messages::{category, priority};
use crate::store::{CategoryConfig, NewCategory, Store};

/// Answers for categories.
#[derive(Clone)]
pub struct Categories {
    pub store: Store,
}

#[tonic::async_trait]
impl pb::category_service_server::CategoryService for Categories {
    async fn list_categories(
        &self,
        request: Request<pb::ListCategoriesRequest>,
    ) -> Result<Response<pb::ListCategoriesResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let message = &accepted.message;
        let sort = pages::sort::<CategoryConfig>(message.sort.as_deref(), None);
        let list = CategoryConfig::query(message.active, sort);
        let listed = pages::list(&self.store, &accepted, &list, shown).await?;
        let (categories, meta) = (listed.messages, Some(listed.meta));
        Ok(Response::new(pb::ListCategoriesResponse { categories, meta }))
    }

    async fn get_category(
        &self,
        request: Request<pb::GetCategoryRequest>,
    ) -> Result<Response<pb::GetCategoryResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let id = category_id(&accepted.message.id)?;
        let reader = self.store.reader(accepted.caller.workspace());
        let found = reader.find::<CategoryConfig>(id).await?;
        let category = Some(shown(found.ok_or_else(|| Resource::Category.not_found())?));
        Ok(Response::new(pb::GetCategoryResponse { category }))
    }

    async fn create_category(
        &self,
        request: Request<pb::CreateCategoryRequest>,
    ) -> Result<Response<pb::CreateCategoryResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let message = accepted.message.clone();
        let new = NewCategory {
            name: message.name,
            base_category: category(message.base_category),
            default_priority: message.default_priority.map(priority),
            is_active: message.active.unwrap_or(true),
        };
        let answered = once(&self.store, &accepted, async |tx| {
            let made = shown(tx.insert_category(new).await?);
            tx.record(changes::created(Resource::Category, &made));
            tx.audit(changes::audit(Resource::Category, "create", made.id, None, Some(&made)));
            Ok(pb::CreateCategoryResponse { category: Some(made) })
        });
        Ok(answered.await?)
    }

    async fn update_category(
        &self,
        request: Request<pb::UpdateCategoryRequest>,
    ) -> Result<Response<pb::UpdateCategoryResponse>, Status> {
        let mut mask = Mask::default();
        let accepted = accept(request, |message: &pb::UpdateCategoryRequest, violations| {
            mask = message.mask(violations);
        })?;
        let message = &accepted.message;
        let id = category_id(&message.id);
        let answered = once(&self.store, &accepted, async |tx| {
            let before = tx.find_for_update::<CategoryConfig>(id?, &accepted.precondition).await?;
            let was = shown(before.clone());
            let mut wanted = was.clone();
            message.merge(&mask, &mut wanted);
            let mut after = CategoryConfig {
                name: wanted.name,
                base_category: category(wanted.base_category),
                default_priority: wanted.default_priority.map(priority),
                is_active: wanted.active,
                ..before.clone()
            };
            if after != before {
                after = tx.update(&before, after).await?;
                let is = shown(after.clone());
                tx.record_update(&after, changes::updated(Resource::Category, &was, &is, []));
                let (was, is) = (Some(&was), Some(&is));
                tx.audit(changes::audit(Resource::Category, "update", after.id, was, is));
            }
            Ok(pb::UpdateCategoryResponse { category: Some(shown(after)) })
        });
        Ok(answered.await?)
    }
}

impl Answer for pb::CreateCategoryResponse {}
impl Answer for pb::UpdateCategoryResponse {}

/// A category as the contract shows it.
fn shown(category: CategoryConfig) -> pb::Category {
    pb::Category {
        id: category.id,
        name: category.name,
        base_category: category.base_category.as_i16().into(),
        default_priority: category.default_priority.map(|priority| priority.as_i16().into()),
        active: category.is_active,
        created_at: Some(category.created_at.into()),
        updated_at: Some(category.updated_at.into()),
        version: category.version,
    }
}

/// The id that a path names. What can be no id is simply not found.
fn category_id(text: &str) -> Result<i64, Error> {
    number(text).ok_or_else(|| Resource::Category.not_found())
}
