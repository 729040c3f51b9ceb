//! Serves the tests' fake model, to try outside clients without weights:
//! `cargo run --release -p candor-server --example fake -- 18100`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub
)]

use std::sync::Arc;

use candor_server::{App, Models, ServerConfig, bind, serve};

#[path = "../tests/it/fake.rs"]
mod fake;

#[tokio::main]
async fn main() {
    let port = std::env::args()
        .nth(1)
        .and_then(|port| port.parse().ok())
        .unwrap_or(18100);
    let config = ServerConfig {
        port,
        ..ServerConfig::default()
    };
    let models = Models::new();
    models.insert("fake", Arc::new(fake::Fake::default()));
    let listener = bind(&config).await.unwrap();
    let app = App::new(Arc::new(models), config);
    serve(app, listener, async { tokio::signal::ctrl_c().await.unwrap() })
        .await
        .unwrap();
}
