//! `.png`: an animated PNG (APNG, PNG third edition), a frame for each moment, with one scale of colours.
//!
//! Frames are compressed when they come and kept on rank 0; the file is made of them by putting their compressed bytes one
//! behind another, so it can be written again and again. It holds the steps of its frames and the scale in a text chunk,
//! from which a run that is resumed goes on.

use super::{Moment, can_be_replaced, can_write};
use crate::picture::Picture;
use physalia::field::{Cell, Field};
use physalia::prelude::*;
use physalia::publish::publish;
use std::fs;
use std::path::{Path, PathBuf};

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
const KEYWORD: &[u8] = b"physalia\0";

/// A movie that is being made.
#[derive(Debug)]
pub struct Movie {
    path: PathBuf,
    /// Milliseconds that a frame is shown.
    delay_ms: u16,
    film: Film,
    /// How many frames there are on rank 0, and how many of them the file has; the same on all ranks.
    count: usize,
    published: usize,
}

/// What the file has.
#[derive(Clone, Debug, Default, PartialEq)]
struct Film {
    /// Least and largest value.
    scale: Option<(f64, f64)>,
    /// The header chunk of the picture.
    head: Vec<u8>,
    /// Step, and compressed pixels.
    frames: Vec<(u64, Vec<u8>)>,
}

impl Movie {
    /// A movie at `path`; its colours span `scale`, or the values of the first frame. With the frames before the step from
    /// which the run is resumed. Collective.
    ///
    /// # Errors
    /// An agreed failure if it cannot be written, or what is to be continued is no movie of ours; or the job's abort.
    #[track_caller]
    pub fn new(
        world: &mut World,
        path: &Path,
        scale: Option<(f64, f64)>,
        delay_ms: u16,
        resumed: Option<u64>,
    ) -> Result<Movie, Abort> {
        let begun = world.on_root(|| begin(path, resumed));
        let mut film = world.agree(begun.transpose())?.unwrap_or_default();
        film.scale = scale.or(film.scale);
        let count = world.from_root(|| Ok::<_, String>(film.frames.len()))?;
        Ok(Movie { path: path.into(), delay_ms, film, count, published: count })
    }

    /// A frame of a field of two axes, or of the middle z of one of three. The file is replaced when it has twice as many
    /// frames. Collective; as [`Picture::of`].
    ///
    /// # Errors
    /// An agreed failure if the movie cannot be written; or the job's abort.
    #[track_caller]
    pub fn add<T: Cell, const D: usize>(
        &mut self,
        world: &mut World,
        moment: Moment,
        field: &Field<T, D>,
    ) -> Result<(), Abort> {
        if let Some(picture) = Picture::of(world, field)? {
            let (low, high) = *self.film.scale.get_or_insert_with(|| picture.range());
            let png = picture.png_between(low, high);
            let mut pixels = Vec::new();
            for (kind, data) in chunks(&png).into_iter().flatten() {
                match kind {
                    b"IHDR" => self.film.head = data.to_vec(),
                    b"IDAT" => pixels.extend(data),
                    _ => {}
                }
            }
            self.film.frames.push((moment.step, pixels));
        }
        self.count += 1;
        if self.count >= 2 * self.published { self.publish(world) } else { Ok(()) }
    }

    /// Writes it as it is now; but to a stream, which takes it only once, nothing. Collective.
    ///
    /// # Errors
    /// As [`add`](Movie::add).
    #[track_caller]
    pub fn publish(&mut self, world: &mut World) -> Result<(), Abort> {
        self.write(world, false)
    }

    /// Writes it for the last time. Collective.
    ///
    /// # Errors
    /// As [`add`](Movie::add).
    #[track_caller]
    pub fn finish(mut self, world: &mut World) -> Result<(), Abort> {
        self.write(world, true)
    }

    #[track_caller]
    fn write(&mut self, world: &mut World, last: bool) -> Result<(), Abort> {
        if self.count == 0 {
            return Ok(()); // a PNG of nothing cannot be
        }
        let bytes = || self.film.bytes(self.delay_ms);
        let write = || (last || can_be_replaced(&self.path)).then(|| publish(&self.path, &bytes())).transpose();
        let written = world.on_root(write);
        world.agree(written.transpose())?;
        self.published = self.count;
        Ok(())
    }
}

impl Film {
    fn bytes(&self, delay_ms: u16) -> Vec<u8> {
        let mut out = SIGNATURE.to_vec();
        chunk(&mut out, b"IHDR", &self.head);
        let (low, high) = self.scale.unwrap_or_default();
        let steps: Vec<String> = self.frames.iter().map(|(step, _)| step.to_string()).collect();
        chunk(&mut out, b"tEXt", &[KEYWORD, format!("{low:?} {high:?} {}", steps.join(" ")).as_bytes()].concat());
        chunk(&mut out, b"acTL", &[(self.frames.len() as u32).to_be_bytes(), [0; 4]].concat());
        let mut number = 0u32;
        let mut next = || (number.to_be_bytes(), number += 1).0;
        for (i, (_, pixels)) in self.frames.iter().enumerate() {
            // Width and height, no offset, the delay as a fraction of seconds, nothing disposed of or blended.
            let mut control = next().to_vec();
            control.extend(&self.head[..8]);
            control.extend([0; 8]);
            control.extend(delay_ms.to_be_bytes());
            control.extend(1000u16.to_be_bytes());
            control.extend([0; 2]);
            chunk(&mut out, b"fcTL", &control);
            match i {
                0 => chunk(&mut out, b"IDAT", pixels),
                _ => chunk(&mut out, b"fdAT", &[&next(), &pixels[..]].concat()),
            }
        }
        chunk(&mut out, b"IEND", &[]);
        out
    }

    fn read(bytes: &[u8]) -> Option<Film> {
        let (mut film, mut steps) = (Film::default(), Vec::new());
        for (kind, data) in chunks(bytes)? {
            match kind {
                b"IHDR" => film.head = data.to_vec(),
                b"tEXt" => {
                    let text = std::str::from_utf8(data.strip_prefix(KEYWORD)?).ok()?;
                    let mut words = text.split(' ');
                    film.scale = Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?));
                    steps = words.map(|word| word.parse().ok()).collect::<Option<Vec<u64>>>()?;
                }
                b"IDAT" => film.frames.push((*steps.first()?, data.to_vec())),
                b"fdAT" => film.frames.push((*steps.get(film.frames.len())?, data.get(4..)?.to_vec())),
                _ => {}
            }
        }
        (film.frames.len() == steps.len() && film.scale.is_some()).then_some(film)
    }
}

fn begin(path: &Path, resumed: Option<u64>) -> Result<Film, String> {
    can_write(path).map_err(|why| why.to_string())?;
    let Some(resumed) = resumed.filter(|_| can_be_replaced(path)) else { return Ok(Film::default()) };
    let Ok(bytes) = fs::read(path) else { return Ok(Film::default()) };
    let mut film = Film::read(&bytes).ok_or_else(|| {
        format!("cannot go on with {}: it is no movie that physalia has written: name another", path.display())
    })?;
    film.frames.retain(|(step, _)| *step < resumed); // that of the checkpoint is made again
    Ok(film)
}

fn chunk(out: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    out.extend((data.len() as u32).to_be_bytes());
    let begin = out.len();
    out.extend(kind);
    out.extend(data);
    let sum = crc32(&out[begin..]);
    out.extend(sum.to_be_bytes());
}

/// The chunks of a PNG, if it is one.
fn chunks(bytes: &[u8]) -> Option<Vec<(&[u8; 4], &[u8])>> {
    let mut rest = bytes.strip_prefix(SIGNATURE)?;
    let mut all = Vec::new();
    while !rest.is_empty() {
        let (len, after) = rest.split_first_chunk::<4>()?;
        let (kind, after) = after.split_first_chunk::<4>()?;
        let (data, after) = after.split_at_checked(u32::from_be_bytes(*len) as usize)?;
        let (sum, after) = after.split_first_chunk::<4>()?;
        let begin = bytes.len() - rest.len() + 4;
        (crc32(&bytes[begin..begin + 4 + data.len()]) == u32::from_be_bytes(*sum)).then_some(())?;
        all.push((kind, data));
        rest = after;
    }
    Some(all)
}

/// The checksum of PNG (ISO 3309), a byte at a time.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut n = 0;
        while n < 256 {
            let (mut c, mut bit) = (n as u32, 0);
            while bit < 8 {
                c = if c & 1 == 1 { 0xedb8_8320 ^ (c >> 1) } else { c >> 1 };
                bit += 1;
            }
            table[n] = c;
            n += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |c, &byte| TABLE[((c ^ u32::from(byte)) & 0xff) as usize] ^ (c >> 8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use physalia::field::Grid;

    /// The pixels of every frame, as the library sees them.
    fn frames(path: &Path) -> Vec<Vec<u8>> {
        let mut reader = png::Decoder::new(std::io::BufReader::new(fs::File::open(path).unwrap())).read_info().unwrap();
        let count = reader.info().animation_control().unwrap().num_frames;
        let size = reader.output_buffer_size().unwrap();
        let frame = |_| {
            let mut pixels = vec![0; size];
            let info = reader.next_frame(&mut pixels).unwrap();
            assert_eq!((info.width, info.height), (30, 20));
            pixels
        };
        (0..count).map(frame).collect()
    }

    fn run(path: &Path, ranks: u32, resumed: Option<u64>, steps: std::ops::RangeInclusive<u64>) -> Result<(), String> {
        let job = Launch::from_env().ranks(ranks).threads(1).run(|world| {
            let mut movie = Movie::new(world, path, None, 40, resumed)?;
            for step in steps.clone() {
                let mut u = Field::<f64, 2>::new(world, Grid::new([30, 20]))?;
                u.fill(|[x, y]| (x + y) as f64 * step as f64);
                movie.add(world, Moment { step, time: 0.0 }, &u)?;
            }
            Ok(movie.finish(world)?)
        });
        job.map(drop).map_err(|abort| abort.to_string())
    }

    #[test]
    fn every_frame_is_read_back_and_a_run_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.png");
        run(&path, 3, None, 1..=5).unwrap();
        let all = frames(&path);
        assert_eq!(all.len(), 5);
        // One scale, that of the first frame: its largest value is light, and so is all that is larger later.
        assert_eq!(all[0][3 * 29..3 * 30], [252, 253, 191]);
        let light = |pixels: &Vec<u8>| pixels.chunks(3).filter(|p| *p == [252, 253, 191]).count();
        assert!(all.windows(2).all(|two| light(&two[0]) < light(&two[1])));
        let bytes = fs::read(&path).unwrap();
        run(&path, 2, Some(3), 3..=5).unwrap();
        assert_eq!(fs::read(&path).unwrap(), bytes);
        run(&path, 1, None, 1..=2).unwrap();
        assert_eq!(frames(&path).len(), 2);
    }

    #[test]
    fn a_foreign_or_damaged_picture_is_not_continued() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.png");
        run(&path, 1, None, 1..=2).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let place = bytes.len() / 2;
        bytes[place] ^= 1;
        let still = World::alone();
        let mut still = still;
        let u = Field::<f64, 2>::new(&mut still, Grid::new([4, 4])).unwrap();
        let plain = Picture::of(&mut still, &u).unwrap().unwrap().png();
        for wrong in [bytes, plain, vec![]] {
            fs::write(&path, wrong).unwrap();
            let why = run(&path, 2, Some(1), 1..=2).unwrap_err();
            assert!(why.contains("no movie that physalia has written"), "{why}");
        }
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926); // the check value of CRC-32/ISO-HDLC
    }
}
