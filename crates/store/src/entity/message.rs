//! Table `message`: a tree per conversation.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "message")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub conversation: String,
    pub parent: Option<String>,
    pub role: String,
    #[sea_orm(column_type = "Text")]
    pub content: String,
    pub state: String,
    pub error: Option<String>,
    pub model: Option<String>,
    pub model_hash: Option<String>,
    pub sampling: Option<Json>,
    pub usage: Option<Json>,
    pub candor: Option<Json>,
    pub tokens_per_second: Option<f64>,
    pub turns_left_out: i64,
    pub created_ms: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
