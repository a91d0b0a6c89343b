//! A distributed sort, and groups of equal keys.
//!
//! Sample sort (Frazer, McKellar, "Samplesort", 1970; with regular samples: Li and others, "On the versatility of parallel
//! sorting by regular sampling", 1993): every rank sorts its values, takes every B-th key as a sample, and all ranks choose the
//! same p − 1 splitters among all samples. A splitter is a key *and the place that it came from*, so equal keys can be cut
//! apart and a rank's share does not depend on duplicates: it is at most N/p + N/s values of N for about p s samples.
//!
//! The values travel in rounds of bounded size. What is equal keeps its order: by rank, then by place.

use crate::World;
use crate::pool::parallel::*;
use physalia_collectives::{Abort, Max, Parts, Plain};
use std::hash::Hash;
use xxhash_rust::xxh3::Xxh3Builder;

/// Bytes that a rank sends in a round.
const ROUND: usize = 64 << 20;

/// Samples of a rank: at least so many, and so many for each rank, so that shares are within a sixteenth of even.
const SAMPLES: (u64, u64) = (256, 16);

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
        self.sorted(values, &key, |values| values.par_sort_by_key(&key))
    }

    /// As [`sort_by_key`](World::sort_by_key) by the values themselves, and faster: values that compare equal may change
    /// places.
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    pub fn sort<T: Plain + Ord>(&mut self, values: Vec<T>) -> Result<Vec<T>, Abort> {
        self.sorted(values, |&value| value, |values| values.par_sort_unstable())
    }

    #[track_caller]
    fn sorted<T: Plain, K: Plain + Ord>(
        &mut self,
        mut values: Vec<T>,
        key: impl Fn(&T) -> K,
        sort: impl Fn(&mut [T]) + Sync + Send,
    ) -> Result<Vec<T>, Abort> {
        self.local(|| sort(&mut values));
        if self.size() == 1 {
            return Ok(values);
        }
        let cuts = self.cuts(&values, key)?;
        let mut share = self.deliver(values, &cuts)?.into_vec();
        self.local(|| sort(&mut share)); // p sorted runs: merges, mostly
        Ok(share)
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

    /// Rank q gets `values[cuts[q]..cuts[q + 1]]` of every rank, in rounds.
    #[track_caller]
    fn deliver<T: Plain>(&mut self, values: Vec<T>, cuts: &[usize]) -> Result<Parts<T>, Abort> {
        let ranks = self.size() as usize;
        let share = (ROUND / ranks / size_of::<T>().max(1)).max(1);
        let most = cuts.windows(2).map(|pair| (pair[1] - pair[0]) as u64).max().unwrap_or(0);
        let rounds = self.all_reduce(most, Max)?.div_ceil(share as u64).max(1) as usize;
        let mut from: Vec<Vec<T>> = vec![Vec::new(); ranks];
        for round in 0..rounds {
            let piece = |q: usize| {
                let part = &values[cuts[q]..cuts[q + 1]];
                &part[(round * share).min(part.len())..((round + 1) * share).min(part.len())]
            };
            let counts: Vec<u64> = (0..ranks).map(|q| piece(q).len() as u64).collect();
            let send: Vec<T> = (0..ranks).flat_map(|q| piece(q).iter().copied()).collect();
            let received = self.all_to_all_v(&send, &counts)?;
            if rounds == 1 {
                return Ok(received);
            }
            from.iter_mut().zip(received.iter()).for_each(|(all, part)| all.extend_from_slice(part));
        }
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
