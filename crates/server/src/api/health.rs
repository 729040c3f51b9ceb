//! `/health`: the process answers. `/ready`: it takes requests. Neither needs a key, neither tells anything else.

use axum::Json;
use axum::extract::State;
use candor_wire::error::ErrorResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{ApiError, App};

/// A healthy server's answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`.
    status: &'static str,
}

/// The process answers.
#[utoipa::path(get, path = "/health", tag = "server", responses((status = 200, body = Health), (status = 403, body = ErrorResponse)))]
pub(crate) async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// It takes requests; 503 while shutting down or without a model.
#[utoipa::path(get, path = "/ready", tag = "server", responses((status = 200, body = Health), (status = 403, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn ready(State(app): State<App>) -> Result<Json<Health>, ApiError> {
    if app.is_draining() {
        return Err(ApiError::Draining);
    }
    if app.models.names().is_empty() {
        let message = "no model is configured; start with `candor serve --model NAME`".into();
        return Err(candor_engine::EngineError::Unavailable { message }.into());
    }
    Ok(Json(Health { status: "ok" }))
}
