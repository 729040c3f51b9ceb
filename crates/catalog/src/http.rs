//! One HTTP client for hub and plain addresses: GET with a range, redirects followed by hand, reasons as sentences.
//!
//! A token goes to the address it is for and is dropped for good at the first change of scheme, host or port.
//! Nothing is written to disk here.

use std::sync::Once;
use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_RANGE, ETAG, HeaderMap, LOCATION, RANGE, RETRY_AFTER};
use reqwest::{StatusCode, Url};

use crate::entry::is_sha256;
use crate::error::Error;
use crate::pull::Patience;

const MOST_REDIRECTS: usize = 10;

/// Why a request gave nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Asking again will not help; the next source might.
    Refused(String),
    /// The connection broke; asking again may help.
    Cut(String),
    /// Nobody answered in time; asking again helps only when somebody did before.
    Silent(String),
    /// The server sends whole files only.
    NoRanges,
    /// The trouble is on this machine.
    Local(Error),
}

/// Where to ask, and as whom.
#[derive(Clone)]
pub(crate) struct Address {
    pub(crate) url: Url,
    /// For this address' host only.
    pub(crate) token: Option<String>,
    /// The page where terms are accepted, for hub models.
    pub(crate) page: Option<String>,
}

/// The beginning of an answer, and what every hop said about the file.
pub(crate) struct Answer {
    pub(crate) body: reqwest::Response,
    /// Where the body begins and how long the whole file is, when the server heeded the range.
    pub(crate) range: Option<(u64, u64)>,
    /// The length of the whole file, where known.
    pub(crate) size: Option<u64>,
    /// The server's tag for the content.
    pub(crate) tag: Option<String>,
    /// The SHA-256 that the hub states for the file.
    pub(crate) sha256: Option<String>,
    /// The commit that the hub resolved the revision to.
    pub(crate) commit: Option<String>,
}

/// The client.
pub(crate) struct Client {
    inner: reqwest::Client,
    /// The system has no certificates to check https with.
    rootless: bool,
    answer: Duration,
    idle: Duration,
}

impl Client {
    pub(crate) fn new(patience: &Patience) -> Result<Self, Error> {
        static PROVIDER: Once = Once::new();
        // An error only says that the program has chosen one already, which serves as well.
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let builder = || {
            reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(patience.connect)
                .referer(false)
                .user_agent(concat!("candor/", env!("CARGO_PKG_VERSION")))
        };
        let (inner, rootless) = match builder().build() {
            Ok(client) => (client, false),
            // Where the system has no certificate store, plain http must go on working, and https say why it does not.
            Err(_) => (
                builder()
                    .tls_certs_only([])
                    .build()
                    .map_err(|e| Error::Client(root(&e)))?,
                true,
            ),
        };
        Ok(Self {
            inner,
            rootless,
            answer: patience.answer,
            idle: patience.idle,
        })
    }

    /// Asks for a file, or for the bytes from the first to the last of `range`.
    pub(crate) async fn get(&self, address: &Address, range: Option<(u64, u64)>) -> Result<Answer, Failure> {
        let mut url = address.url.clone();
        let mut token = address.token.as_deref();
        let (mut sha256, mut commit, mut linked_size) = (None, None, None);
        for _ in 0..=MOST_REDIRECTS {
            let host = host(&url);
            let mut request = self.inner.get(url.clone()).header(ACCEPT_ENCODING, "identity");
            if let Some(token) = token {
                request = request.header(AUTHORIZATION, format!("Bearer {token}"));
            }
            if let Some((first, last)) = range {
                request = request.header(RANGE, format!("bytes={first}-{last}"));
            }
            let response = match tokio::time::timeout(self.answer, request.send()).await {
                Ok(Ok(response)) => response,
                Ok(Err(e)) => return Err(self.unsent(&host, &e)),
                Err(_) => {
                    return Err(Failure::Silent(format!(
                        "{host} did not answer within {} s",
                        self.answer.as_secs_f32()
                    )));
                }
            };
            let headers = response.headers();
            sha256 = sha256.or_else(|| {
                text(headers, "x-linked-etag")
                    .map(untagged)
                    .filter(|tag| is_sha256(tag))
            });
            commit = commit.or_else(|| {
                text(headers, "x-repo-commit").filter(|c| crate::caches::commit_name(c.as_bytes()).is_some())
            });
            linked_size = linked_size.or_else(|| text(headers, "x-linked-size")?.parse().ok());
            if response.status().is_redirection() && response.status() != StatusCode::NOT_MODIFIED {
                let next = redirected(&url, headers)?;
                if next.origin() != url.origin() {
                    token = None;
                }
                url = next;
                continue;
            }
            return read(
                response,
                &host,
                address,
                range.is_some(),
                token.is_some(),
                (sha256, commit, linked_size),
            );
        }
        Err(Failure::Refused(format!(
            "{} redirected more than {MOST_REDIRECTS} times",
            host(&address.url)
        )))
    }

    /// The next bytes of a body; `None` at its end.
    pub(crate) async fn next(&self, body: &mut reqwest::Response) -> Result<Option<bytes::Bytes>, Failure> {
        match tokio::time::timeout(self.idle, body.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(e)) => Err(Failure::Cut(format!(
                "the connection to {} broke ({})",
                host(body.url()),
                root(&e)
            ))),
            Err(_) => Err(Failure::Cut(format!(
                "{} sent nothing for {} s",
                host(body.url()),
                self.idle.as_secs_f32()
            ))),
        }
    }

    fn unsent(&self, host: &str, error: &reqwest::Error) -> Failure {
        let reason = root(error);
        if self.rootless && reason.contains("certificate") {
            return Failure::Refused(format!(
                "{host} cannot be trusted: this system has no certificate store; install the package ca-certificates, or set SSL_CERT_FILE"
            ));
        }
        if error.is_timeout() {
            return Failure::Silent(format!("cannot reach {host} (it did not take the connection in time)"));
        }
        if error.is_connect() {
            return Failure::Refused(format!("cannot reach {host} ({reason})"));
        }
        Failure::Cut(format!("the connection to {host} broke ({reason})"))
    }
}

fn redirected(from: &Url, headers: &HeaderMap) -> Result<Url, Failure> {
    let bad = |why: &str| Failure::Refused(format!("{} redirected {why}; that was not followed", host(from)));
    let next = text(headers, LOCATION.as_str()).ok_or_else(|| bad("without saying where"))?;
    let next = from.join(&next).map_err(|_| bad("to something that is no address"))?;
    match (from.scheme(), next.scheme()) {
        ("https", "http") => Err(bad("from https to http")),
        (_, "http" | "https") if next.host().is_some() && next.username().is_empty() && next.password().is_none() => {
            Ok(next)
        }
        _ => Err(bad("to an address of another kind")),
    }
}

type Stated = (Option<String>, Option<String>, Option<u64>);

fn read(
    body: reqwest::Response,
    host: &str,
    address: &Address,
    ranged: bool,
    with_token: bool,
    (sha256, commit, linked_size): Stated,
) -> Result<Answer, Failure> {
    let headers = body.headers();
    let tag = text(headers, ETAG.as_str()).map(untagged);
    let answer = |body, range, size| Answer {
        body,
        range,
        size,
        tag,
        sha256,
        commit,
    };
    match body.status() {
        StatusCode::OK => {
            let length = text(headers, "content-length").and_then(|n| n.parse().ok());
            let size = length.or(linked_size);
            Ok(answer(body, None, size))
        }
        StatusCode::PARTIAL_CONTENT if ranged => {
            let range = text(headers, CONTENT_RANGE.as_str()).as_deref().and_then(content_range);
            let Some((first, total)) = range else {
                return Err(Failure::Refused(format!(
                    "{host} answered with a range that makes no sense"
                )));
            };
            Ok(answer(body, Some((first, total)), Some(total)))
        }
        status => Err(refusal(status, host, headers, address, with_token)),
    }
}

/// First byte and total of `bytes 0-9/100`.
fn content_range(value: &str) -> Option<(u64, u64)> {
    let (span, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = span.split_once('-')?;
    let (first, last, total) = (first.parse().ok()?, last.parse().ok()?, total.parse().ok()?);
    (first <= last && last < total).then_some((first, total))
}

fn refusal(status: StatusCode, host: &str, headers: &HeaderMap, address: &Address, with_token: bool) -> Failure {
    let code = text(headers, "x-error-code").unwrap_or_default();
    let page = address.page.as_deref().unwrap_or("the model's page");
    let said = match status.as_u16() {
        _ if code == "GatedRepo" && with_token => {
            format!(
                "{host} gives this model only to accounts that accepted its terms ({status}); accept them at {page} with the account of your token"
            )
        }
        _ if code == "GatedRepo" => {
            format!(
                "{host} gives this model only to accounts that accepted its terms ({status}); accept them at {page}, make a token and set HF_TOKEN"
            )
        }
        401 if with_token => format!("{host} does not accept the token (401); make a new one and set HF_TOKEN"),
        401 if address.page.is_some() => format!(
            "{host} asks who you are (401): the model is private, gated or not there; see {page}, and set HF_TOKEN to a token that may read it"
        ),
        401 => format!("{host} asks who you are (401), and Candor has no password for it"),
        403 => format!(
            "{host} does not allow it (403); if the model has terms to accept, accept them at {page} with the account of your HF_TOKEN"
        ),
        404 | 410 => format!(
            "{host} has no such file ({}); it may have moved: see {page}",
            status.as_u16()
        ),
        416 => format!("{host} does not have the bytes that were asked for (416); the file is empty or has changed"),
        429 => match text(headers, RETRY_AFTER.as_str()).filter(|t| t.len() < 40) {
            Some(after) => format!("{host} has had too many requests (429) and asks to wait {after} s"),
            None => format!("{host} has had too many requests (429); try again later"),
        },
        500..=599 => return Failure::Cut(format!("{host} has trouble of its own ({status})")),
        _ => format!("{host} answered {status}"),
    };
    Failure::Refused(said)
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    (value.len() < 8192).then(|| value.to_owned())
}

/// A tag without its quotes and weakness mark.
fn untagged(tag: String) -> String {
    tag.trim_start_matches("W/").trim_matches('"').to_owned()
}

/// Host and port, for sentences.
pub(crate) fn host(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        _ => "the address".into(),
    }
}

/// The innermost reason of an error: that is where "connection refused" stands.
fn root(error: &dyn std::error::Error) -> String {
    let mut at = error;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn a_content_range_is_read_or_refused() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, 10)));
        for bad in [
            "bytes 9-5/10",
            "bytes 0-10/10",
            "bytes */10",
            "bytes 0-1/*",
            "items 0-1/2",
            "bytes -1-1/2",
            "",
        ] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_redirect_from_https_to_http_or_to_a_file_is_not_followed() {
        let from = Url::parse("https://hub.example/x").unwrap();
        let to = |location: &str| redirected(&from, &HeaderMap::from_iter([(LOCATION, location.parse().unwrap())]));
        for bad in [
            "http://hub.example/x",
            "file:///etc/passwd",
            "https://user:pass@cdn.example/x",
            "ftp://cdn.example/x",
        ] {
            assert!(to(bad).is_err(), "{bad}");
        }
        assert_eq!(to("/y").unwrap().as_str(), "https://hub.example/y");
        assert_eq!(to("https://cdn.example/x").unwrap().host_str(), Some("cdn.example"));
    }
}
