//! A communicator: some ranks in order. The collectives among them are in `ops`, a file each.
//!
//! Methods that take `&mut self` are *collective*: every rank of the communicator calls them, in the same order, from the
//! same line of the program. Each has `#[track_caller]`: the place of the call is part of its fingerprint. `&mut self` gives
//! one at a time.

use crate::check::Print;
use crate::core::Core;
use crate::failure::{Abort, Outcome, host};
use crate::local;
use crate::rank::Rank;
use crate::stall::Stall;
use crate::transport::Transport;
use crate::transport::threads::Job;
use std::panic::Location;
use std::rc::Rc;

/// Some ranks in order, and the permission to communicate among them. `!Send` and `!Sync`.
pub struct Comm {
    pub(crate) core: Rc<Core>,
}

impl std::fmt::Debug for Comm {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Comm(rank {} of {})", self.rank(), self.size())
    }
}

impl Comm {
    /// One rank that meets only itself: for libraries, examples and tests.
    pub fn alone() -> Comm {
        let rank = Rank::new(Transport::Threads(Job::new(1, false, Stall::default())), 0);
        Comm { core: Core::root(rank, 1, false) }
    }

    /// This rank's place in the communicator, from 0. Local.
    pub fn rank(&self) -> u32 {
        self.core.me as u32
    }

    /// The number of ranks of the communicator. Local.
    pub fn size(&self) -> u32 {
        self.core.size() as u32
    }

    /// Of each rank a number that tells its host from the others. Local.
    pub fn hosts_of_ranks(&self) -> Vec<u32> {
        self.core.members.iter().map(|&member| self.core.rank.host_of(member)).collect()
    }

    /// The bytes that this rank has sent to other ranks so far, on all its communicators: what was lent or given to
    /// messages, without their headers, what was posted on the board, once for all readers, and what was written to mailboxes of
    /// others. Local.
    pub fn sent_bytes(&self) -> u64 {
        self.core.rank.sent_bytes()
    }

    /// Runs `f` on rank 0 only. Local: `Send` keeps every communicator out of `f`, so nothing in it can wait for the ranks
    /// that do not run it.
    pub fn on_root<R>(&self, f: impl FnOnce() -> R + Send) -> Option<R> {
        (self.rank() == 0).then(|| local::local(f))
    }

    /// Ranks of one color work as a communicator of their own, in the order of ranks. All members meet at its end if `f`
    /// is `Ok`. After an `Err` they do not: meeting would report a mismatch in place of the failure that caused it.
    ///
    /// Cost: one exchange of 4 bytes among all ranks at the begin (⌈log₂ p⌉ messages a rank), one barrier at the end.
    ///
    /// # Errors
    /// The failure of `f`, or the job's abort.
    #[track_caller]
    pub fn with_split<R>(&mut self, color: u32, f: impl FnOnce(&mut Comm) -> Outcome<R>) -> Outcome<R> {
        let at = Location::caller();
        let core = &self.core;
        let seq = core.next_seq();
        let colors = core.all_blobs(Print::new::<u32>("with_split", [0; 2], at), color.to_le_bytes().to_vec())?;
        let same: Vec<usize> = (0..core.size()).filter(|&r| colors[r] == color.to_le_bytes()).collect();
        let me = same.iter().position(|&r| r == core.me).expect("we have our own color");
        let sub = core.sub(seq, color, &same, me);
        let value = f(&mut Comm { core: sub.clone() })?;
        sub.finish(Print::new::<()>("the end of with_split", [0; 2], at))?;
        Ok(value)
    }

    /// The ranks of one host work as a communicator of their own; as [`with_split`](Comm::with_split) otherwise. Hosts are told
    /// apart by name and boot, so that containers of one machine are one host if they have one name.
    ///
    /// # Errors
    /// The failure of `f`, or the job's abort.
    #[track_caller]
    #[doc(alias = "MPI_Comm_split_type")]
    pub fn with_split_by_host<R>(&mut self, f: impl FnOnce(&mut Comm) -> Outcome<R>) -> Outcome<R> {
        let color = self.host_color(Location::caller())?;
        self.with_split(color, f)
    }

    /// The lowest rank of this rank's host. Collective; for the runtime, `at` is the place of the call.
    ///
    /// # Errors
    /// The job's abort.
    pub fn host_color(&mut self, at: &'static Location<'static>) -> Result<u32, Abort> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let mine = format!("{} {}", host(), boot.trim()).into_bytes();
        let all = self.core.all_blobs(Print::new::<str>("with_split_by_host", [0; 2], at), mine)?;
        Ok(all.iter().position(|host| *host == all[self.core.me]).expect("our own") as u32)
    }

    pub(crate) fn check_root(&self, root: u32) -> usize {
        assert!(root < self.size(), "root {root} of {} ranks", self.size());
        root as usize
    }
}
