//! The store from outside: what it keeps, what it refuses, and that nothing acknowledged is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

mod bad_files;
mod conversations;
mod killed;
mod sources;
mod uploads;

use candor_store::Store;

/// A store in a folder of its own, which goes when the guard is dropped.
async fn fresh() -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().join("candor.db")).await.unwrap();
    (store, folder)
}
