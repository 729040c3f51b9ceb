//! Table `receipt_cites`: what a receipt's answer cites, so that a change of it finds the receipt: texts by their hashes,
//! sources by their ids.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "receipt_cites")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub receipt: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub what: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
