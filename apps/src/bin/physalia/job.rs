//! From arguments to a job: the launch, wrong use, and whose the standard output is.

use crate::args::Job;
use physalia::prelude::*;
use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs `body` on all ranks.
pub fn run(job: &Job, body: impl Fn(&mut World) -> Outcome<()> + Send + Sync) -> ExitCode {
    let mut launch = Launch::from_env();
    if let Some(ranks) = job.ranks {
        launch = launch.ranks(ranks);
    }
    if let Some(threads) = job.threads {
        launch = launch.threads(threads as usize);
    }
    physalia::conclude(launch.run(body).map(drop))
}

/// Says what is wrong with the arguments, once for all processes.
pub fn wrong_use(what: &dyn Display) -> ExitCode {
    physalia::conclude(Err(Abort::new(Cause::Usage(what.to_string()))))
}

/// Writes to standard output. Whoever closed it does not want the rest.
pub fn say(text: &str) {
    std::io::stdout().write_all(text.as_bytes()).ok();
}

/// Where the summary for people goes: to standard output, unless some output was sent there.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    to_stderr: bool,
}

impl Summary {
    /// Knows the outputs that were asked for.
    ///
    /// # Errors
    /// If two of them would mix on standard output.
    pub fn beside(outputs: &[&Option<PathBuf>]) -> Result<Summary, &'static str> {
        let streams = outputs.iter().filter(|path| path.as_deref() == Some(Path::new("-"))).count();
        match streams {
            0 | 1 => Ok(Summary { to_stderr: streams == 1 }),
            _ => Err("two outputs would mix on standard output: name a file for one of them"),
        }
    }

    /// Lines of `name value`.
    pub fn print(self, title: &str, lines: &[(&str, String)]) {
        let width = lines.iter().map(|l| l.0.len()).max().unwrap_or(0);
        let lines: String = lines.iter().map(|(name, value)| format!("  {name:width$}  {value}\n")).collect();
        self.text(&format!("{title}\n{lines}"));
    }

    /// Text as it is.
    pub fn text(self, text: &str) {
        if self.to_stderr {
            std::io::stderr().write_all(text.as_bytes()).ok();
        } else {
            say(text);
        }
    }
}

/// `3 ranks × 2 threads on 1 host (threads)`
pub fn layout(world: &World) -> String {
    let many = |n: u64, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    format!(
        "{} × {} on {} ({})",
        many(world.size().into(), "rank"),
        many(world.threads() as u64, "thread"),
        many(world.hosts().into(), "host"),
        world.transport()
    )
}

/// A number with its thousands apart.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands() {
        assert_eq!((grouped(0), grouped(999), grouped(1000)), ("0".into(), "999".into(), "1,000".into()));
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
