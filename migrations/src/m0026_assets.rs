//! Assets, the tickets that name them, and the figures that are kept beside a row.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, small_integer, text, text_null};

use crate::m0021_words::create_words;
use crate::schema::{
    add_column, bytewise, clustered, in_workspace, same_workspace, workspace_index, workspace_key,
};

#[derive(DeriveMigrationName)]
pub struct Migration;

const INDEXES: [&[&str]; 6] = [
    &["created_at", "id", "facet"],
    &["updated_at", "id", "facet"],
    &["name_key", "id", "facet"],
    &["warranty_expires_at", "id", "facet"],
    &["facet", "created_at", "id"],
    &["facet", "updated_at", "id"],
];

/// The filters whose column is NULL in the rows that have no such value.
const FILTERS: [&str; 4] =
    ["assigned_user_id", "manufacturer_key", "location_key", "serial_number_key"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_assets(manager).await?;
        create_tags(manager).await?;
        create_words(manager, "asset_words", "assets").await?;
        create_ticket_assets(manager).await?;
        create_figures(manager).await
    }
}

async fn create_assets(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let assets = Table::create()
        .table("assets")
        .col(big_integer("workspace_id"))
        .col(big_integer("id"))
        .col(text("asset_tag"))
        .col(text("name"))
        .col(small_integer("asset_type"))
        .col(small_integer("status"))
        .col(text_null("serial_number"))
        .col(text_null("manufacturer"))
        .col(text_null("model"))
        .col(big_integer_null("assigned_user_id"))
        .col(text_null("location"))
        .col(big_integer_null("purchase_date"))
        .col(text_null("purchase_cost"))
        .col(text_null("currency"))
        .col(big_integer_null("warranty_expires_at"))
        .col(text_null("notes"))
        .col(text("tags"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .col(big_integer("version"))
        .col(small_integer("facet"))
        .col(bytewise(manager, &mut text("name_key")))
        .col(bytewise(manager, &mut text("asset_tag_key")))
        .col(bytewise(manager, &mut text_null("manufacturer_key")))
        .col(bytewise(manager, &mut text_null("location_key")))
        .col(bytewise(manager, &mut text_null("serial_number_key")))
        .col(bytewise(manager, &mut text_null("serial_key")))
        .primary_key(&mut workspace_key(&["id"]))
        .foreign_key(&mut in_workspace("assets"))
        .foreign_key(&mut same_workspace("assets", "assigned_user_id", "users"))
        .to_owned();
    manager.create_table(assets).await?;
    // With a condition, also where it always holds: PostgreSQL takes a column of a unique index without
    // one for part of a key, and whoever changes it would hold up those who only refer to the row.
    for unique in ["asset_tag_key", "serial_key"] {
        let index = workspace_index("assets", &[unique])
            .unique()
            .and_where(Expr::col(unique).is_not_null())
            .to_owned();
        manager.create_index(index).await?;
    }
    for columns in INDEXES {
        manager.create_index(workspace_index("assets", columns)).await?;
    }
    for column in FILTERS {
        let filter = workspace_index("assets", &[column, "created_at", "id"])
            .and_where(Expr::col(column).is_not_null())
            .to_owned();
        manager.create_index(filter).await?;
    }
    Ok(())
}

/// A tag repeats its asset's creation time, which never changes, so that the assets of a tag are
/// found in the default order.
async fn create_tags(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut asset_tags = Table::create()
        .table("asset_tags")
        .col(big_integer("workspace_id"))
        .col(big_integer("asset_id"))
        .col(bytewise(manager, &mut text("tag")))
        .col(big_integer("asset_created_at"))
        .primary_key(&mut workspace_key(&["asset_id", "tag"]))
        .foreign_key(&mut same_workspace("asset_tags", "asset_id", "assets"))
        .to_owned();
    clustered(manager, &mut asset_tags);
    manager.create_table(asset_tags).await?;
    let by_tag = workspace_index("asset_tags", &["tag", "asset_created_at", "asset_id"]);
    manager.create_index(by_tag).await
}

/// Creates the table of the assets that a ticket names.
async fn create_ticket_assets(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    add_column(manager, "tickets", text("asset_ids").default("[]")).await?;
    let mut ticket_assets = Table::create()
        .table("ticket_assets")
        .col(big_integer("workspace_id"))
        .col(big_integer("ticket_id"))
        .col(big_integer("asset_id"))
        .col(big_integer("ticket_created_at"))
        .primary_key(&mut workspace_key(&["ticket_id", "asset_id"]))
        .foreign_key(&mut same_workspace("ticket_assets", "ticket_id", "tickets"))
        .foreign_key(&mut same_workspace("ticket_assets", "asset_id", "assets"))
        .to_owned();
    clustered(manager, &mut ticket_assets);
    manager.create_table(ticket_assets).await?;
    let by_asset =
        workspace_index("ticket_assets", &["asset_id", "ticket_created_at", "ticket_id"]);
    manager.create_index(by_asset).await
}

async fn create_figures(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut figures = Table::create()
        .table("figures")
        .col(big_integer("workspace_id"))
        .col(small_integer("noun"))
        .col(big_integer("resource_id"))
        .col(small_integer("number"))
        .col(big_integer("row_count"))
        .primary_key(&mut workspace_key(&["noun", "resource_id", "number"]))
        .foreign_key(&mut in_workspace("figures"))
        .to_owned();
    clustered(manager, &mut figures);
    manager.create_table(figures).await
}
