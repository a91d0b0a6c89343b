//! MPI's own collectives as a step of a schedule, on bytes: for networks that do them in hardware. They carry no fingerprint, so
//! a schedule has all ranks meet in the call before; and they are started only by blocking calls on the communicator of all
//! ranks, so that all ranks start them in one order.

use super::memory::Span;
use super::mpi_calls::{Request, Wire, check, count, pieces};
use crate::algo::Native;
use mpi::ffi;

impl Wire {
    /// Starts `call`; `from` is what an all-to-all sends.
    ///
    /// # Safety
    /// Both stay alive, `into` exclusively and untouched, until `done` has said so of the request. All ranks start the same call
    /// as their next one, with spans of the same length.
    pub(super) unsafe fn native(&self, call: Native, from: Option<Span>, into: Span) -> Request {
        // SAFETY: constants of the library.
        let (byte, null) = unsafe { (ffi::RSMPI_UINT8_T, ffi::RSMPI_REQUEST_NULL) };
        let block = into.len() / self.size as usize;
        match call {
            Native::Broadcast { root } => {
                let one = |(start, len): (usize, usize)| {
                    let mut request = null;
                    let part = into.part(start, len).ptr().cast();
                    // SAFETY: the part lies in the span, which the caller keeps.
                    let code = unsafe { ffi::MPI_Ibcast(part, count(len), byte, count(root), self.comm, &mut request) };
                    check(code, "MPI_Ibcast");
                    request
                };
                Request::of(pieces(into.len()).map(one).collect())
            }
            Native::AllToAll => {
                let (from, mut request) = (from.expect("an all-to-all has two buffers"), null);
                assert_eq!(from.len(), into.len());
                let (send, recv, n) = (from.ptr().cast(), into.ptr().cast(), count(block));
                // SAFETY: both have a block for each rank, and the caller keeps them.
                let code = unsafe { ffi::MPI_Ialltoall(send, n, byte, recv, n, byte, self.comm, &mut request) };
                check(code, "MPI_Ialltoall");
                Request::of(vec![request])
            }
        }
    }
}
