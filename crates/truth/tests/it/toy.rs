//! A generator that only makes vectors: each of a few words is a direction, so that nearness can be foretold.

use candor_engine::{
    Abilities, EmbedInput, Embeddings, EngineError, EventStream, GenerateRequest, Generator, ModelCard, Tokenized,
};
use candor_wire::chat::{Message, Tool};

/// Words of one line mean the same.
const MEANINGS: &[&[&str]] = &[
    &["cat", "kitten", "feline"],
    &["car", "automobile", "vehicle"],
    &["moon", "lunar"],
    &["bread", "loaf"],
];

pub(crate) struct Toy {
    pub(crate) name: &'static str,
}

#[async_trait::async_trait]
impl Generator for Toy {
    fn abilities(&self) -> Abilities {
        Abilities {
            embed: true,
            ..Abilities::default()
        }
    }

    fn card(&self) -> ModelCard {
        ModelCard {
            id: self.name.into(),
            ..ModelCard::default()
        }
    }

    async fn embed(&self, inputs: Vec<EmbedInput>) -> Result<Embeddings, EngineError> {
        let vectors = inputs
            .iter()
            .map(|input| {
                let EmbedInput::Text(text) = input else { panic!("text") };
                let text = text.to_lowercase();
                let mut vector: Vec<f32> = MEANINGS
                    .iter()
                    .map(|words| words.iter().map(|word| text.matches(word).count() as f32).sum())
                    .collect();
                vector.push(0.1);
                let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
                vector.iter().map(|v| v / length).collect()
            })
            .collect();
        Ok(Embeddings {
            vectors,
            prompt_tokens: 0,
        })
    }

    async fn generate(&self, _: GenerateRequest) -> Result<EventStream, EngineError> {
        panic!("makes vectors only")
    }

    async fn tokenize(&self, _: &str, _: bool, _: bool) -> Result<Tokenized, EngineError> {
        panic!("makes vectors only")
    }

    async fn detokenize(&self, _: &[u32]) -> Result<Vec<u8>, EngineError> {
        panic!("makes vectors only")
    }

    async fn render(&self, _: &[Message], _: &[Tool], _: bool) -> Result<String, EngineError> {
        panic!("makes vectors only")
    }
}
