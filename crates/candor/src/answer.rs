//! One answer of a model: asks for it, hands its text on as it comes, and counts.

use std::time::{Duration, Instant};

use candor_engine::{Event, FinishReason, GenerateRequest, Generator, Usage};
use futures::StreamExt;

/// What became of a request.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The whole text.
    pub(crate) text: String,
    /// Why it ended; `None` where someone stopped it.
    pub(crate) reason: Option<FinishReason>,
    /// Tokens, where the answer ended by itself.
    pub(crate) usage: Option<Usage>,
    /// Until the first text.
    pub(crate) first: Duration,
    /// In all.
    pub(crate) total: Duration,
}

impl Answer {
    /// How fast, in words.
    pub(crate) fn pace(&self) -> String {
        let Some(usage) = self.usage else {
            return format!("stopped after {:.1} s", self.total.as_secs_f64());
        };
        let seconds = (self.total - self.first).as_secs_f64();
        let rate = if usage.completion_tokens > 1 && seconds > 0.0 {
            format!(", {:.1} tokens/s", (usage.completion_tokens - 1) as f64 / seconds)
        } else {
            String::new()
        };
        let limit = if self.reason == Some(FinishReason::Length) {
            "; cut off at the limit of tokens"
        } else {
            ""
        };
        format!(
            "{} tokens{rate}, first after {:.2} s{limit}",
            usage.completion_tokens,
            self.first.as_secs_f64()
        )
    }
}

/// Runs a request; `take` gets each piece of text. When `stop` completes, the request is cancelled and what there is
/// is the answer.
pub(crate) async fn stream(
    generator: &dyn Generator,
    request: GenerateRequest,
    mut take: impl FnMut(&str) -> std::io::Result<()>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Answer> {
    let start = Instant::now();
    let mut answer = Answer {
        text: String::new(),
        reason: None,
        usage: None,
        first: Duration::ZERO,
        total: Duration::ZERO,
    };
    tokio::pin!(stop);
    let mut events = tokio::select! {
        events = generator.generate(request) => events?,
        () = &mut stop => { answer.total = start.elapsed(); return Ok(answer) }
    };
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = &mut stop => break,
        };
        match event {
            Some(Ok(Event::Text { text, .. })) => {
                if answer.text.is_empty() && !text.is_empty() {
                    answer.first = start.elapsed();
                }
                take(&text)?;
                answer.text += &text;
            }
            Some(Ok(Event::Finish { reason, usage })) => {
                answer.reason = Some(reason);
                answer.usage = Some(usage);
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.into()),
            None => break,
        }
    }
    answer.total = start.elapsed();
    Ok(answer)
}
