//! Opening a store: one connection that writes and a few that read. Before anything is written, an existing file is
//! looked at read-only: a damaged one or one from a newer program is refused and stays as it is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::MigratorTrait;

use crate::StoreError;
use crate::migrations::Migrator;

/// How long a connection waits for another program's write.
const BUSY: Duration = Duration::from_secs(10);

/// The store. Cheap to clone; clones share its connections.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) write: DatabaseConnection,
    pub(crate) read: DatabaseConnection,
    path: String,
}

impl Store {
    /// Opens the store at `path`, makes it where there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// If the file is damaged, from a newer program, or cannot be written; each with what to do.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let file = path.as_ref().to_path_buf();
        let path = file.display().to_string();
        if file.exists() {
            refuse_what_is_not_ours(&file, &path).await?;
        } else if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|_| StoreError::CannotOpen { path: path.clone() })?;
        }
        let sentence = |error: DbErr| StoreError::from_db(&error, &path);
        let write = connect(&file, 1, |options| {
            // FULL: a commit returns when the disk has it, so what was acknowledged survives a power cut.
            options
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
        })
        .await
        .map_err(sentence)?;
        Migrator::up(&write, None).await.map_err(sentence)?;
        let read = connect(&file, 4, |options| options.read_only(true))
            .await
            .map_err(sentence)?;
        Ok(Self { write, read, path })
    }

    /// Where the store is.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Lets SQLite check the whole file; for `candor doctor`.
    ///
    /// # Errors
    /// If the file is damaged.
    pub async fn check(&self) -> Result<(), StoreError> {
        let statement = Statement::from_string(self.read.get_database_backend(), "PRAGMA quick_check(1)");
        let row = self.db(self.read.query_one_raw(statement).await)?;
        match row.and_then(|row| row.try_get_by_index::<String>(0).ok()) {
            Some(verdict) if verdict == "ok" => Ok(()),
            _ => Err(StoreError::Corrupt {
                path: self.path.clone(),
            }),
        }
    }

    /// Closes the connections; the write-ahead log is folded into the file.
    ///
    /// # Errors
    /// If the last pages cannot be written.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.db(self.read.close_by_ref().await)?;
        self.db(self.write.close_by_ref().await)
    }

    /// Lets the file grow to this many pages and no further: what a full disk looks like, for tests.
    #[doc(hidden)]
    pub async fn limit_pages_for_test(&self, pages: u32) {
        // An error would show in the test that asked.
        let _ = self
            .write
            .execute_unprepared(&format!("PRAGMA max_page_count = {pages}"))
            .await;
    }

    /// Takes changes of the schema back, from the newest to the one of this name: what a store of a version before it looks
    /// like, for tests.
    #[doc(hidden)]
    pub async fn undo_changes_for_test(&self, to: &str) {
        let all = Migrator::migrations();
        let from = all.iter().position(|one| one.name() == to).unwrap_or(all.len());
        // An error would show in the test that asked.
        let _ = Migrator::down(&self.write, u32::try_from(all.len() - from).ok()).await;
    }

    /// A transaction that holds the write lock from its first statement: one that reads first and writes then would fail
    /// where another program wrote in between.
    pub(crate) async fn begin(&self) -> Result<DatabaseTransaction, StoreError> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        self.db(self.write.begin_with_options(options).await)
    }

    /// Gives a database result this store's sentence.
    pub(crate) fn db<T>(&self, result: Result<T, DbErr>) -> Result<T, StoreError> {
        result.map_err(|error| StoreError::from_db(&error, &self.path))
    }
}

async fn connect(
    file: &Path,
    connections: u32,
    options: impl Fn(SqliteConnectOptions) -> SqliteConnectOptions + Send + Sync + 'static,
) -> Result<DatabaseConnection, DbErr> {
    let file: PathBuf = file.to_owned();
    let mut connect = ConnectOptions::new("sqlite::memory:");
    connect
        .max_connections(connections)
        .min_connections(1)
        .sqlx_logging(false)
        .acquire_timeout(Duration::from_secs(30));
    // The file's name goes in as a path, not through a URL: any character may be in it.
    connect.map_sqlx_sqlite_opts(move |_| {
        options(
            SqliteConnectOptions::new()
                .filename(&file)
                .foreign_keys(true)
                .busy_timeout(BUSY),
        )
    });
    Database::connect(connect).await
}

/// Refuses a file that is damaged, another program's, or a newer Candor's.
async fn refuse_what_is_not_ours(file: &Path, path: &str) -> Result<(), StoreError> {
    let metadata = std::fs::metadata(file).map_err(|_| StoreError::CannotOpen { path: path.to_owned() })?;
    if metadata.is_dir() {
        return Err(StoreError::CannotOpen { path: path.to_owned() });
    }
    if metadata.len() == 0 {
        return Ok(());
    }
    let sentence = |error: DbErr| StoreError::from_db(&error, path);
    let (tables, applied) = match look(file, true).await.map_err(sentence) {
        // A program that was killed before the file had its write-ahead log leaves a rollback journal, which only a
        // connection that may write can play back.
        Err(StoreError::ReadOnly { .. }) => look(file, false).await.map_err(sentence)?,
        looked => looked?,
    };
    // Another program's database: adding our tables to it would harm both. A program that died before its first
    // migration left no tables at all.
    if applied.is_none() && !tables.is_empty() {
        return Err(StoreError::Corrupt { path: path.to_owned() });
    }
    let known: Vec<String> = Migrator::migrations()
        .iter()
        .map(|migration| migration.name().to_owned())
        .collect();
    let unknown = applied
        .unwrap_or_default()
        .into_iter()
        .find(|name| !known.contains(name));
    match unknown {
        Some(found) => Err(StoreError::Newer {
            path: path.to_owned(),
            found,
        }),
        None => Ok(()),
    }
}

/// The names of the file's tables, and of the migrations it had, `None` where it has no list of them. Changes nothing.
async fn look(file: &Path, read_only: bool) -> Result<(Vec<String>, Option<Vec<String>>), DbErr> {
    let connection = connect(file, 1, move |options| options.read_only(read_only)).await?;
    let names = async |query: &str| -> Result<Vec<String>, DbErr> {
        let statement = Statement::from_string(connection.get_database_backend(), query);
        let rows = connection.query_all_raw(statement).await?;
        Ok(rows.iter().filter_map(|row| row.try_get_by_index(0).ok()).collect())
    };
    let tables = names("SELECT name FROM sqlite_master WHERE type = 'table'").await?;
    let applied = if tables.iter().any(|name| name == "seaql_migrations") {
        Some(names("SELECT version FROM seaql_migrations ORDER BY version").await?)
    } else {
        None
    };
    connection.close().await?;
    Ok((tables, applied))
}
