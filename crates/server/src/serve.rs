//! Listening, accepting, and shutting down. Each connection has a deadline for its head and for a client that does
//! not read; when no more can be open, those that ask nothing are closed; at shutdown, running answers get a while to
//! finish.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use candor_truth::Intake;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{AcquireError, Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{App, ServerConfig};

mod stall;

/// How long a connection may ask nothing while others wait to be accepted.
const SILENT: Duration = Duration::from_secs(2);

/// Why the server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Open to others without a key.
    #[error(
        "{host} is not a loopback address, and no API key is set, so anyone who reaches it could use this server; set CANDOR_API_KEY, or listen on 127.0.0.1"
    )]
    NeedsKey {
        /// The address asked for.
        host: String,
    },
    /// No such address.
    #[error("{host} is no address that this machine can listen on ({source}); try --host 127.0.0.1")]
    NoAddress {
        /// The address asked for.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// Taken, or not allowed.
    #[error(
        "port {port} is already in use; stop the program that uses it, or choose another with --port (0 takes a free one)"
    )]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {source}; choose another --host or --port")]
    Listen {
        /// Host and port.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// Opens the listening socket that the configuration asks for.
///
/// # Errors
/// If the address is not loopback and there is no API key, or the socket cannot be had.
pub async fn bind(config: &ServerConfig) -> Result<TcpListener, ServeError> {
    let host = config.host.trim().trim_start_matches('[').trim_end_matches(']');
    let addresses = tokio::net::lookup_host((host, config.port))
        .await
        .map_err(|source| ServeError::NoAddress {
            host: host.into(),
            source,
        })?
        .collect::<Vec<_>>();
    let Some(&address) = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first()) else {
        return Err(ServeError::NoAddress {
            host: host.into(),
            source: io::ErrorKind::NotFound.into(),
        });
    };
    if config.api_key.is_none() && !is_loopback(address.ip()) {
        return Err(ServeError::NeedsKey {
            host: config.host.clone(),
        });
    }
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ServeError::PortTaken { port: config.port },
        _ => ServeError::Listen { address, source },
    })
}

/// A place for one more connection. Where there is none, those who ask nothing are told to make room until there is.
async fn place(places: &Arc<Semaphore>, crowded: &Notify) -> Result<OwnedSemaphorePermit, AcquireError> {
    let free = Arc::clone(places).acquire_owned();
    tokio::pin!(free);
    loop {
        match tokio::time::timeout(Duration::from_millis(50), &mut free).await {
            Ok(place) => return place,
            Err(_) => crowded.notify_waiters(),
        }
    }
}

/// Whether an address is this machine's own, also when written as a mapped IPv6 one.
pub(crate) fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// Serves until `shutdown` completes, then lets running answers finish for at most the configured time.
///
/// # Errors
/// If the listener is broken.
pub async fn serve(app: App, listener: TcpListener, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let service = TowerToHyperService::new(crate::router(app.clone()));
    let slots = app.config.max_connections.clamp(1, u32::MAX as usize);
    let connections = Arc::new(Semaphore::new(slots));
    // Uploads are read and indexed while the server runs, beginning with what an earlier run left.
    let intake = app.extension::<Intake>().cloned();
    let taking_in = intake.map(|intake| tokio::spawn(async move { intake.run().await }));
    let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
    let crowded = Arc::new(Notify::new());
    tokio::pin!(shutdown);
    loop {
        let slot = tokio::select! {
            () = &mut shutdown => break,
            slot = place(&connections, &crowded) => slot.map_err(io::Error::other)?,
        };
        let stream = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // Out of file handles, or the client is gone already: neither ends the server.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        stream.set_nodelay(true).ok();
        let io = TokioIo::new(stall::StallLimit::new(stream, app.config.write_timeout()));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(app.config.read_timeout())
            .max_headers(100)
            .serve_connection(io, service.clone());
        let (stop, cut, crowded) = (stop.clone(), cut.clone(), Arc::clone(&crowded));
        tokio::spawn(async move {
            let _slot = slot;
            tokio::pin!(connection);
            let others_wait = async {
                tokio::time::sleep(SILENT).await;
                crowded.notified().await;
            };
            let result = tokio::select! {
                result = connection.as_mut() => result,
                // Closes a connection that asks nothing, and another after its answer.
                () = others_wait => {
                    connection.as_mut().graceful_shutdown();
                    tokio::select! {
                        result = connection => result,
                        () = cut.cancelled() => Ok(()),
                    }
                }
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    tokio::select! {
                        result = connection => result,
                        () = cut.cancelled() => Ok(()),
                    }
                }
            };
            if let Err(error) = result {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    app.start_draining();
    if let Some(task) = taking_in {
        // Whatever it was at, the next start goes on with.
        task.abort();
    }
    stop.cancel();
    let all = u32::try_from(slots).unwrap_or(u32::MAX);
    if tokio::time::timeout(app.config.drain(), connections.acquire_many(all))
        .await
        .is_err()
    {
        tracing::warn!(
            "some answers were still running after {} s and are cut off",
            app.config.drain_s
        );
        cut.cancel();
    }
    Ok(())
}
