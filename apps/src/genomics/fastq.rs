//! One FASTQ record while it is read: how many letters, qualities and lines it has.
//!
//! In FASTQ over several lines a quality line may begin with `@` or `+`, so only lengths tell where a record ends, as Cock,
//! Fields, Goto, Heuer, Rice, "The Sanger FASTQ file format" (2010) says. Whoever starts in the middle of a file has no
//! lengths to go by. So in a part of a file each record must have its four lines: then every line with `@` whose second next
//! begins with `+` is a header, since a sequence cannot begin with `+`; and a record is never found at one border of
//! parts and not at another. What counts as four lines is the same for all borders: a header, one line of letters, maybe
//! none of them, the `+` line, one line of qualities. Blank lines may stand between records.

use super::refuse;

/// Lengths and lines of a record so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    /// Where it begins.
    pub(super) begin: u64,
    letters: u64,
    qualities: u64,
    /// Lines of letters that have ended.
    lines: u64,
    /// It has other than four lines.
    wrapped: bool,
}

impl Record {
    /// A record that begins here.
    pub(super) fn at(begin: u64) -> Record {
        Record { begin, ..Record::default() }
    }

    /// Takes letters, and maybe the end of their line.
    pub(super) fn letters(&mut self, count: usize, ended: bool) {
        self.letters += count as u64;
        self.lines += u64::from(ended);
    }

    /// The `+` line has come.
    pub(super) fn plus(&mut self) {
        self.wrapped |= self.lines != 1;
    }

    /// Whether there is nothing to be qualified: then the line of qualities is blank, or is not there.
    pub(super) fn is_empty(&self) -> bool {
        self.letters == 0
    }

    /// Whether it is known to have other than four lines.
    pub(super) fn wrapped(&self) -> bool {
        self.wrapped
    }

    /// Takes qualities, and maybe the end of their line; whether the record is complete.
    ///
    /// # Errors
    /// Where it is wrong in these bytes, and what.
    pub(super) fn qualities(&mut self, bytes: &[u8], ended: bool) -> Result<bool, (usize, String)> {
        let room = (self.letters - self.qualities) as usize;
        // Of two mistakes the first is told, however the text was cut into pieces.
        if let Some(at) = refuse::no_quality(bytes).filter(|&at| at <= room) {
            return Err((at, refuse::in_qualities(bytes[at])));
        }
        if bytes.len() > room {
            return Err((room, format!("a FASTQ record has {} letters and more qualities", self.letters)));
        }
        self.qualities += bytes.len() as u64;
        self.wrapped |= ended && bytes.len() < room;
        Ok(ended && bytes.len() == room)
    }

    /// Whether the text may end among the qualities.
    ///
    /// # Errors
    /// If not, what is wrong.
    pub(super) fn ends(&self) -> Result<(), String> {
        let Record { letters, qualities, .. } = self;
        match letters == qualities {
            true => Ok(()),
            false => Err(format!(
                "the file ends inside a FASTQ record, after {qualities} of {letters} qualities: it is cut off"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::{Format, Parser};
    use super::super::texts::{read, read_part, wrapped};

    #[test]
    fn good_files() {
        assert_eq!(read("@r\nACG\n+\nIII\n@s\nT\n+s\n@").unwrap(), ["ACG", "T"]);
        assert_eq!(read("@r\r\nACG\r\n+\r\nIII\r\n").unwrap(), ["ACG"]);
        assert_eq!(read("@e\n\n+\n\n@s\nT\n+\nI\n").unwrap(), ["", "T"]);
        assert_eq!(read("@e\n+\n@s\nT\n+\nI\n\n").unwrap(), ["", "T"]);
        assert_eq!(read("@e\n\n+\n@s\nT\n+\nI\r\n\r\n").unwrap(), ["", "T"]);
        // Over several lines, with qualities that look like headers.
        assert_eq!(read("@r\nAC\nGTA\n+\n@+\n+@I\n@s\nT\n+\n+\n").unwrap(), ["ACGTA", "T"]);
    }

    #[test]
    fn bad_files() {
        let why = |text: &str| read(text).unwrap_err().to_string();
        assert_eq!(
            why("@r\nA\n+\nI\n@r\nACG\n+\nII\n"),
            "the file ends inside a FASTQ record, after 2 of 3 qualities: it is cut off (byte 21, in the record that begins \
             at byte 9)"
        );
        assert!(why("@r\nACG\n+\nIIII\n").contains("3 letters and more qualities (byte 12, in the record"));
        assert!(why("@r\nACG\n+\nIII\nr\n").contains("begins with 'r', not with '@' (byte 13)"));
        assert!(why("@r\nACG\n+\nIII\n>r\nACG\n").contains("begins with '>', not with '@' (byte 13)"));
        assert!(why("@r\nACG\n").contains("before its '+' line"));
        assert!(why("@r").contains("before its '+' line"));
        assert!(why("@r\nA\n+").contains("in its '+' line"));
        assert!(why("@r\nACG\nIII\n@s\nA\n+\nI\n").contains("'@' in a sequence: FASTQ seems to follow FASTA, or"));
        assert!(why("@r\nACG\n+\nI I\n").contains("a space among qualities: only '!' to '~' can be there"));
        assert!(why("@r\nACG\n+\nI\0I\n").contains("byte 0x00 among qualities"));
    }

    /// What could be taken for something else by one who starts in the middle.
    #[test]
    fn records_of_other_than_four_lines_are_known() {
        for four in ["@e\n\n+\n\n", "@e\n\n+\n", "@r\nA\n+\nI\n\n\n", "\n@r\r\nA\r\n+\r\nI"] {
            assert!(!wrapped(four), "{four:?}");
        }
        for other in [
            "@e\n+\n",
            "@r\n\nA\n+\nI\n",
            "@r\nA\n\n+\nI\n",
            "@r\nA\nA\n+\nII\n",
            "@r\nAA\n+\nI\nI\n",
            "@r\nA\n+\n\nI\n",
        ] {
            assert!(wrapped(other), "{other:?}");
        }
    }

    #[test]
    fn parts_of_fastq_have_four_lines() {
        let part = |text: &str, start, stop| {
            read_part(Parser::part(Format::Fastq, start, stop, 0), text).map_err(|e| e.to_string())
        };
        let text = "@r\nAC\n+\n@I\n\n@s\nT\n+\nI\n";
        assert_eq!(part(text, 0, 3), Ok(("AC".into(), 12)));
        assert_eq!(part(text, 12, 99), Ok(("T".into(), 21)));
        for wrapped in ["@r\nAC\n+\nI\nI\n", "@r\nA\nC\n+\nII\n", "@e\n+\n\n"] {
            let said = part(wrapped, 0, 99).unwrap_err();
            assert!(said.contains("other than four lines") && said.ends_with("--whole-files (byte 0)"), "{said}");
        }
    }
}
