//! Sources from the web with what their hosts said; and receipts that know what they cite, and how these stand.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, boolean, json_null, string, text, text_null};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m2026_11_28_web"
    }
}

fn table(name: &'static str) -> TableCreateStatement {
    Table::create().table(Alias::new(name)).to_owned()
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
        add(manager, "source", text_null("url").to_owned()).await?;
        let columns = table("address")
            .col(text("address").primary_key())
            .col(boolean("local"))
            .col(text_null("etag"))
            .col(text_null("modified"))
            .col(big_integer_null("fetched_ms"))
            .col(text_null("collection"))
            .to_owned();
        manager.create_table(columns).await?;
        add(manager, "receipt", json_null("standing").to_owned()).await?;
        add(manager, "receipt", big_integer_null("checked_ms").to_owned()).await?;
        add(manager, "receipt", big_integer("stale").default(0).to_owned()).await?;
        let columns = table("receipt_cites")
            .col(string("receipt"))
            .col(string("what"))
            .primary_key(Index::create().col(Alias::new("receipt")).col(Alias::new("what")))
            .to_owned();
        manager.create_table(columns).await?;
        let index = Index::create()
            .name("receipt_cites_by_what")
            .table(Alias::new("receipt_cites"))
            .col(Alias::new("what"))
            .to_owned();
        manager.create_index(index).await?;
        // Receipts of before name their texts in their bodies.
        let fill = "INSERT OR IGNORE INTO receipt_cites \
             SELECT receipt.id, json_extract(place.value, '$.text_sha256') \
             FROM receipt, json_each(receipt.body, '$.sentences') AS line, json_each(line.value, '$.evidence') AS place \
             WHERE json_valid(receipt.body) AND json_extract(place.value, '$.text_sha256') IS NOT NULL";
        manager.get_connection().execute_unprepared(fill).await?;
        Ok(())
    }

    // Used by a test alone, which opens a store of before.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["receipt_cites", "address"] {
            let drop = Table::drop().table(Alias::new(name)).to_owned();
            manager.drop_table(drop).await?;
        }
        for (from, column) in [
            ("source", "url"),
            ("receipt", "standing"),
            ("receipt", "checked_ms"),
            ("receipt", "stale"),
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
