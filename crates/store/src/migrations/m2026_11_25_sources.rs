//! Sources: files and addresses whose text answers may quote, the text itself under its hash, and collections of sources.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, big_pk_auto, blob, integer, json, string, string_null, string_uniq, text, text_null,
};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m2026_11_25_sources"
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

fn index(table: &'static str, column: &'static str) -> IndexCreateStatement {
    Index::create()
        .name(format!("{table}_by_{column}"))
        .table(Alias::new(table))
        .col(Alias::new(column))
        .to_owned()
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Numbers of texts are never used twice (AUTOINCREMENT), so an index may remember how far it has read.
        manager
            .create_table(
                table("source_text")
                    .col(big_pk_auto("id"))
                    .col(string_uniq("sha256"))
                    .col(big_integer("size"))
                    .col(json("layout"))
                    .to_owned(),
            )
            .await?;
        // In pieces: SQLite reads a row's value whole, and a quote from a long book needs one piece of it.
        manager
            .create_table(
                table("text_piece")
                    .col(big_integer("source_text"))
                    .col(integer("number"))
                    .col(blob("bytes"))
                    .primary_key(Index::create().col(Alias::new("source_text")).col(Alias::new("number")))
                    .foreign_key(&mut belongs("text_piece", "source_text", "source_text"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                table("source")
                    .col(string("id").primary_key())
                    .col(text("name"))
                    .col(string("kind"))
                    .col(
                        ColumnDef::new(Alias::new("origin"))
                            .text()
                            .null()
                            .unique_key()
                            .to_owned(),
                    )
                    .col(string("bytes_sha256"))
                    .col(string_null("text_sha256"))
                    .col(text_null("title"))
                    .col(string_null("date"))
                    .col(string_null("language"))
                    .col(big_integer("size"))
                    .col(big_integer_null("modified_ms"))
                    .col(string("state"))
                    .col(text_null("error"))
                    .col(json("notes"))
                    .col(big_integer("created_ms"))
                    .col(big_integer("updated_ms"))
                    .to_owned(),
            )
            .await?;
        manager.create_index(index("source", "text_sha256")).await?;
        manager.create_index(index("source", "bytes_sha256")).await?;
        manager
            .create_table(
                table("collection")
                    .col(string("id").primary_key())
                    .col(text("name"))
                    .col(json("metadata"))
                    .col(big_integer("created_ms"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                table("collection_source")
                    .col(string("collection"))
                    .col(string("source"))
                    .col(big_integer("added_ms"))
                    .primary_key(Index::create().col(Alias::new("collection")).col(Alias::new("source")))
                    .foreign_key(&mut belongs("collection_source", "collection", "collection"))
                    .foreign_key(&mut belongs("collection_source", "source", "source"))
                    .to_owned(),
            )
            .await?;
        manager.create_index(index("collection_source", "source")).await
    }
}
