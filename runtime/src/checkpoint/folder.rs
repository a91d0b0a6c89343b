//! The folder of a job's checkpoints: names, what may be in it, and what goes.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A folder with files `GENERATION.rank-RANK` and `GENERATION.manifest`, and nothing else.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

/// What a file of the folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Manifest(u64),
    /// Of a generation and a rank.
    Cells(u64, u32),
    /// A file that was not finished: a job died, or is writing it.
    Part,
}

/// The name of a rank's file.
pub(super) fn file_name(generation: u64, rank: u32) -> String {
    format!("{generation:06}.rank-{rank:05}")
}

/// The rank whose file it is.
pub(super) fn rank_of(name: &str) -> Option<u32> {
    match kind(name) {
        Some(Kind::Cells(_, rank)) => Some(rank),
        _ => None,
    }
}

fn kind(name: &str) -> Option<Kind> {
    if name.starts_with(".physalia-") && name.ends_with(".part") {
        return Some(Kind::Part);
    }
    let (number, rest) = name.split_once('.')?;
    let generation = number.parse().ok()?;
    let kind = match rest.strip_prefix("rank-") {
        Some(rank) => Kind::Cells(generation, rank.parse().ok()?),
        None => Kind::Manifest(generation),
    };
    let right = match kind {
        Kind::Cells(generation, rank) => file_name(generation, rank),
        _ => format!("{generation:06}.manifest"),
    };
    (right == name).then_some(kind)
}

impl Folder {
    pub(super) fn of(path: &Path) -> Folder {
        Folder(path.into())
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(super) fn manifest(&self, generation: u64) -> PathBuf {
        self.path(&format!("{generation:06}.manifest"))
    }

    /// Makes it, if it is not there.
    pub(super) fn make(&self) -> Result<(), String> {
        match fs::create_dir(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let parent = crate::publish::folder_of(&self.0).display();
                Err(format!(
                    "cannot make the folder {}: there is no folder {parent}: make it, or name another",
                    self.0.display()
                ))
            }
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                Err(format!("cannot make the folder {}: {error}", self.0.display()))
            }
            Err(_) => Ok(()),
            // Not every file system can sync a folder.
            Ok(()) => {
                fs::File::open(crate::publish::folder_of(&self.0)).and_then(|folder| folder.sync_all()).ok();
                Ok(())
            }
        }
    }

    /// Whether it is there.
    pub(super) fn exists(&self) -> bool {
        fs::symlink_metadata(&self.0).is_ok()
    }

    /// The generations that have a manifest, in ascending order.
    ///
    /// # Errors
    /// If it cannot be read, or holds something else.
    pub(super) fn generations(&self) -> Result<Vec<u64>, String> {
        let files = self.files()?;
        let mut all: Vec<u64> = files
            .iter()
            .filter_map(|(_, kind)| if let Kind::Manifest(generation) = kind { Some(*generation) } else { None })
            .collect();
        all.sort_unstable();
        Ok(all)
    }

    /// Removes what is older than this generation but of the kept one, and what jobs that died have left of this one: all that
    /// is not among its `files`. What cannot be removed stays: it harms nothing.
    pub(super) fn clear(&self, generation: u64, files: &[&str], kept: Option<u64>) {
        let Ok(mut there) = self.files() else { return };
        // Manifests first: without one, files are no generation.
        there.sort_by_key(|(_, kind)| !matches!(kind, Kind::Manifest(_)));
        for (name, kind) in there {
            let goes = match kind {
                Kind::Manifest(of) => of < generation && Some(of) != kept,
                Kind::Cells(of, _) if of == generation => !files.contains(&name.as_str()),
                Kind::Cells(of, _) => of < generation && Some(of) != kept,
                Kind::Part => false, // another generation's, which is being written
            };
            if goes {
                fs::remove_file(self.path(&name)).ok();
            }
        }
    }

    fn files(&self) -> Result<Vec<(String, Kind)>, String> {
        let cannot = |error| format!("cannot read the folder {}: {error}", self.0.display());
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(cannot)? {
            let name = entry.map_err(cannot)?.file_name();
            match name.to_str().and_then(|name| Some((name.to_string(), kind(name)?))) {
                Some(file) => files.push(file),
                None => {
                    return Err(format!(
                        "the folder {} holds {}, which is no checkpoint: name a folder of its own for checkpoints",
                        self.0.display(),
                        name.display()
                    ));
                }
            }
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_and_others_are_not() {
        assert_eq!(kind(&file_name(7, 3)), Some(Kind::Cells(7, 3)));
        assert_eq!(kind("1000000.rank-100000"), Some(Kind::Cells(1_000_000, 100_000)));
        assert_eq!(kind("000007.manifest"), Some(Kind::Manifest(7)));
        assert_eq!(kind(".physalia-0.part"), Some(Kind::Part));
        for other in ["7.manifest", "000007.txt", "000007.rank-3", "+00007.manifest", "000007", ".", "notes.txt", ""] {
            assert_eq!(kind(other), None, "{other}");
        }
    }
}
