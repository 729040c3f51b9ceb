//! The truth layer from outside: what is imported is found, quotes are the stored bytes, and no interruption loses
//! anything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

mod answering;
mod checking;
mod importing;
mod judging;
mod killed;
mod misfortune;
mod parity;
mod phrasing;
mod reranking;
mod searching;
mod toy;
mod uploading;
mod watching;
mod web;

use std::path::Path;
use std::sync::Arc;

use candor_store::Store;
use candor_truth::ingest::{Event, Importer};
use candor_truth::{Embedder, Index, Library, PlainText};

/// A library in a folder of its own, without vectors.
async fn library(folder: &Path) -> Library {
    Library {
        store: Store::open(folder.join("candor.db")).await.unwrap(),
        index: Arc::new(Index::open(folder.join("index"), 2).unwrap()),
        embedder: None.into(),
    }
}

fn importer(library: &Library) -> Importer {
    Importer {
        store: library.store.clone(),
        reader: Arc::new(PlainText),
        collection: None,
    }
}

fn quiet(_: Event<'_>) {}

async fn sync(library: &Library) -> candor_truth::Synced {
    let embedder: Option<&Embedder> = library.embedder.get();
    library.index.sync(&library.store, embedder, &|_| {}).await.unwrap()
}

fn file(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}
