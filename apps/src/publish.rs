//! Files that appear whole or not at all: written aside in the same folder, synced, renamed. Pipes and devices, which cannot
//! be replaced, and standard output are written as they are.

use serde::Serialize;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
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
        write!(f, "cannot write {}: {}", self.path.display(), self.error)
    }
}

impl std::error::Error for CannotWrite {}

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

/// A file being written aside. Dropped without `publish`, it leaves nothing.
pub struct Aside {
    /// As it was asked for.
    path: PathBuf,
    /// Where that leads to, if it is a link.
    target: PathBuf,
    /// `None` for standard output, pipes and devices.
    aside: Option<PathBuf>,
    out: Option<BufWriter<Box<dyn Write + Send>>>,
    file: Option<File>,
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
        if path == Path::new("-") {
            return Ok(Aside::stream(path, Box::new(io::stdout())));
        }
        match fs::metadata(path) {
            Ok(there) if there.is_dir() => return Err(fail(io::ErrorKind::IsADirectory.into())),
            Ok(there) if !there.is_file() => {
                let stream = File::options().write(true).open(path).map_err(fail)?;
                return Ok(Aside::stream(path, Box::new(stream)));
            }
            _ => {}
        }
        // A link stays a link: the file that it leads to is replaced.
        let link = fs::symlink_metadata(path).is_ok_and(|data| data.is_symlink());
        let target = if link { fs::canonicalize(path).map_err(fail)? } else { path.to_path_buf() };
        let name = target.file_name().ok_or_else(|| fail(io::ErrorKind::InvalidInput.into()))?;
        let aside = target.with_file_name(format!(".{}.{}.part", name.to_string_lossy(), std::process::id()));
        fs::remove_file(&aside).ok(); // left by a process of this number that was killed
        let file = File::create_new(&aside).map_err(fail)?;
        let out: Box<dyn Write + Send> = Box::new(file.try_clone().map_err(fail)?);
        let out = Some(BufWriter::with_capacity(1 << 18, out));
        Ok(Aside { path: path.into(), target, aside: Some(aside), out, file: Some(file), hash: Xxh3::new(), bytes: 0 })
    }

    fn stream(path: &Path, out: Box<dyn Write + Send>) -> Aside {
        let out = Some(BufWriter::new(out));
        Aside { path: path.into(), target: path.into(), aside: None, out, file: None, hash: Xxh3::new(), bytes: 0 }
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), CannotWrite> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        let result = self.out.as_mut().expect("written before it is published").write_all(bytes);
        result.map_err(|error| CannotWrite { path: self.path.clone(), error })
    }

    /// Makes the file visible under its name: everything is on disk before the rename.
    ///
    /// # Errors
    /// If something cannot be written; then nothing is visible.
    pub fn publish(mut self) -> Result<Output, CannotWrite> {
        let fail = |error| CannotWrite { path: self.path.clone(), error };
        self.out.as_mut().expect("published once").flush().map_err(fail)?;
        if let (Some(file), Some(aside)) = (&self.file, &self.aside) {
            file.sync_all().map_err(fail)?;
            fs::rename(aside, &self.target).map_err(fail)?;
            let folder = self.target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            // Not every file system can sync a folder; the file itself is safe.
            File::open(folder).and_then(|f| f.sync_all()).ok();
            self.aside = None;
        }
        let xxh3 = format!("{:016x}", self.hash.digest());
        Ok(Output { path: self.path.display().to_string(), bytes: self.bytes, xxh3 })
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if let Some(aside) = &self.aside {
            drop(self.out.take());
            fs::remove_file(aside).ok(); // nothing more can be done about it
        }
    }
}

/// A whole file at once.
///
/// # Errors
/// As [`Aside`].
pub fn publish(path: &Path, bytes: &[u8]) -> Result<Output, CannotWrite> {
    let mut aside = Aside::new(path)?;
    aside.write(bytes)?;
    aside.publish()
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
        assert!(why.contains("no/such/folder"), "{why}");
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
            assert!(
                publish(Path::new("/dev/full"), b"x").unwrap_err().to_string().contains("/dev/full: No space left")
            );
        }
    }
}
