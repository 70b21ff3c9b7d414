//! CustomFieldService: the fields that a workspace adds to its tickets.

mod decimal;
mod definition;
mod schema;
pub mod values;

use std::collections::BTreeMap;

use rest::{Merge, Place, Violations};
use tonic::{Request, Response, Status};

use self::definition::shown;
use super::messages::structure;
use super::once::{Answer, once, once_on};
use super::pages;
use super::{accept, accept_update, changes, no_more};
use crate::error::Error;
use crate::pb;
use crate::resource::Resource;
use crate::store::{CustomField, Reader, Store};

/// Answers for custom fields.
#[derive(Clone)]
pub struct CustomFields {
    pub store: Store,
}

#[tonic::async_trait]
impl pb::custom_field_service_server::CustomFieldService for CustomFields {
    async fn list_custom_fields(
        &self,
        request: Request<pb::ListCustomFieldsRequest>,
    ) -> Result<Response<pb::ListCustomFieldsResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let message = &accepted.message;
        let sort = pages::sort::<CustomField>(message.sort.as_deref(), None);
        let list = CustomField::query(message.active, sort);
        let listed = pages::list(&self.store, &accepted, &list, shown).await?;
        let (custom_fields, meta) = (listed.messages, Some(listed.meta));
        Ok(Response::new(pb::ListCustomFieldsResponse { custom_fields, meta }))
    }

    async fn get_custom_field(
        &self,
        request: Request<pb::GetCustomFieldRequest>,
    ) -> Result<Response<pb::GetCustomFieldResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let reader = self.store.reader(accepted.caller.workspace());
        let custom_field = Some(shown(reader.find_named(&accepted.message.id).await?));
        Ok(Response::new(pb::GetCustomFieldResponse { custom_field }))
    }

    async fn get_custom_field_schema(
        &self,
        request: Request<pb::GetCustomFieldSchemaRequest>,
    ) -> Result<Response<pb::GetCustomFieldSchemaResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let reader = self.store.reader(accepted.caller.workspace());
        let fields = reader.active_custom_fields().await?;
        let schema = Some(structure(schema::of(&fields)));
        Ok(Response::new(pb::GetCustomFieldSchemaResponse { schema }))
    }

    async fn create_custom_field(
        &self,
        request: Request<pb::CreateCustomFieldRequest>,
    ) -> Result<Response<pb::CreateCustomFieldResponse>, Status> {
        let mut new = None;
        let accepted = accept(request, |message: &pb::CreateCustomFieldRequest, violations| {
            // Where the type is none, that is all that can be told.
            let is_known =
                pb::CustomFieldType::try_from(message.r#type).is_ok_and(|it| it as i32 > 0);
            new = is_known.then(|| definition::new(message.clone(), violations));
        })?;
        let new = new.ok_or_else(|| Error::internal("a type that is none was accepted"))?;
        let answered = once(&self.store, &accepted, async |tx| {
            let made = shown(tx.insert_custom_field(new).await?);
            changes::record_created(tx, Resource::CustomField, made.id, &made);
            Ok(pb::CreateCustomFieldResponse { custom_field: Some(made) })
        });
        Ok(answered.await?)
    }

    async fn update_custom_field(
        &self,
        request: Request<pb::UpdateCustomFieldRequest>,
    ) -> Result<Response<pb::UpdateCustomFieldResponse>, Status> {
        let (accepted, mask) = accept_update(request, no_more)?;
        let message = &accepted.message;
        let id = &message.id;
        let answered = once_on(&self.store, &accepted, id, async |tx, before: CustomField| {
            let mut wanted = shown(before.clone());
            message.merge(&mask, &mut wanted);
            let mut violations = Violations::default();
            let after = definition::updated(&before, wanted, &mut violations);
            if !violations.is_empty() {
                return Err(Error::invalid(violations));
            }
            let field = changes::update_audited(tx, before, after, shown).await?;
            Ok(pb::UpdateCustomFieldResponse { custom_field: Some(field) })
        });
        Ok(answered.await?)
    }
}

impl Answer for pb::CreateCustomFieldResponse {}
impl Answer for pb::UpdateCustomFieldResponse {}

/// The terms that tickets are asked for by the values of custom fields: one of each list.
pub async fn terms(
    reader: Reader<'_>,
    asked: &BTreeMap<String, String>,
) -> Result<Vec<Vec<String>>, Error> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<_> = asked.keys().cloned().collect();
    let fields = reader.custom_fields(&keys).await?;
    let mut violations = Violations::default();
    let mut terms = Vec::with_capacity(asked.len());
    for (key, text) in asked {
        let field = fields.iter().find(|field| field.key == *key);
        match field.ok_or_else(values::unknown).and_then(|field| values::asked(field, text)) {
            Ok(any) => terms.push(any.iter().flat_map(|value| value.terms(key)).collect()),
            Err(wrong) => violations.note(&Place::ROOT.field("cf").field(key), wrong),
        }
    }
    if violations.is_empty() { Ok(terms) } else { Err(Error::invalid(violations)) }
}
