//! Opening the library: the store, its search index, and the model that makes vectors, where it is on this machine.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use candor_catalog::{Environment, Error, Found};
use candor_engine::{Generator, Local};
use candor_model::Precision;
use candor_store::Store;
use candor_truth::answer::Calibrations;
use candor_truth::check::Checking;
use candor_truth::ingest::Importer;
use candor_truth::receipt::Signer;
use candor_truth::{Answerer, Checker, Embedder, Encoders, Index, Intake, Library};

use crate::context::{CALIBRATION, CHECKING, Context, KEY, STORE};
use crate::models;
use crate::open::{self, EngineArgs};
use crate::reader;

/// The index, in the data directory. It can be deleted at any time.
const INDEX: &str = "index";
/// The bytes of uploads, in the data directory.
const UPLOADS: &str = "uploads";
/// The model that makes vectors.
pub(crate) const EMBEDDING: &str = "all-minilm-l6-v2";

/// A file in the data directory, as old as the last time that the model could not be fetched.
const NOT_HAD: &str = "encoder-not-had";
/// How long nothing is fetched after that: a machine without a network waits once a day.
const PATIENCE: Duration = Duration::from_hours(24);

/// Whether passages are also found by meaning, and when the model for it is fetched where it is not on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// By words alone.
    No,
    /// Before the library is used.
    Now,
    /// While the library is in use, by its words until then: what others wait for must not wait.
    Meanwhile,
}

impl Meaning {
    /// Now, where it is wanted.
    pub(crate) fn now_if(wanted: bool) -> Self {
        if wanted { Self::Now } else { Self::No }
    }
}

/// Opens the library for a command.
pub(crate) async fn open(context: &Context, args: &EngineArgs, meaning: Meaning) -> anyhow::Result<Library> {
    let folder = context.made_data_dir()?.to_owned();
    open_in(context, args, &folder, meaning).await
}

/// As `open`, of the library in a folder.
pub(crate) async fn open_in(
    context: &Context,
    args: &EngineArgs,
    folder: &Path,
    meaning: Meaning,
) -> anyhow::Result<Library> {
    let store = Store::open(folder.join(STORE)).await?;
    let library = with_store(context, args, folder, store).await?;
    learn_meaning(context, args, &library, meaning).await?;
    Ok(library)
}

/// Opens the library for a server, over the store that it has.
pub(crate) async fn for_server(context: &Context, args: &EngineArgs, store: Store) -> anyhow::Result<Library> {
    let library = with_store(context, args, context.made_data_dir()?, store).await?;
    learn_meaning(context, args, &library, Meaning::Meanwhile).await?;
    Ok(library)
}

/// Gives a library the model that makes vectors. That it cannot be fetched is told, and words alone serve.
async fn learn_meaning(
    context: &Context,
    args: &EngineArgs,
    library: &Library,
    meaning: Meaning,
) -> anyhow::Result<()> {
    if meaning == Meaning::No || !context.config.sources.meaning {
        return Ok(());
    }
    if let Some(found) = found(context)? {
        if meaning == Meaning::Now {
            library.embedder.put(load(context, args, found).await?);
        } else {
            when_needed(context, args, library, found).await;
        }
    } else if Environment::from_process().hub_offline || in_vain_lately(context) {
        eprintln!("searching by words alone; `candor pull {EMBEDDING}` adds search by meaning");
    } else if meaning == Meaning::Now {
        let fetched = async { anyhow::Ok(load(context, args, fetch(context).await?).await?) };
        match fetched.await {
            Ok(embedder) => library.embedder.put(embedder),
            Err(error) => without_meaning(context, &error),
        }
    } else {
        let (context, args, library) = (context.clone(), args.clone(), library.clone());
        tokio::spawn(async move {
            let fetched = async {
                when_needed(&context, &args, &library, fetch(&context).await?).await;
                if !library.store.texts_after(0, 1).await?.is_empty() {
                    let embedder = library.embedder.ready().await;
                    library.index.sync(&library.store, embedder, &|_| {}).await?;
                }
                anyhow::Ok(())
            };
            match fetched.await {
                Ok(()) => eprintln!("passages are found by meaning now"),
                Err(error) => without_meaning(&context, &error),
            }
        });
    }
    Ok(())
}

/// A server is ready before that model is loaded, and who keeps no documents has none of it in memory.
async fn when_needed(context: &Context, args: &EngineArgs, library: &Library, found: Found) {
    let loading = load(context, args, found);
    let loaded = async {
        let none = |error| {
            eprintln!("searching by words alone, and answers are less sure: {EMBEDDING} cannot be used: {error:#}");
        };
        loading.await.map_err(none).ok()
    };
    library.embedder.load_by(loaded).await;
}

async fn fetch(context: &Context) -> anyhow::Result<Found> {
    let catalog = models::catalog(context)?;
    let entry = catalog.resolve(EMBEDDING)?;
    eprintln!(
        "getting {EMBEDDING} ({}), which finds passages by meaning (`sources.meaning = false` does without)",
        models::size(&entry)
    );
    models::pull(context, &entry, false).await?;
    models::find(context, EMBEDDING)
}

fn without_meaning(context: &Context, error: &anyhow::Error) {
    // Where even this cannot be written, the next command tries again.
    drop(std::fs::write(context.data_dir.join(NOT_HAD), ""));
    eprintln!("searching by words alone, and answers are less sure: {error:#}; `candor pull {EMBEDDING}` tries again");
}

fn in_vain_lately(context: &Context) -> bool {
    let modified = std::fs::metadata(context.data_dir.join(NOT_HAD)).and_then(|note| note.modified());
    let ago = modified.ok().and_then(|at| at.elapsed().ok());
    ago.is_some_and(|ago| ago < PATIENCE)
}

/// What imports documents into the library, and into a collection where one is named by its id.
pub(crate) fn importer(library: &Library, collection: Option<String>) -> anyhow::Result<Importer> {
    Ok(Importer {
        store: library.store.clone(),
        reader: Arc::new(reader::new()?),
        collection,
    })
}

/// What takes uploads into the library.
pub(crate) fn intake(context: &Context, library: Library) -> anyhow::Result<Intake> {
    let folder = context.made_data_dir()?.join(UPLOADS);
    Ok(Intake::new(library, Arc::new(reader::new()?), folder))
}

/// The answerer of a command: with the calibrations in force and the key of this instance.
pub(crate) fn answerer(context: &Context, library: Library, encoders: Arc<Encoders>) -> anyhow::Result<Answerer> {
    let folder = context.made_data_dir()?;
    let signer = Signer::open(&folder.join(KEY))?;
    let answerer = Answerer::new(library, encoders).signed_by(signer);
    Ok(answerer.calibrated(calibrations(context)?))
}

/// The calibrations in force: one's own, or those that come with the program.
pub(crate) fn calibrations(context: &Context) -> anyhow::Result<Calibrations> {
    let path = context.made_data_dir()?.join(CALIBRATION);
    let own = fit(&path, Calibrations::read, "candor calibrate")?;
    Ok(own.unwrap_or_else(Calibrations::shipped))
}

/// The checker of a command: with the fit in force, and the verdict of a language model where one is named. A model that
/// cannot be had is told, and the checker goes on without.
pub(crate) async fn checker(
    context: &Context,
    args: &EngineArgs,
    library: Library,
    encoders: Arc<Encoders>,
    model: Option<&str>,
) -> anyhow::Result<Checker> {
    let path = context.made_data_dir()?.join(CHECKING);
    let mut checker = Checker::new(library, encoders);
    if let Some(own) = fit(&path, Checking::read, "candor eval claims --fit")? {
        checker = checker.fitted(own);
    }
    let Some(model) = model else { return Ok(checker) };
    match open::generator(context, model, args).await {
        Ok(generator) => Ok(checker.judged_by(generator)),
        Err(error) => {
            eprintln!("claims are checked without {model}: {error:#}");
            Ok(checker)
        }
    }
}

/// A fit of one's own, where there is one that this program can read.
fn fit<T>(path: &Path, read: impl Fn(&[u8]) -> Option<T>, again: &str) -> anyhow::Result<Option<T>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
    };
    let own = read(&text);
    if own.is_none() {
        eprintln!(
            "{} is of another version of the program and is passed over; run `{again}` again",
            path.display()
        );
    }
    Ok(own)
}

async fn with_store(context: &Context, args: &EngineArgs, folder: &Path, store: Store) -> anyhow::Result<Library> {
    let folder = folder.join(INDEX);
    let threads = open::threads(context, args);
    let index = tokio::task::spawn_blocking(move || Index::open(folder, threads)).await??;
    Ok(Library {
        store,
        index: Arc::new(index),
        embedder: None.into(),
    })
}

/// The model that makes vectors, or `None` where it was not pulled or is not wanted.
pub(crate) async fn embedder(context: &Context, args: &EngineArgs) -> anyhow::Result<Option<Embedder>> {
    match found(context)? {
        Some(found) => Ok(Some(load(context, args, found).await?)),
        None => Ok(None),
    }
}

/// Where the model that makes vectors is; `None` where it was not pulled or is not wanted.
fn found(context: &Context) -> anyhow::Result<Option<Found>> {
    if !context.config.sources.meaning {
        return Ok(None);
    }
    match models::find(context, EMBEDDING) {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.downcast_ref(), Some(Error::NotPulled { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Loads the model that makes vectors.
fn load(
    context: &Context,
    args: &EngineArgs,
    found: Found,
) -> impl Future<Output = anyhow::Result<Embedder>> + Send + use<> {
    let (mut load, options) = (
        open::load_options(context, args),
        open::engine_options(context, args, EMBEDDING),
    );
    // Vectors become int8 rows: a difference of 1e-3 is far below their steps.
    if load.precision != Precision::F32 {
        load.precision = Precision::Compact;
    }
    async move {
        let local = tokio::task::spawn_blocking(move || Local::open(&found.path, &load, &options)).await??;
        let generator: Arc<dyn Generator> = Arc::new(local);
        Ok(Embedder::new(generator)?)
    }
}
