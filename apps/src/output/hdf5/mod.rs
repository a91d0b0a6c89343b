//! `.h5`: all fields of a moment as HDF5, in one file that all ranks write, and a `.xdmf` beside it, by which ParaView and VisIt
//! know where its cells lie and which moments there are.
//!
//! Data sets `u` and so on, C-ordered `[z, y, x]`, each in one piece, and the middles of cells as `x`, `y`, `z`; the root
//! group has `time`, `step` and `title`. The metadata are written by hand ([`format`]): then every rank knows where its
//! cells go and writes them there, in process and under MPI alike, and neither a C library nor MPI-IO is needed, which would
//! have to be called on the ranks' own threads.

mod format;

use super::raster::Raster;
use super::{Geometry, Kind, Moment, Named, can_be_replaced, can_write, escaped};
use format::{Layout, Note, Set};
use physalia::field::Cell;
use physalia::prelude::*;
use physalia::publish::{Batch, CannotWrite, publish};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Files of several moments, and the `.xdmf` of all of them.
#[derive(Debug)]
pub struct Files {
    path: PathBuf,
    title: String,
    /// The moments that have been written; on rank 0.
    moments: Arc<Mutex<Vec<Entry>>>,
}

/// A moment in the `.xdmf`: its step, and its grid's text.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    step: u64,
    grid: String,
}

impl Files {
    /// Files beside `path`, with the `.xdmf` of its name. With the moments before the step from which the run is resumed.
    /// Collective.
    ///
    /// # Errors
    /// An agreed failure if the `.xdmf` cannot be written, or what is to be continued is none of ours; or the job's abort.
    #[track_caller]
    pub fn new(world: &mut World, path: &Path, title: &str, resumed: Option<u64>) -> Result<Files, Abort> {
        let path = path.with_extension("xdmf");
        let begun = world.on_root(|| begin(&path, resumed));
        let moments = world.agree(begun.transpose())?.unwrap_or_default();
        Ok(Files { path, title: title.into(), moments: Arc::new(Mutex::new(moments)) })
    }

    /// The fields of a moment, to a file of this name in the folder of the `.xdmf`, for a
    /// [`Writer`](physalia::publish::Writer). Collective; as [`Batch::whole_file`].
    ///
    /// # Errors
    /// As [`Batch::whole_file`].
    ///
    /// # Panics
    /// If there are no fields, or they are not of one grid.
    #[track_caller]
    pub fn add<T: Cell, const D: usize>(
        &self,
        world: &mut World,
        path: &Path,
        geometry: &Geometry,
        moment: Moment,
        fields: &Named<'_, T, D>,
    ) -> Result<Batch, Abort> {
        let (_, first) = fields.first().expect("a file of no fields");
        assert!(
            fields.iter().all(|(_, field)| field.grid().cells() == first.grid().cells()),
            "fields of several grids"
        );
        let (cells, kind) = (first.grid().cells(), Kind::of::<T>());
        let axes: Vec<usize> = (0..D).rev().collect();
        let shape: Vec<u64> = axes.iter().map(|&a| cells[a]).collect();
        let line = |&a: &usize| Set { name: ["x", "y", "z"][a].into(), kind: Kind::Float(8), shape: vec![cells[a]] };
        let mut sets: Vec<Set> = axes.iter().map(line).collect();
        sets.extend(fields.iter().map(|(name, _)| Set { name: (*name).into(), kind, shape: shape.clone() }));
        let notes = [
            ("time", Note::Real(moment.time)),
            ("step", Note::Whole(moment.step)),
            ("title", Note::Text(self.title.clone())),
        ];
        let layout = Layout::new(&sets, &notes);
        let middles = axes.iter().map(|&a| (0..cells[a]).flat_map(|n| geometry.middle(a, n).to_le_bytes()).collect());
        let middles: Vec<Vec<u8>> = middles.collect();
        let rasters: Vec<Raster<T>> = fields.iter().map(|(_, field)| Raster::of(field)).collect();
        let rank = world.rank();
        let batch = Batch::whole_file(world, path, move |put| {
            let (lines, arrays) = layout.data.split_at(middles.len());
            if rank == 0 {
                put(0, &layout.head)?;
                lines.iter().zip(&middles).try_for_each(|(&at, bytes)| put(at, bytes))?;
            }
            arrays.iter().zip(rasters).try_for_each(|(&at, raster)| raster.write_plain(at, put))
        })?;
        let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        let grid = grid(path, geometry, moment, &shape, kind, &names);
        let (path, moments) = (self.path.clone(), self.moments.clone());
        Ok(batch.then(move || {
            if rank > 0 {
                return Ok(());
            }
            let mut moments = moments.lock().unwrap_or_else(|e| e.into_inner());
            moments.retain(|other| other.step != moment.step);
            moments.push(Entry { step: moment.step, grid });
            publish(&path, collection(&moments).as_bytes()).map(drop)
        }))
    }
}

const OPENING: &str = "<?xml version=\"1.0\"?>
<Xdmf Version=\"3.0\">
<Domain>
<Grid Name=\"physalia\" GridType=\"Collection\" CollectionType=\"Temporal\">
";
const CLOSING: &str = "</Grid>\n</Domain>\n</Xdmf>\n";

/// A moment's grid, as a block of lines.
fn grid(path: &Path, geometry: &Geometry, moment: Moment, shape: &[u64], kind: Kind, names: &[&str]) -> String {
    let list = |numbers: &mut dyn Iterator<Item = String>| numbers.collect::<Vec<_>>().join(" ");
    // There is no mesh of one axis: a row of cells is a plane of one row.
    let axes: Vec<usize> = (0..shape.len().max(2)).rev().collect();
    let corners = list(&mut axes.iter().map(|&a| (shape.iter().rev().nth(a).unwrap_or(&1) + 1).to_string()));
    let (origin, spacing) = (
        list(&mut axes.iter().map(|&a| format!("{:?}", geometry.origin[a]))),
        list(&mut axes.iter().map(|&a| format!("{:?}", geometry.spacing[a]))),
    );
    let (number, bytes) = match kind {
        Kind::Float(bytes) => ("Float", bytes),
        Kind::Integer(true, 1) => ("Char", 1),
        Kind::Integer(false, 1) => ("UChar", 1),
        Kind::Integer(true, bytes) => ("Int", bytes),
        Kind::Integer(false, bytes) => ("UInt", bytes),
    };
    let (count, deltas) = (axes.len(), if axes.len() == 2 { "ORIGIN_DXDY" } else { "ORIGIN_DXDYDZ" });
    let mut xml = format!("<Grid Name=\"{:08}\">\n<Time Value=\"{:?}\"/>\n", moment.step, moment.time);
    writeln!(xml, "<Topology TopologyType=\"{count}DCoRectMesh\" Dimensions=\"{corners}\"/>").ok();
    writeln!(xml, "<Geometry GeometryType=\"{deltas}\">").ok();
    for numbers in [origin, spacing] {
        writeln!(
            xml,
            "<DataItem Dimensions=\"{count}\" NumberType=\"Float\" Precision=\"8\" Format=\"XML\">{numbers}</DataItem>"
        )
        .ok();
    }
    xml += "</Geometry>\n";
    let file = escaped(&path.file_name().unwrap_or_default().to_string_lossy());
    let dimensions = list(&mut shape.iter().map(u64::to_string));
    for name in names.iter().map(|name| escaped(name)) {
        writeln!(xml, "<Attribute Name=\"{name}\" AttributeType=\"Scalar\" Center=\"Cell\">").ok();
        let about = format!("Dimensions=\"{dimensions}\" NumberType=\"{number}\" Precision=\"{bytes}\" Format=\"HDF\"");
        writeln!(xml, "<DataItem {about}>{file}:/{name}</DataItem>\n</Attribute>").ok();
    }
    xml + "</Grid>\n"
}

fn collection(moments: &[Entry]) -> String {
    let grids: String = moments.iter().map(|entry| entry.grid.as_str()).collect();
    format!("{OPENING}{grids}{CLOSING}")
}

fn begin(path: &Path, resumed: Option<u64>) -> Result<Vec<Entry>, String> {
    let plain = if can_be_replaced(path) { Ok(()) } else { Err(std::io::Error::other("a plain file is wanted")) };
    plain.map_err(|why| CannotWrite::new(path, why)).and_then(|()| can_write(path)).map_err(|why| why.to_string())?;
    let Some(resumed) = resumed else { return Ok(Vec::new()) };
    let Ok(text) = fs::read_to_string(path) else { return Ok(Vec::new()) };
    let entries = parse(&text).ok_or_else(|| {
        format!("cannot go on with {}: it is none that physalia has written: name another", path.display())
    })?;
    Ok(entries.into_iter().filter(|entry| entry.step < resumed).collect())
}

/// The moments of a `.xdmf` of ours.
fn parse(text: &str) -> Option<Vec<Entry>> {
    let inner = text.strip_prefix(OPENING)?.strip_suffix(CLOSING)?;
    let entry = |grid: &str| {
        let step = grid.strip_prefix("<Grid Name=\"")?.split('"').next()?.parse().ok()?;
        Some(Entry { step, grid: grid.into() })
    };
    inner.split_inclusive("</Grid>\n").map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use physalia::field::{Field, Grid};
    use physalia::publish::Writer;

    fn run(folder: &Path, ranks: u32, resumed: Option<u64>, steps: &[u64]) -> Result<(), String> {
        let job = Launch::from_env().ranks(ranks).threads(1).run(|world| {
            let mut u = Field::<f32, 2>::new(world, Grid::new([50, 30]))?;
            u.fill(|[x, y]| (x + 100 * y) as f32);
            let files = Files::new(world, &folder.join("u.h5"), "a test", resumed)?;
            let mut writer = Writer::default();
            for &step in steps {
                let (path, moment) = (folder.join(format!("{step}.h5")), Moment { step, time: step as f64 / 4.0 });
                let batch = files.add(world, &path, &Geometry::default(), moment, &[("u", &u)])?;
                writer.submit(world, batch)?;
            }
            Ok(writer.finish(world)?)
        });
        job.map(drop).map_err(|abort| abort.to_string())
    }

    #[test]
    fn cells_are_where_the_head_says_and_a_run_goes_on() {
        let tmp = tempfile::tempdir().unwrap();
        let folder = tmp.path();
        run(folder, 3, None, &[0, 10, 20]).unwrap();
        let bytes = fs::read(folder.join("10.h5")).unwrap();
        assert!(bytes.starts_with(b"\x89HDF\r\n\x1a\n") && bytes[28..36] == (bytes.len() as u64).to_le_bytes());
        let mut cells = bytes[bytes.len() - 50 * 30 * 4..].chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        (0..30).for_each(|y| (0..50).for_each(|x| assert_eq!(cells.next(), Some((x + 100 * y) as f32))));
        let xdmf = || fs::read_to_string(folder.join("u.xdmf")).unwrap();
        let all = xdmf();
        assert_eq!(all.matches("<Time Value=").count(), 3);
        assert!(all.contains("Format=\"HDF\">20.h5:/u<") && all.contains("Dimensions=\"31 51\""), "{all}");
        run(folder, 1, Some(10), &[10, 20]).unwrap();
        assert_eq!(xdmf(), all);
        assert_eq!(fs::read(folder.join("10.h5")).unwrap(), bytes);
        fs::write(folder.join("u.xdmf"), "<Xdmf/>").unwrap();
        assert!(run(folder, 2, Some(10), &[10]).unwrap_err().contains("it is none that physalia has written"));
    }
}
