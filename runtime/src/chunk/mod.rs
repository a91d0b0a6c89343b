//! Chunks: pieces of distributed data that can move, to another rank, to disk, and to a later run. One codec serves all three.
//!
//! [`Codec`] is the bytes of a value; a [`Chunk`] puts a header before them, {kind, version, type, length, xxh3}, which is looked
//! at before the first byte is decoded: bytes of something else, of another version, cut off or damaged are refused with the
//! reason, never misread.
//!
//! ```
//! use physalia::chunk::{Chunk, Codec, DecodeError, Decoder, Encoder};
//!
//! #[derive(Debug, PartialEq)]
//! struct Reads { first: u64, texts: Vec<String> }
//!
//! impl Codec for Reads {
//!     fn encode(&self, to: &mut Encoder) {
//!         self.first.encode(to);
//!         self.texts.encode(to);
//!     }
//!     fn decode(from: &mut Decoder<'_>) -> Result<Reads, DecodeError> {
//!         Ok(Reads { first: Codec::decode(from)?, texts: Codec::decode(from)? })
//!     }
//! }
//!
//! impl Chunk for Reads {
//!     const KIND: &'static str = "reads";
//!     const VERSION: u32 = 1;
//! }
//!
//! let reads = Reads { first: 7, texts: vec!["ACGT".into()] };
//! let mut bytes = reads.seal();
//! assert_eq!(Reads::open(&bytes), Ok(reads));
//! *bytes.last_mut().unwrap() ^= 1;
//! assert_eq!(Reads::open(&bytes), Err(DecodeError::Checksum { kind: "reads" }));
//! ```
//!
//! Sealed, a chunk is: the four letters `PhyC`; the kind, as its length (u64) and its letters; the version (u32); a hash of the
//! type's name (u64), so that a chunk of `f32` is not read as one of `f64`; the length of the value (u64); the xxh3 of kind, version,
//! type and value (u64); the value. All numbers are little-endian.

mod codec;
mod error;

pub use codec::{Codec, Decoder, Encoder};
pub use error::DecodeError;

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

const MAGIC: &[u8] = b"PhyC";

/// A piece of distributed data that can move between ranks, to disk, and to a later run of the program.
pub trait Chunk: Codec + Send + 'static {
    /// What it is, for people and for the header.
    const KIND: &'static str;
    /// Raised whenever its bytes change their meaning.
    const VERSION: u32;

    /// Its bytes behind a header.
    fn seal(&self) -> Vec<u8> {
        let mut value = Encoder::default();
        self.encode(&mut value);
        let value = value.finish();
        let mut sealed = Encoder::default();
        sealed.bytes(MAGIC);
        Self::KIND.to_string().encode(&mut sealed);
        Self::VERSION.encode(&mut sealed);
        type_hash::<Self>().encode(&mut sealed);
        value.len().encode(&mut sealed);
        checksum(Self::KIND, Self::VERSION, type_hash::<Self>(), &value).encode(&mut sealed);
        sealed.bytes(&value);
        sealed.finish()
    }

    /// The chunk that was sealed.
    ///
    /// # Errors
    /// If the bytes are another chunk, or none, or were damaged.
    fn open(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut from = Decoder::new(bytes);
        if from.bytes(MAGIC.len()) != Ok(MAGIC) {
            return Err(DecodeError::NotAChunk);
        }
        let kind = Self::KIND;
        let found = String::decode(&mut from)?;
        if found != kind {
            return Err(DecodeError::Kind { wanted: kind, found: found.chars().take(80).collect() });
        }
        let (found, hash) = (u32::decode(&mut from)?, u64::decode(&mut from)?);
        if found != Self::VERSION {
            return Err(DecodeError::Version { kind, wanted: Self::VERSION, found });
        }
        if hash != type_hash::<Self>() {
            return Err(DecodeError::Type { kind, wanted: plain_name(std::any::type_name::<Self>()) });
        }
        let (len, sum) = (usize::decode(&mut from)?, u64::decode(&mut from)?);
        let value = from.bytes(len)?;
        from.end()?;
        if checksum(kind, found, hash, value) != sum {
            return Err(DecodeError::Checksum { kind });
        }
        let mut from = Decoder::new(value);
        let chunk = Self::decode(&mut from)?;
        from.end()?;
        Ok(chunk)
    }
}

/// The header is covered, too: a damaged version is not taken for another version only because its bits say so.
fn checksum(kind: &str, version: u32, type_hash: u64, value: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(kind.as_bytes());
    hash.update(&version.to_le_bytes());
    hash.update(&type_hash.to_le_bytes());
    hash.update(value);
    hash.digest()
}

fn type_hash<T>() -> u64 {
    xxh3_64(plain_name(std::any::type_name::<T>()).as_bytes())
}

/// `a::b::Box<c::d>` is `Box<d>`: a type may move to another module, and its chunks are still read.
pub(crate) fn plain_name(name: &str) -> String {
    let mut plain = String::new();
    let mut word = String::new();
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter.is_alphanumeric() || letter == '_' {
            word.push(letter);
        } else if letter == ':' && letters.peek() == Some(&':') {
            letters.next();
            word.clear();
        } else {
            plain += &std::mem::take(&mut word);
            plain.push(letter);
        }
    }
    plain + &word
}

#[cfg(test)]
mod tests;
