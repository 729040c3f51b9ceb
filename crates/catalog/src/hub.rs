//! The Hugging Face hub, or what `HF_ENDPOINT` names instead: addresses of files, the token, whether it answers.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Url;

use crate::download::{self, into_error};
use crate::entry::{Entry, Source};
use crate::environment::Environment;
use crate::error::Error;
use crate::http::{Address, Client, host};
use crate::pull::{Job, Patience};
use crate::size::Bytes;
use crate::store::StoredFile;

/// Gets all files of a model from one commit of a repository.
pub(crate) async fn fetch(
    job: &Job<'_>,
    client: &Client,
    repo: &str,
    revision: &str,
    files: &BTreeMap<String, String>,
) -> Result<Vec<StoredFile>, Error> {
    let mut commit: Option<String> = None;
    let mut stored = Vec::new();
    for spec in &job.entry.files {
        if let Some(file) = job.kept(spec).await? {
            stored.push(file);
            continue;
        }
        let path = files.get(&spec.name).unwrap_or(&spec.name);
        // After the first file the branch may move; the others come from the commit the first one came from.
        let address = address(
            &job.options.environment,
            repo,
            commit.as_deref().unwrap_or(revision),
            path,
        )?;
        let (file, from) = download::file(job, client, spec, &address).await?;
        commit = commit.or(from);
        stored.push(file);
    }
    Ok(stored)
}

/// Whether the hub answers, within a few seconds.
///
/// # Errors
/// A sentence that says why not.
pub async fn hub_answers(environment: &Environment) -> Result<(), Error> {
    let base = endpoint(environment)?;
    let url = joined(&base, &["api", "models"]).map(|mut url| {
        url.set_query(Some("limit=1"));
        url
    })?;
    let mut answer = quick()?
        .get(
            &Address {
                url,
                token: None,
                page: None,
            },
            None,
        )
        .await
        .map_err(into_error)?;
    // A page that a network puts in front of everything is no hub: the hub gives a list.
    match answer.body.chunk().await {
        Ok(Some(chunk)) if chunk.first() == Some(&b'[') => Ok(()),
        _ => Err(Error::Source(format!("{} answers, but not as a hub does", host(&base)))),
    }
}

/// How large the download of a hub entry is, asked of the hub; also tells whether it answers for this model.
///
/// # Errors
/// A sentence that says why it cannot be told.
pub async fn download_size(entry: &Entry, environment: &Environment) -> Result<Bytes, Error> {
    let client = quick()?;
    let mut reason = Error::Source(format!("`{}` does not come from the hub", entry.name));
    for source in &entry.sources {
        let Source::Hub { repo, revision, files } = source else {
            continue;
        };
        let mut total: u64 = 0;
        let mut failed = None;
        for spec in &entry.files {
            let path = files.get(&spec.name).unwrap_or(&spec.name);
            match download::size(&client, &address(environment, repo, revision, path)?).await {
                Ok(size) => total = total.saturating_add(size),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        match failed {
            None => return Ok(Bytes(total)),
            Some(error) => reason = error,
        }
    }
    Err(reason)
}

fn quick() -> Result<Client, Error> {
    let (connect, answer) = (Duration::from_secs(3), Duration::from_secs(4));
    Client::new(&Patience {
        connect,
        answer,
        idle: answer,
        ..Patience::default()
    })
}

fn endpoint(environment: &Environment) -> Result<Url, Error> {
    if environment.hub_offline {
        return Err(Error::Source("HF_HUB_OFFLINE is set, so the hub is not asked".into()));
    }
    let text = if environment.hub_endpoint.is_empty() {
        Environment::HUB
    } else {
        &environment.hub_endpoint
    };
    let bad = |why: &str| Error::Source(format!("HF_ENDPOINT is `{text}`, {why}"));
    let url = Url::parse(text).map_err(|e| bad(&format!("which is not an address: {e}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(bad("which does not begin with https:// or http://"));
    }
    Ok(url)
}

fn joined(base: &Url, parts: &[&str]) -> Result<Url, Error> {
    let mut url = base.clone();
    url.path_segments_mut()
        .map_err(|()| Error::Source("HF_ENDPOINT cannot have a path".into()))?
        .pop_if_empty()
        .extend(parts);
    Ok(url)
}

/// Where a file of a repository is. Every part was checked with the catalog; they are escaped here all the same.
fn address(environment: &Environment, repo: &str, revision: &str, path: &str) -> Result<Address, Error> {
    let base = endpoint(environment)?;
    let mut parts: Vec<&str> = repo.split('/').collect();
    let page = joined(&base, &parts)?.to_string();
    parts.push("resolve");
    parts.push(revision);
    parts.extend(path.split('/'));
    // A token is a password: it does not cross a network in the clear.
    let safe = base.scheme() == "https" || matches!(base.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    let token = environment.hub_token.clone().filter(|_| safe);
    Ok(Address {
        url: joined(&base, &parts)?,
        token,
        page: Some(page),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn hub(endpoint: &str) -> Environment {
        Environment {
            hub_endpoint: endpoint.into(),
            hub_token: Some("hf_x".into()),
            ..Environment::default()
        }
    }

    #[test]
    fn addresses_keep_the_endpoints_path_and_escape_the_rest() {
        let at = address(&hub("https://mirror.example/hf"), "org/name", "refs/pr/1", "sub/a.gguf").unwrap();
        assert_eq!(
            at.url.as_str(),
            "https://mirror.example/hf/org/name/resolve/refs%2Fpr%2F1/sub/a.gguf"
        );
        assert_eq!(at.page.as_deref(), Some("https://mirror.example/hf/org/name"));
        assert_eq!(at.token.as_deref(), Some("hf_x"));
    }

    #[test]
    fn the_token_does_not_cross_a_network_in_the_clear() {
        assert_eq!(
            address(&hub("http://hub.example"), "org/name", "main", "a.gguf")
                .unwrap()
                .token,
            None
        );
        assert!(
            address(&hub("http://127.0.0.1:1"), "org/name", "main", "a.gguf")
                .unwrap()
                .token
                .is_some()
        );
    }

    #[tokio::test]
    async fn an_endpoint_that_is_none_and_an_offline_wish_are_said() {
        let said = hub_answers(&hub("huggingface.co")).await.unwrap_err().to_string();
        assert!(said.contains("HF_ENDPOINT is `huggingface.co`"), "{said}");
        let offline = Environment {
            hub_offline: true,
            ..hub("https://hub.example")
        };
        assert!(
            hub_answers(&offline)
                .await
                .unwrap_err()
                .to_string()
                .contains("HF_HUB_OFFLINE")
        );
    }
}
