//! How likely a model finds continuations of a text, by the log-probabilities of their tokens.

use candor_engine::{Constraint, Event, GenerateRequest, Generator, Prompt, Sampling, Stop};
use futures::StreamExt;
use futures::future::try_join_all;

/// For each of `continuations` the sum of the log-probabilities of its tokens after `context`, and how many they are. The
/// context is computed once.
///
/// # Errors
/// If the model fails or gives no log-probabilities.
pub async fn of(model: &dyn Generator, context: &str, continuations: &[String]) -> anyhow::Result<Vec<(f64, usize)>> {
    let before = model.tokenize(context, false, true).await?.ids.len();
    anyhow::ensure!(before > 0, "a likelihood needs a context");
    // Its pages are there when the continuations begin, whichever of them begins first.
    tail(model, context.to_owned(), before - 1).await?;
    let each = continuations.iter().map(|continuation| async move {
        let tokens = tail(model, format!("{context}{continuation}"), before).await?;
        anyhow::Ok((tokens.iter().sum(), tokens.len()))
    });
    try_join_all(each).await
}

/// The log-probabilities of a text's tokens from `from` on; the very first has none and counts 0.
async fn tail(model: &dyn Generator, text: String, from: usize) -> anyhow::Result<Vec<f64>> {
    let request = GenerateRequest {
        prompt: Prompt::Text(text),
        sampling: Sampling::default(),
        stop: Stop {
            max_tokens: Some(0),
            ..Stop::default()
        },
        constraint: Constraint::None,
        logprobs: Some(0),
        prompt_logprobs: Some(from),
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
