//! Files as other programs read them: fields of known cells, in every form, and `tests/readers.py`, which opens them with
//! numpy, VTK, netCDF4, zarr and h5py and computes the cells anew. `tests/readers` installs those; without it this test says
//! that it skips.

use physalia::field::{Boxes, Cell, Field, Grid};
use physalia::prelude::*;
use physalia::publish::Writer;
use physalia_apps::output::hdf5::Files;
use physalia_apps::output::vtk::{Series, image};
use physalia_apps::output::zarr::Store;
use physalia_apps::output::{Geometry, Moment, netcdf, npy};
use std::path::Path;
use std::process::Command;

/// What `readers.py` knows, too.
const CELLS: [u64; 3] = [37, 21, 11];
const GEOMETRY: Geometry = Geometry { origin: [0.5, -1.0, 2.0], spacing: [0.25, 0.5, 0.125] };

/// Several boxes a rank, in jumbled hands.
fn boxes(cells: [u64; 3], ranks: u32) -> Boxes {
    let cuts = cells.map(|n| if n > 20 && n != 37 { vec![0, 4, 5, n] } else { vec![0, n] });
    let cuts = if cells[2] > 1 { [cuts[0].clone(), cuts[1].clone(), vec![0, 3, cells[2]]] } else { cuts };
    let count: usize = cuts.iter().map(|c| c.len() - 1).product();
    Boxes::with(cuts, (0..count as u32).map(|id| (id * 5 + 2) % ranks).collect())
}

fn write<T: Cell, const D: usize>(folder: &Path, ranks: u32, number: fn(u64) -> T) {
    let folder = &folder.join(format!("{}-{D}-{ranks}", std::any::type_name::<T>()));
    std::fs::create_dir(folder).unwrap();
    let cells: [u64; D] = std::array::from_fn(|a| CELLS[a]);
    let job = Launch::from_env().ranks(ranks).threads(1).run(|world| {
        let cut = boxes(std::array::from_fn(|a| if a < D { CELLS[a] } else { 1 }), ranks);
        let mut u = Field::<T, D>::with_boxes(world, Grid::new(cells), cut)?;
        let mut v = u.like();
        let mut writer = Writer::new(3);
        let series = Series::new(world, &folder.join("series.pvd"), None)?;
        let mut store = Store::new(world, &folder.join("all.zarr"), None)?;
        let files = Files::new(world, &folder.join("all.h5"), "a tést", None)?;
        for step in [0, 5] {
            let weight = [31, 17, 7];
            let value = |at: [u64; D]| (0..D).map(|a| at[a] * weight[a]).sum::<u64>() + 3 * step;
            u.fill(|at| number(value(at) % 101));
            v.fill(|at| number(value(at) % 100 + 1));
            let (moment, fields) = (Moment { step, time: step as f64 / 8.0 }, [("u", &u), ("v & w", &v)]);
            writer.submit(world, series.add(world, &GEOMETRY, moment, &fields))?;
            let named = [("u", &u), ("v", &v)];
            let batch = store.add(world, &GEOMETRY, moment, &named)?;
            writer.submit(world, batch)?;
            let batch = files.add(world, &folder.join(format!("all-{step:08}.h5")), &GEOMETRY, moment, &named)?;
            writer.submit(world, batch)?;
            let batch = image(world, &folder.join("all.vti"), &GEOMETRY, moment, &fields)?;
            writer.submit(world, batch)?;
            let batch = netcdf::file(world, &folder.join("all.nc"), "a test", &GEOMETRY, moment, &named)?;
            writer.submit(world, batch)?;
            let batch = npy::field(world, &folder.join("u.npy"), &u)?;
            writer.submit(world, batch)?;
            if D > 1 {
                let batch = npy::plane(world, &folder.join("slice.npy"), &v, "y=6".parse().unwrap())?;
                writer.submit(world, batch)?;
            }
        }
        Ok(writer.finish(world)?)
    });
    job.unwrap();
}

fn all<T: Cell>(folder: &Path, number: fn(u64) -> T) {
    for ranks in [1, 3] {
        write::<T, 1>(folder, ranks, number);
        write::<T, 2>(folder, ranks, number);
        write::<T, 3>(folder, ranks, number);
    }
}

#[test]
fn independent_readers_find_the_same_cells() {
    let Ok(python) = std::env::var("PHYSALIA_READERS") else {
        return println!("skipped: no readers; tests/readers installs them");
    };
    let folder = tempfile::tempdir().unwrap();
    all::<f32>(folder.path(), |n| n as f32 / 4.0);
    all::<f64>(folder.path(), |n| n as f64 / 4.0);
    all::<u8>(folder.path(), |n| n as u8);
    all::<i16>(folder.path(), |n| n as i16);
    all::<u32>(folder.path(), |n| n as u32);
    all::<i64>(folder.path(), |n| n as i64);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/readers.py");
    let output = Command::new(python).arg(script).arg(folder.path()).output().unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
