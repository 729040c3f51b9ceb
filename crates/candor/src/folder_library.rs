//! A library over files and folders that are not added to the sources: its store lies in the data directory under a name
//! made of the paths, so that the second question to a folder reads only what changed. It can be deleted at any time.

use std::io::Read;
use std::path::PathBuf;

use anyhow::Context as _;
use candor_store::{SourceFilter, SourceState};
use candor_truth::Library;
use candor_truth::ingest::{Event, Outcome};
use sha2::{Digest, Sha256};

use crate::context::Context;
use crate::library::{self, Meaning};
use crate::open::EngineArgs;
use crate::terminal::ImportDisplay;

/// Where these libraries lie, in the data directory.
const FOLDERS: &str = "folders";
/// Bytes that are read from a pipe.
const MOST_PIPED: u64 = 256 * 1024 * 1024;

/// Opens the library over `paths` and brings it up to date.
pub(crate) async fn open(context: &Context, args: &EngineArgs, paths: &[PathBuf]) -> anyhow::Result<Library> {
    let (piped, paths): (Vec<PathBuf>, Vec<PathBuf>) = paths.iter().cloned().partition(|path| path.as_os_str() == "-");
    let mut whole = Vec::with_capacity(paths.len());
    let mut name = Sha256::new();
    for path in &paths {
        let path = path
            .canonicalize()
            .with_context(|| format!("{} cannot be read; check the path", path.display()))?;
        name.update(path.as_os_str().as_encoded_bytes());
        name.update([0]);
        whole.push(path);
    }
    let mut bytes = Vec::new();
    if !piped.is_empty() {
        let mut stdin = std::io::stdin().lock().take(MOST_PIPED);
        stdin.read_to_end(&mut bytes).context("cannot read stdin")?;
        name.update(&bytes);
    }
    let name = hex::encode(name.finalize());
    let home = context.made_data_dir()?.join(FOLDERS).join(&name[..16]);
    std::fs::create_dir_all(&home).with_context(|| format!("{} cannot be made", home.display()))?;
    let library = library::open_in(context, args, &home, Meaning::Now).await?;
    let importer = library::importer(&library, None)?;
    let display = ImportDisplay::new();
    if !whole.is_empty() {
        let show = |event: Event<'_>| match event {
            Event::Found { files, bytes } => display.found(files, bytes),
            Event::Reading(path) => display.reading(path),
            Event::Done {
                path,
                bytes,
                outcome,
                reason,
            } => {
                if outcome == Outcome::Failed {
                    display.say(path, &format!("cannot be used: {}", reason.unwrap_or("")));
                }
                display.advance(bytes);
            }
        };
        importer.look_through(&whole, &show).await?;
        // What is not there any more is no evidence: unlike the sources, this library is nobody's archive.
        let sources = library
            .store
            .sources(&SourceFilter::default(), None, u64::from(u32::MAX))
            .await?;
        for source in sources.iter().filter(|one| one.state == SourceState::Gone) {
            library.store.delete_source(&source.id).await?;
        }
    }
    if !piped.is_empty() {
        for source in importer.bytes(bytes, "stdin.txt", Some("stdin:")).await? {
            if let Some(error) = source.error {
                anyhow::bail!("stdin: {error}");
            }
        }
    }
    let indexing = |progress| display.indexing(progress);
    library
        .index
        .sync(&library.store, library.embedder.get(), &indexing)
        .await?;
    display.done();
    Ok(library)
}
