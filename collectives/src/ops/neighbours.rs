//! Collectives of neighbours on a [`Graph`]: each rank sends along its own edges, and nobody waits for anybody else.
//!
//! Results have one part for each source, in the graph's order; on a grid below and above on each axis, with an empty part at a
//! wall. Edges from a rank to itself are copies. Where lengths differ, the receiver learns them first: a message of 8 bytes
//! an edge, and values then go straight to their place. What is started (`start_…`) is one message an edge whatever its
//! length, through memory of its own.

use super::all_to_all::cuts;
use super::{bytes, parts};
use crate::algo::Piece;
use crate::algo::direct::{FROM, INTO};
use crate::borrow;
use crate::check::Print;
use crate::core::Core;
use crate::flow::{Blobs, Cargo};
use crate::ops::Graph;
use crate::pending::Pending;
use crate::transport::memory::Memory;
use crate::{Abort, Comm, Parts, Plain};
use std::ops::Range;
use std::panic::Location;

impl Comm {
    /// This rank's values to all its destinations; a part from each source. All ranks have as many values. Collective; one
    /// message an edge, straight to its place.
    ///
    /// ```
    /// use physalia_collectives::{Cartesian, Comm};
    /// let mut comm = Comm::alone();
    /// let ring = comm.cartesian(&Cartesian::new(&[1], &[true])); // its own neighbour on both sides
    /// assert_eq!(comm.neighbour_all_gather(&ring, &[7, 8])?.as_slice(), [7, 8, 7, 8]);
    /// # Ok::<(), physalia_collectives::Abort>(())
    /// ```
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If the graph was made on another communicator.
    #[track_caller]
    #[doc(alias = "MPI_Neighbor_allgather")]
    pub fn neighbour_all_gather<T: Plain>(&mut self, graph: &Graph, mine: &[T]) -> Result<Parts<T>, Abort> {
        let print = Print::new::<T>("neighbour_all_gather", [graph.id(), mine.len() as u64], Location::caller());
        let lens: Vec<u64> = graph.sources().iter().map(|from| from.map_or(0, |_| mine.len() as u64)).collect();
        self.along(print, graph, mine, |_| 0..mine.len(), &lens)
    }

    /// As [`neighbour_all_gather`](Comm::neighbour_all_gather), of any number of values on each rank. Collective; two messages
    /// an edge: a count and the values, none where there are none.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If the graph was made on another communicator.
    #[track_caller]
    #[doc(alias = "MPI_Neighbor_allgatherv")]
    pub fn neighbour_all_gather_v<T: Plain>(&mut self, graph: &Graph, mine: &[T]) -> Result<Parts<T>, Abort> {
        let at = Location::caller();
        let counts = vec![mine.len() as u64; graph.destinations().len()];
        let print = Print::new::<T>("neighbour_all_gather_v (counts)", [graph.id(), 0], at);
        let lens = self.tell_counts(print, graph, &counts)?;
        let print = Print::new::<T>("neighbour_all_gather_v", [graph.id(), 0], at);
        self.along(print, graph, mine, |_| 0..mine.len(), &lens)
    }

    /// Block i of `send` to destination i; a block from each source. Blocks have `block` values on all ranks. (It is said, since
    /// a rank without destinations has nothing to show it by.) On a grid `send` has a block for each wall too, which goes
    /// nowhere. Collective; one message an edge, straight to its place.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If `send` has not `block` values for each destination, or the graph was made on another communicator.
    #[track_caller]
    #[doc(alias = "MPI_Neighbor_alltoall")]
    pub fn neighbour_all_to_all<T: Plain>(
        &mut self,
        graph: &Graph,
        block: usize,
        send: &[T],
    ) -> Result<Parts<T>, Abort> {
        let all = block.checked_mul(graph.destinations().len());
        assert_eq!(Some(send.len()), all, "values to send, {block} for each destination");
        let print = Print::new::<T>("neighbour_all_to_all", [graph.id(), block as u64], Location::caller());
        let lens: Vec<u64> = graph.sources().iter().map(|from| from.map_or(0, |_| block as u64)).collect();
        self.along(print, graph, send, |i| i * block..(i + 1) * block, &lens)
    }

    /// The first `counts[0]` values of `send` to the first destination, the next `counts[1]` to the next, and so on; a part
    /// from each source, of the length that it has sent. Collective; two messages an edge: a count and the values, none where
    /// there are none.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If there is not one count for each destination, their sum is not the length of `send`, or the graph was made on another
    /// communicator.
    #[track_caller]
    #[doc(alias = "MPI_Neighbor_alltoallv")]
    pub fn neighbour_all_to_all_v<T: Plain>(
        &mut self,
        graph: &Graph,
        send: &[T],
        counts: &[u64],
    ) -> Result<Parts<T>, Abort> {
        let at = Location::caller();
        assert_eq!(counts.len(), graph.destinations().len(), "counts, one for each destination");
        let cuts = cuts(counts);
        assert_eq!(cuts[counts.len()], send.len(), "the sum of the counts and the number of values to send");
        let print = Print::new::<T>("neighbour_all_to_all_v (counts)", [graph.id(), 0], at);
        let lens = self.tell_counts(print, graph, counts)?;
        let print = Print::new::<T>("neighbour_all_to_all_v", [graph.id(), 0], at);
        self.along(print, graph, send, |i| cuts[i]..cuts[i + 1], &lens)
    }

    /// Starts a [`neighbour_all_gather_v`](Comm::neighbour_all_gather_v) of an owned buffer. Collective; one message an edge.
    ///
    /// # Panics
    /// If the graph was made on another communicator.
    #[track_caller]
    #[doc(alias = "MPI_Ineighbor_allgatherv")]
    pub fn start_neighbour_all_gather<T: Plain>(&mut self, graph: &Graph, mine: Vec<T>) -> Pending<Parts<T>> {
        let print = Print::new::<T>("start_neighbour_all_gather", [graph.id(), 0], Location::caller());
        self.start_along(print, graph, vec![bytes(&mine)], |_| 0)
    }

    /// Starts a [`neighbour_all_to_all_v`](Comm::neighbour_all_to_all_v): part i to destination i. Collective; one message an edge.
    ///
    /// # Panics
    /// If there is not one part for each destination, or the graph was made on another communicator.
    #[track_caller]
    #[doc(alias = "MPI_Ineighbor_alltoallv")]
    pub fn start_neighbour_all_to_all<T: Plain>(&mut self, graph: &Graph, parts_to: Vec<Vec<T>>) -> Pending<Parts<T>> {
        assert_eq!(parts_to.len(), graph.destinations().len(), "parts to send, one for each destination");
        let print = Print::new::<T>("start_neighbour_all_to_all", [graph.id(), 0], Location::caller());
        self.start_along(print, graph, parts_to.iter().map(|part| bytes(part)).collect(), |i| i)
    }

    /// The count of each source, which has sent it here; 0 at a wall.
    pub(super) fn tell_counts(&mut self, print: Print, graph: &Graph, counts: &[u64]) -> Result<Vec<u64>, Abort> {
        let lens: Vec<u64> = graph.sources().iter().map(|from| from.is_some().into()).collect();
        let told = self.along(print, graph, counts, |i| i..i + 1, &lens)?;
        Ok(told.iter().map(|count| count.first().copied().unwrap_or(0)).collect())
    }

    /// The values `out(i)` of `send` to destination i; `lens[i]` values from source i. Nothing goes where there is nothing to
    /// tell.
    fn along<T: Plain>(
        &mut self,
        print: Print,
        graph: &Graph,
        send: &[T],
        out: impl Fn(usize) -> Range<usize>,
        lens: &[u64],
    ) -> Result<Parts<T>, Abort> {
        assert!(graph.belongs_to(self), "the graph was made on another communicator");
        let into = cuts(lens);
        let piece = |memory, r: Range<usize>| {
            let (start, len) = (r.start * T::BYTES, r.len() * T::BYTES);
            (len > 0).then_some(Piece::span(memory, start..start + len))
        };
        let steps = graph.step(|i| piece(FROM, out(i)), |i| piece(INTO, into[i]..into[i + 1]));
        let own = graph.own().map(|(i, j)| (out(i).start, into[j], out(i).len()));
        let values = borrow::exchange(&self.core, print, steps, send, into[lens.len()], own)?;
        Ok(Parts::new(values, into[1..].to_vec()))
    }

    /// Blob `out(i)` to destination i.
    fn start_along<T: Plain>(
        &mut self,
        print: Print,
        graph: &Graph,
        outgoing: Vec<Vec<u8>>,
        out: impl Fn(usize) -> usize,
    ) -> Pending<Parts<T>> {
        assert!(graph.belongs_to(self), "the graph was made on another communicator");
        let first = outgoing.len();
        let mut blobs: Blobs = outgoing.into_iter().map(Some).collect();
        // A wall's is there already.
        blobs.extend(graph.sources().iter().map(|from| from.is_none().then(Vec::new)));
        graph.own().for_each(|(i, j)| blobs[first + j] = blobs[out(i)].clone());
        let steps = graph.step(|i| Some(Piece::Blob(out(i))), |i| Some(Piece::Blob(first + i)));
        let open = move |core: &Core, mut blobs: Blobs, _: Vec<Memory>| {
            let landed = blobs.split_off(first).into_iter().map(|blob| blob.expect("a blob that was due has come"));
            parts(core, &print, &landed.collect::<Vec<_>>())
        };
        Pending::new(&self.core, print, Cargo { steps, blobs, ..Cargo::default() }, Box::new(open))
    }
}
