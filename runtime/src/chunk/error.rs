//! Why bytes are no chunk, or not the one that is wanted.

use std::fmt;

/// Bytes that cannot be decoded. Positions are in bytes from the begin of what was given.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// They end too early.
    Short {
        /// Where something begins that does not fit.
        at: usize,
        /// So many bytes that takes.
        wanted: u64,
        /// So many are left.
        left: usize,
    },
    /// They do not begin as a chunk does.
    NotAChunk,
    /// A chunk of another kind.
    Kind {
        /// What is to be read.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// A chunk that another version of the program has written.
    Version {
        /// The kind.
        kind: &'static str,
        /// The version that this program reads.
        wanted: u32,
        /// The version that it is.
        found: u32,
    },
    /// A chunk of the right kind with values of another type.
    Type {
        /// The kind.
        kind: &'static str,
        /// The type that is to be read.
        wanted: String,
    },
    /// The bytes are not those that were written.
    Checksum {
        /// The kind.
        kind: &'static str,
    },
    /// There are more bytes than the value has.
    Trailing {
        /// So many.
        bytes: usize,
    },
    /// A value that its type does not have.
    Value {
        /// Where it begins.
        at: usize,
        /// What is wrong with it.
        what: String,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            DecodeError::Short { at, wanted, left } => {
                write!(f, "cut off: {wanted} bytes are wanted at byte {at}, where {left} are left")
            }
            DecodeError::NotAChunk => f.write_str("no chunk: it does not begin as one"),
            DecodeError::Kind { wanted, found } => write!(f, "a chunk of kind {found:?}, where {wanted:?} is wanted"),
            DecodeError::Version { kind, wanted, found } => write!(
                f,
                "version {found} of {kind:?}, where this program reads version {wanted}: use the program that has written it"
            ),
            DecodeError::Type { kind, wanted } => write!(f, "a {kind:?} of another type than {wanted}"),
            DecodeError::Checksum { kind } => write!(f, "a {kind:?} whose checksum is wrong: it was damaged"),
            DecodeError::Trailing { bytes } => write!(f, "{bytes} bytes too many"),
            DecodeError::Value { at, what } => write!(f, "at byte {at}: {what}"),
        }
    }
}

impl std::error::Error for DecodeError {}
