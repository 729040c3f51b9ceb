//! Search by words: BM25 (Robertson and Zaragoza 2009; k1 = 1.2, b = 0.75) over the passages' words, kept by tantivy.

use std::path::Path;
use std::sync::Arc;

use tantivy::collector::{FilterCollector, TopDocs};
use tantivy::query::{BooleanQuery, Occur, Query, TermQuery};
use tantivy::schema::{FAST, Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::{IndexReader, IndexSettings, IndexWriter, ReloadPolicy, TantivyDocument, TantivyError, Term};

use super::TextSet;
use super::commit::Commit;
use crate::words::{Words, words};

/// Name of the tokenizer in the schema.
const TOKENIZER: &str = "candor_words";
/// Memory of the writer.
const WRITER_BYTES: usize = 64 * 1024 * 1024;
/// Different words of a question that are looked up.
const MOST_WORDS: usize = 64;
/// Words, as stems, that are looked up only where a question has no others: they are in nearly every passage, so they
/// cost most and tell least.
const STOP: &[&str] = &[
    "a", "an", "and", "are", "as", "at", "be", "been", "but", "by", "did", "do", "doe", "for", "from", "had", "has",
    "have", "how", "in", "is", "it", "of", "on", "or", "that", "the", "their", "this", "to", "was", "were", "what",
    "when", "where", "which", "who", "whom", "whi", "why", "will", "with", "的", "了", "是", "在", "和", "什么", "吗",
    "呢",
];

/// The words' index.
pub(super) struct Terms {
    index: tantivy::Index,
    reader: IndexReader,
    fields: Fields,
}

#[derive(Clone, Copy)]
pub(super) struct Fields {
    words: Field,
    row: Field,
    text: Field,
}

fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(TOKENIZER)
        .set_index_option(IndexRecordOption::WithFreqs);
    let fields = Fields {
        words: schema.add_text_field("words", TextOptions::default().set_indexing_options(indexing)),
        row: schema.add_u64_field("row", FAST),
        text: schema.add_u64_field("text", FAST),
    };
    (schema.build(), fields)
}

impl Terms {
    /// Opens the index in `folder`, which exists, and makes it where there is none.
    pub(super) fn open(folder: &Path) -> tantivy::Result<Self> {
        let (schema, fields) = schema();
        let directory = tantivy::directory::MmapDirectory::open(folder)?;
        let settings = IndexSettings {
            docstore_compression: tantivy::store::Compressor::None,
            ..IndexSettings::default()
        };
        let index = if tantivy::Index::exists(&directory)? {
            let index = tantivy::Index::open(directory)?;
            if index.schema() != schema {
                return Err(TantivyError::SchemaError("it was made by another version".into()));
            }
            index
        } else {
            tantivy::Index::builder()
                .schema(schema)
                .settings(settings)
                .open_or_create(directory)?
        };
        index.tokenizers().register(TOKENIZER, Words::default());
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .doc_store_cache_num_blocks(1)
            .try_into()?;
        Ok(Self { index, reader, fields })
    }

    /// What the last commit says.
    pub(super) fn commit(&self) -> tantivy::Result<Option<Commit>> {
        let payload = self.index.load_metas()?.payload;
        Ok(payload.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Lets searches see the last commit.
    pub(super) fn reload(&self) -> tantivy::Result<()> {
        self.reader.reload()
    }

    pub(super) fn writer(&self) -> tantivy::Result<IndexWriter> {
        self.index.writer_with_num_threads(1, WRITER_BYTES)
    }

    pub(super) fn fields(&self) -> Fields {
        self.fields
    }

    /// The best `limit` rows for the words of `question`, best first, with their scores.
    pub(super) fn best(
        &self,
        question: &str,
        limit: usize,
        allowed: Option<&Arc<TextSet>>,
    ) -> tantivy::Result<Vec<(usize, f32)>> {
        let terms: Vec<(Occur, Box<dyn Query>)> = looked_up(question)
            .into_iter()
            .map(|word| {
                let term = Term::from_field_text(self.fields.words, &word);
                let query: Box<dyn Query> = Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs));
                (Occur::Should, query)
            })
            .collect();
        if terms.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let searcher = self.reader.searcher();
        let query = BooleanQuery::new(terms);
        let top = TopDocs::with_limit(limit).order_by_score();
        let docs = match allowed {
            None => searcher.search(&query, &top)?,
            Some(texts) => {
                let texts = Arc::clone(texts);
                let passes = move |text: u64| texts.contains(text);
                searcher.search(&query, &FilterCollector::new("text".to_owned(), passes, top))?
            }
        };
        let mut columns = Vec::with_capacity(searcher.segment_readers().len());
        for segment in searcher.segment_readers() {
            columns.push(segment.fast_fields().u64("row")?);
        }
        let row = |address: tantivy::DocAddress| columns[address.segment_ord as usize].first(address.doc_id);
        let found = docs
            .into_iter()
            .filter_map(|(score, address)| Some((row(address)? as usize, score)));
        Ok(found.collect())
    }
}

/// A passage as the index has it.
pub(super) fn document(fields: Fields, row: usize, text: u64, words: &str) -> TantivyDocument {
    let mut document = TantivyDocument::new();
    document.add_text(fields.words, words);
    document.add_u64(fields.row, row as u64);
    document.add_u64(fields.text, text);
    document
}

/// The different words of a question, without those that tell nothing.
fn looked_up(question: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    words(question, |word| {
        if all.len() < MOST_WORDS && !all.iter().any(|known| known == word) {
            all.push(word.to_owned());
        }
    });
    if all.iter().any(|word| !STOP.contains(&word.as_str())) {
        all.retain(|word| !STOP.contains(&word.as_str()));
    }
    all
}
