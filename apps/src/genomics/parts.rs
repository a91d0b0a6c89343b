//! Who reads what: files cut into *units* that are dealt out to ranks.
//!
//! A unit is a part of some megabytes of a plain file, which any rank can read by itself, or a whole file. Every rank computes
//! the same deal, so nothing is said about it.
//!
//! Where a part begins inside a file its reader must find the next border by itself: in FASTA the next line, in FASTQ of four
//! lines the next line with `@` whose second next begins with `+` (a sequence cannot). A file that is something else further
//! behind than rank 0 looked could fool that, or one that changes. So every part also says where it ended, and the ends
//! must meet the begins of the next: no line is missed or taken twice in silence.

use super::input::{BadInput, Input, Layout};
use super::parse::Format;
use memchr::memchr;
use std::io::{self, Read, Seek, SeekFrom};

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

/// The units of each rank: parts in contiguous, nearly equal shares; whole files to whom has least; streams to rank 0.
pub fn deal(inputs: &[Input], piece_bytes: u64, ranks: u32) -> Vec<Vec<Unit>> {
    let piece_bytes = piece_bytes.max(1);
    let mut units: Vec<Vec<Unit>> = vec![Vec::new(); ranks as usize];
    let mut load = vec![0u64; ranks as usize];
    let mut whole: Vec<usize> = (0..inputs.len()).filter(|&f| !matches!(inputs[f].layout, Layout::Parts(_))).collect();
    whole.sort_by_key(|&f| std::cmp::Reverse(inputs[f].bytes));
    for file in whole {
        let least = (0..load.len()).min_by_key(|&r| load[r]).expect("a rank");
        let owner = if inputs[file].layout == Layout::Stream { 0 } else { least };
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

/// The first border in `begin..end`, where `begin > 0`: of lines in FASTA, of records in FASTQ.
pub(super) fn border(file: &mut (impl Read + Seek), format: Format, begin: u64, end: u64) -> io::Result<Option<u64>> {
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

/// Where the reading of a part began and ended. Parts in which no line or record begins have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joint {
    /// The index of the file.
    pub file: usize,
    /// Where the first line (FASTA) or record (FASTQ) of the part begins.
    pub begin: u64,
    /// Where the first one behind the part begins, or the file ends.
    pub end: u64,
}

/// Whether the parts of each file met, from its first byte to its last. `joints` of all ranks.
///
/// # Errors
/// Names the file where they did not.
pub fn check_joints(inputs: &[Input], mut joints: Vec<Joint>) -> Result<(), BadInput> {
    joints.sort_by_key(|j| (j.file, j.begin));
    for (file, input) in inputs.iter().enumerate().filter(|(_, i)| matches!(i.layout, Layout::Parts(_))) {
        let apart = |end: u64, begin: &str| {
            let why = match input.layout {
                Layout::Parts(Format::Fastq) => "it has records of other than four lines: count it with --whole-files",
                _ => "it changed meanwhile: count it when nothing writes to it any more",
            };
            let what = format!("its parts do not meet: one ends at byte {end}, {begin}; {why}");
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
        let input = |bytes, layout| Input { path: "x".into(), bytes, modified: None, layout };
        let inputs = [
            input(1000, Layout::Parts(Format::Fasta)),
            input(0, Layout::Whole),
            input(0, Layout::Stream),
            input(333, Layout::Gzip),
            input(17, Layout::Parts(Format::Fastq)),
        ];
        for ranks in 1..9 {
            for piece in [1, 7, 100, 5000] {
                let dealt = deal(&inputs, piece, ranks);
                let streams = |units: &[Unit]| units.iter().filter(|u| inputs[u.file].layout == Layout::Stream).count();
                assert_eq!(streams(&dealt[0]), 1, "rank 0 reads streams");
                let units: Vec<Unit> = dealt.into_iter().flatten().collect();
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
        for format in [Format::Fasta, Format::Fastq] {
            let input = Input { path: "x".into(), bytes: 90, modified: None, layout: Layout::Parts(format) };
            let check = |joints: &[[u64; 2]]| {
                let joints = joints.iter().map(|&[begin, end]| Joint { file: 0, begin, end }).collect();
                check_joints(std::slice::from_ref(&input), joints).map_err(|e| e.to_string())
            };
            assert_eq!(check(&[[40, 90], [0, 40]]), Ok(()));
            for bad in [&[[0, 40], [50, 90]][..], &[[0, 60], [50, 90]], &[[0, 50]], &[[10, 90]], &[]] {
                assert!(check(bad).unwrap_err().contains("x: its parts do not meet"), "{bad:?}");
            }
        }
    }

    #[test]
    fn borders_of_records() {
        // A quality line that looks like a header, and a sequence line behind it.
        let text = "@a\nACGT\n+\n@III\n@b\nGG\n+\nII\n";
        let mut file = io::Cursor::new(text);
        for begin in 1..text.len() as u64 {
            let expected = (begin <= 15).then_some(15);
            assert_eq!(border(&mut file, Format::Fastq, begin, text.len() as u64).unwrap(), expected, "from {begin}");
        }
        assert_eq!(border(&mut file, Format::Fastq, 3, 15).unwrap(), None);
        assert_eq!(border(&mut file, Format::Fasta, 3, 100).unwrap(), Some(3));
    }
}
