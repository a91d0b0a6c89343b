//! Every rank has something for every rank.

use super::{bytes, values};
use crate::algo::model::{Algorithm, Collective};
use crate::algo::{Native, Part, Step, bruck, direct};
use crate::borrow;
use crate::check::Print;
use crate::core::Core;
use crate::flow::{Blobs, Cargo};
use crate::posting;
use crate::transport::memory::{Landing, any_bits};
use crate::{Abort, Comm, Parts, Plain};
use std::panic::Location;

impl Comm {
    /// Block q of `send` goes to rank q, whose result has ours as block `rank`. Blocks have equal length, the same on all
    /// ranks. Collective; p − 1 messages a rank, each straight to its place; short blocks of many ranks ⌈log₂ p⌉ messages of p / 2
    /// blocks (Bruck's algorithm).
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If the length is no multiple of the number of ranks.
    #[track_caller]
    #[doc(alias = "MPI_Alltoall")]
    pub fn all_to_all<T: Plain>(&mut self, send: &[T]) -> Result<Vec<T>, Abort> {
        let (core, ranks) = (&self.core, self.core.size());
        check_blocks(send.len(), ranks);
        let print = Print::new::<T>("all_to_all", [send.len() as u64, 0], Location::caller());
        if posting::suits_long::<T>(core, size_of_val(send), false)
            && let Some(posting) = core.posting(print)?
        {
            let mut landing = Landing::<T>::new(send.len()).checked().expect("any bits are a value");
            return posting.all_to_all(send, &mut landing).map(|()| landing);
        }
        let block = send.len() / ranks;
        match self.exchange_of_blocks::<T>(send.len()) {
            Some(steps) => {
                let own = Some((core.me * block, core.me * block, block));
                borrow::exchange(core, print, steps, send, send.len(), own)
            }
            None => self.all_to_all_in_rounds(print, send),
        }
    }

    /// The schedule of an all-to-all of `len` values a rank, in bytes; `None`: in rounds, of blobs.
    fn exchange_of_blocks<T: Plain>(&self, len: usize) -> Option<Vec<Step>> {
        let (core, ranks) = (&self.core, self.core.size());
        let bytes = len / ranks * T::BYTES;
        let case = core.case_of_bytes(bytes * ranks, true);
        let place = |q: usize| Some(q * bytes..(q + 1) * bytes);
        match core.choose(Collective::AllToAll, &case) {
            Algorithm::Dissemination => None,
            Algorithm::Pairwise => Some(direct::pairwise(core.me, ranks, bytes)),
            Algorithm::Native => {
                let [from, into] = [direct::FROM, direct::INTO].map(|memory| Part::of(memory, 0..bytes * ranks));
                Some(Native::AllToAll.schedule(core.me, ranks, Some(from), into))
            }
            _ => Some(direct::exchange(core.me, ranks, place, place)),
        }
    }

    /// Blocks that travel together, several times.
    fn all_to_all_in_rounds<T: Plain>(&self, print: Print, send: &[T]) -> Result<Vec<T>, Abort> {
        let (core, ranks, me) = (&self.core, self.core.size(), self.core.me);
        let block = send.len() / ranks;
        let to = |q: usize| Some(bytes(&send[q * block..(q + 1) * block]));
        let blobs: Blobs = (0..ranks).map(|d| to((me + d) % ranks)).collect();
        let steps = bruck::all_to_all(me, ranks);
        let mut cargo = core.run(print, Cargo { steps, blobs, ..Cargo::default() })?;
        let mut all = Vec::with_capacity(send.len());
        for q in 0..ranks {
            let blob = cargo.blobs[(me + ranks - q) % ranks].take().expect("every rank's block has come");
            all.extend(values::<T>(core, &print, &blob)?);
        }
        Ok(all)
    }

    /// As [`all_to_all`](Comm::all_to_all), into a buffer of the same length that can be used again: without fresh memory, which
    /// the system clears page by page, long blocks go about twice as fast. Any bits must be a `T`, so not for `bool` and
    /// `char`.
    ///
    /// # Errors
    /// The job's abort. The buffer's content is then unspecified (but valid).
    ///
    /// # Panics
    /// If the lengths differ or are no multiple of the number of ranks, or not every bit pattern is a `T`.
    #[track_caller]
    pub fn all_to_all_into<T: Plain>(&mut self, send: &[T], into: &mut [T]) -> Result<(), Abort> {
        let (core, ranks) = (&self.core, self.core.size());
        check_blocks(send.len(), ranks);
        assert_eq!(send.len(), into.len(), "the lengths of what is sent and of the buffer");
        assert!(any_bits::<T>(), "{} has bit patterns that are no value", std::any::type_name::<T>());
        let print = Print::new::<T>("all_to_all_into", [send.len() as u64, 0], Location::caller());
        if posting::suits_long::<T>(core, size_of_val(send), false)
            && let Some(posting) = core.posting(print)?
        {
            return posting.all_to_all(send, into);
        }
        let Some(steps) = self.exchange_of_blocks::<T>(send.len()) else {
            into.copy_from_slice(&self.all_to_all_in_rounds(print, send)?);
            return Ok(());
        };
        let block = send.len() / ranks;
        let own = core.me * block..(core.me + 1) * block;
        into[own.clone()].copy_from_slice(&send[own]);
        borrow::exchange_into(core, print, steps, send, into)
    }

    /// The first `counts[0]` values of `send` go to rank 0, the next `counts[1]` to rank 1, and so on; what each rank sends
    /// here is found out. Collective; 2 (p − 1) messages a rank: a count and the values, none where there are none.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If there is not one count a rank, or their sum is not the length of `send`.
    #[track_caller]
    #[doc(alias = "MPI_Alltoallv")]
    pub fn all_to_all_v<T: Plain>(&mut self, send: &[T], counts: &[u64]) -> Result<Parts<T>, Abort> {
        let at = Location::caller();
        let (core, ranks) = (&self.core, self.core.size());
        assert_eq!(counts.len(), ranks, "counts, one a rank");
        let cuts = cuts(counts);
        assert_eq!(cuts[ranks], send.len(), "the sum of the counts and the number of values to send");

        let print = Print::new::<T>("all_to_all_v (counts)", [0; 2], at);
        let place = |q: usize| Some(8 * q..8 * (q + 1));
        let steps = direct::exchange(core.me, ranks, place, place);
        let theirs = borrow::exchange(core, print, steps, counts, ranks, Some((core.me, core.me, 1)))?;

        let into = self::cuts(&theirs);
        if core.rank.level.is_full() {
            let print = Print::new::<T>("all_to_all_v (sums)", [0; 2], at);
            check_sums(core, print, [cuts[ranks], into[ranks]])?;
        }
        let size = T::BYTES;
        let range = |cuts: &[usize], q: usize| (cuts[q] < cuts[q + 1]).then(|| cuts[q] * size..cuts[q + 1] * size);
        let steps = direct::exchange(core.me, ranks, |q| range(&cuts, q), |q| range(&into, q));
        let print = Print::new::<T>("all_to_all_v", [0; 2], at);
        let own = Some((cuts[core.me], into[core.me], cuts[core.me + 1] - cuts[core.me]));
        let values = borrow::exchange(core, print, steps, send, into[ranks], own)?;
        Ok(Parts::new(values, into[1..].to_vec()))
    }
}

/// As many values are sent by all ranks together as are received.
fn check_sums(core: &Core, print: Print, mine: [usize; 2]) -> Result<(), Abort> {
    let mut sums = [0u128; 2];
    for blob in core.all_blobs(print, super::bytes(&mine.map(|n| n as u64)))? {
        let said = super::values::<u64>(core, &print, &blob)?;
        sums.iter_mut().zip(said).for_each(|(sum, n)| *sum += u128::from(n));
    }
    let [sent, due] = sums;
    if sent != due {
        let what = format!("the counts of {} are of {sent} values sent and {due} received", print.text());
        return Err(core.rank.transport.abort(core.rank.own_abort(&what)));
    }
    Ok(())
}

fn check_blocks(len: usize, ranks: usize) {
    assert!(len.is_multiple_of(ranks), "{len} elements in one block for each of {ranks} ranks");
}

/// Where each part begins, and the end of the last.
pub(super) fn cuts(counts: &[u64]) -> Vec<usize> {
    let mut end = 0usize;
    let next = |&count: &u64| {
        end = usize::try_from(count).ok().and_then(|c| end.checked_add(c)).expect("counts that fit in memory");
        end
    };
    std::iter::once(0).chain(counts.iter().map(next).collect::<Vec<_>>()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_do_not_add_up_are_told() {
        let print = Print::new::<u8>("sums", [0; 2], Location::caller());
        assert!(check_sums(&Comm::alone().core, print, [3, 3]).is_ok());
        let wrong = check_sums(&Comm::alone().core, print, [3, 4]).unwrap_err().to_string();
        assert!(wrong.contains("of 3 values sent and 4 received"), "{wrong}");
    }
}
