//! The page's server with a model that only pretends: it streams a fixed text at a chosen rate. For work on the page
//! without a model: `cargo run --release -p candor-server --example page -- PORT FOLDER [TOKENS_PER_SECOND]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::sync::Arc;
use std::time::Duration;

use candor_engine::{
    Abilities, EmbedInput, Embeddings, EngineError, Event, EventStream, FinishReason, GenerateRequest, Generator,
    ModelCard, Prompt, Tokenized, Usage,
};
use candor_server::{App, Models, ServerConfig};
use candor_wire::chat::{Message, Tool};
use futures::StreamExt;

const TEXT: &str = "## A short tour\n\nThis answer holds **Markdown**, a table, code and a formula.\n\n\
| planet | moons |\n| --- | ---: |\n| Mars | 2 |\n| Jupiter | 95 |\n\n\
```rust\nfn main() {\n    println!(\"Hello from {}\", \"Candor\"); // a comment\n}\n```\n\n\
Einstein wrote $E = mc^2$, and Gauss\n\n$$\\int_{-\\infty}^{\\infty} e^{-x^2}\\,dx = \\sqrt{\\pi}$$\n\n\
1. First, one thing.\n2. Then, another.\n\n> A quiet remark at the end.\n";

struct Fake {
    name: &'static str,
    rate: u64,
}

#[async_trait::async_trait]
impl Generator for Fake {
    fn abilities(&self) -> Abilities {
        Abilities {
            generate: true,
            chat: true,
            tokens: true,
            ..Abilities::default()
        }
    }
    fn card(&self) -> ModelCard {
        ModelCard {
            id: self.name.into(),
            context: Some(2048),
            fingerprint: "fake".into(),
            sha256: Some("0".repeat(64)),
            owned_by: "candor".into(),
            ..ModelCard::default()
        }
    }
    async fn generate(&self, request: GenerateRequest) -> Result<EventStream, EngineError> {
        let Prompt::Chat { messages, .. } = request.prompt else {
            return Err(EngineError::Internal {
                message: "only conversations".into(),
            });
        };
        let question = messages
            .last()
            .and_then(|last| last.content.as_ref())
            .map_or_else(String::new, |c| c.text());
        if question.contains("fail") {
            return Err(EngineError::Internal {
                message: "the pretended model was asked to fail; ask something else".into(),
            });
        }
        let repeat = if question.contains("long") { 40 } else { 1 };
        let text = if question.contains("short") {
            "A short answer.".to_owned()
        } else {
            TEXT.repeat(repeat)
        };
        let chars: Vec<char> = text.chars().collect();
        let pieces: Vec<String> = chars.chunks(4).map(|piece| piece.iter().collect()).collect();
        let count = pieces.len();
        let gap = Duration::from_micros(1_000_000 / self.rate);
        let most = request.stop.max_tokens.unwrap_or(usize::MAX);
        let text = futures::stream::iter(pieces.into_iter().take(most)).then(move |text| async move {
            tokio::time::sleep(gap).await;
            Ok(Event::Text {
                text,
                tokens: Vec::new(),
            })
        });
        let usage = Usage {
            prompt_tokens: 10,
            cached_tokens: 0,
            completion_tokens: count.min(most),
        };
        let reason = if most < count {
            FinishReason::Length
        } else {
            FinishReason::Stop
        };
        Ok(text
            .chain(futures::stream::iter([Ok(Event::Finish { reason, usage })]))
            .boxed())
    }
    async fn embed(&self, _: Vec<EmbedInput>) -> Result<Embeddings, EngineError> {
        Err(EngineError::Internal {
            message: "no embeddings".into(),
        })
    }
    async fn tokenize(&self, text: &str, _: bool, _: bool) -> Result<Tokenized, EngineError> {
        let pieces: Vec<Vec<u8>> = text.as_bytes().chunks(4).map(<[u8]>::to_vec).collect();
        Ok(Tokenized {
            ids: vec![0; pieces.len()],
            pieces,
        })
    }
    async fn detokenize(&self, _: &[u32]) -> Result<Vec<u8>, EngineError> {
        Ok(Vec::new())
    }
    async fn render(&self, messages: &[Message], _: &[Tool], _: bool) -> Result<String, EngineError> {
        Ok(messages
            .iter()
            .filter_map(|one| Some(one.content.as_ref()?.text()))
            .collect::<Vec<_>>()
            .join("\n"))
    }
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().expect("a port").parse().expect("a number");
    let folder = std::path::PathBuf::from(arguments.next().expect("a folder"));
    let rate = arguments.next().map_or(200, |rate| rate.parse().expect("a number"));
    let models = Arc::new(Models::new());
    models.insert(
        "pretender",
        Arc::new(Fake {
            name: "pretender",
            rate,
        }),
    );
    models.insert(
        "slow-pretender",
        Arc::new(Fake {
            name: "slow-pretender",
            rate: 20,
        }),
    );
    let base_path = std::env::var("BASE_PATH").unwrap_or_default();
    let config = ServerConfig {
        port,
        base_path,
        ..ServerConfig::default()
    };
    let listener = candor_server::bind(&config).await.unwrap();
    let store = candor_store::Store::open(folder.join("candor.db")).await.unwrap();
    let app = App::new(models, config).with(store);
    println!("http://127.0.0.1:{port}");
    candor_server::serve(app, listener, async { tokio::signal::ctrl_c().await.unwrap() })
        .await
        .unwrap();
}
