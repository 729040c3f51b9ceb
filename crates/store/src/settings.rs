//! Settings of the page: a JSON value per key.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, EntityTrait};

use crate::entity::setting;
use crate::{Store, StoreError};

const MAX_VALUE: usize = 64 * 1024;
const MAX_KEY: usize = 100;

impl Store {
    /// All settings.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn settings(&self) -> Result<serde_json::Map<String, serde_json::Value>, StoreError> {
        let rows = self.db(setting::Entity::find().all(&self.read).await)?;
        Ok(rows.into_iter().map(|row| (row.key, row.value)).collect())
    }

    /// Sets one setting; `null` removes it.
    ///
    /// # Errors
    /// If the key or value is too large, or the store cannot be written.
    pub async fn set_setting(&self, key: &str, value: serde_json::Value) -> Result<(), StoreError> {
        check(key, &value)?;
        if value.is_null() {
            self.db(setting::Entity::delete_by_id(key.to_owned()).exec(&self.write).await)?;
            return Ok(());
        }
        let row = setting::ActiveModel {
            key: Set(key.to_owned()),
            value: Set(value),
        };
        self.db(setting::Entity::insert(row)
            .on_conflict(replace())
            .exec_without_returning(&self.write)
            .await)?;
        Ok(())
    }

    /// Makes a setting's next value of its present one, in one step: of two programs that change it, both count.
    ///
    /// # Errors
    /// If the value is too large, or the store cannot be written.
    pub async fn change_setting(
        &self,
        key: &str,
        change: impl FnOnce(Option<serde_json::Value>) -> serde_json::Value + Send,
    ) -> Result<(), StoreError> {
        let write = self.begin().await?;
        let row = self.db(setting::Entity::find_by_id(key.to_owned()).one(&write).await)?;
        let value = change(row.map(|row| row.value));
        check(key, &value)?;
        let row = setting::ActiveModel {
            key: Set(key.to_owned()),
            value: Set(value),
        };
        let insert = setting::Entity::insert(row).on_conflict(replace());
        self.db(insert.exec_without_returning(&write).await)?;
        self.db(write.commit().await)
    }
}

fn check(key: &str, value: &serde_json::Value) -> Result<(), StoreError> {
    if key.is_empty() || key.len() > MAX_KEY || value.to_string().len() > MAX_VALUE {
        return Err(StoreError::Invalid(format!(
            "a setting's key takes 1 to {MAX_KEY} bytes and its value at most {MAX_VALUE}"
        )));
    }
    Ok(())
}

fn replace() -> OnConflict {
    OnConflict::column(setting::Column::Key)
        .update_column(setting::Column::Value)
        .to_owned()
}
