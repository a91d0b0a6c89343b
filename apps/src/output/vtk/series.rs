//! A series: images of many moments in many files, and the file that names them.

use super::super::raster::bytes_of;
use super::super::{Geometry, Moment, Named, can_write, escaped};
use super::image::{About, TAIL, opening};
use physalia::field::{Cell, Region};
use physalia::prelude::*;
use physalia::publish::{Aside, Batch, CannotWrite, publish};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A series of images that is being written.
#[derive(Debug)]
pub struct Series {
    path: PathBuf,
    /// Where the pieces are, and as the `.pvd` says it.
    folder: PathBuf,
    inside: String,
    /// The moments that have been written; on rank 0.
    moments: Arc<Mutex<Vec<Entry>>>,
}

/// A line of the `.pvd`.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    step: u64,
    /// As it is written there.
    time: String,
}

impl Series {
    /// A series at `path`, with what was written before the step from which the run is resumed; else from the beginning. Makes
    /// the folder of the pieces. Collective.
    ///
    /// # Errors
    /// An agreed failure if the folder cannot be made, or what is to be continued is no series of ours; or the job's abort.
    #[track_caller]
    pub fn new(world: &mut World, path: &Path, resumed: Option<u64>) -> Result<Series, Abort> {
        let folder = path.with_extension("");
        let inside = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let begun = world.on_root(|| begin(path, &folder, resumed));
        let moments = world.agree(begun.transpose())?.unwrap_or_default();
        Ok(Series { path: path.into(), folder, inside, moments: Arc::new(Mutex::new(moments)) })
    }

    /// The fields of a moment, for a [`Writer`](physalia::publish::Writer): the ranks' files, then the one that names them,
    /// then the `.pvd`. Fields must be of one grid and on the same boxes. Local; a copy of the cells.
    ///
    /// # Panics
    /// If there are no fields, or they lie on different boxes.
    pub fn add<T: Cell, const D: usize>(
        &self,
        world: &World,
        geometry: &Geometry,
        moment: Moment,
        fields: &Named<'_, T, D>,
    ) -> Batch {
        let about = About::of(geometry, Some(moment), fields);
        let (rank, boxes) = (world.rank(), fields[0].1.boxes());
        assert!(fields.iter().all(|(_, field)| field.boxes() == boxes), "fields on different boxes");
        let mut arrays: Vec<_> = fields.iter().map(|(_, field)| field.snapshot().into_iter()).collect();
        let mut images: Vec<(PathBuf, String, Vec<Vec<T>>)> = Vec::new();
        for (number, id) in boxes.of_rank(rank).into_iter().enumerate() {
            let cells = arrays.iter_mut().map(|array| array.next().expect("a part for each box").1).collect();
            let name = piece(moment.step, rank, number);
            images.push((self.folder.join(name), about.head(&boxes.region(id)), cells));
        }
        let all: Vec<(Region, String)> = (0..if rank == 0 { world.size() } else { 0 })
            .flat_map(|rank| {
                let place = move |(number, id)| (boxes.region(id), piece(moment.step, rank, number));
                boxes.of_rank(rank).into_iter().enumerate().map(place)
            })
            .collect();
        let pieces = move || {
            for (path, head, arrays) in images {
                let mut out = Aside::new(&path)?;
                out.write(head.as_bytes())?;
                for cells in arrays {
                    let bytes = bytes_of(&cells);
                    out.write(&(bytes.len() as u64).to_le_bytes())?;
                    out.write(bytes)?;
                }
                out.write(TAIL.as_bytes())?;
                out.publish()?;
            }
            Ok(())
        };
        let entry = Entry { step: moment.step, time: format!("{:?}", moment.time) };
        let whole = self.folder.join(format!("{:08}.pvti", moment.step));
        let (path, inside, moments) = (self.path.clone(), self.inside.clone(), self.moments.clone());
        let named = move || {
            if rank > 0 {
                return Ok(());
            }
            publish(&whole, about.pieces(&all).as_bytes())?;
            let mut moments = moments.lock().unwrap_or_else(|e| e.into_inner());
            moments.retain(|other| other.step != entry.step);
            moments.push(entry);
            publish(&path, collection(&inside, &moments).as_bytes()).map(drop)
        };
        Batch::default().then(pieces).then(named)
    }
}

fn piece(step: u64, rank: u32, number: usize) -> String {
    let number = if number == 0 { String::new() } else { format!(".{number}") };
    format!("{step:08}.rank-{rank:05}{number}.vti")
}

fn collection(inside: &str, moments: &[Entry]) -> String {
    let mut xml = opening("Collection") + "  <Collection>\n";
    for Entry { step, time } in moments {
        let file = escaped(&format!("{inside}/{step:08}.pvti"));
        xml += &format!("    <DataSet timestep=\"{time}\" part=\"0\" file=\"{file}\"/>\n");
    }
    xml + "  </Collection>\n</VTKFile>\n"
}

fn begin(path: &Path, folder: &Path, resumed: Option<u64>) -> Result<Vec<Entry>, String> {
    can_write(path).map_err(|why| why.to_string())?;
    if let Err(error) = fs::create_dir(folder)
        && !folder.is_dir()
    {
        return Err(CannotWrite::new(folder, error).to_string());
    }
    let Some(resumed) = resumed else { return Ok(Vec::new()) };
    let Ok(text) = fs::read_to_string(path) else { return Ok(Vec::new()) };
    let entries = parse(&text).ok_or_else(|| {
        format!("cannot go on with {}: it is no series that physalia has written: name another", path.display())
    })?;
    Ok(entries.into_iter().filter(|entry| entry.step < resumed).collect())
}

/// The moments of a `.pvd` of ours.
fn parse(text: &str) -> Option<Vec<Entry>> {
    let inner = text.split_once("  <Collection>\n")?.1.split_once("  </Collection>\n")?.0;
    let entry = |line: &str| {
        let (time, rest) = line.trim().strip_prefix("<DataSet timestep=\"")?.split_once('"')?;
        let name = rest.rsplit_once('/')?.0.rsplit_once('/')?.1;
        let step = name.strip_suffix(".pvti\"")?.parse().ok()?;
        Some(Entry { step, time: time.into() })
    };
    inner.lines().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use physalia::field::{Boxes, Field, Grid};
    use physalia::publish::Writer;

    fn run(path: &Path, ranks: u32, resumed: Option<u64>, steps: &[u64]) {
        let job = Launch::from_env().ranks(ranks).threads(1).run(|world| {
            let cuts = [vec![0, 5], vec![0, 1, 4], vec![0, 2, 3]];
            let owners = (0..4).map(|id| id % ranks).collect();
            let u = Field::<u16, 3>::with_boxes(world, Grid::new([5, 4, 3]), Boxes::with(cuts, owners))?;
            let series = Series::new(world, path, resumed)?;
            let mut writer = Writer::default();
            for &step in steps {
                let batch =
                    series.add(world, &Geometry::default(), Moment { step, time: step as f64 / 10.0 }, &[("u", &u)]);
                writer.submit(world, batch)?;
            }
            Ok(writer.finish(world)?)
        });
        job.unwrap();
    }

    #[test]
    fn every_file_that_is_named_is_there_and_a_run_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("u.pvd");
        let times = || {
            let text = fs::read_to_string(&path).unwrap();
            for file in text.split("file=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
                let pvti = fs::read_to_string(folder.path().join(file)).unwrap();
                let pieces: Vec<&str> = pvti.split("Source=\"").skip(1).map(|s| s.split('"').next().unwrap()).collect();
                assert_eq!(pieces.len(), 4);
                assert!(pieces.iter().all(|piece| folder.path().join("u").join(piece).is_file()), "{pvti}");
            }
            parse(&text).unwrap().into_iter().map(|entry| (entry.step, entry.time)).collect::<Vec<_>>()
        };
        let at = |steps: &[u64]| steps.iter().map(|&s| (s, format!("{:?}", s as f64 / 10.0))).collect::<Vec<_>>();
        run(&path, 2, None, &[0, 10, 20]);
        assert_eq!(times(), at(&[0, 10, 20]));
        run(&path, 3, Some(10), &[10, 20, 30]); // from the checkpoint on it is written again
        assert_eq!(times(), at(&[0, 10, 20, 30]));
        run(&path, 1, None, &[0]);
        assert_eq!(times(), at(&[0]));
    }

    #[test]
    fn a_foreign_series_is_not_continued() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("u.pvd");
        for text in
            ["", "<VTKFile>", &collection("u", &[]).replace("  </Coll", "    <DataSet file=\"other.vti\"/>\n  </Coll")]
        {
            fs::write(&path, text).unwrap();
            let why = begin(&path, &folder.path().join("u"), Some(5)).unwrap_err();
            assert!(why.contains("no series that physalia has written"), "{why}");
            assert_eq!(begin(&path, &folder.path().join("u"), None), Ok(vec![]));
        }
        fs::write(folder.path().join("v"), "").unwrap();
        assert!(
            begin(&folder.path().join("v.pvd"), &folder.path().join("v"), None).unwrap_err().contains("cannot write")
        );
    }
}
