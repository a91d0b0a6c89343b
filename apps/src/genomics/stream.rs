//! The text of a whole file or of a stream, decompressed if it is gzip.
//!
//! Its first two bytes tell whether it is. Gzip may have several members one behind the other, and zeros behind the last, as
//! tapes and some programs leave them; anything else behind it is an error, because nobody knows what it was to be.

use super::input::GZIP;
use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};
use std::mem;

/// Bytes read and counted.
struct Counted {
    inner: Box<dyn Read + Send>,
    bytes: u64,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.inner.read(into) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(count) => {
                    self.bytes += count as u64;
                    return Ok(count);
                }
            }
        }
    }
}

/// What is read: the bytes that were looked at, and the rest.
type Raw = BufReader<Chain<Cursor<Vec<u8>>, Counted>>;

enum State {
    Plain(Raw),
    /// In a member; whether it is the first, and where it begins.
    Member(Box<GzDecoder<Raw>>, bool, u64),
    /// At the end, after so many bytes.
    End(u64),
}

/// A text from begin to end.
pub struct Text {
    state: State,
    gzip: bool,
}

impl Text {
    /// Looks at the first two bytes.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn new(source: Box<dyn Read + Send>) -> io::Result<Text> {
        let mut source = Counted { inner: source, bytes: 0 };
        let mut head = Vec::new();
        (&mut source).take(GZIP.len() as u64).read_to_end(&mut head)?;
        let gzip = head == GZIP;
        let raw = BufReader::with_capacity(64 << 10, Cursor::new(head).chain(source));
        let state = if gzip { State::Member(Box::new(GzDecoder::new(raw)), true, 0) } else { State::Plain(raw) };
        Ok(Text { state, gzip })
    }

    /// Whether it is decompressed.
    pub fn is_gzip(&self) -> bool {
        self.gzip
    }

    /// How many bytes were read, before decompression.
    pub fn taken(&self) -> u64 {
        match &self.state {
            State::Plain(raw) => taken(raw),
            State::Member(decoder, ..) => taken(decoder.get_ref()),
            State::End(bytes) => *bytes,
        }
    }
}

fn taken(raw: &Raw) -> u64 {
    raw.get_ref().get_ref().1.bytes
}

/// What comes behind a member of gzip.
fn behind_member(mut raw: Raw) -> io::Result<State> {
    // What was looked at is read by then, so this is the place in the file.
    let at = taken(&raw) - raw.buffer().len() as u64;
    match raw.fill_buf()?.first() {
        None => return Ok(State::End(at)),
        Some(&first) if first == GZIP[0] => return Ok(State::Member(Box::new(GzDecoder::new(raw)), false, at)),
        Some(_) => {}
    }
    loop {
        let padding = raw.fill_buf()?;
        if padding.iter().any(|&byte| byte != 0) {
            return Err(garbage(at));
        }
        match padding.len() {
            0 => return Ok(State::End(taken(&raw))),
            zeros => raw.consume(zeros),
        }
    }
}

fn garbage(at: u64) -> io::Error {
    io::Error::other(format!(
        "what follows its last gzip member from byte {at} on is neither gzip nor zeros: the file is damaged or something was \
         appended to it. Take that off, or make a new file from what `gzip -dc` gives"
    ))
}

impl Read for Text {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match &mut self.state {
                State::Plain(raw) => return raw.read(into),
                State::End(_) => return Ok(0),
                State::Member(decoder, first, at) => match decoder.read(into) {
                    // Not even a header.
                    Err(error)
                        if error.kind() == io::ErrorKind::InvalidInput && !*first && decoder.header().is_none() =>
                    {
                        return Err(garbage(*at));
                    }
                    Ok(0) if !into.is_empty() => {}
                    result => return result,
                },
            }
            if let State::Member(decoder, ..) = mem::replace(&mut self.state, State::End(0)) {
                self.state = behind_member(decoder.into_inner())?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// A source that gives few bytes at a time, as pipes may.
    struct Drops(Cursor<Vec<u8>>, usize);

    impl Read for Drops {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let most = into.len().min(self.1);
            self.0.read(&mut into[..most])
        }
    }

    /// The text, in reads of any size, and how many bytes were taken.
    fn read(bytes: &[u8]) -> io::Result<(Vec<u8>, bool)> {
        let of = |most| {
            let mut text = Text::new(Box::new(Drops(Cursor::new(bytes.to_vec()), most)))?;
            let mut all = Vec::new();
            text.read_to_end(&mut all)?;
            assert_eq!(text.taken(), bytes.len() as u64);
            Ok((all, text.is_gzip()))
        };
        let whole = of(usize::MAX);
        for most in [1, 2, 3, 10] {
            let words = |read: &io::Result<_>| format!("{read:?}");
            assert_eq!(words(&of(most)), words(&whole), "{most} bytes at a time");
        }
        whole
    }

    #[test]
    fn texts_and_members() {
        for text in [&b""[..], b">", b"\x1f", b">a\nACGT\n"] {
            assert_eq!(read(text).unwrap(), (text.to_vec(), false));
            assert_eq!(read(&gzip(text)).unwrap(), (text.to_vec(), true));
        }
        let members = [gzip(b">a\nAC"), gzip(b""), gzip(b"GT\n"), gzip(b"")].concat();
        assert_eq!(read(&members).unwrap(), (b">a\nACGT\n".to_vec(), true));
        for zeros in [1, 7, 100_000] {
            assert_eq!(read(&[&members[..], &vec![0; zeros]].concat()).unwrap().0, b">a\nACGT\n");
        }
    }

    #[test]
    fn what_is_no_member_is_named() {
        let good = gzip(b">a\nACGT\n");
        let at = format!("last gzip member from byte {} on is neither gzip nor zeros", good.len());
        for behind in [&b"x"[..], b"\0\0x", b"\0\x1f\x8b", b"\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f", b">a\nACGT\n"] {
            let said = read(&[&good[..], behind].concat()).unwrap_err().to_string();
            assert!(said.contains(&at), "{behind:?}: {said}");
        }
    }

    #[test]
    fn gzip_that_is_cut_off_is_never_a_text() {
        let two = [gzip(b">a\nACGT\n"), gzip(b">b\nACGT\n")].concat();
        let one = gzip(b">a\nACGT\n").len();
        for len in (2..two.len()).filter(|&len| len != one) {
            assert_eq!(read(&two[..len]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "{len} bytes");
        }
    }
}
