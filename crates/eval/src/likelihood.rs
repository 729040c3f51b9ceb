//! How likely a model finds a continuation, by the log-probabilities of its tokens.

use candor_engine::{Constraint, Event, GenerateRequest, Generator, Prompt, Sampling, Stop};
use futures::StreamExt;

/// The sum of the log-probabilities of `continuation` after `context`, and of how many tokens.
///
/// # Errors
/// If the model fails or gives no log-probabilities.
pub async fn of(model: &dyn Generator, context: &str, continuation: &str) -> anyhow::Result<(f64, usize)> {
    let (before, many) = futures::future::try_join(
        prompt(model, context.to_owned()),
        prompt(model, format!("{context}{continuation}")),
    )
    .await?;
    let tail = &many[before.len().min(many.len())..];
    Ok((tail.iter().sum(), tail.len()))
}

/// The log-probabilities of a text's tokens; the first has none and counts 0.
async fn prompt(model: &dyn Generator, text: String) -> anyhow::Result<Vec<f64>> {
    let request = GenerateRequest {
        prompt: Prompt::Text(text),
        sampling: Sampling::default(),
        stop: Stop {
            max_tokens: Some(0),
            ..Stop::default()
        },
        constraint: Constraint::None,
        logprobs: Some(0),
        prompt_logprobs: true,
        affinity: None,
    };
    let mut events = model.generate(request).await?;
    let mut all = Vec::new();
    while let Some(event) = events.next().await {
        if let Event::Prompt(tokens) = event? {
            all.extend(tokens.iter().map(|token| f64::from(token.logprob.unwrap_or(0.0))));
        }
    }
    anyhow::ensure!(
        !all.is_empty(),
        "the model says no log-probabilities of a prompt; use a model of this machine"
    );
    Ok(all)
}
