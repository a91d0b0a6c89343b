//! A store has what was put into it, chunk by chunk.

use super::*;
use physalia::field::{Boxes, Field, Grid};
use physalia::publish::Writer;

fn value([x, y, z]: [u64; 3], step: u64) -> f64 {
    (x + 100 * y + 10_000 * z + 1_000_000 * step) as f64
}

const CELLS: [u64; 3] = [70, 40, 30];

fn run(folder: &Path, ranks: u32, resumed: Option<u64>, steps: &[u64]) -> Result<(), String> {
    let job = Launch::from_env().ranks(ranks).threads(1).run(|world| {
        let cuts = [vec![0, 70], vec![0, 11, 40], vec![0, 1, 17, 30]];
        let owners = (0..6).map(|id| (id * 5 + 1) % ranks).collect();
        let mut u = Field::<f64, 3>::with_boxes(world, Grid::new(CELLS), Boxes::with(cuts, owners))?;
        let mut store = Store::new(world, folder, resumed)?;
        let mut writer = Writer::default();
        for &step in steps {
            u.fill(|at| value(at, step));
            let moment = Moment { step, time: step as f64 / 4.0 };
            let batch = store.add(world, &Geometry::default(), moment, &[("u", &u)])?;
            writer.submit(world, batch)?;
        }
        Ok(writer.finish(world)?)
    });
    job.map(drop).map_err(|abort| abort.to_string())
}

fn list(folder: &Path, array: &str, key: &str) -> Vec<u64> {
    let text = fs::read_to_string(folder.join(array).join("zarr.json")).unwrap();
    let inner = text.split_once(&format!("\"{key}\": [")).unwrap().1.split_once(']').unwrap().0;
    inner.split(", ").map(|n| n.parse().unwrap()).collect()
}

/// Every cell of every moment, through chunks of whatever shape.
fn check(folder: &Path, steps: &[u64]) {
    let shape = list(folder, "u", "shape");
    assert_eq!(shape, [steps.len() as u64, 30, 40, 70]);
    let chunk = list(folder, "u", "chunk_shape");
    for (t, &step) in steps.iter().enumerate() {
        for z in 0..30 {
            for y in 0..40 {
                let path = format!("u/c/{t}/{}/{}/0", z / chunk[1], y / chunk[2]);
                let bytes = fs::read(folder.join(path)).unwrap();
                assert_eq!(bytes.len() as u64, chunk.iter().product::<u64>() * 8);
                let start = ((z % chunk[1] * chunk[2] + y % chunk[2]) * chunk[3]) as usize * 8;
                let row = bytes[start..start + 70 * 8].chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap()));
                assert!(row.eq((0..70).map(|x| value([x, y, z], step))), "{t} {z} {y}");
            }
        }
        let time = fs::read(folder.join(format!("time/c/{t}"))).unwrap();
        assert_eq!(time, (step as f64 / 4.0).to_le_bytes());
    }
    assert_eq!(fs::read(folder.join("y/c/0")).unwrap()[..8], 0.5f64.to_le_bytes());
}

#[test]
fn every_cell_is_in_its_chunk_and_a_run_goes_on() {
    let tmp = tempfile::tempdir().unwrap();
    let folder = tmp.path().join("u.zarr");
    run(&folder, 3, None, &[0, 10, 20]).unwrap();
    check(&folder, &[0, 10, 20]);
    let chunk = list(&folder, "u", "chunk_shape");
    assert!(chunk[1] < 30, "several chunks: {chunk:?}");
    run(&folder, 1, Some(10), &[10, 15]).unwrap();
    check(&folder, &[0, 10, 15]);
    run(&folder, 2, None, &[5]).unwrap();
    check(&folder, &[5]);
}

#[test]
fn other_folders_are_refused() {
    let tmp = tempfile::tempdir().unwrap();
    fs::write(tmp.path().join("mine"), "").unwrap();
    let why = run(tmp.path(), 2, None, &[0]).unwrap_err();
    assert!(why.contains("is no store that physalia has written"), "{why}");
    assert!(run(&tmp.path().join("mine"), 2, None, &[0]).is_err());
    assert!(run(&tmp.path().join("no/such.zarr"), 2, None, &[0]).unwrap_err().contains("there is no folder"));
}
