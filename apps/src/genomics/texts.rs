//! How tests read texts, and what the parser accepts.

use super::kmer::{self, Strange};
use super::parse::{Format, Parser, Sink};
use super::refuse::BadRecord;

#[derive(Default)]
struct Texts(Vec<String>);

impl Sink for Texts {
    fn begin(&mut self) {
        self.0.push(String::new());
    }
    fn letters(&mut self, letters: &[u8], _: bool) -> Result<(), Strange> {
        if self.0.is_empty() {
            self.0.push(String::new()); // a part that begins inside a record
        }
        self.0.last_mut().unwrap().push_str(&String::from_utf8_lossy(letters));
        kmer::check(letters)
    }
}

/// The sequences, read in pieces of so many bytes; and whether a record has other than four lines.
fn read_in(text: &str, piece: usize) -> Result<(Vec<String>, bool), BadRecord> {
    let (mut parser, mut texts) = (Parser::new(), Texts::default());
    for piece in text.as_bytes().chunks(piece) {
        parser.feed(piece, &mut texts)?;
    }
    parser.finish()?;
    Ok((texts.0, parser.wrapped()))
}

fn read_any(text: &str) -> Result<(Vec<String>, bool), BadRecord> {
    let whole = read_in(text, usize::MAX);
    for piece in [1, 2, 3, 7] {
        assert_eq!(read_in(text, piece), whole, "in pieces of {piece}: {text:?}");
    }
    whole
}

/// The sequences, the same in pieces of any size.
pub(super) fn read(text: &str) -> Result<Vec<String>, BadRecord> {
    read_any(text).map(|read| read.0)
}

/// Whether a record of a good text has other than four lines.
pub(super) fn wrapped(text: &str) -> bool {
    read_any(text).unwrap().1
}

/// The letters that a part of a text takes, its tail's too, and where it ends.
pub(super) fn read_part(mut parser: Parser, text: &str) -> Result<(String, u64), BadRecord> {
    let mut texts = Texts::default();
    parser.feed(&text.as_bytes()[parser.offset() as usize..], &mut texts)?;
    parser.finish()?;
    Ok((texts.0.concat(), parser.end()))
}

#[test]
fn good_files() {
    assert_eq!(read(">a\nAC\nGT\n>b\n\n>c\nT").unwrap(), ["ACGT", "", "T"]);
    assert_eq!(read(">a\r\nAC\r\n\r\nGT\r\n").unwrap(), ["ACGT"]);
    assert_eq!(read("\n\r\n>a\tx > y\u{1}é\nacgtnRYK\n\n").unwrap(), ["acgtnRYK"]);
    assert_eq!(read(">a\nA-C.\n*\n").unwrap(), ["A-C.*"]);
    assert_eq!(read("").unwrap(), Vec::<String>::new());
}

#[test]
fn parts_of_fasta_have_tails() {
    let text = ">a\nACGTA\nCCC\nGG\n>b\nTT\n";
    // The line CCC begins at byte 9.
    let part = |start, stop, tail| read_part(Parser::part(Format::Fasta, start, stop, tail), text).unwrap();
    assert_eq!(part(0, 5, 2), ("ACGTACC".into(), 9)); // the line at 3 is its own, two letters of the next are tail
    assert_eq!(part(0, 5, 4), ("ACGTACCCG".into(), 9));
    assert_eq!(part(9, 10, 9), ("CCCGG".into(), 13)); // the tail ends with the record
    assert_eq!(part(9, 100, 9), ("CCCGGTT".into(), 22));
    assert_eq!(part(0, 5, 0), ("ACGTA".into(), 9));
}
