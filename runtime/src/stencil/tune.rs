//! Shapes of sweeps, tried: a few sweeps are timed at the start, and the best shape is remembered in a file. The choice never
//! changes the result.
//!
//! Sweeps are tried on the fields themselves, into the memory of the next level, where nothing stands yet. What is remembered
//! is one line for each kind of work: what tells it from others, and the shape. A file can be shared by many jobs and machines;
//! lines are added whole, and of several that fit the last one counts.

use super::shape::{Facts, Shape};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

/// How shapes of sweeps are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Tune {
    /// By a model of their cost.
    #[default]
    Off,
    /// Of the shapes that the model finds best, some are tried, for as long as a small part of the work takes.
    Quick,
    /// Many shapes are tried.
    Full,
}

/// What tells a kind of work from others: the words of a line.
pub(super) fn kind(facts: &Facts, set: &str, stencil: &str, most: usize, ranks: u32) -> String {
    let Facts { dims, radius, inputs, outputs, rows, bytes, cells, workers, cache_bytes, .. } = facts;
    let [x, m, s] = cells;
    let levels = if facts.leapfrog { "leapfrog" } else { "one-level" };
    let stencil: String = stencil.chars().map(|c| if c.is_whitespace() { '_' } else { c }).collect();
    let processor = processor();
    format!(
        "{processor} cache={cache_bytes} workers={workers} ranks={ranks} {set} {stencil} {dims}d radius={radius} \
         fields={inputs}/{outputs} {levels} rows={rows} bytes={bytes} box={x}x{m}x{s} most={most}"
    )
}

/// The processor's name, in one word.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':')).map_or("unknown", |(_, name)| name.trim());
    name.chars().map(|c| if c.is_whitespace() { '_' } else { c }).collect()
}

/// The shape that was remembered for a kind of work.
///
/// # Errors
/// If the file is there and cannot be read.
pub(super) fn recall(path: &Path, kind: &str) -> io::Result<Option<Shape>> {
    let mut text = String::new();
    match File::open(path) {
        Ok(mut file) => file.read_to_string(&mut text)?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    Ok(text.lines().rev().find_map(|line| parse(line.strip_prefix(kind)?.strip_prefix(" =>")?)))
}

/// ` T 8 tile 1024x1x2048`
fn parse(text: &str) -> Option<Shape> {
    let mut words = text.split_whitespace();
    let steps = (words.next()? == "T").then(|| words.next()?.parse().ok())??;
    let tile = (words.next()? == "tile").then(|| words.next())??;
    let tile: Vec<usize> = tile.split('x').map(|n| n.parse().ok().filter(|&n| n > 0)).collect::<Option<_>>()?;
    Some(Shape { steps: Some(steps).filter(|&t| t > 0)?, tile: tile.try_into().ok()? })
}

/// Adds a line.
///
/// # Errors
/// If the file cannot be written.
pub(super) fn remember(path: &Path, kind: &str, shape: &Shape) -> io::Result<()> {
    let [x, m, s] = shape.tile;
    let line = format!("{kind} => T {} tile {x}x{m}x{s}\n", shape.steps);
    // One write, to a file that is only added to: lines of several jobs do not mix.
    OpenOptions::new().create(true).append(true).open(path)?.write_all(line.as_bytes())
}

/// The shapes to try, those first of which the model thinks best.
pub(super) fn candidates(facts: &Facts, most: usize, tune: Tune) -> Vec<Shape> {
    let count = match tune {
        Tune::Off => 0,
        Tune::Quick => 8,
        Tune::Full => 60,
    };
    let steps: Vec<usize> = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32].into_iter().filter(|&t| t <= most).collect();
    let mut shapes: Vec<Shape> = steps.iter().flat_map(|&t| facts.shapes(t)).collect();
    shapes.sort_by(|a, b| facts.cost(a).total_cmp(&facts.cost(b)));
    // Of each number of steps the best few, so that the model's opinion of fusing is tried, too.
    let each = (count / steps.len().max(1)).max(2);
    let mut taken: Vec<Shape> = Vec::new();
    for shape in shapes {
        if taken.iter().filter(|other| other.steps == shape.steps).count() < each && taken.len() < count {
            taken.push(shape);
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(cells: [usize; 3], dims: usize) -> Facts {
        Facts {
            dims,
            radius: 1,
            inputs: 1,
            outputs: 1,
            leapfrog: false,
            rows: 4,
            along_stream: true,
            bytes: 8,
            cells,
            workers: 2,
            cache_bytes: 1 << 20,
        }
    }

    #[test]
    fn what_is_remembered_is_recalled() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tuned");
        let (one, other) = (facts([8192, 1, 8192], 2), facts([512, 512, 512], 3));
        let kind = |facts: &Facts| kind(facts, "avx512", "a stencil", 64, 1);
        assert_eq!(recall(&path, &kind(&one)).unwrap(), None);
        let shapes = [(4, [1024, 1, 2048]), (8, [512, 1, 64])].map(|(steps, tile)| Shape { steps, tile });
        remember(&path, &kind(&one), &shapes[0]).unwrap();
        assert_eq!(recall(&path, &kind(&one)).unwrap(), Some(shapes[0]));
        remember(&path, &kind(&one), &shapes[1]).unwrap();
        assert_eq!(recall(&path, &kind(&one)).unwrap(), Some(shapes[1]));
        assert_eq!(recall(&path, &kind(&other)).unwrap(), None);
        assert!(recall(dir.path(), &kind(&one)).is_err(), "a folder is no file");
    }

    #[test]
    fn lines_that_are_no_shapes_are_passed_over() {
        for text in ["", " T 0 tile 1x1x1", " T 4 tile 1x1", " T 4 tile 0x1x1", " T x tile 1x1x1", " tile 1x1x1"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn candidates_differ_in_steps() {
        for (cells, dims) in [([8192, 1, 8192], 2), ([512, 512, 512], 3), ([1_000_000, 1, 1], 1), ([1, 1, 1], 1)] {
            let all = candidates(&facts(cells, dims), 16, Tune::Quick);
            assert!(!all.is_empty() && all.len() <= 8);
            assert!(all.iter().all(|shape| shape.steps <= 16 && shape.tile.iter().all(|&n| n > 0)));
            assert!(all.iter().any(|shape| shape.steps != all[0].steps), "{all:?}");
            assert!(candidates(&facts(cells, dims), 16, Tune::Full).len() >= all.len());
        }
    }
}
