//! One file over HTTP: probed, fetched in one or several stretches, resumed, checked.
//!
//! How a file is split and how far each stretch is lies beside the partial file (`state.rs`). A stretch's mark moves
//! only after its bytes were handed to the system, so a killed process loses at most what came since the last mark.

use std::io::SeekFrom;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncSeekExt, AsyncWriteExt, BufWriter};

use crate::entry::FileSpec;
use crate::error::Error;
use crate::http::{Address, Answer, Client, Failure, host};
use crate::progress::Event;
use crate::pull::Job;
use crate::size::Bytes;
use crate::state::{State, most_room, partial, room_for, write_error};
use crate::store::StoredFile;

/// A break after at least this much counts as a fresh start, not as one more failure.
const PROGRESS: u64 = 64 << 10;

/// What a probe learned.
struct Remote {
    size: Option<u64>,
    tag: Option<String>,
    sha256: Option<String>,
    ranges: bool,
}

/// What the workers of one file share.
struct Work<'a> {
    job: &'a Job<'a>,
    client: &'a Client,
    address: &'a Address,
    name: &'a str,
    partial: &'a Path,
    remote: &'a Remote,
    state: Mutex<State>,
    shown: Mutex<(u64, Instant)>,
}

/// Fetches a plain address.
pub(crate) async fn plain(job: &Job<'_>, client: &Client, spec: &FileSpec, address: &str) -> Result<StoredFile, Error> {
    let url = reqwest::Url::parse(address).map_err(|e| Error::Source(format!("{address} is not an address: {e}")))?;
    Ok(file(
        job,
        client,
        spec,
        &Address {
            url,
            token: None,
            page: None,
        },
    )
    .await?
    .0)
}

/// Fetches a file, checks it and gives it its name. Also says which commit the hub took it from.
pub(crate) async fn file(
    job: &Job<'_>,
    client: &Client,
    spec: &FileSpec,
    address: &Address,
) -> Result<(StoredFile, Option<String>), Error> {
    let (remote, commit) = probe(job, client, address, &spec.name).await?;
    compare(spec, &remote, address)?;
    let partial = partial(job.dir, &spec.name);
    let resumed = match remote.size {
        Some(size) => in_stretches(job, client, spec, address, &remote, &partial, size).await?,
        None => whole(job, client, spec, address, &partial).await.map(|()| false)?,
    };
    match job.finish(spec, remote.sha256.as_deref()).await {
        // What was resumed may have been spoilt by a crash in between: once more from the beginning.
        Err(Error::Source(reason)) if resumed => {
            job.tell(Event::Retrying {
                what: spec.name.clone(),
                reason,
            });
            match remote.size {
                Some(size) => in_stretches(job, client, spec, address, &remote, &partial, size)
                    .await
                    .map(drop)?,
                None => whole(job, client, spec, address, &partial).await?,
            }
            Ok((job.finish(spec, remote.sha256.as_deref()).await?, commit))
        }
        done => Ok((done?, commit)),
    }
}

/// The size of the file, without downloading it.
pub(crate) async fn size(client: &Client, address: &Address) -> Result<u64, Error> {
    let answer = client.get(address, Some((0, 0))).await.map_err(into_error)?;
    answer
        .size
        .ok_or_else(|| Error::Source(format!("{} does not say how large the file is", host(&address.url))))
}

/// Asks for the first byte: that tells size, tag, hash, and whether the server does ranges.
async fn probe(
    job: &Job<'_>,
    client: &Client,
    address: &Address,
    name: &str,
) -> Result<(Remote, Option<String>), Error> {
    let mut once_more = true;
    loop {
        match client.get(address, Some((0, 0))).await {
            Ok(Answer {
                range,
                size,
                tag,
                sha256,
                commit,
                ..
            }) => {
                return Ok((
                    Remote {
                        size,
                        tag,
                        sha256,
                        ranges: range.is_some_and(|(first, _)| first == 0),
                    },
                    commit,
                ));
            }
            // A server in trouble gets one more chance; one that takes long to answer does not.
            Err(Failure::Cut(reason)) if once_more => {
                once_more = false;
                job.tell(Event::Retrying {
                    what: name.into(),
                    reason,
                });
                tokio::time::sleep(job.options.patience.pause).await;
            }
            Err(failure) => return Err(into_error(failure)),
        }
    }
}

/// Finds out before the download what would only show after it.
fn compare(spec: &FileSpec, remote: &Remote, address: &Address) -> Result<(), Error> {
    let host = host(&address.url);
    if let (Some(stated), Some(expected)) = (&remote.sha256, &spec.sha256)
        && stated != expected
    {
        return Err(Error::Source(format!(
            "{host} has another `{}` than the catalog means (SHA-256 {stated} instead of {expected}); it was not downloaded",
            spec.name
        )));
    }
    let Some(size) = remote.size else { return Ok(()) };
    let most = spec.size.saturating_mul(2).saturating_add(100 << 20);
    if size == 0 || (!spec.approximate && size != spec.size) || (spec.size > 0 && size > most) {
        return Err(Error::Source(format!(
            "{host} has `{}` with {} ({size} bytes), the catalog expects {}{} ({} bytes); it was not downloaded",
            spec.name,
            Bytes(size),
            if spec.approximate { "about " } else { "" },
            Bytes(spec.size),
            spec.size
        )));
    }
    Ok(())
}

/// Fetches a file of known size; says whether it went on with an earlier part.
async fn in_stretches(
    job: &Job<'_>,
    client: &Client,
    spec: &FileSpec,
    address: &Address,
    remote: &Remote,
    partial: &Path,
    size: u64,
) -> Result<bool, Error> {
    let identity = spec
        .sha256
        .clone()
        .or_else(|| remote.sha256.clone())
        .or_else(|| remote.tag.clone())
        .unwrap_or_default();
    let earlier = (remote.ranges && !identity.is_empty())
        .then(|| State::read(partial, &identity, size))
        .flatten();
    let resumed = earlier.as_ref().is_some_and(|state| state.done() > 0);
    let many = remote.ranges && size >= job.options.parallel_from;
    let fresh = |connections| State::new(identity.clone(), size, connections);
    let mut state = earlier.unwrap_or_else(|| fresh(if many { job.options.connections } else { 1 }));
    if resumed {
        job.tell(Event::Resumed {
            what: spec.name.clone(),
            done: Bytes(state.done()),
        });
    }
    room_for(job.dir, size - state.done())?;
    loop {
        if state.done() == 0 {
            State::forget(partial);
            tokio::fs::File::create(partial)
                .await
                .map_err(|e| write_error(partial, 0, e))?;
        }
        let work = Work {
            job,
            client,
            address,
            name: &spec.name,
            partial,
            remote,
            shown: Mutex::new((state.done(), Instant::now())),
            state: Mutex::new(state),
        };
        let stretches = work.now().spans.len();
        work.show(0);
        match futures::future::try_join_all((0..stretches).map(|i| work.stretch(i))).await {
            Ok(_) => break,
            Err(Failure::NoRanges) if stretches > 1 || work.now().done() > 0 => state = fresh(1),
            Err(failure) => return Err(into_error(failure)),
        }
    }
    job.downloading(&spec.name, size, Some(size));
    Ok(resumed)
}

impl Work<'_> {
    fn now(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fetches one stretch to its end, again and again where the connection breaks.
    async fn stretch(&self, index: usize) -> Result<(), Failure> {
        let patience = &self.job.options.patience;
        let mut failures = 0;
        loop {
            let span = self.now().spans[index];
            if span.at >= span.end {
                return Ok(());
            }
            let reason = match self.some_of(index).await {
                Ok(()) => continue,
                Err(Failure::Cut(reason) | Failure::Silent(reason)) => reason,
                Err(other) => return Err(other),
            };
            let got = self.now().spans[index].at.saturating_sub(span.at);
            failures = if got >= PROGRESS && self.remote.ranges {
                1
            } else {
                failures + 1
            };
            if failures > patience.retries {
                return Err(Failure::Refused(format!(
                    "{reason}, {failures} times in a row; what was downloaded is kept, and the next try goes on from there"
                )));
            }
            self.job.tell(Event::Retrying {
                what: self.name.into(),
                reason,
            });
            tokio::time::sleep(patience.pause * 2_u32.saturating_pow(failures.min(8) - 1)).await;
            if !self.remote.ranges {
                self.begin_again(index);
            }
        }
    }

    /// One connection's worth of a stretch.
    async fn some_of(&self, index: usize) -> Result<(), Failure> {
        let State { spans, size, .. } = self.now();
        let span = spans[index];
        let all = span.at == 0 && span.end == size;
        let range = (!all || self.remote.ranges).then_some((span.at, span.end - 1));
        let mut answer = self.client.get(self.address, range).await?;
        match answer.range {
            Some((first, total)) if first == span.at && total == size => {}
            None if all && answer.size.is_none_or(|s| s == size) => {}
            None if !all => return Err(Failure::NoRanges),
            _ => {
                return Err(Failure::Refused(format!(
                    "{} gave something else than was asked for",
                    host(&self.address.url)
                )));
            }
        }
        if self.remote.tag.is_some() && answer.tag != self.remote.tag {
            return Err(Failure::Refused(format!(
                "the file at {} changed during the download",
                host(&self.address.url)
            )));
        }
        let failed = |e| Failure::Local(write_error(self.partial, self.now().done(), e));
        let file = tokio::fs::File::options()
            .write(true)
            .open(self.partial)
            .await
            .map_err(failed)?;
        let mut out = BufWriter::with_capacity(1 << 19, file);
        out.seek(SeekFrom::Start(span.at)).await.map_err(failed)?;
        let mark_every = (size / 64).clamp(64 << 10, 4 << 20);
        let (mut at, mut marked) = (span.at, span.at);
        let outcome = loop {
            let chunk = match self.client.next(&mut answer.body).await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => {
                    break Err(Failure::Cut(format!(
                        "{} sent less than it said",
                        host(answer.body.url())
                    )));
                }
                Err(failure) => break Err(failure),
            };
            // A server that sends more than was asked for is not listened to.
            let wanted = chunk.len().min(usize::try_from(span.end - at).unwrap_or(usize::MAX));
            out.write_all(&chunk[..wanted]).await.map_err(failed)?;
            at += wanted as u64;
            self.show(wanted as u64);
            if at == span.end {
                break Ok(());
            }
            if at - marked >= mark_every {
                out.flush().await.map_err(failed)?;
                marked = at;
                self.mark(index, at)?;
            }
        };
        out.flush().await.map_err(failed)?;
        self.mark(index, at)?;
        outcome
    }

    fn mark(&self, index: usize, at: u64) -> Result<(), Failure> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.spans[index].at = at;
        state.write(self.partial).map_err(Failure::Local)
    }

    fn begin_again(&self, index: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let span = &mut state.spans[index];
        span.at = 0;
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).0 = 0;
    }

    fn show(&self, more: u64) {
        let total = self.remote.size;
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.0 += more;
        if more == 0 || shown.1.elapsed() >= Duration::from_millis(100) {
            shown.1 = Instant::now();
            self.job.downloading(self.name, shown.0, total);
        }
    }
}

/// Fetches a file of unknown size in one go: it cannot be resumed.
async fn whole(
    job: &Job<'_>,
    client: &Client,
    spec: &FileSpec,
    address: &Address,
    partial: &Path,
) -> Result<(), Error> {
    State::forget(partial);
    let most = match spec.size {
        0 => u64::MAX,
        size if spec.approximate => size.saturating_mul(2).saturating_add(100 << 20),
        size => size,
    };
    room_for(job.dir, spec.size)?;
    let most = most.min(most_room(job.dir));
    let mut answer = client.get(address, None).await.map_err(into_error)?;
    let mut done = 0;
    let file = tokio::fs::File::create(partial)
        .await
        .map_err(|e| write_error(partial, 0, e))?;
    let mut out = BufWriter::with_capacity(1 << 19, file);
    let mut shown = Instant::now();
    while let Some(chunk) = client.next(&mut answer.body).await.map_err(into_error)? {
        done += chunk.len() as u64;
        if done > most {
            return Err(Error::Source(format!(
                "{} sends more than the {} expected",
                host(&address.url),
                Bytes(most)
            )));
        }
        out.write_all(&chunk).await.map_err(|e| write_error(partial, done, e))?;
        if shown.elapsed() >= Duration::from_millis(100) {
            shown = Instant::now();
            job.downloading(&spec.name, done, None);
        }
    }
    out.flush().await.map_err(|e| write_error(partial, done, e))
}

/// What a failure means for the pull as a whole.
pub(crate) fn into_error(failure: Failure) -> Error {
    match failure {
        Failure::Refused(reason) | Failure::Cut(reason) | Failure::Silent(reason) => Error::Source(reason),
        Failure::NoRanges => Error::Source("the server stopped giving parts of files".into()),
        Failure::Local(error) => error,
    }
}
