//! A model as the Hugging Face hub keeps it: a folder with config.json and one or more .safetensors files. Headers are
//! bounded and every range is checked at open; tensor names become GGUF's in one table.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candor_kernels::formats::Format;
use safetensors::Dtype;
use safetensors::tensor::SafeTensors;
use serde_json::Value;

use crate::Error;
use crate::mmap::Mapped;
use crate::weights::{Source, Tensor, TensorSummary};

/// Larger JSON files than this are refused.
const MAX_JSON: u64 = 64 << 20;
/// More files than this are refused.
const MAX_SHARDS: usize = 1024;

/// An open folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    config: Value,
    shards: Vec<Mapped>,
    tensors: HashMap<String, Place>,
    names: Vec<String>,
}

#[derive(Debug, Clone)]
struct Place {
    shard: usize,
    format: Format,
    shape: Vec<usize>,
    start: usize,
    end: usize,
}

impl Folder {
    /// Opens the folder at `path`, or the folder of the .safetensors file at `path`.
    ///
    /// # Errors
    /// If config.json or a tensor file is missing, damaged or incomplete.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let (folder, single) = match path.is_dir() {
            true => (path.to_owned(), None),
            false => (path.parent().unwrap_or(Path::new(".")).to_owned(), path.file_name()),
        };
        let config = read_json(&folder.join("config.json"))?;
        let index = folder.join("model.safetensors.index.json");
        let files: Vec<PathBuf> = match single {
            Some(name) => vec![folder.join(name)],
            None if index.exists() => shard_names(&index)?.into_iter().map(|name| folder.join(name)).collect(),
            None => vec![folder.join("model.safetensors")],
        };
        let mut opened = Self {
            path: folder,
            config,
            shards: Vec::new(),
            tensors: HashMap::new(),
            names: Vec::new(),
        };
        files.iter().try_for_each(|file| opened.add(file))?;
        Ok(opened)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// config.json.
    pub fn config(&self) -> &Value {
        &self.config
    }

    /// Size of all tensor files.
    pub fn bytes(&self) -> u64 {
        self.shards.iter().map(|shard| shard.len() as u64).sum()
    }

    /// Another JSON file of the folder, if it is there and readable.
    pub fn json(&self, name: &str) -> Option<Value> {
        read_json(&self.path.join(name)).ok()
    }

    fn add(&mut self, file: &Path) -> Result<(), Error> {
        let map = Mapped::open(file)?;
        let tensors = check(file, &map)?;
        for (name, mut place) in tensors {
            place.shard = self.shards.len();
            if self.tensors.insert(name.clone(), place).is_some() {
                return Err(Error::file(
                    file,
                    format!("tensor `{name}` stands in two files; the model is damaged, get it again"),
                ));
            }
            self.names.push(name);
        }
        self.shards.push(map);
        Ok(())
    }
}

/// Checks a .safetensors file's bytes; for fuzzing.
///
/// # Errors
/// If they are not a whole safetensors file.
pub fn check_safetensors(bytes: &[u8]) -> Result<(), Error> {
    check(Path::new("(bytes)"), bytes).map(|_| ())
}

fn check(file: &Path, bytes: &[u8]) -> Result<Vec<(String, Place)>, Error> {
    // The crate checks that the header fits, that ranges lie in the file without gap or overlap, and that shapes fit
    // ranges; its own limit on the header is 100 MB.
    let (header, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| {
        Error::file(
            file,
            format!("is not a whole .safetensors file ({e}); the download is incomplete or damaged, get it again"),
        )
    })?;
    let data = header + 8;
    let mut out = Vec::new();
    for (name, info) in metadata.tensors() {
        let format = match info.dtype {
            Dtype::F32 => Format::F32,
            Dtype::F16 => Format::F16,
            Dtype::BF16 => Format::BF16,
            // Buffers such as position ids; nobody asks for them.
            Dtype::I64 | Dtype::I32 | Dtype::U8 | Dtype::BOOL => continue,
            other => {
                return Err(Error::file(
                    file,
                    format!(
                        "tensor `{name}` has the type {other:?}; F32, F16 and BF16 are supported, get another file of the model"
                    ),
                ));
            }
        };
        let (start, end) = (
            data.checked_add(info.data_offsets.0),
            data.checked_add(info.data_offsets.1),
        );
        let size = info
            .shape
            .iter()
            .try_fold(format.block_bytes(), |size, &len| size.checked_mul(len));
        let fits = |start: usize, end: usize| end <= bytes.len() && end.checked_sub(start) == size && size != Some(0);
        match (start, end) {
            (Some(start), Some(end)) if fits(start, end) => {
                out.push((
                    name.clone(),
                    Place {
                        shard: 0,
                        format,
                        shape: info.shape.clone(),
                        start,
                        end,
                    },
                ));
            }
            _ => {
                return Err(Error::file(
                    file,
                    format!(
                        "tensor `{name}` does not fit the file; the download is incomplete or damaged, get it again"
                    ),
                ));
            }
        }
    }
    Ok(out)
}

fn read_json(path: &Path) -> Result<Value, Error> {
    let fail = |cause: &dyn std::fmt::Display| {
        Error::file(
            path,
            format!("cannot be read: {cause}; a model folder needs it, get the model again"),
        )
    };
    let len = std::fs::metadata(path).map_err(|e| fail(&e))?.len();
    if len > MAX_JSON {
        return Err(fail(&format!("it is {len} bytes long, at most {MAX_JSON} are allowed")));
    }
    serde_json::from_slice(&std::fs::read(path).map_err(|e| fail(&e))?).map_err(|e| fail(&e))
}

/// The files named by an index; only plain names, so that none leads out of the folder.
fn shard_names(index: &Path) -> Result<Vec<String>, Error> {
    let json = read_json(index)?;
    let map = json.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| Error::file(index, "has no `weight_map`; get the model again"))?;
    let mut names: Vec<String> = map.values().filter_map(|v| v.as_str().map(str::to_owned)).collect();
    names.sort_unstable();
    names.dedup();
    let plain = |name: &String| name.ends_with(".safetensors") && !name.contains(['/', '\\']) && !name.starts_with('.');
    match names.iter().find(|name| !plain(name)) {
        Some(name) => Err(Error::file(
            index,
            format!("names `{name}`, which is not a plain .safetensors file name; get the model again"),
        )),
        None if names.is_empty() || names.len() > MAX_SHARDS => Err(Error::file(
            index,
            format!(
                "names {} files, 1 to {MAX_SHARDS} are possible; get the model again",
                names.len()
            ),
        )),
        None => Ok(names),
    }
}

/// GGUF's names and transformers', for parts of a layer. Decoders first, BERT's behind.
const LAYER_NAMES: [(&str, &str, &str); 27] = [
    ("attn_q", "layers", "self_attn.q_proj"),
    ("attn_k", "layers", "self_attn.k_proj"),
    ("attn_v", "layers", "self_attn.v_proj"),
    ("attn_output", "layers", "self_attn.o_proj"),
    ("attn_q_norm", "layers", "self_attn.q_norm"),
    ("attn_k_norm", "layers", "self_attn.k_norm"),
    ("attn_norm", "layers", "input_layernorm"),
    ("ffn_norm", "layers", "pre_feedforward_layernorm"),
    ("post_attention_norm", "layers", "post_attention_layernorm"),
    ("ffn_norm", "layers", "post_attention_layernorm"),
    ("post_ffw_norm", "layers", "post_feedforward_layernorm"),
    ("ffn_gate", "layers", "mlp.gate_proj"),
    ("ffn_up", "layers", "mlp.up_proj"),
    ("ffn_down", "layers", "mlp.down_proj"),
    ("ffn_gate_inp", "layers", "mlp.gate"),
    ("ffn_gate.*", "layers", "mlp.experts.*.gate_proj"),
    ("ffn_up.*", "layers", "mlp.experts.*.up_proj"),
    ("ffn_down.*", "layers", "mlp.experts.*.down_proj"),
    ("attn_q", "encoder.layer", "attention.self.query"),
    ("attn_k", "encoder.layer", "attention.self.key"),
    ("attn_v", "encoder.layer", "attention.self.value"),
    ("attn_output", "encoder.layer", "attention.output.dense"),
    ("attn_output_norm", "encoder.layer", "attention.output.LayerNorm"),
    ("ffn_up", "encoder.layer", "intermediate.dense"),
    ("ffn_down", "encoder.layer", "output.dense"),
    ("layer_output_norm", "encoder.layer", "output.LayerNorm"),
    ("attn_output", "layers", "self_attn.dense"),
];

/// GGUF's names and transformers', outside of layers.
const NAMES: [(&str, &str); 7] = [
    ("token_embd", "embed_tokens"),
    ("output_norm", "norm"),
    ("output", "lm_head"),
    ("token_embd", "embeddings.word_embeddings"),
    ("position_embd", "embeddings.position_embeddings"),
    ("token_types", "embeddings.token_type_embeddings"),
    ("token_embd_norm", "embeddings.LayerNorm"),
];

/// What may stand before a name.
const PREFIXES: [&str; 5] = ["", "model.", "bert.", "language_model.model.", "model.language_model."];

/// What the tensor that GGUF calls `name` may be called here.
pub(crate) fn names_of(name: &str) -> Vec<String> {
    let Some((stem, suffix)) = name.rsplit_once('.') else {
        return Vec::new(); // neither `weight` nor `bias`
    };
    let plain: Vec<String> = match stem.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
        Some((layer, part)) => {
            // `ffn_up.3` is the third expert's.
            let (part, expert) = match part.rsplit_once('.') {
                Some((part, expert)) => (format!("{part}.*"), expert),
                None => (part.to_owned(), ""),
            };
            let same = LAYER_NAMES.iter().filter(|(ours, ..)| *ours == part);
            same.map(|(_, group, theirs)| format!("{group}.{layer}.{}.{suffix}", theirs.replace('*', expert)))
                .collect()
        }
        None => NAMES
            .iter()
            .filter(|(ours, _)| *ours == stem)
            .map(|(_, theirs)| format!("{theirs}.{suffix}"))
            .collect(),
    };
    let prefixed = |name: &String| PREFIXES.map(|prefix| format!("{prefix}{name}"));
    plain.iter().flat_map(prefixed).collect()
}

impl Source for Folder {
    fn tensor(&self, name: &str) -> Option<Tensor<'_>> {
        let place = names_of(name).iter().find_map(|name| self.tensors.get(name))?;
        let bytes = &self.shards[place.shard][place.start..place.end];
        Some(Tensor {
            format: place.format,
            shape: &place.shape,
            bytes,
        })
    }

    fn tensors(&self) -> Vec<TensorSummary> {
        let summary = |name: &String| {
            let place = self.tensors.get(name)?;
            Some(TensorSummary {
                name: name.clone(),
                format: place.format,
                shape: place.shape.clone(),
                bytes: place.end - place.start,
            })
        };
        self.names.iter().filter_map(summary).collect()
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}
