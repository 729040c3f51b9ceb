//! Table `receipt`: links of a chain, each with what it is of until that is forgotten.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "receipt")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub number: i64,
    pub id: String,
    pub created_ms: i64,
    pub previous: String,
    pub body_sha256: String,
    pub digest: String,
    pub signature: String,
    pub public_key: String,
    pub body: Option<String>,
    pub standing: Option<Json>,
    pub checked_ms: Option<i64>,
    pub stale: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
