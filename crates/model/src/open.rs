//! A model, opened: from a path to a network, its tokenizer, its template, and what people want to know of it.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use candor_kernels::team::Team;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::arch::{ARCHS, Arch, Kind};
use crate::gguf::Gguf;
use crate::hf::Folder;
use crate::kv::KvFormat;
use crate::linear::{Loader, Precision, Work};
use crate::mmap::Mapped;
use crate::params::{Params, Pooling};
use crate::template::ChatTemplate;
use crate::tokenizer::Tokenizer;
use crate::weights::{Source, TensorSummary};
use crate::{Encoder, Error};

/// How to open a model.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// How weights are computed with.
    pub precision: Precision,
    /// How keys and values are kept.
    pub kv: KvFormat,
    /// Threads for loading.
    pub threads: usize,
}

impl Default for LoadOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            precision: Precision::default(),
            kv: KvFormat::default(),
            threads,
        }
    }
}

/// What people want to know of a model.
#[derive(Debug, Clone, Default)]
pub struct Info {
    /// Architecture, as GGUF names it.
    pub arch: String,
    /// The name that the file gives itself, or the file's name.
    pub name: String,
    /// The longest context in tokens.
    pub context: usize,
    /// Tokens in the vocabulary.
    pub vocab: usize,
    /// Layers.
    pub layers: usize,
    /// Weights.
    pub parameters: u64,
    /// Size of the tensor files.
    pub bytes: u64,
    /// How most weights are stored.
    pub quantization: String,
    /// What its linear layers do for one token; nothing before the network is loaded.
    pub work: Work,
    /// The licence that the file names.
    pub license: Option<String>,
    /// The chat template's text.
    pub chat_template: Option<String>,
    /// The text of another one for conversations with tools, where the model has it.
    pub tool_template: Option<String>,
}

/// An opened model.
pub struct Model {
    /// What it is.
    pub info: Info,
    /// Its tokenizer.
    pub tokenizer: Arc<Tokenizer>,
    /// Its chat template, if it has one that compiles.
    pub template: Option<Arc<ChatTemplate>>,
    /// Its network.
    pub kind: Kind,
    path: PathBuf,
    sha256: OnceLock<Option<String>>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model")
            .field("info", &self.info)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// What both file formats give.
struct Opened {
    arch: &'static Arch,
    params: Params,
    info: Info,
    source: Box<dyn Source>,
    tokenizer: Tokenizer,
    bos: String,
    eos: String,
}

impl Model {
    /// Opens the GGUF file, the .safetensors file or the model folder at `path`.
    ///
    /// # Errors
    /// A sentence that names the file, what is wrong with it and what to do.
    pub fn open(path: &Path, options: &LoadOptions) -> Result<Self, Error> {
        let opened = open_files(path)?;
        let Opened {
            arch,
            params,
            mut info,
            source,
            tokenizer,
            bos,
            eos,
        } = opened;
        let team = Team::new(options.threads.max(1));
        let loader = Loader {
            source: &*source,
            team: &team,
            precision: options.precision,
            params: &params,
            work: Cell::default(),
        };
        let kind = arch.load(&loader, params.kv_shape(options.kv))?;
        let outputs = match &kind {
            Kind::Decoder(decoder) => decoder.vocab(),
            Kind::Encoder(encoder) => encoder.vocab(),
        };
        if tokenizer.vocab() > outputs {
            return Err(Error::file(
                path,
                format!(
                    "its tokenizer has {} tokens and its network only {outputs}; the file is damaged, get it again",
                    tokenizer.vocab()
                ),
            ));
        }
        info.vocab = outputs;
        info.work = loader.work.get();
        let template = info.chat_template.as_deref().and_then(|source| {
            match ChatTemplate::with_tool_use(source, info.tool_template.as_deref(), &bos, &eos) {
                Ok(template) => Some(Arc::new(template)),
                Err(error) => {
                    tracing::warn!("{}: {error}; the model can complete text but not chat", path.display());
                    None
                }
            }
        });
        Ok(Self {
            info,
            tokenizer: Arc::new(tokenizer),
            template,
            kind,
            path: path.to_owned(),
            sha256: OnceLock::new(),
        })
    }

    /// What a file is, without loading its network.
    ///
    /// # Errors
    /// As `open`.
    pub fn inspect(path: &Path) -> Result<(Info, Vec<TensorSummary>), Error> {
        let mut opened = open_files(path)?;
        opened.info.vocab = opened.tokenizer.vocab();
        Ok((opened.info, opened.source.tensors()))
    }

    /// The file or folder it was opened from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of the model file (of a folder: of its tensor files one after another), computed when first asked for.
    pub fn sha256(&self) -> Option<&str> {
        self.sha256.get_or_init(|| hash(&self.path).ok()).as_deref()
    }

    /// The encoder, if it is one.
    pub fn encoder(&self) -> Option<&Arc<dyn Encoder>> {
        match &self.kind {
            Kind::Encoder(encoder) => Some(encoder),
            Kind::Decoder(_) => None,
        }
    }

    /// The decoder, if it is one.
    pub fn decoder(&self) -> Option<&Arc<dyn crate::Decoder>> {
        match &self.kind {
            Kind::Decoder(decoder) => Some(decoder),
            Kind::Encoder(_) => None,
        }
    }
}

fn hash(path: &Path) -> Result<String, Error> {
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(|e| Error::file(path, e.to_string()))?;
        files = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|p| p.extension().is_some_and(|e| e == "safetensors"))
            .collect();
        files.sort();
    }
    let mut hasher = Sha256::new();
    for file in files {
        hasher.update(&*Mapped::open(&file)?);
    }
    Ok(hex::encode(hasher.finalize()))
}

fn open_files(path: &Path) -> Result<Opened, Error> {
    let safetensors = path.is_dir() || path.extension().is_some_and(|extension| extension == "safetensors");
    let mut opened = if safetensors {
        open_folder(path)?
    } else {
        open_gguf(path)?
    };
    let tensors = opened.source.tensors();
    opened.info.parameters = tensors
        .iter()
        .map(|t| t.shape.iter().map(|&len| len as u64).product::<u64>())
        .sum();
    opened.info.layers = opened.params.layers;
    opened.info.context = opened.params.context;
    opened.info.arch.clone_from(&opened.params.arch);
    if opened.info.name.is_empty() {
        opened.info.name = path
            .file_stem()
            .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    }
    if opened.info.quantization.is_empty() {
        let mut bytes = std::collections::BTreeMap::new();
        tensors
            .iter()
            .for_each(|t| *bytes.entry(t.format.name()).or_insert(0) += t.bytes);
        opened.info.quantization = bytes
            .into_iter()
            .max_by_key(|(_, bytes)| *bytes)
            .map_or_else(String::new, |(name, _)| name.to_owned());
    }
    Ok(opened)
}

fn open_gguf(path: &Path) -> Result<Opened, Error> {
    let gguf = Gguf::open(path)?;
    let name = gguf.str("general.architecture").unwrap_or_default();
    let arch = ARCHS.iter().find(|arch| arch.gguf == name).ok_or_else(|| {
        Error::file(
            path,
            format!(
                "has the architecture `{name}`; {} are supported, get another model",
                Arch::names()
            ),
        )
    })?;
    let params = Params::from_gguf(&gguf, arch).map_err(|fault| Error::file(path, fault))?;
    let tokenizer = Tokenizer::from_gguf(&gguf)?;
    let info = Info {
        name: gguf.str("general.name").unwrap_or_default().to_owned(),
        bytes: gguf.bytes(),
        quantization: gguf
            .u64("general.file_type")
            .and_then(file_type)
            .unwrap_or_default()
            .to_owned(),
        license: gguf.str("general.license").map(str::to_owned),
        chat_template: gguf.str("tokenizer.chat_template").map(str::to_owned),
        tool_template: gguf.str("tokenizer.chat_template.tool_use").map(str::to_owned),
        ..Info::default()
    };
    let text = |id: Option<u32>| id.map_or_else(String::new, |id| tokenizer.text_of(id));
    let (bos, eos) = (text(tokenizer.bos()), text(tokenizer.eos()));
    Ok(Opened {
        arch,
        params,
        info,
        source: Box::new(gguf),
        tokenizer,
        bos,
        eos,
    })
}

/// llama.cpp's names of whole-file quantizations.
fn file_type(code: u64) -> Option<&'static str> {
    Some(match code {
        0 => "F32",
        1 => "F16",
        2 => "Q4_0",
        3 => "Q4_1",
        7 => "Q8_0",
        8 => "Q5_0",
        9 => "Q5_1",
        10 => "Q2_K",
        11 => "Q3_K_S",
        12 => "Q3_K_M",
        13 => "Q3_K_L",
        14 => "Q4_K_S",
        15 => "Q4_K_M",
        16 => "Q5_K_S",
        17 => "Q5_K_M",
        18 => "Q6_K",
        21 => "Q2_K_S",
        32 => "BF16",
        _ => return None,
    })
}

fn open_folder(path: &Path) -> Result<Opened, Error> {
    let folder = Folder::open(path)?;
    let config_file = folder.path().join("config.json");
    // Gemma's larger models keep the text network's settings one level down.
    let config = folder
        .config()
        .get("text_config")
        .filter(|c| c.is_object())
        .unwrap_or(folder.config());
    let name = config.get("model_type").and_then(Value::as_str).unwrap_or_default();
    let arch = ARCHS
        .iter()
        .find(|arch| arch.hugging_face.contains(&name))
        .ok_or_else(|| {
            Error::file(
                &config_file,
                format!(
                    "has the model type `{name}`; {} are supported, get another model",
                    Arch::names()
                ),
            )
        })?;
    let mut params = Params::from_config(config, arch).map_err(|fault| Error::file(&config_file, fault))?;
    let sentences = folder.json("sentence_bert_config.json");
    if let Some(max) = sentences
        .as_ref()
        .and_then(|c| c.get("max_seq_length"))
        .and_then(Value::as_u64)
        .filter(|&max| max > 2)
    {
        params.context = params.context.min(usize::try_from(max).unwrap_or(usize::MAX));
    }
    if arch.gguf == "bert" {
        params.pooling = Pooling::of(&folder).map_err(|fault| Error::file(folder.path(), fault))?;
    }
    let generation = folder.json("generation_config.json");
    let ends = generation
        .iter()
        .chain([config])
        .find_map(|c| match c.get("eos_token_id")? {
            Value::Array(ids) => Some(ids.iter().filter_map(Value::as_u64).collect::<Vec<_>>()),
            id => id.as_u64().map(|id| vec![id]),
        });
    let ends: Vec<u32> = ends
        .unwrap_or_default()
        .into_iter()
        .filter_map(|id| u32::try_from(id).ok())
        .collect();
    let outputs = folder
        .tensor("token_embd.weight")
        .and_then(|tensor| tensor.shape.first().copied());
    let mut tokenizer = Tokenizer::from_json_for(&folder.path().join("tokenizer.json"), &ends, outputs)?;
    let settings = folder.json("tokenizer_config.json").unwrap_or_default();
    let named = |key: &str| match settings.get(key)? {
        Value::String(text) => Some(text.as_str()),
        token => token.get("content").and_then(Value::as_str),
    };
    tokenizer.name_ends(named("bos_token"), named("eos_token"));
    let (chat_template, tool_template) = templates(&folder, &settings);
    let info = Info {
        bytes: folder.bytes(),
        chat_template,
        tool_template,
        ..Info::default()
    };
    let (bos, eos) = (
        named("bos_token").unwrap_or_default().to_owned(),
        named("eos_token").unwrap_or_default().to_owned(),
    );
    Ok(Opened {
        arch,
        params,
        info,
        source: Box::new(folder),
        tokenizer,
        bos,
        eos,
    })
}

/// The chat template of a folder, and the one for conversations with tools where there are two: in files of their own, or
/// in tokenizer_config.json (as one text, or as a list of names and texts).
fn templates(folder: &Folder, settings: &Value) -> (Option<String>, Option<String>) {
    let file = |name: &str| std::fs::read_to_string(folder.path().join(name)).ok();
    let listed = settings.get("chat_template");
    let named = |name: &str| {
        let list = listed?.as_array()?;
        let entry = list.iter().find(|entry| entry.get("name").is_some_and(|n| n == name))?;
        entry.get("template")?.as_str().map(str::to_owned)
    };
    let one = || listed?.as_str().map(str::to_owned);
    let processor = || {
        folder
            .json("chat_template.json")?
            .get("chat_template")?
            .as_str()
            .map(str::to_owned)
    };
    let default = file("chat_template.jinja")
        .or_else(one)
        .or_else(|| named("default"))
        .or_else(processor);
    let tools = file("additional_chat_templates/tool_use.jinja").or_else(|| named("tool_use"));
    (default, tools)
}
