//! Table `source`: a file or an address, and how far its import is.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "source")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    #[sea_orm(column_type = "Text")]
    pub name: String,
    pub kind: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub origin: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub url: Option<String>,
    pub bytes_sha256: String,
    pub text_sha256: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub title: Option<String>,
    pub date: Option<String>,
    pub language: Option<String>,
    pub size: i64,
    pub modified_ms: Option<i64>,
    pub state: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub error: Option<String>,
    pub notes: Json,
    pub created_ms: i64,
    pub updated_ms: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
