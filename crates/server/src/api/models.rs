//! `/v1/models`: which models there are and what each can do.

use axum::Json;
use axum::extract::{Path, State};
use candor_engine::{Abilities, ModelCard};
use candor_wire::error::ErrorResponse;
use candor_wire::models::{Capabilities, Model, ModelList};

use crate::{ApiError, App};

/// The models on offer.
#[utoipa::path(get, path = "/v1/models", tag = "models", responses((status = 200, body = ModelList), (status = 401, body = ErrorResponse), (status = 403, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(super) async fn list(State(app): State<App>) -> Result<Json<ModelList>, ApiError> {
    let mut data = Vec::new();
    for card in app.models.list() {
        // Listing loads nothing: what a model can do is known once it is in memory.
        let loaded = app.models.is_loaded(&card.id);
        let can = if loaded {
            app.models.get(&card.id).await.ok().map(|model| model.abilities())
        } else {
            None
        };
        data.push(describe(card, can));
    }
    Ok(Json(ModelList {
        object: "list".into(),
        data,
    }))
}

/// One model.
#[utoipa::path(get, path = "/v1/models/{id}", tag = "models", params(("id" = String, Path, description = "The model's name")),
    responses((status = 200, body = Model), (status = 400, body = ErrorResponse), (status = 401, body = ErrorResponse), (status = 403, body = ErrorResponse), (status = 404, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(super) async fn one(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Model>, ApiError> {
    let model = app.models.get(&id).await?;
    Ok(Json(describe(
        ModelCard { id, ..model.card() },
        Some(model.abilities()),
    )))
}

fn describe(card: ModelCard, can: Option<Abilities>) -> Model {
    Model {
        id: card.id,
        object: "model".into(),
        created: card.created,
        owned_by: card.owned_by,
        max_model_len: card.context,
        capabilities: can.map(|can| Capabilities {
            completion: can.generate,
            chat: can.chat,
            embeddings: can.embed,
            logprobs: can.logprobs,
            structured_outputs: can.constraints,
        }),
        sha256: card.sha256,
    }
}
