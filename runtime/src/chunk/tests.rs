//! What is written is read, and nothing else is.

use super::*;
use proptest::prelude::*;

/// A chunk of several types.
#[derive(Clone, Debug, PartialEq)]
struct Mixed<T> {
    numbers: Vec<T>,
    name: String,
    corner: [u64; 3],
    rest: Option<(i32, Vec<String>, bool)>,
}

impl<T: Codec> Codec for Mixed<T> {
    fn encode(&self, to: &mut Encoder) {
        self.numbers.encode(to);
        self.name.encode(to);
        self.corner.encode(to);
        self.rest.encode(to);
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Mixed<T>, DecodeError> {
        Ok(Mixed {
            numbers: Codec::decode(from)?,
            name: Codec::decode(from)?,
            corner: Codec::decode(from)?,
            rest: Codec::decode(from)?,
        })
    }
}

impl<T: Codec + Send + 'static> Chunk for Mixed<T> {
    const KIND: &'static str = "mixed";
    const VERSION: u32 = 3;
}

/// The next version of the program's.
#[derive(Debug)]
struct Other<const VERSION: u32>;

impl<const VERSION: u32> Codec for Other<VERSION> {
    fn encode(&self, to: &mut Encoder) {
        1u8.encode(to);
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        u8::decode(from).map(|_| Other)
    }
}

impl<const V: u32> Chunk for Other<V> {
    const KIND: &'static str = "other";
    const VERSION: u32 = V;
}

fn small() -> Mixed<f64> {
    Mixed {
        numbers: vec![0.5, f64::NEG_INFINITY],
        name: "Ünï".into(),
        corner: [1, 2, u64::MAX],
        rest: Some((-1, vec![String::new()], true)),
    }
}

#[test]
fn another_chunk_is_refused_for_its_reason() {
    let bytes = small().seal();
    assert_eq!(Mixed::<f64>::open(&bytes), Ok(small()));
    let wrong = Mixed::<f32>::open(&bytes).unwrap_err();
    assert_eq!(wrong, DecodeError::Type { kind: "mixed", wanted: "Mixed<f32>".into() });
    let kind = Other::<1>::open(&bytes).unwrap_err();
    assert_eq!(kind, DecodeError::Kind { wanted: "other", found: "mixed".into() });
    let version = Other::<2>::open(&Other::<1>.seal()).unwrap_err();
    assert_eq!(
        version.to_string(),
        "version 1 of \"other\", where this program reads version 2: use the program that has written it"
    );
    for nothing in [&b""[..], b"Phy", b"not a chunk at all"] {
        assert_eq!(Mixed::<f64>::open(nothing), Err(DecodeError::NotAChunk));
    }
}

#[test]
fn no_damaged_byte_is_overlooked() {
    let bytes = small().seal();
    for (i, bit) in (0..bytes.len()).flat_map(|i| (0..8).map(move |bit| (i, bit))) {
        let mut damaged = bytes.clone();
        damaged[i] ^= 1 << bit;
        assert!(Mixed::<f64>::open(&damaged).is_err(), "byte {i}, bit {bit}");
    }
    for len in 0..bytes.len() {
        assert!(Mixed::<f64>::open(&bytes[..len]).is_err(), "cut off at {len}");
    }
    let longer = [bytes, vec![0]].concat();
    assert_eq!(Mixed::<f64>::open(&longer), Err(DecodeError::Trailing { bytes: 1 }));
}

/// Memory is asked for only when the bytes are there.
#[test]
fn lengths_are_not_believed() {
    for count in [3u64, 1 << 32, u64::MAX / 8, u64::MAX] {
        let mut bytes = count.to_le_bytes().to_vec();
        bytes.extend([0; 2]);
        let short = |result: Option<DecodeError>| matches!(result, Some(DecodeError::Short { .. }));
        assert!(short(Vec::<f64>::decode(&mut Decoder::new(&bytes)).err()), "{count}");
        assert!(short(String::decode(&mut Decoder::new(&bytes)).err()), "{count}");
        assert!(short(Vec::<Vec<u8>>::decode(&mut Decoder::new(&bytes)).err()), "{count}");
    }
}

#[test]
fn values_that_types_do_not_have_are_refused() {
    let at = |result: Result<(), DecodeError>| match result {
        Err(DecodeError::Value { at, .. }) => at,
        other => panic!("{other:?}"),
    };
    assert_eq!(at(<(u8, bool)>::decode(&mut Decoder::new(&[0, 2])).map(drop)), 1);
    let mut text = Encoder::default();
    text.len(2);
    text.bytes(&[0xff, 0xfe]);
    assert_eq!(at(String::decode(&mut Decoder::new(&text.finish())).map(drop)), 8);
}

#[test]
fn a_types_modules_do_not_matter() {
    assert_eq!(plain_name("physalia::chunk::tests::Mixed<alloc::vec::Vec<f64>>"), "Mixed<Vec<f64>>");
    assert_eq!(plain_name("(u32, core::option::Option<[f64; 3]>)"), "(u32, Option<[f64; 3]>)");
    assert_ne!(type_hash::<Vec<f32>>(), type_hash::<Vec<f64>>());
}

proptest! {
    /// Floats come back bit by bit, whatever they are.
    #[test]
    fn what_is_written_is_read(
        bits in proptest::collection::vec(any::<u64>(), 0..50),
        name in ".*",
        corner in any::<[u64; 3]>(),
        rest in any::<Option<(i32, Vec<String>, bool)>>(),
    ) {
        let numbers: Vec<f64> = bits.iter().map(|&bits| f64::from_bits(bits)).collect();
        let mixed = Mixed { numbers, name, corner, rest };
        let again = Mixed::<f64>::open(&mixed.seal()).unwrap();
        prop_assert!(again.numbers.iter().map(|x| x.to_bits()).eq(bits));
        prop_assert_eq!((again.name, again.corner, again.rest), (mixed.name, mixed.corner, mixed.rest));
    }

    /// Any bytes at all end with a value or an error.
    #[test]
    fn anything_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        Mixed::<i16>::decode(&mut Decoder::new(&bytes)).ok();
        Mixed::<i16>::open(&bytes).ok();
    }
}
