//! The servers of one `[[upstream]]`: a client with their key, and what is known of each replica's health. A replica
//! that fails is left alone for a while that doubles with every failure; a background probe finds it again.

use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tokio::task::JoinHandle;

use super::config::{Address, UpstreamConfig};
use super::dialect::Dialect;
use crate::EngineError;

/// Shortest and longest time for which a replica that failed is left alone.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));
/// Failures in a row after which a replica that does answer counts as away.
const PATIENCE: u32 = 3;
/// Longest `Retry-After` that is believed.
const MAX_BUSY: Duration = Duration::from_secs(300);

/// The servers of one `[[upstream]]`.
pub(super) struct Pool {
    pub(super) config: UpstreamConfig,
    pub(super) dialect: &'static Dialect,
    pub(super) client: reqwest::Client,
    pub(super) replicas: Vec<Arc<Replica>>,
    key: Option<String>,
    probes: Mutex<Vec<JoinHandle<()>>>,
}

/// One server.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) upstream: String,
    /// As it stands in the configuration.
    pub(super) name: String,
    pub(super) address: Address,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    fails: u32,
    /// Left alone until then.
    away_until: Option<Instant>,
    /// Said `Retry-After` until then; it is well otherwise.
    busy_until: Option<Instant>,
    reason: String,
}

/// Whether a replica can be asked now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Standing {
    Well,
    Busy(Duration),
    Away,
}

impl Replica {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn standing(&self) -> Standing {
        self.standing_at(Instant::now())
    }

    fn standing_at(&self, now: Instant) -> Standing {
        let state = self.state();
        if state.away_until.is_some_and(|until| until > now) {
            return Standing::Away;
        }
        match state.busy_until {
            Some(until) if until > now => Standing::Busy(until - now),
            _ => Standing::Well,
        }
    }

    /// Why it is away, where it is.
    pub(super) fn reason(&self) -> Option<String> {
        (self.standing() == Standing::Away).then(|| self.state().reason.clone())
    }

    pub(super) fn succeeded(&self) {
        let was_away = {
            let mut state = self.state();
            state.fails = 0;
            state.busy_until = None;
            state.away_until.take().is_some()
        };
        if was_away {
            tracing::info!(upstream = %self.upstream, replica = %self.name, "upstream replica is back");
        }
        self.gauge(1.0);
    }

    /// `gone`: it does not answer at all, and need not be asked again to know.
    pub(super) fn failed(&self, reason: &str, gone: bool) {
        self.failed_at(Instant::now(), reason, gone);
    }

    fn failed_at(&self, now: Instant, reason: &str, gone: bool) {
        let first = {
            let mut state = self.state();
            state.fails = state.fails.saturating_add(1);
            state.reason = reason.to_owned();
            let beyond = if gone {
                state.fails - 1
            } else {
                state.fails.saturating_sub(PATIENCE)
            };
            if !gone && state.fails < PATIENCE {
                return;
            }
            let wait = BACKOFF.0.saturating_mul(1 << beyond.min(16)).min(BACKOFF.1);
            state.away_until.replace(now + wait).is_none()
        };
        if first {
            tracing::warn!(upstream = %self.upstream, replica = %self.name, reason, "upstream replica is away");
        }
        self.gauge(0.0);
    }

    pub(super) fn busy(&self, wait: Duration) {
        self.state().busy_until = Some(Instant::now() + wait.min(MAX_BUSY));
    }

    fn gauge(&self, up: f64) {
        metrics::gauge!("candor_upstream_replica_up", "upstream" => self.upstream.clone(), "replica" => self.name.clone()).set(up);
    }
}

impl Pool {
    pub(super) fn new(config: &UpstreamConfig) -> Result<Arc<Self>, EngineError> {
        config.checked()?;
        let dialect = config.kind.dialect();
        let key = key(config)?;
        let replicas: Vec<Arc<Replica>> = config
            .replicas
            .iter()
            .map(|name| {
                let address = Address::parse(name).map_err(|why| invalid(format!("upstream `{}`: `{name}` {why}", config.name)))?;
                if key.is_some() && !address.tls && !address.loopback {
                    tracing::warn!(upstream = %config.name, replica = %name, "the key goes over this network unencrypted; use https unless the network is yours");
                }
                let replica = Replica { upstream: config.name.clone(), name: name.clone(), address, state: Mutex::default() };
                Ok(Arc::new(replica))
            })
            .collect::<Result<_, EngineError>>()?;
        let client = client(
            config,
            key.as_deref(),
            replicas.iter().any(|replica| replica.address.tls),
        )?;
        let pool = Self {
            config: config.clone(),
            dialect,
            client,
            replicas,
            key,
            probes: Mutex::default(),
        };
        pool.start_probes();
        Ok(Arc::new(pool))
    }

    /// What an upstream says, fit for others' eyes: short, and without the key.
    pub(super) fn quote(&self, text: &str) -> String {
        let clean = match &self.key {
            Some(key) => text.replace(key.as_str(), "[key]"),
            None => text.to_owned(),
        };
        clean
            .chars()
            .filter(|c| !c.is_control() || *c == '\n')
            .take(1000)
            .collect::<String>()
            .trim()
            .to_owned()
    }

    fn start_probes(&self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let timeouts = &self.config.timeouts;
        let (limit, every) = (
            Duration::from_secs_f64(timeouts.probe_s),
            Duration::from_secs_f64(timeouts.probe_every_s),
        );
        let tasks = self.replicas.iter().map(|replica| {
            let (client, replica) = (self.client.clone(), replica.clone());
            let url = match (
                self.config.health_path.as_deref().or(self.dialect.health),
                &replica.address,
            ) {
                (Some(path), address) => format!("{}/{}", address.root, path.trim_start_matches('/')),
                (None, address) => format!("{}/models", address.api),
            };
            runtime.spawn(async move {
                loop {
                    probe(&client, &url, limit, &replica).await;
                    tokio::time::sleep(every).await;
                }
            })
        });
        self.probes.lock().unwrap_or_else(PoisonError::into_inner).extend(tasks);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for task in self.probes.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }
}

async fn probe(client: &reqwest::Client, url: &str, limit: Duration, replica: &Replica) {
    match client.get(url).timeout(limit).send().await {
        Ok(answer) if answer.status().is_success() => replica.succeeded(),
        // A server that answers is there; what it refuses shows in requests.
        Ok(answer) if !answer.status().is_server_error() => {}
        Ok(answer) => replica.failed(
            &format!("its health check answers HTTP {}", answer.status().as_u16()),
            true,
        ),
        Err(error) => replica.failed(&why(&error), true),
    }
}

/// What reqwest's error means, without addresses of ours in it.
pub(super) fn why(error: &reqwest::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    let kind = if error.is_timeout() {
        return "it does not answer in time".into();
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    format!("{kind} ({deepest})")
}

fn invalid(message: String) -> EngineError {
    EngineError::Invalid {
        param: Some("upstream".into()),
        message,
    }
}

fn key(config: &UpstreamConfig) -> Result<Option<String>, EngineError> {
    let Some(variable) = &config.key_env else {
        return Ok(None);
    };
    match std::env::var(variable) {
        Ok(key) if !key.trim().is_empty() => Ok(Some(key.trim().to_owned())),
        _ => Err(invalid(format!(
            "upstream `{}` takes its key from the environment variable `{variable}`, which is not set; set it, or remove `key_env`",
            config.name
        ))),
    }
}

/// A client that follows no redirect, so that neither key nor prompt ever reaches a host that nobody configured.
fn client(config: &UpstreamConfig, key: Option<&str>, tls: bool) -> Result<reqwest::Client, EngineError> {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default(); // an error means: someone already did
    });
    let mut headers = HeaderMap::new();
    if let Some(key) = key {
        let mut value = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| {
            invalid(format!(
                "the key of upstream `{}` holds characters that no header can carry; check its environment variable",
                config.name
            ))
        })?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let build = |builder: reqwest::ClientBuilder| {
        let builder = builder
            .default_headers(headers.clone())
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs_f64(config.timeouts.connect_s))
            .user_agent(concat!("candor/", env!("CARGO_PKG_VERSION")));
        if config.proxy { builder } else { builder.no_proxy() }.build()
    };
    let plain = || reqwest::Client::builder().tls_certs_only([]);
    // Machines without a certificate store can still speak plain http, which needs none.
    let made = if tls {
        build(reqwest::Client::builder())
    } else {
        build(plain())
    };
    made.map_err(|error| EngineError::Unavailable {
        message: format!(
            "upstream `{}` needs TLS, and this machine's certificates cannot be read ({error}); install the system's CA certificates",
            config.name
        ),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn replica() -> Replica {
        let address = Address::parse("http://127.0.0.1:1").unwrap();
        Replica {
            upstream: "u".into(),
            name: "r".into(),
            address,
            state: Mutex::default(),
        }
    }

    #[test]
    fn a_replica_that_is_gone_is_left_alone_for_longer_and_longer() {
        let (replica, mut now) = (replica(), Instant::now());
        for expected_ms in [500, 1000, 2000] {
            replica.failed_at(now, "gone", true);
            now += Duration::from_millis(expected_ms - 1);
            assert_eq!(replica.standing_at(now), Standing::Away);
            now += Duration::from_millis(2);
            assert_eq!(replica.standing_at(now), Standing::Well);
        }
        for _ in 0..100 {
            replica.failed_at(now, "gone", true);
        }
        assert_eq!(replica.standing_at(now + Duration::from_secs(59)), Standing::Away);
        assert_eq!(replica.standing_at(now + Duration::from_secs(61)), Standing::Well);
    }

    #[test]
    fn one_bad_answer_does_not_condemn_a_replica() {
        let replica = replica();
        replica.failed("500", false);
        replica.failed("500", false);
        assert_eq!(replica.standing(), Standing::Well);
        replica.failed("500", false);
        assert_eq!(replica.standing(), Standing::Away);
        assert_eq!(replica.reason().unwrap(), "500");
        replica.succeeded();
        assert_eq!(replica.standing(), Standing::Well);
    }

    #[test]
    fn retry_after_is_believed_up_to_five_minutes() {
        let replica = replica();
        replica.busy(Duration::from_secs(1_000_000));
        let Standing::Busy(wait) = replica.standing() else {
            panic!("it said that it is busy")
        };
        assert!(wait <= Duration::from_secs(300));
        assert_eq!(
            replica.standing_at(Instant::now() + Duration::from_secs(301)),
            Standing::Well
        );
    }
}
