//! Values as bytes: numbers as they lie in the memory of a little-endian machine, lengths as `u64` before what they count.
//!
//! What is read is not trusted: a wrong length is found before memory is asked for, and a value that its type does not have
//! is an error.

use super::DecodeError;

/// Values that can become bytes, and come back the same. What `encode` writes, `decode` must read, no more and no less; and
/// a value must take at least one byte, so that a length cannot promise more than there is.
pub trait Codec: Sized {
    /// Writes it.
    fn encode(&self, to: &mut Encoder);

    /// Reads one.
    ///
    /// # Errors
    /// If the bytes end, or are none of its values.
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError>;

    /// Writes several, one after another. For types whose values need not be taken one by one.
    fn encode_all(values: &[Self], to: &mut Encoder) {
        values.iter().for_each(|value| value.encode(to));
    }

    /// Reads so many.
    ///
    /// # Errors
    /// As `decode`.
    fn decode_all(count: usize, from: &mut Decoder<'_>) -> Result<Vec<Self>, DecodeError> {
        (0..count).map(|_| Self::decode(from)).collect()
    }
}

/// Bytes being written.
#[derive(Debug, Default)]
pub struct Encoder(Vec<u8>);

impl Encoder {
    /// These bytes, as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// A length, or a number of things that follow.
    pub fn len(&mut self, len: usize) {
        self.bytes(&(len as u64).to_le_bytes());
    }

    /// Values of which any bits are one, as they lie in the memory of a little-endian machine, after their number. On others it
    /// does not compile, rather than that one misreads what another has written.
    pub fn plain<T: bytemuck::Pod>(&mut self, values: &[T]) {
        const { assert!(cfg!(target_endian = "little"), "plain values are those of little-endian machines") };
        self.len(values.len());
        self.bytes(bytemuck::cast_slice(values));
    }

    /// What was written.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Bytes being read.
#[derive(Clone, Debug)]
pub struct Decoder<'b> {
    rest: &'b [u8],
    at: usize,
}

impl<'b> Decoder<'b> {
    /// From the first byte on.
    pub fn new(bytes: &'b [u8]) -> Decoder<'b> {
        Decoder { rest: bytes, at: 0 }
    }

    /// How many bytes have been read.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The next bytes, as they are.
    ///
    /// # Errors
    /// If there are not so many.
    pub fn bytes(&mut self, wanted: usize) -> Result<&'b [u8], DecodeError> {
        let short = DecodeError::Short { at: self.at, wanted: wanted as u64, left: self.rest.len() };
        let (bytes, rest) = self.rest.split_at_checked(wanted).ok_or(short)?;
        self.rest = rest;
        self.at += wanted;
        Ok(bytes)
    }

    /// A number of things of which each takes at least so many bytes.
    ///
    /// # Errors
    /// If the bytes end before, or there is no room for so many.
    pub fn len(&mut self, each: usize) -> Result<usize, DecodeError> {
        let count = u64::decode(self)?;
        let room = self.rest.len() / each.max(1);
        usize::try_from(count).ok().filter(|&count| count <= room).ok_or(DecodeError::Short {
            at: self.at,
            wanted: count.saturating_mul(each as u64),
            left: self.rest.len(),
        })
    }

    /// What [`Encoder::plain`] has written.
    ///
    /// # Errors
    /// If the bytes end before.
    pub fn plain<T: bytemuck::Pod>(&mut self) -> Result<Vec<T>, DecodeError> {
        const { assert!(size_of::<T>() > 0, "values without bytes") };
        const { assert!(cfg!(target_endian = "little"), "plain values are those of little-endian machines") };
        let count = self.len(size_of::<T>())?;
        let mut values = vec![T::zeroed(); count];
        bytemuck::cast_slice_mut(&mut values).copy_from_slice(self.bytes(count * size_of::<T>())?);
        Ok(values)
    }

    /// An error about the value that has just been read, of so many bytes.
    pub fn value(&self, bytes: usize, what: impl Into<String>) -> DecodeError {
        DecodeError::Value { at: self.at - bytes, what: what.into() }
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// If something is.
    pub fn end(self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(DecodeError::Trailing { bytes }),
        }
    }
}

macro_rules! numbers {
    ($($t:ty)*) => { $(impl Codec for $t {
        fn encode(&self, to: &mut Encoder) {
            to.bytes(&self.to_le_bytes());
        }
        fn decode(from: &mut Decoder<'_>) -> Result<$t, DecodeError> {
            let bytes = from.bytes(size_of::<$t>())?;
            Ok(<$t>::from_le_bytes(bytes.try_into().expect("as many as asked")))
        }
        fn encode_all(values: &[$t], to: &mut Encoder) {
            if cfg!(target_endian = "little") {
                to.bytes(bytemuck::cast_slice(values));
            } else {
                values.iter().for_each(|value| value.encode(to));
            }
        }
        fn decode_all(count: usize, from: &mut Decoder<'_>) -> Result<Vec<$t>, DecodeError> {
            let bytes = from.bytes(count.saturating_mul(size_of::<$t>()))?;
            let value = |bytes: &[u8; size_of::<$t>()]| <$t>::from_le_bytes(*bytes);
            Ok(bytes.as_chunks().0.iter().map(value).collect())
        }
    })* };
}
numbers!(u8 i8 u16 i16 u32 i32 u64 i64 u128 i128 f32 f64);

impl Codec for bool {
    fn encode(&self, to: &mut Encoder) {
        u8::from(*self).encode(to);
    }
    fn decode(from: &mut Decoder<'_>) -> Result<bool, DecodeError> {
        match u8::decode(from)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(from.value(1, format!("{other} is neither 0 nor 1"))),
        }
    }
}

impl Codec for usize {
    fn encode(&self, to: &mut Encoder) {
        to.len(*self);
    }
    fn decode(from: &mut Decoder<'_>) -> Result<usize, DecodeError> {
        let number = u64::decode(from)?;
        usize::try_from(number).map_err(|_| from.value(8, format!("{number} is more than this machine can count")))
    }
}

impl<T: Codec> Codec for Vec<T> {
    fn encode(&self, to: &mut Encoder) {
        to.len(self.len());
        T::encode_all(self, to);
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Vec<T>, DecodeError> {
        let count = from.len(1)?;
        T::decode_all(count, from)
    }
}

impl Codec for String {
    fn encode(&self, to: &mut Encoder) {
        to.len(self.len());
        to.bytes(self.as_bytes());
    }
    fn decode(from: &mut Decoder<'_>) -> Result<String, DecodeError> {
        let len = from.len(1)?;
        let bytes = from.bytes(len)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.into()),
            Err(error) => Err(from.value(len, format!("no text: {error}"))),
        }
    }
}

impl<T: Codec> Codec for Option<T> {
    fn encode(&self, to: &mut Encoder) {
        self.is_some().encode(to);
        self.iter().for_each(|value| value.encode(to));
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Option<T>, DecodeError> {
        bool::decode(from)?.then(|| T::decode(from)).transpose()
    }
}

impl<T: Codec, const N: usize> Codec for [T; N] {
    fn encode(&self, to: &mut Encoder) {
        const { assert!(N > 0, "an array of nothing takes no bytes") };
        T::encode_all(self, to);
    }
    fn decode(from: &mut Decoder<'_>) -> Result<[T; N], DecodeError> {
        const { assert!(N > 0, "an array of nothing takes no bytes") };
        let values: [T; N] = match T::decode_all(N, from)?.try_into() {
            Ok(values) => values,
            Err(_) => unreachable!("as many as asked"),
        };
        Ok(values)
    }
}

macro_rules! tuples {
    ($(($($t:ident)*))*) => { $(impl<$($t: Codec),*> Codec for ($($t,)*) {
        #[allow(non_snake_case)]
        fn encode(&self, to: &mut Encoder) {
            let ($($t,)*) = self;
            $($t.encode(to);)*
        }
        fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
            Ok(($($t::decode(from)?,)*))
        }
    })* };
}
tuples!((A) (A B) (A B C) (A B C D));
