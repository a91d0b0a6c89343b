//! A hash table that counts: open addressing with linear probing (Knuth, volume 3, 6.4), no deletion.
//!
//! Keys and counts lie in two arrays, 12 bytes a slot for k up to 32. A slot with count 0 is empty. Counts of more than 32
//! bits are carried in a side table, so every count is exact.

use super::kmer::Word;
use std::collections::HashMap;

/// Counts of keys.
#[derive(Debug)]
pub struct Table<W> {
    keys: Vec<W>,
    counts: Vec<u32>,
    used: usize,
    /// How often the count of a key has passed 2^32 − 1, its largest in the slot.
    carried: HashMap<W, u64>,
}

impl<W: Word> Default for Table<W> {
    fn default() -> Table<W> {
        Table { keys: Vec::new(), counts: Vec::new(), used: 0, carried: HashMap::new() }
    }
}

/// The first size, in slots.
const FIRST: usize = 1 << 10;

impl<W: Word> Table<W> {
    /// Counts every key once.
    pub fn add_all(&mut self, keys: &[W]) {
        for &key in keys {
            self.add(key, 1);
        }
    }

    /// Adds to the count of a key.
    #[inline]
    pub fn add(&mut self, key: W, count: u32) {
        // At most 3 of 4 slots are used, so that a search ends soon.
        if self.used * 4 >= self.keys.len() * 3 {
            self.grow();
        }
        let slot = self.find(key);
        let old = self.counts[slot];
        if old == 0 {
            self.keys[slot] = key;
            self.used += 1;
        }
        self.counts[slot] = old.checked_add(count).unwrap_or_else(|| {
            // 2^32 − 1 of the sum stay here, so that the slot does not look empty.
            *self.carried.entry(key).or_default() += 1;
            (u64::from(old) + u64::from(count) - u64::from(u32::MAX)) as u32
        });
    }

    /// The slot of the key, or the empty one where it belongs.
    #[inline]
    fn find(&self, key: W) -> usize {
        let mask = self.keys.len() - 1;
        // The high bits chose the rank and the part of its tables; a product brings the low ones up.
        let hash = key.hash64().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut slot = (hash >> 20) as usize & mask;
        while self.counts[slot] != 0 && self.keys[slot] != key {
            slot = (slot + 1) & mask;
        }
        slot
    }

    #[cold]
    fn grow(&mut self) {
        let size = (self.keys.len() * 2).max(FIRST);
        let keys = std::mem::replace(&mut self.keys, vec![W::default(); size]);
        let counts = std::mem::replace(&mut self.counts, vec![0; size]);
        for (key, count) in keys.into_iter().zip(counts).filter(|(_, count)| *count > 0) {
            let slot = self.find(key);
            (self.keys[slot], self.counts[slot]) = (key, count);
        }
    }

    /// The number of different keys.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Keys and their counts, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (W, u64)> + '_ {
        let slots = self.keys.iter().zip(&self.counts).filter(|(_, count)| **count > 0);
        slots.map(|(&key, &count)| {
            let carried = if self.carried.is_empty() { 0 } else { self.carried.get(&key).copied().unwrap_or(0) };
            (key, u64::from(count) + carried * u64::from(u32::MAX))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn it_counts_as_a_map_does() {
        let (mut table, mut map) = (Table::<u64>::default(), BTreeMap::new());
        let mut x = 1u64;
        for _ in 0..100_000 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = (x >> 33) % 30_000;
            table.add(key, 1);
            *map.entry(key).or_insert(0u64) += 1;
        }
        assert_eq!(table.len(), map.len());
        assert_eq!(table.iter().collect::<BTreeMap<_, _>>(), map);
    }

    #[test]
    fn counts_beyond_32_bits_are_exact() {
        let mut table = Table::<u128>::default();
        table.add(7, u32::MAX - 1);
        for _ in 0..3 {
            table.add(7, 1);
            table.add(7, u32::MAX);
        }
        table.add(0, 1);
        let expected = u64::from(u32::MAX) * 4 - 1 + 3;
        let mut all: Vec<_> = table.iter().collect();
        all.sort_unstable();
        assert_eq!(all, [(0, 1), (7, expected)]);
    }
}
