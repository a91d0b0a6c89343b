//! Values that go to other ranks as they are.

use super::{Posting, chunk, chunks};
use crate::failure::Abort;
use crate::plain::Plain;
use crate::transport::board::ROOM;
use crate::transport::memory::Landing;
use std::ops::Range;

impl Posting<'_> {
    /// Everybody has come.
    pub(crate) fn barrier(self) -> Result<(), Abort> {
        self.post(0, 0, &[])?;
        self.read(0, self.others())?;
        self.through(0);
        self.end(1);
        Ok(())
    }

    /// Everybody's bytes, in the order of ranks.
    pub(crate) fn all_gather(self, mine: &[u8]) -> Result<Vec<Vec<u8>>, Abort> {
        let (all, ends) = self.all_values(mine)?;
        let starts = std::iter::once(&0).chain(&ends);
        Ok(starts.zip(&ends).map(|(&start, &end)| all[start..end].to_vec()).collect())
    }

    /// Everybody's values, of equal length, in the order of ranks. Any bits must be a `T`.
    pub(crate) fn all_gather_into<T: Plain>(self, mine: &[T], all: &mut [T]) -> Result<(), Abort> {
        let len = mine.len();
        self.post_chunk(mine, 0)?;
        self.gather(mine, |m| m * len..(m + 1) * len, all)
    }

    /// Everybody's values, in the order of ranks, and where each rank's end. Any bits must be a `T`.
    pub(crate) fn all_values<T: Plain>(self, mine: &[T]) -> Result<(Vec<T>, Vec<usize>), Abort> {
        self.post_chunk(mine, 0)?;
        self.read(0, self.others())?; // with the lengths
        let mut ends = Vec::with_capacity(self.board.members);
        for m in 0..self.board.members {
            let own = m == self.board.me;
            let len = if own { mine.len() } else { self.board.total(m, self.before + 1) as usize };
            ends.push(ends.last().unwrap_or(&0) + len);
        }
        let mut all = Landing::<T>::new(ends[ends.len() - 1]).checked().expect("any bits are a value");
        self.gather(mine, |m| if m == 0 { 0 } else { ends[m - 1] }..ends[m], &mut all)?;
        Ok((all, ends))
    }

    fn post_chunk<T: Plain>(&self, mine: &[T], k: u64) -> Result<(), Abort> {
        let part = &mine[chunk(mine.len(), ROOM / T::BYTES, k)];
        self.post(k, mine.len(), &[bytemuck::cast_slice(part)])
    }

    /// Everybody's values, each rank's at its place in `all`. The first chunk has been posted.
    fn gather<T: Plain>(self, mine: &[T], place: impl Fn(usize) -> Range<usize>, all: &mut [T]) -> Result<(), Abort> {
        let (room, whole) = (ROOM / T::BYTES, size_of_val(all));
        let steps = (0..self.board.members).map(|m| chunks(place(m).len(), room)).max().unwrap_or(1);
        self.poison(all);
        all[place(self.board.me)].copy_from_slice(mine);
        for k in 0..steps {
            if k + 1 < steps {
                self.post_chunk(mine, k + 1)?;
            }
            self.read_of(k, self.others(), |m| place(m).len())?;
            for m in self.others() {
                let part = &mut all[place(m)];
                let range = chunk(part.len(), room, k);
                let at = (m, self.before + 1 + k, range.len() * T::BYTES, 0);
                self.board.load(at, &mut part[range], whole);
            }
            self.through(k);
        }
        self.end(steps);
        Ok(())
    }

    /// The root's values in everybody's buffer of equal length. Any bits must be a `T`.
    pub(crate) fn broadcast<T: Plain>(self, root: usize, values: &mut [T]) -> Result<(), Abort> {
        let (len, room, whole) = (values.len(), ROOM / T::BYTES, size_of_val(values));
        let steps = chunks(len, room);
        if self.board.me != root {
            self.poison(values);
        }
        for k in 0..steps {
            let part = &mut values[chunk(len, room, k)];
            if self.board.me == root {
                self.post(k, size_of_val(part), &[bytemuck::cast_slice(part)])?;
            } else {
                self.read_of(k, std::iter::once(root), |_| size_of_val(part))?;
                self.board.load((root, self.before + 1 + k, size_of_val(part), 0), part, whole);
            }
            self.through(k);
        }
        self.end(steps);
        Ok(())
    }

    /// The root's bytes, of a length that the others need not know.
    pub(crate) fn bytes_from(self, root: usize, mine: Option<Vec<u8>>) -> Result<Vec<u8>, Abort> {
        let mut bytes = mine.unwrap_or_default();
        let mut steps = chunks(bytes.len(), ROOM);
        let mut k = 0;
        while k < steps {
            if self.board.me == root {
                self.post(k, bytes.len(), &[&bytes[chunk(bytes.len(), ROOM, k)]])?;
            } else {
                self.read(k, std::iter::once(root))?;
                if k == 0 {
                    bytes = vec![0; self.board.total(root, self.before + 1) as usize];
                    self.poison(&mut bytes);
                    steps = chunks(bytes.len(), ROOM);
                }
                let range = chunk(bytes.len(), ROOM, k);
                let whole = bytes.len();
                self.board.load((root, self.before + 1 + k, range.len(), 0), &mut bytes[range], whole);
            }
            self.through(k);
            k += 1;
        }
        self.end(steps);
        Ok(bytes)
    }

    /// Block q of `send` to rank q, whose block of ours lands in `into`. Both have one block of equal length a rank. Any bits
    /// must be a `T`.
    pub(crate) fn all_to_all<T: Plain>(self, send: &[T], into: &mut [T]) -> Result<(), Abort> {
        let (me, members) = (self.board.me, self.board.members);
        let block = send.len() / members;
        let room = (ROOM / T::BYTES / (members - 1)).max(1);
        let steps = chunks(block, room);
        let whole = size_of_val(into);
        self.poison(into);
        into[me * block..(me + 1) * block].copy_from_slice(&send[me * block..(me + 1) * block]);
        let mut parts = Vec::with_capacity(members - 1);
        let mut post = |k: u64| {
            let range = chunk(block, room, k);
            let of = |q: usize| bytemuck::cast_slice(&send[q * block + range.start..q * block + range.end]);
            parts.clear();
            parts.extend(self.others().map(of));
            self.post(k, block, &parts)
        };
        post(0)?;
        for k in 0..steps {
            if k + 1 < steps {
                post(k + 1)?;
            }
            self.read_of(k, self.others(), |_| block)?;
            let range = chunk(block, room, k);
            let bytes = range.len() * T::BYTES;
            for m in self.others() {
                let place = if me < m { me } else { me - 1 }; // among the others of m
                let part = &mut into[m * block + range.start..m * block + range.end];
                self.board.load((m, self.before + 1 + k, bytes * (members - 1), place * bytes), part, whole);
            }
            self.through(k);
        }
        self.end(steps);
        Ok(())
    }
}
