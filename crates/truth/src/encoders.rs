//! The trained encoders that come with the program: the reader (which passage, which sentence, which words answer a
//! question) and the checker (whether evidence bears a claim out). `weights/README.md` says how they were made.

use std::sync::{Arc, OnceLock};

use candor_kernels::team::Team;
use candor_model::PairEncoder;

use crate::TruthError;
use crate::error::blocking;
use crate::receipt::sha256;

const READER: &[u8] = include_bytes!("../weights/reader.safetensors");
const CHECKER: &[u8] = include_bytes!("../weights/checker.safetensors");
const VOCABULARY: &str = include_str!("../weights/vocab.txt");

/// Both encoders, each made ready when it is first asked for.
pub struct Encoders {
    team: Team,
    reader: OnceLock<Result<PairEncoder, String>>,
    checker: OnceLock<Result<PairEncoder, String>>,
}

impl Encoders {
    /// Encoders that compute on `threads` threads.
    pub fn new(threads: usize) -> Arc<Self> {
        Arc::new(Self {
            team: Team::new(threads.max(1)),
            reader: OnceLock::new(),
            checker: OnceLock::new(),
        })
    }

    /// Reads a question with passages.
    pub(crate) fn reader(&self) -> Result<&PairEncoder, TruthError> {
        let open = || PairEncoder::open(READER, None, VOCABULARY, &self.team).map_err(|error| error.to_string());
        self.reader
            .get_or_init(open)
            .as_ref()
            .map_err(|error| TruthError::Weights(error.clone()))
    }

    /// Reads a claim with evidence.
    pub(crate) fn checker(&self) -> Result<&PairEncoder, TruthError> {
        // Both share the word embeddings, which are in the reader's file alone.
        let open =
            || PairEncoder::open(CHECKER, Some(READER), VOCABULARY, &self.team).map_err(|error| error.to_string());
        self.checker
            .get_or_init(open)
            .as_ref()
            .map_err(|error| TruthError::Weights(error.clone()))
    }

    /// SHA-256 of the reader's weights.
    pub(crate) fn reader_sha256(&self) -> String {
        static HASH: OnceLock<String> = OnceLock::new();
        HASH.get_or_init(|| sha256(READER)).clone()
    }

    pub(crate) fn team(&self) -> &Team {
        &self.team
    }

    /// Makes both ready, so that the first question does not wait for it.
    ///
    /// # Errors
    /// If the weights are damaged.
    pub async fn warm(self: &Arc<Self>) -> Result<(), TruthError> {
        let this = Arc::clone(self);
        blocking(move || {
            this.reader()?;
            this.checker()?;
            Ok(())
        })
        .await
    }
}

impl std::fmt::Debug for Encoders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoders").finish_non_exhaustive()
    }
}
