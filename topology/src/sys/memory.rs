//! Memory in whole pages: mapped from the system, laid on NUMA nodes, and asked where it lies.
//!
//! Fresh pages belong to no node. The first store to a page lays it on the node of the processor that stores (*first touch*),
//! unless a policy says otherwise.

use super::mapping;
use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut, Range};
use std::ptr::NonNull;

/// Bytes of a huge page. (Where base pages have more than 4 KiB, huge ones have more than this; then it is a unit like any.)
pub const HUGE: usize = 2 << 20;

/// Bytes of a base page.
#[doc(alias = "getpagesize")]
pub fn page_bytes() -> usize {
    mapping::page_bytes()
}

/// Memory of its own, in whole pages, private to the process. Zeros; pages are laid somewhere when they are first written.
/// From 2 MiB on it begins at a multiple of 2 MiB, so that huge pages fit.
#[doc(alias = "mmap")]
pub struct Pages(mapping::Mapping);

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Pages({} bytes)", self.len())
    }
}

impl Pages {
    /// So many bytes of zeros. Costs a system call or three, whatever the length.
    ///
    /// # Errors
    /// If the system gives no memory, or none so long. (That it gives some is a promise that it may break, by ending a
    /// process, when more is written than the machine has.)
    pub fn new(len: usize) -> io::Result<Pages> {
        if len > isize::MAX as usize - 2 * HUGE {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        mapping::Mapping::new(len).map(Pages)
    }

    /// Asks for huge pages: fewer misses of the TLB, and a first touch lays 2 MiB. A wish, which the system may leave unheard.
    #[doc(alias = "madvise")]
    pub fn advise_huge(&self) {
        self.0.advise(true);
    }

    /// Asks for base pages only, so that each is laid by itself. A wish, which the system may leave unheard.
    #[doc(alias = "madvise")]
    pub fn advise_small(&self) {
        self.0.advise(false);
    }

    /// Says on which nodes these bytes will be laid, whoever touches them first. Pages that have been touched stay where they
    /// are.
    ///
    /// # Errors
    /// If the range does not begin at a page or ends behind the memory, the system has no such call (or forbids it, as
    /// containers may), or knows no such node.
    #[doc(alias = "mbind")]
    pub fn bind(&self, bytes: Range<usize>, policy: &Policy) -> io::Result<()> {
        let inside = bytes.start <= bytes.end && bytes.end <= self.len() && bytes.start.is_multiple_of(page_bytes());
        if !inside {
            let what = format!("no pages of {} bytes to bind: bytes {bytes:?}", self.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        if bytes.is_empty() {
            return Ok(());
        }
        self.0
            .bind(bytes, policy)
            .map_err(|e| io::Error::new(e.kind(), format!("memory cannot be bound {policy}: {e}")))
    }
}

impl Deref for Pages {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.0.bytes_mut()
    }
}

/// On which nodes memory is laid. Where these have no more room, others are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Page by page on these nodes in turn.
    Interleave(Vec<u32>),
    /// On these nodes.
    Prefer(Vec<u32>),
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Policy::Interleave(nodes) => write!(f, "to nodes {nodes:?} in turn"),
            Policy::Prefer(nodes) => write!(f, "to nodes {nodes:?}"),
        }
    }
}

/// The NUMA node of every `step`-th base page of the memory, from the first on: `None` for a page that was never written. A
/// huge page counts as the base pages that it has. A query: nothing is touched or moved. Costs some ten nanoseconds a page
/// asked for.
///
/// # Errors
/// If the system has no such call, or forbids it.
///
/// # Panics
/// If `step` is 0.
#[doc(alias = "move_pages")]
pub fn nodes_of(memory: &[u8], step: usize) -> io::Result<Vec<Option<u32>>> {
    let page = page_bytes();
    let Some(last) = memory.len().checked_sub(1) else { return Ok(Vec::new()) };
    let (first, last) = (memory.as_ptr().addr() / page, (memory.as_ptr().addr() + last) / page);
    let mut nodes = Vec::with_capacity((last - first) / step + 1);
    let mut pages = (first..=last).step_by(step).map(|p| p * page).peekable();
    while pages.peek().is_some() {
        let some: Vec<usize> = pages.by_ref().take(1 << 14).collect();
        mapping::nodes_of(&some, &mut nodes)
            .map_err(|e| io::Error::new(e.kind(), format!("where memory lies cannot be asked: {e}")))?;
    }
    Ok(nodes)
}

/// Where memory without bytes begins: aligned as any other.
pub(super) fn no_bytes() -> NonNull<u8> {
    NonNull::without_provenance(NonZeroUsize::new(page_bytes()).unwrap_or(NonZeroUsize::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_zero_and_can_be_written_to_their_ends() {
        let page = page_bytes();
        for len in [0, 1, page - 1, page, page + 1, HUGE - 1, HUGE, HUGE + 1, 3 * HUGE + page + 5] {
            let mut pages = Pages::new(len).unwrap();
            assert_eq!(pages.len(), len);
            let unit = if len >= HUGE && cfg!(all(target_os = "linux", not(miri))) { HUGE } else { page };
            assert!(pages.as_ptr().addr().is_multiple_of(unit), "{len}: {:?}", pages.as_ptr());
            assert!(pages.iter().all(|&b| b == 0), "{len}");
            pages.fill(7);
            pages.advise_huge();
            pages.advise_small();
            assert!(pages.iter().all(|&b| b == 7), "{len}");
        }
    }

    #[test]
    fn absurd_lengths_are_errors() {
        for len in [usize::MAX, isize::MAX as usize, isize::MAX as usize - 2 * HUGE, 1 << 62] {
            assert_eq!(Pages::new(len).unwrap_err().kind(), io::ErrorKind::OutOfMemory, "{len}");
        }
    }

    #[test]
    fn workers_may_share_it() {
        let mut pages = Pages::new(5 * page_bytes()).unwrap();
        std::thread::scope(|scope| {
            for (i, part) in pages.chunks_mut(page_bytes()).enumerate() {
                scope.spawn(move || part.fill(i as u8));
            }
        });
        let sum = std::thread::spawn(move || pages.iter().map(|&b| usize::from(b)).sum::<usize>());
        assert_eq!(sum.join().unwrap(), 10 * page_bytes());
    }

    #[cfg(all(target_os = "linux", not(miri)))]
    mod linux {
        use super::*;

        #[test]
        fn dropped_pages_are_given_back() {
            let addresses = || -> usize {
                let status = std::fs::read_to_string("/proc/self/status").unwrap();
                let line = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
                line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
            };
            let before = addresses();
            for _ in 0..10_000 {
                Pages::new(HUGE).unwrap();
            }
            // Other tests run meanwhile; but what was mapped, or mapped besides to find the border, would be 20 GB.
            assert!(addresses() < before + (8 << 30));
        }

        /// The flags of the mapping that the memory begins.
        fn flags(pages: &Pages) -> Option<String> {
            let maps = std::fs::read_to_string("/proc/self/smaps").ok()?;
            let begin = format!("{:x}-", pages.as_ptr().addr());
            let mapping = maps.lines().skip_while(|line| !line.starts_with(&begin));
            mapping.filter(|line| line.starts_with("VmFlags:")).map(str::to_owned).next()
        }

        #[test]
        fn advice_is_heard() {
            let pages = Pages::new(2 * HUGE).unwrap();
            pages.advise_huge();
            let Some(huge) = flags(&pages).filter(|_| std::fs::exists("/sys/kernel/mm/transparent_hugepage").unwrap())
            else {
                return println!("skipped: a kernel without huge pages, or that does not show mappings");
            };
            assert!(huge.contains(" hg") && !huge.contains(" nh"), "{huge}");
            pages.advise_small();
            let small = flags(&pages).unwrap();
            assert!(small.contains(" nh") && !small.contains(" hg"), "{small}");
        }

        #[test]
        fn pages_lie_somewhere_once_they_are_written() {
            let page = page_bytes();
            let mut pages = Pages::new(9 * page + 1).unwrap();
            pages.advise_small();
            let asked = match nodes_of(&pages, 1) {
                Err(e) => return println!("skipped: {e}"),
                Ok(nodes) => nodes,
            };
            assert_eq!(asked, [None; 10]);
            pages[3 * page + 17] = 1;
            pages[9 * page] = 1;
            let nodes = nodes_of(&pages, 1).unwrap();
            let written: Vec<usize> = (0..10).filter(|&p| nodes[p].is_some()).collect();
            assert_eq!(written, [3, 9]);
            assert_eq!(nodes_of(&pages, 3).unwrap(), [nodes[0], nodes[3], nodes[6], nodes[9]]);
            // A part of a page is asked for as the page.
            assert_eq!(nodes_of(&pages[4 * page - 1..4 * page + 1], 1).unwrap(), [nodes[3], None]);
            assert_eq!(nodes_of(&[], 1).unwrap(), []);
            // More than one call takes.
            let many = Pages::new(40_000 * page).unwrap();
            assert_eq!(nodes_of(&many, 1).unwrap().len(), 40_000);
        }

        #[test]
        fn bound_pages_lie_where_they_were_bound() {
            let page = page_bytes();
            let mut pages = Pages::new(8 * page).unwrap();
            pages.advise_small();
            pages[0] = 1;
            let node = match nodes_of(&pages, 1) {
                Err(e) => return println!("skipped: {e}"),
                Ok(nodes) => nodes[0].unwrap(),
            };
            let on = |nodes: &[u32]| Policy::Prefer(nodes.into());
            match pages.bind(page..5 * page, &on(&[node])) {
                Err(e) if e.kind() != io::ErrorKind::InvalidInput => return println!("skipped: {e}"),
                bound => bound.unwrap(),
            }
            pages.bind(5 * page..8 * page, &Policy::Interleave(vec![node])).unwrap();
            pages.fill(1);
            assert_eq!(nodes_of(&pages, 1).unwrap(), [Some(node); 8]);
            let error = pages.bind(0..page, &on(&[1000])).unwrap_err();
            assert!(error.to_string().starts_with("memory cannot be bound to nodes [1000]: "), "{error}");
            for bad in [1..page, 0..9 * page, page..0] {
                assert_eq!(pages.bind(bad, &on(&[node])).unwrap_err().kind(), io::ErrorKind::InvalidInput);
            }
            assert!(pages.bind(0..page, &on(&[])).is_err());
            assert!(pages.bind(0..0, &on(&[1000])).is_ok());
        }
    }
}
