//! Reading a unit: from its bytes to a parser, and what makes sure that they were all there.

use super::input::{self, BadInput, Input, Layout};
use super::parse::{Format, Parser, Sink};
use super::parts::{self, Joint, Unit};
use super::refuse::BadRecord;
use super::stream::Text;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

/// How much is read at a time.
const CHUNK: usize = 256 << 10;

/// A unit being read.
pub struct Reader {
    input: Input,
    /// Unless it is a stream: to see whether it changed.
    file: Option<Arc<File>>,
    source: Source,
    parser: Parser,
    /// A part's file, and where it begins in it.
    part: Option<(usize, u64)>,
    buffer: Vec<u8>,
}

enum Source {
    /// From where the part begins to the file's end: how much of that is needed, shows only as it is read.
    Part(io::Take<Arc<File>>),
    Whole(Text),
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Reader({} at {})", self.input.path.display(), self.parser.offset())
    }
}

impl Reader {
    /// Opens a unit; `None` if nothing begins in it. `tail` is how many letters behind a FASTA part belong to windows that
    /// begin in it: k − 1.
    ///
    /// # Errors
    /// If the file cannot be read, or is not what rank 0 looked at.
    pub fn open(inputs: &[Input], unit: &Unit, tail: u64) -> Result<Option<Reader>, BadInput> {
        let input = &inputs[unit.file];
        let fail = |error: io::Error| BadInput::io(&input.path, &error, false);
        let reader = |file, source, parser, part| {
            Some(Reader { input: input.clone(), file, source, parser, part, buffer: vec![0; CHUNK] })
        };
        let whole = |source| Ok::<_, BadInput>(Source::Whole(Text::new(source).map_err(fail)?));
        if input.layout == Layout::Stream {
            let source: Box<dyn Read + Send> = match input::is_stdin(&input.path) {
                true => Box::new(io::stdin()),
                false => Box::new(File::open(&input.path).map_err(fail)?),
            };
            return Ok(reader(None, whole(source)?, Parser::new(), None));
        }
        let mut file = Arc::new(File::open(&input.path).map_err(fail)?);
        input.unchanged(&file)?;
        let Layout::Parts(format) = input.layout else {
            let source = whole(Box::new(Arc::clone(&file)))?;
            return Ok(reader(Some(file), source, Parser::new(), None));
        };
        let begin = match unit.begin {
            0 => Some(0),
            at => parts::border(&mut file, format, at, unit.end).map_err(fail)?,
        };
        let Some(begin) = begin else {
            input.unchanged(&file)?;
            return Ok(None);
        };
        file.seek(SeekFrom::Start(begin)).map_err(fail)?;
        let source = Source::Part(Arc::clone(&file).take(input.bytes - begin));
        let parser = Parser::part(format, begin, unit.end, if format == Format::Fasta { tail } else { 0 });
        Ok(reader(Some(file), source, parser, Some((unit.file, begin))))
    }

    /// Reads on, some hundred kilobytes. False at the end of the unit.
    ///
    /// # Errors
    /// If the file cannot be read, changed since rank 0 looked at it, or is no FASTA or FASTQ.
    pub fn read(&mut self, sink: &mut impl Sink) -> Result<bool, BadInput> {
        let result = self.read_some(sink);
        // What else seems to be wrong comes from the change, if there was one.
        if let (Some(file), Ok(false) | Err(_)) = (&self.file, &result) {
            self.input.unchanged(file)?;
        }
        result
    }

    fn read_some(&mut self, sink: &mut impl Sink) -> Result<bool, BadInput> {
        let path = &self.input.path;
        let gzip = matches!(&self.source, Source::Whole(text) if text.is_gzip());
        let count = loop {
            let read = match &mut self.source {
                Source::Part(file) => file.read(&mut self.buffer),
                Source::Whole(text) => text.read(&mut self.buffer),
            };
            match read {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(BadInput::io(path, &e, gzip)),
                Ok(count) => break count,
            }
        };
        if count > 0 {
            let fed = self.parser.feed(&self.buffer[..count], sink);
            fed.map_err(|bad| self.bad(&bad))?;
            return Ok(!self.parser.stopped());
        }
        let read = match &self.source {
            Source::Part(file) => self.input.bytes - file.limit(),
            Source::Whole(text) => text.taken(),
        };
        if self.file.is_some() && read != self.input.bytes {
            return Err(self.input.short(read));
        }
        self.parser.finish().map_err(|bad| self.bad(&bad))?;
        Ok(false)
    }

    fn bad(&self, bad: &BadRecord) -> BadInput {
        match &self.source {
            Source::Whole(text) => BadInput::record(&self.input.path, bad, text.is_gzip()),
            // Where records have other than four lines, the part may have begun in the middle of one.
            Source::Part(_) if self.part.is_some_and(|(_, begin)| begin > 0) && bad.record.is_some() => {
                let what = format!("{bad}; if its records have other than four lines, count it with --whole-files");
                BadInput::new(&self.input.path, what)
            }
            Source::Part(_) => BadInput::record(&self.input.path, bad, false),
        }
    }

    /// Where this part of a file began and ended, to be compared with its neighbours'; at its end.
    pub fn joint(&self) -> Option<Joint> {
        self.part.map(|(file, begin)| Joint { file, begin, end: self.parser.end() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genomics::kmer::{self, Strange};
    use std::fs;
    use std::path::Path;

    struct Nothing;

    impl Sink for Nothing {
        fn begin(&mut self) {}
        fn letters(&mut self, letters: &[u8], _: bool) -> Result<(), Strange> {
            kmer::check(letters)
        }
    }

    /// Looks at a file of some megabytes, reads a little of it, lets it change, and reads on.
    fn read_while(path: &Path, whole: bool, text: &str, change: impl Fn(&File)) -> Result<(), String> {
        fs::write(path, text).unwrap();
        let inputs = [input::look(path, whole, input::LOOK).unwrap()];
        let unit = Unit { file: 0, begin: 0, end: if whole { u64::MAX } else { inputs[0].bytes } };
        let mut reader = Reader::open(&inputs, &unit, 3).unwrap().unwrap();
        assert!(reader.read(&mut Nothing).unwrap());
        change(&File::options().append(true).open(path).unwrap());
        while reader.read(&mut Nothing).map_err(|e| e.to_string())? {}
        assert_eq!(reader.joint().map(|j| j.end), (!whole).then_some(inputs[0].bytes));
        Ok(())
    }

    #[test]
    fn files_that_change_are_never_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.fa");
        let (line, record) = (format!("{}\n", "ACGT".repeat(15)), "@r\nACGT\n+\nIIII\n");
        let texts = [format!(">x\n{}", line.repeat(30_000)), record.repeat(100_000)];
        for (text, whole) in texts.iter().zip([false, true]).chain(texts.iter().zip([true, false])) {
            let changed = |change: &dyn Fn(&File)| {
                let said = read_while(&path, whole, text, change).unwrap_err();
                let words =
                    format!("x.fa: it changed after the job had begun: it had {} bytes, changed last at", text.len());
                assert!(said.contains(&words) && said.contains("; now it has "), "{said}");
            };
            assert_eq!(read_while(&path, whole, text, |_| {}), Ok(()));
            // To the end of a line, of a record, and in the middle of one.
            for len in [61 * 20_000 + 3, 15 * 90_000, 15 * 90_000 + 7] {
                changed(&|file| file.set_len(len).unwrap());
            }
            changed(&|file| io::Write::write_all(&mut &*file, text.as_bytes()).unwrap());
            // As long as it was.
            changed(&|file| file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap());
        }
    }

    #[test]
    fn a_file_is_what_rank_0_looked_at_or_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.fa");
        fs::write(&path, ">x\nACGT\nACGT\n").unwrap();
        let inputs = [input::look(&path, false, input::LOOK).unwrap()];
        fs::write(&path, ">x\nACGT\nACGT\n>y\nACGT\n").unwrap();
        for (begin, end) in [(0, 5), (5, 13), (6, 7)] {
            let said = Reader::open(&inputs, &Unit { file: 0, begin, end }, 3).unwrap_err().to_string();
            assert!(said.contains("it had 13 bytes, ") && said.contains("now it has 21 bytes, "), "{said}");
        }
    }
}
