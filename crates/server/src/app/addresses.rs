//! Sources as the page needs them beside files and vector stores: addresses on the web, and how the sources of an answer
//! stand. Addresses that come this way may lead to the public internet alone.

use axum::Json;
use axum::extract::{Path, State};
use candor_engine::EngineError;
use candor_store::Store;
use candor_truth::Address;
use candor_truth::ingest::Outcome;
use candor_truth::ingest::web::Web;
use candor_wire::candor::CandorStanding;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::receipts;
use crate::body::Body;
use crate::{ApiError, App, files};

/// `GET /api/receipts/{id}/standing`: how the sources of an answer stand now.
pub(super) async fn standing(State(app): State<App>, Path(id): Path<String>) -> Result<Json<CandorStanding>, ApiError> {
    Ok(Json(receipts::standing(store(&app)?, &id).await?))
}

/// What to add.
#[derive(Deserialize)]
pub(super) struct New {
    address: String,
}

/// `POST /api/addresses`: fetches a page, a document or a feed and makes a source of it.
pub(super) async fn add(State(app): State<App>, Body(new): Body<New>) -> Result<Json<Value>, ApiError> {
    let address = Address::parse(new.address.trim()).map_err(|error| ApiError::param("address", error.to_string()))?;
    let web = app.extension::<Web>().ok_or_else(|| {
        let message = "this server fetches nothing from the web, because it was started without a library".into();
        ApiError::from(EngineError::Unavailable { message })
    })?;
    let permit = app.admit()?;
    let taken = web.add(&address, false).await?;
    drop(permit);
    files::intake(&app)?.changed();
    if taken.outcome == Outcome::Failed {
        let reason = taken.reason.unwrap_or_default();
        return Err(ApiError::param("address", reason));
    }
    let ids: Vec<String> = taken.sources.into_iter().map(|source| source.id).collect();
    Ok(Json(
        json!({ "address": address.as_str(), "outcome": taken.outcome, "file_ids": ids }),
    ))
}

/// `GET /api/addresses`: what was added.
pub(super) async fn list(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let all = store(&app)?.addresses().await?;
    let shown = |one: candor_store::WebAddress| json!({ "address": one.address, "fetched_ms": one.fetched_ms });
    Ok(Json(json!({ "data": all.into_iter().map(shown).collect::<Vec<_>>() })))
}

fn store(app: &App) -> Result<&Store, ApiError> {
    app.extension::<Store>().ok_or_else(|| {
        let message = "this server keeps no sources, because it was started without a store; see its log".into();
        EngineError::Unavailable { message }.into()
    })
}
