//! A distributed sort, and groups of equal keys.
//!
//! Sample sort (Frazer, McKellar, "Samplesort", 1970; with regular samples: Li and others, "On the versatility of parallel
//! sorting by regular sampling", 1993): every rank sorts its values, takes every B-th key as a sample, and all ranks choose the
//! same p − 1 splitters among all samples. A splitter is a key *and the place that it came from*, so equal keys can be cut
//! apart and a rank's share does not depend on duplicates: it is at most N/p + N/s values of N for about p s samples.
//! What is equal keeps its order: by rank, then by place.
//!
//! Where equal values are one and the same, in `sort`, the samples are taken at random from the unsorted values, and these are
//! dealt out before anything is sorted: each value is then sorted once, not twice.
//!
//! The values travel in rounds of bounded size.

use crate::World;
use crate::pool::parallel::*;
use crate::pool::workers_here;
use crate::random::Random;
use physalia_collectives::{Abort, Max, Parts, Plain};
use std::hash::Hash;
use xxhash_rust::xxh3::Xxh3Builder;

/// Bytes that a rank sends in a round.
const ROUND: usize = 64 << 20;

/// Samples of a rank: at least so many, and so many for each rank, so that shares are within a sixteenth of even.
const SAMPLES: (u64, u64) = (256, 16);

/// Random samples of a rank: the largest of p shares exceeds the mean by about √(2 ln p / 2,048).
const RANDOM_SAMPLES: u64 = 2048;

impl World {
    /// All ranks' values in ascending order of their keys, rank 0 the smallest: this rank's share. Stable: values of equal
    /// keys stay in the order of ranks, and of a rank's values. Shares differ by at most a sixteenth of their mean. Collective;
    /// each value is sent once at most, in rounds of 64 MiB; samples are max(256, 16 p) keys a rank.
    ///
    /// ```
    /// use physalia::prelude::*;
    /// let job = Launch::from_env().ranks(3).run(|world| {
    ///     let me = u64::from(world.rank());
    ///     let values = (0..4).map(|i| [(7 * i + me) % 5, me]).collect();
    ///     Ok(world.sort_by_key(values, |v| v[0])?)
    /// })?;
    /// let keys: Vec<u64> = job.iter().flatten().map(|v| v[0]).collect();
    /// assert_eq!(keys, [0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 4]);
    /// # Ok::<(), Abort>(())
    /// ```
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// As `key` does.
    #[track_caller]
    pub fn sort_by_key<T: Plain, K: Plain + Ord>(
        &mut self,
        values: Vec<T>,
        key: impl Fn(&T) -> K + Sync,
    ) -> Result<Vec<T>, Abort> {
        let mut values = values;
        self.local(|| values.par_sort_by_key(&key));
        if self.size() == 1 {
            return Ok(values);
        }
        let cuts = self.cuts(&values, &key)?;
        let mut share = self.deliver(values, &cuts)?.into_vec();
        self.local(|| share.par_sort_by_key(&key)); // p sorted runs: merges, mostly
        Ok(share)
    }

    /// As [`sort_by_key`](World::sort_by_key) by the values themselves, and faster: values that compare equal may change
    /// places. Shares differ by some percent of their mean: 2,048 random samples a rank decide. Collective; each value is sent
    /// once at most, in rounds of 64 MiB.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    pub fn sort<T: Plain + Ord>(&mut self, mut values: Vec<T>) -> Result<Vec<T>, Abort> {
        if self.size() > 1 {
            let splitters = self.splitters(&values)?;
            let (ranks, me) = (self.size() as usize, self.rank());
            let cuts = self.local(|| deal(&mut values, ranks, me, &splitters));
            values = self.deliver(values, &cuts)?.into_vec();
        }
        self.local(|| values.par_sort_unstable());
        Ok(values)
    }

    /// p − 1 values, each with its rank and its place there, that cut all ranks' values into about equal shares.
    #[track_caller]
    fn splitters<T: Plain + Ord>(&mut self, values: &[T]) -> Result<Vec<(T, u32, u64)>, Abort> {
        let (ranks, me) = (self.size() as usize, self.rank());
        let lens = self.all_gather(values.len() as u64)?;
        let all: u64 = lens.iter().sum();
        // As many samples as a rank has values, in proportion.
        let wanted = RANDOM_SAMPLES * ranks as u64;
        let count = (u128::from(wanted) * u128::from(lens[me as usize])).div_ceil(u128::from(all.max(1))) as u64;
        let random = Random::new(count).stream(me.into());
        let mut places: Vec<u64> = (0..count).map(|i| random.below(i, values.len() as u64)).collect();
        places.sort_unstable();
        places.dedup();
        let mine: Vec<T> = places.iter().map(|&place| values[place as usize]).collect();
        let (samples, places) = (self.all_gather_v(&mine)?, self.all_gather_v(&places)?);
        let of = |(rank, (values, places)): (u32, (&[T], &[u64]))| -> Vec<(T, u32, u64)> {
            values.iter().zip(places).map(|(&value, &place)| (value, rank, place)).collect()
        };
        let mut all: Vec<_> = (0..).zip(samples.iter().zip(places.iter())).flat_map(of).collect();
        all.sort_unstable();
        Ok((1..ranks).filter_map(|q| all.get(all.len() * q / ranks).copied()).collect())
    }

    /// Where this rank's sorted values are cut: rank q's share of them is `cuts[q]..cuts[q + 1]`.
    #[track_caller]
    fn cuts<T: Plain, K: Plain + Ord>(&mut self, values: &[T], key: impl Fn(&T) -> K) -> Result<Vec<usize>, Abort> {
        let (ranks, me) = (u64::from(self.size()), self.rank() as usize);
        let all: u64 = self.all_gather(values.len() as u64)?.iter().sum();
        let every = all.div_ceil(ranks * SAMPLES.0.max(SAMPLES.1 * ranks)).max(1) as usize;
        let mine: Vec<K> = values.iter().step_by(every).map(&key).collect();
        let samples = self.all_gather_v(&mine)?;
        let places =
            samples.iter().enumerate().flat_map(|(r, keys)| (0..keys.len()).map(move |i| (keys[i], r, i * every)));
        let mut places: Vec<(K, usize, usize)> = places.collect();
        places.sort_unstable();
        let cut = |q: u64| match places.get((places.len() as u64 * q / ranks) as usize) {
            _ if q == 0 => 0,
            Some((_, rank, place)) if *rank == me => *place,
            Some((splitter, rank, _)) if me < *rank => values.partition_point(|v| key(v) <= *splitter),
            Some((splitter, ..)) => values.partition_point(|v| key(v) < *splitter),
            None => values.len(),
        };
        Ok((0..=ranks).map(|q| if q == ranks { values.len() } else { cut(q) }).collect())
    }

    /// Rank q gets `values[cuts[q]..cuts[q + 1]]` of every rank, in rounds. The own part stays where it is until the end.
    #[track_caller]
    fn deliver<T: Plain>(&mut self, values: Vec<T>, cuts: &[usize]) -> Result<Parts<T>, Abort> {
        let (ranks, me) = (self.size() as usize, self.rank() as usize);
        let share = (ROUND / ranks / size_of::<T>()).max(1);
        let others = |q: usize| if q == me { &[] } else { &values[cuts[q]..cuts[q + 1]] };
        let most = (0..ranks).map(|q| others(q).len() as u64).max().unwrap_or(0);
        let rounds = self.all_reduce(most, Max)?.div_ceil(share as u64).max(1) as usize;
        let mut from: Vec<Vec<T>> = vec![Vec::new(); ranks];
        let mut send = Vec::new();
        for round in 0..rounds {
            let piece = |q: usize| {
                let part = others(q);
                &part[(round * share).min(part.len())..((round + 1) * share).min(part.len())]
            };
            let counts: Vec<u64> = (0..ranks).map(|q| piece(q).len() as u64).collect();
            send.clear();
            (0..ranks).for_each(|q| send.extend_from_slice(piece(q)));
            let received = self.all_to_all_v(&send, &counts)?;
            from.iter_mut().zip(received.iter()).for_each(|(all, part)| all.extend_from_slice(part));
        }
        from[me] = values[cuts[me]..cuts[me + 1]].to_vec();
        drop(values);
        Ok(Parts::of(from))
    }

    /// Values by their keys: all values of a key, of all ranks, are on one rank, which is chosen by the key's hash. Each rank
    /// gets its groups in ascending order of keys; a group's values are in the order of ranks, and of a rank's values.
    /// Collective; each value is sent once at most, in rounds of 64 MiB.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// As `key` does.
    #[track_caller]
    pub fn group_by<T: Plain, K: Plain + Ord + Hash>(
        &mut self,
        mut values: Vec<T>,
        key: impl Fn(&T) -> K + Sync,
    ) -> Result<Groups<T, K>, Abort> {
        let ranks = u64::from(self.size());
        // The same hash on every rank and in every run.
        let hash = |value: &T| std::hash::BuildHasher::hash_one(&Xxh3Builder::new(), key(value));
        let owner = |value: &T| ((u128::from(hash(value)) * u128::from(ranks)) >> 64) as u64;
        self.local(|| values.par_sort_by_cached_key(owner));
        let cuts: Vec<usize> = (0..=ranks).map(|q| values.partition_point(|v| owner(v) < q)).collect();
        let mut values = self.deliver(values, &cuts)?.into_vec();
        self.local(|| values.par_sort_by_key(&key));
        let mut groups: Vec<(K, usize)> = Vec::new();
        for (i, value) in values.iter().enumerate() {
            let key = key(value);
            match groups.last_mut() {
                Some((last, end)) if *last == key => *end = i + 1,
                _ => groups.push((key, i + 1)),
            }
        }
        Ok(Groups { values, groups })
    }
}

/// Orders values by the rank that the splitters give them to; cut q is where rank q's begin. In two passes without a branch
/// on a value, each worker on a piece.
fn deal<T: Plain + Ord>(values: &mut Vec<T>, ranks: usize, me: u32, splitters: &[(T, u32, u64)]) -> Vec<usize> {
    let piece = values.len().div_ceil(workers_here()).max(1);
    let owner = |value: T, place: u64| {
        let below = |s: &(T, u32, u64)| *s <= (value, me, place);
        if splitters.len() <= 8 {
            splitters.iter().map(|s| usize::from(below(s))).sum()
        } else {
            splitters.partition_point(below)
        }
    };
    let count = |(i, values): (usize, &[T])| {
        let mut counts = vec![0usize; ranks];
        (0u64..).zip(values).for_each(|(place, &value)| counts[owner(value, (i * piece) as u64 + place)] += 1);
        counts
    };
    let counts: Vec<Vec<usize>> = values.par_chunks(piece).enumerate().map(count).collect();
    let dealt: Vec<Vec<T>> = values
        .par_chunks(piece)
        .enumerate()
        .map(|(i, values)| {
            let mut ends = counts[i].clone();
            (1..ranks).for_each(|q| ends[q] += ends[q - 1]);
            let mut next: Vec<usize> = ends.iter().zip(&counts[i]).map(|(end, count)| end - count).collect();
            let mut dealt = values.to_vec();
            for (place, &value) in (0u64..).zip(values) {
                let to = &mut next[owner(value, (i * piece) as u64 + place)];
                dealt[*to] = value;
                *to += 1;
            }
            dealt
        })
        .collect();
    let mut cuts = vec![0; ranks + 1];
    let total = |q: usize| counts.iter().map(|c| c[q]).sum::<usize>();
    (0..ranks).for_each(|q| cuts[q + 1] = cuts[q] + total(q));
    match <[Vec<T>; 1]>::try_from(dealt) {
        Ok([one]) => *values = one,
        Err(pieces) => {
            values.clear();
            let mut starts = vec![0; pieces.len()];
            for q in 0..ranks {
                for (i, piece) in pieces.iter().enumerate() {
                    values.extend_from_slice(&piece[starts[i]..starts[i] + counts[i][q]]);
                    starts[i] += counts[i][q];
                }
            }
        }
    }
    cuts
}

/// Values grouped by a key; this rank's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups<T, K> {
    values: Vec<T>,
    /// Each group's key and the end of its values.
    groups: Vec<(K, usize)>,
}

impl<T, K> Groups<T, K> {
    /// The number of groups on this rank.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether this rank has none.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Keys, ascending, and their values.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&K, &[T])> {
        (0..self.groups.len()).map(|i| {
            let start = if i == 0 { 0 } else { self.groups[i - 1].1 };
            (&self.groups[i].0, &self.values[start..self.groups[i].1])
        })
    }
}
