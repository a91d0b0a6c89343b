//! Counting by one map of texts, and texts to count.

use flate2::{Compression, write::GzEncoder};
use physalia::prelude::*;
use std::collections::BTreeMap;
use std::io::Write;

/// Canonical k-mers and their counts, as slowly and plainly as can be.
pub fn plain(sequences: &[&str], k: usize) -> BTreeMap<String, u64> {
    let complement = |b: char| match b {
        'A' => 'T',
        'C' => 'G',
        'G' => 'C',
        _ => 'A',
    };
    let mut counts = BTreeMap::new();
    for sequence in sequences {
        let sequence = sequence.to_uppercase();
        for i in 0..(sequence.len() + 1).saturating_sub(k) {
            let window = &sequence[i..i + k];
            if window.chars().all(|b| "ACGT".contains(b)) {
                let back: String = window.chars().rev().map(complement).collect();
                *counts.entry(window.to_string().min(back)).or_insert(0) += 1;
            }
        }
    }
    counts
}

/// For each count, how many k-mers have it.
pub fn histogram(counts: &BTreeMap<String, u64>) -> BTreeMap<u64, u64> {
    let mut histogram = BTreeMap::new();
    counts.values().for_each(|&count| *histogram.entry(count).or_insert(0) += 1);
    histogram
}

/// Compressed.
///
/// # Panics
/// Never.
pub fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything")
}

/// A random text of letters, most of them bases.
pub fn letters(seed: u64, n: u64) -> String {
    let random = Random::new(seed);
    let letter = |i| match random.below(2 * i, 200) {
        0 => 'N',
        1 => 'R',
        x if x < 40 => b"acgt"[random.below(2 * i + 1, 4) as usize] as char,
        _ => b"ACGT"[random.below(2 * i + 1, 4) as usize] as char,
    };
    (0..n).map(letter).collect()
}

/// Over several lines of a width, each with this end.
pub fn wrap(text: &str, width: usize, end: &str) -> String {
    let lines = text.as_bytes().chunks(width);
    lines.map(|line| String::from_utf8_lossy(line).into_owned() + end).collect()
}
