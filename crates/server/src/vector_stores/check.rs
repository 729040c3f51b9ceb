//! What the requests of this folder have in common: attributes, ways of cutting, expiry.

use candor_wire::vector_stores::ChunkingStrategy;
use serde_json::{Map, Value};

use crate::ApiError;

/// Files of a request.
pub(super) const MOST_FILES: usize = 2000;

/// At most 16 pairs, keys up to 64 characters; values are strings up to 512 characters, numbers or booleans.
pub(super) fn attributes(given: Map<String, Value>) -> Result<Value, ApiError> {
    let short = |text: &str, most| text.chars().count() <= most;
    let fits = |(key, value): (&String, &Value)| {
        short(key, 64)
            && match value {
                Value::String(text) => short(text, 512),
                Value::Number(_) | Value::Bool(_) => true,
                _ => false,
            }
    };
    if given.len() > 16 || !given.iter().all(fits) {
        let message = "`attributes` takes at most 16 pairs, keys up to 64 characters; values are strings of up to 512 characters, numbers or booleans";
        return Err(ApiError::param("attributes", message));
    }
    Ok(Value::Object(given))
}

/// Passages are whole sentences; how long they are cannot be set.
pub(super) fn chunking(given: Option<&ChunkingStrategy>) -> Result<(), ApiError> {
    match given {
        Some(strategy) if strategy.kind != "auto" => {
            let message = "passages are whole sentences of 120 to 200 words together, and their length cannot be set; leave `chunking_strategy` out, or send {\"type\": \"auto\"}";
            Err(ApiError::param("chunking_strategy", message))
        }
        _ => Ok(()),
    }
}

/// Nothing expires here, so nothing is promised to.
pub(super) fn expiry(given: Option<&Value>) -> Result<(), ApiError> {
    match given {
        Some(Value::Null) | None => Ok(()),
        Some(_) => {
            let message = "vector stores stay until they are deleted; leave `expires_after` out";
            Err(ApiError::param("expires_after", message))
        }
    }
}

/// The number of files of a request.
pub(super) fn count(param: &str, files: usize) -> Result<(), ApiError> {
    if files > MOST_FILES {
        let message = format!("`{param}` names {files} files; send at most {MOST_FILES} at a time");
        return Err(ApiError::param(param, message));
    }
    Ok(())
}
