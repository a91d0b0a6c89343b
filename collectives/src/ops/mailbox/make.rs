//! How mailboxes are made: each rank lays out memory for what it receives, and tells its neighbours on the host where they will
//! write. If anybody cannot share memory, all links of the plan go by messages.

use super::{Mailboxes, Rounds};
use crate::algo::direct::{FROM, INTO};
use crate::algo::{Move, Piece, Step};
use crate::check::Print;
use crate::ops::Link;
use crate::transport::mailbox::{APART, Inlet, LINES, LOBBY, Offer, Office, Outlet, Pair, Region, Side};
use crate::transport::memory::any_bits;
use crate::{Abort, Comm, Plain};
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;

/// What ranks tell of themselves, as bits: memory that should be shared could not be; some links go by messages even where
/// memory can be shared; some links go to other ranks.
const NOT_SHARED: u8 = 1;
const APART_ANYWAY: u8 = 2;
const OTHERS: u8 = 4;

impl Comm {
    /// Prepares an exchange with neighbours in which values are copied once, if the two ranks share a host: the sender writes them
    /// to where the receiver reads them. As in [`exchange_plan`](Comm::exchange_plan) the n-th send to a rank is its n-th receive
    /// from here, of the same length; that is checked now, by the receivers. Links of no length, several to one rank, to the own
    /// rank, and in one direction only are all right. See [`Mailboxes`] for what is done with it.
    ///
    /// Memory: two buffers a receive, on the receiver's side; between hosts (or where memory cannot be shared, or
    /// `PHYSALIA_BOARD=off`) another one a send. It is reserved now, and nothing is left of it however the job ends.
    ///
    /// Collective; about three messages for each link's rank, and 6 ⌈log₂ p⌉ short ones a rank. A round costs one copy within a host,
    /// and a message a link between hosts.
    ///
    /// # Errors
    /// An agreed abort if sends and receives do not match, naming the two ranks; or the job's abort.
    ///
    /// # Panics
    /// If a link names a rank that is not there, or if not every bit pattern is a `T` (`bool`, `char`): what arrives is not
    /// checked.
    #[track_caller]
    #[doc(alias = "MPI_Win_allocate_shared")]
    pub fn mailboxes<T: Plain>(&mut self, sends: &[Link], recvs: &[Link]) -> Result<Mailboxes<T>, Abort> {
        let (at, size) = (Location::caller(), self.size());
        assert!(sends.iter().chain(recvs).all(|l| l.rank < size), "a link to a rank that is not among {size}");
        assert!(
            any_bits::<T>(),
            "mailboxes for {}, of which not every bit pattern is valid",
            std::any::type_name::<T>()
        );
        let made = self.core.next_seq();
        self.check_links(["mailboxes", "the end of mailboxes"], "values", sends, recvs, at)?;
        let plan = Plan { width: T::BYTES, sends, recvs };
        let mine = plan.lay(self);
        let offer = if mine.lines.is_empty() { None } else { self.core.rank.transport.offer(mine.len) };
        let found = self.tell_places(&plan, &mine, offer.as_ref(), at)?;
        let others = sends.iter().chain(recvs).any(|link| link.rank != self.rank());
        let failed = found.is_none() || (offer.is_none() && !mine.lines.is_empty());
        let apart = sends.iter().chain(recvs).any(|link| link.rank != self.rank() && !self.shares_with(link.rank));
        let bits = [(failed, NOT_SHARED), (apart, APART_ANYWAY), (others, OTHERS)];
        let bits = bits.iter().map(|&(is, bit)| if is { bit } else { 0 }).sum();
        // From here on nobody needs the offers. The fingerprint has the type: what is written rests on its size.
        let print = Print::new::<T>("mailboxes (who shares memory)", [0; 2], at);
        let bits = self.merge_parts(print, vec![bits], |mine, theirs| mine[0] |= theirs[0], |bits| bits.to_vec())?[0];
        let region = offer.map_or_else(
            || {
                let region = Region::heap(mine.len);
                region.touch_pages();
                region
            },
            |(region, _)| region,
        );
        let found = found.filter(|_| bits & NOT_SHARED == 0);
        let by_messages = bits & APART_ANYWAY > 0 || bits & NOT_SHARED > 0 && bits & OTHERS > 0;
        Ok(self.furnish(made, &plan, &mine, region, found, by_messages))
    }

    /// Whether this rank shares memory with another, if it can be had.
    fn shares_with(&self, other: u32) -> bool {
        let (core, rank) = (&self.core, &self.core.rank);
        let [mine, theirs] = [self.rank(), other].map(|r| rank.host_of(core.members[r as usize]));
        other != self.rank() && mine == theirs && rank.transport.shares()
    }

    /// Tells each rank that will write here where; gives, by rank, where this one will write. `None` if that cannot be had.
    fn tell_places(
        &self,
        plan: &Plan<'_>,
        mine: &Layout,
        offer: Option<&(Arc<Region>, Offer)>,
        at: &'static Location<'static>,
    ) -> Result<Option<BTreeMap<u32, Found>>, Abort> {
        let tell = |(&rank, &lines): (&u32, &usize)| {
            let boxes = plan.from(rank).flat_map(|i| [mine.boxes[i][0], mine.boxes[i][1], plan.bytes(&plan.recvs[i])]);
            let places = [mine.len, lines].into_iter().chain(boxes).map(|n| n as u64);
            Some((rank, offer?.1.words.into_iter().chain(places).collect::<Vec<u64>>()))
        };
        let told = mine.lines.iter().filter_map(tell).collect();
        let told = self.sparse(["mailboxes (places)", "the end of mailboxes (places)"], told, at)?;
        let open = |(rank, words): (u32, Vec<u64>)| {
            let [a, b, c, len, lines, ref boxes @ ..] = words[..] else { unreachable!("what this function tells") };
            let region = self.core.rank.transport.open([a, b, c], len as usize)?;
            let boxes = boxes.as_chunks::<3>().0.iter().map(|words| words.map(|word| word as usize)).collect();
            Some((rank, Found { region, lines: lines as usize, boxes }))
        };
        let found: Option<BTreeMap<u32, Found>> = told.into_iter().map(open).collect();
        // The same lengths in bytes, unless the type is another one, as will be found out by the fingerprint.
        let fits = |found: &BTreeMap<u32, Found>| {
            let mut shared = plan.sends.iter().map(|link| link.rank).filter(|&rank| self.shares_with(rank));
            shared.all(|rank| {
                let due = plan.to(rank).map(|i| plan.bytes(&plan.sends[i]));
                found.get(&rank).is_some_and(|found| found.boxes.iter().map(|&[_, _, bytes]| bytes).eq(due))
            })
        };
        Ok(found.filter(fits))
    }

    /// The plan of what was laid and found. Without `found` nobody shares memory.
    fn furnish<T: Plain>(
        &self,
        made: u64,
        plan: &Plan<'_>,
        mine: &Layout,
        region: Arc<Region>,
        found: Option<BTreeMap<u32, Found>>,
        by_messages: bool,
    ) -> Mailboxes<T> {
        let (core, me) = (&self.core, self.rank());
        let by_message = |rank: u32| rank != me && (found.is_none() || !self.shares_with(rank));
        let width = |links: &[Link], which: &dyn Fn(u32) -> bool| -> usize {
            links.iter().filter(|link| which(link.rank)).map(|link| plan.bytes(link)).sum()
        };
        let out = Region::heap(width(plan.sends, &by_message));
        let mut leaves = 0;
        let mut outlets = Vec::with_capacity(plan.sends.len());
        let mut steps: [Step; 2] = Default::default();
        for (i, link) in plan.sends.iter().enumerate() {
            let (bytes, nth) = (plan.bytes(link), plan.to(link.rank).take_while(|&other| other < i).count());
            outlets.push(if by_message(link.rank) {
                let piece = Piece::span(FROM, leaves..leaves + bytes);
                steps.iter_mut().for_each(|step| step.sends.push(Move::new(link.rank as usize, piece.clone())));
                leaves += bytes;
                Outlet::new(out.clone(), [leaves - bytes; 2], bytes)
            } else if link.rank == me {
                let into = plan.from(me).nth(nth).expect("as many links from here as to here");
                Outlet::new(region.clone(), mine.boxes[into], bytes)
            } else {
                let found = &found.as_ref().expect("shared memory was found")[&link.rank];
                let [even, odd, _] = found.boxes[nth];
                Outlet::new(found.region.clone(), [even, odd], bytes)
            });
        }
        for (link, boxes) in plan.recvs.iter().zip(&mine.boxes).filter(|(link, _)| by_message(link.rank)) {
            for (step, &at) in steps.iter_mut().zip(boxes) {
                step.recvs.push(Move::new(link.rank as usize, Piece::span(INTO, at..at + plan.bytes(link))));
            }
        }
        let inlet = |(link, &at): (&Link, &[usize; 2])| Inlet { region: region.clone(), at, bytes: plan.bytes(link) };
        let inlets = plan.recvs.iter().zip(&mine.boxes).map(inlet).collect();
        let (mut readers, mut writers) = (Vec::new(), Vec::new());
        if let Some(found) = &found {
            let reader =
                |(&rank, f): (&u32, &Found)| (rank as usize, Pair::new(f.region.clone(), f.lines, Side::Writer));
            readers.extend(found.iter().map(reader));
            let writer = |(&rank, &at): (&u32, &usize)| (rank as usize, Pair::new(region.clone(), at, Side::Reader));
            writers.extend(mine.lines.iter().map(writer));
        }
        let words: Vec<u8> = [core.id, made].into_iter().flat_map(u64::to_le_bytes).collect();
        let number = xxhash_rust::xxh3::xxh3_64(&words);
        let none = |step: &Step| step.sends.is_empty() && step.recvs.is_empty();
        let rounds = Rounds {
            core: core.clone(),
            made,
            number,
            mail: core.rank.has_mailboxes(number),
            by_messages,
            bytes: width(plan.sends, &|rank| rank != me && !by_message(rank)),
            steps: steps.map(|step| if none(&step) { vec![] } else { vec![step] }),
            memory: [out, region],
            call: None,
            flow: None,
        };
        let office = Office::new(outlets, inlets, readers, writers, core.rank.level.is_full());
        Mailboxes { office, rounds, of: PhantomData }
    }
}

/// The links of one rank, and the bytes of a value.
struct Plan<'l> {
    width: usize,
    sends: &'l [Link],
    recvs: &'l [Link],
}

/// Where things are in a rank's own memory.
struct Layout {
    /// By rank that writes here: its lines.
    lines: BTreeMap<u32, usize>,
    /// By receive: its two buffers.
    boxes: Vec<[usize; 2]>,
    len: usize,
}

/// Where a rank writes in the memory of another.
struct Found {
    region: Arc<Region>,
    lines: usize,
    /// By link: two buffers, and bytes.
    boxes: Vec<[usize; 3]>,
}

impl Plan<'_> {
    fn bytes(&self, link: &Link) -> usize {
        link.len.checked_mul(self.width).expect("a length in bytes")
    }

    /// The sends to a rank.
    fn to(&self, rank: u32) -> impl Iterator<Item = usize> {
        (0..self.sends.len()).filter(move |&i| self.sends[i].rank == rank)
    }

    /// The receives from a rank.
    fn from(&self, rank: u32) -> impl Iterator<Item = usize> {
        (0..self.recvs.len()).filter(move |&i| self.recvs[i].rank == rank)
    }

    fn lay(&self, comm: &Comm) -> Layout {
        let mut end = LOBBY;
        let mut room = |bytes: usize| {
            let at = end;
            end = bytes
                .checked_next_multiple_of(APART)
                .and_then(|bytes| at.checked_add(bytes))
                .expect("a length in memory");
            at
        };
        let mut lines = BTreeMap::new();
        for link in self.recvs.iter().filter(|link| comm.shares_with(link.rank)) {
            lines.entry(link.rank).or_insert_with(|| room(LINES));
        }
        let boxes = self.recvs.iter().map(|link| [0; 2].map(|_| room(self.bytes(link)))).collect();
        Layout { lines, boxes, len: end }
    }
}
