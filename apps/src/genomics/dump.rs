//! What was counted, in order: the histogram of counts, and the k-mers themselves by a distributed sort.

use super::kmer::{Word, letters};
use super::table::Table;
use crate::publish::{Aside, CannotWrite};
use physalia::prelude::*;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// For each count, the number of k-mers that have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram(BTreeMap<u64, u64>);

impl Histogram {
    /// Of all ranks' tables, on all ranks. Collective; each rank sends 16 bytes for each count that occurs.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    pub fn of<W: Word>(world: &mut World, tables: &[Table<W>]) -> Result<Histogram, Abort> {
        let mine = world.local(|| {
            let one = |table: &Table<W>| {
                let mut map = BTreeMap::new();
                let mut small = [0u64; 1024]; // most counts
                table.iter().for_each(|(_, count)| match small.get_mut(count as usize) {
                    Some(number) => *number += 1,
                    None => *map.entry(count).or_insert(0) += 1,
                });
                map.extend((0u64..).zip(small).filter(|(_, number)| *number > 0));
                Histogram(map)
            };
            tables.par_iter().map(one).reduce(Histogram::default, |mut a, b| {
                a.add(b.0);
                a
            })
        });
        let pairs: Vec<[u64; 2]> = mine.0.into_iter().map(|(count, number)| [count, number]).collect();
        let mut all = Histogram::default();
        all.add(world.all_gather_v(&pairs)?.as_slice().iter().map(|&[count, number]| (count, number)));
        Ok(all)
    }

    fn add(&mut self, pairs: impl IntoIterator<Item = (u64, u64)>) {
        pairs.into_iter().for_each(|(count, number)| *self.0.entry(count).or_insert(0) += number);
    }

    /// k-mers, each as often as it occurs.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(count, number)| count * number).sum()
    }

    /// Different k-mers.
    pub fn distinct(&self) -> u64 {
        self.0.values().sum()
    }

    /// k-mers with this count.
    pub fn number(&self, count: u64) -> u64 {
        self.0.get(&count).copied().unwrap_or(0)
    }

    /// The largest count, 0 if nothing was counted.
    pub fn largest(&self) -> u64 {
        self.0.last_key_value().map_or(0, |(&count, _)| count)
    }

    /// As a map.
    pub fn into_map(self) -> BTreeMap<u64, u64> {
        self.0
    }
}

/// `count<TAB>number` lines in ascending order.
///
/// # Errors
/// If they cannot be written.
pub fn write_histogram(mut out: Aside, histogram: &BTreeMap<u64, u64>) -> Result<Aside, CannotWrite> {
    let lines: String = histogram.iter().map(|(count, number)| format!("{count}\t{number}\n")).collect();
    out.write(lines.as_bytes())?;
    Ok(out)
}

/// A k-mer and its count, as one value that travels.
type Entry<W> = [W; 2];

/// Entries of one message of text to rank 0.
const LINES: usize = 1 << 16;

/// `kmer<TAB>count` lines, ascending by k-mer, written by rank 0. They are sorted over all ranks; then each
/// rank sends its text in bounded pieces, in the order of ranks. Collective;
/// `out` is rank 0's.
///
/// # Errors
/// An agreed failure if rank 0 cannot write; or the job's abort.
#[track_caller]
pub fn dump<W: Word>(
    world: &mut World,
    k: usize,
    tables: Vec<Table<W>>,
    mut out: Option<Aside>,
) -> Result<Option<Aside>, Abort> {
    let mut entries: Vec<Entry<W>> = Vec::with_capacity(tables.iter().map(Table::len).sum());
    for table in tables {
        entries.extend(table.iter().map(|(kmer, count)| [kmer, W::from_u64(count)]));
    }
    let entries = world.sort(entries)?;
    let text = |entries: &[Entry<W>]| {
        let mut text = Vec::with_capacity(entries.len() * (k + 4));
        for &[kmer, count] in entries {
            letters(kmer, k, &mut text);
            text.extend_from_slice(format!("\t{}\n", count.low()).as_bytes());
        }
        text
    };
    let lens = world.all_gather(entries.len() as u64)?;
    let mut failure = Ok(());
    for (rank, len) in (0u32..).zip(lens) {
        for piece in 0..(len as usize).div_ceil(LINES) {
            let mine = rank == world.rank();
            let lines =
                if mine { text(&entries[piece * LINES..entries.len().min((piece + 1) * LINES)]) } else { vec![] };
            let lines = if rank == 0 { Some(lines) } else { world.gather_v(0, &lines)?.map(Parts::into_vec) };
            if let (Some(out), Some(lines), Ok(())) = (&mut out, lines, &failure) {
                failure = out.write(&lines); // the others go on sending; they learn of it at the end
            }
        }
    }
    world.agree(failure)?;
    Ok(out)
}
