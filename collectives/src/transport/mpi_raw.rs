//! MPI's own collectives and messages on numbers, to measure ours against. Buffers and counts are checked here; the calls themselves are
//! bare, so a mismatch among ranks is MPI's to find, or not. For benchmarks only.

use super::mpi_calls::{Wire, check, count, running};
use mpi::ffi;
use std::ffi::c_void;

/// Numbers that MPI knows.
pub trait Number: Copy + Default + sealed::Number {}

impl Number for i64 {}
impl Number for f64 {}

mod sealed {
    use mpi::ffi;

    pub trait Number {
        fn mpi_type() -> ffi::MPI_Datatype;
    }

    impl Number for i64 {
        fn mpi_type() -> ffi::MPI_Datatype {
            // SAFETY: a constant of the library.
            unsafe { ffi::RSMPI_INT64_T }
        }
    }

    impl Number for f64 {
        fn mpi_type() -> ffi::MPI_Datatype {
            // SAFETY: a constant of the library.
            unsafe { ffi::RSMPI_DOUBLE }
        }
    }
}

/// MPI's communicator of all ranks, bare.
pub struct Raw {
    wire: Wire,
}

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Raw(rank {} of {})", self.wire.rank, self.wire.size)
    }
}

fn ptr<T>(values: &[T]) -> *const c_void {
    values.as_ptr().cast()
}

fn ptr_mut<T>(values: &mut [T]) -> *mut c_void {
    values.as_mut_ptr().cast()
}

impl Raw {
    /// A duplicate of the communicator of all ranks; `None` where MPI does not run. Collective.
    pub fn new() -> Option<Raw> {
        running().then(|| Raw { wire: Wire::new() })
    }

    fn ranks(&self) -> usize {
        self.wire.size as usize
    }

    /// `MPI_Barrier`. Collective.
    pub fn barrier(&self) {
        // SAFETY: the communicator is ours and MPI runs.
        check(unsafe { ffi::MPI_Barrier(self.wire.comm) }, "MPI_Barrier");
    }

    /// `MPI_Allreduce` with `MPI_SUM`. Collective.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn all_reduce<T: Number>(&self, send: &[T], recv: &mut [T]) {
        assert_eq!(send.len(), recv.len());
        let (n, ty) = (count(send.len()), T::mpi_type());
        // SAFETY: both buffers have `n` elements of the type, and the call blocks until it needs neither.
        let code = unsafe { ffi::MPI_Allreduce(ptr(send), ptr_mut(recv), n, ty, ffi::RSMPI_SUM, self.wire.comm) };
        check(code, "MPI_Allreduce");
    }

    /// `MPI_Reduce` with `MPI_SUM` to rank 0. Collective.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn reduce<T: Number>(&self, send: &[T], recv: &mut [T]) {
        assert_eq!(send.len(), recv.len());
        let (n, ty) = (count(send.len()), T::mpi_type());
        // SAFETY: as for all_reduce.
        let code = unsafe { ffi::MPI_Reduce(ptr(send), ptr_mut(recv), n, ty, ffi::RSMPI_SUM, 0, self.wire.comm) };
        check(code, "MPI_Reduce");
    }

    /// `MPI_Bcast` from rank 0. Collective.
    pub fn broadcast<T: Number>(&self, buf: &mut [T]) {
        let (n, ty) = (count(buf.len()), T::mpi_type());
        // SAFETY: the buffer has `n` elements of the type, and the call blocks until it is free.
        check(unsafe { ffi::MPI_Bcast(ptr_mut(buf), n, ty, 0, self.wire.comm) }, "MPI_Bcast");
    }

    /// `MPI_Alltoall`. Collective.
    ///
    /// # Panics
    /// If the lengths differ or are no multiple of the number of ranks.
    pub fn all_to_all<T: Number>(&self, send: &[T], recv: &mut [T]) {
        assert!(send.len() == recv.len() && send.len().is_multiple_of(self.ranks()));
        let (n, ty) = (count(send.len() / self.ranks()), T::mpi_type());
        // SAFETY: both buffers have `n` elements of the type for each rank, and the call blocks until it needs neither.
        let code = unsafe { ffi::MPI_Alltoall(ptr(send), n, ty, ptr_mut(recv), n, ty, self.wire.comm) };
        check(code, "MPI_Alltoall");
    }

    /// `MPI_Allgather`. Collective.
    ///
    /// # Panics
    /// If `recv` has not a block of the length of `send` for each rank.
    pub fn all_gather<T: Number>(&self, send: &[T], recv: &mut [T]) {
        assert_eq!(send.len() * self.ranks(), recv.len());
        let (n, ty) = (count(send.len()), T::mpi_type());
        // SAFETY: as for all_to_all.
        let code = unsafe { ffi::MPI_Allgather(ptr(send), n, ty, ptr_mut(recv), n, ty, self.wire.comm) };
        check(code, "MPI_Allgather");
    }

    /// `MPI_Irecv` and `MPI_Isend` of each part from and to its rank, and `MPI_Waitall`.
    pub fn exchange<T: Number>(&self, sends: &[(u32, &[T])], recvs: &mut [(u32, &mut [T])]) {
        let ty = T::mpi_type();
        let mut requests = Vec::with_capacity(sends.len() + recvs.len());
        // SAFETY: each buffer has as many elements of the type as MPI is told, and is borrowed until all requests are through.
        unsafe {
            for (from, into) in recvs.iter_mut() {
                let (mut request, n) = (ffi::RSMPI_REQUEST_NULL, count(into.len()));
                let code = ffi::MPI_Irecv(ptr_mut(into), n, ty, from.cast_signed(), 0, self.wire.comm, &mut request);
                check(code, "MPI_Irecv");
                requests.push(request);
            }
            for (to, part) in sends {
                let (mut request, n) = (ffi::RSMPI_REQUEST_NULL, count(part.len()));
                let code = ffi::MPI_Isend(ptr(part), n, ty, to.cast_signed(), 0, self.wire.comm, &mut request);
                check(code, "MPI_Isend");
                requests.push(request);
            }
            let all = count(requests.len());
            check(ffi::MPI_Waitall(all, requests.as_mut_ptr(), ffi::RSMPI_STATUSES_IGNORE), "MPI_Waitall");
        }
    }
}
