//! The architectures, one file each, and the one table that knows their names.

mod bert;
mod blocks;
mod gemma3;
mod llama;
mod qwen;

use std::sync::Arc;

use crate::Error;
use crate::decoder::Decoder;
use crate::encoder::Encoder;
use crate::kv::KvShape;
use crate::linear::Loader;

/// A loaded network.
#[derive(Clone)]
pub enum Kind {
    /// Continues text.
    Decoder(Arc<dyn Decoder>),
    /// Makes embeddings.
    Encoder(Arc<dyn Encoder>),
}

/// What must be known of an architecture before its file is read.
pub(crate) struct Arch {
    /// GGUF's `general.architecture`.
    pub(crate) gguf: &'static str,
    /// `model_type` values of config.json.
    pub(crate) hugging_face: &'static [&'static str],
    /// GGUF files keep pairs (2i, 2i + 1) for rotary positions; all others (i, i + d/2).
    pub(crate) interleaved: bool,
    load: fn(&Loader<'_>, KvShape) -> Result<Kind, Error>,
}

/// All architectures. A new one is a file and a line.
pub(crate) const ARCHS: [Arch; 6] = [
    Arch {
        gguf: "llama",
        hugging_face: &["llama", "mistral"],
        interleaved: true,
        load: |l, kv| llama::load(l, kv).map(Kind::Decoder),
    },
    Arch {
        gguf: "qwen2",
        hugging_face: &["qwen2"],
        interleaved: false,
        load: |l, kv| qwen::load(l, kv).map(Kind::Decoder),
    },
    Arch {
        gguf: "qwen3",
        hugging_face: &["qwen3"],
        interleaved: false,
        load: |l, kv| qwen::load(l, kv).map(Kind::Decoder),
    },
    Arch {
        gguf: "qwen3moe",
        hugging_face: &["qwen3_moe"],
        interleaved: false,
        load: |l, kv| qwen::load(l, kv).map(Kind::Decoder),
    },
    Arch {
        gguf: "gemma3",
        hugging_face: &["gemma3_text", "gemma3"],
        interleaved: false,
        load: |l, kv| gemma3::load(l, kv).map(Kind::Decoder),
    },
    Arch {
        gguf: "bert",
        hugging_face: &["bert"],
        interleaved: false,
        load: |l, _| bert::load(l).map(Kind::Encoder),
    },
];

impl Arch {
    /// Loads the network.
    pub(crate) fn load(&self, loader: &Loader<'_>, kv: KvShape) -> Result<Kind, Error> {
        (self.load)(loader, kv)
    }

    /// For messages: all names.
    pub(crate) fn names() -> String {
        ARCHS.map(|arch| arch.gguf).join(", ")
    }
}
