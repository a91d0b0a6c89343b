//! `.csv`: numbers of many moments, a line for each. Rank 0 has the lines; the file is replaced each time that there are
//! twice as many, and at the end, so that writing it costs little however long it becomes.

use super::{Moment, can_be_replaced, can_write};
use physalia::field::{Cell, Field};
use physalia::prelude::*;
use physalia::publish::publish;
use std::fs;
use std::path::{Path, PathBuf};

/// A table that is being written.
#[derive(Debug)]
pub struct Table {
    path: PathBuf,
    header: String,
    /// Complete on rank 0 only.
    lines: Vec<(u64, String)>,
    /// How many there are on rank 0, and how many of them the file has; the same on all ranks.
    count: usize,
    published: usize,
}

/// The columns of [`summary`].
pub const SUMMARY: [&str; 4] = ["sum", "norm", "min", "max"];

/// A field in four numbers: the sum of its cells, their Euclidean norm, the least and the largest (NaN if any is).
/// Collective; four all-reduces.
///
/// # Errors
/// The job's abort.
#[track_caller]
pub fn summary<T: Cell, const D: usize>(world: &mut World, field: &Field<T, D>) -> Result<[f64; 4], Abort> {
    let min = -field.max_of(world, |_, value| -value.as_f64())?;
    let max = field.max_of(world, |_, value| value.as_f64())?;
    Ok([field.sum(world)?, field.norm(world)?, min, max])
}

/// The values of a field at receivers, in their order. Collective; an all-gather of 16 bytes for each.
///
/// # Errors
/// The job's abort.
///
/// # Panics
/// If the field has no such cell.
#[track_caller]
pub fn receivers<T: Cell, const D: usize>(
    world: &mut World,
    field: &Field<T, D>,
    cells: &[[u64; D]],
) -> Result<Vec<f64>, Abort> {
    let mine = cells.iter().enumerate().filter_map(|(i, &cell)| Some([i as u64, field.get(cell)?.as_f64().to_bits()]));
    let mine: Vec<[u64; 2]> = mine.collect();
    let all = world.all_gather_v(&mine)?;
    let mut values = vec![None; cells.len()];
    all.as_slice().iter().for_each(|&[i, bits]| values[i as usize] = Some(f64::from_bits(bits)));
    let value =
        |(cell, value): (&[u64; D], Option<f64>)| value.unwrap_or_else(|| panic!("no rank has the cell {cell:?}"));
    Ok(cells.iter().zip(values).map(value).collect())
}

impl Table {
    /// A table at `path` with these columns after `step` and `time`; with the lines before the step from which the run is
    /// resumed. Collective.
    ///
    /// # Errors
    /// An agreed failure if it cannot be written, or what is to be continued has other columns; or the job's abort.
    #[track_caller]
    pub fn new(world: &mut World, path: &Path, columns: &[&str], resumed: Option<u64>) -> Result<Table, Abort> {
        let header = format!("step,time,{}", columns.join(","));
        let begun = world.on_root(|| begin(path, &header, resumed));
        let lines = world.agree(begun.transpose())?.unwrap_or_default();
        let count = world.from_root(|| Ok::<_, String>(lines.len()))?;
        Ok(Table { path: path.into(), header, lines, count, published: count })
    }

    /// A line more; the same on all ranks, and what rank 0 has is written. Collective.
    ///
    /// # Errors
    /// An agreed failure if the table cannot be written; or the job's abort.
    #[track_caller]
    pub fn add(&mut self, world: &mut World, moment: Moment, values: &[f64]) -> Result<(), Abort> {
        // The shortest digits that give the same number again.
        let values: String = values.iter().map(|value| format!(",{value:?}")).collect();
        self.lines.push((moment.step, format!("{},{:?}{values}", moment.step, moment.time)));
        self.count += 1;
        if self.count >= 2 * self.published { self.publish(world) } else { Ok(()) }
    }

    /// Writes it as it is now; but to a stream, which takes it only once, nothing. Collective.
    ///
    /// # Errors
    /// As [`add`](Table::add).
    #[track_caller]
    pub fn publish(&mut self, world: &mut World) -> Result<(), Abort> {
        self.write(world, false)
    }

    /// Writes it for the last time. Collective.
    ///
    /// # Errors
    /// As [`add`](Table::add).
    #[track_caller]
    pub fn finish(mut self, world: &mut World) -> Result<(), Abort> {
        self.write(world, true)
    }

    #[track_caller]
    fn write(&mut self, world: &mut World, last: bool) -> Result<(), Abort> {
        let text = || {
            let lines: String = self.lines.iter().map(|(_, line)| format!("{line}\n")).collect();
            format!("{}\n{lines}", self.header)
        };
        let write =
            || (last || can_be_replaced(&self.path)).then(|| publish(&self.path, text().as_bytes())).transpose();
        let written = world.on_root(write);
        world.agree(written.transpose())?;
        self.published = self.count;
        Ok(())
    }
}

fn begin(path: &Path, header: &str, resumed: Option<u64>) -> Result<Vec<(u64, String)>, String> {
    can_write(path).map_err(|why| why.to_string())?;
    let Some(resumed) = resumed.filter(|_| can_be_replaced(path)) else { return Ok(Vec::new()) };
    let Ok(text) = fs::read_to_string(path) else { return Ok(Vec::new()) };
    let mut lines = text.lines();
    let step = |line: &str| Some((line.split_once(',')?.0.parse::<u64>().ok()?, line.to_string()));
    let read = lines.next().filter(|first| *first == header).and_then(|_| lines.map(step).collect::<Option<Vec<_>>>());
    let read =
        read.ok_or_else(|| format!("cannot go on with {}: it is no table of {header}: name another", path.display()))?;
    // The moment of the checkpoint is written again.
    Ok(read.into_iter().filter(|(step, _)| *step < resumed).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use physalia::field::Grid;

    #[test]
    fn a_table_goes_on_after_a_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        let run = |ranks, resumed: Option<u64>, steps: std::ops::RangeInclusive<u64>| {
            let job = Launch::from_env().ranks(ranks).threads(1).run(|world| {
                let mut table = Table::new(world, &path, &["a", "b"], resumed)?;
                for step in steps.clone() {
                    table.add(world, Moment { step, time: step as f64 * 0.1 }, &[1.0 / 3.0, f64::NAN])?;
                }
                Ok(table.finish(world)?)
            });
            job.map(|_| fs::read_to_string(&path).unwrap())
        };
        let all = run(3, None, 0..=4).unwrap();
        assert!(all.starts_with("step,time,a,b\n0,0.0,0.3333333333333333,NaN\n1,0.1,"), "{all}");
        assert_eq!(all.lines().count(), 6);
        assert_eq!(run(2, Some(2), 2..=4).unwrap(), all);
        assert_eq!(run(1, None, 0..=0).unwrap().lines().count(), 2);
        fs::write(&path, "mine\n1,2\n").unwrap();
        assert!(run(2, Some(2), 2..=4).unwrap_err().to_string().contains("it is no table of step,time,a,b"));
    }

    #[test]
    fn numbers_of_a_field() {
        for ranks in [1, 3] {
            let job = Launch::from_env().ranks(ranks).threads(1).run(|world| {
                let mut u = Field::<i32, 2>::new(world, Grid::new([3, 4]))?;
                u.fill(|[x, y]| x as i32 - 5 * y as i32);
                assert_eq!(summary(world, &u)?, [-78.0, 890f64.sqrt(), -15.0, 2.0]);
                assert_eq!(receivers(world, &u, &[[2, 0], [0, 3], [2, 0]])?, [2.0, -15.0, 2.0]);
                let mut v = Field::<f32, 1>::new(world, Grid::new([9]))?;
                v.set([3], f32::NAN);
                let [sum, _, min, max] = summary(world, &v)?;
                assert!(sum.is_nan() && min.is_nan() && max.is_nan());
                Ok(())
            });
            job.unwrap();
        }
    }
}
