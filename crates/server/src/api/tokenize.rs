//! `POST /tokenize`, `POST /detokenize` and `GET /tokenizer_info`, in vLLM's shape, with llama.cpp's `parse_special`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use candor_engine::Generator;
use candor_wire::tokenize::{DetokenizeRequest, DetokenizeResponse, TokenizeRequest, TokenizeResponse, TokenizerInfo};
use serde::Deserialize;
use utoipa::IntoParams;

use super::checked;
use crate::body::Body;
use crate::{ApiError, App};

/// Token ids of a text or a conversation.
#[utoipa::path(post, path = "/tokenize", tag = "tokens", request_body = TokenizeRequest, responses((status = 200, body = TokenizeResponse), super::openapi::Errors))]
pub(super) async fn tokenize(
    State(app): State<App>,
    Body(request): Body<TokenizeRequest>,
) -> Result<Json<TokenizeResponse>, ApiError> {
    let model = find(&app, request.model.as_deref()).await?;
    let _permit = app.admit()?;
    let (text, bos) = match (request.prompt, request.messages) {
        (Some(prompt), None) => (prompt, true),
        (None, Some(messages)) => {
            checked::messages(&messages)?;
            let tools = request.tools.unwrap_or_default();
            checked::tools(&tools, None)?;
            (
                model
                    .render(&messages, &tools, request.add_generation_prompt.unwrap_or(true))
                    .await?,
                false,
            )
        }
        _ => return Err(ApiError::param("prompt", "send either `prompt` or `messages`")),
    };
    let special = request.parse_special.unwrap_or(true);
    let tokenized = model
        .tokenize(&text, special, request.add_special_tokens.unwrap_or(bos))
        .await?;
    let text_of = |piece: &Vec<u8>| String::from_utf8_lossy(piece).into_owned();
    let wanted = request.return_token_strs.unwrap_or(false);
    Ok(Json(TokenizeResponse {
        count: tokenized.ids.len(),
        max_model_len: model.card().context,
        token_strs: wanted.then(|| tokenized.pieces.iter().map(text_of).collect()),
        tokens: tokenized.ids,
    }))
}

/// Text of token ids.
#[utoipa::path(post, path = "/detokenize", tag = "tokens", request_body = DetokenizeRequest, responses((status = 200, body = DetokenizeResponse), super::openapi::Errors))]
pub(super) async fn detokenize(
    State(app): State<App>,
    Body(request): Body<DetokenizeRequest>,
) -> Result<Json<DetokenizeResponse>, ApiError> {
    let model = find(&app, request.model.as_deref()).await?;
    let _permit = app.admit()?;
    let bytes = model.detokenize(&request.tokens).await?;
    Ok(Json(DetokenizeResponse {
        prompt: String::from_utf8_lossy(&bytes).into_owned(),
    }))
}

/// Which model's tokenizer.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// May be left out where there is one model.
    model: Option<String>,
}

/// The special tokens and the chat template, for clients that use `/tokenize` as their tokenizer.
#[utoipa::path(get, path = "/tokenizer_info", tag = "tokens", params(Which), responses((status = 200, body = TokenizerInfo), super::openapi::Errors))]
pub(super) async fn info(State(app): State<App>, Query(which): Query<Which>) -> Result<Json<TokenizerInfo>, ApiError> {
    let model = find(&app, which.model.as_deref()).await?;
    let info = model.tokenizer_info().unwrap_or_default();
    Ok(Json(TokenizerInfo {
        tokenizer_class: "CandorTokenizer".into(),
        bos_token: info.bos,
        eos_token: info.eos,
        pad_token: None,
        chat_template: info.chat_template,
        model_max_length: model.card().context,
    }))
}

/// The model asked for, or the only one.
async fn find(app: &App, name: Option<&str>) -> Result<Arc<dyn Generator>, ApiError> {
    let model = match name {
        Some(name) => app.models.get(name).await?,
        None => match app.models.names().as_slice() {
            [only] => app.models.get(only).await?,
            names => {
                let message = format!(
                    "there is more than one model; name one in `model`: {}",
                    names.join(", ")
                );
                return Err(ApiError::param("model", message));
            }
        },
    };
    if !model.abilities().tokens {
        return Err(ApiError::param(
            "model",
            "this model's server does not tokenize; use a local model",
        ));
    }
    Ok(model)
}
