//! Whether a conversation's answers from sources are in a model's own words.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::boolean;

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m2026_11_28_phrase"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let alter = Table::alter()
            .table(Alias::new("conversation"))
            .add_column(boolean("phrase").default(false))
            .to_owned();
        manager.alter_table(alter).await
    }

    // Used by a test alone, which opens a store of before.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let alter = Table::alter()
            .table(Alias::new("conversation"))
            .drop_column(Alias::new("phrase"))
            .to_owned();
        manager.alter_table(alter).await
    }
}
