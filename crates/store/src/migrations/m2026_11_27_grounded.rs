//! What an answer was made of, beside the answer; which sources a conversation is answered from.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::json_null;

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m2026_11_27_grounded"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in [("message", "candor"), ("conversation", "sources")] {
            let alter = Table::alter()
                .table(Alias::new(table))
                .add_column(json_null(column))
                .to_owned();
            manager.alter_table(alter).await?;
        }
        Ok(())
    }

    // Used by a test alone, which opens a store of before.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in [("message", "candor"), ("conversation", "sources")] {
            let alter = Table::alter()
                .table(Alias::new(table))
                .drop_column(Alias::new(column))
                .to_owned();
            manager.alter_table(alter).await?;
        }
        Ok(())
    }
}
