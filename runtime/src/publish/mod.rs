//! Files that appear whole or not at all: written aside in the same folder, synced, renamed. Pipes and devices, which cannot
//! be replaced, and standard output are written as they are.
//!
//! An [`Aside`] is begun before the work, so that a file that cannot be written is found out then, and published after it.
//! Until then the file lies aside as `.physalia-….part`, with random digits; a program that is killed leaves it behind, and it
//! may be deleted.

mod part;
mod shared;
mod writer;

pub use shared::Put;
pub use writer::{Batch, Writer};

use part::Part;
use serde::Serialize;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3;

/// What could not be written, and where.
#[derive(Debug)]
pub struct CannotWrite {
    path: PathBuf,
    error: io::Error,
}

impl fmt::Display for CannotWrite {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (path, folder) = (self.path.display(), folder_of(&self.path));
        if self.error.kind() == ErrorKind::NotFound && !folder.exists() {
            write!(f, "cannot write {path}: there is no folder {}: make it, or name another", folder.display())
        } else {
            write!(f, "cannot write {path}: {}", self.error)
        }
    }
}

impl std::error::Error for CannotWrite {}

impl CannotWrite {
    /// This file, for this reason.
    pub fn new(path: &Path, error: io::Error) -> CannotWrite {
        CannotWrite { path: path.into(), error }
    }
}

/// A published file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Output {
    /// Where it is; `-` is standard output.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// XXH3-64 of its bytes, 16 hex digits.
    pub xxh3: String,
}

/// Whether this path means standard output: `-`, or the system's names of it.
pub fn is_stdout(path: &Path) -> bool {
    ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| path.as_os_str() == *name)
}

/// A file being written aside. Dropped without `publish`, it leaves nothing.
pub struct Aside {
    /// As it was asked for.
    path: PathBuf,
    out: BufWriter<Box<dyn Write + Send>>,
    /// `None` for standard output, pipes and devices.
    part: Option<Part>,
    hash: Xxh3,
    bytes: u64,
}

impl fmt::Debug for Aside {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Aside({}, {} bytes)", self.path.display(), self.bytes)
    }
}

impl Aside {
    /// Begins a file that will appear at `path`; `-` writes to standard output at once.
    ///
    /// # Errors
    /// If the folder cannot be written, by the path that was asked for.
    pub fn new(path: &Path) -> Result<Aside, CannotWrite> {
        let fail = |error| CannotWrite { path: path.into(), error };
        if is_stdout(path) {
            return Ok(Aside::to(path, Box::new(Stdout), None));
        }
        match fs::metadata(path) {
            Ok(there) if there.is_dir() => return Err(fail(ErrorKind::IsADirectory.into())),
            Ok(there) if !there.is_file() => {
                let stream = File::options().write(true).open(path).map_err(fail)?;
                return Ok(Aside::to(path, Box::new(stream), None));
            }
            _ => {}
        }
        // A link stays a link: the file that it leads to is replaced.
        let link = fs::symlink_metadata(path).is_ok_and(|data| data.is_symlink());
        let target = if link { fs::canonicalize(path).map_err(fail)? } else { path.to_path_buf() };
        let part = Part::new(target).map_err(fail)?;
        let out = part.file().map_err(fail)?;
        Ok(Aside::to(path, Box::new(out), Some(part)))
    }

    fn to(path: &Path, out: Box<dyn Write + Send>, part: Option<Part>) -> Aside {
        Aside { path: path.into(), out: BufWriter::with_capacity(1 << 18, out), part, hash: Xxh3::new(), bytes: 0 }
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), CannotWrite> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes).map_err(|error| CannotWrite { path: self.path.clone(), error })
    }

    /// Makes the file visible under its name: everything is on disk before the rename.
    ///
    /// # Errors
    /// If something cannot be written; then nothing is visible.
    pub fn publish(mut self) -> Result<Output, CannotWrite> {
        let fail = |error| CannotWrite { path: self.path.clone(), error };
        self.out.flush().map_err(fail)?;
        self.part.map_or(Ok(()), Part::appear).map_err(fail)?;
        let xxh3 = format!("{:016x}", self.hash.digest());
        Ok(Output { path: self.path.display().to_string(), bytes: self.bytes, xxh3 })
    }

    /// Writes all of the file at once, and publishes it.
    ///
    /// # Errors
    /// As [`publish`](Aside::publish).
    pub fn whole(mut self, bytes: &[u8]) -> Result<Output, CannotWrite> {
        self.write(bytes)?;
        self.publish()
    }
}

/// A whole file at once.
///
/// # Errors
/// As [`Aside`].
pub fn publish(path: &Path, bytes: &[u8]) -> Result<Output, CannotWrite> {
    Aside::new(path)?.whole(bytes)
}

/// Standard output. Whoever closed it does not want the rest, which is no failure.
struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        closed_is_fine(io::stdout().write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        closed_is_fine(io::stdout().flush(), ())
    }
}

fn closed_is_fine<T>(result: io::Result<T>, done: T) -> io::Result<T> {
    result.or_else(|error| if error.kind() == ErrorKind::BrokenPipe { Ok(done) } else { Err(error) })
}

/// The folder that a file is in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_appear_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let output = publish(&path, b"old").unwrap();
        assert_eq!((output.bytes, output.xxh3.len()), (3, 16));
        let mut half = Aside::new(&path).unwrap();
        half.write(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        drop(half);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left aside");
        let why = publish(&folder.path().join("no/such/folder"), b"").unwrap_err().to_string();
        assert!(
            why.contains("no/such/folder: there is no folder ") && why.ends_with("no/such: make it, or name another")
        );
        assert!(publish(folder.path(), b"").unwrap_err().to_string().contains("cannot write"));
    }

    #[cfg(unix)]
    #[test]
    fn links_and_devices_stay_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, b"old").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        publish(&link, b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        publish(Path::new("/dev/null"), b"x").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        if Path::new("/dev/full").exists() {
            let why = publish(Path::new("/dev/full"), b"x").unwrap_err().to_string();
            assert!(why.contains("/dev/full: No space left"), "{why}");
        }
    }
}
