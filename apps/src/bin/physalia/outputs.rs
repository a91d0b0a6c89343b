//! Where a command's output goes: each output under the option that asked for it, and the summary for people.
//!
//! All outputs of a command are declared here before it works, so that one place sees to it that none is written over another,
//! over an input, or into the middle of what goes to standard output. Rank 0 looks at the files, for all ranks: other hosts
//! may not see them.

use physalia::prelude::*;
use physalia_apps::publish::{Aside, folder_of, is_stdout};
use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The outputs of a command.
#[derive(Debug)]
pub struct Outputs<'a> {
    /// By option.
    files: Vec<(&'static str, &'a Path)>,
    inputs: &'a [PathBuf],
    summary_to_stderr: bool,
}

impl<'a> Outputs<'a> {
    /// Knows the outputs that were asked for, each by its option, and the inputs.
    ///
    /// # Errors
    /// If two of them would mix on standard output.
    pub fn of(wanted: &[(&'static str, &'a Option<PathBuf>)], inputs: &'a [PathBuf]) -> Result<Outputs<'a>, String> {
        let files: Vec<_> = wanted.iter().filter_map(|&(option, path)| Some((option, path.as_deref()?))).collect();
        let streams: Vec<&str> = files.iter().filter(|file| is_stdout(file.1)).map(|file| file.0).collect();
        if let [first, second, ..] = streams[..] {
            return Err(format!("{first} and {second} would mix on standard output: name a file for one of them"));
        }
        Ok(Outputs { files, inputs, summary_to_stderr: !streams.is_empty() })
    }

    /// Files that the command writes besides.
    pub fn and(mut self, names: impl IntoIterator<Item = (&'static str, &'a Path)>) -> Outputs<'a> {
        self.files.extend(names);
        self
    }

    /// What is wrong with the files, on all ranks: two of them are the same one. Collective.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    pub fn clash(&self, world: &mut World) -> Result<Option<String>, Abort> {
        world.from_root(|| Ok::<_, String>(self.clash_here()))
    }

    fn clash_here(&self) -> Option<String> {
        let named = |what: &str, path: &Path| format!("{what} {}", path.display());
        let stdout = Identity::of_stream(io::stdout()).map(|id| ("standard output".into(), id));
        let inputs = self.inputs.iter().map(|path| {
            let id = if path == Path::new("-") { Identity::of_stream(io::stdin()) } else { Identity::of(path) };
            (named("the input", path), id)
        });
        let inputs: Vec<_> = inputs.filter_map(|(name, id)| Some((name, id?))).collect();
        let outputs = self.files.iter().filter(|file| !is_stdout(file.1));
        let outputs = outputs.filter_map(|&(option, path)| Some((named(option, path), Identity::of(path)?)));
        let mut written: Vec<(String, Identity)> = Vec::new();
        // Standard output may be a file too, by the shell's `>`.
        for (name, id) in stdout.into_iter().chain(outputs) {
            if let Some((other, _)) = inputs.iter().chain(&written).find(|other| other.1 == id) {
                return Some(format!("{other} and {name} are the same file: name another for one of them"));
            }
            written.push((name, id));
        }
        None
    }

    /// Begins the output of this option, if it was asked for: so one that cannot be written is found out before the work.
    /// On rank 0; `None` elsewhere. Collective.
    ///
    /// # Errors
    /// An agreed failure if it cannot be written; or the job's abort.
    #[track_caller]
    pub fn begin(&self, world: &mut World, option: &str) -> Result<Option<Aside>, Abort> {
        let path = self.files.iter().find(|file| file.0 == option).map(|file| file.1);
        let begun = world.on_root(|| path.map(Aside::new).transpose());
        Ok(world.agree(begun.transpose())?.flatten())
    }

    /// Prints a summary: a title, and lines of `name value`.
    pub fn print(&self, title: &str, lines: &[(&str, String)]) {
        let width = lines.iter().map(|l| l.0.len()).max().unwrap_or(0);
        let lines: String = lines.iter().map(|(name, value)| format!("  {name:width$}  {value}\n")).collect();
        self.text(&format!("{title}\n{lines}"));
    }

    /// Text for people: to standard output, unless some output was sent there.
    pub fn text(&self, text: &str) {
        if self.summary_to_stderr { complain(text) } else { say(text) }
    }
}

/// Writes to standard output. Whoever closed it does not want the rest.
pub fn say(text: &str) {
    io::stdout().write_all(text.as_bytes()).ok();
}

/// Writes to standard error; if that is closed there is nobody to tell.
pub fn complain(text: &str) {
    io::stderr().write_all(text.as_bytes()).ok();
}

/// What tells a file from all others.
#[derive(Debug, PartialEq, Eq)]
enum Identity {
    /// It is there: its file system, and its number there.
    There(u64, u64),
    /// It will be there: its folder's real path, and its name.
    Named(PathBuf),
}

impl Identity {
    /// `None` for devices, which can be written by many, and where there is no such folder.
    fn of(path: &Path) -> Option<Identity> {
        match fs::metadata(path) {
            Ok(there) => Identity::of_data(&there),
            Err(_) => Some(Identity::Named(fs::canonicalize(folder_of(path)).ok()?.join(path.file_name()?))),
        }
    }

    /// A stream that was sent to a file, or comes from one.
    fn of_stream(stream: impl std::os::fd::AsFd) -> Option<Identity> {
        let file = fs::File::from(stream.as_fd().try_clone_to_owned().ok()?);
        file.metadata().ok().filter(Metadata::is_file).as_ref().and_then(Identity::of_data)
    }

    fn of_data(data: &Metadata) -> Option<Identity> {
        use std::os::unix::fs::{FileTypeExt, MetadataExt};
        (!data.file_type().is_char_device()).then(|| Identity::There(data.dev(), data.ino()))
    }
}
