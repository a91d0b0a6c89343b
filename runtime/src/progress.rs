//! Progress of a long loop, on rank 0 and only for people: nothing is drawn if stderr is no terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A progress bar; on other ranks than 0, or without a terminal, one that is never seen.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar for `total` steps. It vanishes when it is finished or dropped.
    pub fn new(rank: u32, name: &str, total: u64) -> Progress {
        if rank != 0 {
            return Progress(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {per_sec} {eta}")
            .expect("the template is written right");
        Progress(ProgressBar::new(total).with_style(style).with_message(name.to_string()))
    }

    /// So many steps are done.
    pub fn set(&self, done: u64) {
        self.0.set_position(done);
    }

    /// What it shows beside the bar, instead of its name.
    pub fn tell(&self, text: &str) {
        self.0.set_message(text.to_string());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
