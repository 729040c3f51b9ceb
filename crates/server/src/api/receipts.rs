//! `GET /v1/receipts/{id}`: what an answer was made of, to be checked by anyone (`candor verify FILE --alone`); `DELETE`
//! empties it, and its link of the chain stays.

use axum::Json;
use axum::extract::{Path, State};
use candor_store::{Receipt, Store, StoreError};
use candor_wire::candor::{CandorReceipt, ReceiptDeleted};

use candor_engine::EngineError;

use crate::{ApiError, App};

/// A receipt.
#[utoipa::path(get, path = "/v1/receipts/{id}", tag = "truth", params(("id" = String, Path, description = "The receipt")), responses((status = 200, description = "The receipt", body = CandorReceipt), super::openapi::Errors))]
pub(super) async fn one(State(app): State<App>, Path(id): Path<String>) -> Result<Json<CandorReceipt>, ApiError> {
    Ok(Json(shown(store(&app)?.receipt(&id).await.map_err(failed)?)))
}

/// Deletes what a receipt is of.
#[utoipa::path(delete, path = "/v1/receipts/{id}", tag = "truth", params(("id" = String, Path, description = "The receipt")), responses((status = 200, description = "It is emptied", body = ReceiptDeleted), super::openapi::Errors))]
pub(super) async fn delete(State(app): State<App>, Path(id): Path<String>) -> Result<Json<ReceiptDeleted>, ApiError> {
    store(&app)?.empty_receipt(&id).await.map_err(failed)?;
    Ok(Json(ReceiptDeleted {
        id,
        object: "receipt.deleted".into(),
        deleted: true,
    }))
}

fn store(app: &App) -> Result<&Store, ApiError> {
    app.extension::<Store>().ok_or_else(|| {
        let message = "this server keeps no receipts, because it was started without a store; see its log".into();
        EngineError::Unavailable { message }.into()
    })
}

fn shown(receipt: Receipt) -> CandorReceipt {
    CandorReceipt {
        id: receipt.id,
        created_ms: receipt.created_ms,
        previous: receipt.previous,
        body_sha256: receipt.body_sha256,
        digest: receipt.digest,
        signature: receipt.signature,
        public_key: receipt.public_key,
        body: receipt.body,
    }
}

fn failed(error: StoreError) -> ApiError {
    match error {
        StoreError::Missing { .. } => ApiError::NotFound(error.to_string()),
        other => EngineError::Internal {
            message: other.to_string(),
        }
        .into(),
    }
}
