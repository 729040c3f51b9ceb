//! What to ask a server: made up, or read from the files that other benches read. All of them are told apart by what is
//! in them, not by their names:
//!
//! | file | fields |
//! | --- | --- |
//! | ShareGPT, a JSON list | `conversations`: the first turn's `value` is the prompt, the second's says how long the answer is |
//! | custom JSONL of vLLM | `prompt`, `output_tokens` |
//! | timed trace, JSONL of vLLM, guidellm, Mooncake | `timestamp`, `input_length`, `output_length`, `hash_ids` |
//! | BurstGPT, CSV | `Timestamp`, `Request tokens`, `Response tokens` |
//! | guidellm's data sets, JSONL or CSV | `prompt` and its like, `prompt_tokens_count`, `output_tokens_count` |
//! | guidellm's saved benchmarks, JSON | `benchmarks[].requests.successful[]` |
//!
//! A trace comes from outside: sizes are bounded, and what cannot be read is an error that names the line.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::de::{Deserializer as _, Error as _, IgnoredAny, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::words;

/// Largest file.
const MOST_BYTES: u64 = 1 << 30;
/// Most requests of a file.
pub(crate) const MOST_REQUESTS: usize = 1_000_000;
/// Most tokens of a prompt or an answer.
pub(crate) const MOST_TOKENS: u64 = 10_000_000;
/// Letters of an English token, where only the text of an answer is known.
const LETTERS_PER_TOKEN: usize = 4;

/// A request to send.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ask {
    pub(crate) prompt: Prompt,
    /// Tokens of answer, where the trace says it.
    pub(crate) output_tokens: Option<u32>,
    /// Seconds after the trace's first request.
    pub(crate) at: Option<f64>,
}

/// A prompt, or how to make one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Prompt {
    Text(String),
    /// So many words; those of `shared` are the same in all requests with the same numbers.
    Words {
        count: usize,
        shared: Vec<u64>,
    },
}

/// How to make the prompts that a trace does not hold, and read its times.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) seed: u64,
    /// Tokens that each number of `hash_ids` stands for.
    pub(crate) block: usize,
    /// Seconds of a unit of `timestamp`.
    pub(crate) unit_s: f64,
}

impl Ask {
    /// The text to send; `number` makes it differ from all others.
    pub(crate) fn text(&self, number: usize, reading: &Reading) -> String {
        let (count, shared) = match &self.prompt {
            Prompt::Text(text) => return text.clone(),
            Prompt::Words { count, shared } => (*count, shared),
        };
        let mut text = String::new();
        let mut left = count;
        for id in shared {
            let part = left.min(reading.block);
            if part == 0 {
                break;
            }
            // Even streams are blocks, odd ones the rest: no two are the same.
            words::append(&mut text, part, &mut words::random(reading.seed, id.wrapping_mul(2)));
            left -= part;
        }
        let own = (number as u64).wrapping_mul(2).wrapping_add(1);
        words::append(&mut text, left, &mut words::random(reading.seed, own));
        text.trim_start().to_owned()
    }
}

/// Requests of the same shape, whose first `shared` words are the same.
pub(crate) fn made_up(requests: usize, prompt: usize, output: u32, shared: usize) -> (Vec<Ask>, usize) {
    let ask = Ask {
        prompt: Prompt::Words {
            count: prompt,
            shared: if shared > 0 { vec![0] } else { Vec::new() },
        },
        output_tokens: Some(output),
        at: None,
    };
    (vec![ask; requests], shared)
}

/// Reads the file at `path`, `most` requests at most.
pub(crate) fn read(path: &Path, most: usize, reading: &Reading) -> anyhow::Result<Vec<Ask>> {
    let shown = path.display();
    let file = std::fs::File::open(path).with_context(|| format!("{shown} cannot be read"))?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("{shown} cannot be read"))?;
    if bytes.len() as u64 > MOST_BYTES {
        bail!("{shown} is larger than {} MiB; take its first lines", MOST_BYTES >> 20);
    }
    let text = String::from_utf8(bytes).map_err(|_| anyhow::anyhow!("{shown} is not UTF-8 text"))?;
    parse(&text, most.min(MOST_REQUESTS), reading).with_context(|| format!("{shown} cannot be used"))
}

fn parse(text: &str, most: usize, reading: &Reading) -> anyhow::Result<Vec<Ask>> {
    let text = text.trim_start_matches('\u{feff}');
    let mut asks = match text.trim_start().chars().next() {
        Some('[') => whole(text, most)?,
        Some('{') => match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(report)) if report.contains_key("benchmarks") => saved(&report, most)?,
            _ => lines(text, most, reading)?,
        },
        Some(_) => table(text, most, reading)?,
        None => Vec::new(),
    };
    if asks.is_empty() {
        bail!("there is no request in it");
    }
    let first = asks.iter().filter_map(|ask| ask.at).fold(f64::INFINITY, f64::min);
    asks.iter_mut().for_each(|ask| ask.at = ask.at.map(|at| at - first));
    if asks.iter().any(|ask| ask.at.is_none()) {
        asks.iter_mut().for_each(|ask| ask.at = None); // times that some lack are no times
    }
    asks.sort_by(|a, b| a.at.unwrap_or(0.0).total_cmp(&b.at.unwrap_or(0.0)));
    Ok(asks)
}

/// A JSON list: conversations, or requests. One entry is in memory at a time.
fn whole(text: &str, most: usize) -> anyhow::Result<Vec<Ask>> {
    let mut json = serde_json::Deserializer::from_str(text);
    let asks = json.deserialize_seq(Entries { most });
    asks.map_err(|error| anyhow::anyhow!("{error}"))
}

struct Entries {
    most: usize,
}

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<Ask>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of conversations or requests")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Vec<Ask>, A::Error> {
        let (mut asks, mut number) = (Vec::new(), 0);
        while asks.len() < self.most {
            let Some(entry) = entries.next_element::<Map<String, Value>>()? else {
                return Ok(asks);
            };
            number += 1;
            let ask = match entry.get("conversations") {
                Some(turns) => conversation(turns),
                None => one(&entry, 1.0).map(Some),
            };
            asks.extend(ask.map_err(|error| A::Error::custom(format!("entry {number}: {error:#}")))?);
        }
        while entries.next_element::<IgnoredAny>()?.is_some() {}
        Ok(asks)
    }
}

/// The first turn and the length of the second; nothing where there are fewer.
fn conversation(turns: &Value) -> anyhow::Result<Option<Ask>> {
    let turns = turns.as_array().context("`conversations` is no list")?;
    let [first, second, ..] = turns.as_slice() else {
        return Ok(None);
    };
    let text = |turn: &Value| Some(turn.get("value")?.as_str()?.to_owned());
    let prompt = text(first).context("its first turn has no `value`")?;
    let answer = text(second).context("its second turn has no `value`")?;
    let tokens = answer.chars().count().div_ceil(LETTERS_PER_TOKEN).max(1);
    Ok((!prompt.is_empty()).then_some(Ask {
        prompt: Prompt::Text(prompt),
        output_tokens: u32::try_from(tokens).ok(),
        at: None,
    }))
}

/// A JSON object a line.
fn lines(text: &str, most: usize, reading: &Reading) -> anyhow::Result<Vec<Ask>> {
    let filled = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    filled
        .take(most)
        .map(|(number, line)| {
            serde_json::from_str::<Map<String, Value>>(line)
                .context("it is no JSON object")
                .and_then(|fields| one(&fields, reading.unit_s))
                .with_context(|| format!("line {}", number + 1))
        })
        .collect()
}

/// A table with a header.
fn table(text: &str, most: usize, reading: &Reading) -> anyhow::Result<Vec<Ask>> {
    let mut table = csv::Reader::from_reader(text.as_bytes());
    let names: Vec<String> = table.headers().context("line 1")?.iter().map(str::to_owned).collect();
    let mut asks = Vec::new();
    for row in table.records() {
        if asks.len() == most {
            break;
        }
        let row = row.map_err(|error| anyhow::anyhow!("it is no table: {error}"))?;
        let line = row.position().map_or(0, csv::Position::line);
        let fields = names.iter().zip(row.iter());
        let fields = fields
            .map(|(name, cell)| (name.clone(), Value::String(cell.to_owned())))
            .collect();
        let ask = one(&fields, reading.unit_s).with_context(|| format!("line {line}"))?;
        // BurstGPT keeps requests that failed, with no answer.
        if ask.output_tokens != Some(0) {
            asks.push(ask);
        }
    }
    Ok(asks)
}

/// What guidellm saved of its runs: the requests that succeeded.
fn saved(report: &Map<String, Value>, most: usize) -> anyhow::Result<Vec<Ask>> {
    let runs = report
        .get("benchmarks")
        .and_then(Value::as_array)
        .context("`benchmarks` is no list")?;
    let requests = runs
        .iter()
        .filter_map(|run| run.get("requests")?.get("successful")?.as_array());
    let count = |request: &Value, name: &str, nested: &str| {
        let value = request.get(name).or_else(|| request.get(nested)?.get("text_tokens"));
        value
            .and_then(Value::as_u64)
            .filter(|tokens| (1..=MOST_TOKENS).contains(tokens))
    };
    requests
        .flatten()
        .take(most)
        .enumerate()
        .map(|(number, request)| {
            let tokens = count(request, "prompt_tokens", "input_metrics");
            let prompt = match request.get("prompt").and_then(Value::as_str) {
                Some(text) if !text.is_empty() => Prompt::Text(text.to_owned()),
                _ => Prompt::Words {
                    count: tokens.with_context(|| format!("request {} has no prompt and no length", number + 1))?
                        as usize,
                    shared: Vec::new(),
                },
            };
            let output = count(request, "output_tokens", "output_metrics");
            Ok(Ask {
                prompt,
                output_tokens: output.and_then(|tokens| u32::try_from(tokens).ok()),
                at: None,
            })
        })
        .collect()
}

const PROMPT: [&str; 4] = ["prompt", "text_input", "instruction", "question"];
const INPUT: [&str; 6] = [
    "input_length",
    "prompt_tokens_count",
    "input_tokens_count",
    "prompt_tokens",
    "input_tokens",
    "Request tokens",
];
const OUTPUT: [&str; 6] = [
    "output_length",
    "output_tokens",
    "output_tokens_count",
    "completion_tokens_count",
    "completion_tokens",
    "Response tokens",
];
const TIME: [&str; 2] = ["timestamp", "Timestamp"];

/// A line's request, by the names that its fields have.
fn one(fields: &Map<String, Value>, unit_s: f64) -> anyhow::Result<Ask> {
    let input = tokens(fields, &INPUT)?;
    let text = find(fields, &PROMPT).map(|(name, value)| {
        let text = value.as_str().with_context(|| format!("`{name}` is no text"))?;
        anyhow::Ok(text.to_owned())
    });
    let prompt = match (text.transpose()?, input) {
        (Some(text), _) if !text.is_empty() => Prompt::Text(text),
        (_, Some(count)) => Prompt::Words {
            count: count.max(1) as usize,
            shared: blocks(fields)?,
        },
        (Some(_), None) => bail!("its prompt is empty"),
        (None, None) => bail!("it has no prompt and no length; fields such as `prompt` or `input_length` are known"),
    };
    let at = match find(fields, &TIME) {
        Some((name, value)) => {
            let at = number(value).filter(|at| at.is_finite() && at.abs() < 1e15);
            Some(at.with_context(|| format!("`{name}` is no time"))? * unit_s)
        }
        None => None,
    };
    Ok(Ask {
        prompt,
        output_tokens: tokens(fields, &OUTPUT)?.and_then(|tokens| u32::try_from(tokens).ok()),
        at,
    })
}

fn find<'a>(fields: &'a Map<String, Value>, names: &[&'static str]) -> Option<(&'static str, &'a Value)> {
    let mut found = names.iter().filter_map(|name| Some((*name, fields.get(*name)?)));
    found.find(|(_, value)| !value.is_null())
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// A count of tokens; one that is negative, too large or no number is an error.
fn tokens(fields: &Map<String, Value>, names: &[&'static str]) -> anyhow::Result<Option<u64>> {
    let Some((name, value)) = find(fields, names) else {
        return Ok(None);
    };
    match number(value) {
        Some(count) if (0.0..=MOST_TOKENS as f64).contains(&count) => Ok(Some(count as u64)),
        _ => bail!("`{name}` is no count of tokens from 0 to {MOST_TOKENS}"),
    }
}

fn blocks(fields: &Map<String, Value>) -> anyhow::Result<Vec<u64>> {
    let Some(ids) = fields.get("hash_ids").filter(|ids| !ids.is_null()) else {
        return Ok(Vec::new());
    };
    // Ids may be numbers of 64 bits with a sign; all that matters is which are equal.
    let id = |id: &Value| id.as_u64().or_else(|| Some(id.as_i64()? as u64));
    let ids = ids
        .as_array()
        .map(|ids| ids.iter().map(id).collect::<Option<Vec<u64>>>());
    ids.flatten().context("`hash_ids` is no list of whole numbers")
}

#[cfg(test)]
#[path = "trace_tests.rs"]
mod tests;
