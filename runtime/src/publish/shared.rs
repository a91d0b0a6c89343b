//! One file of which every rank writes its part.
//!
//! Rank 0 begins it aside; ranks that see it there (they have the file system) write into it, each at its own places, and those
//! that do not send what they have to rank 0. When all is on disk it takes its name.

use super::part::Part;
use super::{Batch, CannotWrite};
use crate::World;
use physalia_collectives::Abort;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// Bytes that a rank without the file system sends at a time.
const GO: usize = 16 << 20;

/// Takes bytes and their place in a file.
pub type Put<'p> = dyn FnMut(u64, &[u8]) -> io::Result<()> + 'p;
type Write = Box<dyn FnOnce(&mut Put<'_>) -> io::Result<()> + Send>;

impl Batch {
    /// A file that all ranks write together, as a batch of two stages for a [`Writer`](super::Writer): each rank's `write`
    /// gives its bytes, by their places in the file, no two ranks the same place; then the file appears under its name.
    /// Collective. A rank that does not see rank 0's file system calls `write` at once, and sends its bytes to rank 0 in
    /// goes of 16 MiB; all others do when the batch is written.
    ///
    /// # Errors
    /// An agreed failure if rank 0 cannot begin the file, or there is a folder, a pipe or a device of its name; or the job's
    /// abort.
    #[track_caller]
    pub fn whole_file(
        world: &mut World,
        path: &Path,
        write: impl FnOnce(&mut Put<'_>) -> io::Result<()> + Send + 'static,
    ) -> Result<Batch, Abort> {
        Batch::shared(world, path, write, |_| true)
    }

    /// `sees`: whether a rank may look for the file.
    #[track_caller]
    fn shared(
        world: &mut World,
        path: &Path,
        write: impl FnOnce(&mut Put<'_>) -> io::Result<()> + Send + 'static,
        sees: impl Fn(u32) -> bool,
    ) -> Result<Batch, Abort> {
        let begun = world.on_root(|| begin(path));
        let part = world.agree(begun.transpose())?;
        let place = || part.as_ref().and_then(Part::place).map(|place| place.as_os_str().as_bytes().to_vec());
        let aside = world.from_root(|| Ok::<_, String>(place()))?.map(OsString::from_vec);
        let file = match (&part, aside) {
            (Some(part), _) => part.file().ok(),
            (None, Some(aside)) if sees(world.rank()) => File::options().write(true).open(aside).ok(),
            _ => None,
        };
        let path: Arc<Path> = path.into();
        let fail = {
            let path = path.clone();
            move |error| CannotWrite::new(&path, error)
        };
        let blind = world.all_gather(u8::from(file.is_none()))?;
        let mut write: Option<Write> = Some(Box::new(write));
        if blind.contains(&1) {
            let mine = if file.is_none() { write.take() } else { None };
            send(world, mine, file.as_ref(), &fail)?;
        }
        let stage = {
            let fail = fail.clone();
            move || {
                let (Some(file), Some(write)) = (file, write) else { return Ok(()) };
                write(&mut |at, bytes| file.write_all_at(bytes, at)).and_then(|()| file.sync_all()).map_err(fail)
            }
        };
        Ok(Batch::default().then(stage).then(move || part.map_or(Ok(()), Part::appear).map_err(fail)))
    }
}

fn begin(path: &Path) -> Result<Part, CannotWrite> {
    let fail = |error| CannotWrite::new(path, error);
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => return Err(fail(ErrorKind::IsADirectory.into())),
        Ok(there) if !there.is_file() => return Err(fail(io::Error::other("ranks can only share a plain file"))),
        _ => {}
    }
    let link = fs::symlink_metadata(path).is_ok_and(|data| data.is_symlink());
    // Another process may be in another folder.
    let target = if link { fs::canonicalize(path) } else { std::path::absolute(path) }.map_err(fail)?;
    Part::new(target).map_err(fail)
}

/// The bytes of ranks without the file, through rank 0 into it. Collective.
fn send(
    world: &mut World,
    write: Option<Write>,
    file: Option<&File>,
    fail: &impl Fn(io::Error) -> CannotWrite,
) -> Result<(), Abort> {
    let mut messages: Vec<Vec<u8>> = Vec::new();
    let taken = write.map_or(Ok(()), |write| {
        write(&mut |at, bytes| {
            for (place, bytes) in (at..).step_by(GO).zip(bytes.chunks(GO)) {
                let full = messages.last().is_none_or(|last| last.len() + bytes.len() > GO);
                if full {
                    messages.push(Vec::new());
                }
                let last = messages.last_mut().expect("one was pushed if there was none");
                last.extend(place.to_le_bytes());
                last.extend((bytes.len() as u64).to_le_bytes());
                last.extend(bytes);
            }
            Ok(())
        })
    });
    world.agree(taken.map_err(fail))?;
    let goes = world.all_reduce(messages.len() as u64, physalia_collectives::Max)?;
    let mut messages = messages.into_iter();
    for _ in 0..goes {
        let came = world.sparse_exchange(messages.next().map(|bytes| (0, bytes)).into_iter().collect())?;
        let put = came.iter().try_for_each(|(_, bytes)| file.map_or(Ok(()), |file| put(file, bytes)));
        world.agree(put.map_err(fail))?;
    }
    Ok(())
}

/// Writes what a message has, each piece at its place.
fn put(file: &File, mut message: &[u8]) -> io::Result<()> {
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("8 bytes"));
    while let Some((head, rest)) = message.split_at_checked(16) {
        let (bytes, rest) = rest.split_at(number(&head[8..]) as usize);
        file.write_all_at(bytes, number(&head[..8]))?;
        message = rest;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Writer;
    use super::*;
    use crate::Launch;

    /// Whoever sees the file, and from whom rank 0 has it: the same bytes.
    #[test]
    fn all_ranks_make_one_file() {
        let folder = tempfile::tempdir().unwrap();
        for (case, sees) in [|_| true, |_| false, |rank| rank != 2].into_iter().enumerate() {
            let path = folder.path().join(format!("{case}"));
            let job = Launch::from_env().ranks(4).threads(1).run(|world| {
                let mut writer = Writer::default();
                let rank = world.rank() as usize;
                // Every fourth block of 5 MiB, and a word at the end of each block.
                let batch = Batch::shared(
                    world,
                    &path,
                    move |put| {
                        for block in (rank..12).step_by(4) {
                            let bytes = vec![block as u8; (5 << 20) + 3];
                            put((block * bytes.len()) as u64, &bytes[..bytes.len() - 8])?;
                            put(((block + 1) * bytes.len() - 8) as u64, &[100 + block as u8; 8])?;
                        }
                        Ok(())
                    },
                    sees,
                )?;
                assert!(!path.exists());
                writer.submit(world, batch)?;
                Ok(writer.finish(world)?)
            });
            job.unwrap();
            let bytes = fs::read(&path).unwrap();
            assert_eq!(bytes.len(), 12 * ((5 << 20) + 3));
            for (block, bytes) in bytes.chunks((5 << 20) + 3).enumerate() {
                let (most, last) = bytes.split_at(bytes.len() - 8);
                assert!(most.iter().all(|&b| b == block as u8) && last.iter().all(|&b| b == 100 + block as u8));
            }
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path(), Path::new("/dev/null"), &folder.path().join("no/such")] {
            let why = Launch::from_env().ranks(2).run(|world| {
                Batch::whole_file(world, path, |_| Ok(()))?;
                Ok(())
            });
            let why = why.unwrap_err().to_string();
            assert!(why.contains(&format!("cannot write {}: ", path.display())), "{why}");
        }
    }
}
