//! What the tasks with a language model share: the model, sources at hand, and how many cases are taken.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use candor_engine::Generator;
use candor_store::{NewSource, NewText, Store};
use candor_truth::{Answerer, Embedder, Encoders, Found, Index, Library, Query};

/// Passages that are pasted into a prompt, and that are read.
const PASSAGES: usize = 3;

/// How to run.
pub struct Bench {
    /// The folder of data sets.
    pub data: PathBuf,
    /// The language model.
    pub model: Arc<dyn Generator>,
    /// At most so many cases of a split.
    pub most: usize,
    /// Hears how many cases are done of how many.
    pub step: Box<dyn Fn(usize, usize) + Send + Sync>,
    /// Answers from passages of encyclopedia articles.
    pub answerer: Answerer,
    // The library lies in it.
    _home: tempfile::TempDir,
}

impl Bench {
    /// With the passages of `xquad.en` as the sources at hand.
    ///
    /// # Errors
    /// If the data are not there or the library cannot be made.
    pub async fn new(
        data: &Path,
        embedder: Option<Embedder>,
        threads: usize,
        model: Arc<dyn Generator>,
        most: usize,
        step: Box<dyn Fn(usize, usize) + Send + Sync>,
    ) -> anyhow::Result<Self> {
        let paragraphs: Vec<crate::tasks::grounded::Paragraph> = crate::data::records(data, "xquad/xquad.en")?;
        let home = tempfile::tempdir()?;
        let texts = paragraphs.into_iter().enumerate();
        let texts = texts.map(|(n, one)| (n, one.title, one.context));
        let library = library(home.path(), texts, embedder, threads).await?;
        Ok(Self {
            data: data.to_owned(),
            answerer: Answerer::new(library, Encoders::new(threads)),
            model,
            most,
            step,
            _home: home,
        })
    }

    /// The best passages at hand.
    ///
    /// # Errors
    /// If the library fails.
    pub async fn passages(&self, question: &str) -> anyhow::Result<Vec<Found>> {
        let query = Query {
            text: question.to_owned(),
            limit: PASSAGES,
            ..Query::default()
        };
        Ok(self.answerer.library.search(&query).await?)
    }

    /// Evenly spread over a split: the first cases of a file are seldom like the rest.
    pub fn sample<T>(&self, all: Vec<T>) -> Vec<T> {
        let every = all.len().div_ceil(self.most.max(1)).max(1);
        all.into_iter().step_by(every).collect()
    }
}

/// A library of numbered texts with titles, each a source named by its number.
///
/// # Errors
/// If it cannot be written.
pub async fn library(
    home: &Path,
    texts: impl Iterator<Item = (usize, String, String)>,
    embedder: Option<Embedder>,
    threads: usize,
) -> anyhow::Result<Library> {
    let store = Store::open(home.join("candor.db")).await?;
    let sources = texts.map(|(n, title, text)| NewSource {
        name: n.to_string(),
        kind: "text".into(),
        origin: Some(format!("paragraph:{n}")),
        title: Some(title.replace('_', " ")),
        text: Some(NewText {
            text,
            layout: serde_json::json!({}),
        }),
        ..NewSource::default()
    });
    store.put_sources(sources.collect()).await?;
    let index = Arc::new(Index::open(home.join("index"), threads)?);
    index.sync(&store, embedder.as_ref(), &|_| {}).await?;
    Ok(Library {
        store,
        index,
        embedder: embedder.into(),
    })
}
