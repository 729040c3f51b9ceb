//! The asynchronous runtime of commands that wait for a network or an engine, and the signals that end them.

use anyhow::Context as _;

/// Starts a runtime with two workers: the engine has threads of its own, and these only carry bytes.
pub(crate) fn start() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the threads this program needs; is there a limit on processes?")
}

/// Waits for Ctrl-C, or for the system to ask this program to end.
#[cfg(unix)]
pub(crate) async fn told_to_stop() {
    let Ok(mut term) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        result = tokio::signal::ctrl_c() => if result.is_err() { std::future::pending().await },
        _ = term.recv() => {}
    }
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
pub(crate) async fn told_to_stop() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
