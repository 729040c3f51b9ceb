//! Fields that would change what the answer means and that Candor does not have. They are refused with a sentence;
//! any other unknown field is ignored, as the field's servers do.

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use crate::ApiError;

/// One refused field: its name, values that ask for nothing, and the sentence.
struct Refusal {
    name: &'static str,
    harmless: fn(&Value) -> bool,
    sentence: &'static str,
}

fn empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Bool(true) => false,
    }
}

fn not_false(value: &Value) -> bool {
    *value != Value::Bool(false)
}

fn only_text(value: &Value) -> bool {
    empty(value)
        || value
            .as_array()
            .is_some_and(|kinds| kinds.iter().all(|kind| kind == "text"))
}

const REFUSED: [Refusal; 25] = [
    Refusal {
        name: "audio",
        harmless: empty,
        sentence: "models here answer in text only; leave `audio` out",
    },
    Refusal {
        name: "modalities",
        harmless: only_text,
        sentence: "models here answer in text only; leave `modalities` out",
    },
    Refusal {
        name: "functions",
        harmless: empty,
        sentence: "`functions` was replaced by `tools`; send `tools`",
    },
    Refusal {
        name: "function_call",
        harmless: empty,
        sentence: "`function_call` was replaced by `tool_choice`; send `tool_choice`",
    },
    Refusal {
        name: "web_search_options",
        harmless: empty,
        sentence: "this server does not search the web",
    },
    Refusal {
        name: "best_of",
        harmless: empty,
        sentence: "`best_of` other than `n` is not supported; use `n` and choose",
    },
    Refusal {
        name: "suffix",
        harmless: empty,
        sentence: "text cannot be filled in before a `suffix`; put all of it in `prompt`",
    },
    Refusal {
        name: "use_beam_search",
        harmless: empty,
        sentence: "beam search is not supported; use `temperature` 0",
    },
    Refusal {
        name: "min_tokens",
        harmless: empty,
        sentence: "`min_tokens` is not supported; use `ignore_eos` with `max_tokens`",
    },
    Refusal {
        name: "bad_words",
        harmless: empty,
        sentence: "`bad_words` is not supported; use `logit_bias`",
    },
    Refusal {
        name: "allowed_token_ids",
        harmless: empty,
        sentence: "`allowed_token_ids` is not supported; use `structured_outputs`",
    },
    Refusal {
        name: "truncate_prompt_tokens",
        harmless: empty,
        sentence: "prompts are never cut; shorten the prompt and leave `truncate_prompt_tokens` out",
    },
    Refusal {
        name: "include_stop_str_in_output",
        harmless: empty,
        sentence: "stop strings are never part of the answer",
    },
    Refusal {
        name: "chat_template",
        harmless: empty,
        sentence: "only the model's own chat template is used",
    },
    Refusal {
        name: "chat_template_kwargs",
        harmless: empty,
        sentence: "the model's chat template takes no arguments here; leave `chat_template_kwargs` out",
    },
    Refusal {
        name: "documents",
        harmless: empty,
        sentence: "`documents` are not supported; put the text in a message",
    },
    Refusal {
        name: "continue_final_message",
        harmless: empty,
        sentence: "the last message cannot be continued; use /v1/completions with a rendered prompt",
    },
    Refusal {
        name: "add_generation_prompt",
        harmless: not_false,
        sentence: "an answer always opens an assistant turn; use /v1/completions with a rendered prompt",
    },
    Refusal {
        name: "prompt_embeds",
        harmless: empty,
        sentence: "`prompt_embeds` is not supported; send text or token ids",
    },
    // Other servers' names for what the output must look like: left out, they would leave it free.
    Refusal {
        name: "grammar",
        harmless: empty,
        sentence: "`grammar` is not read here; send `structured_outputs.grammar`, in Lark's syntax",
    },
    Refusal {
        name: "ebnf",
        harmless: empty,
        sentence: "`ebnf` is not read here; send `structured_outputs.grammar`, in Lark's syntax",
    },
    Refusal {
        name: "regex",
        harmless: empty,
        sentence: "`regex` is not read here; send `structured_outputs.regex`",
    },
    Refusal {
        name: "json_schema",
        harmless: empty,
        sentence: "`json_schema` is not read here; send `response_format`, or `structured_outputs.json`",
    },
    Refusal {
        name: "structural_tag",
        harmless: empty,
        sentence: "`structural_tag` is not supported; send `structured_outputs.grammar`, in Lark's syntax",
    },
    Refusal {
        name: "guided_whitespace_pattern",
        harmless: empty,
        sentence: "`guided_whitespace_pattern` is not supported; use `guided_grammar`",
    },
];

/// Refuses a body that holds any of these fields with a value that asks for something.
pub(super) fn check(bytes: &[u8]) -> Result<(), ApiError> {
    let found = serde_json::Deserializer::from_slice(bytes).deserialize_map(Fields);
    match found {
        Ok(Some(refusal)) => Err(ApiError::param(refusal.name, refusal.sentence)),
        // What does not parse was reported by whoever parsed the request itself.
        Ok(None) | Err(_) => Ok(()),
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Option<&'static Refusal>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut found, mut n, mut best_of) = (None, 1.0, None);
        while let Some(key) = map.next_key::<String>()? {
            let refusal = REFUSED.iter().find(|refusal| refusal.name == key);
            if refusal.is_none() && key != "n" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value: Value = map.next_value()?;
            match refusal {
                None => n = value.as_f64().unwrap_or(n),
                Some(refusal) if refusal.name == "best_of" && value.is_number() => best_of = Some((refusal, value)),
                Some(refusal) if (refusal.harmless)(&value) || value.is_null() => {}
                Some(refusal) => found = found.or(Some(refusal)),
            }
        }
        // The best `n` of `n` are all of them.
        let asks = best_of.filter(|(refusal, value)| value.as_f64() != Some(n) && !(refusal.harmless)(value));
        found = found.or(asks.map(|(refusal, _)| refusal));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_would_change_the_answer_are_refused_and_harmless_values_are_not() {
        assert!(check(br#"{"audio": {"voice": "x"}}"#).is_err());
        assert!(check(br#"{"modalities": ["text", "audio"]}"#).is_err());
        assert!(check(br#"{"add_generation_prompt": false}"#).is_err());
        assert!(check(br#"{"best_of": 3}"#).is_err());
        assert!(check(br#"{"best_of": 3, "n": 2}"#).is_err());
        assert!(check(br#"{"best_of": 1}"#).is_ok());
        assert!(check(br#"{"grammar": "root ::= \"a\""}"#).is_err());
        assert!(check(br#"{"json_schema": {"type": "object"}}"#).is_err());
        assert!(
            check(br#"{"best_of": 2, "n": 2, "modalities": ["text"], "functions": [], "suffix": "", "audio": null}"#)
                .is_ok()
        );
        assert!(check(br#"{"add_generation_prompt": true, "anything_else": [1, {"audio": 2}]}"#).is_ok());
    }
}
