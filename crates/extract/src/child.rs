//! The child process: one line of JSON says what is wanted, the document follows, and lines of JSON come back. Before it looks at
//! the document it gives up what a document's reader has no need of: memory beyond its share, processor time, new files and
//! sockets (no file descriptor can be opened any more), files of any size, other processes. It is not a wall against a kernel's own
//! faults; it bounds what a parser's faults can cost.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use crate::document::Extracted;
use crate::error::ExtractError;
use crate::limits::Limits;
use crate::read::{Hints, documents_here, extract_here_with};

/// The longest first line.
const LONGEST_REQUEST: u64 = 64 << 10;

/// What the child is asked for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) hints: Hints,
    pub(crate) limits: Limits,
    /// Every entry of a feed or dump as a document of its own.
    pub(crate) many: bool,
}

/// One line of what it answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    Document(Extracted),
    Error(ExtractError),
    End,
}

/// What the hidden command `candor extract-child` runs: reads a request and a document from standard input, writes replies to
/// standard output.
pub fn child_main() -> ExitCode {
    // A panic is an answer of its own and is told as one; its trace would only clutter the parent's log.
    std::panic::set_hook(Box::new(|_| {}));
    let mut input = BufReader::with_capacity(1 << 18, std::io::stdin().lock());
    let mut line = Vec::new();
    let read = (&mut input).take(LONGEST_REQUEST).read_until(b'\n', &mut line);
    let Some(request) = read.ok().and_then(|_| serde_json::from_slice::<Request>(&line).ok()) else {
        eprintln!(
            "this command is started by Candor itself, to read one document at a time; `candor sources add FILE` reads documents"
        );
        return ExitCode::from(2);
    };
    confine(&request.limits, request.many);
    let mut gone = false;
    let result = if request.many {
        documents_here(&mut input, &request.hints, &request.limits, &mut |document| {
            gone = say(&Reply::Document(document)).is_err();
            !gone
        })
    } else {
        let mut bytes = Vec::new();
        let read = input
            .take(request.limits.input_bytes.saturating_add(1))
            .read_to_end(&mut bytes);
        let read = read.map_err(|e| ExtractError::Unreadable { why: e.to_string() });
        read.and_then(|_| extract_here_with(&bytes, &request.hints, &request.limits))
            .map(|document| {
                gone = say(&Reply::Document(document)).is_err();
            })
    };
    let last = result.map_or_else(Reply::Error, |()| Reply::End);
    if gone || say(&last).is_err() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn say(reply: &Reply) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

#[cfg(unix)]
fn confine(limits: &Limits, many: bool) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let set_up_to = |resource, value: u64, most: u64| {
        // Lowering a limit needs no right; one that is lower already stays.
        let below = |value: u64| getrlimit(resource).maximum.map_or(value, |maximum| maximum.min(value));
        let _ = setrlimit(
            resource,
            Rlimit {
                current: Some(below(value)),
                maximum: Some(below(most)),
            },
        );
    };
    let set = |resource, value| set_up_to(resource, value, value);
    set(Resource::As, limits.memory_bytes);
    // A dump may take hours of reading; there the caller's deadline per document counts.
    if !many {
        // The first limit's signal says what it was; the second one cannot be ignored.
        set_up_to(Resource::Cpu, limits.cpu_seconds, limits.cpu_seconds.saturating_add(2));
    }
    set(Resource::Nofile, 0);
    set(Resource::Fsize, 0);
    set(Resource::Nproc, 0);
    set(Resource::Core, 0);
}

#[cfg(not(unix))]
fn confine(_: &Limits, _: bool) {}
