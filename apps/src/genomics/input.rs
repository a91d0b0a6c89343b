//! Which files there are, and how each may be read.
//!
//! Rank 0 looks at every file once and tells the others. Plain files may be read in parts by all ranks; compressed files and
//! FASTQ that is wrapped over lines are read from begin to end by one rank. Streams are read by rank 0 and by it alone,
//! once: pipes, devices, standard input, and whatever is named by a descriptor as `/dev/stdin` and `/dev/fd/63` are,
//! since on other ranks such a name leads to something else.
//!
//! A file that changes while it is counted gives no count: all who read it compare its length and time of change with what
//! rank 0 saw.

use super::kmer::{self, Strange};
use super::parse::{Format, Parser, Sink};
use super::refuse::BadRecord;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How much of a file is looked at to know its layout.
pub const LOOK: u64 = 1 << 20;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layout {
    /// May be read in parts.
    Parts(Format),
    /// Read from begin to end by one rank.
    Whole,
    /// The same, decompressed.
    Gzip,
    /// Read by rank 0 as it comes, decompressed if it is gzip.
    Stream,
}

/// A file of reads, as rank 0 saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Where it is; `-` is standard input.
    pub path: PathBuf,
    /// Its length, 0 for streams.
    pub bytes: u64,
    /// When it was changed last, where that is known.
    pub modified: Option<SystemTime>,
    /// How it may be read.
    pub layout: Layout,
}

/// A file that cannot be read, or is no FASTA or FASTQ.
#[derive(Debug)]
pub struct BadInput {
    path: PathBuf,
    what: String,
}

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let name = if self.path == Path::new("-") { "standard input".into() } else { self.path.display().to_string() };
        write!(f, "{name}: {}", self.what)
    }
}

impl std::error::Error for BadInput {}

impl BadInput {
    pub(super) fn new(path: &Path, what: impl fmt::Display) -> BadInput {
        BadInput { path: path.into(), what: what.to_string() }
    }

    pub(super) fn io(path: &Path, error: &io::Error, gzip: bool) -> BadInput {
        match error.kind() {
            io::ErrorKind::UnexpectedEof if gzip => {
                BadInput::new(path, "the gzip stream is cut off: the file is truncated")
            }
            _ if gzip => BadInput::new(path, format!("cannot be decompressed: {error}")),
            _ => BadInput::new(path, error),
        }
    }

    pub(super) fn record(path: &Path, bad: &BadRecord, gzip: bool) -> BadInput {
        BadInput::new(path, format!("{bad}{}", if gzip { ", as counted after decompression" } else { "" }))
    }
}

impl Input {
    /// Whether an open file is as it was when it was looked at.
    pub(super) fn unchanged(&self, file: &File) -> Result<(), BadInput> {
        let data = file.metadata().map_err(|error| BadInput::io(&self.path, &error, false))?;
        let now = (data.len(), data.modified().ok());
        if now == (self.bytes, self.modified) {
            return Ok(());
        }
        let words = |(bytes, modified): (u64, Option<SystemTime>)| {
            let since = modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
            let time =
                since.map_or("at an unknown time".into(), |since| format!("at Unix time {:.6}", since.as_secs_f64()));
            format!("{bytes} bytes, changed last {time}")
        };
        let (then, now) = (words((self.bytes, self.modified)), words(now));
        let what = format!(
            "it changed after the job had begun: it had {then}; now it has {now}. Count it when nothing writes to it any more"
        );
        Err(BadInput::new(&self.path, what))
    }

    /// A file of which less could be read than it has.
    pub(super) fn short(&self, read: u64) -> BadInput {
        let bytes = self.bytes;
        BadInput::new(
            &self.path,
            format!("only {read} of its {bytes} bytes could be read: it changed meanwhile, or is damaged"),
        )
    }
}

/// Looks at all files, as [`look`].
///
/// # Errors
/// As [`look`]; or if a stream is named twice.
pub fn look_at_all(paths: &[PathBuf], whole: bool) -> Result<Vec<Input>, BadInput> {
    let mut streams = Vec::new();
    let one = |path: &PathBuf| {
        let input = look(path, whole, LOOK)?;
        let place = if is_stdin(path) { "-".into() } else { fs::canonicalize(path).unwrap_or_else(|_| path.clone()) };
        if input.layout == Layout::Stream && streams.contains(&place) {
            return Err(BadInput::new(path, "a stream can be read only once, and it is named twice"));
        }
        streams.push(place);
        Ok(input)
    };
    paths.iter().map(one).collect()
}

/// Looks at a file, at so many bytes of it. With `whole` it is not to be read in parts.
///
/// # Errors
/// If it cannot be read, or its begin is no FASTA or FASTQ.
pub fn look(path: &Path, whole: bool, bytes: u64) -> Result<Input, BadInput> {
    let stream = Input { path: path.into(), bytes: 0, modified: None, layout: Layout::Stream };
    if is_stdin(path) {
        return Ok(stream);
    }
    let fail = |error: io::Error| BadInput::io(path, &error, false);
    let descriptor = descriptor(path).is_some();
    let data = fs::metadata(path).map_err(|error| match descriptor {
        true => BadInput::new(path, format!(
            "{error}: descriptors belong to one process, and launchers pass none on; give the name of a file or pipe, or -"
        )),
        false => fail(error),
    })?;
    if data.is_dir() {
        return Err(BadInput::new(path, "is a folder"));
    }
    if descriptor || !data.is_file() {
        return Ok(stream); // not opened here: what is taken from a pipe is gone
    }
    let file = File::open(path).map_err(fail)?;
    let data = file.metadata().map_err(fail)?;
    let mut head = Vec::new();
    (&file).take(bytes).read_to_end(&mut head).map_err(fail)?;
    let input = Input { bytes: data.len(), modified: data.modified().ok(), ..stream };
    if head.len() as u64 != bytes.min(input.bytes) {
        input.unchanged(&file)?;
        return Err(input.short(head.len() as u64));
    }
    if head.starts_with(&GZIP) {
        return Ok(Input { layout: Layout::Gzip, ..input });
    }
    let layout = layout(&head, head.len() as u64 == input.bytes).map_err(|bad| BadInput::record(path, &bad, false))?;
    Ok(Input { layout: if whole { Layout::Whole } else { layout }, ..input })
}

/// How gzip begins.
pub(super) const GZIP: [u8; 2] = [0x1f, 0x8b];

/// How a plain file may be read that begins like this; `all`: there is no more of it.
fn layout(head: &[u8], all: bool) -> Result<Layout, BadRecord> {
    let mut parser = Parser::new();
    parser.feed(head, &mut Nothing)?;
    if all {
        parser.finish()?;
    }
    Ok(match parser.format() {
        Some(format) if !parser.wrapped() => Layout::Parts(format),
        _ => Layout::Whole, // or empty
    })
}

struct Nothing;

impl Sink for Nothing {
    fn begin(&mut self) {}
    fn letters(&mut self, letters: &[u8], _: bool) -> Result<(), Strange> {
        kmer::check(letters)
    }
}

/// Whether a path leads to this process's standard input.
pub fn is_stdin(path: &Path) -> bool {
    path == Path::new("-") || descriptor(path) == Some(0)
}

/// The descriptor that a path leads to, if it leads to one; `u32::MAX` for another process's.
fn descriptor(path: &Path) -> Option<u32> {
    let mut path = path.to_path_buf();
    for _ in 0..40 {
        // as many links as Linux follows
        if path == Path::new("/dev/stdin") {
            return Some(0);
        }
        let name = path.file_name()?.to_owned();
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // `/dev/fd` and `/proc/self` are links themselves.
        let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.into());
        let own = folder.starts_with(Path::new("/proc").join(std::process::id().to_string()));
        if folder == Path::new("/dev/fd") || folder.starts_with("/proc") && folder.ends_with("fd") {
            let number = name.to_str()?.parse().ok()?;
            return Some(if own || !folder.starts_with("/proc") { number } else { u32::MAX });
        }
        path = folder.join(fs::read_link(folder.join(&name)).ok()?);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn descriptors_are_known_by_any_name() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link, links) = (folder.path().join("x.fa"), folder.path().join("link"), folder.path().join("links"));
        fs::write(&file, ">x\nACGT\n").unwrap();
        std::os::unix::fs::symlink("/dev/stdin", &link).unwrap();
        std::os::unix::fs::symlink("link", &links).unwrap();
        for stdin in ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "/dev/../dev/stdin"].map(Path::new) {
            assert!(is_stdin(stdin), "{stdin:?}");
        }
        assert!(is_stdin(&link) && is_stdin(&links));
        assert_eq!(
            (descriptor(Path::new("/dev/fd/63")), descriptor(Path::new("/proc/1/fd/0"))),
            (Some(63), Some(u32::MAX))
        );
        for other in
            [&file, Path::new("/dev/null"), Path::new("stdin"), Path::new("/dev"), Path::new("/"), Path::new("")]
        {
            assert_eq!(descriptor(other), None, "{other:?}");
        }
        // A descriptor of a plain file is a stream too: on another rank the same number is another file.
        let open = File::open(&file).unwrap();
        let fd = PathBuf::from(format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&open)));
        assert_eq!(look(&fd, false, LOOK).unwrap().layout, Layout::Stream);
        assert_eq!(look(&file, false, LOOK).unwrap().layout, Layout::Parts(Format::Fasta));
        let said = look(Path::new("/dev/fd/987"), false, LOOK).unwrap_err().to_string();
        assert!(said.starts_with("/dev/fd/987: No such file") && said.contains("launchers pass none on"), "{said}");
        let twice = look_at_all(&["-".into(), link], false).unwrap_err().to_string();
        assert!(twice.contains("named twice"), "{twice}");
        assert_eq!(look_at_all(&[file.clone(), file], false).unwrap().len(), 2);
    }

    #[test]
    fn layouts() {
        let of = |text: &str| layout(text.as_bytes(), true).unwrap();
        assert_eq!((of(""), of("\n\r\n")), (Layout::Whole, Layout::Whole));
        assert_eq!((of("\n>a\nACGT"), of(">")), (Layout::Parts(Format::Fasta), Layout::Parts(Format::Fasta)));
        assert_eq!(of("@r\nA\n+\nI\n@e\n\n+\n\n"), Layout::Parts(Format::Fastq));
        assert_eq!((of("@r\nA\nA\n+\nII"), of("@e\n+\n")), (Layout::Whole, Layout::Whole));
        assert_eq!(layout(b"@r\nA\n+", false).unwrap(), Layout::Parts(Format::Fastq));
        assert!(layout(b"@r\nA\n+", true).is_err());
    }
}
