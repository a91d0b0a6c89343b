//! Files of all ranks: checkpoints, and what other programs read.

use crate::{Body, well};
use physalia::checkpoint::{Checkpoints, open};
use physalia::field::{Boxes, Field, Grid};
use physalia::prelude::*;
use physalia::publish::Writer;
use physalia_apps::output::hdf5::Files;
use physalia_apps::output::vtk::Series;
use physalia_apps::output::zarr::Store;
use physalia_apps::output::{Geometry, Moment, npy};
use std::path::PathBuf;

pub(super) fn bodies() -> Vec<Body> {
    use self as f;
    well![f::a_checkpoint_is_loaded_onto_other_boxes, f::all_ranks_write_one_file]
}

/// A folder of this job's own, which rank 0 makes.
fn folder(world: &mut World) -> Result<PathBuf, Abort> {
    let made = || tempfile::tempdir().map(|folder| folder.keep());
    let path = world.from_root(|| made().map(|path| path.display().to_string()))?;
    Ok(path.into())
}

/// Both time levels of a simulation, saved while it goes on, and loaded onto boxes that are dealt out otherwise.
fn a_checkpoint_is_loaded_onto_other_boxes(world: &mut World) -> Outcome<()> {
    let folder = folder(world)?;
    let path = folder.join("run");
    let grid = Grid::new([37, 23, 11]);
    let (mut now, mut before) = (Field::<f64, 3>::new(world, grid)?, Field::<f32, 3>::new(world, grid)?);
    let (mut checkpoints, mut writer) = (Checkpoints::new(world, &path)?, Writer::new(2));
    let mut hashes = Vec::new();
    for step in 0..4u64 {
        now.fill(|[x, y, z]| ((x * 31 + y * 17 + z * 7 + step) % 1013) as f64 / 7.0);
        before.fill(|[x, y, z]| ((x + y * 3 + z * 5 + step) % 7) as f32 / 3.0);
        hashes.push([now.hash(world)?, before.hash(world)?]);
        checkpoints.start(world, &mut writer, &(step, 0.1 * step as f64), &[("now", &now), ("before", &before)])?;
        writer.poll(world)?;
    }
    writer.finish(world)?;
    let cuts = [vec![0, 37], vec![0, 1, 9, 23], vec![0, 5, 11]];
    let owners = (0..6).map(|id| (id * 5 + 3) % world.size()).collect();
    let mut now = Field::<f64, 3>::with_boxes(world, grid, Boxes::with(cuts, owners))?;
    let mut before = Field::<f32, 3>::new(world, grid)?;
    let saved = open::<(u64, f64)>(world, &path)?.expect("four were written");
    let resumed = saved.load(world, &mut [("before", &mut before), ("now", &mut now)])?;
    assert_eq!((resumed.meta, resumed.generation), ((3, 0.1 * 3.0), 4));
    assert_eq!([now.hash(world)?, before.hash(world)?], hashes[3]);
    world.on_root(|| std::fs::remove_dir_all(&folder)).transpose()?;
    Ok(())
}

/// Arrays and images of all ranks, written while the field goes on, have the cells that were there.
fn all_ranks_write_one_file(world: &mut World) -> Outcome<()> {
    let folder = folder(world)?;
    let cuts = [vec![0, 37], vec![0, 1, 9, 23], vec![0, 5, 11]];
    let owners = (0..6).map(|id| (id * 5 + 3) % world.size()).collect();
    let mut u = Field::<f64, 3>::with_boxes(world, Grid::new([37, 23, 11]), Boxes::with(cuts, owners))?;
    let (mut writer, geometry) = (Writer::new(4), Geometry::default());
    let files = Files::new(world, &folder.join("u.h5"), "a test", None)?;
    let series = Series::new(world, &folder.join("u.pvd"), None)?;
    let mut store = Store::new(world, &folder.join("u.zarr"), None)?;
    let mut wholes = Vec::new();
    for step in 0..3 {
        u.fill(|[x, y, z]| (x * 31 + y * 1017 + z * 100_007 + step) as f64 / 7.0);
        let moment = Moment { step, time: step as f64 };
        let name = |ending: &str| folder.join(format!("{step}.{ending}"));
        let batch = npy::field(world, &name("npy"), &u)?;
        writer.submit(world, batch)?;
        let batch = files.add(world, &name("h5"), &geometry, moment, &[("u", &u)])?;
        writer.submit(world, batch)?;
        let batch = store.add(world, &geometry, moment, &[("u", &u)])?;
        writer.submit(world, batch)?;
        writer.submit(world, series.add(world, &geometry, moment, &[("u", &u)]))?;
        wholes.push(u.gather(world)?);
        writer.poll(world)?;
    }
    writer.finish(world)?;
    let check = || -> std::io::Result<()> {
        for (step, whole) in wholes.iter().flatten().enumerate() {
            let bytes: Vec<u8> = whole.iter().flat_map(|cell| cell.to_le_bytes()).collect();
            for ending in ["npy", "h5"] {
                let file = std::fs::read(folder.join(format!("{step}.{ending}")))?;
                assert!(file.ends_with(&bytes), "{ending} of step {step}");
            }
            let pvti = std::fs::read_to_string(folder.join(format!("u/{step:08}.pvti")))?;
            assert_eq!(pvti.matches("<Piece ").count(), 6);
            assert_eq!(std::fs::read(folder.join(format!("u.zarr/step/c/{step}")))?, (step as u64).to_le_bytes());
        }
        std::fs::remove_dir_all(&folder)
    };
    world.on_root(check).transpose()?;
    Ok(())
}
