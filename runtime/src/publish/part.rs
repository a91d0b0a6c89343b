//! The file that lies aside until it takes its target's place.
//!
//! It is a new file of a random name: no file that was there before is opened, changed or removed, until the rename replaces
//! the target. A target that is replaced keeps its mode.

use super::folder_of;
use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::BuildHasher;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The file aside, removed when dropped unless it has appeared.
pub(super) struct Part {
    file: File,
    at: Option<PathBuf>,
    target: PathBuf,
}

impl Part {
    /// Begins a file beside the target, under a name of its own.
    pub(super) fn new(target: PathBuf) -> io::Result<Part> {
        // Short, however long the target's name is. Each program and each call draws others.
        Part::named(target, (0..100).map(|i| format!(".physalia-{:016x}.part", RandomState::new().hash_one(i))))
    }

    /// The first name that is free. What has a name already is somebody else's.
    fn named(target: PathBuf, names: impl Iterator<Item = String>) -> io::Result<Part> {
        if target.file_name().is_none() {
            return Err(ErrorKind::InvalidInput.into());
        }
        let old = fs::metadata(&target).ok();
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        if let Some(old) = &old {
            use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
            options.mode(old.mode() & 0o777); // at no time may more people open it than the old file
        }
        let mut taken = io::Error::from(ErrorKind::AlreadyExists);
        for name in names {
            let at = target.with_file_name(name);
            match options.open(&at) {
                Ok(file) => {
                    let part = Part { file, at: Some(at), target };
                    if let Some(old) = old.filter(|old| Some(old.permissions()) != part.permissions()) {
                        part.file.set_permissions(old.permissions())?; // what the umask has taken away
                    }
                    return Ok(part);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => taken = error,
                Err(error) => return Err(error),
            }
        }
        Err(taken)
    }

    fn permissions(&self) -> Option<fs::Permissions> {
        self.file.metadata().ok().map(|data| data.permissions())
    }

    /// To write to.
    pub(super) fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Where it lies until it appears.
    pub(super) fn place(&self) -> Option<&Path> {
        self.at.as_deref()
    }

    /// Puts everything on disk, then takes the target's name.
    pub(super) fn appear(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        if let Some(at) = &self.at {
            fs::rename(at, &self.target)?;
        }
        self.at = None;
        // Not every file system can sync a folder; the file itself is safe.
        File::open(folder_of(&self.target)).and_then(|f| f.sync_all()).ok();
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(at) = &self.at {
            fs::remove_file(at).ok(); // nothing more can be done about it
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let foreign = [format!(".t.{}.part", std::process::id()), "a.part".into(), "b.part".into()];
        foreign.iter().for_each(|name| fs::write(folder.path().join(name), "mine").unwrap());
        let names = ["a.part", "b.part", "c.part"].map(String::from);
        let part = Part::named(folder.path().join("t"), names.into_iter()).unwrap();
        assert_eq!(part.at.as_deref(), Some(folder.path().join("c.part").as_path()));
        let no_name_left = Part::named(folder.path().join("t"), ["a.part".to_string()].into_iter());
        assert_eq!(no_name_left.err().map(|e| e.kind()), Some(ErrorKind::AlreadyExists));
        Part::new(folder.path().join("t")).unwrap().appear().unwrap();
        drop(part);
        foreign.iter().for_each(|name| assert_eq!(fs::read(folder.path().join(name)).unwrap(), b"mine"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "three foreign files, and the target");
    }

    #[test]
    fn the_longest_name_works() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n".repeat(255));
        Part::new(path.clone()).unwrap().appear().unwrap();
        Part::new(path.clone()).unwrap().appear().unwrap();
        assert!(path.is_file());
    }

    #[cfg(unix)]
    #[test]
    fn a_replaced_file_keeps_its_mode() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "old").unwrap();
        for mode in [0o600, 0o666, 0o640, 0o444] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let part = Part::new(path.clone()).unwrap();
            assert_eq!(part.permissions().unwrap().mode() & 0o7777, mode, "before anything is written");
            part.appear().unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, mode);
        }
    }
}
