//! FASTA and FASTQ, strictly, from bytes that come in pieces of any size.
//!
//! A [`Parser`] is fed and never looks back, so it serves files, parts of files and streams alike. It accepts either case,
//! CRLF, sequences and qualities over several lines, blank lines between records, and a last line without its end. It
//! refuses what cannot be right: bytes that cannot be where they are (`refuse.rs` lists them), and a FASTQ record
//! whose qualities are not as long as its sequence, that does not begin with `@`, or that is cut off.
//!
//! What always holds: the pieces do not matter, errors too are the same for all. A part of FASTQ is held to more than a whole
//! text, to four lines a record, for the reason that `fastq.rs` gives.

use super::fastq::Record;
use super::kmer::Strange;
use super::lines;
use super::refuse::{self, BadRecord};

/// Which of the two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Format {
    /// `>` headers and sequences.
    Fasta,
    /// `@` headers, sequences, `+`, qualities.
    Fastq,
}

/// Where records' letters go.
pub trait Sink {
    /// A sequence begins.
    fn begin(&mut self);
    /// More letters of it; never an end of line. `tail`: they belong to the next part of the text too, and are here only so
    /// that windows which begin before them are whole.
    ///
    /// # Errors
    /// If a byte cannot be in a sequence: the sink looks at each in any case, so it is the one who checks.
    fn letters(&mut self, letters: &[u8], tail: bool) -> Result<(), Strange>;
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
    /// Told to stop before this record or line.
    Stopped,
}

/// A parser of one text.
#[derive(Clone, Debug)]
pub struct Parser {
    format: Option<Format>,
    state: State,
    offset: u64,
    /// FASTQ: of the record being read.
    record: Record,
    /// The byte before the current one ended a line.
    at_line_start: bool,
    /// FASTQ: a record of other than four lines is refused.
    four_lines: bool,
    /// FASTQ: some record has other than four lines.
    wrapped: bool,
    /// Records (FASTQ) or lines (FASTA) that begin here or later are not taken.
    stop: u64,
    /// Where the first of those begins, if it has been seen.
    end: Option<u64>,
    /// FASTA: behind `stop`, so many letters of the same record are still taken.
    tail: u64,
    in_tail: bool,
    /// The last byte fed is a carriage return, held back until the next one tells whether it ends the line.
    held_return: bool,
}

impl Parser {
    /// A parser of a whole text; its first byte tells the format.
    pub fn new() -> Parser {
        Parser::begin(None, 0, u64::MAX, 0)
    }

    /// A parser from `start`, which is where a record (FASTQ) or a line (FASTA) begins, up to the first that begins at `stop`
    /// or later. Of a FASTA record that goes on there, `tail` letters more are taken.
    pub fn part(format: Format, start: u64, stop: u64, tail: u64) -> Parser {
        Parser::begin(Some(format), start, stop, tail)
    }

    fn begin(format: Option<Format>, start: u64, stop: u64, tail: u64) -> Parser {
        Parser {
            format,
            state: if format.is_some() { State::LineStart } else { State::Start },
            offset: start,
            record: Record::default(),
            at_line_start: true,
            four_lines: format.is_some(),
            wrapped: false,
            stop,
            end: None,
            tail,
            in_tail: false,
            held_return: false,
        }
    }

    /// The format, once its first byte has been seen.
    pub fn format(&self) -> Option<Format> {
        self.format
    }

    /// How far the text has been read.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether `stop` was reached, and nothing more is needed.
    pub fn stopped(&self) -> bool {
        self.state == State::Stopped
    }

    /// After the last byte, or a stop: where the first record (FASTQ) or line (FASTA) begins that is not taken.
    pub fn end(&self) -> u64 {
        self.end.unwrap_or(self.offset)
    }

    /// Whether a FASTQ record had other than four lines.
    pub fn wrapped(&self) -> bool {
        self.wrapped
    }

    /// Something is wrong `ahead` bytes from here.
    fn bad<T>(&self, ahead: usize, what: impl Into<String>) -> Result<T, BadRecord> {
        let inside = self.format == Some(Format::Fastq) && !matches!(self.state, State::Start | State::LineStart);
        let offset = self.offset + ahead as u64;
        Err(BadRecord { what: what.into(), offset, record: inside.then_some(self.record.begin) })
    }

    /// Takes the next bytes of the text.
    ///
    /// # Errors
    /// If they are no FASTA or FASTQ.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Result<(), BadRecord> {
        let mut rest = bytes;
        if self.stopped() || rest.is_empty() {
            return Ok(());
        }
        // A carriage return is looked at only together with what follows it.
        if std::mem::take(&mut self.held_return) {
            if rest[0] != b'\n' {
                return self.bad(0, refuse::in_header(b'\r'));
            }
            self.step(b"\r\n", sink)?;
            rest = &rest[1..];
        }
        if let [before @ .., b'\r'] = rest {
            (self.held_return, rest) = (true, before);
        }
        self.step(rest, sink)
    }

    fn step(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Result<(), BadRecord> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = match self.state {
                State::Stopped => return Ok(()),
                State::Start => self.start(rest)?,
                State::LineStart => self.line_start(rest, sink)?,
                State::Header => {
                    let fasta = self.format == Some(Format::Fasta);
                    self.skip_line(rest, if fasta { State::LineStart } else { State::Sequence })?
                }
                State::Sequence => self.sequence(rest, sink)?,
                State::Plus => {
                    // A blank line of no qualities is skipped where the next record begins.
                    let after = if self.record.is_empty() { State::LineStart } else { State::Quality };
                    self.skip_line(rest, after)?
                }
                State::Quality => self.quality(rest)?,
            };
            self.offset += taken as u64;
            rest = &rest[taken..];
        }
        Ok(())
    }

    fn start(&mut self, rest: &[u8]) -> Result<usize, BadRecord> {
        match self.blank(rest)? {
            0 => {}
            blank => return Ok(blank),
        }
        self.format = match rest[0] {
            b'>' => Some(Format::Fasta),
            b'@' => Some(Format::Fastq),
            other => {
                let seen = refuse::seen(other);
                return self.bad(0, format!("neither FASTA nor FASTQ: it begins with {seen}, not with '>' or '@'"));
            }
        };
        self.state = State::LineStart;
        Ok(0)
    }

    /// How many bytes of a line's end are here.
    fn blank(&self, rest: &[u8]) -> Result<usize, BadRecord> {
        lines::end(rest).or_else(|byte| self.bad(0, refuse::in_header(byte)))
    }

    fn line_start(&mut self, rest: &[u8], sink: &mut impl Sink) -> Result<usize, BadRecord> {
        let (first, fasta, behind) = (rest[0], self.format == Some(Format::Fasta), self.offset >= self.stop);
        if fasta && behind {
            self.end.get_or_insert(self.offset); // blank lines too belong to the part that they begin in
        }
        match self.blank(rest)? {
            0 => {}
            blank => return Ok(blank),
        }
        if behind && (!fasta || first == b'>' || self.tail == 0) {
            self.end.get_or_insert(self.offset);
            self.state = State::Stopped;
            return Ok(0);
        }
        if first == if fasta { b'>' } else { b'@' } {
            self.record = Record::at(self.offset);
            sink.begin();
            self.state = State::Header;
            return Ok(1);
        }
        if !fasta {
            return self.bad(0, format!("a FASTQ record begins with {}, not with '@'", refuse::seen(first)));
        }
        (self.state, self.at_line_start, self.in_tail) = (State::Sequence, true, behind);
        Ok(0)
    }

    fn skip_line(&mut self, rest: &[u8], after: State) -> Result<usize, BadRecord> {
        match lines::skip(rest) {
            Err((at, byte)) => self.bad(at, refuse::in_header(byte)),
            Ok(None) => Ok(rest.len()),
            Ok(Some(taken)) => {
                (self.state, self.at_line_start) = (after, true);
                Ok(taken)
            }
        }
    }

    fn sequence(&mut self, rest: &[u8], sink: &mut impl Sink) -> Result<usize, BadRecord> {
        let fastq = self.format == Some(Format::Fastq);
        if fastq && self.at_line_start && rest[0] == b'+' {
            self.record.plus();
            self.four_lines()?;
            self.state = State::Plus;
            return Ok(1);
        }
        let (mut letters, end) = lines::line(rest);
        if self.in_tail {
            letters = &letters[..letters.len().min(self.tail as usize)];
            self.tail -= letters.len() as u64;
        }
        if let Err(Strange(at)) = sink.letters(letters, self.in_tail) {
            return self.bad(at, refuse::in_sequence(letters[at]));
        }
        self.record.letters(letters.len(), end.is_some());
        self.at_line_start = end.is_some();
        if self.in_tail && self.tail == 0 {
            self.state = State::Stopped;
        } else if end.is_some() && !fastq {
            self.state = State::LineStart;
        }
        Ok(end.unwrap_or(rest.len()))
    }

    fn quality(&mut self, rest: &[u8]) -> Result<usize, BadRecord> {
        let (qualities, end) = lines::line(rest);
        match self.record.qualities(qualities, end.is_some()) {
            Err((at, what)) => return self.bad(at, what),
            Ok(true) => self.state = State::LineStart,
            Ok(false) => self.four_lines()?,
        }
        Ok(end.unwrap_or(rest.len()))
    }

    /// Sees to records of other than four lines.
    fn four_lines(&mut self) -> Result<(), BadRecord> {
        self.wrapped |= self.record.wrapped();
        if self.four_lines && self.record.wrapped() {
            let what = "a FASTQ record has other than four lines, and the file was to be read in parts: count it with \
                        --whole-files";
            return Err(BadRecord { what: what.into(), offset: self.record.begin, record: None });
        }
        Ok(())
    }

    /// The text ends here.
    ///
    /// # Errors
    /// If it ends inside a FASTQ record, or in the middle of a line's end.
    pub fn finish(&self) -> Result<(), BadRecord> {
        if self.held_return && !self.stopped() {
            return self.bad(0, refuse::in_header(b'\r'));
        }
        let fastq = self.format == Some(Format::Fastq);
        match self.state {
            State::Header | State::Sequence if fastq => {
                self.bad(0, "the file ends inside a FASTQ record, before its '+' line: it is cut off")
            }
            State::Plus if !self.record.is_empty() => {
                self.bad(0, "the file ends inside a FASTQ record, in its '+' line: it is cut off")
            }
            State::Quality => self.record.ends().or_else(|what| self.bad(0, what)),
            _ => Ok(()),
        }
    }
}

impl Default for Parser {
    fn default() -> Parser {
        Parser::new()
    }
}
