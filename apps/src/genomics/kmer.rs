//! k-mers as numbers, two bits a base: A C G T = 0 1 2 3, the first base in the highest bits, so that numbers are ordered as
//! texts are. `u64` holds k up to 32, `u128` up to 63.

use physalia::prelude::Plain;
use std::fmt::Debug;
use std::hash::Hash;

/// A number that holds a k-mer.
pub trait Word: Plain + bytemuck::Pod + Ord + Hash + Debug + Default {
    /// The largest k.
    const MOST: usize;
    /// `self` with one more base behind, the first ones dropped beyond `mask`.
    fn push_back(self, code: u8, mask: Self) -> Self;
    /// `self` with one more base in front, the last one dropped; `top` is the place of the first base.
    fn push_front(self, code: u8, top: u32) -> Self;
    /// All bits of k bases.
    fn mask(k: usize) -> Self;
    /// 64 bits that depend on all of it, evenly.
    fn hash64(self) -> u64;
    /// From a small count.
    fn from_u64(x: u64) -> Self;
    /// Its low 64 bits.
    fn low(self) -> u64;
    /// Base `i` of a k-mer, from the last (0).
    fn code(self, i: usize) -> u8;
}

/// Spreads 64 bits (the finalizer of MurmurHash3: Appleby 2011); a bijection.
fn spread(x: u64) -> u64 {
    let x = (x ^ x >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let x = (x ^ x >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ x >> 33
}

macro_rules! word {
    ($t:ty, $most:expr, $hash:expr) => {
        impl Word for $t {
            const MOST: usize = $most;
            #[inline(always)]
            fn push_back(self, code: u8, mask: $t) -> $t {
                (self << 2 | <$t>::from(code)) & mask
            }
            #[inline(always)]
            fn push_front(self, code: u8, top: u32) -> $t {
                self >> 2 | <$t>::from(code) << top
            }
            fn mask(k: usize) -> $t {
                <$t>::MAX >> (<$t>::BITS as usize - 2 * k)
            }
            #[inline(always)]
            fn hash64(self) -> u64 {
                $hash(self)
            }
            fn from_u64(x: u64) -> $t {
                x.into()
            }
            fn low(self) -> u64 {
                self as u64
            }
            fn code(self, i: usize) -> u8 {
                (self >> (2 * i)) as u8 & 3
            }
        }
    };
}
word!(u64, 32, spread);
word!(u128, 63, |x: u128| spread((x >> 64) as u64 ^ spread(x as u64)));

/// The code of letters that break k-mers: all but ACGT, and the signs for a gap.
const OTHER: u8 = 4;
/// The code of what cannot be in a sequence.
const STRANGE: u8 = 5;

/// The two-bit code of each of ACGT in either case, and what the other bytes are.
const CODES: [u8; 256] = {
    let mut codes = [STRANGE; 256];
    let mut i = 0;
    while i < 256 {
        if (i as u8).is_ascii_alphabetic() || matches!(i as u8, b'-' | b'.' | b'*') {
            codes[i] = OTHER;
        }
        i += 1;
    }
    i = 0;
    while i < 4 {
        codes[b"ACGT"[i] as usize] = i as u8;
        codes[b"acgt"[i] as usize] = i as u8;
        i += 1;
    }
    codes
};

/// Where the first byte is that cannot be in a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strange(pub usize);

/// Whether all bytes can be in a sequence: letters, and `-`, `.` and `*` for gaps.
///
/// # Errors
/// If not.
pub fn check(bytes: &[u8]) -> Result<(), Strange> {
    bytes.iter().position(|&byte| CODES[byte as usize] == STRANGE).map_or(Ok(()), |at| Err(Strange(at)))
}

/// A window of k letters that slides over sequences.
#[derive(Clone, Debug)]
pub struct Window<W> {
    k: usize,
    mask: W,
    forward: W,
    backward: W,
    /// Letters in the window, up to k.
    have: usize,
}

impl<W: Word> Window<W> {
    /// An empty window of 1 ≤ k ≤ `W::MOST` letters.
    ///
    /// # Panics
    /// If k is out of range.
    pub fn new(k: usize) -> Window<W> {
        assert!((1..=W::MOST).contains(&k), "k = {k}");
        Window { k, mask: W::mask(k), forward: W::default(), backward: W::default(), have: 0 }
    }

    /// Forgets what is in the window: a new sequence begins.
    pub fn clear(&mut self) {
        self.have = 0;
    }

    /// Slides over more letters of the sequence; `emit` gets each canonical k-mer.
    ///
    /// # Errors
    /// If a byte cannot be in a sequence. The same table tells that, so it costs nothing where all are bases.
    #[inline]
    pub fn slide(&mut self, letters: &[u8], mut emit: impl FnMut(W)) -> Result<(), Strange> {
        let top = 2 * (self.k as u32 - 1);
        let (mut forward, mut backward, mut have) = (self.forward, self.backward, self.have);
        for (at, &letter) in letters.iter().enumerate() {
            let code = CODES[letter as usize];
            if code >= OTHER {
                if code == STRANGE {
                    return Err(Strange(at));
                }
                have = 0;
                continue;
            }
            forward = forward.push_back(code, self.mask);
            backward = backward.push_front(3 - code, top);
            have += 1;
            if have >= self.k {
                have = self.k;
                emit(forward.min(backward));
            }
        }
        (self.forward, self.backward, self.have) = (forward, backward, have);
        Ok(())
    }
}

/// Writes the letters of a k-mer.
pub fn letters<W: Word>(kmer: W, k: usize, into: &mut Vec<u8>) {
    into.extend((0..k).rev().map(|i| b"ACGT"[kmer.code(i) as usize]));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kmers<W: Word>(k: usize, text: &str) -> Vec<String> {
        let mut all = Vec::new();
        let slid = Window::<W>::new(k).slide(text.as_bytes(), |kmer| {
            let mut word = Vec::new();
            letters(kmer, k, &mut word);
            all.push(String::from_utf8(word).unwrap());
        });
        slid.unwrap();
        all
    }

    #[test]
    fn what_can_be_in_a_sequence() {
        for byte in 0..=u8::MAX {
            let text = [b'A', byte, b'A', 0];
            let fine = byte.is_ascii_alphabetic() || b"-.*".contains(&byte);
            let expected = Err(Strange(if fine { 3 } else { 1 }));
            assert_eq!((check(&text), Window::<u64>::new(2).slide(&text, drop)), (expected, expected), "{byte}");
        }
    }

    #[test]
    fn canonical_kmers() {
        assert_eq!(kmers::<u64>(3, "ACGTT"), ["ACG", "ACG", "AAC"]);
        assert_eq!(kmers::<u128>(3, "acNgtta"), ["AAC", "TAA"]);
        assert_eq!(kmers::<u64>(1, "ACGTn-"), ["A", "C", "C", "A"]);
        assert_eq!(kmers::<u64>(4, "ACG"), Vec::<String>::new());
    }

    #[test]
    fn the_widest_windows() {
        let text = "ACGGTCATTGCAACGTTAGCCATGGATCCAGTTCAGGACATTCAGGACCATGATCAGGATTCAGA";
        let reverse: String = text
            .chars()
            .rev()
            .map(|c| match c {
                'A' => 'T',
                'C' => 'G',
                'G' => 'C',
                _ => 'A',
            })
            .collect();
        for (k, of) in
            [(31, kmers::<u64> as fn(usize, &str) -> _), (32, kmers::<u64>), (33, kmers::<u128>), (63, kmers::<u128>)]
        {
            let mut both = of(k, &reverse);
            both.reverse();
            assert_eq!(of(k, text), both, "both strands have the same {k}-mers");
            for (i, kmer) in of(k, text).iter().enumerate() {
                let there = &text[i..i + k];
                let back = &reverse[reverse.len() - i - k..reverse.len() - i];
                assert_eq!(kmer, there.min(back));
            }
        }
        assert_eq!(kmers::<u64>(32, text), kmers::<u128>(32, text));
    }
}
