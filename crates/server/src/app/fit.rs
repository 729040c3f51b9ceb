//! Which turns go to the model. When a conversation is longer than the context, its oldest turns are left out, and the
//! answer says how many: never a silent cut. The last question always goes; if it alone is too long, that is an error.

use candor_engine::{EngineError, Generator};
use candor_wire::chat::{Content, Message};

use crate::ApiError;

/// The messages to send, and how many turns were left out before them.
#[derive(Debug)]
pub(super) struct Fitted {
    pub(super) messages: Vec<Message>,
    pub(super) turns_left_out: usize,
}

/// Room kept for the answer where nobody asked for a length.
const USUAL_ANSWER: usize = 512;

pub(super) fn message(role: &str, text: &str) -> Message {
    Message {
        role: role.into(),
        content: Some(Content::Text(text.into())),
        ..Message::default()
    }
}

/// Leaves out as few of the oldest turns as it takes. `turns` start with a user message and end with one.
pub(super) async fn fit(
    model: &dyn Generator,
    system: &str,
    turns: Vec<Message>,
    max_tokens: Option<usize>,
) -> Result<Fitted, ApiError> {
    let abilities = model.abilities();
    let context = model.card().context.filter(|_| abilities.tokens && abilities.chat);
    let starts: Vec<usize> = (0..turns.len()).filter(|&at| turns[at].role == "user").collect();
    let with_system = |from: usize| {
        let system = (!system.is_empty()).then(|| message("system", system));
        system
            .into_iter()
            .chain(turns[from..].iter().cloned())
            .collect::<Vec<_>>()
    };
    let Some(context) = context else {
        return Ok(Fitted {
            messages: with_system(0),
            turns_left_out: 0,
        });
    };
    // A question that cannot fit needs no exact count: a token is never longer than a few dozen bytes of text, and the
    // tokenizer need not read megabytes to find that out.
    let last = turns
        .last()
        .and_then(|turn| turn.content.as_ref())
        .map_or(0, |content| content.text().len());
    if last > context.saturating_mul(256) {
        return Err(EngineError::FarTooLong { bytes: last, context }.into());
    }
    let reserve = max_tokens.unwrap_or(USUAL_ANSWER).min(context / 4).max(1);
    // Counting everything costs time in long conversations, so what cannot fit by its bytes alone is left out first.
    let mut least = 0;
    let mut bytes = 0;
    for (group, &start) in starts.iter().enumerate().rev() {
        let end = starts.get(group + 1).copied().unwrap_or(turns.len());
        bytes += turns[start..end]
            .iter()
            .map(|turn| turn.content.as_ref().map_or(0, |c| c.text().len()))
            .sum::<usize>();
        if bytes > context.saturating_mul(64) && group + 1 < starts.len() {
            least = group + 1;
            break;
        }
    }
    let mut most = starts.len().saturating_sub(1);
    let count = async |group: usize| -> Result<usize, ApiError> {
        let text = model
            .render(&with_system(starts.get(group).copied().unwrap_or(0)), &[], true)
            .await?;
        Ok(model.tokenize(&text, true, false).await?.ids.len())
    };
    if count(least).await? + reserve <= context {
        most = least;
    }
    while least < most {
        let middle = least.midpoint(most);
        if count(middle).await? + reserve <= context {
            most = middle;
        } else {
            least = middle + 1;
        }
    }
    if least + 1 >= starts.len() {
        let tokens = count(least).await?;
        if tokens >= context {
            return Err(EngineError::TooLong { tokens, context }.into());
        }
    }
    let from = starts.get(least).copied().unwrap_or(0);
    Ok(Fitted {
        messages: with_system(from),
        turns_left_out: least,
    })
}
