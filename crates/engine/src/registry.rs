//! The models on offer, by name. A model is loaded when it is first asked for; when memory runs short, the one that was
//! idle longest makes room. What runs is never evicted.

mod tracked;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::gauge;

use crate::{EngineError, Generator, ModelCard, metric};
use tracked::Tracked;

type Loader = Arc<dyn Fn() -> Result<Arc<dyn Generator>, EngineError> + Send + Sync>;

/// A model that can be loaded.
#[derive(Clone)]
pub struct Registration {
    name: String,
    aliases: Vec<String>,
    needs: u64,
    card: ModelCard,
    loader: Loader,
}

impl Registration {
    /// `needs`: bytes of memory it takes when loaded. `loader` may take seconds; it runs on a thread of its own.
    pub fn new(
        name: impl Into<String>,
        needs: u64,
        loader: impl Fn() -> Result<Arc<dyn Generator>, EngineError> + Send + Sync + 'static,
    ) -> Self {
        let name = name.into();
        let card = ModelCard {
            id: name.clone(),
            owned_by: "candor".into(),
            ..ModelCard::default()
        };
        Self {
            name,
            aliases: Vec::new(),
            needs,
            card,
            loader: Arc::new(loader),
        }
    }

    /// More names for it.
    #[must_use]
    pub fn aliases(mut self, aliases: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.aliases.extend(aliases.into_iter().map(Into::into));
        self
    }

    /// What is known of it before it is loaded.
    #[must_use]
    pub fn card(mut self, card: ModelCard) -> Self {
        self.card = ModelCard {
            id: self.name.clone(),
            ..card
        };
        self
    }
}

struct Entry {
    card: ModelCard,
    aliases: Vec<String>,
    needs: u64,
    loaded: Option<Arc<dyn Generator>>,
    /// How to load it again; `None` for one that was inserted ready.
    loader: Option<Loader>,
    running: Arc<AtomicUsize>,
    used: u64,
    /// Held while it is being loaded, so that it is loaded once.
    turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<String, Entry>,
    default: Option<String>,
    clock: u64,
}

/// Models by name.
#[derive(Default)]
pub struct Models {
    state: Mutex<State>,
    budget: Option<u64>,
    /// One model is loaded at a time: loading is what takes memory.
    loading: tokio::sync::Mutex<()>,
}

impl Models {
    /// No models; they may take what memory the machine has free.
    pub fn new() -> Self {
        Self::default()
    }

    /// No models; all together may take this many bytes.
    pub fn with_budget(bytes: u64) -> Self {
        Self {
            budget: Some(bytes),
            ..Self::default()
        }
    }

    /// Offers a model that is ready. The first model offered is the default.
    pub fn insert(&self, name: impl Into<String>, generator: Arc<dyn Generator>) {
        let (name, running) = (name.into(), Arc::default());
        let card = ModelCard {
            id: name.clone(),
            ..generator.card()
        };
        let loaded: Arc<dyn Generator> = Arc::new(Tracked::new(generator, Arc::clone(&running)));
        let entry = Entry {
            card,
            aliases: vec![],
            needs: 0,
            loaded: Some(loaded),
            loader: None,
            running,
            used: 0,
            turn: Arc::default(),
        };
        self.add(name, entry);
    }

    /// Offers a model that is loaded when it is first asked for.
    pub fn register(&self, registration: Registration) {
        let Registration {
            name,
            aliases,
            needs,
            card,
            loader,
        } = registration;
        let entry = Entry {
            card,
            aliases,
            needs,
            loaded: None,
            loader: Some(loader),
            running: Arc::default(),
            used: 0,
            turn: Arc::default(),
        };
        self.add(name, entry);
    }

    /// One more name for a model.
    ///
    /// # Errors
    /// `NoModel` if there is no such model.
    pub fn alias(&self, alias: impl Into<String>, name: &str) -> Result<(), EngineError> {
        let mut state = self.lock();
        let name = state.resolve(name)?;
        state.entry(&name)?.aliases.push(alias.into());
        Ok(())
    }

    /// Makes a model the one that is used where none is named.
    ///
    /// # Errors
    /// `NoModel` if there is no such model.
    pub fn set_default(&self, name: &str) -> Result<(), EngineError> {
        let mut state = self.lock();
        let name = state.resolve(name)?;
        state.default = Some(name);
        Ok(())
    }

    /// The name of the model that is used where none is named.
    pub fn default_name(&self) -> Option<String> {
        self.lock().default.clone()
    }

    /// What is known of every model, by name.
    pub fn list(&self) -> Vec<ModelCard> {
        self.lock().entries.values().map(|entry| entry.card.clone()).collect()
    }

    /// Names of all models.
    pub fn names(&self) -> Vec<String> {
        self.lock().entries.keys().cloned().collect()
    }

    /// Whether a model is in memory.
    pub fn is_loaded(&self, name: &str) -> bool {
        let mut state = self.lock();
        state
            .resolve(name)
            .is_ok_and(|name| state.entries[&name].loaded.is_some())
    }

    /// Takes a model out of memory; it is loaded again when asked for. Answers under way finish first.
    ///
    /// # Errors
    /// `NoModel` if there is no such model.
    pub fn unload(&self, name: &str) -> Result<(), EngineError> {
        let mut state = self.lock();
        let name = state.resolve(name)?;
        let entry = state.entry(&name)?;
        if entry.loader.is_some() {
            entry.loaded = None;
        }
        state.report();
        Ok(())
    }

    /// Takes a model off the offer. Answers under way finish first.
    ///
    /// # Errors
    /// `NoModel` if there is no such model.
    pub fn remove(&self, name: &str) -> Result<(), EngineError> {
        let mut state = self.lock();
        let name = state.resolve(name)?;
        state.entries.remove(&name);
        if state.default.as_ref() == Some(&name) {
            state.default = state.entries.keys().next().cloned();
        }
        state.report();
        Ok(())
    }

    /// The model of this name or alias, loaded; an empty name is the default.
    ///
    /// # Errors
    /// `NoModel` naming the models there are; `Memory` or whatever else loading brings.
    pub async fn get(&self, name: &str) -> Result<Arc<dyn Generator>, EngineError> {
        let (name, turn) = {
            let mut state = self.lock();
            let name = state.resolve(name)?;
            if let Some(generator) = state.take(&name)? {
                return Ok(generator);
            }
            let turn = Arc::clone(&state.entry(&name)?.turn);
            (name, turn)
        };
        let _turn = turn.lock().await;
        let _loading = self.loading.lock().await;
        let loader = {
            let mut state = self.lock();
            // Another request may have loaded it meanwhile.
            if let Some(generator) = state.take(&name)? {
                return Ok(generator);
            }
            self.make_room(&mut state, &name)?;
            state.entry(&name)?.loader.clone()
        };
        let Some(loader) = loader else {
            return Err(self.lock().no_model(&name));
        };
        let generator = tokio::task::spawn_blocking(move || loader())
            .await
            .map_err(|_| EngineError::Internal {
                message: format!(
                    "loading `{name}` failed in an unexpected way; this is a bug in Candor, please report it"
                ),
            })??;
        let mut state = self.lock();
        let entry = state.entry(&name)?;
        entry.card = ModelCard {
            id: name.clone(),
            ..generator.card()
        };
        entry.loaded = Some(Arc::new(Tracked::new(generator, Arc::clone(&entry.running))));
        state.report();
        state.take(&name)?.ok_or_else(|| state.no_model(&name))
    }

    fn add(&self, name: String, entry: Entry) {
        let mut state = self.lock();
        state.default.get_or_insert_with(|| name.clone());
        state.entries.insert(name, entry);
        state.report();
    }

    /// Evicts idle models, the longest unused first, until there is memory for `name`.
    fn make_room(&self, state: &mut State, name: &str) -> Result<(), EngineError> {
        let needs = state.entry(name)?.needs;
        let taken = |state: &State| {
            state
                .entries
                .values()
                .filter(|e| e.loaded.is_some())
                .map(|e| e.needs)
                .sum::<u64>()
        };
        let mut free = match self.budget {
            Some(budget) => budget.saturating_sub(taken(state)),
            None => crate::memory::free(),
        };
        while needs > free {
            let idle = state.entries.values_mut().filter(|entry| {
                entry.loaded.is_some() && entry.loader.is_some() && entry.running.load(Ordering::Acquire) == 0
            });
            let Some(oldest) = idle.min_by_key(|entry| entry.used) else {
                let message = format!(
                    "`{name}` needs {} of memory and {} are free; wait for running answers, unload another model, allow more memory in the configuration, or choose a smaller model",
                    size(needs),
                    size(free)
                );
                return Err(EngineError::Memory { message });
            };
            oldest.loaded = None;
            free += oldest.needs;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn resolve(&mut self, name: &str) -> Result<String, EngineError> {
        if name.is_empty() {
            return self.default.clone().ok_or_else(|| self.no_model("default"));
        }
        if self.entries.contains_key(name) {
            return Ok(name.to_string());
        }
        let found = self
            .entries
            .iter()
            .find(|(_, entry)| entry.aliases.iter().any(|alias| alias == name));
        found.map(|(name, _)| name.clone()).ok_or_else(|| self.no_model(name))
    }

    fn entry(&mut self, name: &str) -> Result<&mut Entry, EngineError> {
        if !self.entries.contains_key(name) {
            return Err(self.no_model(name));
        }
        self.entries
            .get_mut(name)
            .ok_or(EngineError::Internal { message: String::new() })
    }

    /// The model if it is loaded, marked as used.
    fn take(&mut self, name: &str) -> Result<Option<Arc<dyn Generator>>, EngineError> {
        self.clock += 1;
        let clock = self.clock;
        let entry = self.entry(name)?;
        entry.used = clock;
        Ok(entry.loaded.clone())
    }

    fn no_model(&self, name: &str) -> EngineError {
        let names: Vec<&str> = self.entries.keys().map(String::as_str).collect();
        let available = if names.is_empty() {
            "none; `candor pull` gets one".into()
        } else {
            names.join(", ")
        };
        EngineError::NoModel {
            name: name.chars().take(100).collect(),
            available,
        }
    }

    fn report(&self) {
        gauge!(metric::MODELS).set(self.entries.values().filter(|entry| entry.loaded.is_some()).count() as f64);
    }
}

fn size(bytes: u64) -> String {
    if bytes >= 1 << 30 {
        format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64)
    } else {
        format!("{} MiB", bytes >> 20)
    }
}

#[cfg(test)]
mod tests;
