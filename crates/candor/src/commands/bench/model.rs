//! `candor bench`: tokens per second of prefill and decode, in the shape of llama-bench, beside what the machine allows. The
//! model is called directly, without queue, sampling or network, so the figures are those of the arithmetic.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::bail;
use candor_kernels::{cpu, probe};
use candor_model::Model;
use clap::Args;
use serde_json::json;

use crate::bench::{Bound, Floor, Room, Runner, Timing, peak_line};
use crate::context::Context;
use crate::open::{self, EngineArgs};
use crate::terminal::print;

/// More streams than this are a server's load, not a model's.
const MOST_STREAMS: usize = 1024;

/// Options of a bench of models.
#[derive(Debug, Args)]
pub(crate) struct ModelBench {
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
    /// Answers that are written at once, each in a context of its own; t/s are those of all together
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1")]
    parallel: Vec<usize>,
    /// First tokens of context that all these answers share, computed once; a smaller -d counts as this
    #[arg(long, value_name = "N", default_value_t = 0)]
    shared_prefix: usize,
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

/// What is timed.
#[derive(Debug, Clone, Copy)]
struct Test {
    prompt: usize,
    generate: usize,
    /// Answers at once.
    parallel: usize,
    depth: usize,
    shared: usize,
}

impl Test {
    fn tokens(&self) -> usize {
        self.prompt + self.generate * self.parallel
    }

    fn name(&self) -> String {
        let mut name = if self.prompt > 0 {
            format!("pp{}", self.prompt)
        } else {
            format!("tg{}", self.generate)
        };
        if self.parallel > 1 {
            name += &format!(" x{}", self.parallel);
        }
        if self.depth > 0 {
            name += &format!(" @ d{}", self.depth);
        }
        if self.shared > 0 && self.parallel > 1 {
            name += &format!(" s{}", self.shared);
        }
        name
    }

    fn run(&self, runner: &mut Runner) {
        if self.prompt > 0 {
            runner.prefill(self.depth, self.prompt);
        } else {
            runner.decode(self.depth, self.generate, self.parallel);
        }
    }

    /// Tokens per second at most, and what stands against more.
    fn floor(&self, floor: &Floor, batch: usize) -> (f64, Bound) {
        if self.prompt > 0 {
            floor.prefill(self.prompt, batch)
        } else {
            floor.decode(self.parallel)
        }
    }
}

/// One line of the table.
struct Row {
    test: Test,
    timing: Timing,
    floor: (f64, Bound),
}

/// A model whose rows are being made.
struct Subject<'a> {
    model: &'a Model,
    name: &'a str,
    threads: usize,
    floor: Floor,
}

impl ModelBench {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        if self.batch == 0 || self.repetitions == 0 {
            bail!("--batch-size and --repetitions take 1 or more");
        }
        if self.parallel.iter().any(|n| !(1..=MOST_STREAMS).contains(n)) {
            bail!("--parallel takes 1 to {MOST_STREAMS}");
        }
        let runtime = crate::runtime::start()?;
        let wanted: Vec<Option<&str>> = match self.models.as_slice() {
            [] => vec![None],
            some => some.iter().map(|name| Some(name.as_str())).collect(),
        };
        if self.engine.speculate.is_some() || self.engine.draft.is_some() {
            bail!(
                "the model is called below where answers are guessed ahead; leave --speculate and --draft out, `candor bench speculate` shows what guessing gains"
            );
        }
        let threads = open::threads(context, &self.engine);
        let (mut report, mut notes) = (Vec::new(), String::new());
        let mut peak = None;
        for (number, what) in wanted.into_iter().enumerate() {
            let found = runtime.block_on(open::resolve(context, what))?;
            let options = open::load_options(context, &self.engine);
            let model = Model::open(&found.path, &options)?;
            let Some(decoder) = model.decoder() else {
                bail!(
                    "{} makes embeddings and no text; there is nothing to time yet",
                    found.name
                );
            };
            let mut runner = Runner::new(decoder.clone(), threads, self.room(), self.batch)?;
            runner.check()?;
            if number == 0 {
                peak = probe::int8_peak(runner.team());
                self.head(peak)?;
            }
            let subject = Subject {
                model: &model,
                name: &found.name,
                threads,
                floor: Floor::measure(runner.team(), model.info.work, peak)?,
            };
            for row in self.rows(&mut runner, &subject.floor) {
                if self.json {
                    report.push(self.json_row(&subject, &row));
                } else {
                    print(&subject.line(&row))?;
                }
            }
            notes += &format!("{}: {}.\n", found.name, subject.floor.basis());
        }
        if self.json {
            print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
        } else {
            print(&format!("\n{notes}"))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn head(&self, peak: Option<probe::Int8Peak>) -> anyhow::Result<()> {
        if self.json {
            return Ok(());
        }
        print(&format!(
            "candor {}, {}; {}\n\n{}",
            env!("CARGO_PKG_VERSION"),
            cpu::describe(),
            peak_line(peak),
            header()
        ))?;
        Ok(())
    }

    fn depths(&self) -> Vec<usize> {
        let mut depths: Vec<usize> = self.depth.iter().map(|depth| *depth.max(&self.shared_prefix)).collect();
        depths.dedup();
        depths
    }

    fn room(&self) -> Room {
        let most = |values: &[usize]| values.iter().copied().max().unwrap_or(0);
        Room {
            longest: most(&self.depths()).saturating_add(most(&self.prompt).max(most(&self.generate))),
            streams: most(&self.parallel),
            shared: self.shared_prefix,
        }
    }

    /// The tests after `depth` tokens: prompts first, then answers by how many are written at once.
    fn tests(&self, depth: usize) -> Vec<Test> {
        let test = |prompt, generate, parallel| Test {
            prompt,
            generate,
            parallel,
            depth,
            shared: self.shared_prefix,
        };
        let prompts = self.prompt.iter().map(|n| test(*n, 0, 1));
        let answers = self
            .generate
            .iter()
            .flat_map(|n| self.parallel.iter().map(move |x| (*n, *x)));
        let answers = answers.map(|(n, x)| test(0, n, x));
        prompts.chain(answers).filter(|test| test.tokens() > 0).collect()
    }

    /// Tests are run round by round, so that a machine that slows down slows all of them.
    fn rows(&self, runner: &mut Runner, floor: &Floor) -> Vec<Row> {
        let mut rows = Vec::new();
        for depth in self.depths() {
            runner.fill(depth);
            let tests = self.tests(depth);
            let mut samples = vec![Vec::new(); tests.len()];
            for round in 0..=self.repetitions {
                for (test, samples) in tests.iter().zip(&mut samples) {
                    let start = Instant::now();
                    test.run(runner);
                    if round > 0 {
                        samples.push(start.elapsed()); // the first round warms up
                    }
                }
            }
            rows.extend(tests.into_iter().zip(samples).map(|(test, samples)| Row {
                test,
                timing: Timing::new(samples, test.tokens()),
                floor: test.floor(floor, self.batch),
            }));
        }
        rows
    }

    fn json_row(&self, subject: &Subject<'_>, row: &Row) -> serde_json::Value {
        let (info, Floor { work, read_rate, peak }) = (&subject.model.info, subject.floor);
        let (mean, deviation) = row.timing.rate();
        json!({
            "build": env!("CARGO_PKG_VERSION"),
            "cpu_info": cpu::describe(),
            "model_filename": subject.name,
            "model_type": format!("{} {}", info.arch, info.quantization),
            "model_size": info.bytes,
            "model_n_params": info.parameters,
            "n_batch": self.batch,
            "n_threads": subject.threads,
            "n_prompt": row.test.prompt,
            "n_gen": row.test.generate,
            "n_depth": row.test.depth,
            "n_parallel": row.test.parallel,
            "n_shared": row.test.shared,
            "avg_ns": row.timing.mean_ns(),
            "stddev_ns": row.timing.deviation_ns(),
            "avg_ts": mean,
            "stddev_ts": deviation,
            "samples_ns": row.timing.nanoseconds(),
            "samples_ts": row.timing.rates(),
            "floor_ts": row.floor.0,
            "floor_bound": row.floor.1.name(),
            "of_floor": mean / row.floor.0,
            "floor_weight_bytes": work.bytes,
            "floor_multiply_adds": work.multiply_adds + work.head_multiply_adds,
            "floor_read_bytes_per_second": read_rate,
            "floor_int8_probe": peak.map(|peak| peak.instruction),
            "floor_int8_per_second": peak.map(|peak| peak.per_second),
        })
    }
}

impl Subject<'_> {
    fn line(&self, row: &Row) -> String {
        let info = &self.model.info;
        let (mean, deviation) = row.timing.rate();
        let model = format!("{} {}", self.name, info.quantization);
        let size = format!("{:.2} MiB", info.bytes as f64 / f64::from(1 << 20));
        let parameters = format!("{:.2} M", info.parameters as f64 / 1e6);
        let rate = format!("{mean:.2} ± {deviation:.2}");
        let floor = format!("{:.0} ({})", row.floor.0, row.floor.1.name());
        let part = format!("{:.0} %", 100.0 * mean / row.floor.0);
        let (threads, test) = (self.threads, row.test.name());
        format!(
            "| {model:30} | {size:>10} | {parameters:>8} | {threads:>7} | {test:>16} | {rate:>18} | {floor:>20} | {part:>10} |\n"
        )
    }
}

fn header() -> String {
    format!(
        "| {:30} | {:>10} | {:>8} | {:>7} | {:>16} | {:>18} | {:>20} | {:>10} |\n| {:-<30} | {:->9}: | {:->7}: | {:->6}: | {:->15}: | {:->17}: | {:->19}: | {:->9}: |\n",
        "model",
        "size",
        "params",
        "threads",
        "test",
        "t/s",
        "at most t/s",
        "% of floor",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        ""
    )
}
