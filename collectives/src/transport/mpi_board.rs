//! Memory that processes of an MPI job share: a board, if all of them are on one host (all have it, or none), and mailboxes of a
//! rank, for its neighbours on the host.

use super::board::{Board, boards, bytes};
use super::mailbox::{Held, Offer, Region};
use super::mpi_calls::{Wire, check, count};
use super::shared::{self, Shared};
use crate::algo::model::LONGEST;
use mpi::ffi;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::Arc;

/// What a rank tells the others: process, descriptor, and a number that stands in the memory; zeros if it has none.
type Words = [u64; 3];

/// Collective over all processes of the job, of which `on_host` are here.
pub(super) fn begin(wire: &Wire, on_host: usize) -> Option<Board> {
    let (size, me) = (wire.size as usize, wire.rank as usize);
    let possible = boards(wire.size) && on_host == size;
    if !all(wire, possible) {
        return None;
    }
    let created = if me == 0 { shared::create(bytes(size)).ok() } else { None };
    let mut offer = created.as_ref().map_or([0; 3], |(memory, file)| signed(memory, file));
    broadcast(wire, &mut offer);
    let mine = match created {
        Some((memory, file)) => Some((memory, Some(file))),
        None if me > 0 => find(offer, bytes(size)).map(|memory| (memory, None)),
        None => None,
    };
    if !all(wire, mine.is_some()) {
        return None;
    }
    mine.map(|(memory, _file)| Board::new(Box::new(memory), size, me)) // the file is closed: all have it mapped
}

/// Signs memory, and says where others find it.
fn signed(memory: &Shared, file: &File) -> Words {
    let token = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id()) | 1;
    shared::sign(memory, token);
    [std::process::id().into(), u64::from(file.as_raw_fd().cast_unsigned()), token]
}

/// The memory of an offer, if it can be had.
fn find([pid, fd, token]: Words, len: usize) -> Option<Shared> {
    let opened = || shared::open(pid as u32, (fd as u32).cast_signed(), len).ok();
    if token == 0 { None } else { opened().filter(|memory| shared::signed(memory, token)) }
}

/// Memory for the mailboxes of this rank.
pub(super) fn offer(len: usize) -> Option<(Arc<Region>, Offer)> {
    let (memory, file) = shared::create(len).ok()?;
    let words = signed(&memory, &file);
    let region = Region::mapped(memory, len);
    region.touch_pages(); // they were reserved by this rank, too, so they lie near it
    Some((region, Offer { words, held: Held::File(file) }))
}

/// The memory that another rank of this host has for its mailboxes.
pub(super) fn open(words: Words, len: usize) -> Option<Arc<Region>> {
    Some(Region::mapped(find(words, len)?, len))
}

fn all(wire: &Wire, mine: bool) -> bool {
    let (mine, mut least) = (i64::from(mine), 0i64);
    // SAFETY: one number in, one number out, of the type that MPI is told.
    let code = unsafe {
        let (from, into) = (std::ptr::from_ref(&mine).cast(), std::ptr::from_mut(&mut least).cast());
        ffi::MPI_Allreduce(from, into, 1, ffi::RSMPI_INT64_T, ffi::RSMPI_MIN, wire.comm)
    };
    check(code, "MPI_Allreduce");
    least == 1
}

/// Rank 0's three numbers to all.
pub(super) fn broadcast(wire: &Wire, offer: &mut Words) {
    // SAFETY: three numbers, of the type that MPI is told.
    let code = unsafe { ffi::MPI_Bcast(offer.as_mut_ptr().cast(), 3, ffi::RSMPI_UINT64_T, 0, wire.comm) };
    check(code, "MPI_Bcast");
}

/// Rank 0's text, cut where no setting is that long, to all.
pub(super) fn text_of_root(wire: &Wire, mine: String) -> String {
    let mut bytes = mine.into_bytes();
    bytes.resize(LONGEST + 1, 0); // a setting has no zeros
    // SAFETY: so many bytes, of the type that MPI is told.
    let code =
        unsafe { ffi::MPI_Bcast(bytes.as_mut_ptr().cast(), count(bytes.len()), ffi::RSMPI_UINT8_T, 0, wire.comm) };
    check(code, "MPI_Bcast");
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}
