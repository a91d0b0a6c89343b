//! What is saved comes back; what was damaged does not; and what was there stays until something newer is whole.

use super::*;
use crate::field::{Boxes, Cell, Field, Grid};
use crate::random::Random;
use crate::{Launch, Outcome};
use std::path::PathBuf;
use std::process::Command;

fn ranks<T: Send>(n: u32, body: impl Fn(&mut World) -> Outcome<T> + Send + Sync) -> Vec<T> {
    Launch::from_env().ranks(n).threads(if n == 1 { 2 } else { 1 }).run(body).unwrap()
}

fn bits([x, y, z]: [u64; 3], seed: u64) -> u64 {
    Random::new(seed).below((z * 1000 + y) * 100_000 + x, u64::MAX)
}

/// A field on boxes that depend on the seed, of floats of all bits, also those that are no number.
fn field(world: &mut World, cuts: u64, seed: u64) -> Result<Field<f64, 3>, Abort> {
    let (nx, ny, nz) = (4100, 9, 7);
    let axis = |n: u64| if cuts == 0 { vec![0, n] } else { vec![0, 1, n - cuts, n] };
    let xs = if cuts == 2 { vec![0, 4096, nx] } else { vec![0, nx] };
    let cuts = [xs, axis(ny), axis(nz)];
    let boxes: usize = cuts.iter().map(|c| c.len() - 1).product();
    let owners = (0..boxes as u64).map(|id| (Random::new(seed).below(id, world.size().into())) as u32).collect();
    Field::with_boxes(world, Grid::new([nx, ny, nz]).halo(2), Boxes::with(cuts, owners))
}

fn small<T: Cell>(world: &mut World, value: T) -> Result<Field<T, 2>, Abort> {
    let mut u = Field::new(world, Grid::new([50, 40]))?;
    u.fill(|_| value);
    Ok(u)
}

/// Writes as many generations as there are values.
fn written(folder: &Path, n: u32, values: std::ops::RangeInclusive<i32>) {
    ranks(n, |world| {
        let mut checkpoints = Checkpoints::new(world, folder)?;
        for value in values.clone() {
            let u = small(world, value)?;
            checkpoints.write(world, &value, &[("u", &u)])?;
        }
        Ok(())
    });
}

/// What a job on so many ranks finds: the meta, the first cell, and what was said.
fn found(folder: &Path, n: u32) -> Result<Option<(i32, i32, Vec<String>)>, String> {
    let all = ranks(n, |world| {
        let saved = match open::<i32>(world, folder) {
            Ok(saved) => saved,
            Err(abort) => return Ok(Err(abort.to_string())),
        };
        let Some(saved) = saved else { return Ok(Ok(None)) };
        let mut u = small(world, -1)?;
        match saved.load(world, &mut [("u", &mut u)]) {
            Err(abort) => Ok(Err(abort.to_string())),
            Ok(resumed) => {
                let first = u.gather(world)?.map(|cells| {
                    assert!(cells.iter().all(|&cell| cell == cells[0]), "cells of two checkpoints");
                    cells[0]
                });
                Ok(Ok(Some((resumed.meta, first.unwrap_or(resumed.meta), resumed.notes))))
            }
        }
    });
    all.into_iter().next().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_same_bits_on_any_ranks_and_boxes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    for (case, &(from, to)) in [(1, 3), (3, 1), (2, 5), (6, 2), (4, 4)].iter().enumerate() {
        let seed = case as u64;
        let hashes = ranks(from, |world| {
            let (mut u, mut v) = (field(world, seed % 3, 1)?, field(world, 0, 2)?);
            u.fill(|at| f64::from_bits(bits(at, seed)));
            v.fill(|at| f64::from_bits(bits(at, seed + 100)));
            let mut mask = Field::<u8, 1>::new(world, Grid::new([9000]))?;
            mask.fill(|[x]| bits([x, 0, 0], seed) as u8);
            let mut checkpoints = Checkpoints::new(world, &path)?;
            let fields: [(&str, &dyn Stored); 3] = [("now", &u), ("before", &v), ("mask", &mask)];
            checkpoints.write(world, &(seed, "text".to_string()), &fields)?;
            Ok([u.hash(world)?, v.hash(world)?, mask.hash(world)?])
        });
        ranks(to, |world| {
            let saved = open::<(u64, String)>(world, &path)?.expect("it was written");
            assert_eq!(saved.meta().0, seed);
            let (mut u, mut v) = (field(world, (seed + 1) % 3, 3)?, field(world, 2, 4)?);
            let mut mask = Field::<u8, 1>::new(world, Grid::new([9000]))?;
            let fields: &mut [(&str, &mut dyn Stored)] =
                &mut [("mask", &mut mask), ("now", &mut u), ("before", &mut v)];
            let resumed = saved.load(world, fields)?;
            assert_eq!((resumed.meta.1.as_str(), resumed.notes.len()), ("text", 0));
            assert_eq!([u.hash(world)?, v.hash(world)?, mask.hash(world)?], hashes[0]);
            Ok(())
        });
    }
}

#[test]
fn two_generations_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    assert_eq!(found(&path, 2), Ok(None));
    written(&path, 3, 1..=1);
    assert_eq!(names(&path).len(), 4);
    written(&path, 2, 2..=5); // of another job
    let expected = ["4.manifest", "4.rank-00000", "4.rank-00001", "5.manifest", "5.rank-00000", "5.rank-00001"];
    assert_eq!(names(&path), expected.map(|name| format!("00000{name}")));
    assert_eq!(found(&path, 3), Ok(Some((5, 5, vec![]))));
}

/// Every byte of the newest generation, changed or cut off: the one before is used, and the file is named.
#[test]
fn a_damaged_byte_is_found_and_the_other_generation_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    written(&path, 2, 1..=2);
    for name in ["000002.rank-00001", "000002.rank-00000", "000002.manifest"] {
        let file = path.join(name);
        let bytes = fs::read(&file).unwrap();
        let check = |damaged: Option<&[u8]>| {
            match damaged {
                Some(bytes) => fs::write(&file, bytes).unwrap(),
                None => fs::remove_file(&file).unwrap(),
            }
            for n in [1, 3] {
                let (meta, cell, notes) = found(&path, n).unwrap().unwrap();
                assert_eq!((meta, cell), (1, 1), "{name}");
                let manifest_gone = damaged.is_none() && name.ends_with("manifest");
                let said = notes.len() == 1 && notes[0].contains(name) && notes[0].contains("000002 is not used");
                assert!(said || (manifest_gone && notes.is_empty()), "{notes:?}");
            }
        };
        let mut places: Vec<usize> = (0..bytes.len()).step_by(bytes.len().div_ceil(12)).collect();
        places.extend([1, 5, bytes.len() - 1]);
        for place in places {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x10;
            check(Some(&damaged));
            check(Some(&bytes[..place]));
        }
        check(Some(&[bytes.clone(), vec![0]].concat()));
        check(None);
        fs::write(&file, bytes).unwrap();
        assert_eq!(found(&path, 2), Ok(Some((2, 2, vec![]))));
    }
    // A file of the right length, whose chunks are all right, but of another moment.
    fs::copy(path.join("000001.rank-00001"), path.join("000002.rank-00001")).unwrap();
    let (meta, _, notes) = found(&path, 1).unwrap().unwrap();
    assert!(meta == 1 && notes[0].contains("cells of another checkpoint"), "{notes:?}");
    // And the other one, too: nothing is taken.
    fs::remove_file(path.join("000001.rank-00000")).unwrap();
    let why = found(&path, 2).unwrap_err();
    assert!(why.contains("000002.rank-00001"), "{why}");
    fs::remove_file(path.join("000002.rank-00000")).unwrap();
    let why = found(&path, 2).unwrap_err();
    assert!(why.contains("000001.rank-00000") && why.contains("000002.rank-00000"), "{why}");
}

#[test]
fn the_generation_that_a_job_goes_on_from_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    written(&path, 2, 1..=2);
    let file = path.join("000002.rank-00001");
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    ranks(1, |world| {
        let saved = open::<i32>(world, &path)?.expect("two");
        let mut u = small(world, 0)?;
        let resumed = saved.load(world, &mut [("u", &mut u)])?;
        let mut checkpoints = Checkpoints::new(world, &path)?;
        checkpoints.keep(&resumed);
        u.fill(|_| 3);
        Ok(checkpoints.write(world, &3, &[("u", &u)])?)
    });
    assert_eq!(names(&path)[0], "000001.manifest");
    fs::remove_file(path.join("000003.rank-00000")).unwrap();
    assert_eq!(found(&path, 2).unwrap().unwrap().0, 1);
}

/// The job ends after the ranks' files are there, before the manifest is.
#[test]
fn a_job_that_dies_leaves_the_last_whole_generation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    written(&path, 2, 1..=1);
    ranks(2, |world| {
        let (mut checkpoints, mut writer) = (Checkpoints::new(world, &path)?, Writer::default());
        let mut u = small(world, 7)?;
        checkpoints.start(world, &mut writer, &7, &[("u", &u)])?;
        u.fill(|_| 8);
        drop(writer);
        Ok(())
    });
    let part = path.join(".physalia-0123456789abcdef.part");
    fs::write(&part, "half").unwrap();
    assert_eq!(names(&path).len(), 6, "{:?}", names(&path));
    assert_eq!(found(&path, 3), Ok(Some((1, 1, vec![]))));
    written(&path, 1, 2..=3);
    assert_eq!(found(&path, 2), Ok(Some((3, 3, vec![]))));
    fs::remove_file(part).unwrap();
    assert_eq!(names(&path).len(), 4);
}

#[test]
fn the_job_goes_on_while_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    ranks(3, |world| {
        let (mut checkpoints, mut writer) = (Checkpoints::new(world, &path)?, Writer::new(2));
        let mut u = small(world, 0)?;
        for step in 1..=5 {
            u.fill(|_| step);
            checkpoints.start(world, &mut writer, &step, &[("u", &u)])?;
            u.fill(|_| -step); // at once
            writer.poll(world)?;
        }
        Ok(writer.finish(world)?)
    });
    assert_eq!(found(&path, 2), Ok(Some((5, 5, vec![]))));
    assert_eq!(names(&path).len(), 8);
}

#[test]
fn other_folders_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    let why = found(folder.path(), 2).unwrap_err();
    assert!(why.contains("holds notes.txt, which is no checkpoint"), "{why}");
    let refused = |path: PathBuf| {
        let why = Launch::from_env().ranks(2).run(|world| Ok(Checkpoints::new(world, &path)?)).unwrap_err();
        why.to_string()
    };
    assert!(refused(folder.path().into()).contains("holds notes.txt"));
    assert!(refused(folder.path().join("notes.txt")).contains("notes.txt"));
    let why = refused(folder.path().join("a/b"));
    assert!(why.contains("there is no folder ") && why.contains("/a: make it"), "{why}");
    assert_eq!(names(folder.path()), ["notes.txt"]);
}

#[test]
fn another_run_is_not_taken_for_this_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    written(&path, 2, 4..=4);
    ranks(2, |world| {
        let why = open::<u64>(world, &path).unwrap_err().to_string();
        assert!(why.contains("it tells of i32, where u64 is wanted"), "{why}");
        let saved = |world: &mut World| open::<i32>(world, &path).map(|saved| saved.expect("it is there"));
        let mut u = small(world, 0)?;
        let why = saved(world)?.load(world, &mut [("v", &mut u)]).unwrap_err().to_string();
        assert!(why.contains("the checkpoint has u of 50 × 40 i32, not v of 50 × 40 i32"), "{why}");
        let mut f = small(world, 0.0f32)?;
        let why = saved(world)?.load(world, &mut [("u", &mut f)]).unwrap_err().to_string();
        assert!(why.contains("not u of 50 × 40 f32"), "{why}");
        let mut other = Field::<i32, 2>::new(world, Grid::new([40, 50]))?;
        let why = saved(world)?.load(world, &mut [("u", &mut other)]).unwrap_err().to_string();
        assert!(why.contains("not u of 40 × 50 i32"), "{why}");
        // Two jobs in one folder: the second one is told.
        let (mut one, mut two) = (Checkpoints::new(world, &path)?, Checkpoints::new(world, &path)?);
        one.write(world, &5, &[("u", &u)])?;
        let why = two.write(world, &6, &[("u", &u)]).unwrap_err().to_string();
        assert!(why.contains("another job has written"), "{why}");
        Ok(())
    });
}

/// The disk is full, or a name is taken by something else: it is told which, and the old generation stays.
#[test]
fn what_cannot_be_written_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let fails = |path: &Path, cells: [u64; 2], rank: u32, words: &str| {
        let why = Launch::from_env().ranks(2).run(|world| {
            let mut checkpoints = Checkpoints::new(world, path)?;
            let u = Field::<f64, 2>::new(world, Grid::new(cells))?;
            Ok(checkpoints.write(world, &9, &[("u", &u)])?)
        });
        let why = why.unwrap_err().to_string();
        let named =
            format!("rank {rank} on {}: cannot write {}", physalia_collectives::failure::host(), path.display());
        assert!(why.starts_with(&named) && why.contains(words), "{why}");
    };
    let path = folder.path().join("run");
    written(&path, 2, 1..=1);
    fs::create_dir(path.join("000002.rank-00001")).unwrap();
    fails(&path, [50, 40], 1, "000002.rank-00001: ");
    fs::remove_dir(path.join("000002.rank-00001")).unwrap();
    fs::create_dir(path.join("000002.manifest")).unwrap();
    assert!(found(&path, 2).unwrap().unwrap().2[0].contains("000002.manifest"));
    fs::remove_dir(path.join("000002.manifest")).unwrap();
    assert_eq!(found(&path, 2), Ok(Some((1, 1, vec![]))));

    // A job that goes on after a failure loses neither what was whole, nor what it writes then.
    ranks(2, |world| {
        let mut checkpoints = Checkpoints::new(world, &path)?;
        let mut u = small(world, 2)?;
        let block = path.join("000002.rank-00001");
        world.on_root(|| fs::create_dir(&block)).transpose()?;
        world.barrier()?;
        let why = checkpoints.write(world, &2, &[("u", &u)]).unwrap_err().to_string();
        assert!(why.contains("000002.rank-00001"), "{why}");
        world.on_root(|| fs::remove_dir(&block)).transpose()?;
        u.fill(|_| 3);
        Ok(checkpoints.write(world, &3, &[("u", &u)])?)
    });
    assert_eq!(found(&path, 2), Ok(Some((3, 3, vec![]))));
    fs::remove_file(path.join("000003.manifest")).unwrap();
    assert_eq!(found(&path, 1), Ok(Some((1, 1, vec![]))));

    let small = folder.path().join("small");
    fs::create_dir(&small).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "none"]).arg(&small).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        return println!("skipped: no small file system can be mounted here");
    }
    let path = small.join("run");
    written(&path, 2, 1..=1);
    fails(&path, [400, 400], 0, "No space left on device");
    let after = (found(&path, 3), names(&path));
    let unmounted = Command::new("umount").arg(&small).output();
    assert!(unmounted.is_ok_and(|output| output.status.success()));
    assert_eq!(after.0, Ok(Some((1, 1, vec![]))));
    assert!(!after.1.iter().any(|name| name.ends_with(".part")), "{:?}", after.1);
}
