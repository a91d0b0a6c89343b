//! The bytes of an HDF5 file with data sets in one piece each: superblock, a root group with its links, and headers of data
//! sets.
//!
//! "HDF5 File Format Specification", version 3.0: superblock 2, object headers 2, contiguous layout 3. What the library would
//! make of the same data with its latest format, but that all addresses are known before the first cell is.

use super::super::Kind;

/// No address.
const NOWHERE: u64 = u64::MAX;
const SUPERBLOCK: u64 = 48;
/// Data begin at multiples of this: pages of memory and of most file systems.
const PAGE: u64 = 4096;

/// A data set.
#[derive(Clone, Debug)]
pub(super) struct Set {
    pub name: String,
    pub kind: Kind,
    /// The slowest axis first.
    pub shape: Vec<u64>,
}

impl Set {
    pub(super) fn bytes(&self) -> u64 {
        let (Kind::Float(cell) | Kind::Integer(_, cell)) = self.kind;
        self.shape.iter().product::<u64>() * cell as u64
    }
}

/// A note on the whole file.
#[derive(Clone, Debug)]
pub(super) enum Note {
    Text(String),
    Real(f64),
    Whole(u64),
}

/// All of a file but its cells, and where those of each data set begin.
pub(super) struct Layout {
    pub head: Vec<u8>,
    pub data: Vec<u64>,
}

impl Layout {
    pub(super) fn new(sets: &[Set], notes: &[(&str, Note)]) -> Layout {
        // Sizes do not depend on addresses, so a first pass with none tells them.
        let sizes: Vec<u64> = sets.iter().map(|set| data_set(set, 0).len() as u64).collect();
        let group_size = group(sets, &vec![0; sets.len()], notes).len() as u64;
        let mut at = SUPERBLOCK + group_size;
        let mut headers = Vec::new();
        for size in sizes {
            headers.push(at);
            at += size;
        }
        let mut data = Vec::new();
        for set in sets {
            at = at.next_multiple_of(PAGE);
            data.push(at);
            at += set.bytes();
        }
        let mut head = superblock(at);
        head.extend(group(sets, &headers, notes));
        sets.iter().zip(&data).for_each(|(set, at)| head.extend(data_set(set, *at)));
        Layout { head, data }
    }
}

fn superblock(end: u64) -> Vec<u8> {
    let mut bytes = b"\x89HDF\r\n\x1a\n\x02\x08\x08\x00".to_vec();
    [0, NOWHERE, end, SUPERBLOCK].iter().for_each(|n| bytes.extend(n.to_le_bytes()));
    sealed(bytes)
}

fn group(sets: &[Set], headers: &[u64], notes: &[(&str, Note)]) -> Vec<u8> {
    let nowhere = NOWHERE.to_le_bytes();
    // Links lie in the header itself, not in a heap.
    let mut messages = vec![(0x02, [&[0, 0][..], &nowhere, &nowhere].concat()), (0x0a, vec![0, 0])];
    for (set, at) in sets.iter().zip(headers) {
        let (name, len) = (set.name.as_bytes(), set.name.len() as u16);
        // Version 1; a UTF-8 name of a length in two bytes.
        messages.push((0x06, [&[1, 0x11, 1][..], &len.to_le_bytes(), name, &at.to_le_bytes()].concat()));
    }
    messages.extend(notes.iter().map(|(name, note)| (0x0c, attribute(name, note))));
    header(&messages)
}

fn data_set(set: &Set, at: u64) -> Vec<u8> {
    let layout = [&[3, 1][..], &at.to_le_bytes(), &set.bytes().to_le_bytes()].concat();
    // No fill value: all cells are written.
    header(&[(0x01, space(&set.shape)), (0x03, data_type(set.kind)), (0x05, vec![3, 0x05]), (0x08, layout)])
}

/// An object's header of these messages.
fn header(messages: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let len: usize = messages.iter().map(|(_, data)| 4 + data.len()).sum();
    let mut bytes = b"OHDR\x02\x02".to_vec(); // version 2; its length in four bytes
    bytes.extend((len as u32).to_le_bytes());
    for (kind, data) in messages {
        bytes.push(*kind);
        bytes.extend((data.len() as u16).to_le_bytes());
        bytes.push(0);
        bytes.extend(data);
    }
    sealed(bytes)
}

fn space(shape: &[u64]) -> Vec<u8> {
    let kind = u8::from(!shape.is_empty()); // one value, or an array
    let mut bytes = vec![2, shape.len() as u8, 0, kind];
    shape.iter().for_each(|n| bytes.extend(n.to_le_bytes()));
    bytes
}

fn data_type(kind: Kind) -> Vec<u8> {
    let number = |class: u8, bits: [u8; 3], size: u32, rest: &[u8]| {
        [&[0x10 | class][..], &bits, &size.to_le_bytes(), &[0, 0], &(8 * size as u16).to_le_bytes(), rest].concat()
    };
    match kind {
        Kind::Integer(sign, bytes) => number(0, [if sign { 8 } else { 0 }, 0, 0], bytes as u32, &[]),
        // Where sign, exponent and mantissa lie, and the exponent's bias (IEEE 754).
        Kind::Float(4) => number(1, [0x20, 31, 0], 4, &[23, 8, 0, 23, 127, 0, 0, 0]),
        Kind::Float(_) => number(1, [0x20, 63, 0], 8, &[52, 11, 0, 52, 0xff, 0x03, 0, 0]),
    }
}

fn attribute(name: &str, note: &Note) -> Vec<u8> {
    let (kind, value) = match note {
        // Of fixed length, filled with zeros, UTF-8; at least one byte.
        Note::Text(text) => {
            let len = (text.len() as u32).max(1);
            let mut value = text.as_bytes().to_vec();
            value.resize(len as usize, 0);
            ([&[0x13, 0x11, 0, 0][..], &len.to_le_bytes()].concat(), value)
        }
        Note::Real(x) => (data_type(Kind::Float(8)), x.to_le_bytes().to_vec()),
        Note::Whole(n) => (data_type(Kind::Integer(false, 8)), n.to_le_bytes().to_vec()),
    };
    let space = space(&[]);
    let lengths = [name.len() + 1, kind.len(), space.len()].map(|n| (n as u16).to_le_bytes()).concat();
    [&[3, 0][..], &lengths, &[1], name.as_bytes(), &[0], &kind, &space, &value].concat()
}

/// With its checksum.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = lookup3(&bytes);
    bytes.extend(sum.to_le_bytes());
    bytes
}

/// Bob Jenkins' hash `lookup3`, `hashlittle` from 0 (2006, public domain), which HDF5 takes for metadata.
fn lookup3(bytes: &[u8]) -> u32 {
    let [mut a, mut b, mut c] = [0xdead_beef_u32.wrapping_add(bytes.len() as u32); 3];
    let word = |block: &[u8], i: usize| {
        let byte = |j: usize| block.get(4 * i + j).map_or(0, |&byte| u32::from(byte) << (8 * j));
        byte(0) | byte(1) | byte(2) | byte(3)
    };
    let blocks: Vec<&[u8]> = bytes.chunks(12).collect();
    let Some((last, others)) = blocks.split_last() else { return c };
    for block in others {
        (a, b, c) = (a.wrapping_add(word(block, 0)), b.wrapping_add(word(block, 1)), c.wrapping_add(word(block, 2)));
        a = a.wrapping_sub(c) ^ c.rotate_left(4);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(6);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(8);
        b = b.wrapping_add(a);
        a = a.wrapping_sub(c) ^ c.rotate_left(16);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(19);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(4);
        b = b.wrapping_add(a);
    }
    (a, b, c) = (a.wrapping_add(word(last, 0)), b.wrapping_add(word(last, 1)), c.wrapping_add(word(last, 2)));
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values that the hash's author gives.
    #[test]
    fn the_checksum_is_that_of_the_library() {
        assert_eq!(lookup3(b""), 0xdead_beef);
        assert_eq!(lookup3(b"Four score and seven years ago"), 0x1777_0551);
    }

    #[test]
    fn data_sets_lie_where_their_headers_say() {
        let set = |name: &str, n| Set { name: name.into(), kind: Kind::Float(8), shape: vec![n, 3] };
        let layout = Layout::new(&[set("u", 5), set("v", 700)], &[("time", Note::Real(0.5))]);
        assert_eq!((layout.data[0] % PAGE, layout.data[1] % PAGE), (0, 0));
        assert!(layout.head.len() as u64 <= layout.data[0] && layout.data[0] + 5 * 24 <= layout.data[1]);
        assert_eq!(layout.head[28..36], (layout.data[1] + 700 * 24).to_le_bytes(), "the end of the file");
        let headers = layout.head.windows(4).filter(|window| window == b"OHDR").count();
        assert_eq!(headers, 3);
    }
}
