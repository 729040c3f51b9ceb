//! What everybody else does, for comparison: the same language model with the question alone, and with the three best
//! passages pasted into the prompt and leave to say that it does not know.

use candor_engine::{Event, GenerateRequest, Generator, Prompt, Sampling, Stop};
use candor_truth::Found;
use candor_wire::chat::{Content, Message, ToolChoice};
use futures::StreamExt;

use crate::scores;

/// Passages in the prompt.
const PASSAGES: usize = 3;
/// Tokens of an answer.
const MOST_TOKENS: usize = 40;
/// What counts as "I don't know".
const UNKNOWN: [&str; 8] = [
    "don't know",
    "do not know",
    "not sure",
    "cannot answer",
    "can't answer",
    "no information",
    "not mentioned",
    "not provided",
];

/// What a model said to a question.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// Its words.
    pub text: String,
    /// Whether it declined to answer.
    pub declined: bool,
}

impl Said {
    /// A text, and whether it declines.
    pub fn new(text: String) -> Self {
        let lower = text.to_lowercase().replace('\u{2019}', "'");
        let declined = lower.trim().is_empty() || UNKNOWN.iter().any(|phrase| lower.contains(phrase));
        Self { text, declined }
    }

    /// Whether the answer holds one of the right ones.
    pub fn holds(&self, right: &[String]) -> bool {
        scores::holds(&self.text, right)
    }
}

/// A question with passages, or alone where there are none, as a request.
pub fn request(question: &str, passages: &[Found]) -> GenerateRequest {
    let prompt = match passages {
        [] => format!("{question}\nAnswer in at most fifteen words."),
        some => {
            let texts: Vec<&str> = some.iter().take(PASSAGES).map(|found| found.quote.text()).collect();
            format!(
                "{}\n\nAnswer the question from the text above in at most fifteen words. If the text does not say, answer \"I don't know\".\n\nQuestion: {question}",
                texts.join("\n\n")
            )
        }
    };
    let message = Message {
        role: "user".into(),
        content: Some(Content::Text(prompt)),
        ..Message::default()
    };
    GenerateRequest {
        prompt: Prompt::Chat {
            messages: vec![message],
            tools: Vec::new(),
            tool_choice: ToolChoice::None,
        },
        sampling: Sampling {
            temperature: 0.0,
            ..Sampling::default()
        },
        stop: Stop {
            max_tokens: Some(MOST_TOKENS),
            ..Stop::default()
        },
        constraint: candor_engine::Constraint::None,
        logprobs: None,
        prompt_logprobs: None,
        affinity: None,
    }
}

/// Asks with passages, or with the question alone where there are none.
///
/// # Errors
/// If the model fails.
pub async fn ask(model: &dyn Generator, question: &str, passages: &[Found]) -> anyhow::Result<Said> {
    let mut events = model.generate(request(question, passages)).await?;
    let mut text = String::new();
    while let Some(event) = events.next().await {
        if let Event::Text { text: more, .. } = event? {
            text.push_str(&more);
        }
    }
    Ok(Said::new(text))
}
