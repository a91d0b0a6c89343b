//! Pictures of fields: PNG, at most 1,024 pixels a side.

use physalia::field::{Cell, Field};
use physalia::prelude::*;

const SIDE: u64 = 1024;

/// A picture of single values, row by row from the top.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    width: usize,
    height: usize,
    values: Vec<f64>,
}

impl Picture {
    /// A field of two axes, or the middle z of one of three; y points up. Each pixel shows the nearest cell. On rank 0;
    /// `None` elsewhere. Collective; each rank sends 16 bytes for each of its pixels.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    pub fn of<T: Cell, const D: usize>(world: &mut World, field: &Field<T, D>) -> Result<Option<Picture>, Abort> {
        let cells = field.grid().cells();
        let axis = |a: usize| cells.get(a).copied().unwrap_or(1);
        let longest = axis(0).max(axis(1));
        let pixels = |n: u64| if longest > SIDE { (n * SIDE / longest).max(1) } else { n };
        let (width, height) = (pixels(axis(0)), pixels(axis(1)));
        let mut mine: Vec<[u64; 2]> = Vec::new();
        for py in 0..height {
            for px in 0..width {
                let at = [px * axis(0) / width, (height - 1 - py) * axis(1) / height, axis(2) / 2];
                if let Some(value) = field.get(std::array::from_fn(|a| at[a])) {
                    mine.push([py * width + px, value.as_f64().to_bits()]);
                }
            }
        }
        let Some(parts) = world.gather_v(0, &mine)? else { return Ok(None) };
        let mut values = vec![f64::NAN; (width * height) as usize];
        parts.as_slice().iter().for_each(|&[pixel, bits]| values[pixel as usize] = f64::from_bits(bits));
        Ok(Some(Picture { width: width as usize, height: height as usize, values }))
    }

    /// The least and the largest finite value.
    pub fn range(&self) -> (f64, f64) {
        let finite = || self.values.iter().copied().filter(|v| v.is_finite());
        (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max))
    }

    /// Pixels along x and y.
    pub fn size(&self) -> (u32, u32) {
        (self.width as u32, self.height as u32)
    }

    /// The bytes of a PNG whose colours span the values from the least to the largest.
    ///
    /// # Panics
    /// Never: the sizes fit the format.
    pub fn png(&self) -> Vec<u8> {
        let (low, high) = self.range();
        let scale = if high > low { 1.0 / (high - low) } else { 0.0 };
        self.encode(|v| (v - low) * scale)
    }

    /// The bytes of a PNG whose colours span the numbers from `low` to `high`; values beyond have the colour of the nearer end.
    ///
    /// # Panics
    /// Never: the sizes fit the format.
    pub fn png_between(&self, low: f64, high: f64) -> Vec<u8> {
        let scale = if high > low { 1.0 / (high - low) } else { 0.0 };
        self.encode(|v| ((v - low) * scale).clamp(0.0, 1.0))
    }

    fn encode(&self, place: impl Fn(f64) -> f64) -> Vec<u8> {
        let rgb: Vec<u8> = self.values.iter().flat_map(|&v| colour(place(v))).collect();
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let written = encoder.write_header().and_then(|mut w| {
            w.write_image_data(&rgb)?;
            w.finish()
        });
        written.expect("a picture fits in memory");
        bytes
    }
}

/// Dark violet over red and orange to light yellow: lightness grows evenly, so it reads in grey and by colour-blind eyes.
/// 0 to 1; anything else is grey.
fn colour(at: f64) -> [u8; 3] {
    const STOPS: [[f64; 3]; 9] = [
        [0.0, 0.0, 4.0],
        [28.0, 16.0, 68.0],
        [79.0, 18.0, 123.0],
        [129.0, 37.0, 129.0],
        [181.0, 54.0, 122.0],
        [229.0, 80.0, 100.0],
        [251.0, 135.0, 97.0],
        [254.0, 194.0, 135.0],
        [252.0, 253.0, 191.0],
    ];
    if !(0.0..=1.0).contains(&at) {
        return [128; 3];
    }
    let place = at * (STOPS.len() - 1) as f64;
    let (i, part) = ((place as usize).min(STOPS.len() - 2), place - place.floor());
    let part = if place as usize == STOPS.len() - 1 { 1.0 } else { part };
    std::array::from_fn(|c| (STOPS[i][c] + (STOPS[i + 1][c] - STOPS[i][c]) * part).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_read_back() {
        let launch = Launch::from_env().ranks(3).run(|world| {
            let mut u = Field::<f64, 2>::new(world, Grid::new([2000, 500]))?;
            u.fill(|[x, y]| (x + y) as f64);
            Ok(Picture::of(world, &u)?.map(|picture| picture.png()))
        });
        let bytes = launch.unwrap().swap_remove(0).expect("rank 0 has the picture");
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (1024, 256));
        let last_row = &pixels[255 * 1024 * 3..];
        assert_eq!(last_row[..3], [0, 0, 4]); // y = 0 is below
        assert!(pixels[1023 * 3] > 240, "the largest is above on the right");
    }

    #[test]
    fn colours_span_the_scale() {
        assert_eq!((colour(0.0), colour(1.0), colour(f64::NAN)), ([0, 0, 4], [252, 253, 191], [128; 3]));
    }
}
