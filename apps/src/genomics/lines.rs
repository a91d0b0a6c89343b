//! Where lines end: with a line feed, or a carriage return and a line feed. A carriage return alone is no end, nor anything
//! else that may be in a file of sequences: in files of old Macs all would be one line.
//!
//! All of this is given text whose last byte is no carriage return, unless a line feed follows; the parser holds one back
//! until it knows.

use memchr::{memchr, memchr3};

/// How many bytes the line end has that is here; 0 if there is none.
///
/// # Errors
/// At a carriage return alone.
pub(super) fn end(text: &[u8]) -> Result<usize, u8> {
    match text {
        [b'\n', ..] => Ok(1),
        [b'\r', b'\n', ..] => Ok(2),
        [b'\r', ..] => Err(b'\r'),
        _ => Ok(0),
    }
}

/// The rest of a line without its end, and how many bytes it has with its end, if that is here. Carriage returns inside are
/// left to whoever looks at the letters.
pub(super) fn line(text: &[u8]) -> (&[u8], Option<usize>) {
    match memchr(b'\n', text) {
        None => (text, None),
        Some(end) => (text[..end].strip_suffix(b"\r").unwrap_or(&text[..end]), Some(end + 1)),
    }
}

/// How many bytes the rest of a line has with its end, if that is here.
///
/// # Errors
/// The first byte, and where it is, that cannot be in a line of any text: NUL, or a carriage return alone.
pub(super) fn skip(text: &[u8]) -> Result<Option<usize>, (usize, u8)> {
    let Some(at) = memchr3(b'\n', b'\r', 0, text) else { return Ok(None) };
    match end(&text[at..]) {
        Ok(0) => Err((at, text[at])),
        Ok(end) => Ok(Some(at + end)),
        Err(byte) => Err((at, byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::texts::read;

    #[test]
    fn a_return_is_part_of_a_line_end_or_refused() {
        assert_eq!(read(">a\r\nAC\r\n\r\nGT\n>b\nT").unwrap(), ["ACGT", "T"]);
        for (text, byte) in [
            (">a\rACGT\r", 2),
            (">a\nA\rC\n", 4),
            (">a\nAC\r\r\n", 5),
            (">a\nAC\n\rAC\n", 6),
            (">a\nAC\r", 5),
            (">a\r", 2),
            ("\r>a\n", 0),
            ("\r", 0),
            ("@r\rx\nA\n+\nI\n", 2),
            ("@r\nA\rC\n+\nIII\n", 4),
            ("@r\nA\n+\r+\nI\n", 6),
            ("@r\nA\n+\nI\r", 8),
            ("@r\nAC\n+\nI\rI\n", 9),
            ("@r\nAC\n+\nII\rI\n", 10),
            ("@r\nAC\n+\nII\n\r@", 11),
        ] {
            let bad = read(text).unwrap_err();
            assert!(bad.what.starts_with("a carriage return without a line feed behind it"), "{text:?}: {bad}");
            assert_eq!(bad.offset, byte, "{text:?}");
        }
    }

    #[test]
    fn nul_in_a_header_is_refused() {
        let why = |text: &str| read(text).unwrap_err().to_string();
        assert_eq!(why(">a\0\0\nACGT\n"), "byte 0x00 in a header line: the file is damaged (byte 2)");
        assert!(
            why("@a\nA\n+\0\nI\n").contains("byte 0x00 in a header line: the file is damaged (byte 6, in the record")
        );
        assert_eq!(read(">a\tx > y\u{1}é\nA\n").unwrap(), ["A"]); // as they are in some databases
    }
}
