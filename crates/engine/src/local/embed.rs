//! Embeddings: inputs are tokenized, checked against the encoder's length, and run in batches.

use std::sync::Arc;

use candor_kernels::team::Team;
use tokio::sync::Semaphore;

use super::prepare;
use crate::lexicon::Lexicon;
use crate::{EmbedInput, Embeddings, EngineError};

/// Tokens that run together.
const BATCH_TOKENS: usize = 4096;
/// Requests that may wait.
const WAITING: usize = 64;

/// What is computed of a batch.
type Compute = fn(&dyn Embedder, &Team, &[Vec<u32>]) -> Vec<Vec<f32>>;

/// What the engine needs of an encoder.
pub trait Embedder: Send + Sync {
    /// One L2-normalised vector per input.
    fn embed(&self, team: &Team, inputs: &[Vec<u32>]) -> Vec<Vec<f32>>;
    /// The last state of every token of each input, `[tokens, dim]`.
    fn states(&self, team: &Team, inputs: &[Vec<u32>]) -> Vec<Vec<f32>>;
    /// Width of a vector.
    fn dim(&self) -> usize;
    /// Longest input.
    fn max_tokens(&self) -> usize;
    /// Number of tokens.
    fn vocab(&self) -> usize;
}

/// An encoder with its threads.
pub(super) struct Embedding {
    encoder: Arc<dyn Embedder>,
    team: Arc<Team>,
    places: Arc<Semaphore>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Embedding {
    pub(super) fn new(encoder: Arc<dyn Embedder>, team: Arc<Team>) -> Self {
        Self {
            encoder,
            team,
            places: Arc::new(Semaphore::new(WAITING)),
            turn: Arc::default(),
        }
    }

    /// One vector per input.
    pub(super) async fn embed(
        &self,
        lexicon: &Arc<dyn Lexicon>,
        inputs: Vec<EmbedInput>,
    ) -> Result<Embeddings, EngineError> {
        self.run(lexicon, inputs, |encoder, team, batch| encoder.embed(team, batch))
            .await
    }

    /// The states of every token, frame included, instead of one vector.
    pub(super) async fn states(
        &self,
        lexicon: &Arc<dyn Lexicon>,
        inputs: Vec<EmbedInput>,
    ) -> Result<Embeddings, EngineError> {
        self.run(lexicon, inputs, |encoder, team, batch| encoder.states(team, batch))
            .await
    }

    async fn run(
        &self,
        lexicon: &Arc<dyn Lexicon>,
        inputs: Vec<EmbedInput>,
        compute: Compute,
    ) -> Result<Embeddings, EngineError> {
        let _place = self
            .places
            .try_acquire()
            .map_err(|_| EngineError::Overloaded { retry_after_s: 2 })?;
        let (lexicon, limit, vocab) = (Arc::clone(lexicon), self.encoder.max_tokens(), self.encoder.vocab());
        let inputs = prepare::blocking(move || {
            inputs
                .into_iter()
                .map(|input| ids(&*lexicon, input, limit, vocab))
                .collect()
        })
        .await;
        let inputs: Vec<Vec<u32>> = inputs?;
        let prompt_tokens = inputs.iter().map(Vec::len).sum();
        let mut vectors = Vec::with_capacity(inputs.len());
        let mut rest: &[Vec<u32>] = &inputs;
        while !rest.is_empty() {
            let mut tokens = 0;
            let fits = |input: &&Vec<u32>| {
                tokens += input.len();
                tokens <= BATCH_TOKENS
            };
            let (batch, after) = rest.split_at(rest.iter().take_while(fits).count().max(1));
            let (encoder, team, batch) = (Arc::clone(&self.encoder), Arc::clone(&self.team), batch.to_vec());
            let turn = Arc::clone(&self.turn).lock_owned().await;
            // Dropping the request between two batches ends the work.
            vectors.extend(
                prepare::blocking(move || {
                    let _turn = turn;
                    Ok(compute(&*encoder, &team, &batch))
                })
                .await?,
            );
            rest = after;
        }
        Ok(Embeddings { vectors, prompt_tokens })
    }
}

fn ids(lexicon: &dyn Lexicon, input: EmbedInput, limit: usize, vocab: usize) -> Result<Vec<u32>, EngineError> {
    let ids = match input {
        EmbedInput::Text(text) => lexicon.framed(lexicon.encode(&text, false)),
        EmbedInput::Tokens(ids) => {
            prepare::check_ids(&ids, vocab, "input")?;
            ids
        }
    };
    if ids.is_empty() {
        return Err(crate::sampling::invalid("input", "is empty; send some text"));
    }
    if ids.len() > limit {
        return Err(EngineError::TooLong {
            tokens: ids.len(),
            context: limit,
        });
    }
    Ok(ids)
}
