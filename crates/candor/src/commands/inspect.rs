//! `candor inspect`: what is in a model file.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use candor_catalog::Bytes;
use candor_model::gguf::{Gguf, Value};
use candor_model::weights::TensorSummary;
use candor_model::{Model, Tokenizer};
use clap::Args;
use serde_json::json;

use crate::context::Context;
use crate::models;
use crate::terminal::{Style, print, printable};

/// Characters of a text value that are shown.
const SHOWN: usize = 72;

/// Show what is in a model file: metadata, tokenizer, template, tensors
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor inspect smollm2-135m-instruct
  candor inspect ./model.gguf --tensors
  candor inspect ./model.gguf --template
  candor inspect ./model.gguf --json | jq '.tensors | length'")]
pub(crate) struct Inspect {
    /// A path, or a name from `candor models`
    #[arg(value_name = "FILE|NAME")]
    file: String,
    /// List every tensor
    #[arg(long)]
    tensors: bool,
    /// Print the chat template and nothing else
    #[arg(long, conflicts_with_all = ["tensors", "json"])]
    template: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let found = models::find(context, &self.file)?;
        if found.path.is_dir() {
            return self.folder(&found.path);
        }
        let gguf = Gguf::open(&found.path)?;
        if self.template {
            let template = gguf.str("tokenizer.chat_template");
            return print_template(template, &found.path);
        } else if self.json {
            print(&format!("{}\n", serde_json::to_string_pretty(&as_json(&gguf))?))?;
        } else {
            print(&self.text(&gguf)?)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// A folder with safetensors.
    fn folder(&self, path: &Path) -> anyhow::Result<ExitCode> {
        let (info, tensors) = Model::inspect(path)?;
        if self.template {
            return print_template(info.chat_template.as_deref(), path);
        }
        if self.json {
            let report = json!({
                "arch": info.arch,
                "context": info.context,
                "vocab": info.vocab,
                "layers": info.layers,
                "parameters": info.parameters,
                "bytes": info.bytes,
                "tensors": tensors.iter().map(tensor_json).collect::<Vec<_>>(),
            });
            print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
            return Ok(ExitCode::SUCCESS);
        }
        let style = Style::for_stdout();
        let mut text = String::new();
        writeln!(text, "{}", style.bold(&path.display().to_string()))?;
        writeln!(text, "safetensors, {}\n", Bytes(info.bytes))?;
        for (key, value) in [
            ("architecture", info.arch.clone()),
            ("context", format!("{} tokens", info.context)),
            ("layers", info.layers.to_string()),
            ("vocabulary", format!("{} tokens", info.vocab)),
        ] {
            writeln!(text, "  {key:44} {}", printable(&value))?;
        }
        writeln!(
            text,
            "\n{}\n  {}",
            style.bold("Chat template"),
            about_template(info.chat_template.as_deref())
        )?;
        writeln!(text, "\n{}", style.bold("Files"))?;
        let mut files: Vec<_> = std::fs::read_dir(path)?.filter_map(Result::ok).collect();
        files.sort_by_key(std::fs::DirEntry::file_name);
        for file in files {
            // Links are followed: the Hugging Face cache is made of them.
            let size = std::fs::metadata(file.path()).map_or(0, |metadata| metadata.len());
            let name = file.file_name().to_string_lossy().into_owned();
            writeln!(text, "  {:44} {}", printable(&name), Bytes(size))?;
        }
        self.list(&mut text, &tensors)?;
        print(&text)?;
        Ok(ExitCode::SUCCESS)
    }

    fn text(&self, gguf: &Gguf) -> Result<String, std::fmt::Error> {
        let style = Style::for_stdout();
        let mut text = String::new();
        writeln!(text, "{}", style.bold(&gguf.path().display().to_string()))?;
        writeln!(text, "GGUF version {}, {}\n", gguf.version(), Bytes(gguf.bytes()))?;
        writeln!(text, "{}", style.bold("Metadata"))?;
        for (key, value) in gguf.metadata() {
            writeln!(text, "  {:44} {}", printable(key), shown(value))?;
        }
        writeln!(text, "\n{}", style.bold("Tokenizer"))?;
        match Tokenizer::from_gguf(gguf) {
            Ok(tokenizer) => {
                let ends: Vec<String> = tokenizer.eos_ids().iter().map(|id| name(&tokenizer, *id)).collect();
                let begin = tokenizer.bos().map_or("none".into(), |id| name(&tokenizer, id));
                let put = if tokenizer.add_bos() {
                    "put before a text"
                } else {
                    "not put before a text"
                };
                writeln!(
                    text,
                    "  {} tokens; begins with {begin} ({put}); ends with {}",
                    tokenizer.vocab(),
                    ends.join(", ")
                )?;
            }
            Err(error) => writeln!(text, "  cannot be used: {}", printable(&error.to_string()))?,
        }
        let template = about_template(gguf.str("tokenizer.chat_template"));
        writeln!(text, "\n{}\n  {template}", style.bold("Chat template"))?;
        self.list(&mut text, &gguf.tensors())?;
        Ok(text)
    }

    /// How many tensors there are of each format, and each of them where that was asked for.
    fn list(&self, text: &mut String, tensors: &[TensorSummary]) -> std::fmt::Result {
        writeln!(text, "\n{}", Style::for_stdout().bold("Tensors"))?;
        let mut formats: BTreeMap<&str, (usize, u64, u64)> = BTreeMap::new();
        for tensor in tensors {
            let entry = formats.entry(tensor.format.name()).or_default();
            entry.0 += 1;
            entry.1 += tensor.shape.iter().map(|n| *n as u64).product::<u64>();
            entry.2 += tensor.bytes as u64;
        }
        writeln!(
            text,
            "  {:6} {:>8} {:>14} {:>10} {:>16}",
            "format", "tensors", "parameters", "size", "bits/parameter"
        )?;
        for (format, (count, parameters, bytes)) in &formats {
            let bits = *bytes as f64 * 8.0 / (*parameters).max(1) as f64;
            writeln!(
                text,
                "  {format:6} {count:>8} {parameters:>14} {:>10} {bits:>16.2}",
                Bytes(*bytes).to_string()
            )?;
        }
        if self.tensors {
            writeln!(text)?;
            for tensor in tensors {
                let shape: Vec<String> = tensor.shape.iter().map(ToString::to_string).collect();
                writeln!(
                    text,
                    "  {:44} {:6} {}",
                    printable(&tensor.name),
                    tensor.format.name(),
                    shape.join(" x ")
                )?;
            }
        }
        Ok(())
    }
}

fn tensor_json(tensor: &TensorSummary) -> serde_json::Value {
    json!({ "name": tensor.name, "format": tensor.format.name(), "shape": tensor.shape, "bytes": tensor.bytes })
}

fn about_template(template: Option<&str>) -> String {
    template.map_or("none: the model continues text".into(), |template| {
        format!("{} characters; --template prints it", template.chars().count())
    })
}

fn print_template(template: Option<&str>, path: &Path) -> anyhow::Result<ExitCode> {
    let template = template.with_context(|| format!("{} has no chat template", path.display()))?;
    print(&format!("{}\n", template.trim_end()))?;
    Ok(ExitCode::SUCCESS)
}

fn name(tokenizer: &Tokenizer, id: u32) -> String {
    format!("{} ({id})", printable(&tokenizer.text_of(id)))
}

/// A value on one line, cut where it is long: `…` says so.
fn shown(value: &Value) -> String {
    let line: String = printable(&plain(value)).replace(['\n', '\t'], " ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Unsigned(number) => number.to_string(),
        Value::Signed(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(array) => format!("{} values", array.len),
    }
}

fn as_json(gguf: &Gguf) -> serde_json::Value {
    let metadata: serde_json::Map<String, serde_json::Value> = gguf
        .metadata()
        .map(|(key, value)| {
            let json = match value {
                Value::Unsigned(number) => json!(number),
                Value::Signed(number) => json!(number),
                Value::Float(number) => json!(number),
                Value::Bool(flag) => json!(flag),
                other => json!(plain(other)),
            };
            (key.to_owned(), json)
        })
        .collect();
    let tensors: Vec<_> = gguf.tensors().iter().map(tensor_json).collect();
    json!({ "version": gguf.version(), "bytes": gguf.bytes(), "metadata": metadata, "tensors": tensors })
}
