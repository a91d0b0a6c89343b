//! Graphs among ranks: to whom each rank sends, and from whom it receives. Each rank knows its own edges only.
//!
//! Several edges between two ranks are told apart by their order: the n-th of a rank's destinations that is rank q is the n-th
//! of q's sources that is this rank. On a [`Cartesian`] the order is made such that what is sent down arrives from above, also
//! where both neighbours on an axis are one rank, or the rank itself.

use super::Link;
use super::cartesian::Cartesian;
use super::plan::ExchangePlan;
use crate::algo::{Move, Piece, Step};
use crate::check::Print;
use crate::core::Core;
use crate::transport::memory::any_bits;
use crate::{Abort, Comm, Plain};
use std::collections::BTreeMap;
use std::panic::Location;
use std::rc::Rc;

/// One rank's edges in a graph among the ranks of a communicator, for [`neighbour_all_gather`](Comm::neighbour_all_gather) and
/// its like.
pub struct Graph {
    core: Rc<Core>,
    /// Tells graphs apart in fingerprints.
    id: u64,
    destinations: Vec<Option<u32>>,
    sources: Vec<Option<u32>>,
    /// The sources in the order in which edges of one pair of ranks are counted.
    order: Vec<usize>,
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Graph(to {:?}, from {:?})", self.destinations, self.sources)
    }
}

/// What a failed check tells all ranks: the lowest rank that found something, its host, and what.
type Found = Option<(u64, (String, String))>;

impl Comm {
    /// The graph in which this rank sends to `destinations` and receives from `sources`. It need not be symmetric; ranks may
    /// come up several times, the own one too, and a rank may have no edges at all. That the two sides of each edge agree
    /// is checked by its receiver. Collective; two messages for each rank that is sent to, and about 4 ⌈log₂ p⌉ short ones a
    /// rank (a sparse exchange and an agreement). No rank holds more than its own edges.
    ///
    /// ```
    /// use physalia_collectives::Comm;
    /// let mut comm = Comm::alone();
    /// let graph = comm.graph(&[0, 0], &[0, 0])?; // two edges from the rank to itself
    /// let parts = comm.neighbour_all_to_all_v(&graph, &[1u8, 2, 3], &[1, 2])?;
    /// assert_eq!((&parts[0], &parts[1]), (&[1][..], &[2, 3][..]));
    /// # Ok::<(), physalia_collectives::Abort>(())
    /// ```
    ///
    /// # Errors
    /// An agreed abort if the two sides of an edge do not agree, naming both ranks; or the job's abort.
    ///
    /// # Panics
    /// If there is no such rank.
    #[track_caller]
    #[doc(alias = "MPI_Dist_graph_create_adjacent")]
    pub fn graph(&mut self, destinations: &[u32], sources: &[u32]) -> Result<Graph, Abort> {
        let (at, size) = (Location::caller(), self.size());
        assert!(destinations.iter().chain(sources).all(|&r| r < size), "an edge of a rank that is not among {size}");
        let id = self.core.next_seq();
        let links = |ranks: &[u32]| ranks.iter().map(|&rank| Link { rank, len: 1 }).collect::<Vec<_>>();
        self.check_links(["graph", "the end of graph"], "edges", &links(destinations), &links(sources), at)?;
        let some = |ranks: &[u32]| ranks.iter().map(|&r| Some(r)).collect();
        let order = (0..sources.len()).collect();
        Ok(Graph { core: self.core.clone(), id, destinations: some(destinations), sources: some(sources), order })
    }

    /// The graph of a grid: destinations and sources are [`Cartesian::neighbours`] of this rank, so there are two for each axis,
    /// below and above. Where there is a wall nothing is sent, and nothing arrives. Local: all ranks must pass the same grid,
    /// which is found out when it is used.
    ///
    /// # Panics
    /// If the grid has not as many points as there are ranks.
    #[track_caller]
    #[doc(alias = "MPI_Cart_create")]
    pub fn cartesian(&self, grid: &Cartesian) -> Graph {
        assert_eq!(grid.size(), self.size(), "points of the grid {:?}, and ranks", grid.dims());
        let edges = grid.neighbours(self.rank());
        // The half of all numbers that counts no calls.
        let words = grid.dims().iter().zip(grid.periodic()).flat_map(|(&d, &p)| [d, p.into()]);
        let bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        let id = xxhash_rust::xxh3::xxh3_64(&bytes) | 1 << 63;
        // What was sent down first has come from above.
        let order = (0..edges.len()).map(|i| i ^ 1).collect();
        Graph { core: self.core.clone(), id, destinations: edges.clone(), sources: edges, order }
    }

    /// An exchange with the neighbours on a grid, prepared once and run often. Its sends and receives are numbered as
    /// [`Cartesian::neighbours`]: 2 × axis is below, 2 × axis + 1 above; at a wall they have no values. `lens` has the number of
    /// values that this rank sends down and up on each axis (what would go through a wall does not count); what the neighbours
    /// send may be of other lengths, and is found out now. Collective; one message of 8 bytes to each neighbour now, and
    /// one in each run, none to the rank itself.
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If the grid has not as many points as there are ranks, or not as many axes as `lens` has entries; or if not every bit
    /// pattern is a `T` (`bool`, `char`).
    #[track_caller]
    #[doc(alias = "MPI_Neighbor_alltoallv_init")]
    pub fn cartesian_plan<T: Plain>(
        &mut self,
        grid: &Cartesian,
        lens: &[[usize; 2]],
    ) -> Result<ExchangePlan<T>, Abort> {
        assert_eq!(grid.axes(), lens.len(), "the axes of the grid, and lengths of messages");
        assert!(any_bits::<T>(), "a plan for {}, of which not every bit pattern is valid", std::any::type_name::<T>());
        let graph = self.cartesian(grid);
        let made = self.core.next_seq();
        let print = Print::new::<T>("cartesian_plan", [graph.id, 0], Location::caller());
        let sent: Vec<u64> = lens.as_flattened().iter().map(|&len| len as u64).collect();
        let due = self.tell_counts(print, &graph, &sent)?;
        let link = |rank: Option<u32>, len: u64| {
            Some(Link { rank: rank?, len: usize::try_from(len).expect("a length in memory") })
        };
        let sends = (0..sent.len()).filter_map(|i| Some((i, link(graph.destinations[i], sent[i])?)));
        let recvs = graph.order.iter().filter_map(|&i| Some((i, link(graph.sources[i], due[i])?)));
        let (out, sends): (Vec<usize>, Vec<Link>) = sends.unzip();
        let (into, recvs): (Vec<usize>, Vec<Link>) = recvs.unzip();
        Ok(ExchangePlan::lay(self.core.clone(), made, &sends, &recvs).number(sent.len(), &out, &into))
    }

    /// What each rank means to send must be what its peer means to receive: the receivers look.
    pub(super) fn check_links(
        &mut self,
        names: [&'static str; 2],
        what: &str,
        sends: &[Link],
        recvs: &[Link],
        at: &'static Location<'static>,
    ) -> Result<(), Abort> {
        let by_rank = |links: &[Link]| {
            let mut all = BTreeMap::<u32, Vec<u64>>::new();
            links.iter().for_each(|link| all.entry(link.rank).or_default().push(link.len as u64));
            all
        };
        let due = by_rank(recvs);
        let sent: BTreeMap<u32, Vec<u64>> =
            self.sparse(names, by_rank(sends).into_iter().collect(), at)?.into_iter().collect();
        let me = self.rank();
        let differs = |from: &&u32| sent.get(from) != due.get(from);
        let found: Found = sent.keys().chain(due.keys()).filter(differs).min().map(|from| {
            let [sent, due] = [&sent, &due].map(|side| side.get(from).map_or(&[][..], Vec::as_slice));
            let (name, host) = (names[0], crate::failure::host().to_string());
            let words =
                format!("{name} at {at}: rank {from} sends {sent:?} {what} to rank {me}, which expects {due:?}");
            (me.into(), (host, words))
        });
        // The lowest rank's, up a tree and down: as `agree`, but nobody hears of all ranks.
        let mine = postcard::to_stdvec(&found).expect("text can be written to memory");
        let read = |bytes: &[u8]| postcard::from_bytes::<Found>(bytes).expect("what check_links wrote, it reads");
        let absorb = move |mine: &mut Vec<u8>, theirs: &[u8]| {
            if let Some((rank, _)) = read(theirs)
                && read(mine).is_none_or(|(before, _)| rank < before)
            {
                *mine = theirs.to_vec();
            }
        };
        let print = Print::new::<Link>(names[1], [0; 2], at);
        let first = self.merge_parts(print, mine, absorb, |found| found.to_vec())?;
        read(&first).map_or(Ok(()), |(rank, said)| Err(self.agreed(rank as usize, said)))
    }
}

impl Graph {
    /// To whom this rank sends, in the program's order; `None` at a wall of a grid. Local.
    pub fn destinations(&self) -> &[Option<u32>] {
        &self.destinations
    }

    /// From whom this rank receives, in the program's order; `None` at a wall of a grid. Local.
    pub fn sources(&self) -> &[Option<u32>] {
        &self.sources
    }

    /// Whether this graph was made on `comm`. Local.
    pub fn belongs_to(&self, comm: &Comm) -> bool {
        Rc::ptr_eq(&self.core, &comm.core)
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// A piece to each destination and one from each source, by their numbers, where there is one. The own edges are the
    /// caller's.
    pub(super) fn step(
        &self,
        out: impl Fn(usize) -> Option<Piece>,
        into: impl Fn(usize) -> Option<Piece>,
    ) -> Vec<Step> {
        let away = |rank: Option<u32>| rank.map(|r| r as usize).filter(|&r| r != self.core.me);
        let sends = (0..self.destinations.len()).filter_map(|i| Some(Move::new(away(self.destinations[i])?, out(i)?)));
        let recvs = self.order.iter().filter_map(|&i| Some(Move::new(away(self.sources[i])?, into(i)?)));
        vec![Step { sends: sends.collect(), recvs: recvs.collect(), then: vec![] }]
    }

    /// The edges from this rank to itself: numbers of destination and source.
    pub(super) fn own(&self) -> impl Iterator<Item = (usize, usize)> {
        let me = Some(self.core.me as u32);
        let out = (0..self.destinations.len()).filter(move |&i| self.destinations[i] == me);
        out.zip(self.order.iter().copied().filter(move |&i| self.sources[i] == me))
    }
}
