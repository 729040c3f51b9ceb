//! What an upstream's refusals and failures mean: for the person who asked (a sentence and a status), for the replica's
//! standing, and for whether another replica may be asked. The upstream's own words are quoted, short and without the key.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

use super::chunk::{ChunkError, reported};
use super::pool::{Pool, Replica, why};
use crate::EngineError;

/// How long a busy replica that does not say how long is left alone.
const BUSY: Duration = Duration::from_secs(2);

/// Who may be asked instead.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Retry {
    /// Nobody: the request itself is at fault.
    Nobody,
    /// Servers of another `[[upstream]]` only.
    OtherUpstream,
    /// Any replica, this one too.
    Anyone,
}

/// An attempt that produced nothing.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: EngineError,
    pub(super) retry: Retry,
}

impl Failure {
    pub(super) fn ours(error: EngineError) -> Self {
        Self {
            error,
            retry: Retry::OtherUpstream,
        }
    }
}

/// No answer, or one that broke off.
pub(super) fn broken(pool: &Pool, replica: &Replica, what: &str, gone: bool) -> Failure {
    let what = pool.quote(what);
    replica.failed(&what, gone);
    let message = format!(
        "upstream `{}` failed: {what}; try again, or look at its log ({})",
        pool.config.name, replica.name
    );
    Failure {
        error: EngineError::Unavailable { message },
        retry: Retry::Anyone,
    }
}

/// No answer at all.
pub(super) fn unreachable(pool: &Pool, replica: &Replica, error: &reqwest::Error) -> Failure {
    broken(pool, replica, &why(error), error.is_connect())
}

/// An answer that is an error: `code` is HTTP's, or the one in an event of a stream.
pub(super) fn refused(
    pool: &Pool,
    replica: &Replica,
    model: &str,
    code: u16,
    headers: &HeaderMap,
    body: &str,
) -> Failure {
    let said = match serde_json::from_str::<Value>(body).map(|json| reported(&json)) {
        Ok(ChunkError::Reported(_, message)) => message,
        _ => body.to_owned(),
    };
    let said = pool.quote(&said);
    let name = &pool.config.name;
    let unavailable = |message: String, retry| Failure {
        error: EngineError::Unavailable { message },
        retry,
    };
    match code {
        401 | 403 => {
            let key = match &pool.config.key_env {
                Some(variable) => format!("check the key in the environment variable `{variable}`"),
                None => "it wants a key; name the environment variable that holds it in `key_env`".into(),
            };
            tracing::error!(upstream = %name, replica = %replica.name, code, "upstream refuses us");
            unavailable(
                format!("upstream `{name}` refuses this server (HTTP {code}); {key}"),
                Retry::OtherUpstream,
            )
        }
        404 | 405 => unavailable(
            format!(
                "upstream `{name}` does not have `{model}` or the route (HTTP {code}: {said}); compare `id` in its `[[upstream.models]]` with what its /v1/models lists"
            ),
            Retry::Anyone,
        ),
        429 | 503 => {
            let wait = retry_after(headers);
            if code == 429 || wait.is_some() {
                replica.busy(wait.unwrap_or(BUSY));
                let retry_after_s = wait.unwrap_or(BUSY).as_secs().max(1);
                return Failure {
                    error: EngineError::Overloaded { retry_after_s },
                    retry: Retry::Anyone,
                };
            }
            broken(pool, replica, &format!("HTTP 503: {said}"), true)
        }
        300..=399 => {
            replica.failed("it redirects", false);
            let to = headers
                .get("location")
                .and_then(|to| to.to_str().ok())
                .map(|to| pool.quote(to))
                .unwrap_or_default();
            unavailable(
                format!(
                    "upstream `{name}` redirects to `{to}`, which is not followed, for the key's sake; write the final address into `replicas`"
                ),
                Retry::OtherUpstream,
            )
        }
        408 | 425 | 500.. => broken(
            pool,
            replica,
            &format!("HTTP {code}: {said}"),
            matches!(code, 502 | 504),
        ),
        _ => Failure {
            error: too_long(&said).unwrap_or(EngineError::Invalid {
                param: None,
                message: format!("upstream `{name}`: {said}"),
            }),
            retry: Retry::Nobody,
        },
    }
}

/// The upstream's error inside a stream or a whole answer.
pub(super) fn in_answer(pool: &Pool, replica: &Replica, model: &str, error: ChunkError) -> Failure {
    match error {
        ChunkError::Reported(code, message) => {
            refused(pool, replica, model, code.unwrap_or(500), &HeaderMap::new(), &message)
        }
        ChunkError::Garbage(what) => broken(pool, replica, &what, false),
    }
}

/// What "too long" looks like from vLLM, OpenAI, llama.cpp and Candor: two numbers beside the word "context".
fn too_long(said: &str) -> Option<EngineError> {
    if !said.contains("context")
        || !["maximum", "exceed", "holds", "longer"]
            .iter()
            .any(|word| said.contains(word))
    {
        return None;
    }
    let mut numbers = said
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse::<usize>().ok());
    let (a, b) = (numbers.next()?, numbers.next()?);
    Some(EngineError::TooLong {
        tokens: a.max(b),
        context: a.min(b),
    })
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let at = httpdate::parse_http_date(value).ok()?;
    Some(at.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn a_prompt_too_long_is_recognised_in_every_servers_words() {
        for (said, tokens, context) in [
            (
                "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
                5000,
                4096,
            ),
            (
                "the prompt has 9000 tokens and the model's context holds 8192; shorten it",
                9000,
                8192,
            ),
            (
                "the request exceeds the available context size (3000 tokens, 2048 free)",
                3000,
                2048,
            ),
        ] {
            let Some(EngineError::TooLong { tokens: t, context: c }) = too_long(said) else {
                panic!("{said}")
            };
            assert_eq!((t, c), (tokens, context));
        }
        assert!(too_long("temperature must be at most 2").is_none());
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let header = |text: &str| HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(text).unwrap())]);
        assert_eq!(retry_after(&header("7")), Some(Duration::from_secs(7)));
        assert_eq!(
            retry_after(&header("Wed, 21 Oct 2015 07:28:00 GMT")),
            Some(Duration::ZERO)
        );
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
        assert!(retry_after(&header(&soon)).unwrap() > Duration::from_secs(50));
        assert_eq!(retry_after(&header("-1")), None);
        assert_eq!(retry_after(&header("later")), None);
    }
}
