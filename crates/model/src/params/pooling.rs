//! How an encoder makes one vector of many: sentence-transformers' files say which way, and what else happens to it.

use std::path::Path;

use serde_json::Value;

use super::Fault;
use crate::hf::Folder;

/// How an encoder makes one vector of many. All are scaled to length 1 at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pooling {
    /// The mean over all tokens (also where it is divided by a root of their number: the length is 1 in any case).
    Mean,
    /// The first token.
    First,
    /// The last token.
    Last,
    /// The largest value of each element.
    Max,
}

impl Pooling {
    /// What the folder's files of sentence-transformers ask for; the mean where there are none.
    pub(crate) fn of(folder: &Folder) -> Result<Self, Fault> {
        let modules = folder.json("modules.json");
        let mut place = "1_Pooling".to_owned();
        for module in modules.iter().filter_map(Value::as_array).flatten() {
            let text = |key: &str| module.get(key).and_then(Value::as_str).unwrap_or_default();
            match text("type").rsplit('.').next().unwrap_or_default() {
                "Transformer" | "Normalize" => {}
                // Only a plain name: none leads out of the folder.
                "Pooling" if !text("path").contains(['/', '\\']) && !text("path").contains("..") => {
                    text("path").clone_into(&mut place);
                }
                other => {
                    let other: String = other.chars().take(40).collect();
                    return Err(format!(
                        "passes its embeddings through a module of the kind `{other}`, which is not supported; get another model"
                    ));
                }
            }
        }
        let file = Path::new(&place).join("config.json");
        folder
            .json(&file.to_string_lossy())
            .map_or(Ok(Self::Mean), |config| Self::read(&config))
    }

    fn read(config: &Value) -> Result<Self, Fault> {
        let mut modes: Vec<&str> = match config.get("pooling_mode") {
            Some(Value::String(mode)) => vec![mode],
            Some(Value::Array(modes)) => modes.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let flags = config.as_object().into_iter().flatten();
        modes.extend(
            flags.filter_map(|(key, on)| key.strip_prefix("pooling_mode_").filter(|_| *on == Value::Bool(true))),
        );
        match modes[..] {
            [] | ["mean" | "mean_tokens" | "mean_sqrt_len_tokens"] => Ok(Self::Mean),
            ["cls" | "cls_token"] => Ok(Self::First),
            ["lasttoken"] => Ok(Self::Last),
            ["max" | "max_tokens"] => Ok(Self::Max),
            _ => Err(format!(
                "asks for pooling of the kind `{}`; mean, cls, max and lasttoken are supported, get another model",
                modes.join("` and `").chars().take(80).collect::<String>()
            )),
        }
    }
}
