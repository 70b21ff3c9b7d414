//! AssetService: the assets of a workspace.

mod life;
mod messages;

use rest::Merge;
use tonic::{Request, Response, Status};

use self::messages::shown;
use super::free::{self, Named};
use super::once::{Answer, once, once_on};
use super::pages;
use super::references::check_one;
use super::{accept, accept_update, changes, next_milli, no_more};
use crate::clock::Date;
use crate::error::Error;
use crate::pb;
use crate::resource::Resource;
use crate::store::assets::{Asset, OPEN_TICKETS, STATUS, TAGS, TYPE, UNASSIGNED, WORDS};
use crate::store::nouns::{Condition, Figures, Query};
use crate::store::{Store, Tx, User};

/// Answers for assets.
#[derive(Clone)]
pub struct Assets {
    /// The store.
    pub store: Store,
}

#[tonic::async_trait]
impl pb::asset_service_server::AssetService for Assets {
    async fn list_assets(
        &self,
        request: Request<pb::ListAssetsRequest>,
    ) -> Result<Response<pb::ListAssetsResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let list = query(&accepted.message);
        let listed = pages::list(&self.store, &accepted, &list, shown).await?;
        let (mut assets, meta) = (listed.messages, Some(listed.meta));
        let ids: Vec<_> = assets.iter().map(|asset| asset.id).collect();
        let figures = self.store.reader(accepted.caller.workspace()).figures::<Asset>(&ids).await?;
        assets.iter_mut().for_each(|asset| count(asset, &figures));
        Ok(Response::new(pb::ListAssetsResponse { assets, meta }))
    }

    async fn get_asset(
        &self,
        request: Request<pb::GetAssetRequest>,
    ) -> Result<Response<pb::GetAssetResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let reader = self.store.reader(accepted.caller.workspace());
        let mut asset = shown(reader.find_named(&accepted.message.id).await?);
        let figures = reader.figures::<Asset>(&[asset.id]).await?;
        count(&mut asset, &figures);
        Ok(Response::new(pb::GetAssetResponse { asset: Some(asset) }))
    }

    async fn create_asset(
        &self,
        request: Request<pb::CreateAssetRequest>,
    ) -> Result<Response<pb::CreateAssetResponse>, Status> {
        let accepted = accept(request, messages::check_new)?;
        let answered = once(&self.store, &accepted, async |tx| {
            let new = messages::new_asset(accepted.message.clone(), tx.now());
            check_one::<User>(tx, "assignedUserId", new.assigned_user_id).await?;
            let asset = shown(insert(tx, new).await?);
            tx.record(changes::created(Resource::Asset, &asset));
            Ok(pb::CreateAssetResponse { asset: Some(asset) })
        });
        Ok(answered.await?)
    }

    async fn update_asset(
        &self,
        request: Request<pb::UpdateAssetRequest>,
    ) -> Result<Response<pb::UpdateAssetResponse>, Status> {
        let (accepted, mask) =
            accept_update(request, |message: &pb::UpdateAssetRequest, violations| {
                messages::check_changed(message, violations);
            })?;
        let message = &accepted.message;
        let id = &message.id;
        let answered = once_on(&self.store, &accepted, id, async |tx, before: Asset| {
            let mut was = shown(before.clone());
            count(&mut was, &tx.figures::<Asset>(before.id).await?);
            let mut is = was.clone();
            message.merge(&mask, &mut is);
            let mut after = messages::updated(&before, is)?;
            life::step(&before, &mut after, &mask)?;
            let user = after.assigned_user_id.filter(|_| mask.has("assigned_user_id"));
            check_one::<User>(tx, "assignedUserId", user).await?;
            if after == before {
                return Ok(pb::UpdateAssetResponse { asset: Some(was) });
            }
            let after = tx.update(&before, after).await?;
            let is = pb::Asset { open_ticket_count: was.open_ticket_count, ..shown(after.clone()) };
            let topics = life::topics(&before, &after);
            tx.record_update(&after, changes::updated(Resource::Asset, &was, &is, topics));
            Ok(pb::UpdateAssetResponse { asset: Some(is) })
        });
        Ok(answered.await?)
    }

    async fn list_asset_history(
        &self,
        request: Request<pb::ListAssetHistoryRequest>,
    ) -> Result<Response<pb::ListAssetHistoryResponse>, Status> {
        let accepted = accept(request, no_more)?;
        let reader = self.store.reader(accepted.caller.workspace());
        let asset: Asset = reader.find_named(&accepted.message.id).await?;
        let listed = pages::history::<Asset, _>(&self.store, &accepted, asset.id).await?;
        let (history, meta) = (listed.messages, Some(listed.meta));
        Ok(Response::new(pb::ListAssetHistoryResponse { history, meta }))
    }
}

impl Answer for pb::CreateAssetResponse {}
impl Answer for pb::UpdateAssetResponse {}

/// Makes an asset, with a tag of its id where it has none.
async fn insert(tx: &mut Tx, new: Asset) -> Result<Asset, Error> {
    if !new.asset_tag.is_empty() {
        return tx.insert(new).await;
    }
    let id = tx.next_id::<Asset>().await?;
    free::insert(tx, Asset { id, ..new }, |number| match number {
        1 => format!("AST-{id}"),
        number => format!("AST-{id}-{number}"),
    })
    .await
}

impl Named for Asset {
    fn named(self, asset_tag: String) -> Self {
        Self { asset_tag, ..self }
    }
}

/// Shows what is counted beside an asset.
fn count(asset: &mut pb::Asset, figures: &Figures) {
    let open = figures.get(&(asset.id, OPEN_TICKETS.0));
    asset.open_ticket_count = open.copied().unwrap_or_default();
}

/// Translates the filters of a list of assets.
fn query(message: &pb::ListAssetsRequest) -> Query {
    let expires_before = message.warranty_expires_before.as_deref().and_then(Date::parse);
    let conditions = [
        Condition::dimension(&STATUS, message.status.iter().copied()),
        Condition::dimension(&TYPE, message.r#type.iter().copied()),
        Condition::dimension(&UNASSIGNED, message.unassigned.map(i32::from)),
        Condition::numbers("assigned_user_id", &message.assigned_user_id),
        Condition::folded("manufacturer_key", message.manufacturer.as_deref()),
        Condition::folded("location_key", message.location.as_deref()),
        Condition::folded("asset_tag_key", message.asset_tag.as_deref()),
        Condition::folded("serial_number_key", message.serial_number.as_deref()),
        Condition::texts(&TAGS, message.tag.iter().cloned().collect()),
        message.q.as_deref().map(|text| Condition::search(&WORDS, text)),
        Condition::before("warranty_expires_at", expires_before.map(Date::start)),
        Condition::since("created_at", message.created_after.map(next_milli)),
        Condition::before("created_at", message.created_before.map(next_milli)),
        Condition::since("updated_at", message.updated_since.map(next_milli)),
    ];
    pages::query::<Asset>(message.sort.as_deref(), message.updated_since, conditions)
}
