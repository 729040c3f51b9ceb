//! What can go wrong with the store, as sentences for the person who must act.

use sea_orm::DbErr;
use sea_orm::RuntimeErr;

/// Errors of the store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// A newer Candor wrote this store.
    #[error(
        "{path} was written by a newer Candor (it has the change `{found}`, which this program does not know); it was left untouched: update Candor, or give this one another data directory"
    )]
    Newer {
        /// The file.
        path: String,
        /// The first unknown migration.
        found: String,
    },
    /// Not a SQLite file, or a damaged one.
    #[error(
        "{path} is damaged or not a Candor store; it was left as it is: move it away to start afresh, or restore it from a backup"
    )]
    Corrupt {
        /// The file.
        path: String,
    },
    /// The file cannot be written.
    #[error(
        "{path} cannot be written: it or its folder is read-only; change its permissions or choose another data directory"
    )]
    ReadOnly {
        /// The file.
        path: String,
    },
    /// The file cannot be opened.
    #[error("{path} cannot be opened; check that its folder exists and that you may read and write there")]
    CannotOpen {
        /// The file.
        path: String,
    },
    /// No room left.
    #[error("the disk that holds {path} is full, so this was not saved; free some space and try again")]
    Full {
        /// The file.
        path: String,
    },
    /// Another program holds the store.
    #[error("{path} is locked by another program, so this was not saved; close the other program and try again")]
    Busy {
        /// The file.
        path: String,
    },
    /// There is no such thing.
    #[error("there is no {what} `{id}`; it may have been deleted")]
    Missing {
        /// Conversation, message, ...
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// The caller's data cannot be stored.
    #[error("{0}")]
    Invalid(String),
    /// Anything else.
    #[error("{path} could not be read or written: {message}")]
    Other {
        /// The file.
        path: String,
        /// What the database says.
        message: String,
    },
}

impl StoreError {
    /// Turns the database's error into a sentence about `path`.
    pub(crate) fn from_db(error: &DbErr, path: &str) -> Self {
        let path = path.to_owned();
        // SQLite's primary result codes (sqlite.org/rescode.html); extended codes keep them in the low byte.
        match sqlite_code(error).map(|code| code & 0xff) {
            Some(5 | 6) => Self::Busy { path },
            Some(8) => Self::ReadOnly { path },
            Some(11 | 26) => Self::Corrupt { path },
            Some(13) => Self::Full { path },
            Some(14) => Self::CannotOpen { path },
            _ => Self::Other {
                path,
                message: error.to_string(),
            },
        }
    }
}

fn sqlite_code(error: &DbErr) -> Option<i64> {
    let runtime = match error {
        DbErr::Conn(runtime) | DbErr::Exec(runtime) | DbErr::Query(runtime) => runtime,
        _ => return None,
    };
    let RuntimeErr::SqlxError(inner) = runtime else {
        return None;
    };
    inner.as_database_error()?.code()?.parse().ok()
}
