//! CategoryService: a workspace's own categories of tickets.

use rest::Merge;
use tonic::{Request, Response, Status};

use super::once::{Answer, once, once_on};
use super::pages;
use super::{accept, accept_update, changes, no_more};
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
        let reader = self.store.reader(accepted.caller.workspace());
        let category = Some(shown(reader.find_named(&accepted.message.id).await?));
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
            changes::record_created(tx, Resource::Category, made.id, &made);
            Ok(pb::CreateCategoryResponse { category: Some(made) })
        });
        Ok(answered.await?)
    }

    async fn update_category(
        &self,
        request: Request<pb::UpdateCategoryRequest>,
    ) -> Result<Response<pb::UpdateCategoryResponse>, Status> {
        let (accepted, mask) = accept_update(request, no_more)?;
        let message = &accepted.message;
        let id = &message.id;
        let answered = once_on(&self.store, &accepted, id, async |tx, before: CategoryConfig| {
            let mut wanted = shown(before.clone());
            message.merge(&mask, &mut wanted);
            let after = CategoryConfig {
                name: wanted.name,
                base_category: category(wanted.base_category),
                default_priority: wanted.default_priority.map(priority),
                is_active: wanted.active,
                ..before.clone()
            };
            let category = changes::update_audited(tx, before, after, shown).await?;
            Ok(pb::UpdateCategoryResponse { category: Some(category) })
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
