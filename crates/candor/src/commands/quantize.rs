//! `candor quantize`: a GGUF file with its weights in another format. What becomes of which tensor and the writing are the
//! model crate's; this checks the two paths, shows how far it is, and says what was lost.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, bail};
use candor_catalog::Bytes;
use candor_kernels::formats::Format;
use candor_kernels::formats::quantize::Loss;
use candor_kernels::team::Team;
use candor_model::gguf::Gguf;
use candor_model::quantize::{Mix, Plan, Planned};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::context::Context;
use crate::models;
use crate::open::{self, EngineArgs};
use crate::terminal::{Style, print, printable};

/// The exit status of programs that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Write a model file with its weights in a smaller format
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor quantize model-f16.gguf model-q4_k_m.gguf --to Q4_K_M
  candor quantize model-f16.gguf model-q8_0.gguf --to Q8_0     half the size, nearly nothing lost
  candor quantize small.gguf wide.gguf --to F32 --requantize   plain numbers, for other tools

The names mean the same mixes of formats as llama.cpp's llama-quantize. Q4_K_M is what most people
take; below a billion parameters, Q8_0 is worth its size. Begin from F32, F16 or BF16: what an
earlier format lost does not come back. A folder with safetensors has to be converted to GGUF first,
for example with llama.cpp's convert_hf_to_gguf.py.")]
pub(crate) struct Quantize {
    /// The file to read: a path, or a name from `candor models`
    #[arg(value_name = "IN")]
    from: String,
    /// The file to write
    #[arg(value_name = "OUT")]
    to: PathBuf,
    /// The format
    #[arg(long = "to", value_name = "FORMAT", ignore_case = true, value_parser = mix, long_help = formats())]
    mix: Mix,
    /// Also convert weights that are quantized already
    #[arg(long)]
    requantize: bool,
    /// Give every matrix the format itself, with no exceptions for those that suffer most
    #[arg(long)]
    pure: bool,
    /// Replace OUT where it is there already
    #[arg(long)]
    force: bool,
    /// Threads that compute; 0 is one per core, four per core the most
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

fn formats() -> String {
    format!(
        "The format, largest file first: {}. Q5_K, Q4_K and Q3_K mean the mix that ends in _M",
        Mix::names().collect::<Vec<_>>().join(", ")
    )
}

fn mix(name: &str) -> Result<Mix, String> {
    Mix::named(name).ok_or_else(|| {
        let names: Vec<&str> = Mix::names().collect();
        format!("the formats are {}", names.join(", "))
    })
}

impl Quantize {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let found = models::find(context, &self.from)?;
        let from = &found.path;
        if from.is_dir() || from.extension().is_some_and(|ending| ending == "safetensors") {
            bail!(
                "{} is a model in safetensors, and `candor quantize` reads GGUF; convert it first, for example with llama.cpp's \
                 convert_hf_to_gguf.py",
                from.display()
            );
        }
        check_out(from, &self.to, self.force)?;
        let gguf = Gguf::open(from)?;
        let plan = Plan::new(&gguf, self.mix, self.pure)?;
        self.check_requantized(from, &plan)?;
        say_fallbacks(&plan);

        let threads = open::threads(
            context,
            &EngineArgs {
                threads: self.threads,
                ..EngineArgs::default()
            },
        );
        let team = Team::new(threads);
        let stop = stop_when_told()?;
        let bar = bar(plan.tensors.iter().map(|tensor| tensor.before).sum());
        let written = plan.write(&gguf, &self.to, &team, &mut |done| {
            bar.set_position(done);
            !stop.load(Ordering::Relaxed)
        });
        bar.finish_and_clear();
        let Some(losses) = written? else {
            eprintln!("stopped; {} was not written", printable(&self.to.display().to_string()));
            return Ok(ExitCode::from(INTERRUPTED));
        };
        let after = std::fs::metadata(&self.to).map_or(0, |metadata| metadata.len());
        print(&table(&plan, &losses, &self.to, (gguf.bytes(), after))?)?;
        Ok(ExitCode::SUCCESS)
    }

    /// A sentence where weights would be quantized a second time: an error without the flag, a warning with it.
    fn check_requantized(&self, from: &Path, plan: &Plan) -> anyhow::Result<()> {
        let mut formats: Vec<&str> = plan.requantized().map(|tensor| tensor.from.name()).collect();
        formats.sort_unstable();
        formats.dedup();
        if formats.is_empty() {
            return Ok(());
        }
        let (file, formats) = (from.display(), formats.join(", "));
        let cost = if self.mix.base() == Format::F32 {
            format!("what {formats} lost does not come back, the file only grows")
        } else {
            format!(
                "what {formats} lost does not come back, and {} loses more",
                self.mix.name()
            )
        };
        if !self.requantize {
            bail!(
                "{file} is quantized already: {cost}; take the model in F32, F16 or BF16, or say --requantize if there is none"
            );
        }
        eprintln!(
            "{} {}",
            Style::for_stderr().yellow("note:"),
            printable(&format!("{file} is quantized already: {cost}"))
        );
        Ok(())
    }
}

/// Refuses an OUT that is IN, a folder, or there already.
fn check_out(from: &Path, to: &Path, force: bool) -> anyhow::Result<()> {
    let shown = to.display();
    if to.is_dir() {
        bail!("{shown} is a folder; name the file to write");
    }
    if to.file_name().is_none() {
        bail!("{shown} is no name for a file");
    }
    if std::fs::symlink_metadata(to).is_err() {
        return Ok(());
    }
    let same = |a: &Path, b: &Path| Some(std::fs::canonicalize(a).ok()? == std::fs::canonicalize(b).ok()?);
    if same(from, to).unwrap_or(false) {
        bail!("{shown} is the file that is read; name another one to write");
    }
    if !force {
        bail!("{shown} is there already; name another file, or say --force to replace it");
    }
    Ok(())
}

/// Says which tensors get another format than the recipe's, one line for each pair of formats and row length.
fn say_fallbacks(plan: &Plan) {
    let mut lines: BTreeMap<(&str, &str, usize), Vec<&Planned>> = BTreeMap::new();
    for tensor in &plan.tensors {
        if let Some(wanted) = tensor.wanted {
            let cols = tensor.shape.last().copied().unwrap_or(0);
            lines
                .entry((wanted.name(), tensor.to.name(), cols))
                .or_default()
                .push(tensor);
        }
    }
    for ((wanted, got, cols), tensors) in lines {
        let Some(first) = tensors.first() else { continue };
        let block = first.wanted.map_or(0, Format::block_len);
        let which = match tensors.len() {
            1 => format!("`{}` has", first.name),
            2 => format!("`{}` and one more tensor have", first.name),
            n => format!("`{}` and {} more tensors have", first.name, n - 1),
        };
        let text = format!("{which} rows of {cols} weights, no whole blocks of {block}: {got} instead of {wanted}");
        eprintln!("{} {}", Style::for_stderr().yellow("note:"), printable(&text));
    }
}

/// What Ctrl-C sets: the half-written file is removed then.
fn stop_when_told() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let (flag, runtime) = (stop.clone(), crate::runtime::start()?);
    std::thread::Builder::new()
        .name("candor-signals".into())
        .spawn(move || {
            runtime.block_on(crate::runtime::told_to_stop());
            flag.store(true, Ordering::Relaxed);
        })
        .context("cannot start a thread; is there a limit on processes?")?;
    Ok(stop)
}

fn bar(bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(bytes);
    let look = "{bar:40} {decimal_bytes:>10} of {decimal_total_bytes} {decimal_bytes_per_sec:>12} {eta:>4}";
    if let Ok(look) = ProgressStyle::with_template(look) {
        bar.set_style(look.progress_chars("━╸─"));
    }
    bar
}

/// One row of the table: tensors of one new format.
#[derive(Default)]
struct Row {
    tensors: usize,
    before: u64,
    after: u64,
    loss: Loss,
}

impl Row {
    fn add(&mut self, tensor: &Planned, loss: Loss) {
        self.tensors += 1;
        self.before += tensor.before;
        self.after += tensor.after;
        self.loss += loss;
    }

    fn line(&self, name: &str, (before, after): (u64, u64)) -> String {
        format!(
            "  {name:6} {:>8} {:>10} {:>10} {:>16.2} {:>12.3e} {:>10.3} %\n",
            self.tensors,
            Bytes(before).to_string(),
            Bytes(after).to_string(),
            self.after as f64 * 8.0 / self.loss.weights.max(1) as f64,
            self.loss.rms(),
            100.0 * self.loss.relative()
        )
    }
}

/// Sizes before and after, bits per parameter, and the root mean square error (in the weights' units, and relative to
/// their own root mean square), for each format and for the file.
fn table(plan: &Plan, losses: &[Loss], to: &Path, (before, after): (u64, u64)) -> Result<String, std::fmt::Error> {
    let (mut rows, mut total): (BTreeMap<&str, Row>, Row) = (BTreeMap::new(), Row::default());
    for (tensor, loss) in plan.tensors.iter().zip(losses) {
        rows.entry(tensor.to.name()).or_default().add(tensor, *loss);
        total.add(tensor, *loss);
    }
    let style = Style::for_stdout();
    let mut text = String::new();
    writeln!(
        text,
        "{}\n{}\n",
        style.bold(&printable(&to.display().to_string())),
        plan.mix.name()
    )?;
    writeln!(
        text,
        "  {:6} {:>8} {:>10} {:>10} {:>16} {:>12} {:>12}",
        "format", "tensors", "before", "after", "bits/parameter", "rms error", "relative"
    )?;
    for (name, row) in &rows {
        text.push_str(&row.line(name, (row.before, row.after)));
    }
    text.push_str(&total.line("file", (before, after)));
    Ok(text)
}
