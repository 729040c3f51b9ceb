//! `candor bench serve`: any OpenAI-compatible server under load.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::bench::arrivals::{self, Pace};
use crate::bench::client::Client;
use crate::bench::load::{self, Load, Outcome};
use crate::bench::plot;
use crate::bench::report::{self, Figures};
use crate::bench::trace::{self, Ask, MOST_REQUESTS, MOST_TOKENS, Reading};
use crate::terminal::{print, printable};

/// Requests that are made up where nobody says how many.
const REQUESTS: usize = 64;
/// Tokens of their prompts.
const PROMPT: usize = 256;
/// Clients where neither they, nor a rate, nor times are given.
const CLIENTS: usize = 8;
/// More connections than this no system gives.
const MOST_CLIENTS: usize = 10_000;
/// Models that are tried for one that writes text.
const MOST_TRIED: usize = 8;

/// Measure an OpenAI-compatible server under load: requests and tokens per second, and how long people wait
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  candor bench serve                        64 requests by 8 clients, to http://127.0.0.1:8080
  candor bench serve --clients 1,4,16 --prompt-tokens 512 --output-tokens 128
  candor bench serve --rate 2.5 --requests 200 --json run.json --plot run.svg
  candor bench serve --rate inf             all at once
  candor bench serve --shared-prefix 1024 --prompt-tokens 1280
  candor bench serve --url http://127.0.0.1:8000 --chat --trace ShareGPT.json -n 500 --rate 4
  candor bench serve --trace conversation_trace.jsonl --timestamps ms --block-tokens 512

Pace. --clients: each asks again when it has its answer. --rate: requests come whether or not
earlier ones are answered, at the random times of a Poisson process. A trace with times is
replayed at these; --rate then stretches them until they have that rate on average (bursts stay
bursts), `--rate inf` drops them, and so does --clients.

Traces are read by what is in them: ShareGPT (JSON), the JSONL of vllm bench (prompt,
output_tokens), timed traces (timestamp, input_length, output_length, hash_ids), BurstGPT (CSV),
guidellm's data sets (prompt, prompt_tokens_count, output_tokens_count) and saved benchmarks.
Where a trace says only how long a prompt is, it is made of that many common words; what the
server counted is what is reported. Requests with the same hash_ids begin with the same words.

Several numbers are several runs, each with words of its own. Ask a server a second time with
another --seed, or it may find the prompts in its prefix cache (the table says how many tokens).

Times are the client's: to the first event with text, between events with text, and to the end.
One short request is sent first and not counted. Ctrl-C ends the run and reports what is finished.")]
pub(crate) struct Serve {
    /// The server's address, with or without /v1
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// The model to ask; default: the first that the server lists and that writes text
    #[arg(short, long, value_name = "NAME")]
    model: Option<String>,
    /// The environment variable that holds the server's key
    #[arg(long, value_name = "NAME")]
    key_env: Option<String>,
    /// Ask /v1/chat/completions instead of /v1/completions
    #[arg(long)]
    chat: bool,
    /// Let answers end where the model ends them: leave out `ignore_eos`, which some servers refuse
    #[arg(long)]
    no_ignore_eos: bool,
    /// Send the requests of this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prompt_tokens", "shared_prefix"])]
    trace: Option<PathBuf>,
    /// How many requests; default: 64, or as many as the trace has
    #[arg(short = 'n', long, value_name = "N")]
    requests: Option<usize>,
    /// Words of each prompt, about a token each; default: 256
    #[arg(long, value_name = "N")]
    prompt_tokens: Option<usize>,
    /// Tokens of each answer; default: what the trace says, or 128
    #[arg(long, value_name = "N")]
    output_tokens: Option<u32>,
    /// First words that all prompts share
    #[arg(long, value_name = "N", default_value_t = 0)]
    shared_prefix: usize,
    /// So many clients ask one request after the other; several numbers are several runs; default: 8
    #[arg(short = 'c', long, value_name = "N", value_delimiter = ',', conflicts_with = "rate")]
    clients: Vec<usize>,
    /// Requests per second, whether or not earlier ones are answered; `inf` is all at once; several are several runs
    #[arg(long, value_name = "R", value_delimiter = ',')]
    rate: Vec<f64>,
    /// Decides words and times
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The unit of a trace's `timestamp`
    #[arg(long, value_name = "UNIT", default_value = "s")]
    timestamps: Unit,
    /// Tokens that each of a trace's `hash_ids` stands for: 16, in Mooncake's traces 512
    #[arg(long, value_name = "N", default_value_t = 16)]
    block_tokens: usize,
    /// The most seconds that one request may take
    #[arg(long, value_name = "SECONDS", default_value_t = 600.0)]
    timeout: f64,
    /// Write figures and every request here, in the names of `vllm bench serve`; `-` is stdout, without the table
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw waiting times and requests here, as SVG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

/// What a trace counts time in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Unit {
    /// Seconds
    S,
    /// Milliseconds
    Ms,
}

impl Serve {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        self.checked()?;
        crate::runtime::start()?.block_on(self.measure())
    }

    /// A sentence where a number makes no sense.
    fn checked(&self) -> anyhow::Result<()> {
        let tokens = [
            self.prompt_tokens,
            Some(self.shared_prefix),
            self.output_tokens.map(|n| n as usize),
        ];
        if tokens.into_iter().flatten().any(|n| n as u64 > MOST_TOKENS) {
            bail!("a prompt or an answer has at most {MOST_TOKENS} tokens");
        }
        if self.requests.is_some_and(|n| !(1..=MOST_REQUESTS).contains(&n)) {
            bail!("--requests takes 1 to {MOST_REQUESTS}");
        }
        if self.clients.iter().any(|n| !(1..=MOST_CLIENTS).contains(n)) {
            bail!("--clients takes 1 to {MOST_CLIENTS}");
        }
        if self.rate.iter().any(|rate| rate.is_nan() || *rate <= 0.0) {
            bail!("--rate takes a number of requests per second above 0, or `inf`");
        }
        if self.block_tokens == 0 {
            bail!("--block-tokens takes 1 or more");
        }
        if !(self.timeout.is_finite() && self.timeout > 0.0) {
            bail!("--timeout takes a number of seconds above 0");
        }
        if self.shared_prefix > self.prompt_tokens.unwrap_or(PROMPT) {
            bail!("--shared-prefix is a part of --prompt-tokens and cannot be longer");
        }
        Ok(())
    }

    /// What to send.
    fn load(&self) -> anyhow::Result<Load> {
        let mut reading = Reading {
            seed: self.seed,
            block: self.block_tokens,
            unit_s: if self.timestamps == Unit::Ms { 1e-3 } else { 1.0 },
        };
        let asks = match &self.trace {
            Some(path) => trace::read(path, self.requests.unwrap_or(MOST_REQUESTS), &reading)?,
            None => {
                let (requests, prompt) = (self.requests.unwrap_or(REQUESTS), self.prompt_tokens.unwrap_or(PROMPT));
                let (asks, block) = trace::made_up(requests, prompt, load::ANSWER, self.shared_prefix);
                reading.block = block.max(1);
                asks
            }
        };
        Ok(Load {
            asks: Arc::new(asks),
            reading,
            output: self.output_tokens,
        })
    }

    /// One pace for each run.
    fn paces(&self, asks: &[Ask]) -> Vec<Pace> {
        let at = |rate| Pace::At(arrivals::times(asks, rate, self.seed));
        if !self.rate.is_empty() {
            return self.rate.iter().map(|rate| at(Some(*rate))).collect();
        }
        match self.clients.as_slice() {
            [] if asks.iter().any(|ask| ask.at.is_some()) => vec![at(None)],
            [] => vec![Pace::Clients(CLIENTS)],
            some => some.iter().map(|clients| Pace::Clients(*clients)).collect(),
        }
    }

    async fn measure(&self) -> anyhow::Result<ExitCode> {
        let all = self.load()?;
        let client = self.client().await?;
        let paces = self.paces(&all.asks);
        let (mut reports, mut answered, runs) = (Vec::new(), 0, paces.len());
        for (number, pace) in paces.into_iter().enumerate() {
            let (rate, load) = (self.rate.get(number).copied(), Arc::new(all.again(number as u64)));
            let what = described(&pace, rate, load.asks.len());
            let outcome = self.one(&client, &load, pace.clone()).await;
            let figures = Figures::new(&outcome);
            answered += figures.completed;
            let title = printable(&format!("{} at {}", client.model, self.url));
            if self.json.as_deref() != Some(Path::new("-")) {
                let stopped = if outcome.stopped {
                    "; stopped, with what was finished"
                } else {
                    ""
                };
                print(&format!(
                    "{title}\n{what}{stopped}\n\n{}\n",
                    printable(&figures.table())
                ))?;
            }
            if let Some(path) = &self.plot {
                let path = numbered(path, number, runs);
                let picture = plot::picture(&format!("{title}, {what}"), &outcome, &figures);
                std::fs::write(&path, picture).with_context(|| format!("{} cannot be written", path.display()))?;
            }
            reports.push(self.report(&client, &load, &pace, rate, &outcome, &figures));
            if outcome.stopped {
                break;
            }
        }
        self.write(reports)?;
        Ok(if answered > 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    async fn client(&self) -> anyhow::Result<Client> {
        let key = match &self.key_env {
            Some(name) => {
                Some(std::env::var(name).with_context(|| format!("the environment variable `{name}` holds no key"))?)
            }
            None => None,
        };
        let mut client = Client::new(&self.url, key.as_deref(), Duration::from_secs_f64(self.timeout))?;
        client.chat = self.chat;
        client.ignore_eos = !self.no_ignore_eos;
        let models = match &self.model {
            Some(model) => vec![model.clone()],
            None => client.models().await?,
        };
        // One request that is not counted: it says at once what is wrong, and wakes what sleeps. Models that make embeddings
        // are listed too and refuse it.
        let mut refused = None;
        for model in models.into_iter().take(MOST_TRIED) {
            client.model = model;
            match client.ask("Hello", 1).await {
                Ok(_) => return Ok(client),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        let refused = refused.map_or_else(String::new, |error| format!(": {error}"));
        bail!("{} does not answer{refused}", self.url)
    }

    async fn one(&self, client: &Client, load: &Arc<Load>, pace: Pace) -> Outcome {
        let bar = ProgressBar::new(load.asks.len() as u64);
        if let Ok(look) = ProgressStyle::with_template("{bar:28} {pos} of {len} answered, {msg} under way {elapsed:>4}")
        {
            bar.set_style(look.progress_chars("━╸─"));
        }
        let step = |begun: usize, ended: usize| {
            bar.set_position(ended as u64);
            bar.set_message((begun - ended).to_string());
        };
        let stop = async {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let outcome = load::run(client, load.clone(), pace, stop, step).await;
        bar.finish_and_clear();
        outcome
    }

    /// A run, for programs.
    fn report(
        &self,
        client: &Client,
        load: &Load,
        pace: &Pace,
        rate: Option<f64>,
        outcome: &Outcome,
        figures: &Figures,
    ) -> Value {
        let clients = match pace {
            Pace::Clients(clients) => Some(*clients),
            Pace::At(_) => None,
        };
        let timed = load.asks.iter().any(|ask| ask.at.is_some());
        let rate = match rate {
            Some(rate) if rate.is_finite() => json!(rate),
            None if clients.is_none() && timed => json!("trace"),
            _ => json!("inf"),
        };
        let date = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let mut fields = json!({
            "date": date,
            "endpoint_type": if client.chat { "openai-chat" } else { "openai" },
            "label": format!("candor {}", env!("CARGO_PKG_VERSION")),
            "model_id": client.model,
            "url": self.url,
            "trace": self.trace.as_ref().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned())),
            "num_prompts": load.asks.len(),
            "request_rate": rate,
            "burstiness": 1.0,
            "max_concurrency": clients,
            "ignore_eos": client.ignore_eos,
            "seed": load.reading.seed,
            "stopped": outcome.stopped,
        });
        if let Value::Object(all) = &mut fields {
            all.extend(figures.json());
            all.extend(report::details(&outcome.records));
        }
        fields
    }

    /// One run as itself, several as a list.
    fn write(&self, mut reports: Vec<Value>) -> anyhow::Result<()> {
        let Some(path) = &self.json else {
            return Ok(());
        };
        let value = match reports.len() {
            1 => reports.remove(0),
            _ => Value::from(reports),
        };
        let text = format!("{}\n", serde_json::to_string_pretty(&value)?);
        if path == Path::new("-") {
            return Ok(print(&text)?);
        }
        std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
    }
}

fn described(pace: &Pace, rate: Option<f64>, requests: usize) -> String {
    match (pace, rate) {
        (Pace::Clients(1), _) => format!("{requests} requests, 1 client"),
        (Pace::Clients(clients), _) => format!("{requests} requests, {clients} clients"),
        (Pace::At(_), Some(rate)) if rate.is_infinite() => format!("{requests} requests at once"),
        (Pace::At(_), Some(rate)) => format!("{requests} requests, {rate} per second"),
        (Pace::At(_), None) => format!("{requests} requests, at the trace's times"),
    }
}

/// The file of one run of several: `run.svg`, `run-2.svg`, ….
fn numbered(path: &Path, number: usize, of: usize) -> PathBuf {
    if of < 2 || number == 0 {
        return path.to_owned();
    }
    let stem = path
        .file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let ending = path
        .extension()
        .map_or_else(String::new, |ending| format!(".{}", ending.to_string_lossy()));
    path.with_file_name(format!("{stem}-{}{ending}", number + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_of_several_has_a_picture_of_its_own() {
        let file = Path::new("a/run.svg");
        assert_eq!(numbered(file, 0, 3), Path::new("a/run.svg"));
        assert_eq!(numbered(file, 2, 3), Path::new("a/run-3.svg"));
    }
}
