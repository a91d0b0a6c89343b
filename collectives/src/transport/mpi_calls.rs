//! The fence around MPI: each function that we call, with its return code checked. Start-up goes through the crate `mpi`;
//! its own buffer calls are not used, because they drop return codes and do not check lengths.
//!
//! A call that fails ends the job at once, by name and with MPI's own words: after an error MPI promises nothing, so there
//! is no state to go on from.

use super::memory::Span;
use crate::failure::host;
use mpi::ffi;
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Longest piece of one MPI message, in bytes: counts are 32-bit signed numbers. Tests set it low (`PHYSALIA_MPI_PIECE`), to
/// see messages of many pieces without gigabytes; then on all ranks alike.
static PIECE: LazyLock<usize> = LazyLock::new(|| {
    let lower = std::env::var("PHYSALIA_MPI_PIECE").ok().and_then(|text| text.parse().ok());
    lower.map_or(1 << 30, |bytes: usize| bytes.clamp(1, 1 << 30))
});

/// A send or receive that MPI works on: one request for each piece, and for a receive how many bytes are due.
pub(super) struct Request(Vec<(ffi::MPI_Request, Option<c_int>)>);

/// Our own duplicate of the communicator of all ranks, so that no message of anybody else can meet ours.
pub(super) struct Wire {
    pub(super) comm: ffi::MPI_Comm,
    pub rank: u32,
    pub size: u32,
}

/// We have started MPI, so we finish it.
static OURS: AtomicBool = AtomicBool::new(false);

pub(super) fn check(code: c_int, call: &str) {
    if code != 0 {
        let mut text = [0u8; 8192];
        let mut len = 0;
        // SAFETY: the buffer is longer than MPI_MAX_ERROR_STRING of every implementation (Open MPI 256, MPICH 1024).
        unsafe { ffi::MPI_Error_string(code, text.as_mut_ptr().cast(), &mut len) };
        let text = String::from_utf8_lossy(&text[..usize::try_from(len).unwrap_or(0).min(text.len())]).into_owned();
        crate::exit::leave(1, &format!("{call} failed on {}: {text}", host()));
    }
}

/// Starts MPI if nobody has.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn start() -> Result<(), String> {
    if running() {
        return usable();
    }
    if finished() {
        return Err("MPI was finalized in this process, so no job can run any more".into());
    }
    let (universe, level) =
        mpi::initialize_with_threading(mpi::Threading::Funneled).ok_or("MPI was started by somebody else meanwhile")?;
    std::mem::forget(universe); // its destructor would finalize, also while unwinding; `finalize` does it in order
    if level < mpi::Threading::Funneled {
        return Err(format!("MPI grants only {level:?}; physalia needs MPI_THREAD_FUNNELED"));
    }
    OURS.store(true, Ordering::SeqCst);
    Ok(())
}

/// Whether this thread may call an MPI that runs already: one job of ours after another, or a program's own.
fn usable() -> Result<(), String> {
    let (mut level, mut main) = (0, 0);
    // SAFETY: MPI runs; both are places for one answer.
    unsafe {
        check(ffi::MPI_Query_thread(&mut level), "MPI_Query_thread");
        check(ffi::MPI_Is_thread_main(&mut main), "MPI_Is_thread_main");
    }
    if main == 0 {
        return Err("MPI was started by another thread of this process: run every job on that one".into());
    }
    // SAFETY: a constant.
    if level < unsafe { ffi::RSMPI_THREAD_FUNNELED } {
        return Err("MPI was started without MPI_THREAD_FUNNELED, which physalia needs for its workers".into());
    }
    Ok(())
}

/// MPI is started and not finished.
pub(super) fn running() -> bool {
    let mut flag = 0;
    // SAFETY: may be called at any time, with a place for the answer.
    check(unsafe { ffi::MPI_Initialized(&mut flag) }, "MPI_Initialized");
    flag != 0 && !finished()
}

fn finished() -> bool {
    let mut flag = 0;
    // SAFETY: may be called at any time, with a place for the answer.
    check(unsafe { ffi::MPI_Finalized(&mut flag) }, "MPI_Finalized");
    flag != 0
}

/// Finishes MPI if we have started it; at the end of the process.
pub(crate) fn finalize() {
    if OURS.swap(false, Ordering::SeqCst) && running() {
        // SAFETY: it runs, and no job of ours does: `exit` calls this when no rank is alive.
        check(unsafe { ffi::MPI_Finalize() }, "MPI_Finalize");
    }
}

/// So long Hydra's processes get to pass on what ranks have said, before they are told to end everything.
const HYDRA: Duration = Duration::from_millis(200);

/// Ends all processes of the MPI job, if there is one. It returns only where there is none.
pub(crate) fn abort_job(code: i32) {
    if std::env::var_os("PMI_RANK").is_some() {
        std::thread::sleep(HYDRA); // MPICH's and Intel MPI's launcher ends without emptying its pipes: our words would be lost
    }
    let (mut started, mut over) = (0, 0);
    // SAFETY: both may be called at any time; MPI_Abort between start and finish.
    unsafe {
        ffi::MPI_Initialized(&mut started);
        ffi::MPI_Finalized(&mut over);
        if started != 0 && over == 0 {
            ffi::MPI_Abort(ffi::RSMPI_COMM_WORLD, code);
        }
    }
}

/// The library in use, on one line.
pub(crate) fn version() -> String {
    let text = mpi::environment::library_version().unwrap_or_else(|_| "unknown".into());
    text.trim_end_matches('\0').lines().next().unwrap_or("").split(", package").next().unwrap_or("").trim().to_string()
}

impl Wire {
    /// A duplicate of the communicator of all ranks, whose errors come back as codes. Collective.
    pub(super) fn new() -> Wire {
        let (mut rank, mut size) = (0, 0);
        // SAFETY: MPI runs; every pointer is to a place for one answer.
        let comm = unsafe {
            let mut comm = ffi::RSMPI_COMM_NULL;
            check(ffi::MPI_Comm_dup(ffi::RSMPI_COMM_WORLD, &mut comm), "MPI_Comm_dup");
            check(ffi::MPI_Comm_set_errhandler(comm, ffi::RSMPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
            check(ffi::MPI_Comm_rank(comm, &mut rank), "MPI_Comm_rank");
            check(ffi::MPI_Comm_size(comm, &mut size), "MPI_Comm_size");
            comm
        };
        Wire { comm, rank: rank.cast_unsigned(), size: size.cast_unsigned() }
    }

    /// By rank, the first rank of its host. Collective over all processes.
    pub(super) fn hosts(&self) -> Vec<u32> {
        let (mut first, mut all) = (self.rank, vec![0u32; self.size as usize]);
        // SAFETY: MPI runs; the new communicator is freed here and nobody else has it. One number goes in, and one of each
        // rank comes out, of the type that MPI is told.
        unsafe {
            let mut host = ffi::RSMPI_COMM_NULL;
            let (kind, key) = (ffi::RSMPI_COMM_TYPE_SHARED, self.rank.cast_signed());
            let code = ffi::MPI_Comm_split_type(self.comm, kind, key, ffi::RSMPI_INFO_NULL, &mut host);
            check(code, "MPI_Comm_split_type");
            let number = ffi::RSMPI_UINT32_T;
            check(ffi::MPI_Bcast(std::ptr::from_mut(&mut first).cast(), 1, number, 0, host), "MPI_Bcast");
            check(ffi::MPI_Comm_free(&mut host), "MPI_Comm_free");
            let (from, into) = (std::ptr::from_ref(&first).cast(), all.as_mut_ptr().cast());
            check(ffi::MPI_Allgather(from, 1, number, into, 1, number, self.comm), "MPI_Allgather");
        }
        all
    }

    /// Starts a send of all bytes of `span`.
    ///
    /// # Safety
    /// The memory stays alive and unwritten until `done` has said so of the request.
    pub(super) unsafe fn send(&self, span: Span, to: u32, tag: i32) -> Request {
        // SAFETY: the part lies in the span, which the caller keeps.
        let one = |(start, len)| unsafe { self.send_piece(span.part(start, len), to, tag) };
        Request(pieces(span.len()).map(one).collect())
    }

    /// Starts a send of a short message, in one piece always: it is received by its length.
    ///
    /// # Safety
    /// As for `send`.
    pub(super) unsafe fn send_whole(&self, span: Span, to: u32, tag: i32) -> Request {
        // SAFETY: promised by the caller.
        Request(vec![unsafe { self.send_piece(span, to, tag) }])
    }

    /// # Safety
    /// As for `send`.
    unsafe fn send_piece(&self, part: Span, to: u32, tag: i32) -> (ffi::MPI_Request, Option<c_int>) {
        // SAFETY: the caller keeps the memory; the count fits, or `count` panics.
        unsafe {
            let mut request = ffi::RSMPI_REQUEST_NULL;
            let (at, count) = (part.ptr().cast(), count(part.len()));
            let code = ffi::MPI_Isend(at, count, ffi::RSMPI_UINT8_T, to.cast_signed(), tag, self.comm, &mut request);
            check(code, "MPI_Isend");
            (request, None)
        }
    }

    /// Starts a receive of exactly as many bytes as `span` has.
    ///
    /// # Safety
    /// The memory is exclusive, stays alive and is not touched until `done` has said so of the request.
    pub(super) unsafe fn receive(&self, span: Span, from: u32, tag: i32) -> Request {
        let one = |(start, len): (usize, usize)| {
            let part = span.part(start, len);
            // SAFETY: the part lies in the span, which the caller keeps; the count fits. A longer message is an error that
            // MPI reports (MPI_ERR_TRUNCATE), it writes no more than the count.
            unsafe {
                let mut request = ffi::RSMPI_REQUEST_NULL;
                let (at, count) = (part.ptr().cast(), count(part.len()));
                let code =
                    ffi::MPI_Irecv(at, count, ffi::RSMPI_UINT8_T, from.cast_signed(), tag, self.comm, &mut request);
                check(code, "MPI_Irecv");
                (request, Some(count))
            }
        };
        Request(pieces(span.len()).map(one).collect())
    }

    /// One message with this tag from anybody, if one has come: the sender, and all its bytes.
    pub(super) fn take(&self, tag: i32) -> Option<(u32, Vec<u8>)> {
        let (mut status, mut received) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        let mut flag = 0;
        // SAFETY: every pointer is to a place for one answer. `status` is read after MPI has written it (flag set); the
        // buffer has as many bytes as MPI says that the message has, and the message is received right here.
        unsafe {
            let mut message = ffi::RSMPI_MESSAGE_NULL;
            let any = ffi::RSMPI_ANY_SOURCE;
            check(ffi::MPI_Improbe(any, tag, self.comm, &mut flag, &mut message, status.as_mut_ptr()), "MPI_Improbe");
            if flag == 0 {
                return None;
            }
            let status: ffi::MPI_Status = status.assume_init();
            let mut len = 0;
            check(ffi::MPI_Get_count(&status, ffi::RSMPI_UINT8_T, &mut len), "MPI_Get_count");
            let mut bytes = vec![0u8; usize::try_from(len).expect("MPI counts bytes from 0")];
            let code =
                ffi::MPI_Mrecv(bytes.as_mut_ptr().cast(), len, ffi::RSMPI_UINT8_T, &mut message, received.as_mut_ptr());
            check(code, "MPI_Mrecv");
            same_count(&received.assume_init(), len);
            Some((status.MPI_SOURCE.cast_unsigned(), bytes))
        }
    }
}

impl Request {
    pub(super) fn of(requests: Vec<ffi::MPI_Request>) -> Request {
        Request(requests.into_iter().map(|request| (request, None)).collect())
    }

    /// Whether all pieces are through.
    pub(super) fn done(&mut self) -> bool {
        self.0.retain_mut(|(request, due)| {
            let (mut flag, mut status) = (0, MaybeUninit::uninit());
            // SAFETY: the request is one that MPI gave and that has not completed; completed ones are removed here. The
            // status of a receive is read after MPI has written it (flag set).
            unsafe {
                check(ffi::MPI_Test(request, &mut flag, status.as_mut_ptr()), "MPI_Test");
                if let (true, Some(due)) = (flag != 0, *due) {
                    same_count(&status.assume_init(), due);
                }
            }
            flag == 0
        });
        self.0.is_empty()
    }
}

/// A receive has brought as many bytes as were announced.
fn same_count(status: &ffi::MPI_Status, due: c_int) {
    let mut len = 0;
    // SAFETY: the status is one that MPI has written; a place for one answer.
    check(unsafe { ffi::MPI_Get_count(status, ffi::RSMPI_UINT8_T, &mut len) }, "MPI_Get_count");
    if len != due {
        crate::exit::leave(1, &format!("MPI on {} has received {len} bytes of a message of {due}", host()));
    }
}

pub(super) fn count(len: usize) -> c_int {
    c_int::try_from(len).expect("a piece is shorter than 2^31")
}

/// Starts and lengths of the pieces of `len` bytes.
pub(super) fn pieces(len: usize) -> impl Iterator<Item = (usize, usize)> {
    let piece = *PIECE;
    (0..len.div_ceil(piece)).map(move |i| (i * piece, piece.min(len - i * piece)))
}
