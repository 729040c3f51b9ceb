//! Getting a model: sources in order, each file checked and renamed into place, a note written last.
//!
//! A pull that stops half-way, whatever the reason, leaves `.partial` files that the next one goes on with; nothing
//! incomplete ever has a model's name.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::download;
use crate::entry::{Entry, FileSpec, Source};
use crate::environment::Environment;
use crate::error::Error;
use crate::find::{Origin, in_hub_cache};
use crate::http::Client;
use crate::hub;
use crate::package;
use crate::progress::{Event, Progress, Silent};
use crate::size::Bytes;
use crate::state;
use crate::store::{self, Note, StoredFile};

/// How long to wait for what, and how often to try.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For the first word of an answer.
    pub answer: Duration,
    /// For the next bytes of a body, and for pip to show any sign of life.
    pub idle: Duration,
    /// How many times in a row a connection may break without progress.
    pub retries: u32,
    /// The first pause before trying again; it doubles.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            retries: 5,
            pause: Duration::from_millis(300),
        }
    }
}

/// How to pull.
#[derive(Clone)]
pub struct PullOptions {
    /// The models folder; made when absent.
    pub models_dir: PathBuf,
    /// Hub, token, caches, pip.
    pub environment: Environment,
    /// Who hears about it.
    pub progress: Arc<dyn Progress>,
    /// Timeouts and retries.
    pub patience: Patience,
    /// Connections for one large file.
    pub connections: usize,
    /// From which size on a file is fetched over several connections, where the server can.
    pub parallel_from: u64,
    /// Whether another program's cache may stand in for a download.
    pub use_caches: bool,
    /// Download again what is here already.
    pub again: bool,
}

impl PullOptions {
    /// The usual settings, with the surroundings of this process and nobody listening.
    pub fn new(models_dir: impl Into<PathBuf>) -> Self {
        Self {
            models_dir: models_dir.into(),
            environment: Environment::from_process(),
            progress: Arc::new(Silent),
            patience: Patience::default(),
            connections: 4,
            parallel_from: 64 << 20,
            use_caches: true,
            again: false,
        }
    }

    /// The same, with someone listening.
    #[must_use]
    pub fn with_progress(mut self, progress: impl Progress + 'static) -> Self {
        self.progress = Arc::new(progress);
        self
    }
}

/// A model that is on this machine now.
#[derive(Clone, Debug)]
pub struct PulledModel {
    /// Its name.
    pub name: String,
    /// What to open: a `.gguf` file, or a folder.
    pub path: PathBuf,
    /// The models folder, or the Hugging Face cache that had it already.
    pub origin: Origin,
    /// Where it was downloaded from just now, in words; `None` when it was here already.
    pub source: Option<String>,
    /// The files with their hashes; empty for a cache's.
    pub files: Vec<StoredFile>,
}

/// One pull on its way.
pub(crate) struct Job<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) dir: &'a Path,
    pub(crate) options: &'a PullOptions,
}

/// Gets a model, unless it is here already. Dropping the future stops it; the next pull goes on from there.
///
/// # Errors
/// [`Error::NoSource`] with a reason for each source, or what is wrong on this machine (disk, permissions, another pull).
pub async fn pull(entry: &Entry, options: &PullOptions) -> Result<PulledModel, Error> {
    entry
        .check()
        .map_err(|reason| Error::Source(format!("model `{}` {reason}", entry.name)))?;
    let dir = options.models_dir.join(&entry.name);
    if !options.again
        && let Some(here) = already_here(entry, &dir, options)
    {
        options.progress.event(Event::AlreadyHere {
            path: here.path.clone(),
        });
        return Ok(here);
    }
    if let Some(terms) = &entry.terms {
        options.progress.event(Event::Terms {
            licence: entry.licence.clone(),
            terms: terms.clone(),
        });
    }
    std::fs::create_dir_all(&dir).map_err(Error::file("make the folder", &dir))?;
    let _lock = store::lock(&dir, &entry.name)?;
    state::sweep(&dir);
    if options.again {
        let _ = std::fs::remove_file(dir.join(store::NOTE));
    }
    let job = Job {
        entry,
        dir: &dir,
        options,
    };
    let (source, files) = job.first_source_that_works().await?;
    let note = Note {
        name: entry.name.clone(),
        title: entry.title.clone(),
        licence: entry.licence.clone(),
        source: source.clone(),
        files: files.clone(),
    };
    let text = serde_json::to_vec_pretty(&note).map_err(|e| Error::Client(e.to_string()))?;
    store::write_whole(&dir.join(store::NOTE), &text, true)?;
    let path = entry
        .main_file()
        .map_or_else(|| dir.clone(), |main| dir.join(&main.name));
    options.progress.event(Event::Done { path: path.clone() });
    Ok(PulledModel {
        name: entry.name.clone(),
        path,
        origin: Origin::Store,
        source: Some(source),
        files,
    })
}

fn already_here(entry: &Entry, dir: &Path, options: &PullOptions) -> Option<PulledModel> {
    let model = |path, origin, files| PulledModel {
        name: entry.name.clone(),
        path,
        origin,
        source: None,
        files,
    };
    if let Some(note) = store::complete_note(dir) {
        let current = entry.files.iter().all(|file| {
            note.files
                .iter()
                .any(|f| f.name == file.name && file.sha256.as_ref().is_none_or(|hash| *hash == f.sha256))
        });
        if current {
            let path = entry
                .main_file()
                .map_or_else(|| dir.into(), |main| dir.join(&main.name));
            return Some(model(path, Origin::Store, note.files));
        }
    }
    let cached = options
        .use_caches
        .then(|| in_hub_cache(entry, &options.environment))
        .flatten()?;
    Some(model(cached, Origin::HubCache, Vec::new()))
}

impl Job<'_> {
    async fn first_source_that_works(&self) -> Result<(String, Vec<StoredFile>), Error> {
        let mut reasons = Vec::new();
        let mut client = None;
        for source in &self.entry.sources {
            let label = label(source);
            self.tell(Event::Trying { source: label.clone() });
            let got = match source {
                Source::Package { packages } => package::fetch(self, packages).await,
                Source::Path { files } => self.copy_all(files).await,
                Source::Hub { .. } | Source::Url { .. } => {
                    let client = match &client {
                        Some(client) => client,
                        None => client.insert(Client::new(&self.options.patience)?),
                    };
                    match source {
                        Source::Hub { repo, revision, files } => hub::fetch(self, client, repo, revision, files).await,
                        Source::Url { files } => self.fetch_urls(client, files).await,
                        _ => continue,
                    }
                }
            };
            match got {
                Ok(files) => return Ok((label, files)),
                Err(error) if error.is_local() => return Err(error),
                Err(error) => {
                    let reason = error.to_string();
                    self.tell(Event::Failed {
                        source: label.clone(),
                        reason: reason.clone(),
                    });
                    reasons.push((label, reason));
                }
            }
        }
        Err(Error::NoSource {
            name: self.entry.name.clone(),
            reasons,
        })
    }

    async fn fetch_urls(
        &self,
        client: &Client,
        files: &std::collections::BTreeMap<String, String>,
    ) -> Result<Vec<StoredFile>, Error> {
        let mut stored = Vec::new();
        for spec in &self.entry.files {
            let Some(address) = files.get(&spec.name) else { continue };
            stored.push(match self.kept(spec).await? {
                Some(file) => file,
                None => download::plain(self, client, spec, address).await?,
            });
        }
        Ok(stored)
    }

    async fn copy_all(&self, files: &std::collections::BTreeMap<String, String>) -> Result<Vec<StoredFile>, Error> {
        let mut stored = Vec::new();
        for spec in &self.entry.files {
            let Some(from) = files.get(&spec.name) else { continue };
            if let Some(file) = self.kept(spec).await? {
                stored.push(file);
                continue;
            }
            let size = std::fs::metadata(from)
                .map_err(|e| Error::Source(format!("cannot read {from}: {e}")))?
                .len();
            if !spec.approximate && size != spec.size {
                return Err(Error::Source(format!(
                    "{from} has {size} bytes, the catalog says {}",
                    spec.size
                )));
            }
            state::room_for(self.dir, size)?;
            let partial = state::partial(self.dir, &spec.name);
            state::State::forget(&partial);
            let (from, to) = (PathBuf::from(from), partial.clone());
            tokio::task::spawn_blocking(move || std::fs::copy(from, to))
                .await
                .map_err(|e| Error::Client(e.to_string()))?
                .map_err(|e| state::write_error(&partial, 0, e))?;
            stored.push(self.finish(spec, None).await?);
        }
        Ok(stored)
    }

    /// A file that an earlier pull finished, if its hash is still right.
    pub(crate) async fn kept(&self, spec: &FileSpec) -> Result<Option<StoredFile>, Error> {
        let path = self.dir.join(&spec.name);
        let Some(expected) = spec.sha256.clone().filter(|_| !self.options.again) else {
            return Ok(None);
        };
        if !std::fs::metadata(&path).is_ok_and(|m| m.is_file() && m.len() == spec.size) {
            return Ok(None);
        }
        self.tell(Event::Checking {
            file: spec.name.clone(),
        });
        let sha256 = state::hash(&path).await?;
        if sha256 != expected {
            return Ok(None);
        }
        self.tell(Event::Checked {
            file: spec.name.clone(),
            sha256: sha256.clone(),
            compared: true,
        });
        Ok(Some(StoredFile {
            name: spec.name.clone(),
            size: spec.size,
            sha256,
        }))
    }

    /// Checks a whole `.partial` file and gives it its name. `stated` is the hash the source itself states.
    pub(crate) async fn finish(&self, spec: &FileSpec, stated: Option<&str>) -> Result<StoredFile, Error> {
        let partial = state::partial(self.dir, &spec.name);
        let size = std::fs::metadata(&partial)
            .map_err(Error::file("read", &partial))?
            .len();
        self.tell(Event::Checking {
            file: spec.name.clone(),
        });
        let sha256 = state::hash(&partial).await?;
        let expected = spec.sha256.as_deref().or(stated);
        let wrong = match expected {
            Some(expected) if expected != sha256 => Some(format!(
                "`{}` arrived with the wrong content (SHA-256 {sha256} instead of {expected})",
                spec.name
            )),
            _ if !spec.approximate && size != spec.size => Some(format!(
                "`{}` arrived with {size} bytes instead of {}",
                spec.name, spec.size
            )),
            None if spec.name.ends_with(".gguf") && !begins_as_gguf(&partial) => Some(format!(
                "`{}` is no GGUF file; the address may lead to a page about it",
                spec.name
            )),
            _ => None,
        };
        if let Some(wrong) = wrong {
            state::State::forget(&partial);
            std::fs::remove_file(&partial).map_err(Error::file("remove", &partial))?;
            return Err(Error::Source(format!("{wrong}; it was deleted")));
        }
        let path = self.dir.join(&spec.name);
        state::settle(&partial, &path).await?;
        self.tell(Event::Checked {
            file: spec.name.clone(),
            sha256: sha256.clone(),
            compared: expected.is_some(),
        });
        Ok(StoredFile {
            name: spec.name.clone(),
            size,
            sha256,
        })
    }

    pub(crate) fn tell(&self, event: Event) {
        self.options.progress.event(event);
    }

    pub(crate) fn downloading(&self, what: &str, done: u64, total: Option<u64>) {
        self.tell(Event::Downloading {
            what: what.into(),
            done: Bytes(done),
            total: total.map(Bytes),
        });
    }
}

/// Where nobody states a hash, this much can be told: a page that says "not found" or "log in" is no model.
fn begins_as_gguf(path: &Path) -> bool {
    let mut magic = [0; 4];
    std::fs::File::open(path).is_ok_and(|mut file| std::io::Read::read_exact(&mut file, &mut magic).is_ok())
        && &magic == b"GGUF"
}

fn label(source: &Source) -> String {
    match source {
        Source::Hub { repo, .. } => format!("the hub's {repo}"),
        Source::Package { packages } => match &packages[..] {
            [only] => format!("the Python package {} {}", only.name, only.version),
            [first, ..] => format!("the Python packages {} and {} more", first.name, packages.len() - 1),
            [] => "no Python package".into(),
        },
        Source::Url { files } => {
            let host = files
                .values()
                .next()
                .and_then(|a| reqwest::Url::parse(a).ok()?.host_str().map(str::to_owned));
            host.unwrap_or_else(|| "an address".into())
        }
        Source::Path { .. } => "this machine".into(),
    }
}
