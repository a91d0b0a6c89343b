//! What a generation is: the manifest, a chunk.

use crate::chunk::{Chunk, Codec, DecodeError, Decoder, Encoder};
use crate::field::Region;
use serde::{Deserialize, Serialize};

/// A generation of checkpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub generation: u64,
    /// A random number that all chunks of the generation have.
    pub stamp: u64,
    /// The type of what the program wanted to know.
    pub meta_type: String,
    pub meta: Vec<u8>,
    pub fields: Vec<About>,
    pub files: Vec<File>,
}

/// A field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    pub name: String,
    /// The type of a cell.
    pub cell: String,
    /// Along each axis.
    pub cells: Vec<u64>,
}

impl std::fmt::Display for About {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let cells: Vec<String> = self.cells.iter().map(u64::to_string).collect();
        write!(f, "{} of {} {}", self.name, cells.join(" × "), self.cell)
    }
}

/// A rank's file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct File {
    pub name: String,
    pub bytes: u64,
    pub pieces: Vec<Piece>,
}

/// A chunk of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Piece {
    /// The number of the field.
    pub field: usize,
    begin: [u64; 3],
    end: [u64; 3],
    /// Where it begins in the file.
    pub at: u64,
    /// Its length in bytes.
    pub bytes: u64,
}

impl Piece {
    pub fn new(field: usize, region: &Region, at: u64, bytes: u64) -> Piece {
        Piece { field, begin: region.begin, end: region.end, at, bytes }
    }

    pub fn region(&self) -> Region {
        Region { begin: self.begin, end: self.end }
    }
}

impl Codec for Manifest {
    fn encode(&self, to: &mut Encoder) {
        postcard::to_stdvec(self).expect("plain data can be written to memory").encode(to);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Manifest, DecodeError> {
        let bytes = Vec::<u8>::decode(from)?;
        postcard::from_bytes(&bytes).map_err(|why| from.value(bytes.len(), why.to_string()))
    }
}

impl Chunk for Manifest {
    const KIND: &'static str = "manifest of a checkpoint";
    const VERSION: u32 = 1;
}
