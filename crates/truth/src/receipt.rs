//! Receipts: what an answer was made of, in a chain of digests that the instance signs (Ed25519, RFC 8032). A change of one
//! byte anywhere is found: in the body by its digest, in a link by the next one and by the signature. The chain holds
//! digests alone, so that what an answer said can be deleted.

use std::path::Path;

use candor_store::{Receipt, Store};
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::TruthError;
use crate::answer::{Answer, Answerer, Phrasing, Question};
use crate::standing::{self, QuoteStanding, State};

/// Goes into every digest, so that it cannot be one of something else.
const PURPOSE: &str = "candor receipt 1";
/// Links that are read at a time.
const PAGE: u64 = 500;

/// The key of an instance.
pub struct Signer {
    pair: Ed25519KeyPair,
}

impl Signer {
    /// The key in the file at `path`, which is made where there is none and can be read by its owner alone.
    ///
    /// # Errors
    /// If the file cannot be read or written, or holds no key.
    pub fn open(path: &Path) -> Result<Self, TruthError> {
        let fault = |message: &str| TruthError::File {
            path: path.to_owned(),
            message: message.to_owned(),
        };
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
                    .map_err(|_| fault("no random numbers can be had for a key"))?;
                write_new(path, key.as_ref())?;
                // Another process may have been first.
                std::fs::read(path).map_err(|error| TruthError::file(path, &error))?
            }
            Err(error) => return Err(TruthError::file(path, &error)),
        };
        let pair = Ed25519KeyPair::from_pkcs8(&bytes).map_err(|_| {
            fault("it is no signing key; move it away, and a new one is made (old receipts keep their own public key)")
        })?;
        Ok(Self { pair })
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

/// Writes a file that must not be there yet, whole or not at all.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), TruthError> {
    use std::io::Write as _;
    let new = path.with_extension(format!("new-{}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = || {
        let mut file = options.open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        match std::fs::hard_link(&new, path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    };
    let done = write();
    let _ = std::fs::remove_file(&new);
    done.map_err(|error: std::io::Error| TruthError::file(path, &error))
}

/// What a receipt is of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Body {
    /// The question, and what was asked before it.
    pub question: String,
    /// Earlier questions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// Ids of the collections that it was asked of; empty for everything.
    #[serde(default)]
    pub collections: Vec<String>,
    /// `answered` or `abstained`.
    pub outcome: String,
    /// The short answer.
    pub short: Option<String>,
    /// The probability.
    pub confidence: f64,
    /// The dial.
    pub dial: Option<f64>,
    /// The sentences.
    pub sentences: Vec<Line>,
    /// What made it.
    pub made_by: MadeBy,
}

/// A sentence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Its words.
    pub text: String,
    /// Its mark.
    pub mark: String,
    /// Where it stands in sources.
    pub evidence: Vec<Place>,
}

/// A place in a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// The source's name at that time.
    pub source: String,
    /// The source's id; receipts of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_id: Option<String>,
    /// SHA-256 of its text.
    pub text_sha256: String,
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
    /// SHA-256 of the words.
    pub quote_sha256: String,
}

/// What made an answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MadeBy {
    /// The program's version.
    pub candor: String,
    /// SHA-256 of the reader's weights.
    pub reader_sha256: String,
    /// SHA-256 of the calibration.
    pub calibration_sha256: String,
    /// The language model that was asked for, and of a local one its file's SHA-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
    /// How that model phrased the answer, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phrasing: Option<Phrasing>,
}

/// A language model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// Names file and kernels.
    pub fingerprint: String,
    /// SHA-256 of its file.
    pub sha256: Option<String>,
}

impl Model {
    /// By its card.
    pub fn of(card: &candor_engine::ModelCard) -> Self {
        Self {
            name: card.id.clone(),
            fingerprint: card.fingerprint.clone(),
            sha256: card.sha256.clone(),
        }
    }
}

impl Body {
    /// Of an answer.
    pub fn new(question: &Question, answer: &Answer, answerer: &Answerer) -> Self {
        let word = |value: serde_json::Result<serde_json::Value>| {
            value
                .ok()
                .and_then(|value| value.as_str().map(str::to_owned))
                .unwrap_or_default()
        };
        let line = |sentence: &crate::answer::AnswerSentence| Line {
            text: sentence.text.clone(),
            mark: word(serde_json::to_value(sentence.mark)),
            evidence: sentence
                .citations
                .iter()
                .map(|one| Place {
                    source: one.source.name.clone(),
                    file_id: Some(one.source.id.clone()),
                    text_sha256: one.quote.text_sha256().to_owned(),
                    start: one.quote.range().start,
                    end: one.quote.range().end,
                    quote_sha256: sha256(one.quote.text().as_bytes()),
                })
                .collect(),
        };
        Self {
            question: question.text.clone(),
            before: question.before.clone(),
            collections: question.filter.collections.clone(),
            outcome: word(serde_json::to_value(answer.outcome)),
            short: answer.short.as_ref().map(|short| short.text().to_owned()),
            confidence: answer.confidence,
            dial: answer.dial.0,
            sentences: answer.sentences.iter().map(line).collect(),
            made_by: MadeBy {
                candor: env!("CARGO_PKG_VERSION").to_owned(),
                reader_sha256: answerer.encoders.reader_sha256(),
                calibration_sha256: answerer.calibration(&question.text).sha256(),
                model: question.model.clone(),
                phrasing: answer.phrasing.clone(),
            },
        }
    }
}

/// Writes a receipt.
///
/// # Errors
/// If the store cannot be written.
pub async fn issue(store: &Store, signer: &Signer, body: &Body) -> Result<Receipt, TruthError> {
    let evidence = || body.sentences.iter().flat_map(|line| &line.evidence);
    let texts: Vec<&str> = evidence().map(|place| place.text_sha256.as_str()).collect();
    let sources: Vec<&str> = evidence().filter_map(|place| place.file_id.as_deref()).collect();
    let body = serde_json::to_string(body).map_err(|error| TruthError::CutOff(error.to_string()))?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let created_ms = now.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    let make = |previous: &str| {
        let body_sha256 = sha256(body.as_bytes());
        // The id is not guessed and not chosen: it names the content and its place in the chain.
        let id = format!(
            "rcpt-{}",
            &sha256(format!("{previous} {created_ms} {body_sha256}").as_bytes())[..32]
        );
        let digest = digest(&id, created_ms, previous, &body_sha256);
        Receipt {
            signature: hex::encode(signer.pair.sign(digest.as_bytes())),
            public_key: hex::encode(signer.pair.public_key()),
            previous: previous.to_owned(),
            body: Some(body.clone()),
            id,
            created_ms,
            body_sha256,
            digest,
        }
    };
    Ok(store.append_receipt(&texts, &sources, make).await?)
}

/// Reads a receipt from JSON. A key that is missing or unknown is refused: a receipt without its body would pass for one
/// whose body was deleted. `standing`, which a server adds when it is asked, is no part of it and is left out.
///
/// # Errors
/// If it is no receipt.
pub fn parse(json: &[u8]) -> serde_json::Result<Receipt> {
    const KEYS: [&str; 8] = [
        "id",
        "created_ms",
        "previous",
        "body_sha256",
        "digest",
        "signature",
        "public_key",
        "body",
    ];
    let mut value: serde_json::Value = serde_json::from_slice(json)?;
    if let Some(all) = value.as_object_mut() {
        all.remove("standing");
    }
    let whole = value
        .as_object()
        .is_some_and(|all| all.len() == KEYS.len() && KEYS.iter().all(|key| all.contains_key(*key)));
    if !whole {
        return Err(serde::de::Error::custom("it has other keys than a receipt has"));
    }
    serde_json::from_value(value)
}

/// What verifying found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub what: String,
    /// Whether it is as it should be.
    pub verdict: Soundness,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Soundness {
    /// As it should be.
    Sound,
    /// The source says something else now, or is gone; the receipt itself is as it should be.
    Changed,
    /// Not there any more, by the will of someone who may.
    Deleted,
    /// Not as it should be.
    Broken,
}

impl Finding {
    fn new(what: impl Into<String>, verdict: Soundness, why: Option<String>) -> Self {
        Self {
            what: what.into(),
            verdict,
            why,
        }
    }
}

/// Checks a receipt by itself, without any store: body, digest and signature.
pub fn verify_alone(receipt: &Receipt) -> Vec<Finding> {
    use Soundness::{Broken, Deleted, Sound};
    let mut findings = Vec::new();
    let mut say = |what: &str, good: bool, why: &str| {
        findings.push(Finding::new(
            what,
            if good { Sound } else { Broken },
            (!good).then(|| why.to_owned()),
        ));
    };
    if let Some(body) = &receipt.body {
        let same = sha256(body.as_bytes()) == receipt.body_sha256;
        say("body", same, "the text of the receipt was changed");
    }
    let own = digest(&receipt.id, receipt.created_ms, &receipt.previous, &receipt.body_sha256);
    say(
        "digest",
        own == receipt.digest,
        "its id, time, place in the chain or digest was changed",
    );
    // As it was written: the same bytes in capital letters are a change too.
    let bytes = |text: &str| hex::decode(text).ok().filter(|bytes| hex::encode(bytes) == text);
    let signed = match (bytes(&receipt.public_key), bytes(&receipt.signature)) {
        (Some(key), Some(signature)) => UnparsedPublicKey::new(&ED25519, key)
            .verify(receipt.digest.as_bytes(), &signature)
            .is_ok(),
        _ => false,
    };
    say("signature", signed, "it was not made by the key that the receipt names");
    if receipt.body.is_none() {
        findings.push(Finding::new(
            "body",
            Deleted,
            Some("what the answer said was deleted; that there was one can still be checked".into()),
        ));
    }
    findings
}

/// Checks a receipt with a store at hand: also each quote against the text that the store has now, and the whole chain.
///
/// # Errors
/// If the store cannot be read.
pub async fn verify(receipt: &Receipt, store: &Store) -> Result<Vec<Finding>, TruthError> {
    let mut findings = verify_alone(receipt);
    if let Some(body) = &receipt.body {
        let Ok(body) = serde_json::from_str::<Body>(body) else {
            let why = Some("it cannot be read as a receipt's".into());
            findings.push(Finding::new("body", Soundness::Broken, why));
            return Ok(findings);
        };
        let standing = standing::look(store, &body).await?;
        findings.extend(standing.quotes.into_iter().map(quote_finding));
    }
    findings.push(chain(receipt, store).await?);
    Ok(findings)
}

fn quote_finding(quote: QuoteStanding) -> Finding {
    let what = format!(
        "quote {} ({}, bytes {}..{})",
        quote.sentence + 1,
        quote.filename,
        quote.start,
        quote.end
    );
    let verdict = match quote.state {
        State::Same => Soundness::Sound,
        State::Changed | State::Gone => Soundness::Changed,
        State::Broken => Soundness::Broken,
    };
    Finding::new(what, verdict, quote.why)
}

/// The whole chain, and that this receipt is a link of it.
async fn chain(receipt: &Receipt, store: &Store) -> Result<Finding, TruthError> {
    let (mut previous, mut read, mut here) = (String::new(), 0, false);
    loop {
        let links = store.receipts(read, PAGE).await?;
        for link in &links {
            let sound = verify_alone(link)
                .iter()
                .all(|finding| finding.verdict != Soundness::Broken);
            if link.previous != previous || !sound {
                let why = format!("the link {} was changed, or one before it was taken out", link.id);
                return Ok(Finding::new("chain", Soundness::Broken, Some(why)));
            }
            here |= link.id == receipt.id && link.digest == receipt.digest;
            previous.clone_from(&link.digest);
        }
        read += links.len() as u64;
        if (links.len() as u64) < PAGE {
            break;
        }
    }
    Ok(match here {
        true => Finding::new(format!("chain of {read}"), Soundness::Sound, None),
        false => Finding::new(
            "chain",
            Soundness::Broken,
            Some("this store's chain has no such link".into()),
        ),
    })
}

fn digest(id: &str, created_ms: i64, previous: &str, body_sha256: &str) -> String {
    sha256(format!("{PURPOSE}\n{id}\n{created_ms}\n{previous}\n{body_sha256}").as_bytes())
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn body(text: &str) -> Body {
        Body {
            question: "Who?".into(),
            before: Vec::new(),
            collections: Vec::new(),
            outcome: "answered".into(),
            short: None,
            confidence: 0.812_345_678_901_234_5,
            dial: Some(0.1),
            sentences: vec![Line {
                text: text.into(),
                mark: "quoted".into(),
                evidence: Vec::new(),
            }],
            made_by: MadeBy::default(),
        }
    }

    async fn chain_of(count: usize) -> (tempfile::TempDir, Store, Vec<Receipt>) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("candor.db")).await.unwrap();
        let signer = Signer::open(&folder.path().join("instance.key")).unwrap();
        let mut all = Vec::new();
        for n in 0..count {
            all.push(issue(&store, &signer, &body(&format!("Sentence {n}."))).await.unwrap());
        }
        (folder, store, all)
    }

    fn broken(findings: &[Finding]) -> bool {
        findings.iter().any(|one| one.verdict == Soundness::Broken)
    }

    #[tokio::test]
    async fn a_change_of_one_byte_anywhere_is_found() {
        let (_folder, store, all) = chain_of(3).await;
        assert!(!broken(&verify(&all[1], &store).await.unwrap()));
        let json = serde_json::to_string(&all[1]).unwrap();
        let mut tried = 0;
        // The second makes capital letters of small ones.
        for (at, bit) in (0..json.len()).flat_map(|at| [(at, 1), (at, 0x20)]) {
            let mut bytes = json.clone().into_bytes();
            bytes[at] ^= bit;
            // What is no receipt any more is refused before it is checked.
            let Ok(changed) = parse(&bytes) else {
                continue;
            };
            if changed != all[1] {
                tried += 1;
                assert!(
                    broken(&verify_alone(&changed)),
                    "byte {at}: {}",
                    String::from_utf8_lossy(&bytes)
                );
            }
        }
        assert!(tried > 500);
    }

    #[tokio::test]
    async fn what_was_deleted_is_called_so_and_the_chain_still_holds() {
        let (_folder, store, all) = chain_of(3).await;
        store.empty_receipt(&all[1].id).await.unwrap();
        let findings = verify(&store.receipt(&all[1].id).await.unwrap(), &store).await.unwrap();
        assert!(
            !broken(&findings) && findings.iter().any(|one| one.verdict == Soundness::Deleted),
            "{findings:?}"
        );
        assert!(!broken(&verify(&all[2], &store).await.unwrap()));
    }

    #[tokio::test]
    async fn a_receipt_of_another_chain_or_key_is_not_this_ones() {
        let (_folder, store, _) = chain_of(1).await;
        let (_other, _, others) = chain_of(1).await;
        assert!(!broken(&verify_alone(&others[0])) && broken(&verify(&others[0], &store).await.unwrap()));
        let mut forged = others[0].clone();
        forged.signature = "00".repeat(64);
        assert!(broken(&verify_alone(&forged)));
    }

    #[test]
    fn a_key_is_kept_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("instance.key");
        let first = Signer::open(&path).unwrap().pair.public_key().as_ref().to_vec();
        assert_eq!(first, Signer::open(&path).unwrap().pair.public_key().as_ref());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        std::fs::write(&path, b"no key").unwrap();
        assert!(Signer::open(&path).unwrap_err().to_string().contains("move it away"));
    }
}
