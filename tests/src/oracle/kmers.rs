//! Counting by one map of texts, reading FASTA and FASTQ line by line, and texts to count.

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

/// The sequences of a FASTA or FASTQ text, or `None` if it is neither; by its lines.
pub fn sequences(text: &[u8]) -> Option<Vec<String>> {
    let mut lines: Vec<&[u8]> = text.split(|&b| b == b'\n').collect();
    let last = lines.pop().filter(|line| !line.is_empty()); // what no line feed follows
    let lines = lines.into_iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line)).chain(last);
    let lines: Vec<&[u8]> = lines.skip_while(|line| line.is_empty()).collect();
    if lines.iter().any(|line| line.contains(&b'\r')) {
        return None;
    }
    match lines.first() {
        None => Some(Vec::new()),
        Some([b'>', ..]) => fasta(&lines),
        Some(_) => fastq(lines),
    }
}

fn are_letters(line: &[u8]) -> bool {
    line.iter().all(|b| b.is_ascii_alphabetic() || b"-.*".contains(b))
}

fn fasta(lines: &[&[u8]]) -> Option<Vec<String>> {
    let mut all: Vec<String> = Vec::new();
    for line in lines {
        match line {
            [b'>', name @ ..] if !name.contains(&0) => all.push(String::new()),
            _ if are_letters(line) => all.last_mut()?.push_str(std::str::from_utf8(line).ok()?),
            _ => return None,
        }
    }
    Some(all)
}

fn fastq(mut lines: Vec<&[u8]>) -> Option<Vec<String>> {
    let mut all = Vec::new();
    lines.reverse(); // the next is the last
    while let Some(header) = lines.pop() {
        if header.is_empty() {
            continue;
        }
        let mut sequence = String::new();
        let plus = loop {
            match lines.pop()? {
                line @ [b'+', ..] => break line,
                line if are_letters(line) => sequence += std::str::from_utf8(line).ok()?,
                _ => return None,
            }
        };
        let mut room = sequence.len();
        while room > 0 {
            let qualities = lines.pop().filter(|line| line.iter().all(u8::is_ascii_graphic))?;
            room = room.checked_sub(qualities.len())?;
        }
        if header[0] != b'@' || header.contains(&0) || plus.contains(&0) {
            return None;
        }
        all.push(sequence);
    }
    Some(all)
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
