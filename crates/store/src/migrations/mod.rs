//! Changes of the schema, oldest first. A change that was released is never edited; a new one is added below it. Each
//! is one transaction (`use_transaction`).

mod m2026_11_23_first;
mod m2026_11_25_sources;
mod m2026_11_26_uploads;
mod m2026_11_27_grounded;
mod m2026_11_27_receipts;
mod m2026_11_28_phrase;
mod m2026_11_28_web;

use sea_orm_migration::prelude::*;

/// All changes that this program knows.
pub(crate) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m2026_11_23_first::Migration),
            Box::new(m2026_11_25_sources::Migration),
            Box::new(m2026_11_26_uploads::Migration),
            Box::new(m2026_11_27_receipts::Migration),
            Box::new(m2026_11_27_grounded::Migration),
            Box::new(m2026_11_28_web::Migration),
            Box::new(m2026_11_28_phrase::Migration),
        ]
    }
}
