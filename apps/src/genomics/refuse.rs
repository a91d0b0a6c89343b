//! What is refused in FASTA and FASTQ, and in which words.
//!
//! A byte that cannot be where it is means that files were joined or damaged, or that they are something else. A program
//! that skips such a byte, or breaks k-mers at it, counts what nobody meant; so each is an error that says what was seen,
//! where, and what to do.
//!
//! | where | may be there | refused |
//! |---|---|---|
//! | sequence | letters in either case, `-`, `.`, `*` | all else, spaces and tabs too: Jellyfish breaks k-mers there, others skip them |
//! | qualities | `!` to `~` | all else |
//! | header and `+` line | all but the refused | NUL; a carriage return that is no part of a line end |
//!
//! How lines end is in `lines.rs`; the last line of a text may lack its end.

use std::fmt;

/// Bytes that are no FASTA or FASTQ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRecord {
    /// What is wrong, and what to do.
    pub what: String,
    /// Where, in bytes from the start of the (decompressed) text.
    pub offset: u64,
    /// Where the FASTQ record begins that this is in, in the same way.
    pub record: Option<u64>,
}

impl fmt::Display for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} (byte {}", self.what, self.offset)?;
        match self.record {
            Some(record) => write!(f, ", in the record that begins at byte {record})"),
            None => write!(f, ")"),
        }
    }
}

/// A byte as people call it.
pub(super) fn seen(byte: u8) -> String {
    match byte {
        b' ' => "a space".into(),
        b'\t' => "a tab".into(),
        b'\r' => "a carriage return".into(),
        b'!'..=b'~' => format!("'{}'", char::from(byte)),
        _ => format!("byte 0x{byte:02x}"),
    }
}

/// A carriage return that is no part of a line end.
fn lone_return() -> String {
    "a carriage return without a line feed behind it is no line end: convert the line ends, for example with \
     `tr '\\r' '\\n'`"
        .into()
}

/// A byte that cannot be in a sequence.
pub(super) fn in_sequence(byte: u8) -> String {
    let what = match byte {
        b'\r' => return lone_return(),
        b'>' => "two files seem to be joined without a line end between them, put one there",
        b'@' | b'+' => "FASTQ seems to follow FASTA, or a record has lost a line; give each format a file of its own",
        b' ' | b'\t' => "some programs skip it and others break k-mers there, so take it out",
        _ => "only letters, '-', '.' and '*' can be there; the file is damaged, or no FASTA or FASTQ",
    };
    format!("{} in a sequence: {what}", seen(byte))
}

/// A byte that cannot be among qualities.
pub(super) fn in_qualities(byte: u8) -> String {
    match byte {
        b'\r' => lone_return(),
        _ => format!("{} among qualities: only '!' to '~' can be there; the file is damaged, or no FASTQ", seen(byte)),
    }
}

/// A byte that cannot be in a header or a `+` line, nor where a line begins.
pub(super) fn in_header(byte: u8) -> String {
    match byte {
        b'\r' => lone_return(),
        _ => format!("{} in a header line: the file is damaged", seen(byte)),
    }
}

/// The first byte that cannot be among qualities.
pub(super) fn no_quality(bytes: &[u8]) -> Option<usize> {
    // How far behind the last that can be there, counted from the first; 0 for all that can.
    let beyond = |byte: u8| byte.wrapping_sub(b'!').saturating_sub(b'~' - b'!');
    // All of them first, which is done many at a time.
    match bytes.iter().fold(0, |any, &byte| any | beyond(byte)) {
        0 => None,
        _ => bytes.iter().position(|&byte| beyond(byte) > 0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::texts::read;
    use super::*;

    #[test]
    fn bytes_that_cannot_be_there_are_named() {
        let why = |text: &str| read(text).unwrap_err().to_string();
        assert_eq!(why("hello"), "neither FASTA nor FASTQ: it begins with 'h', not with '>' or '@' (byte 0)");
        assert_eq!(
            why(">a\nACGT>b\nAC\n"), // as by cat, when the first file lacks its last line end
            "'>' in a sequence: two files seem to be joined without a line end between them, put one there (byte 7)"
        );
        assert!(why(">a\nAC\n@r\nAC\n+\nII\n").contains("'@' in a sequence: FASTQ seems to follow FASTA, or"));
        assert!(why(">a\nAC\n+\n").contains("'+' in a sequence: FASTQ seems to follow FASTA, or"));
        for (text, seen) in [
            (">a\nAC\0GT\n", "byte 0x00"),
            (">a\nAC\u{1b}GT\n", "byte 0x1b"),
            (">a\nACéGT\n", "byte 0xc3"),
            (">a\nAC1GT\n", "'1'"),
            (">a\nAC;GT\n", "';'"),
        ] {
            let words = format!("{seen} in a sequence: only letters, '-', '.' and '*' can be there");
            assert!(why(text).starts_with(&words) && why(text).ends_with("(byte 5)"), "{text:?}: {}", why(text));
        }
        assert!(why(">a\nAC GT\n").contains("a space in a sequence: some programs skip it and others"));
        assert!(why(">a\nACGT\t\n").contains("a tab in a sequence: some programs skip it and others"));
    }

    #[test]
    fn qualities_are_graphic() {
        let all: Vec<u8> = (b'!'..=b'~').collect();
        assert_eq!(no_quality(&all), None);
        for byte in (0..=b' ').chain(0x7f..=0xff) {
            assert_eq!(no_quality(&[&all[..], &[byte], b" "].concat()), Some(all.len()), "{byte}");
        }
    }

    #[test]
    fn bytes_have_names() {
        assert_eq!(
            (seen(b'>'), seen(0), seen(b' '), seen(0xef)),
            ("'>'".into(), "byte 0x00".into(), "a space".into(), "byte 0xef".into())
        );
    }
}
