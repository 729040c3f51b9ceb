//! Table `receipt_text`: which texts a receipt's answer cites, so that a change of one finds the other.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "receipt_text")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub receipt: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub text_sha256: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
