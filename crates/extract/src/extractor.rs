//! The parent's side: starts a child for each document, feeds it, takes what it says, and kills it when it takes too long. However
//! the child ends, the caller gets documents or a sentence, and waits no longer than the deadline.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::child::{Reply, Request};
use crate::document::Extracted;
use crate::error::ExtractError;
use crate::limits::Limits;
use crate::read::Hints;

/// Reads documents in child processes.
#[derive(Debug, Clone)]
pub struct Extractor {
    program: PathBuf,
    limits: Limits,
}

/// Where a document's bytes come from.
#[derive(Debug)]
pub enum Source {
    /// From memory.
    Bytes(Vec<u8>),
    /// From an open file; the child gets its bytes through a pipe and never opens it.
    File(File),
}

impl Extractor {
    /// `program` is what has the command `extract-child`: Candor itself.
    pub fn new(program: impl Into<PathBuf>, limits: Limits) -> Self {
        Self {
            program: program.into(),
            limits,
        }
    }

    /// The limits that its children keep.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Reads one document; a feed or dump as a single one.
    ///
    /// # Errors
    /// A sentence that says why there is no text and what to do.
    pub fn extract(&self, bytes: &[u8], name_hint: Option<&str>) -> Result<Extracted, ExtractError> {
        let hints = Hints {
            name: name_hint.map(str::to_owned),
            password: None,
        };
        self.extract_with(Source::Bytes(bytes.to_vec()), &hints)
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// A sentence that says why there is no text and what to do.
    pub fn extract_path(&self, path: &Path) -> Result<Extracted, ExtractError> {
        let (source, hints) = self.opened(path)?;
        self.extract_with(source, &hints)
    }

    /// Reads one document, with all that is known about it.
    ///
    /// # Errors
    /// A sentence that says why there is no text and what to do.
    pub fn extract_with(&self, source: Source, hints: &Hints) -> Result<Extracted, ExtractError> {
        let length = match &source {
            Source::Bytes(bytes) => bytes.len() as u64,
            Source::File(file) => file.metadata().map_or(0, |meta| meta.len()),
        };
        if length > self.limits.input_bytes {
            return Err(ExtractError::too_large(
                "this file",
                format!(
                    "it has {} MB, at most {} MB are read at once; split it",
                    length >> 20,
                    self.limits.input_bytes >> 20
                ),
            ));
        }
        let mut documents = self.start(source, hints, false)?;
        documents.next().unwrap_or_else(|| {
            Err(ExtractError::ReaderFailed {
                how: "it gave no answer".into(),
            })
        })
    }

    /// The entries of a feed or the articles of a dump, one by one, or the only document there is. Dropping the iterator ends the child.
    ///
    /// # Errors
    /// When the child cannot be started.
    pub fn documents(&self, source: Source, hints: &Hints) -> Result<Documents, ExtractError> {
        self.start(source, hints, true)
    }

    /// The documents in the file at `path`.
    ///
    /// # Errors
    /// When the file cannot be opened or the child not be started.
    pub fn documents_of_path(&self, path: &Path) -> Result<Documents, ExtractError> {
        let (source, hints) = self.opened(path)?;
        self.documents(source, &hints)
    }

    fn opened(&self, path: &Path) -> Result<(Source, Hints), ExtractError> {
        let unreadable = |why: String| ExtractError::Unreadable { why };
        // A pipe or device would never end, and opening one may never return.
        let meta = std::fs::metadata(path).map_err(|e| unreadable(e.to_string()))?;
        if !meta.is_file() {
            return Err(unreadable("it is no file".into()));
        }
        let file = File::open(path).map_err(|e| unreadable(e.to_string()))?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok((Source::File(file), Hints { name, password: None }))
    }

    fn start(&self, source: Source, hints: &Hints, many: bool) -> Result<Documents, ExtractError> {
        let request = Request {
            hints: hints.clone(),
            limits: self.limits.clone(),
            many,
        };
        let no_reader = |why: String| ExtractError::NoReader { why };
        let mut line = serde_json::to_vec(&request).map_err(|e| no_reader(e.to_string()))?;
        line.push(b'\n');
        let mut command = Command::new(&self.program);
        command
            .arg("extract-child")
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|e| no_reader(format!("{} cannot be started ({e})", self.program.display())))?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(no_reader("its pipes are missing".into()));
        };
        std::thread::spawn(move || feed(stdin, &line, source));
        let (sender, replies) = sync_channel(1);
        // A line is a document as JSON, where a control-free character takes at most twice its bytes; the rest is headings and notes.
        let longest = (self.limits.text_bytes as u64)
            .saturating_mul(4)
            .saturating_add(64 << 20);
        std::thread::spawn(move || listen(stdout, longest, &sender));
        let last_words = std::thread::spawn(move || {
            let mut words = Vec::new();
            let _ = stderr.take(16 << 10).read_to_end(&mut words);
            String::from_utf8_lossy(&words).into_owned()
        });
        Ok(Documents {
            child,
            replies,
            last_words: Some(last_words),
            limits: self.limits.clone(),
            done: false,
        })
    }
}

/// Gives the child its request and the document. It may stop reading at any time; what it says then is what counts.
fn feed(mut stdin: ChildStdin, line: &[u8], source: Source) {
    let _ = stdin.write_all(line).and_then(|()| match source {
        Source::Bytes(bytes) => stdin.write_all(&bytes),
        Source::File(mut file) => std::io::copy(&mut file, &mut stdin).map(drop),
    });
}

fn listen(stdout: ChildStdout, longest: u64, replies: &SyncSender<Reply>) {
    let mut stdout = BufReader::with_capacity(1 << 16, stdout);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut stdout).take(longest).read_until(b'\n', &mut line) {
            Ok(n) if n > 0 && line.last() == Some(&b'\n') => {}
            _ => return,
        }
        let Ok(reply) = serde_json::from_slice::<Reply>(&line) else {
            return;
        };
        if replies.send(reply).is_err() {
            return;
        }
    }
}

/// The documents that a child gives.
#[derive(Debug)]
pub struct Documents {
    child: Child,
    replies: Receiver<Reply>,
    last_words: Option<JoinHandle<String>>,
    limits: Limits,
    done: bool,
}

impl Iterator for Documents {
    type Item = Result<Extracted, ExtractError>;

    /// Waits for the next document, no longer than the deadline; only waiting counts, not what the caller does in between.
    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        match self.replies.recv_timeout(self.limits.deadline) {
            Ok(Reply::Document(document)) => Some(checked(document)),
            Ok(Reply::End) => {
                self.stop();
                None
            }
            Ok(Reply::Error(error)) => {
                self.stop();
                Some(Err(error))
            }
            Err(RecvTimeoutError::Timeout) => {
                self.stop();
                Some(Err(ExtractError::TookTooLong {
                    seconds: self.limits.deadline.as_secs().max(1),
                }))
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.ended();
                let words = self.stop();
                Some(Err(self.why(status, &words)))
            }
        }
    }
}

impl Documents {
    /// How it ended: it has said its last, so it is about to end by itself, and is not waited for if it does not.
    fn ended(&mut self) -> Option<ExitStatus> {
        (0..100).find_map(|_| {
            let status = self.child.try_wait().ok().flatten();
            if status.is_none() {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            status
        })
    }

    fn stop(&mut self) -> String {
        self.done = true;
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.last_words
            .take()
            .and_then(|words| words.join().ok())
            .unwrap_or_default()
    }

    fn why(&self, status: Option<ExitStatus>, words: &str) -> ExtractError {
        let too_long = ExtractError::TookTooLong {
            seconds: self.limits.cpu_seconds,
        };
        let no_memory = ExtractError::OutOfMemory {
            megabytes: self.limits.memory_bytes >> 20,
        };
        if words.contains("memory allocation of") || words.contains("out of memory") {
            return no_memory;
        }
        if words.contains("overflowed its stack") {
            return ExtractError::ReaderFailed {
                how: "it ran out of stack".into(),
            };
        }
        #[cfg(unix)]
        if let Some(signal) = status.and_then(|status| std::os::unix::process::ExitStatusExt::signal(&status)) {
            // XCPU, and KILL, which the system sends for memory.
            return match signal {
                24 => too_long,
                9 => no_memory,
                signal => ExtractError::ReaderFailed {
                    how: format!("it was ended by signal {signal}"),
                },
            };
        }
        let _ = too_long;
        match status.and_then(|status| status.code()) {
            Some(2) => ExtractError::NoReader {
                why: "the program does not know how to read documents; it may be of another version".into(),
            },
            code => ExtractError::ReaderFailed {
                how: format!("it ended with status {}", code.unwrap_or(-1)),
            },
        }
    }
}

impl Drop for Documents {
    fn drop(&mut self) {
        if !self.done {
            self.stop();
        }
    }
}

/// A child may have been talked into anything by its document; what it hands over is held to the promises of [`Extracted`].
fn checked(document: Extracted) -> Result<Extracted, ExtractError> {
    let text = &document.text;
    let sound = document.pages.iter().all(|start| text.is_char_boundary(*start))
        && document.pages.is_sorted()
        && document
            .headings
            .iter()
            .all(|heading| heading.start < heading.end && text.get(heading.start..heading.end).is_some())
        && !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t')
        && [&document.link, &document.id]
            .into_iter()
            .flatten()
            .all(|word| word.len() <= 4096 && !word.chars().any(char::is_control));
    if sound {
        Ok(document)
    } else {
        Err(ExtractError::ReaderFailed {
            how: "its answer contradicts itself".into(),
        })
    }
}
