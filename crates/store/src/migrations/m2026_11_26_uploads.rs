//! Uploads: sources that came through the API, with what they are for; batches of them; attributes of a source in a
//! collection, and whether its joining was cancelled.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, boolean, json_null, string, text_null};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m2026_11_26_uploads"
    }
}

fn table(name: &'static str) -> TableCreateStatement {
    Table::create().table(Alias::new(name)).to_owned()
}

fn belongs(from: &'static str, column: &'static str, to: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(format!("{from}_{to}"))
        .from(Alias::new(from), Alias::new(column))
        .to(Alias::new(to), Alias::new("id"))
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}

/// SQLite adds one column at a time.
async fn add(manager: &SchemaManager<'_>, to: &'static str, column: ColumnDef) -> Result<(), DbErr> {
    let alter = Table::alter().table(Alias::new(to)).add_column(column).to_owned();
    manager.alter_table(alter).await
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                table("upload")
                    .col(string("source").primary_key())
                    .col(string("purpose"))
                    .foreign_key(&mut belongs("upload", "source", "source"))
                    .to_owned(),
            )
            .await?;
        add(manager, "collection", text_null("description").to_owned()).await?;
        add(manager, "collection", big_integer_null("active_ms").to_owned()).await?;
        add(manager, "collection_source", json_null("attributes").to_owned()).await?;
        add(
            manager,
            "collection_source",
            boolean("cancelled").default(false).to_owned(),
        )
        .await?;
        manager
            .create_table(
                table("batch")
                    .col(string("id").primary_key())
                    .col(string("collection"))
                    .col(boolean("cancelled"))
                    .col(big_integer("created_ms"))
                    .foreign_key(&mut belongs("batch", "collection", "collection"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                table("batch_source")
                    .col(string("batch"))
                    .col(string("source"))
                    .primary_key(Index::create().col(Alias::new("batch")).col(Alias::new("source")))
                    .foreign_key(&mut belongs("batch_source", "batch", "batch"))
                    .foreign_key(&mut belongs("batch_source", "source", "source"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("batch_source_by_source")
                    .table(Alias::new("batch_source"))
                    .col(Alias::new("source"))
                    .to_owned(),
            )
            .await
    }

    // Used by a test alone, which opens a store of before.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["batch_source", "batch", "upload"] {
            manager
                .drop_table(Table::drop().table(Alias::new(name)).to_owned())
                .await?;
        }
        for (from, column) in [
            ("collection", "description"),
            ("collection", "active_ms"),
            ("collection_source", "attributes"),
            ("collection_source", "cancelled"),
        ] {
            let alter = Table::alter()
                .table(Alias::new(from))
                .drop_column(Alias::new(column))
                .to_owned();
            manager.alter_table(alter).await?;
        }
        Ok(())
    }
}
