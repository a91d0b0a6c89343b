//! System calls, behind safe functions: the affinity of a thread, what the process has used, its end; and its memory.
//!
//! Everything here is about the calling thread or the whole process; nothing but memory keeps state.

#[cfg_attr(all(target_os = "linux", not(miri)), path = "mapped.rs")]
#[cfg_attr(not(all(target_os = "linux", not(miri))), path = "allocated.rs")]
mod mapping;
mod memory;

pub use memory::{HUGE, Pages, Policy, nodes_of, page_bytes};

use crate::CpuSet;
use serde::Serialize;
use std::io;
use std::net::IpAddr;

/// What this process has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Usage {
    /// Processor time of all its threads, user and system, in seconds.
    pub cpu_s: f64,
    /// The most memory that was resident at any time, in bytes.
    pub peak_rss_bytes: u64,
}

/// The processors that this thread may run on.
///
/// # Errors
/// Where the system cannot tell.
#[doc(alias = "sched_getaffinity")]
pub fn affinity() -> io::Result<CpuSet> {
    imp::affinity()
}

/// Lets this thread, and threads that it starts later, run on these processors only.
///
/// # Errors
/// If none of them may be used, or the system has no such call.
#[doc(alias = "sched_setaffinity")]
pub fn set_affinity(cpus: &CpuSet) -> io::Result<()> {
    imp::set_affinity(cpus)
}

/// What this process has used so far; zeros where the system cannot tell.
#[doc(alias = "getrusage")]
pub fn usage() -> Usage {
    imp::usage()
}

/// This machine's name; `unknown` where the system cannot tell.
#[doc(alias = "gethostname")]
pub fn host_name() -> String {
    if cfg!(miri) {
        return "miri".into(); // the interpreter has no host
    }
    let mut name = [0u8; 256];
    // SAFETY: the buffer is as long as the call is told.
    let code = unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len()) };
    let len = name.iter().position(|&b| b == 0).unwrap_or(name.len());
    match std::str::from_utf8(&name[..len]) {
        Ok(name) if code == 0 && !name.is_empty() => name.into(),
        _ => "unknown".into(),
    }
}

/// An address of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The name of the network interface, such as `eth0`.
    pub name: String,
    /// One of its addresses.
    pub address: IpAddr,
    /// How many leading bits of it name the subnet.
    pub prefix: u8,
}

/// The addresses of this machine's network interfaces that are up; none where the system cannot tell. Addresses that mean
/// nothing without the name of an interface (IPv6, link-local) are left out.
#[doc(alias = "getifaddrs")]
pub fn interfaces() -> Vec<Interface> {
    let mut first = std::ptr::null_mut();
    // SAFETY: a place for the list, which is freed below.
    if unsafe { libc::getifaddrs(&mut first) } != 0 {
        return Vec::new();
    }
    let (mut found, mut at) = (Vec::new(), first.cast_const());
    // SAFETY: the list is ours until it is freed; its entries are linked up to a null pointer.
    while let Some(entry) = unsafe { at.as_ref() } {
        at = entry.ifa_next;
        let up = entry.ifa_flags & libc::IFF_UP.cast_unsigned() != 0;
        // SAFETY: both are null or addresses of the list's own; a name is a C string.
        let (address, mask, name) = unsafe {
            (ip(entry.ifa_addr), ip(entry.ifa_netmask), std::ffi::CStr::from_ptr(entry.ifa_name).to_string_lossy())
        };
        if let (true, Some(address)) = (up, address) {
            let ones = |mask| match mask {
                IpAddr::V4(mask) => mask.to_bits().leading_ones(),
                IpAddr::V6(mask) => mask.to_bits().leading_ones(),
            };
            let whole = if address.is_ipv4() { 32 } else { 128 };
            found.push(Interface { name: name.into_owned(), address, prefix: mask.map_or(whole, ones) as u8 });
        }
    }
    // SAFETY: the list came from `getifaddrs`, and nothing points into it any more.
    unsafe { libc::freeifaddrs(first) };
    found
}

/// The address that a socket address holds, if it is one of IP.
///
/// # Safety
/// Null, or a socket address as long as its family says.
unsafe fn ip(address: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: as the caller promises; copies are made, so nothing need be aligned.
    unsafe {
        match i32::from(address.as_ref()?.sa_family) {
            libc::AF_INET => {
                let v4 = address.cast::<libc::sockaddr_in>().read_unaligned();
                Some(IpAddr::V4(u32::from_be(v4.sin_addr.s_addr).into()))
            }
            libc::AF_INET6 => {
                let v6 = address.cast::<libc::sockaddr_in6>().read_unaligned();
                Some(v6.sin6_addr.s6_addr.into())
                    .filter(|ip: &std::net::Ipv6Addr| !ip.is_unicast_link_local())
                    .map(IpAddr::V6)
            }
            _ => None,
        }
    }
}

/// The number of processors that are online in the machine, whether this process may use them or not.
pub fn online_cpus() -> usize {
    // SAFETY: a number goes in and a number comes out.
    let count = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    usize::try_from(count).unwrap_or(1).max(1)
}

/// Calls `handler` when the process ends by `exit` or by returning from `main`, on the thread that ends it.
///
/// # Panics
/// If the system's table of handlers is full.
pub fn at_exit(handler: extern "C" fn()) {
    // SAFETY: a plain function stays valid for the life of the process; ours do not unwind.
    assert_eq!(unsafe { libc::atexit(handler) }, 0, "atexit refused a handler");
}

/// Ends the process at once: no handlers, no destructors.
pub fn leave(code: i32) -> ! {
    // SAFETY: `_exit` takes any code and does not return.
    unsafe { libc::_exit(code) }
}

#[cfg(target_os = "linux")]
mod imp {
    use super::{CpuSet, Usage, io};

    /// A mask is an array of words; machines with more than 1,024 processors need more than `cpu_set_t` has.
    const BITS: usize = u64::BITS as usize;

    pub(super) fn affinity() -> io::Result<CpuSet> {
        let mut words = vec![0u64; 16];
        loop {
            // SAFETY: the buffer has as many bytes as the call is told.
            let code = unsafe { libc::sched_getaffinity(0, size_of_val(words.as_slice()), words.as_mut_ptr().cast()) };
            if code == 0 {
                break;
            }
            let error = io::Error::last_os_error();
            // The kernel's own mask is longer than the buffer.
            if error.raw_os_error() != Some(libc::EINVAL) || words.len() > 1 << 14 {
                return Err(error);
            }
            words.resize(words.len() * 2, 0);
        }
        let bits = |(i, word): (usize, &u64)| {
            let word = *word;
            (0..BITS).filter(move |b| word >> b & 1 == 1).map(move |b| (i * BITS + b) as u32)
        };
        Ok(words.iter().enumerate().flat_map(bits).collect())
    }

    pub(super) fn set_affinity(cpus: &CpuSet) -> io::Result<()> {
        let mut words = vec![0u64; cpus.last().unwrap_or(0) as usize / BITS + 1];
        cpus.iter().for_each(|cpu| words[cpu as usize / BITS] |= 1 << (cpu as usize % BITS));
        // SAFETY: the buffer has as many bytes as the call is told.
        let code = unsafe { libc::sched_setaffinity(0, size_of_val(words.as_slice()), words.as_ptr().cast()) };
        if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    pub(super) fn usage() -> Usage {
        super::rusage(1024)
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{CpuSet, Usage, io};

    pub(super) fn affinity() -> io::Result<CpuSet> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn set_affinity(_: &CpuSet) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn usage() -> Usage {
        super::rusage(if cfg!(target_os = "macos") { 1 } else { 1024 })
    }
}

/// `unit`: of how many bytes the system counts resident memory.
fn rusage(unit: u64) -> Usage {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: a place for the answer; all zeros is a valid `rusage`, should the call refuse.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 * 1e-6;
    Usage {
        cpu_s: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        peak_rss_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0) * unit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn affinity_is_what_was_set() {
        std::thread::spawn(|| {
            let all = affinity().unwrap();
            let one = CpuSet::from_iter(all.last());
            set_affinity(&one).unwrap();
            assert_eq!(affinity().unwrap(), one);
            assert!(set_affinity(&CpuSet::default()).is_err());
            set_affinity(&all).unwrap();
        })
        .join()
        .unwrap();
    }

    #[test]
    fn the_loopback_interface_is_seen() {
        let found = interfaces();
        let local = found.iter().find(|i| i.address == IpAddr::from([127, 0, 0, 1]));
        assert!(local.is_some_and(|i| i.prefix == 8 && i.name.starts_with("lo")), "{found:?}");
    }

    #[test]
    fn the_process_is_seen() {
        let before = usage();
        let work: u64 = (0..20_000_000u64).fold(1, |a, b| std::hint::black_box(a.wrapping_mul(31) ^ b));
        assert_ne!(work, 0);
        let after = usage();
        assert!(after.cpu_s > before.cpu_s && after.peak_rss_bytes > 1 << 20, "{after:?}");
        assert!(online_cpus() >= 1 && !host_name().is_empty());
    }
}
