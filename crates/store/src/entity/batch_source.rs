//! Table `batch_source`: which source came with which batch.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "batch_source")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub batch: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub source: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
