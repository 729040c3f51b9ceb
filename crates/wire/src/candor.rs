//! The `candor` field of chat requests and answers: answers that are made of quotes, with how sure they are.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// Asks for an answer from sources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CandorRequest {
    /// How many of the given answers may be wrong, between 0 and 1; `null` answers always. Default: 0.1.
    #[serde(default = "usual_dial", deserialize_with = "explicit")]
    #[schema(minimum = 0, maximum = 1)]
    pub dial: Option<f64>,
    /// Ids of the vector stores to answer from; an empty list is no source at all. Default: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 100)]
    pub sources: Option<Vec<String>>,
    /// The model says the answer in its own words; each sentence that its quote does not bear out is replaced by the quote.
    #[serde(default)]
    pub phrase: bool,
}

#[allow(clippy::unnecessary_wraps)] // the shape that serde asks for
fn usual_dial() -> Option<f64> {
    Some(0.1)
}

/// `null` is a value here, and not what is left out.
fn explicit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    Option::deserialize(deserializer)
}

/// How an answer came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CandorAnswer {
    /// `answered` or `abstained`.
    pub outcome: String,
    /// The answer in at most fifteen words, where there is one.
    #[schema(required)]
    pub short: Option<String>,
    /// The probability that the answer is right.
    pub confidence: f64,
    /// The dial that was asked for.
    #[schema(required)]
    pub dial: Option<f64>,
    /// The sentences of the answer.
    pub sentences: Vec<CandorSentence>,
    /// What would help, where there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub advice: Option<String>,
    /// Where the nearest passages are, where there is no answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nearest: Vec<CandorCitation>,
    /// Names the receipt.
    #[schema(required)]
    pub receipt: Option<String>,
}

/// A sentence of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CandorSentence {
    /// Its words.
    pub text: String,
    /// Where it begins in the content, in characters.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// `quoted`, `supported`, `memory` or `disputed`.
    pub mark: String,
    /// The probability that it is right.
    pub confidence: f64,
    /// What bears it out.
    pub citations: Vec<CandorCitation>,
}

/// A place in a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CandorCitation {
    /// The file.
    pub file_id: String,
    /// The name of the file or its title.
    pub filename: String,
    /// The first byte, in `GET /v1/files/{file_id}/text`.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
    /// The words between both.
    pub quote: String,
    /// The page, from 1, where there are pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub page: Option<usize>,
    /// The source's date, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub date: Option<String>,
    /// Where it stands on the web, where the source is from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub url: Option<String>,
}

/// What an answer was made of, as a link of a chain that the instance signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CandorReceipt {
    /// Names it.
    pub id: String,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// The digest of the receipt before; empty in the first.
    pub previous: String,
    /// SHA-256 of the body.
    pub body_sha256: String,
    /// SHA-256 of the lines `candor receipt 1`, id, `created_ms`, `previous` and `body_sha256`.
    pub digest: String,
    /// Ed25519 signature of the digest's 64 characters, in hexadecimal digits.
    pub signature: String,
    /// The public key, in hexadecimal digits.
    pub public_key: String,
    /// JSON text: question, answer, places in sources with their hashes, what made it; `null` where that was deleted.
    #[schema(required)]
    pub body: Option<String>,
    /// How the sources of the answer stand now. No part of what is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub standing: Option<CandorStanding>,
}

/// How the sources of an answer stand now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CandorStanding {
    /// The receipt.
    pub receipt: String,
    /// The worst of its quotes: `same` (its sources still say so), `changed` (one does not any more), `gone` (one is not
    /// there any more) or `broken` (a stored text was tampered with); `null` where it quotes nothing, or what it said was
    /// deleted.
    #[schema(required)]
    pub state: Option<String>,
    /// When the sources were last compared after a change, in milliseconds since 1970; `null` where it was just now.
    #[schema(required)]
    pub checked_ms: Option<i64>,
    /// Its quotes.
    pub quotes: Vec<CandorQuoteStanding>,
}

/// How a source stands to a quote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CandorQuoteStanding {
    /// The sentence of the answer, from 0.
    pub sentence: usize,
    /// Which of its quotes, from 0.
    pub citation: usize,
    /// The source, where it is known.
    #[schema(required)]
    pub file_id: Option<String>,
    /// Its name when it was quoted.
    pub filename: String,
    /// The first byte, in the text of that time.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
    /// As above.
    pub state: String,
    /// What that means, as a sentence; `null` where nothing changed.
    #[schema(required)]
    pub why: Option<String>,
    /// Where the same words stand now, where that is another place.
    #[schema(required)]
    pub now: Option<CandorPlace>,
}

/// A place in a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CandorPlace {
    /// The source.
    pub file_id: String,
    /// The first byte, in `GET /v1/files/{file_id}/text`.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// A receipt was emptied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReceiptDeleted {
    /// Which.
    pub id: String,
    /// Always `receipt.deleted`.
    pub object: String,
    /// Always true.
    pub deleted: bool,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::CandorRequest;

    #[test]
    fn a_dial_that_is_null_is_off_and_one_that_is_left_out_is_ten_percent() {
        let dial = |text: &str| serde_json::from_str::<CandorRequest>(text).unwrap().dial;
        assert_eq!(
            (dial("{}"), dial("{\"dial\": null}"), dial("{\"dial\": 0.05}")),
            (Some(0.1), None, Some(0.05))
        );
    }
}
