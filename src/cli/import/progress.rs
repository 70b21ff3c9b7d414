//! The progress of a long command on stderr: a bar on a terminal, a line every ten seconds
//! elsewhere.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// The time between two lines of progress.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The progress of a command.
#[derive(Clone)]
pub struct Progress(Arc<Inner>);

struct Inner {
    what: String,
    total: Option<u64>,
    bar: Option<ProgressBar>,
    lines: Mutex<Lines>,
}

struct Lines {
    done: u64,
    last: Instant,
    note: String,
}

impl Progress {
    /// Begins the progress of a work of `total` pieces, or of an unknown number of pieces.
    pub fn new(what: &str, total: Option<u64>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let text = match total {
                Some(_) => "{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}",
                None => "{spinner} {msg} {human_pos} {per_sec}",
            };
            let style = ProgressStyle::with_template(text).expect("the template is right");
            let bar = match total {
                Some(total) => ProgressBar::new(total),
                None => ProgressBar::no_length(),
            };
            bar.with_style(style).with_message(what.to_owned())
        });
        let lines = Lines { done: 0, last: Instant::now(), note: String::new() };
        Self(Arc::new(Inner { what: what.to_owned(), total, bar, lines: Mutex::new(lines) }))
    }

    /// Adds so many pieces to those that are done.
    pub fn add(&self, count: u64) {
        let inner = &self.0;
        if let Some(bar) = &inner.bar {
            bar.inc(count);
            return;
        }
        let mut lines = inner.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.done += count;
        if lines.last.elapsed() >= LINE_EVERY {
            lines.last = Instant::now();
            let of = inner.total.map(|total| format!(" of {total}")).unwrap_or_default();
            eprintln!("{}: {}{of}", inner.what, lines.done);
        }
    }

    /// Tells what it waits for; the same thing once.
    pub fn note(&self, note: &str) {
        let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.note == note {
            return;
        }
        lines.note = note.to_owned();
        match &self.0.bar {
            Some(bar) => bar.println(plain(note)),
            None => eprintln!("{}", plain(note)),
        }
    }

    /// Ends it.
    pub fn end(&self) {
        if let Some(bar) = &self.0.bar {
            bar.finish_and_clear();
        }
    }
}

/// Returns a text that a terminal may get: without what would move its cursor or change its
/// colours.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}
