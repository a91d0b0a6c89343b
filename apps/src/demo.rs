//! What the demonstration works on: drops of heat, and reads of a random genome, sampled as a sequencer does, with errors.

use physalia::prelude::*;
use std::collections::{BTreeMap, HashMap};

/// Letters of the genome.
const GENOME: u64 = 60_000;
/// Letters of a read.
const READ: u64 = 100;
/// How often each letter of the genome is read on average.
const COVERAGE: u64 = 30;
/// One letter in so many is read wrongly.
const ERROR: u64 = 2000;

/// Warm discs at random places, the same for the same seed: the temperature at a cell.
pub fn drops<const D: usize>(seed: u64, cells: [u64; D]) -> impl Fn([u64; D]) -> f64 + Sync {
    const DROPS: u64 = 60;
    let random = Random::new(seed).stream(3);
    let shortest = cells.iter().copied().min().unwrap_or(1) as f64;
    let drops: Vec<([f64; D], f64, f64)> = (0..DROPS)
        .map(|drop| {
            let number = |i| random.unit(16 * drop + i);
            let centre = std::array::from_fn(|a| number(a as u64) * cells[a] as f64);
            let radius = shortest * (0.01 + 0.09 * number(8).powi(2));
            (centre, radius * radius, 0.3 + 0.7 * number(9))
        })
        .collect();
    move |at| {
        let inside = |(centre, square, _): &&([f64; D], f64, f64)| {
            (0..D).map(|a| (at[a] as f64 - centre[a]).powi(2)).sum::<f64>() < *square
        };
        drops.iter().filter(inside).map(|drop| drop.2).sum()
    }
}

/// Bars of a histogram of counts, one line a count, up to the last that many k-mers have.
pub fn bars(histogram: &BTreeMap<u64, u64>) -> String {
    const WIDTH: u64 = 60;
    let most = histogram.values().copied().max().unwrap_or(1);
    let last = histogram.iter().rev().find(|&(_, &number)| number * WIDTH * 2 > most).map_or(0, |(&count, _)| count);
    let line = |count: u64| {
        let number = histogram.get(&count).copied().unwrap_or(0);
        let bar = "#".repeat((number * WIDTH).div_ceil(most) as usize);
        format!("{count:>6} {number:>9} {bar}\n")
    };
    (1..=last.min(100)).map(line).collect()
}

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
