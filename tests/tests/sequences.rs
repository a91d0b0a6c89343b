//! Any bytes, cut anywhere: the same counts or a refusal, whoever reads which part. Thousands of small texts, most of them
//! damaged, by every way of reading them, and where they are accepted by plain code that goes line by line.

use physalia::prelude::*;
use physalia_apps::genomics::count::{Options, count};
use physalia_apps::genomics::input::{LOOK, look};
use physalia_apps::genomics::kmer::{self, Strange, Window};
use physalia_apps::genomics::parse::{Parser, Sink};
use physalia_apps::genomics::parts::{check_joints, deal};
use physalia_apps::genomics::reader::Reader;
use physalia_tests::oracle::kmers::{histogram, plain, sequences};
use std::collections::BTreeMap;
use std::path::Path;

/// Short, so that small texts have windows, and long enough that windows go over several lines and parts.
const K: usize = 4;

/// Random numbers one after the other.
struct Dice(Random, u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.1 += 1;
        self.0.below(self.1, n as u64) as usize
    }

    fn one_of<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.below(of.len())]
    }

    fn letters(&mut self, most: usize) -> String {
        let count = self.below(most + 1);
        (0..count).map(|_| self.one_of(&["A", "C", "G", "T", "A", "C", "g", "t", "N", "-"])).collect()
    }
}

fn fasta(dice: &mut Dice, end: &str) -> String {
    let mut text = String::new();
    for _ in 0..=dice.below(3) {
        text += &format!(">{}{end}", dice.one_of(&["a", "", "b >c", "@r", "+"]));
        for _ in 0..dice.below(5) {
            text += &format!("{}{end}", dice.letters(9));
        }
    }
    text
}

fn fastq(dice: &mut Dice, end: &str) -> String {
    let mut text = String::new();
    let odd = dice.below(3) == 0;
    for _ in 0..=dice.below(4) {
        let letters = dice.letters(7);
        let qualities: String = (0..letters.len()).map(|_| dice.one_of(&["@", "+", ">", "I", "~"])).collect();
        let (name, plus) = (dice.one_of(&["r", "", "+", "@"]), dice.one_of(&["", "r", "+", "@"]));
        let (half, blank) = (letters.len() / 2, dice.one_of(&["", "", "", end]));
        let (lines, scores) = match if odd { dice.below(4) } else { 0 } {
            1 => (format!("{}{end}{}{end}", &letters[..half], &letters[half..]), format!("{qualities}{end}")),
            2 => (format!("{letters}{end}"), format!("{}{end}{}{end}", &qualities[..half], &qualities[half..])),
            3 if letters.is_empty() => (String::new(), String::new()),
            _ => (format!("{letters}{end}"), format!("{qualities}{end}")),
        };
        text += &format!("@{name}{end}{lines}+{plus}{end}{scores}{blank}");
    }
    text
}

/// What editors, transfers, `cat` and disks make of a file.
fn damage(dice: &mut Dice, text: &mut Vec<u8>) {
    let at = dice.below(text.len() + 1);
    let end = (at + dice.below(12)).min(text.len());
    match dice.below(7) {
        0 => text.truncate(at),
        1 => drop(text.drain(at..end)),
        2 => text.extend_from_within(at..end),
        3 => text[at..end].fill(0),
        _ => {
            let bytes =
                ["\n", "\r", "\r\n", ">", "@", "+", ">x\n", "\n>", "\n@", "\0", " ", "\t", "1", "*", "é", "\u{b}", ";"];
            text.splice(at..at, dice.one_of(&bytes).bytes());
        }
    }
}

fn text(dice: &mut Dice) -> Vec<u8> {
    let end = dice.one_of(&["\n", "\n", "\r\n"]);
    let mut text = match dice.below(9) {
        0..4 => fasta(dice, end),
        4..8 => fastq(dice, end),
        _ => fasta(dice, end) + &fastq(dice, end) + &fasta(dice, "\n"),
    };
    if dice.below(3) == 0 {
        text.truncate(text.trim_end().len());
    }
    let mut text = text.into_bytes();
    for _ in 0..[0, 0, 1, 1, 2][dice.below(5)] {
        damage(dice, &mut text);
    }
    text
}

struct Counts {
    window: Window<u64>,
    counts: BTreeMap<u64, u64>,
    letters: u64,
}

impl Counts {
    fn new() -> Counts {
        Counts { window: Window::new(K), counts: BTreeMap::new(), letters: 0 }
    }

    /// The counts by text, and how many letters there were.
    fn end(self) -> (BTreeMap<String, u64>, u64) {
        let text = |kmer| {
            let mut text = Vec::new();
            kmer::letters(kmer, K, &mut text);
            String::from_utf8(text).unwrap()
        };
        (self.counts.into_iter().map(|(kmer, count)| (text(kmer), count)).collect(), self.letters)
    }
}

impl Sink for Counts {
    fn begin(&mut self) {
        self.window.clear();
    }

    fn letters(&mut self, letters: &[u8], tail: bool) -> Result<(), Strange> {
        self.letters += if tail { 0 } else { letters.len() as u64 };
        self.window.slide(letters, |kmer| *self.counts.entry(kmer).or_insert(0) += 1)
    }
}

type Answer = Result<(BTreeMap<String, u64>, u64), String>;

/// Fed to one parser in pieces.
fn fed(text: &[u8], piece: usize) -> Answer {
    let (mut parser, mut counts) = (Parser::new(), Counts::new());
    let mut pieces = text.chunks(piece.max(1));
    pieces
        .try_for_each(|piece| parser.feed(piece, &mut counts))
        .and_then(|()| parser.finish())
        .map_err(|e| e.to_string())?;
    Ok(counts.end())
}

/// From a file in parts, when so much of it was looked at.
fn in_parts(path: &Path, whole: bool, looked: u64, piece: u64) -> Answer {
    let inputs = [look(path, whole, looked).map_err(|e| e.to_string())?];
    let (mut counts, mut joints) = (Counts::new(), Vec::new());
    for unit in deal(&inputs, piece, 3).concat() {
        counts.window.clear();
        let reader = Reader::open(&inputs, &unit, K as u64 - 1).map_err(|e| e.to_string())?;
        let Some(mut reader) = reader else { continue };
        while reader.read(&mut counts).map_err(|e| e.to_string())? {}
        joints.extend(reader.joint());
    }
    check_joints(&inputs, joints).map_err(|e| e.to_string())?;
    Ok(counts.end())
}

/// The same answer, or both a refusal, maybe for another of several reasons.
fn same(a: &Answer, b: &Answer) -> bool {
    a.as_ref().ok() == b.as_ref().ok()
}

fn expected(text: &[u8]) -> Option<(BTreeMap<String, u64>, u64)> {
    let sequences = sequences(text)?;
    let all: Vec<&str> = sequences.iter().map(String::as_str).collect();
    Some((plain(&all, K), all.iter().map(|s| s.len() as u64).sum()))
}

#[test]
fn answers_do_not_depend_on_the_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text");
    let (mut accepted, mut refused, mut strict) = (0, 0, 0);
    for seed in 0..4000 {
        let text = text(&mut Dice(Random::new(seed), 0));
        let shown = || format!("text {seed}: {:?}", String::from_utf8_lossy(&text));
        let expected = expected(&text);
        let whole = fed(&text, usize::MAX);
        assert_eq!(whole.as_ref().ok(), expected.as_ref(), "{}: {whole:?}", shown());
        for piece in [1, 2, 3, 5] {
            assert_eq!(fed(&text, piece), whole, "fed {piece} at a time, {}", shown());
        }
        std::fs::write(&path, &text).unwrap();
        let everything = u64::MAX;
        let read = in_parts(&path, true, LOOK, everything);
        assert!(same(&read, &whole), "from begin to end: {read:?} instead of {whole:?}, {}", shown());
        // Files are cut as their begin allows; how far that was looked at must not matter to any cut.
        for looked in [LOOK, 20] {
            let one = in_parts(&path, false, looked, everything);
            strict += usize::from(!same(&one, &whole));
            assert!(one.is_err() || same(&one, &whole), "{one:?} instead of {whole:?}, {}", shown());
            assert!(looked < LOOK || same(&one, &whole), "{one:?} instead of {whole:?}, {}", shown());
            for piece in (1..8).chain([9, 13, 16, 23, 31]) {
                let parts = in_parts(&path, false, looked, piece);
                assert!(same(&parts, &one), "parts of {piece}: {parts:?} instead of {one:?}, {}", shown());
            }
        }
        *(if expected.is_some() { &mut accepted } else { &mut refused }) += 1;
    }
    assert!(accepted > 1000 && refused > 1000, "{accepted} accepted, {refused} refused");
    assert!(strict > 10, "{strict} refused in parts only");
}

#[test]
fn answers_do_not_depend_on_ranks_and_workers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text");
    for seed in 0..60 {
        let text = text(&mut Dice(Random::new(1_000_000 + seed), 0));
        std::fs::write(&path, &text).unwrap();
        let expected = expected(&text).map(|(counts, letters)| (histogram(&counts), letters));
        for (ranks, threads, piece_bytes) in [(1, 1, 1 << 20), (1, 2, 5), (3, 1, 11), (4, 2, 1)] {
            let options = Options { piece_bytes, round_bytes: 64, ..Options::new(K, vec![path.clone()]) };
            let job = Launch::from_env().ranks(ranks).threads(threads).run(|world| count(world, &options));
            let answer = job.map(|summaries| (summaries[0].histogram.clone(), summaries[0].bases));
            let context = format!("{ranks} × {threads}, text {seed}: {:?}", String::from_utf8_lossy(&text));
            assert_eq!(answer.as_ref().ok(), expected.as_ref(), "{context}: {answer:?}");
        }
    }
}
