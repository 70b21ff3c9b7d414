//! The end of a key that leaked.

// replaced on merge by KeyRing::revoke
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::Tx;
use super::entity::api_key;
use super::failure::failed;
use crate::error::Error;

impl Tx {
    /// Revokes a key of the workspace, unless it was revoked before.
    pub async fn revoke_leaked_key(&self, key_id: &str) -> Result<(), Error> {
        use api_key::Column;
        let update = api_key::Entity::update_many()
            .col_expr(Column::RevokedAt, Expr::value(self.now.0))
            .filter(Column::WorkspaceId.eq(self.workspace.0))
            .filter(Column::KeyId.eq(key_id))
            .filter(Column::RevokedAt.is_null());
        update.exec(&self.transaction).await.map_err(failed)?;
        Ok(())
    }
}
