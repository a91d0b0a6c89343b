//! Which files there are, and who reads what.
//!
//! Rank 0 looks at every file once and tells the others. Plain files are cut into *units* of some megabytes, which any rank
//! can read by itself; compressed files, FASTQ that is wrapped over lines, pipes and standard input are units as a whole.
//! Every rank computes the same deal of units, so nothing more is said about it.
//!
//! Where a unit begins inside a file it must find the next border by itself: in FASTA the next line, in FASTQ of four lines
//! the next line with `@` whose second next begins with `+` (a sequence cannot). A file that is wrapped only further behind
//! than its first megabyte could fool that, so every unit also says where it ended, and the ends must meet the begins of
//! the next: no read is missed or taken twice in silence.

use super::kmer::{self, Strange};
use super::parse::{Format, Parser, Sink};
use super::refuse::BadRecord;
use flate2::read::MultiGzDecoder;
use memchr::memchr;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// How much of a file is looked at to know its layout.
const LOOK: u64 = 1 << 20;
/// How much is read at a time.
const CHUNK: usize = 256 << 10;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layout {
    /// May be read in parts.
    Parts(Format),
    /// Read from begin to end by one rank.
    Whole,
    /// The same, decompressed.
    Gzip,
}

/// A file of reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Where it is; `-` is standard input.
    pub path: PathBuf,
    /// Its length, 0 if it has none (pipes).
    pub bytes: u64,
    /// How it may be read.
    pub layout: Layout,
}

/// A file that cannot be read, or is no FASTA or FASTQ.
#[derive(Debug)]
pub struct BadInput {
    path: PathBuf,
    what: String,
}

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let name = if is_stdin(&self.path) { "standard input".into() } else { self.path.display().to_string() };
        write!(f, "{name}: {}", self.what)
    }
}

impl std::error::Error for BadInput {}

impl BadInput {
    pub(crate) fn new(path: &Path, what: impl fmt::Display) -> BadInput {
        BadInput { path: path.into(), what: what.to_string() }
    }

    fn io(path: &Path, error: &io::Error, gzip: bool) -> BadInput {
        match error.kind() {
            io::ErrorKind::UnexpectedEof if gzip => {
                BadInput::new(path, "the gzip stream is cut off: the file is truncated")
            }
            _ if gzip => BadInput::new(path, format!("cannot be decompressed: {error}")),
            _ => BadInput::new(path, error),
        }
    }
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// Looks at a file.
///
/// # Errors
/// If it cannot be read, or its begin is no FASTA or FASTQ.
pub fn look(path: &Path, whole: bool) -> Result<Input, BadInput> {
    let input = |bytes, layout| Input { path: path.into(), bytes, layout };
    if is_stdin(path) {
        return Ok(input(0, Layout::Whole));
    }
    let fail = |error: io::Error| BadInput::io(path, &error, false);
    let data = std::fs::metadata(path).map_err(fail)?;
    if data.is_dir() {
        return Err(BadInput::new(path, "is a folder"));
    }
    if !data.is_file() {
        return Ok(input(0, Layout::Whole)); // a pipe can be read only once
    }
    let mut head = Vec::new();
    File::open(path).and_then(|file| file.take(LOOK).read_to_end(&mut head)).map_err(fail)?;
    if head.starts_with(&[0x1f, 0x8b]) {
        return Ok(input(data.len(), Layout::Gzip));
    }
    let mut parser = Parser::new();
    let result = parser.feed(&head, &mut Nothing);
    result
        .and_then(|()| if head.len() as u64 == data.len() { parser.finish() } else { Ok(()) })
        .map_err(|e| BadInput::new(path, e))?;
    let first = head.iter().find(|b| !b"\r\n".contains(b));
    let layout = match first {
        _ if whole => Layout::Whole,
        None => Layout::Whole, // empty
        Some(b'>') => Layout::Parts(Format::Fasta),
        Some(_) if parser.wrapped() => Layout::Whole,
        Some(_) => Layout::Parts(Format::Fastq),
    };
    Ok(input(data.len(), layout))
}

struct Nothing;

impl Sink for Nothing {
    fn begin(&mut self) {}
    fn letters(&mut self, letters: &[u8], _: bool) -> Result<(), Strange> {
        kmer::check(letters)
    }
}

/// A part of a file, or a whole one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The index of the file.
    pub file: usize,
    /// The first byte.
    pub begin: u64,
    /// Behind the last byte.
    pub end: u64,
}

/// The units of each rank: parts in contiguous, nearly equal shares; whole files to whom has least.
pub fn deal(inputs: &[Input], piece_bytes: u64, ranks: u32) -> Vec<Vec<Unit>> {
    let piece_bytes = piece_bytes.max(1);
    let mut units: Vec<Vec<Unit>> = vec![Vec::new(); ranks as usize];
    let mut load = vec![0u64; ranks as usize];
    let mut whole: Vec<usize> = (0..inputs.len()).filter(|&f| !matches!(inputs[f].layout, Layout::Parts(_))).collect();
    whole.sort_by_key(|&f| std::cmp::Reverse(inputs[f].bytes));
    for file in whole {
        let least = (0..load.len()).min_by_key(|&r| load[r]).expect("a rank");
        let owner = if is_stdin(&inputs[file].path) { 0 } else { least };
        // Decompression makes about four bytes of one.
        load[owner] += if inputs[file].layout == Layout::Gzip { inputs[file].bytes * 4 } else { inputs[file].bytes };
        units[owner].push(Unit { file, begin: 0, end: u64::MAX });
    }
    let parts = inputs.iter().enumerate().filter(|(_, i)| matches!(i.layout, Layout::Parts(_)));
    let all: u64 = load.iter().sum::<u64>() + parts.clone().map(|(_, i)| i.bytes).sum::<u64>();
    let target = all.div_ceil(ranks.into());
    let mut rank = 0;
    for (file, input) in parts {
        for begin in (0..input.bytes).step_by(piece_bytes as usize) {
            while rank + 1 < load.len() && load[rank] >= target {
                rank += 1;
            }
            let end = (begin + piece_bytes).min(input.bytes);
            load[rank] += end - begin;
            units[rank].push(Unit { file, begin, end });
        }
    }
    units
}

/// Where the reading of a part of a FASTQ file began and ended: `None` if no record begins in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joint {
    /// The index of the file.
    pub file: usize,
    /// Where the first record of the part begins.
    pub begin: u64,
    /// Where the first record behind the part begins, or the file ends.
    pub end: u64,
}

/// A unit being read.
pub struct Reader {
    path: PathBuf,
    gzip: bool,
    source: Box<dyn Read + Send>,
    parser: Parser,
    joint: Option<Joint>,
    buffer: Vec<u8>,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Reader({} at {})", self.path.display(), self.parser.offset())
    }
}

impl Reader {
    /// Opens a unit; `None` if nothing begins in it. `tail` is how many letters behind a FASTA part belong to windows that
    /// begin in it: k − 1.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn open(inputs: &[Input], unit: &Unit, tail: u64) -> Result<Option<Reader>, BadInput> {
        let Input { path, bytes, layout } = &inputs[unit.file];
        let fail = |error: io::Error| BadInput::io(path, &error, false);
        let gzip = *layout == Layout::Gzip;
        let reader = |source, parser, joint| {
            Some(Reader { path: path.clone(), gzip, source, parser, joint, buffer: vec![0; CHUNK] })
        };
        if is_stdin(path) {
            return Ok(reader(Box::new(io::stdin()), Parser::new(), None));
        }
        let mut file = File::open(path).map_err(fail)?;
        let Layout::Parts(format) = *layout else {
            let source: Box<dyn Read + Send> = if gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
            return Ok(reader(source, Parser::new(), None));
        };
        let begin = match unit.begin {
            0 => Some(0),
            at => border(&mut file, format, at, unit.end).map_err(fail)?,
        };
        let Some(begin) = begin else { return Ok(None) };
        file.seek(SeekFrom::Start(begin)).map_err(fail)?;
        let parser = Parser::part(format, begin, unit.end, if unit.end < *bytes { tail } else { 0 });
        let joint = (format == Format::Fastq).then_some(Joint { file: unit.file, begin, end: begin });
        Ok(reader(Box::new(file), parser, joint))
    }

    /// Reads on, some hundred kilobytes. False at the end of the unit.
    ///
    /// # Errors
    /// If the file cannot be read, or is no FASTA or FASTQ.
    pub fn read(&mut self, sink: &mut impl Sink) -> Result<bool, BadInput> {
        let count = loop {
            match self.source.read(&mut self.buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(BadInput::io(&self.path, &e, self.gzip)),
                Ok(count) => break count,
            }
        };
        let bad = |e: BadRecord| BadInput::new(&self.path, e);
        if count == 0 {
            self.parser.finish().map_err(bad)?;
            return Ok(false);
        }
        self.parser.feed(&self.buffer[..count], sink).map_err(bad)?;
        Ok(!self.parser.stopped())
    }

    /// Where this part of a FASTQ file began and ended, to be compared with its neighbours'.
    pub fn joint(&self) -> Option<Joint> {
        self.joint.map(|joint| Joint { end: self.parser.end(), ..joint })
    }
}

/// The first border in `begin..end`: of lines in FASTA, of records in FASTQ.
fn border(file: &mut File, format: Format, begin: u64, end: u64) -> io::Result<Option<u64>> {
    // One byte before, to see whether a line begins at `begin` itself.
    let mut base = begin - 1;
    file.seek(SeekFrom::Start(base))?;
    let mut text = Vec::new();
    let mut chunk = vec![0; 16 << 10];
    let mut over = false;
    loop {
        let count = file.read(&mut chunk)?;
        over |= count == 0;
        text.extend_from_slice(&chunk[..count]);
        let mut at = 0;
        while let Some(newline) = memchr(b'\n', &text[at..]) {
            let line = at + newline + 1;
            if base + line as u64 >= end {
                return Ok(None);
            }
            let found = match format {
                Format::Fasta => Some(true),
                Format::Fastq => record_begins(&text[line..], over),
            };
            match found {
                Some(true) => return Ok(Some(base + line as u64)),
                Some(false) => at = line,
                None => break, // more text is needed to tell
            }
        }
        if over || (at == 0 && base + text.len() as u64 > end && memchr(b'\n', &text).is_none()) {
            return Ok(None);
        }
        // Lines that were looked at are not needed any more; their last end is.
        let keep = at.saturating_sub(1);
        text.drain(..keep);
        base += keep as u64;
    }
}

/// Whether a FASTQ record of four lines begins here; `None` if too little is to be seen.
fn record_begins(text: &[u8], over: bool) -> Option<bool> {
    if *text.first()? != b'@' {
        return Some(false);
    }
    let mut at = 0;
    for _ in 0..2 {
        match memchr(b'\n', &text[at..]) {
            Some(newline) => at += newline + 1,
            None => return over.then_some(false),
        }
    }
    match text.get(at) {
        Some(&third) => Some(third == b'+'),
        None => over.then_some(false),
    }
}

/// Whether the parts of each FASTQ file met, from its first byte to its last. `joints` of all ranks.
///
/// # Errors
/// Names the file where they did not.
pub fn check_joints(inputs: &[Input], mut joints: Vec<Joint>) -> Result<(), BadInput> {
    joints.sort_by_key(|j| (j.file, j.begin));
    for (file, input) in inputs.iter().enumerate().filter(|(_, i)| i.layout == Layout::Parts(Format::Fastq)) {
        let apart = |end: u64, begin: &str| {
            let what = format!(
                "its parts do not meet: one ends at byte {end}, {begin}; it seems to be FASTQ over several lines, or it was \
                 changed meanwhile. Count it with --whole-files"
            );
            BadInput::new(&input.path, what)
        };
        let mut at = 0;
        for joint in joints.iter().filter(|j| j.file == file) {
            if joint.begin != at {
                return Err(apart(at, &format!("the next begins at byte {}", joint.begin)));
            }
            at = joint.end;
        }
        if at != input.bytes {
            return Err(apart(at, &format!("the file at byte {}", input.bytes)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_dealt_once() {
        let input = |bytes, layout| Input { path: "x".into(), bytes, layout };
        let inputs = [
            input(1000, Layout::Parts(Format::Fasta)),
            input(0, Layout::Whole),
            input(333, Layout::Gzip),
            input(17, Layout::Parts(Format::Fastq)),
        ];
        for ranks in 1..9 {
            for piece in [1, 7, 100, 5000] {
                let units: Vec<Unit> = deal(&inputs, piece, ranks).into_iter().flatten().collect();
                for (f, input) in inputs.iter().enumerate() {
                    let mut mine: Vec<&Unit> = units.iter().filter(|u| u.file == f).collect();
                    mine.sort_by_key(|u| u.begin);
                    if matches!(input.layout, Layout::Parts(_)) {
                        assert!(mine.windows(2).all(|p| p[0].end == p[1].begin));
                        assert_eq!((mine[0].begin, mine.last().unwrap().end), (0, input.bytes));
                    } else {
                        assert_eq!(mine.len(), 1);
                    }
                }
            }
        }
    }

    #[test]
    fn parts_that_do_not_meet_are_found() {
        let fastq = |bytes| Input { path: "x.fq".into(), bytes, layout: Layout::Parts(Format::Fastq) };
        let check = |joints: &[[u64; 2]]| {
            let joints = joints.iter().map(|&[begin, end]| Joint { file: 0, begin, end }).collect();
            check_joints(&[fastq(90)], joints).map_err(|e| e.to_string())
        };
        assert_eq!(check(&[[40, 90], [0, 40]]), Ok(()));
        for bad in [&[[0, 40], [50, 90]][..], &[[0, 60], [50, 90]], &[[0, 50]], &[[10, 90]], &[]] {
            assert!(check(bad).unwrap_err().contains("x.fq: its parts do not meet"), "{bad:?}");
        }
    }

    #[test]
    fn borders_of_records() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.fq");
        // A quality line that looks like a header, and a sequence line behind it.
        let text = "@a\nACGT\n+\n@III\n@b\nGG\n+\nII\n";
        std::fs::write(&path, text).unwrap();
        let mut file = File::open(&path).unwrap();
        for begin in 1..text.len() as u64 {
            let expected = (begin <= 15).then_some(15);
            assert_eq!(border(&mut file, Format::Fastq, begin, text.len() as u64).unwrap(), expected, "from {begin}");
        }
        assert_eq!(border(&mut file, Format::Fastq, 3, 15).unwrap(), None);
        assert_eq!(border(&mut file, Format::Fasta, 3, 100).unwrap(), Some(3));
    }
}
