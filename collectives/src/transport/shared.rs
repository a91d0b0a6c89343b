//! Memory that processes of a host share: a memfd, which leaves nothing behind however its users end.

use super::board::Place;
use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::atomic::{AtomicU64, Ordering};

/// A mapping of shared memory.
pub(super) struct Shared {
    base: *mut u8,
    len: usize,
}

impl Place for Shared {
    fn base(&self) -> *mut u8 {
        self.base
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and whoever uses it holds this value.
        unsafe { libc::munmap(self.base.cast(), self.len) };
    }
}

/// Zeroed memory, and the number by which others of this host open it while the file is open here.
///
/// # Errors
/// What the system says; also if it has not as much memory to give, which would else be found out in the middle of a write.
pub(super) fn create(len: usize) -> io::Result<(Shared, File)> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a place for the answer.
    let code = unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &mut limit) };
    if code != 0 || limit.rlim_cur < len as libc::rlim_t {
        return Err(io::Error::other("files may not be as long")); // a memfd is one, and a signal would tell us
    }
    // SAFETY: a name that ends with 0, and known flags.
    let fd = unsafe { libc::memfd_create(c"physalia".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and ours alone.
    let file = unsafe { File::from_raw_fd(fd) };
    let bytes = libc::off_t::try_from(len).map_err(io::Error::other)?;
    // SAFETY: numbers go in, and a number comes out.
    if unsafe { libc::posix_fallocate(fd, 0, bytes) } != 0 {
        return Err(io::Error::other("not as much memory to share"));
    }
    Ok((map(&file, len)?, file))
}

/// The memory that process `pid` of this host has created with this descriptor.
///
/// # Errors
/// What the system says, or that it is another file.
pub(super) fn open(pid: u32, fd: c_int, len: usize) -> io::Result<Shared> {
    let file = File::options().read(true).write(true).open(format!("/proc/{pid}/fd/{fd}"))?;
    if file.metadata()?.len() != len as u64 {
        return Err(io::Error::other("another file")); // a process of another namespace with the same number
    }
    map(&file, len)
}

/// Writes a number that tells this memory from any other.
pub(super) fn sign(memory: &Shared, token: u64) {
    word(memory).store(token, Ordering::Release);
}

/// Whether the memory was signed with this number.
pub(super) fn signed(memory: &Shared, token: u64) -> bool {
    word(memory).load(Ordering::Acquire) == token
}

/// The second word of the lobby.
fn word(memory: &Shared) -> &AtomicU64 {
    // SAFETY: inside the mapping, which is longer and begins with a page; the word is only ever used as an atomic.
    unsafe { AtomicU64::from_ptr(memory.base.add(8).cast()) }
}

fn map(file: &File, len: usize) -> io::Result<Shared> {
    let (access, how) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
    // SAFETY: a new mapping of a file that we hold, of its own length.
    let base = unsafe { libc::mmap(std::ptr::null_mut(), len, access, how, file.as_raw_fd(), 0) };
    if base == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(Shared { base: base.cast(), len })
}
