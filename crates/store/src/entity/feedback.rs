//! Table `feedback`: a verdict with copies of what it judges.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "feedback")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub message: String,
    pub conversation: String,
    pub up: bool,
    pub reason: String,
    #[sea_orm(column_type = "Text")]
    pub text: String,
    pub prompt: Json,
    #[sea_orm(column_type = "Text")]
    pub answer: String,
    pub model: Option<String>,
    pub model_hash: Option<String>,
    pub sampling: Option<Json>,
    pub created_ms: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
