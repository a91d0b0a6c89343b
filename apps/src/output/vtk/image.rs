//! Images: the XML, and the arrays behind it.

use super::super::raster::Raster;
use super::super::{Geometry, Kind, Moment, Named, escaped};
use physalia::field::{Cell, Region};
use physalia::prelude::*;
use physalia::publish::Batch;
use std::fmt::Write;
use std::path::Path;

/// All fields of a moment as one image, written by all ranks, for a [`Writer`](physalia::publish::Writer). Collective; as
/// [`Batch::whole_file`].
///
/// # Errors
/// As [`Batch::whole_file`].
///
/// # Panics
/// If there are no fields, or they are not of one grid.
#[track_caller]
pub fn image<T: Cell, const D: usize>(
    world: &mut World,
    path: &Path,
    geometry: &Geometry,
    moment: Moment,
    fields: &Named<'_, T, D>,
) -> Result<Batch, Abort> {
    let about = About::of(geometry, Some(moment), fields);
    let whole = about.whole.clone();
    let head = about.head(&whole);
    let rasters: Vec<Raster<T>> = fields.iter().map(|(_, field)| Raster::of(field)).collect();
    let (first, bytes) = (world.rank() == 0, whole.cells() * size_of::<T>() as u64);
    Batch::whole_file(world, path, move |put| {
        let mut at = head.len() as u64;
        if first {
            put(0, head.as_bytes())?;
            put(at + rasters.len() as u64 * (8 + bytes), TAIL.as_bytes())?;
        }
        for raster in rasters {
            if first {
                put(at, &bytes.to_le_bytes())?;
            }
            raster.write_plain(at + 8, put)?;
            at += 8 + bytes;
        }
        Ok(())
    })
}

pub(super) const TAIL: &str = "\n  </AppendedData>\n</VTKFile>\n";

/// What images of a set of fields have in common.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub whole: Region,
    axes: usize,
    geometry: Geometry,
    moment: Option<Moment>,
    names: Vec<String>,
    kind: Kind,
}

impl About {
    pub(super) fn of<T: Cell, const D: usize>(
        geometry: &Geometry,
        moment: Option<Moment>,
        fields: &Named<'_, T, D>,
    ) -> About {
        let (_, first) = fields.first().expect("an image of no fields");
        assert!(
            fields.iter().all(|(_, field)| field.grid().cells() == first.grid().cells()),
            "fields of several grids"
        );
        About {
            whole: super::super::raster::all(first),
            axes: D,
            geometry: *geometry,
            moment,
            names: fields.iter().map(|(name, _)| escaped(name)).collect(),
            kind: Kind::of::<T>(),
        }
    }

    /// As points, `x0 x1 y0 y1 z0 z1`.
    pub(super) fn extent(&self, region: &Region) -> String {
        let ends = (0..3).map(|a| match a < self.axes {
            true => format!("{} {}", region.begin[a], region.end[a]),
            false => "0 0".into(),
        });
        ends.collect::<Vec<_>>().join(" ")
    }

    fn kind(&self) -> String {
        match self.kind {
            Kind::Float(bytes) => format!("Float{}", 8 * bytes),
            Kind::Integer(sign, bytes) => format!("{}Int{}", if sign { "" } else { "U" }, 8 * bytes),
        }
    }

    /// The file up to the first array.
    pub(super) fn head(&self, region: &Region) -> String {
        let mut xml = opening("ImageData");
        let extent = self.extent(region);
        writeln!(xml, "  <ImageData WholeExtent=\"{extent}\" {}>", self.lattice()).ok();
        if let Some(moment) = self.moment {
            let time = "<DataArray type=\"Float64\" Name=\"TimeValue\" NumberOfTuples=\"1\" format=\"ascii\">";
            writeln!(xml, "    <FieldData>{time}{:?}</DataArray></FieldData>", moment.time).ok();
        }
        writeln!(xml, "    <Piece Extent=\"{extent}\">\n      <CellData Scalars=\"{}\">", self.names[0]).ok();
        let (kind, bytes) = (self.kind(), region.cells() * self.cell_bytes());
        for (i, name) in self.names.iter().enumerate() {
            let offset = i as u64 * (8 + bytes);
            let array = format!("type=\"{kind}\" Name=\"{name}\" format=\"appended\" offset=\"{offset}\"");
            writeln!(xml, "        <DataArray {array}/>").ok();
        }
        xml + "      </CellData>\n    </Piece>\n  </ImageData>\n  <AppendedData encoding=\"raw\">\n_"
    }

    /// The file that names the pieces of all ranks: of each its region and where it is.
    pub(super) fn pieces(&self, pieces: &[(Region, String)]) -> String {
        let mut xml = opening("PImageData");
        let extent = self.extent(&self.whole);
        writeln!(xml, "  <PImageData WholeExtent=\"{extent}\" GhostLevel=\"0\" {}>", self.lattice()).ok();
        writeln!(xml, "    <PCellData Scalars=\"{}\">", self.names[0]).ok();
        let kind = self.kind();
        for name in &self.names {
            writeln!(xml, "      <PDataArray type=\"{kind}\" Name=\"{name}\"/>").ok();
        }
        xml += "    </PCellData>\n";
        for (region, file) in pieces {
            writeln!(xml, "    <Piece Extent=\"{}\" Source=\"{}\"/>", self.extent(region), escaped(file)).ok();
        }
        xml + "  </PImageData>\n</VTKFile>\n"
    }

    fn lattice(&self) -> String {
        let three = |of: [f64; 3]| of.map(|x| format!("{x:?}")).join(" ");
        format!("Origin=\"{}\" Spacing=\"{}\"", three(self.geometry.origin), three(self.geometry.spacing))
    }

    fn cell_bytes(&self) -> u64 {
        match self.kind {
            Kind::Float(bytes) | Kind::Integer(_, bytes) => bytes as u64,
        }
    }
}

pub(super) fn opening(kind: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<VTKFile type=\"{kind}\" version=\"1.0\" byte_order=\"LittleEndian\" header_type=\"UInt64\">\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use physalia::field::{Field, Grid};
    use physalia::publish::Writer;

    #[test]
    fn arrays_lie_where_the_xml_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("u.vti");
        let geometry = Geometry { origin: [0.5, 0.0, 0.0], spacing: [0.1, 0.2, 1.0] };
        let job = Launch::from_env().ranks(3).threads(1).run(|world| {
            let mut u = Field::<f32, 2>::new(world, Grid::new([7, 5]))?;
            u.fill(|[x, y]| (x + 10 * y) as f32);
            let mut v = u.like();
            v.fill(|[x, y]| -((x + 10 * y) as f32));
            let moment = Moment { step: 3, time: 0.1 };
            let batch = image(world, &path, &geometry, moment, &[("u", &u), ("a<b", &v)])?;
            let mut writer = Writer::default();
            writer.submit(world, batch)?;
            Ok(writer.finish(world)?)
        });
        job.unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let split = bytes.windows(7).position(|w| w == b"raw\">\n_").unwrap() + 7;
        let xml = std::str::from_utf8(&bytes[..split]).unwrap();
        assert!(xml.contains("WholeExtent=\"0 7 0 5 0 0\" Origin=\"0.5 0.0 0.0\" Spacing=\"0.1 0.2 1.0\""), "{xml}");
        assert!(xml.contains("Name=\"TimeValue\" NumberOfTuples=\"1\" format=\"ascii\">0.1<"));
        for (sign, name, offset) in [(1.0, "u", 0), (-1.0, "a&lt;b", 8 + 140)] {
            let array = format!("type=\"Float32\" Name=\"{name}\" format=\"appended\" offset=\"{offset}\"");
            assert!(xml.contains(&array), "{xml}");
            let array = &bytes[split + offset..split + offset + 148];
            assert_eq!(array[..8], 140u64.to_le_bytes());
            let mut cells = array[8..].chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
            (0..5).for_each(|y| (0..7).for_each(|x| assert_eq!(cells.next(), Some(sign * (x + 10 * y) as f32))));
        }
        assert_eq!(&bytes[split + 2 * 148..], TAIL.as_bytes());
    }
}
