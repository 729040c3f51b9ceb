//! The list of models Candor knows: a TOML file in the program, extended or overridden by the user's own.
//!
//! An entry of the user's file with the name of a built-in one replaces it as a whole. `docs/models.md` has the format.

use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use crate::caches::read_small;
use crate::entry::{Entry, Kind};
use crate::error::Error;
use crate::hub_name::HubName;

const BUILT_IN: &str = include_str!("../catalog.toml");
const LARGEST_FILE: u64 = 4 << 20;

/// The models Candor knows, in the order of the files.
#[derive(Clone, Debug)]
pub struct Catalog {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    model: Vec<Spanned<Entry>>,
}

impl Catalog {
    /// The built-in models, extended by the user's own file if there is one (a missing file is no error).
    ///
    /// # Errors
    /// A sentence with the line, when the user's file cannot be read or does not make sense.
    pub fn load(user_file: Option<&Path>) -> Result<Self, Error> {
        let mut catalog = Self::parse("the built-in catalog", BUILT_IN)?;
        if let Some(path) = user_file {
            match read_small(path, LARGEST_FILE) {
                Ok(bytes) => {
                    let file = path.display().to_string();
                    let text = String::from_utf8(bytes).map_err(|e| Error::Syntax {
                        line: 1 + e.as_bytes()[..e.utf8_error().valid_up_to()]
                            .iter()
                            .filter(|b| **b == b'\n')
                            .count(),
                        file: file.clone(),
                        reason: "there are bytes that are not UTF-8".into(),
                    })?;
                    catalog.extend(Self::parse(&file, &text)?);
                }
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(Error::file("read the catalog", path)(e)),
            }
        }
        Ok(catalog)
    }

    /// Reads one catalog file; `file` is its name in errors.
    ///
    /// # Errors
    /// A sentence with the line.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let line_of = |at: usize| {
            text.as_bytes()[..at.min(text.len())]
                .iter()
                .filter(|b| **b == b'\n')
                .count()
                + 1
        };
        let read: File = toml::from_str(text).map_err(|e| Error::Syntax {
            file: file.into(),
            line: line_of(e.span().map_or(0, |span| span.start)),
            reason: e.message().trim().replace('\n', "; "),
        })?;
        let mut entries: Vec<Entry> = Vec::with_capacity(read.model.len());
        for model in read.model {
            let line = line_of(model.span().start);
            let entry = model.into_inner();
            let problem = match entry.check() {
                Ok(()) if entries.iter().any(|e| e.name == entry.name) => Some("is there twice".to_owned()),
                Ok(()) => None,
                Err(reason) => Some(reason),
            };
            if let Some(reason) = problem {
                return Err(Error::Entry {
                    file: file.into(),
                    line,
                    name: entry.name,
                    reason,
                });
            }
            entries.push(entry);
        }
        Ok(Self { entries })
    }

    fn extend(&mut self, other: Self) {
        for entry in other.entries {
            match self.entries.iter_mut().find(|e| e.name == entry.name) {
                Some(old) => *old = entry,
                None => self.entries.push(entry),
            }
        }
    }

    /// All models.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The model of this name.
    ///
    /// # Errors
    /// Says a name that is near, if there is one.
    pub fn get(&self, name: &str) -> Result<&Entry, Error> {
        self.entries
            .iter()
            .find(|e| e.name == name)
            .ok_or_else(|| self.unknown(name))
    }

    /// What `candor pull WHAT` means: a name of the catalog, an address, or a file of the hub in any of the usual ways.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn resolve(&self, what: &str) -> Result<Entry, Error> {
        if HubName::explicit(what).is_some() {
            return Entry::from_hub(what);
        }
        if what.contains("://") {
            return Entry::from_url(what);
        }
        let path = what.rsplit_once('@').map_or(what, |(path, _)| path);
        if path.matches('/').count() >= 2 && path.ends_with(".gguf") && !path.starts_with(['/', '.', '~']) {
            return Entry::from_hub(what);
        }
        self.get(what).cloned()
    }

    /// The model that `make run` gets when nothing was asked for: the largest default that this much memory carries
    /// where the hub answers, else the one that comes from the package index.
    pub fn recommend(&self, memory_bytes: u64, hub_reachable: bool) -> Option<&Entry> {
        let gib = memory_bytes.div_ceil(1 << 30); // the system keeps some for itself: 15.4 GiB are a machine of 16
        self.entries
            .iter()
            .filter(|e| e.kind == Kind::Chat && e.default_from_gib.is_some_and(|from| from <= gib))
            .filter(|e| hub_reachable || e.works_without_the_hub())
            .max_by_key(|e| e.default_from_gib)
    }

    pub(crate) fn unknown(&self, name: &str) -> Error {
        let near = self
            .entries
            .iter()
            .map(|e| (distance(&name.to_lowercase(), &e.name), &e.name))
            .filter(|(d, candidate)| {
                *d <= 2 + candidate.len() / 4 || (name.len() >= 3 && candidate.contains(&name.to_lowercase()))
            })
            .min();
        let hint = match near {
            Some((_, candidate)) => format!(" (did you mean `{candidate}`?)"),
            None if HubName::possible(name).is_some() => {
                format!(" (a model of the hub is named with its file, as in `{name}/FILE.gguf`)")
            }
            None => String::new(),
        };
        let shown: String = name.chars().take(80).filter(|c| !c.is_control()).collect();
        Error::Unknown { name: shown, hint }
    }
}

/// Edit distance, of names as short as ours; long input counts as far away.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 100 || b.len() > 100 {
        return usize::MAX;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let best = (corner + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            corner = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    const ONE: &str = "[[model]]\nname = \"tiny\"\ntitle = \"Tiny\"\nkind = \"chat\"\nlicence = \"MIT\"\nparameters = \"1M\"\n\
        context = 64\ngood_for = \"tests\"\nlanguages = [\"en\"]\n[[model.file]]\nname = \"tiny.gguf\"\nsize = 3\n";

    #[test]
    fn the_built_in_catalog_is_sound() {
        let catalog = Catalog::load(None).unwrap();
        for name in ["smollm2-135m-instruct", "all-minilm-l6-v2", "gemma3-270m"] {
            let entry = catalog.get(name).unwrap();
            assert!(entry.tried && entry.works_without_the_hub(), "{name}");
            assert!(
                entry.files.iter().all(|f| f.sha256.is_some() && !f.approximate),
                "{name}"
            );
        }
        assert!(
            catalog
                .get("gemma3-270m")
                .unwrap()
                .terms
                .as_deref()
                .unwrap()
                .contains("Gemma")
        );
        let others = catalog.entries().iter().filter(|e| !e.works_without_the_hub());
        assert!(others.clone().count() >= 10);
        assert!(others.clone().all(|e| !e.tried && !e.sources.is_empty()));
        assert!(others.filter(|e| e.languages.iter().any(|l| l == "zh")).count() >= 2);
    }

    #[test]
    fn the_default_grows_with_the_memory_and_needs_no_hub_when_it_is_away() {
        let catalog = Catalog::load(None).unwrap();
        let pick = |gib: u64, hub| &*catalog.recommend(gib << 30, hub).unwrap().name;
        assert_eq!(pick(64, false), "smollm2-135m-instruct");
        assert_eq!(pick(0, true), "smollm2-135m-instruct");
        let sizes: Vec<u64> = [1, 4, 8, 16, 32]
            .map(|gib| catalog.recommend(gib << 30, true).unwrap().size().0)
            .into();
        assert!(sizes.is_sorted() && sizes[0] < sizes[4], "{sizes:?}");
    }

    #[test]
    fn the_users_file_extends_and_overrides() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("catalog.toml");
        let own = format!("{ONE}\n{}", ONE.replace("\"tiny\"", "\"gemma3-270m\""));
        std::fs::write(&file, own).unwrap();
        let catalog = Catalog::load(Some(&file)).unwrap();
        assert_eq!(catalog.get("tiny").unwrap().context, 64);
        assert_eq!(catalog.get("gemma3-270m").unwrap().title, "Tiny");
        assert!(Catalog::load(Some(&dir.path().join("none.toml"))).is_ok());
        assert!(Catalog::load(Some(dir.path())).is_err());
        std::fs::write(&file, b"# \n# \xFF").unwrap();
        assert!(
            Catalog::load(Some(&file))
                .unwrap_err()
                .to_string()
                .contains("line 2: there are bytes that are not UTF-8")
        );
        std::fs::File::create(&file).unwrap().set_len(5 << 20).unwrap();
        assert!(
            Catalog::load(Some(&file))
                .unwrap_err()
                .to_string()
                .contains("larger than")
        );
    }

    #[test]
    fn bad_toml_is_a_sentence_with_its_line() {
        let said = |text: &str| Catalog::parse("mine.toml", text).unwrap_err().to_string();
        assert!(
            said("\n\n[[model]\n").starts_with("mine.toml, line 3: "),
            "{}",
            said("\n\n[[model]\n")
        );
        let unknown_key = ONE.replace("context", "contxt");
        assert!(
            said(&unknown_key).contains("line 7") && said(&unknown_key).contains("contxt"),
            "{}",
            said(&unknown_key)
        );
        let traversal = ONE.replace("tiny.gguf", "../tiny.gguf");
        assert!(
            said(&traversal).contains("line 1: model `tiny`"),
            "{}",
            said(&traversal)
        );
        let twice = format!("{ONE}\n{ONE}");
        assert!(said(&twice).contains("is there twice"));
    }

    #[test]
    fn a_near_name_is_offered() {
        let catalog = Catalog::load(None).unwrap();
        let said = catalog.get("smollm2-135m-instrct").unwrap_err().to_string();
        assert!(said.contains("did you mean `smollm2-135m-instruct`"), "{said}");
        assert!(
            !catalog
                .get(&"x".repeat(100_000))
                .unwrap_err()
                .to_string()
                .contains("did you mean")
        );
    }
}
