//! Receipts of answers: a chain of digests. What an answer said can be forgotten; that there was one cannot.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_pk_auto, string, string_uniq, text_null};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m2026_11_27_receipts"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(Alias::new("receipt"))
            .col(big_pk_auto("number"))
            .col(string_uniq("id"))
            .col(big_integer("created_ms"))
            .col(string("previous"))
            .col(string("body_sha256"))
            .col(string("digest"))
            .col(string("signature"))
            .col(string("public_key"))
            .col(text_null("body"))
            .to_owned();
        manager.create_table(table).await
    }

    // Used by a test alone, which opens a store of before.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let drop = Table::drop().table(Alias::new("receipt")).to_owned();
        manager.drop_table(drop).await
    }
}
