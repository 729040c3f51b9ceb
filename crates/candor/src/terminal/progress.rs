//! What a download looks like on stderr: a bar where there is a terminal, a line now and then where there is none.

use std::sync::Mutex;
use std::sync::PoisonError;

use candor_catalog::{Bytes, Event, Progress};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Style, printable};

/// Shows the events of a pull.
pub(crate) struct PullDisplay {
    bar: ProgressBar,
    style: Style,
    said: Mutex<Said>,
}

/// What was said last, where lines stand in for a bar.
#[derive(Default)]
struct Said {
    what: String,
    tenths: u64,
}

impl PullDisplay {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::no_length();
        if let Ok(look) = ProgressStyle::with_template(
            "{msg:28!} {bar:28} {decimal_bytes:>10} of {decimal_total_bytes} {decimal_bytes_per_sec:>12} {eta:>4}",
        ) {
            bar.set_style(look.progress_chars("━╸─"));
        }
        Self {
            bar,
            style: Style::for_stderr(),
            said: Mutex::default(),
        }
    }

    fn say(&self, text: &str) {
        let text = printable(text);
        self.bar.suspend(|| eprintln!("{text}"));
    }

    fn downloading(&self, what: String, done: Bytes, total: Option<Bytes>) {
        if !self.bar.is_hidden() {
            self.bar.set_message(printable(&what));
            self.bar.set_length(total.unwrap_or(done).0);
            self.bar.set_position(done.0);
            return;
        }
        let tenths = total
            .filter(|total| total.0 > 0)
            .map_or(0, |total| done.0.saturating_mul(10) / total.0);
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.what != what || said.tenths < tenths {
            let of = total.map_or(String::new(), |total| format!(" of {total}"));
            self.say(&format!("{what}: {done}{of}"));
            *said = Said { what, tenths };
        }
    }
}

impl Progress for PullDisplay {
    fn event(&self, event: Event) {
        match event {
            Event::Terms { licence, terms } => {
                self.say(&format!("{}\n{terms}", self.style.bold(&format!("Licence: {licence}"))));
            }
            Event::Trying { source } => self.say(&format!("getting it from {source}")),
            Event::Failed { source, reason } => self.say(&format!("{}: {reason}", self.style.yellow(&source))),
            Event::Downloading { what, done, total } => self.downloading(what, done, total),
            Event::Resumed { what, done } => self.say(&format!("{what}: going on after {done}")),
            Event::Retrying { what, reason } => self.say(&format!("{what}: {reason}; trying again")),
            Event::Unpacking { what } => self.bar.set_message(format!("unpacking {}", printable(&what))),
            Event::Joined { file, parts } => self.say(&format!("{file}: joined from {parts} parts")),
            Event::Checking { file } => self.bar.set_message(format!("checking {}", printable(&file))),
            Event::Checked {
                file, compared: true, ..
            } => self.say(&format!("{file}: {}", self.style.green("the hash is right"))),
            Event::Checked { file, sha256, .. } => {
                self.say(&format!(
                    "{file}: SHA-256 {sha256} (nobody states one to compare it with)"
                ));
            }
            Event::Done { .. } | Event::AlreadyHere { .. } => self.bar.finish_and_clear(),
            _ => {}
        }
    }
}

impl Drop for PullDisplay {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
