//! Memory that lies where it is used.
//!
//! A machine of several NUMA nodes has fast memory for each of its processors, and it is not the same. A [`NumaVec`] has a
//! *home* for each of its values: the domain whose workers should use it. Homes are cut by position, in proportion to the
//! domains' workers, at multiples of 2 MiB (huge pages). The values are laid at home by workers that touch them there first,
//! and [`Pool::each_at`] gives work on them to those workers first.
//!
//! ```
//! use physalia::prelude::*;
//! use physalia::memory::NumaVec;
//! let world = World::alone();
//! let mut squares: NumaVec<u64> = NumaVec::new(world.pool(), 100_000)?; // zeros
//! squares.each_chunk(4096, |chunk, values| {
//!     for (i, value) in (chunk as u64 * 4096..).zip(values) {
//!         *value = i * i;
//!     }
//! });
//! assert_eq!(squares[99_999], 9_999_800_001);
//! if let Ok(locality) = squares.locality() {
//!     println!("{:.0} % of {} pages lie at home", 100.0 * locality.share(), locality.present);
//! }
//! # Ok::<(), Failure>(())
//! ```
//!
//! Fields are stored so, too.
//!
//! First touch: C. Lameter, "NUMA (Non-Uniform Memory Access): an overview" (2013).

mod homes;
mod locality;
mod touch;

pub(crate) use homes::Homes;
pub use locality::Locality;

use crate::pool::{Pool, Rule};
use bytemuck::Pod;
use physalia_collectives::Plain;
use physalia_topology::sys::{HUGE, Pages, Policy, page_bytes};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// How a memory came to lie where it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Nothing was done: a page will lie with the worker that first writes it. So where the pool has one domain, and in a chunk
    /// of a loop, whose worker cannot ask others.
    FirstUse,
    /// Workers of the pages' homes have touched them.
    FirstTouch,
    /// The system was told on which nodes pages should lie, as long as these have room; none has been touched.
    Bound,
}

/// Values in memory that has a home: as a `Vec` of fixed length. It begins with zeros, at a multiple of 2 MiB if it is that
/// long, and asks for huge pages. `T`: any bits are a value, as of numbers, arrays of them, and structs that derive bytemuck's
/// `Pod`.
pub struct NumaVec<T> {
    pages: Pages,
    homes: Homes,
    placement: Placement,
    /// Pages lie on all nodes in turn; homes say only who works where.
    spread: bool,
    pool: Arc<Pool>,
    values: PhantomData<T>,
}

impl<T> fmt::Debug for NumaVec<T> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "NumaVec({} bytes, {:?})", self.pages.len(), self.placement)
    }
}

impl<T: Plain + Pod> NumaVec<T> {
    const FITS: () = assert!(align_of::<T>() <= 4096, "values that must be aligned more than pages are");

    /// Zeros, at home: each domain of the pool has a part of them, in proportion to its workers, and its workers have touched
    /// that, one store a page. With one domain nothing is touched beforehand, and the cost is that of a system call; else that
    /// of zeroing the memory, by all workers. Local.
    ///
    /// # Errors
    /// If the system gives no memory so long.
    ///
    /// # Panics
    /// On a thread that is neither the rank's nor one of its workers, as [`Pool::local`].
    pub fn new(pool: &Arc<Pool>, len: usize) -> io::Result<NumaVec<T>> {
        let mut vec = NumaVec::divided(pool, len)?;
        if touches(pool) {
            touch::at_home(&mut vec.pages, &vec.homes, pool);
            vec.placement = Placement::FirstTouch;
        }
        Ok(vec)
    }

    /// Zeros that lie on the nodes of all domains in turn, page by page: for what all workers read at random, such as a table,
    /// so that no node's memory is asked more often than others'. The system is told so, which costs a system call; where it
    /// does not let itself be told, workers of the domains touch pages in turn, which costs as much as zeroing the memory. With
    /// one node there is nothing to do. Local.
    ///
    /// # Errors
    /// As [`NumaVec::new`].
    ///
    /// # Panics
    /// As [`NumaVec::new`].
    pub fn interleaved(pool: &Arc<Pool>, len: usize) -> io::Result<NumaVec<T>> {
        let mut vec = NumaVec::divided(pool, len)?;
        vec.spread = true;
        let nodes = nodes(pool).concat();
        if nodes.len() > 1 && vec.bind(Policy::Interleave(nodes)) {
            vec.placement = Placement::Bound;
        } else if touches(pool) {
            touch::in_turn(&mut vec.pages, vec.homes.unit(), pool);
            vec.placement = Placement::FirstTouch;
        }
        Ok(vec)
    }

    /// Zeros that lie on the nodes of one domain: for what its workers alone use. The system is told so, which costs a system
    /// call; where it does not let itself be told, workers of that domain touch the pages, which costs as much as zeroing them.
    /// Where a node has no more room, others help out. With one node there is nothing to do. Local.
    ///
    /// # Errors
    /// As [`NumaVec::new`].
    ///
    /// # Panics
    /// As [`NumaVec::new`], or if there is no such domain.
    pub fn on(pool: &Arc<Pool>, domain: usize, len: usize) -> io::Result<NumaVec<T>> {
        let domains = pool.domains();
        assert!(domain < domains, "domain {domain} of {domains}");
        let mut vec = NumaVec::lazy(pool, len, |bytes| Homes::one(bytes, domain, domains, page_bytes()))?;
        if nodes(pool).concat().len() > 1 && vec.bind(Policy::Prefer(pool.nodes(domain).to_vec())) {
            vec.placement = Placement::Bound;
        } else if touches(pool) {
            touch::at_home(&mut vec.pages, &vec.homes, pool);
            vec.placement = Placement::FirstTouch;
        }
        Ok(vec)
    }

    /// Each domain has its part; nothing is touched yet.
    fn divided(pool: &Arc<Pool>, len: usize) -> io::Result<NumaVec<T>> {
        let workers: Vec<usize> = (0..pool.domains()).map(|d| pool.workers_of(d).len()).collect();
        NumaVec::lazy(pool, len, |bytes| Homes::new(bytes, &workers, page_bytes()))
    }

    /// Nothing is touched yet.
    fn lazy(pool: &Arc<Pool>, len: usize, homes: impl FnOnce(usize) -> Homes) -> io::Result<NumaVec<T>> {
        let () = Self::FITS;
        let bytes = len.checked_mul(T::BYTES);
        let pages = bytes.ok_or(io::ErrorKind::OutOfMemory.into()).and_then(Pages::new).map_err(|e| {
            let gib = len as f64 * T::BYTES as f64 / (1u64 << 30) as f64;
            io::Error::new(e.kind(), format!("no memory for {gib:.1} GiB: {e}"))
        })?;
        let homes = homes(pages.len());
        if homes.unit() < HUGE && pool.domains() > 1 {
            pages.advise_small(); // a huge page would be laid whole by who touches it first
        } else if pages.len() >= HUGE {
            pages.advise_huge();
        }
        let (placement, pool) = (Placement::FirstUse, pool.clone());
        Ok(NumaVec { pages, homes, placement, spread: false, pool, values: PhantomData })
    }

    fn bind(&self, policy: Policy) -> bool {
        self.pages.bind(0..self.pages.len(), &policy).is_ok()
    }

    /// How it came to lie where it does. Local.
    pub fn placement(&self) -> Placement {
        self.placement
    }

    /// The domain of a value. (Of interleaved memory: the one whose workers take it first in `each_chunk`.) Local.
    ///
    /// # Panics
    /// If there is no such value.
    pub fn home(&self, index: usize) -> usize {
        assert!(index < self.len(), "value {index} of {}", self.len());
        self.homes.home(index * T::BYTES)
    }

    /// Of chunks of so many values, one after another, where each domain's begin: chunks `cuts[d]..cuts[d + 1]` are at home in
    /// domain d, as [`Pool::each_at`] wants it. A chunk on a border is where its middle is. Local.
    ///
    /// ```
    /// use physalia::prelude::*;
    /// use physalia::memory::NumaVec;
    /// use physalia::pool::Rule;
    /// let pool = World::alone().pool().clone();
    /// let (a, mut b) = (NumaVec::<f64>::new(&pool, 50_000)?, NumaVec::<f64>::new(&pool, 50_000)?);
    /// let cuts = b.cuts(1000);
    /// let pairs = a.chunks(1000).zip(b.chunks_mut(1000)).collect();
    /// pool.each_at(pairs, &cuts, Rule::HomeFirst, |_, (a, b)| b.copy_from_slice(a));
    /// # Ok::<(), Failure>(())
    /// ```
    ///
    /// # Panics
    /// If chunks have no values.
    pub fn cuts(&self, chunk: usize) -> Vec<usize> {
        assert!(chunk > 0, "chunks of no values");
        let len = self.len();
        self.homes.cuts(len.div_ceil(chunk), |i| (i * chunk + chunk.min(len - i * chunk) / 2) * T::BYTES)
    }

    /// Gives chunks of so many values (the last may have fewer) to the workers with their numbers, each to its home's first;
    /// see [`Pool::each`]. Local.
    ///
    /// # Panics
    /// As `f` does, or if chunks have no values, or on a thread that is neither the rank's nor one of its workers.
    pub fn each_chunk(&mut self, chunk: usize, f: impl Fn(usize, &mut [T]) + Sync) {
        let (cuts, pool) = (self.cuts(chunk), self.pool.clone());
        pool.each_at(self.chunks_mut(chunk).collect(), &cuts, Rule::HomeFirst, f);
    }

    /// Where the pages lie now, and whether that is where they should: on a node of their home domain, or if interleaved, of
    /// any. Only pages that were written lie anywhere. Above 4 GiB only some are asked for, evenly. Local.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn locality(&self) -> io::Result<Locality> {
        let nodes = nodes(&self.pool);
        let step = (self.pages.len() / page_bytes()).div_ceil(1 << 20).max(1);
        if self.spread {
            return Locality::of(&self.pages, step, &nodes.concat());
        }
        let parts = self.homes.parts().zip(nodes);
        parts.map(|(part, nodes)| Locality::of(&self.pages[part], step, nodes)).sum()
    }

    /// The homes of the bytes.
    pub(crate) fn homes(&self) -> &Homes {
        &self.homes
    }

    /// The homes of the bytes, and the values to be written.
    pub(crate) fn homes_and_values(&mut self) -> (&Homes, &mut [T]) {
        (&self.homes, bytemuck::cast_slice_mut(&mut self.pages))
    }
}

/// Gives items to the workers, each to its home's first, those of one home in their order; see [`Pool::each`].
pub(crate) fn each_at_home<I: Send>(pool: &Pool, items: Vec<I>, home: impl Fn(&I) -> usize, f: impl Fn(I) + Sync) {
    let (items, cuts) = homes::by_home(pool.domains(), items, home);
    pool.each_at(items, &cuts, Rule::HomeFirst, |_, item| f(item));
}

/// Whether workers of all domains can touch memory beforehand, and should.
fn touches(pool: &Pool) -> bool {
    pool.domains() > 1 && crate::pool::worker_here().is_none()
}

/// Of each domain, the nodes.
fn nodes(pool: &Pool) -> Vec<&[u32]> {
    (0..pool.domains()).map(|d| pool.nodes(d)).collect()
}

impl<T: Plain + Pod> Deref for NumaVec<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        bytemuck::cast_slice(&self.pages)
    }
}

impl<T: Plain + Pod> DerefMut for NumaVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        bytemuck::cast_slice_mut(&mut self.pages)
    }
}

#[cfg(test)]
mod tests;
