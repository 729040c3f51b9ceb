//! `GET /v1/receipts/{id}`: what an answer was made of, to be checked by anyone (`candor verify FILE --alone`); `DELETE`
//! empties it, and its link of the chain stays.

use axum::Json;
use axum::extract::{Path, State};
use candor_store::{Receipt, Store, StoreError};
use candor_truth::TruthError;
use candor_truth::standing::{self, QuoteStanding, State as Stand};
use candor_wire::candor::{CandorPlace, CandorQuoteStanding, CandorReceipt, CandorStanding, ReceiptDeleted};

use candor_engine::EngineError;

use crate::{ApiError, App};

/// A receipt.
#[utoipa::path(get, path = "/v1/receipts/{id}", tag = "truth", params(("id" = String, Path, description = "The receipt")), responses((status = 200, description = "The receipt", body = CandorReceipt), super::openapi::Errors))]
pub(super) async fn one(State(app): State<App>, Path(id): Path<String>) -> Result<Json<CandorReceipt>, ApiError> {
    let receipt = store(&app)?.receipt(&id).await.map_err(failed)?;
    let standing = standing(store(&app)?, &id).await?;
    Ok(Json(shown(receipt, standing)))
}

/// How the sources of an answer stand now.
pub(crate) async fn standing(store: &Store, receipt: &str) -> Result<CandorStanding, ApiError> {
    let (found, checked_ms) = match standing::of(store, receipt).await {
        Err(TruthError::Store(error)) => return Err(failed(error)),
        found => found?,
    };
    let quote = |one: QuoteStanding| CandorQuoteStanding {
        sentence: one.sentence,
        citation: one.citation,
        file_id: one.file_id,
        filename: one.filename,
        start: one.start,
        end: one.end,
        state: word(one.state).to_owned(),
        why: one.why,
        now: one.now.map(|now| CandorPlace {
            file_id: now.file_id,
            start: now.start,
            end: now.end,
        }),
    };
    Ok(CandorStanding {
        receipt: receipt.to_owned(),
        state: found.state.map(|state| word(state).to_owned()),
        checked_ms,
        quotes: found.quotes.into_iter().map(quote).collect(),
    })
}

fn word(state: Stand) -> &'static str {
    match state {
        Stand::Same => "same",
        Stand::Changed => "changed",
        Stand::Gone => "gone",
        Stand::Broken => "broken",
    }
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

fn shown(receipt: Receipt, standing: CandorStanding) -> CandorReceipt {
    CandorReceipt {
        id: receipt.id,
        created_ms: receipt.created_ms,
        previous: receipt.previous,
        body_sha256: receipt.body_sha256,
        digest: receipt.digest,
        signature: receipt.signature,
        public_key: receipt.public_key,
        body: receipt.body,
        standing: Some(standing),
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
