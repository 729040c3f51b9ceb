//! `/metrics`: what the server and the engine count, in Prometheus' text format.

use std::sync::OnceLock;

use axum::extract::State;
use axum::response::IntoResponse;
use candor_wire::error::ErrorResponse;
use http::header;
use metrics::{Unit, describe_counter, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::App;

/// Seconds: from a fast token to a long answer.
const SECONDS: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

/// The process-wide recorder. `None` where another recorder was installed first.
#[derive(Clone)]
pub(crate) struct Exporter(Option<PrometheusHandle>);

impl Exporter {
    /// The one recorder of this process, installed at the first call.
    pub(crate) fn shared() -> Self {
        static SHARED: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
        let handle = SHARED.get_or_init(|| {
            let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS);
            let handle = builder.ok()?.install_recorder().ok()?;
            candor_engine::metric::describe();
            describe_counter!(
                "candor_http_requests_total",
                "HTTP requests by route, method and status"
            );
            describe_histogram!(
                "candor_http_head_seconds",
                Unit::Seconds,
                "Time from a request's head to its answer's head"
            );
            Some(handle)
        });
        Self(handle.clone())
    }
}

/// Counters, gauges and histograms in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "server", responses((status = 200, body = String, content_type = "text/plain"), (status = 401, body = ErrorResponse), (status = 403, body = ErrorResponse)))]
pub(crate) async fn metrics(State(app): State<App>) -> impl IntoResponse {
    let text = app.exporter.0.as_ref().map_or_else(String::new, |handle| {
        handle.run_upkeep();
        handle.render()
    });
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
}
