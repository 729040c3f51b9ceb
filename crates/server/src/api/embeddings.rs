//! `POST /v1/embeddings`: one vector per input, in order.

use axum::Json;
use axum::extract::State;
use base64::Engine;
use candor_engine::EmbedInput;
use candor_wire::embeddings::{
    Embedding, EmbeddingInput, EmbeddingRequest, EmbeddingResponse, EmbeddingUsage, EncodingFormat, Vector,
};

use crate::body::Body;
use crate::{ApiError, App};

/// As many as OpenAI takes.
const MOST_INPUTS: usize = 2048;

/// One vector per input.
#[utoipa::path(post, path = "/v1/embeddings", tag = "embeddings", request_body = EmbeddingRequest, responses((status = 200, body = EmbeddingResponse), super::openapi::Errors))]
pub(super) async fn embeddings(
    State(app): State<App>,
    Body(request): Body<EmbeddingRequest>,
) -> Result<Json<EmbeddingResponse>, ApiError> {
    let model = app.models.get(&request.model).await?;
    if !model.abilities().embed {
        let message = format!(
            "`{}` makes text and no embeddings; use an encoder such as all-minilm-l6-v2",
            request.model
        );
        return Err(ApiError::param("model", message));
    }
    if let (Some(asked), Some(width)) = (request.dimensions, model.card().embedding_dim)
        && asked as usize != width
    {
        let message = format!("this model's vectors have {width} numbers and are not cut; leave `dimensions` out");
        return Err(ApiError::param("dimensions", message));
    }
    let inputs = checked(request.input)?;
    let _permit = app.admit()?;
    let embedded = model.embed(inputs).await?;
    let format = request.encoding_format.unwrap_or_default();
    let entry = |(index, vector): (usize, Vec<f32>)| Embedding {
        object: "embedding".into(),
        index,
        embedding: match format {
            EncodingFormat::Float => Vector::Float(vector),
            EncodingFormat::Base64 => Vector::Base64(base64_of(&vector)),
        },
    };
    let tokens = embedded.prompt_tokens;
    Ok(Json(EmbeddingResponse {
        object: "list".into(),
        data: embedded.vectors.into_iter().enumerate().map(entry).collect(),
        model: request.model,
        usage: EmbeddingUsage {
            prompt_tokens: tokens,
            total_tokens: tokens,
        },
    }))
}

fn base64_of(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn checked(input: EmbeddingInput) -> Result<Vec<EmbedInput>, ApiError> {
    let inputs: Vec<EmbedInput> = match input {
        EmbeddingInput::Text(text) => vec![EmbedInput::Text(text)],
        EmbeddingInput::Texts(texts) => texts.into_iter().map(EmbedInput::Text).collect(),
        EmbeddingInput::Tokens(ids) => vec![EmbedInput::Tokens(ids)],
        EmbeddingInput::TokenArrays(arrays) => arrays.into_iter().map(EmbedInput::Tokens).collect(),
    };
    if inputs.is_empty() || inputs.len() > MOST_INPUTS {
        let message = format!(
            "`input` holds {} inputs; send between 1 and {MOST_INPUTS}",
            inputs.len()
        );
        return Err(ApiError::param("input", message));
    }
    let empty = |input: &EmbedInput| match input {
        EmbedInput::Text(text) => text.is_empty(),
        EmbedInput::Tokens(ids) => ids.is_empty(),
    };
    if let Some(at) = inputs.iter().position(empty) {
        return Err(ApiError::param(
            "input",
            format!("input {at} is empty; there is nothing to embed"),
        ));
    }
    Ok(inputs)
}
