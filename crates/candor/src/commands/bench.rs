//! `candor bench`: tokens per second of prefill and decode, in the shape of llama-bench. The model is called directly,
//! without queue, sampling or network, so the figures are those of the arithmetic.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::bail;
use candor_kernels::cpu;
use candor_model::Model;
use clap::Args;
use serde_json::json;

use crate::bench::{Runner, Timing, read_bandwidth};
use crate::context::Context;
use crate::open::{self, EngineArgs};
use crate::terminal::print;

/// Measure tokens per second: reading a prompt (pp) and writing an answer (tg)
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor bench                              512 tokens of prompt, then 128 of answer
  candor bench -m a.gguf -m b.gguf -p 128,512 -n 64
  candor bench -d 0,1024                    the same after 0 and 1024 tokens of context
  candor bench --json > bench.json

Close other programs first. Before anything is timed, the model computes the same tokens at once and one by one, and
both must give the same bits.")]
pub(crate) struct Bench {
    /// A name from `candor models`, or a path; may be given again
    #[arg(short, long = "model", value_name = "NAME|PATH")]
    models: Vec<String>,
    /// Tokens of prompt; 0 leaves that test out
    #[arg(
        short = 'p',
        long = "n-prompt",
        value_name = "N",
        value_delimiter = ',',
        default_value = "512"
    )]
    prompt: Vec<usize>,
    /// Tokens of answer; 0 leaves that test out
    #[arg(
        short = 'n',
        long = "n-gen",
        value_name = "N",
        value_delimiter = ',',
        default_value = "128"
    )]
    generate: Vec<usize>,
    /// Tokens of context before the test begins
    #[arg(
        short,
        long = "n-depth",
        value_name = "N",
        value_delimiter = ',',
        default_value = "0"
    )]
    depth: Vec<usize>,
    /// Most tokens of a prompt that are computed in one step
    #[arg(short, long = "batch-size", value_name = "N", default_value_t = 512)]
    batch: usize,
    /// How often each test is run
    #[arg(short, long, value_name = "N", default_value_t = 5)]
    repetitions: usize,
    /// As JSON, with every sample
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

/// One line of the table.
struct Row {
    prompt: usize,
    generate: usize,
    depth: usize,
    timing: Timing,
}

impl Row {
    fn test(&self) -> String {
        let test = if self.prompt > 0 {
            format!("pp{}", self.prompt)
        } else {
            format!("tg{}", self.generate)
        };
        if self.depth > 0 {
            format!("{test} @ d{}", self.depth)
        } else {
            test
        }
    }
}

impl Bench {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        if self.batch == 0 || self.repetitions == 0 {
            bail!("--batch-size and --repetitions take 1 or more");
        }
        let runtime = crate::runtime::start()?;
        let wanted: Vec<Option<&str>> = match self.models.as_slice() {
            [] => vec![None],
            some => some.iter().map(|name| Some(name.as_str())).collect(),
        };
        let threads = open::threads(context, &self.engine);
        let mut report = Vec::new();
        let mut headed = false;
        for what in wanted {
            let found = runtime.block_on(open::resolve(context, what))?;
            let options = open::load_options(context, &self.engine);
            let model = Model::open(&found.path, &options)?;
            let Some(decoder) = model.decoder() else {
                bail!(
                    "{} makes embeddings and no text; there is nothing to time yet",
                    found.name
                );
            };
            let longest = self.depth.iter().max().unwrap_or(&0)
                + self.prompt.iter().chain(&self.generate).max().unwrap_or(&0).max(&16);
            let mut runner = Runner::new(decoder.clone(), threads, longest, self.batch)?;
            runner.check()?;
            if !headed && !self.json {
                let bandwidth = read_bandwidth(runner.team());
                print(&format!(
                    "candor {}, {}, {bandwidth:.1} GB/s read from memory\n\n{}",
                    env!("CARGO_PKG_VERSION"),
                    cpu::describe(),
                    header()
                ))?;
                headed = true;
            }
            for row in self.rows(&mut runner) {
                if self.json {
                    report.push(self.json_row(&model, &found.name, threads, &row));
                } else {
                    print(&line(&model, &found.name, threads, &row))?;
                }
            }
        }
        if self.json {
            print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Tests are run round by round, so that a machine that slows down slows all of them.
    fn rows(&self, runner: &mut Runner) -> Vec<Row> {
        let mut rows = Vec::new();
        for &depth in &self.depth {
            runner.fill(depth);
            let tests = self
                .prompt
                .iter()
                .map(|n| (*n, 0))
                .chain(self.generate.iter().map(|n| (0, *n)));
            let tests: Vec<(usize, usize)> = tests.filter(|(p, g)| p + g > 0).collect();
            let mut samples = vec![Vec::new(); tests.len()];
            for round in 0..=self.repetitions {
                for (&(prompt, generate), samples) in tests.iter().zip(&mut samples) {
                    let start = Instant::now();
                    if prompt > 0 {
                        runner.prefill(depth, prompt)
                    } else {
                        runner.decode(depth, generate)
                    }
                    if round > 0 {
                        samples.push(start.elapsed()); // the first round warms up
                    }
                }
            }
            rows.extend(tests.into_iter().zip(samples).map(|((prompt, generate), samples)| Row {
                prompt,
                generate,
                depth,
                timing: Timing::new(samples, prompt + generate),
            }));
        }
        rows
    }

    fn json_row(&self, model: &Model, name: &str, threads: usize, row: &Row) -> serde_json::Value {
        json!({
            "build": env!("CARGO_PKG_VERSION"),
            "cpu_info": cpu::describe(),
            "model_filename": name,
            "model_type": format!("{} {}", model.info.arch, model.info.quantization),
            "model_size": model.info.bytes,
            "model_n_params": model.info.parameters,
            "n_batch": self.batch,
            "n_threads": threads,
            "n_prompt": row.prompt,
            "n_gen": row.generate,
            "n_depth": row.depth,
            "avg_ns": row.timing.mean_ns(),
            "stddev_ns": row.timing.deviation_ns(),
            "avg_ts": row.timing.rate().0,
            "stddev_ts": row.timing.rate().1,
            "samples_ns": row.timing.nanoseconds(),
            "samples_ts": row.timing.rates(),
        })
    }
}

fn header() -> String {
    format!(
        "| {:30} | {:>10} | {:>8} | {:>7} | {:>14} | {:>18} |\n| {:-<30} | {:->9}: | {:->7}: | {:->6}: | {:->13}: | {:->17}: |\n",
        "model", "size", "params", "threads", "test", "t/s", "", "", "", "", "", ""
    )
}

fn line(model: &Model, name: &str, threads: usize, row: &Row) -> String {
    let (mean, deviation) = row.timing.rate();
    let model_column = format!("{name} {}", model.info.quantization);
    let size = format!("{:.2} MiB", model.info.bytes as f64 / f64::from(1 << 20));
    let parameters = format!("{:.2} M", model.info.parameters as f64 / 1e6);
    let rate = format!("{mean:.2} ± {deviation:.2}");
    format!(
        "| {model_column:30} | {size:>10} | {parameters:>8} | {threads:>7} | {:>14} | {rate:>18} |\n",
        row.test()
    )
}
