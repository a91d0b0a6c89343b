//! FASTA and FASTQ, strictly, from bytes that come in pieces of any size.
//!
//! A [`Parser`] is fed and never looks back, so it serves files, parts of files and streams alike. It accepts either case,
//! CRLF, sequences and qualities over several lines, blank lines between records, and a last line without its end. It
//! refuses what cannot be right: a FASTQ record whose qualities are not as long as its sequence, that does not begin with
//! `@`, or that is cut off.
//!
//! In FASTQ over several lines a quality line may begin with `@` or `+`: the parser goes by lengths, as Cock, Fields, Goto,
//! Heuer, Rice, "The Sanger FASTQ file format" (2010) says.

use memchr::memchr;
use std::fmt;

/// Which of the two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Format {
    /// `>` headers and sequences.
    Fasta,
    /// `@` headers, sequences, `+`, qualities.
    Fastq,
}

/// Bytes that are no FASTA or FASTQ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRecord {
    /// What is wrong.
    pub what: String,
    /// Where, in bytes from the start of the (decompressed) text.
    pub offset: u64,
    /// The how manieth record of those that this parser has seen, from 1.
    pub record: u64,
}

impl fmt::Display for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} (byte {}, record {})", self.what, self.offset, self.record)
    }
}

/// Where records' letters go.
pub trait Sink {
    /// A sequence begins.
    fn begin(&mut self);
    /// More letters of it; never an end of line. `tail`: they belong to the next part of the text too, and are here only so
    /// that windows which begin before them are whole.
    fn letters(&mut self, letters: &[u8], tail: bool);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first byte that is no blank.
    Start,
    /// At the start of a line; in FASTQ: of a record's header.
    LineStart,
    Header,
    Sequence,
    Plus,
    Quality,
    /// Behind the `+` line of an empty sequence: one blank line may follow.
    NoQuality,
    /// Told to stop before this record or line.
    Stopped,
}

/// A parser of one text.
#[derive(Clone, Debug)]
pub struct Parser {
    format: Option<Format>,
    state: State,
    offset: u64,
    record: u64,
    /// FASTQ: letters and qualities of the record.
    lengths: [u64; 2],
    /// The byte before the current one ended a line.
    at_line_start: bool,
    /// FASTQ: some record had its sequence on several lines.
    wrapped: bool,
    sequence_lines: u32,
    /// Records (FASTQ) or lines (FASTA) that begin here or later are not taken.
    stop: u64,
    /// FASTA: behind `stop`, so many letters of the same record are still taken.
    tail: u64,
    in_tail: bool,
    /// A carriage return came last, and the next byte tells whether it ends the line.
    pending_cr: bool,
}

impl Parser {
    /// A parser of a whole text; its first byte tells the format.
    pub fn new() -> Parser {
        Parser::part(None, 0, u64::MAX, 0)
    }

    /// A parser from `start`, which is where a record (FASTQ) or a line (FASTA) begins, up to the first that begins at `stop`
    /// or later. Of a FASTA record that goes on there, `tail` letters more are taken.
    pub fn part(format: Option<Format>, start: u64, stop: u64, tail: u64) -> Parser {
        Parser {
            format,
            state: if format.is_some() { State::LineStart } else { State::Start },
            offset: start,
            record: 0,
            lengths: [0; 2],
            at_line_start: true,
            wrapped: false,
            sequence_lines: 0,
            stop,
            tail,
            in_tail: false,
            pending_cr: false,
        }
    }

    /// How far the text has been read. After a stop: where the next record or line begins (FASTQ).
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether `stop` was reached.
    pub fn stopped(&self) -> bool {
        self.state == State::Stopped
    }

    /// Whether a FASTQ record had its sequence on several lines.
    pub fn wrapped(&self) -> bool {
        self.wrapped
    }

    fn bad<T>(&self, what: impl Into<String>) -> Result<T, BadRecord> {
        Err(BadRecord { what: what.into(), offset: self.offset, record: self.record })
    }

    /// Takes the next bytes of the text.
    ///
    /// # Errors
    /// If they are no FASTA or FASTQ.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Result<(), BadRecord> {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            let taken = match self.state {
                State::Stopped => return Ok(()),
                State::Start => self.start(first)?,
                State::LineStart => self.line_start(first, sink)?,
                State::Header => self.skip_line(rest, State::Sequence),
                State::Sequence => self.sequence(rest, sink)?,
                State::Plus => {
                    let after = if self.lengths[0] == 0 { State::NoQuality } else { State::Quality };
                    self.skip_line(rest, after)
                }
                State::Quality => self.quality(rest)?,
                State::NoQuality => {
                    self.state = State::LineStart;
                    usize::from(first == b'\r') + usize::from(first == b'\n')
                }
            };
            self.offset += taken as u64;
            rest = &rest[taken..];
        }
        Ok(())
    }

    fn start(&mut self, first: u8) -> Result<usize, BadRecord> {
        match first {
            b'\n' | b'\r' => return Ok(1),
            b'>' => self.format = Some(Format::Fasta),
            b'@' => self.format = Some(Format::Fastq),
            other => {
                return self.bad(format!(
                    "neither FASTA nor FASTQ: it begins with {:?}, not with '>' or '@'",
                    char::from(other)
                ));
            }
        }
        self.state = State::LineStart;
        Ok(0)
    }

    fn line_start(&mut self, first: u8, sink: &mut impl Sink) -> Result<usize, BadRecord> {
        if first == b'\n' || first == b'\r' {
            return Ok(1);
        }
        if self.offset >= self.stop && (self.format == Some(Format::Fastq) || first == b'>' || self.tail == 0) {
            self.state = State::Stopped;
            return Ok(0);
        }
        let header = if self.format == Some(Format::Fasta) { b'>' } else { b'@' };
        if first == header {
            self.record += 1;
            (self.lengths, self.sequence_lines) = ([0; 2], 0);
            sink.begin();
            self.state = State::Header;
            return Ok(1);
        }
        if self.format == Some(Format::Fastq) {
            return self.bad(format!("a FASTQ record begins with {:?}, not with '@'", char::from(first)));
        }
        (self.state, self.at_line_start, self.in_tail) = (State::Sequence, true, self.offset >= self.stop);
        Ok(0)
    }

    fn skip_line(&mut self, rest: &[u8], after: State) -> usize {
        match memchr(b'\n', rest) {
            None => rest.len(),
            Some(end) => {
                self.state = if after == State::Sequence && self.format == Some(Format::Fasta) {
                    State::LineStart
                } else {
                    after
                };
                self.at_line_start = true;
                end + 1
            }
        }
    }

    fn sequence(&mut self, rest: &[u8], sink: &mut impl Sink) -> Result<usize, BadRecord> {
        if self.format == Some(Format::Fastq) && self.at_line_start && rest[0] == b'+' {
            self.state = State::Plus;
            return Ok(1);
        }
        let (end, line, lone_cr) = self.line(rest);
        if lone_cr {
            self.take(b"\r", sink);
        }
        if self.format == Some(Format::Fastq) && self.at_line_start && !line.is_empty() {
            self.sequence_lines += 1;
            self.wrapped |= self.sequence_lines > 1;
        }
        self.take(line, sink);
        self.at_line_start = end.is_some();
        if self.in_tail && self.tail == 0 {
            self.state = State::Stopped;
        } else if end.is_some() && self.format == Some(Format::Fasta) {
            self.state = State::LineStart;
        }
        Ok(end.map_or(rest.len(), |end| end + 1))
    }

    fn take(&mut self, mut letters: &[u8], sink: &mut impl Sink) {
        if self.in_tail {
            letters = &letters[..letters.len().min(self.tail as usize)];
            self.tail -= letters.len() as u64;
        }
        self.lengths[0] += letters.len() as u64;
        sink.letters(letters, self.in_tail);
    }

    /// The rest of a line, without its end: where that is, if it has come; and whether a carriage return that came before was
    /// no part of an end.
    fn line<'b>(&mut self, rest: &'b [u8]) -> (Option<usize>, &'b [u8], bool) {
        let end = memchr(b'\n', rest);
        let line = &rest[..end.unwrap_or(rest.len())];
        let lone_cr = self.pending_cr && !line.is_empty();
        let stripped = line.strip_suffix(b"\r");
        if end.is_some() {
            self.pending_cr = false;
        } else if !line.is_empty() {
            self.pending_cr = stripped.is_some();
        }
        (end, stripped.unwrap_or(line), lone_cr)
    }

    fn quality(&mut self, rest: &[u8]) -> Result<usize, BadRecord> {
        let (end, line, lone_cr) = self.line(rest);
        let begin = self.offset - u64::from(lone_cr);
        let [letters, before] = self.lengths;
        let qualities = before + line.len() as u64 + u64::from(lone_cr);
        self.lengths[1] = qualities;
        if qualities > letters {
            self.offset = begin + (letters - before); // the first that is too many, however the text was cut into pieces
            return self.bad(format!("a FASTQ record has {letters} letters and more qualities"));
        }
        match end {
            None => Ok(rest.len()),
            Some(end) => {
                if qualities == letters {
                    self.state = State::LineStart;
                }
                Ok(end + 1)
            }
        }
    }

    /// The text ends here.
    ///
    /// # Errors
    /// If it ends inside a FASTQ record.
    pub fn finish(&self) -> Result<(), BadRecord> {
        let fastq = self.format == Some(Format::Fastq);
        let [letters, qualities] = self.lengths;
        match self.state {
            State::Quality if letters == qualities => Ok(()),
            State::Header | State::Sequence if fastq => {
                self.bad("the file ends inside a FASTQ record, before its '+' line")
            }
            State::Plus if letters > 0 => self.bad("the file ends inside a FASTQ record, in its '+' line"),
            State::Quality => {
                self.bad(format!("the file ends inside a FASTQ record, after {qualities} of {letters} qualities"))
            }
            _ => Ok(()),
        }
    }
}

impl Default for Parser {
    fn default() -> Parser {
        Parser::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Texts(Vec<String>);

    impl Sink for Texts {
        fn begin(&mut self) {
            self.0.push(String::new());
        }
        fn letters(&mut self, letters: &[u8], _: bool) {
            if self.0.is_empty() {
                self.0.push(String::new()); // a part that begins inside a record
            }
            self.0.last_mut().unwrap().push_str(std::str::from_utf8(letters).unwrap());
        }
    }

    /// The sequences, read in pieces of so many bytes.
    fn read_in(text: &str, piece: usize) -> Result<Vec<String>, BadRecord> {
        let (mut parser, mut texts) = (Parser::new(), Texts::default());
        for piece in text.as_bytes().chunks(piece) {
            parser.feed(piece, &mut texts)?;
        }
        parser.finish()?;
        Ok(texts.0)
    }

    fn read(text: &str) -> Result<Vec<String>, BadRecord> {
        let whole = read_in(text, usize::MAX);
        for piece in [1, 2, 3, 7] {
            assert_eq!(read_in(text, piece), whole, "in pieces of {piece}: {text:?}");
        }
        whole
    }

    #[test]
    fn good_files() {
        assert_eq!(read(">a\nAC\nGT\n>b\n\n>c\nT").unwrap(), ["ACGT", "", "T"]);
        assert_eq!(read(">a\r\nAC\r\nGT\r\n").unwrap(), ["ACGT"]);
        assert_eq!(read("\n\n>a x y\nacgtn\n\n").unwrap(), ["acgtn"]);
        assert_eq!(read("@r\nACG\n+\nIII\n@s\nT\n+s\n@").unwrap(), ["ACG", "T"]);
        assert_eq!(read("@r\r\nACG\r\n+\r\nIII\r\n").unwrap(), ["ACG"]);
        assert_eq!(read("@e\n\n+\n\n@s\nT\n+\nI\n").unwrap(), ["", "T"]);
        assert_eq!(read("@e\n+\n@s\nT\n+\nI\n\n").unwrap(), ["", "T"]);
        // Over several lines, with qualities that look like headers.
        assert_eq!(read("@r\nAC\nGTA\n+\n@+\n+@I\n@s\nT\n+\n+\n").unwrap(), ["ACGTA", "T"]);
        assert_eq!(read("").unwrap(), Vec::<String>::new());
        assert_eq!(read(">a\nA\rC\n").unwrap(), ["A\rC"]); // no line end: a letter that breaks k-mers
    }

    #[test]
    fn bad_files() {
        let why = |text: &str| read(text).unwrap_err().to_string();
        assert!(why("hello").contains("begins with 'h'"));
        assert_eq!(
            why("@r\nACG\n+\nII\n"),
            "the file ends inside a FASTQ record, after 2 of 3 qualities (byte 12, record 1)"
        );
        assert!(why("@r\nACG\n+\nIIII\n").contains("3 letters and more qualities"));
        assert!(why("@r\nACG\n+\nIII\nr\n").contains("begins with 'r', not with '@' (byte 13, record 1)"));
        assert!(why("@r\nACG\n").contains("before its '+' line"));
        assert!(why("@r").contains("before its '+' line"));
        assert!(why("@r\nA\n+").contains("in its '+' line"));
    }

    #[test]
    fn parts_of_fasta_have_tails() {
        let text = ">a\nACGTA\nCCC\nGG\n>b\nTT\n";
        // The line CCC begins at byte 9.
        let part = |start, stop, tail| {
            let (mut parser, mut texts) = (Parser::part(Some(Format::Fasta), start, stop, tail), Texts::default());
            parser.feed(&text.as_bytes()[start as usize..], &mut texts).unwrap();
            (texts.0, parser.stopped())
        };
        assert_eq!(part(0, 5, 2), (vec!["ACGTACC".into()], true)); // the line at 3 is its own, two letters of the next are tail
        assert_eq!(part(0, 5, 4), (vec!["ACGTACCCG".into()], true));
        assert_eq!(part(9, 10, 9), (vec!["CCCGG".into()], true)); // the tail ends with the record
        assert_eq!(part(9, 100, 9), (vec!["CCCGG".into(), "TT".into()], false));
        assert_eq!(part(0, 5, 0), (vec!["ACGTA".into()], true));
    }
}
