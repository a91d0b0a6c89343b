//! Reads for a demonstration: a random genome, sampled as a sequencer does, with errors.

use physalia::prelude::*;
use std::collections::{BTreeMap, HashMap};

/// Letters of the genome.
const GENOME: u64 = 60_000;
/// Letters of a read.
const READ: u64 = 100;
/// How often each letter of the genome is read on average.
const COVERAGE: u64 = 30;
/// One letter in so many is read wrongly.
const ERROR: u64 = 400;

/// FASTQ of reads from both strands of a random genome; the same for the same seed.
pub fn reads(seed: u64) -> String {
    let (bases, errors) = (Random::new(seed), Random::new(seed).stream(1));
    let starts = Random::new(seed).stream(2);
    let genome: Vec<u8> = (0..GENOME).map(|i| b"ACGT"[bases.below(i, 4) as usize]).collect();
    let mut fastq = String::new();
    for read in 0..GENOME * COVERAGE / READ {
        let start = starts.below(2 * read, GENOME - READ + 1) as usize;
        let mut letters = genome[start..start + READ as usize].to_vec();
        if starts.below(2 * read + 1, 2) == 1 {
            letters.reverse();
            letters.iter_mut().for_each(|b| *b = complement(*b));
        }
        for (i, letter) in (read * READ..).zip(&mut letters) {
            if errors.below(2 * i, ERROR) == 0 {
                *letter = b"ACGT"[errors.below(2 * i + 1, 4) as usize];
            }
        }
        let letters = String::from_utf8(letters).expect("letters are ASCII");
        fastq += &format!("@read{read}\n{letters}\n+\n{}\n", "I".repeat(READ as usize));
    }
    fastq
}

fn complement(base: u8) -> u8 {
    match base {
        b'A' => b'T',
        b'C' => b'G',
        b'G' => b'C',
        _ => b'A',
    }
}

/// The histogram of canonical k-mers of four-line FASTQ without other letters than ACGT, by one hash map of texts: slow and
/// plain, to hold the real counter against.
pub fn plain_histogram(fastq: &str, k: usize) -> BTreeMap<u64, u64> {
    let mut counts: HashMap<Vec<u8>, u64> = HashMap::new();
    for read in fastq.lines().skip(1).step_by(4) {
        for window in read.as_bytes().windows(k) {
            let back: Vec<u8> = window.iter().rev().map(|&b| complement(b)).collect();
            *counts.entry(back.min(window.to_vec())).or_default() += 1;
        }
    }
    let mut histogram = BTreeMap::new();
    counts.into_values().for_each(|count| *histogram.entry(count).or_insert(0) += 1);
    histogram
}
