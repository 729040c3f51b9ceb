//! Names to addresses, checked. The client connects to what comes out of here and asks no one else, so an answer that
//! changes between check and connection (DNS rebinding) changes nothing.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::{FetchError, Reach};

/// Looks names up.
#[async_trait::async_trait]
pub trait Names: Send + Sync {
    /// The addresses of a host.
    ///
    /// # Errors
    /// If it has none, or nobody can say.
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNames;

#[async_trait::async_trait]
impl Names for SystemNames {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0))
            .await?
            .map(|address| address.ip())
            .collect())
    }
}

/// Looks a name up and lets only permitted addresses through.
pub(crate) struct Checked {
    pub(crate) names: Arc<dyn Names>,
    pub(crate) reach: Reach,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (names, reach) = (Arc::clone(&self.names), self.reach);
        Box::pin(async move {
            let found = names.lookup(name.as_str()).await?;
            permitted(reach, name.as_str(), &found)?;
            let found: Vec<SocketAddr> = found.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// One forbidden address among permitted ones forbids the name: which of them is taken is not ours to say.
pub(crate) fn permitted(reach: Reach, host: &str, addresses: &[IpAddr]) -> Result<(), FetchError> {
    match addresses.iter().find_map(|ip| reach.forbids(*ip)) {
        Some((what, local)) => Err(FetchError::Private {
            host: host.to_owned(),
            what,
            local,
        }),
        None => Ok(()),
    }
}
