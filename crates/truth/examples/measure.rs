//! Measures retrieval; `runs/truth/measure.py` runs it beside a Python stack and explains the figures. Prints JSON.
//!
//!     measure quality MODEL PARAGRAPHS.jsonl           recall and nDCG of each stage on span questions
//!     measure signals MODEL PARAGRAPHS.jsonl           what the reranker goes by, for `runs/truth/rerank.py`
//!     measure ingest MODEL|- FOLDER HOME               seconds to import a folder, with vectors or without
//!     measure fill FOLDER HOME                         imports with made-up vectors, for `latency`
//!     measure latency MODEL HOME QUESTIONS.txt         milliseconds of a question, stage by stage
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use candor_engine::{
    Abilities, EmbedInput, Embeddings, EngineError, EngineOptions, EventStream, GenerateRequest, Generator, Local,
    ModelCard, Tokenized,
};
use candor_kernels::team::Team;
use candor_model::PairEncoder;
use candor_store::{NewSource, NewText, Store};
use candor_truth::ingest::Importer;
use candor_truth::rerank::{READ, rerank, signals};
use candor_truth::{Embedder, Encoders, Index, Library, PlainText, Query, Stages};
use candor_wire::chat::{Message, Tool};
use serde_json::{Value, json};

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["quality", model, paragraphs] => quality(model, paragraphs).await,
        ["signals", model, paragraphs] => signals_of(model, paragraphs).await,
        ["ingest", model, folder, home] => ingest(embedder(model), folder, home).await,
        ["fill", folder, home] => ingest(Some(Embedder::new(Arc::new(MadeUp)).unwrap()), folder, home).await,
        ["encode", model, weights, paragraphs] => encode(model, Path::new(weights), paragraphs).await,
        ["latency", model, home, questions] => latency(model, home, questions).await,
        _ => {
            json!({ "error": "quality MODEL FILE | signals MODEL FILE | encode MODEL WEIGHTS FILE | ingest MODEL|- FOLDER HOME | fill FOLDER HOME | latency MODEL HOME FILE" })
        }
    };
    println!("{result}");
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn local(model: &str) -> Arc<dyn Generator> {
    let options = EngineOptions {
        name: Some("all-minilm-l6-v2".into()),
        threads: threads(),
        ..EngineOptions::default()
    };
    let load = candor_model::LoadOptions {
        threads: threads(),
        // As `candor` itself loads the model for its index.
        precision: candor_model::Precision::Compact,
        ..Default::default()
    };
    Arc::new(Local::open(Path::new(model), &load, &options).unwrap())
}

fn embedder(model: &str) -> Option<Embedder> {
    (model != "-").then(|| Embedder::new(local(model)).unwrap())
}

async fn library(home: &Path, embedder: Option<Embedder>) -> Library {
    Library {
        store: Store::open(home.join("candor.db")).await.unwrap(),
        index: Arc::new(Index::open(home.join("index"), threads()).unwrap()),
        embedder: embedder.into(),
    }
}

/// A library of paragraphs, each a source named by its number, and its questions with the number of theirs.
async fn paragraphs_of(home: &Path, model: &str, paragraphs: &str) -> (Library, Vec<(String, String)>) {
    let library = library(home, embedder(model)).await;
    let mut questions = Vec::new();
    let text = std::fs::read_to_string(paragraphs).unwrap();
    for (n, line) in text.lines().enumerate() {
        let record: Value = serde_json::from_str(line).unwrap();
        let source = NewSource {
            name: n.to_string(),
            origin: Some(format!("paragraph:{n}")),
            text: Some(NewText {
                text: record["context"].as_str().unwrap().into(),
                layout: json!({}),
            }),
            ..NewSource::default()
        };
        library.store.put_sources(vec![source]).await.unwrap();
        for qa in record["qas"].as_array().unwrap() {
            questions.push((n.to_string(), qa["question"].as_str().unwrap().to_owned()));
        }
    }
    let embedder = library.embedder.get();
    library.index.sync(&library.store, embedder, &|_| {}).await.unwrap();
    (library, questions)
}

/// For each question the signals of the passages that were found and whether each is the right one, as lines of JSON.
async fn signals_of(model: &str, paragraphs: &str) -> Value {
    let home = tempfile::tempdir().unwrap();
    let (library, questions) = paragraphs_of(home.path(), model, paragraphs).await;
    let encoders = Encoders::new(threads());
    for (gold, text) in &questions {
        let query = Query {
            text: text.clone(),
            limit: READ,
            ..Query::default()
        };
        let found = library.search(&query).await.unwrap();
        let right: Vec<bool> = found.iter().map(|one| one.source.name == *gold).collect();
        println!(
            "{}",
            json!({ "right": right, "signals": signals(&encoders, text, &found).unwrap() })
        );
    }
    json!({ "questions": questions.len() })
}

async fn quality(model: &str, paragraphs: &str) -> Value {
    let home = tempfile::tempdir().unwrap();
    let (library, questions) = paragraphs_of(home.path(), model, paragraphs).await;
    let encoders = Encoders::new(threads());
    let mut result = json!({ "questions": questions.len(), "passages": library.index.size().passages });
    for (name, stages) in [
        ("words", Stages::Words),
        ("meaning", Stages::Meaning),
        ("fused", Stages::Fused),
        ("reranked", Stages::Best),
    ] {
        let (mut first, mut five, mut gain) = (0, 0, 0.0);
        for (gold, text) in &questions {
            let query = Query {
                text: text.clone(),
                limit: 30,
                stages,
                ..Query::default()
            };
            let mut seen = HashSet::new();
            let mut found = library.search(&query).await.unwrap();
            if name == "reranked" {
                found = rerank(&encoders, text, found).await.unwrap();
            }
            let mut paragraphs = found.iter().filter(|one| seen.insert(one.source.name.clone()));
            let rank = paragraphs.position(|one| one.source.name == *gold);
            first += usize::from(rank == Some(0));
            five += usize::from(rank.is_some_and(|rank| rank < 5));
            // One right paragraph each: the ideal gain is 1.
            gain += rank
                .filter(|rank| *rank < 10)
                .map_or(0.0, |rank| 1.0 / (rank as f64 + 2.0).log2());
        }
        let share = |count: usize| count as f64 / questions.len() as f64;
        result[name] = json!({
            "recall@1": share(first), "recall@5": share(five), "ndcg@10": gain / questions.len() as f64
        });
    }
    result
}

/// How many texts a second become vectors, and how many pairs of a question and its passage are read. The fastest of
/// three rounds each.
async fn encode(model: &str, weights: &Path, paragraphs: &str) -> Value {
    let records = std::fs::read_to_string(paragraphs).unwrap();
    let records = records.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of = |value: &Value| value.as_str().unwrap().to_owned();
    let (texts, questions): (Vec<_>, Vec<_>) = records
        .map(|record| (of(&record["context"]), of(&record["qas"][0]["question"])))
        .unzip();
    let embedder = embedder(model).unwrap();
    let mut embed = f64::INFINITY;
    for _ in 0..3 {
        let start = Instant::now();
        embedder.embed(&texts).await.unwrap();
        embed = embed.min(start.elapsed().as_secs_f64());
    }
    let team = Team::new(threads());
    let file = |name: &str| std::fs::read(weights.join(name)).unwrap();
    let vocabulary = String::from_utf8(file("vocab.txt")).unwrap();
    let reader = PairEncoder::open(&file("reader.safetensors"), None, &vocabulary, &team).unwrap();
    let mut read = f64::INFINITY;
    for _ in 0..3 {
        let start = Instant::now();
        let pairs: Vec<_> = questions.iter().zip(&texts).map(|(q, t)| reader.pair(q, t)).collect();
        reader.states(&team, &pairs);
        read = read.min(start.elapsed().as_secs_f64());
    }
    let count = texts.len() as f64;
    json!({ "texts": texts.len(), "texts_per_s": count / embed, "pairs_per_s": count / read })
}

async fn ingest(embedder: Option<Embedder>, folder: &str, home: &str) -> Value {
    let library = library(Path::new(home), embedder).await;
    let importer = Importer {
        store: library.store.clone(),
        reader: Arc::new(PlainText),
        collection: None,
    };
    let start = Instant::now();
    let summary = importer.import(&[PathBuf::from(folder)], &|_| {}).await.unwrap();
    let imported = start.elapsed().as_secs_f64();
    let synced = library
        .index
        .sync(&library.store, library.embedder.get(), &|_| {})
        .await
        .unwrap();
    let all = start.elapsed().as_secs_f64();
    let size = library.index.size();
    json!({
        "files": summary.added, "bytes": summary.bytes, "passages": synced.passages, "vectors": synced.vectors,
        "import_s": imported, "all_s": all, "mb_per_s": summary.bytes as f64 / all / 1e6,
        "index_bytes_per_text_byte": size.bytes as f64 / summary.bytes as f64,
        "store_bytes": std::fs::metadata(Path::new(home).join("candor.db")).unwrap().len(),
    })
}

async fn latency(model: &str, home: &str, questions: &str) -> Value {
    let start = Instant::now();
    let library = library(Path::new(home), embedder(model)).await;
    let opened = start.elapsed().as_secs_f64();
    let questions = std::fs::read_to_string(questions).unwrap();
    let size = library.index.size();
    let mut result = json!({ "passages": size.passages, "vectors": size.vectors, "open_s": opened });
    for (name, stages) in [
        ("words", Stages::Words),
        ("meaning", Stages::Meaning),
        ("fused", Stages::Fused),
        ("reranked", Stages::Best),
    ] {
        let mut times = Vec::new();
        for (n, text) in questions.lines().chain(questions.lines().take(20)).enumerate() {
            let query = Query {
                text: text.into(),
                limit: 10,
                stages,
                ..Query::default()
            };
            let start = Instant::now();
            library.search(&query).await.unwrap();
            // The first twenty warm the caches.
            if n >= 20 {
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
        }
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        result[name] = json!({ "p50_ms": at(0.5), "p95_ms": at(0.95) });
    }
    result
}

/// Vectors of length 1 around a thousand centres, the same for the same text: how long a scan takes does not depend on
/// what they mean.
struct MadeUp;

fn noise(mut seed: u64, out: &mut [f32], weight: f32) {
    for v in out {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        *v += weight * ((seed >> 40) as f32 / (1u64 << 23) as f32 - 1.0);
    }
}

#[async_trait::async_trait]
impl Generator for MadeUp {
    fn abilities(&self) -> Abilities {
        Abilities {
            embed: true,
            ..Abilities::default()
        }
    }

    fn card(&self) -> ModelCard {
        ModelCard {
            id: "all-minilm-l6-v2".into(),
            ..ModelCard::default()
        }
    }

    async fn embed(&self, inputs: Vec<EmbedInput>) -> Result<Embeddings, EngineError> {
        let vectors = inputs
            .iter()
            .map(|input| {
                let EmbedInput::Text(text) = input else {
                    return Vec::new();
                };
                let seed = text.bytes().fold(14_695_981_039_346_656_037u64, |hash, byte| {
                    (hash ^ u64::from(byte)).wrapping_mul(1_099_511_628_211)
                });
                let mut vector = vec![0.0; 384];
                noise(seed % 1000, &mut vector, 1.0);
                noise(seed, &mut vector, 0.7);
                let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
                vector.iter().map(|v| v / length).collect()
            })
            .collect();
        Ok(Embeddings {
            vectors,
            prompt_tokens: 0,
        })
    }

    async fn generate(&self, _: GenerateRequest) -> Result<EventStream, EngineError> {
        unreachable!("makes vectors only")
    }

    async fn tokenize(&self, _: &str, _: bool, _: bool) -> Result<Tokenized, EngineError> {
        unreachable!("makes vectors only")
    }

    async fn detokenize(&self, _: &[u32]) -> Result<Vec<u8>, EngineError> {
        unreachable!("makes vectors only")
    }

    async fn render(&self, _: &[Message], _: &[Tool], _: bool) -> Result<String, EngineError> {
        unreachable!("makes vectors only")
    }
}
