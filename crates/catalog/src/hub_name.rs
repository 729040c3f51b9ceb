//! The ways in which people name what is on the hub: with `hf:`, with the hub's address as a browser shows it, or as
//! `organisation/repository`. All come out as repository, revision and path; nothing is asked of the hub here.

use crate::entry::{check_repo, is_path_of_names};

/// Other tools' prefixes and the hub's own addresses.
const BEGINNINGS: [&str; 9] = [
    "hf:",
    "hf://",
    "hf.co/",
    "huggingface.co/",
    "https://hf.co/",
    "https://huggingface.co/",
    "https://www.huggingface.co/",
    "http://hf.co/",
    "http://huggingface.co/",
];

/// A repository of the hub, and perhaps one of its files.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HubName {
    /// `organisation/repository`.
    pub(crate) repo: String,
    /// A branch, tag or commit; `main` where none is named.
    pub(crate) revision: String,
    /// The path of a file in the repository.
    pub(crate) file: Option<String>,
}

impl HubName {
    /// Reads a name that says that it belongs to the hub. `None`: it says nothing of the kind.
    pub(crate) fn explicit(what: &str) -> Option<Self> {
        let rest = BEGINNINGS
            .iter()
            .filter_map(|beginning| what.strip_prefix(beginning))
            .min_by_key(|rest| rest.len())?;
        let is_address = what.contains("://");
        let rest = if is_address {
            rest.split(['?', '#']).next().unwrap_or_default()
        } else {
            rest
        };
        let rest = rest.trim_matches('/');
        let (path, revision) = match rest.rsplit_once('@') {
            Some((path, revision)) => (path, Some(revision.to_owned())),
            None => (rest, None),
        };
        let mut parts = path.splitn(3, '/');
        let repo = [parts.next(), parts.next()].map(Option::unwrap_or_default).join("/");
        // A browser's address names the revision between repository and path.
        let (revision, file) = match parts.next() {
            None => (revision, None),
            Some(rest) => match rest.split_once('/') {
                Some(("resolve" | "blob" | "raw" | "tree", rest)) => {
                    let (named, file) = rest.split_once('/').unwrap_or((rest, ""));
                    let named = named.replace("%2F", "/").replace("%2f", "/");
                    (
                        Some(named),
                        Some(file).filter(|file| !file.is_empty()).map(str::to_owned),
                    )
                }
                _ => (revision, Some(rest.to_owned())),
            },
        };
        Some(Self {
            repo,
            revision: revision.unwrap_or_else(|| "main".into()),
            file,
        })
    }

    /// The same, and `organisation/repository[@revision]` without any mark, which may be something else as well.
    pub(crate) fn possible(what: &str) -> Option<Self> {
        Self::explicit(what).or_else(|| {
            let (repo, revision) = what.split_once('@').unwrap_or((what, "main"));
            (check_repo(repo).is_ok() && is_path_of_names(revision)).then(|| Self {
                repo: repo.into(),
                revision: revision.into(),
                file: None,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::HubName;

    fn parts(what: &str) -> (String, String, Option<String>) {
        let name = HubName::explicit(what).unwrap();
        (name.repo, name.revision, name.file)
    }

    #[test]
    fn addresses_and_prefixes_name_the_same_file() {
        let expected = ("org/Tiny-GGUF".into(), "main".into(), Some("tiny.gguf".into()));
        for what in [
            "hf:org/Tiny-GGUF/tiny.gguf",
            "hf://org/Tiny-GGUF/tiny.gguf@main",
            "hf.co/org/Tiny-GGUF/tiny.gguf",
            "https://huggingface.co/org/Tiny-GGUF/resolve/main/tiny.gguf?download=true",
            "https://huggingface.co/org/Tiny-GGUF/blob/main/tiny.gguf#x",
        ] {
            assert_eq!(parts(what), expected, "{what}");
        }
        assert_eq!(
            parts("https://huggingface.co/org/name/resolve/refs%2Fpr%2F1/a/b.gguf"),
            ("org/name".into(), "refs/pr/1".into(), Some("a/b.gguf".into()))
        );
        assert_eq!(
            parts("https://huggingface.co/org/name/tree/v1"),
            ("org/name".into(), "v1".into(), None)
        );
    }

    #[test]
    fn what_is_no_name_of_the_hub_is_left_to_others() {
        assert_eq!(HubName::explicit("https://example.org/org/name/x.gguf"), None);
        assert_eq!(HubName::explicit("smollm2-135m-instruct"), None);
        assert!(HubName::possible("org/name").is_some() && HubName::possible("org/name@v1").is_some());
        for what in ["name", "../name", "a/b/c", "org/name:1b", ""] {
            assert_eq!(HubName::possible(what), None, "{what}");
        }
    }
}
