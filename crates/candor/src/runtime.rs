//! The asynchronous runtime of commands that wait for a network or an engine.

use anyhow::Context as _;

/// Starts a runtime with two workers: the engine has threads of its own, and these only carry bytes.
pub(crate) fn start() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the threads this program needs; is there a limit on processes?")
}
