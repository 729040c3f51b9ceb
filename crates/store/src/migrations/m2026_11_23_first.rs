//! The first schema: conversations, messages, feedback, settings, stored responses.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, boolean, double_null, json, json_null, string, string_null, text, text_null,
};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m2026_11_23_first"
    }
}

fn table(name: &'static str) -> TableCreateStatement {
    Table::create().table(Alias::new(name)).to_owned()
}

fn belongs_to_conversation(from: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(format!("{from}_conversation"))
        .from(Alias::new(from), Alias::new("conversation"))
        .to(Alias::new("conversation"), Alias::new("id"))
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    // All or nothing: a program that is killed in the middle would otherwise leave tables that the next start trips over.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                table("conversation")
                    .col(string("id").primary_key())
                    .col(text("title"))
                    .col(string_null("model"))
                    .col(text("system_prompt"))
                    .col(json("sampling"))
                    .col(string_null("leaf"))
                    .col(boolean("archived"))
                    .col(big_integer("created_ms"))
                    .col(big_integer("updated_ms"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                table("message")
                    .col(string("id").primary_key())
                    .col(string("conversation"))
                    .col(string_null("parent"))
                    .col(string("role"))
                    .col(text("content"))
                    .col(string("state"))
                    .col(text_null("error"))
                    .col(string_null("model"))
                    .col(string_null("model_hash"))
                    .col(json_null("sampling"))
                    .col(json_null("usage"))
                    .col(double_null("tokens_per_second"))
                    .col(big_integer("turns_left_out"))
                    .col(big_integer("created_ms"))
                    .foreign_key(&mut belongs_to_conversation("message"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("message_by_conversation")
                    .table(Alias::new("message"))
                    .col(Alias::new("conversation"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("conversation_by_update")
                    .table(Alias::new("conversation"))
                    .col(Alias::new("updated_ms"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                table("feedback")
                    .col(string("message").primary_key())
                    .col(string("conversation"))
                    .col(boolean("up"))
                    .col(string("reason"))
                    .col(text("text"))
                    .col(json("prompt"))
                    .col(text("answer"))
                    .col(string_null("model"))
                    .col(string_null("model_hash"))
                    .col(json_null("sampling"))
                    .col(big_integer("created_ms"))
                    .foreign_key(&mut belongs_to_conversation("feedback"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                table("setting")
                    .col(string("key").primary_key())
                    .col(json("value"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                table("response")
                    .col(string("id").primary_key())
                    .col(json("value"))
                    .col(big_integer("created_ms"))
                    .to_owned(),
            )
            .await
    }
}
