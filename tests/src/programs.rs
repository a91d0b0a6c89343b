//! Random programs of collectives, and what each call must give, computed serially. A program is a function of a seed: every
//! rank knows all of it, and all values of all ranks, so that it can say what it must get.
//!
//! Calls are on the world or on parts of it, blocking or started. What was started is waited for in an order of the
//! rank's own, with other calls in between. Lengths are often 0, odd, and other ones for each rank.

use crate::dice::Dice;
use physalia::collectives::{Addable, Comm};
use physalia::prelude::*;
use std::fmt::Debug;

/// Which collective.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Barrier,
    Broadcast,
    GatherV,
    ScatterV,
    AllGatherV,
    Reduce,
    AllReduce,
    ReduceScatter,
    Scan,
    Exscan,
    AllToAllV,
    BroadcastOne,
    Gather,
    AllGather,
    AllGatherInto,
    Scatter,
    ReduceOne,
    AllReduceOne,
    AllToAll,
    Overlap,
    Sparse,
    Agree,
}
use What::*;

/// All; the first so many can be started.
const STARTED: usize = 11;
const ALL: [What; 22] = [
    Barrier,
    Broadcast,
    GatherV,
    ScatterV,
    AllGatherV,
    Reduce,
    AllReduce,
    ReduceScatter,
    Scan,
    Exscan,
    AllToAllV,
    BroadcastOne,
    Gather,
    AllGather,
    AllGatherInto,
    Scatter,
    ReduceOne,
    AllReduceOne,
    AllToAll,
    Overlap,
    Sparse,
    Agree,
];

#[derive(Clone, Copy, Debug)]
enum Of {
    U8,
    I32,
    U64,
    F64,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Sum,
    Min,
    Max,
    /// An operation that neither commutes nor associates.
    Mix,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    what: What,
    of: Of,
    way: Way,
    /// Modulo the number of ranks.
    root: usize,
    len: usize,
    /// What its values are made of.
    id: u64,
}

#[derive(Clone, Debug)]
enum Step {
    Do(Call),
    Start(Call),
    /// Ranks of one color go their own way.
    Split {
        colors: u32,
        steps: Vec<Step>,
    },
}

/// A program for so many ranks.
#[derive(Clone, Debug)]
pub struct Program {
    seed: u64,
    steps: Vec<Step>,
}

impl Program {
    /// The program of this number, of some twenty calls, for `ranks` ranks.
    pub fn of(seed: u64, ranks: u32) -> Program {
        let mut dice = Dice::of(seed, 20);
        let most = 60_000 / u64::from(ranks);
        let steps = (0..20).map(|_| step(&mut dice, most, 2)).collect();
        Program { seed, steps }
    }

    /// Runs it on one rank.
    ///
    /// # Errors
    /// As its collectives.
    ///
    /// # Panics
    /// If a result is wrong.
    pub fn run(&self, world: &mut World) -> Outcome<()> {
        let members: Vec<u32> = (0..world.size()).collect();
        let mut dice = Dice::of(self.seed, 1000 + u64::from(world.rank()));
        steps(world, &self.steps, &members, &mut dice)
    }
}

fn step(dice: &mut Dice, most: u64, depth: u32) -> Step {
    match dice.below(8) {
        0 if depth > 0 => {
            let colors = 1 + dice.below(3) as u32;
            Step::Split { colors, steps: (0..1 + dice.below(5)).map(|_| step(dice, most, depth - 1)).collect() }
        }
        0..3 => Step::Start(call(dice, &ALL[..STARTED], most)),
        _ => Step::Do(call(dice, &ALL, most)),
    }
}

fn call(dice: &mut Dice, whats: &[What], most: u64) -> Call {
    Call {
        what: dice.one_of(whats),
        of: dice.one_of(&[Of::U8, Of::I32, Of::U64, Of::F64]),
        way: dice.one_of(&[Way::Sum, Way::Min, Way::Max, Way::Mix]),
        root: dice.below(64) as usize,
        len: dice.size(most) as usize - 1,
        id: dice.below(1 << 60),
    }
}

/// What is under way.
type Waits = Vec<Box<dyn FnOnce() -> Outcome<()>>>;

fn steps(comm: &mut Comm, list: &[Step], members: &[u32], dice: &mut Dice) -> Outcome<()> {
    let mut under_way: Waits = Vec::new();
    for step in list {
        match step {
            Step::Do(call) => match call.of {
                Of::U8 => blocking::<u8>(comm, *call, members)?,
                Of::I32 => blocking::<i32>(comm, *call, members)?,
                Of::U64 => blocking::<u64>(comm, *call, members)?,
                Of::F64 => blocking::<f64>(comm, *call, members)?,
            },
            Step::Start(call) => under_way.push(match call.of {
                Of::U8 => started::<u8>(comm, *call, members),
                Of::I32 => started::<i32>(comm, *call, members),
                Of::U64 => started::<u64>(comm, *call, members),
                Of::F64 => started::<f64>(comm, *call, members),
            }),
            Step::Split { colors, steps: inner } => {
                let color = |rank: u32| rank % colors;
                let mine = members[comm.rank() as usize];
                let part: Vec<u32> = members.iter().copied().filter(|&r| color(r) == color(mine)).collect();
                comm.with_split(color(mine), |sub| {
                    assert_eq!(sub.all_gather(mine)?, part);
                    steps(sub, inner, &part, dice)
                })?;
            }
        }
        // Each rank waits when it likes, for what it likes.
        if !under_way.is_empty() && dice.below(3) == 0 {
            under_way.swap_remove(dice.below(under_way.len() as u64) as usize)()?;
        }
    }
    while !under_way.is_empty() {
        under_way.swap_remove(dice.below(under_way.len() as u64) as usize)()?;
    }
    Ok(())
}

/// Values that can be made of a number.
trait Value: Plain + PartialOrd + Addable + Debug {
    /// Small enough that those of many ranks can be added.
    fn of(number: u64) -> Self;
    fn mix(a: Self, b: Self) -> Self;
    fn added(a: Self, b: Self) -> Self;
}

macro_rules! value {
    ($($t:ty: $n:ident => $of:expr, $a:ident $b:ident => $mix:expr;)*) => { $(impl Value for $t {
        fn of($n: u64) -> $t {
            $of
        }
        fn mix($a: $t, $b: $t) -> $t {
            $mix
        }
        fn added(a: $t, b: $t) -> $t {
            a + b
        }
    })* };
}
value! {
    u8: n => (n % 5) as u8, a b => a.wrapping_mul(31).wrapping_sub(b);
    i32: n => (n % 2001) as i32 - 1000, a b => a.wrapping_mul(31).wrapping_sub(b);
    u64: n => n >> 8, a b => a.wrapping_mul(31).wrapping_sub(b);
    f64: n => (n % 2001) as f64 * 0.1 - 100.0, a b => a * 0.7 - b;
}

/// The calling rank's place, the members, and the call.
struct Site<'m> {
    call: Call,
    me: usize,
    members: &'m [u32],
}

/// Results of all collectives in one form: nothing, or lists.
type Lists<T> = Option<Vec<Vec<T>>>;

impl Site<'_> {
    fn size(&self) -> usize {
        self.members.len()
    }

    fn root(&self) -> usize {
        self.call.root % self.size()
    }

    fn number(&self, from: usize, to: usize, i: usize) -> u64 {
        let place = u64::from(self.members[from]) << 48 | (to as u64) << 32 | i as u64;
        let mut x = (self.call.id ^ place).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x ^ x >> 31
    }

    /// A length of this rank's own, for another.
    fn len(&self, from: usize, to: usize) -> usize {
        let n = self.number(from, to, 1 << 30) as usize;
        if n.is_multiple_of(4) { 0 } else { n % (self.call.len + 1) }
    }

    fn list<T: Value>(&self, from: usize, to: usize, len: usize) -> Vec<T> {
        (0..len).map(|i| T::of(self.number(from, to, i))).collect()
    }

    /// As long as `from` likes for `to`.
    fn part<T: Value>(&self, from: usize, to: usize) -> Vec<T> {
        self.list(from, to, self.len(from, to))
    }

    /// As long on all ranks.
    fn whole<T: Value>(&self, from: usize) -> Vec<T> {
        self.list(from, 0, self.call.len)
    }

    fn one<T: Value>(&self, from: usize, to: usize) -> T {
        T::of(self.number(from, to, 0))
    }

    fn blocks<T: Value>(&self, from: usize) -> Vec<T> {
        (0..self.size()).flat_map(|to| self.list::<T>(from, to, self.call.len / self.size())).collect()
    }

    /// Lists for a few, some of them twice.
    fn messages<T: Value>(&self, from: usize) -> Vec<(u32, Vec<T>)> {
        let to = |i: usize| (self.number(from, i, 1 << 29) % self.size() as u64) as usize;
        (0..self.number(from, 0, 1 << 28) as usize % 4).map(|i| (to(i) as u32, self.part(from, i))).collect()
    }

    fn combine<T: Value>(&self, a: T, b: T) -> T {
        match self.call.way {
            Way::Sum => T::added(a, b),
            Way::Min if b < a => b,
            Way::Max if b > a => b,
            Way::Min | Way::Max => a,
            Way::Mix => T::mix(a, b),
        }
    }

    /// In the order of ranks, from the left.
    fn folded<T: Value>(&self, ranks: usize) -> Vec<T> {
        let with = |mut all: Vec<T>, next: Vec<T>| {
            all.iter_mut().zip(next).for_each(|(a, b)| *a = self.combine(*a, b));
            all
        };
        (0..ranks).map(|r| self.whole(r)).reduce(with).unwrap_or_default()
    }

    fn expected<T: Value>(&self) -> Lists<T> {
        let (me, size, root, len) = (self.me, self.size(), self.root(), self.call.len);
        let ranks = 0..size;
        let at_root = |lists: Vec<Vec<T>>| (me == root).then_some(lists);
        match self.call.what {
            Barrier | Agree => None,
            Broadcast => Some(vec![self.whole(root)]),
            BroadcastOne => Some(vec![vec![self.one(root, 0)]]),
            Gather => at_root(vec![ranks.map(|r| self.one(r, 0)).collect()]),
            GatherV => at_root(ranks.map(|r| self.part(r, 0)).collect()),
            AllGather => Some(vec![ranks.map(|r| self.one(r, 0)).collect()]),
            AllGatherV => Some(ranks.map(|r| self.part(r, 0)).collect()),
            AllGatherInto => Some(vec![ranks.flat_map(|r| self.whole::<T>(r)).collect()]),
            Scatter => Some(vec![vec![self.one(root, me)]]),
            ScatterV => Some(vec![self.part(root, me)]),
            Reduce => at_root(vec![self.folded(size)]),
            AllReduce => Some(vec![self.folded(size)]),
            ReduceOne | AllReduceOne => {
                let all = ranks.map(|r| self.one(r, 0)).reduce(|a, b| self.combine(a, b)).expect("a rank");
                if self.call.what == ReduceOne { at_root(vec![vec![all]]) } else { Some(vec![vec![all]]) }
            }
            ReduceScatter => Some(vec![self.folded(size)[len * me / size..len * (me + 1) / size].to_vec()]),
            Scan => Some(vec![self.folded(me + 1)]),
            Exscan => (me > 0).then(|| vec![self.folded(me)]),
            AllToAll | Overlap => Some(vec![ranks.flat_map(|r| self.list::<T>(r, me, len / size)).collect()]),
            AllToAllV => Some(ranks.map(|r| self.part(r, me)).collect()),
            Sparse => {
                let to_me = |r: usize| self.messages(r).into_iter().filter(|m| m.0 as usize == me).map(|m| m.1);
                Some(ranks.flat_map(to_me).collect())
            }
        }
    }
}

fn lists<T: Plain>(parts: &physalia::collectives::Parts<T>) -> Vec<Vec<T>> {
    parts.iter().map(<[T]>::to_vec).collect()
}

fn blocking<T: Value>(comm: &mut Comm, call: Call, members: &[u32]) -> Outcome<()> {
    let site = Site { call, me: comm.rank() as usize, members };
    let got = match call.way {
        Way::Sum => by::<T, _>(comm, &site, Sum)?,
        Way::Min => by::<T, _>(comm, &site, Min)?,
        Way::Max => by::<T, _>(comm, &site, Max)?,
        Way::Mix => by::<T, _>(comm, &site, By(T::mix))?,
    };
    assert!(got == site.expected(), "{call:?} on rank {} of {members:?}", site.me);
    Ok(())
}

fn by<T: Value, O: Op<T>>(comm: &mut Comm, site: &Site, op: O) -> Outcome<Lists<T>> {
    let (me, size, root) = (site.me, site.size(), site.root());
    let (of_root, len) = (root as u32, site.call.len);
    let single = |one: T| Some(vec![vec![one]]);
    let list = |list: Vec<T>| Some(vec![list]);
    let mut buf = site.whole::<T>(me);
    Ok(match site.call.what {
        Barrier => comm.barrier().map(|()| None)?,
        Agree => comm.agree(Ok::<(), String>(())).map(|()| None)?,
        Broadcast => comm.broadcast_into(of_root, &mut buf).map(|()| list(buf))?,
        BroadcastOne => single(comm.broadcast(of_root, site.one(me, 0))?),
        Gather => comm.gather(of_root, site.one(me, 0))?.and_then(list),
        GatherV => comm.gather_v(of_root, &site.part(me, 0))?.as_ref().map(lists),
        AllGather => list(comm.all_gather(site.one(me, 0))?),
        AllGatherV => Some(lists(&comm.all_gather_v(&site.part(me, 0))?)),
        AllGatherInto => {
            let mut all = vec![T::of(0); size * len];
            comm.all_gather_into(&buf, &mut all).map(|()| list(all))?
        }
        Scatter => {
            let all: Vec<T> = (0..size).map(|to| site.one(root, to)).collect();
            single(comm.scatter(of_root, (me == root).then_some(&all))?)
        }
        ScatterV => {
            let parts: Vec<Vec<T>> = (0..size).map(|to| site.part(root, to)).collect();
            list(comm.scatter_v(of_root, (me == root).then_some(&parts))?)
        }
        Reduce => {
            comm.reduce_into(of_root, &mut buf, op)?;
            if me == root {
                list(buf)
            } else {
                assert!(buf == site.whole(me), "a reduction to another rank has changed {:?}", site.call);
                None
            }
        }
        ReduceOne => comm.reduce(of_root, site.one(me, 0), op)?.and_then(single),
        AllReduce => comm.all_reduce_into(&mut buf, op).map(|()| list(buf))?,
        AllReduceOne => single(comm.all_reduce(site.one(me, 0), op)?),
        ReduceScatter => list(comm.reduce_scatter(&buf, op)?),
        // Of one value each, so that the vectors are those of the first element.
        Scan => return scans(site, |one| comm.scan(one, op).map(Some)),
        Exscan => return scans(site, |one| comm.exscan(one, op)),
        AllToAll => list(comm.all_to_all(&site.blocks(me))?),
        Overlap => {
            let (send, mut into) = (site.blocks::<T>(me), vec![T::of(0); len / size * size]);
            comm.overlap(|o| {
                let ticket = o.start_all_to_all_into(&send, &mut into)?;
                o.barrier()?;
                ticket.wait(o).map(drop)?;
                Ok(())
            })?;
            list(into)
        }
        AllToAllV => {
            let parts: Vec<Vec<T>> = (0..size).map(|to| site.part(me, to)).collect();
            let counts: Vec<u64> = parts.iter().map(|p| p.len() as u64).collect();
            Some(lists(&comm.all_to_all_v(&parts.concat(), &counts)?))
        }
        Sparse => {
            let came = comm.sparse_exchange(site.messages(me))?;
            assert!(came.is_sorted_by_key(|m| m.0), "in the order of ranks");
            Some(came.into_iter().map(|m| m.1).collect())
        }
    })
}

/// A scan of one value: the rest of the vector is filled in from what it must be.
fn scans<T: Value>(site: &Site, scan: impl FnOnce(T) -> Result<Option<T>, Abort>) -> Outcome<Lists<T>> {
    let got = scan(T::of(site.number(site.me, 0, 0)))?;
    let mut all = site.expected();
    match (&mut all, got) {
        (Some(lists), Some(one)) if !lists[0].is_empty() => lists[0][0] = one,
        (Some(_), Some(_)) | (None, None) => {}
        _ => all = Some(vec![]), // there where nothing is due, or the reverse
    }
    Ok(all)
}

fn started<T: Value>(comm: &mut Comm, call: Call, members: &[u32]) -> Box<dyn FnOnce() -> Outcome<()>> {
    let members = members.to_vec();
    let me = comm.rank() as usize;
    let wait = match call.way {
        Way::Sum => start::<T, _>(comm, &Site { call, me, members: &members }, Sum),
        Way::Min => start::<T, _>(comm, &Site { call, me, members: &members }, Min),
        Way::Max => start::<T, _>(comm, &Site { call, me, members: &members }, Max),
        Way::Mix => start::<T, _>(comm, &Site { call, me, members: &members }, By(T::mix)),
    };
    Box::new(move || {
        let site = Site { call, me, members: &members };
        assert!(wait()? == site.expected(), "started {call:?} on rank {me} of {members:?}");
        Ok(())
    })
}

type Wait<T> = Box<dyn FnOnce() -> Result<Lists<T>, Abort>>;

fn start<T: Value, O: Op<T> + 'static>(comm: &mut Comm, site: &Site, op: O) -> Wait<T> {
    fn wait<T, R: 'static>(pending: Pending<R>, to: impl FnOnce(R) -> Lists<T> + 'static) -> Wait<T> {
        Box::new(move || pending.wait().map(to))
    }
    let (me, size, root) = (site.me, site.size(), site.root());
    let of_root = root as u32;
    let list = |list: Vec<T>| Some(vec![list]);
    let buf = site.whole::<T>(me);
    match site.call.what {
        Barrier => wait(comm.start_barrier(), |()| None),
        Broadcast => wait(comm.start_broadcast(of_root, buf), list),
        GatherV => wait(comm.start_gather(of_root, site.part(me, 0)), |parts| parts.as_ref().map(lists)),
        ScatterV => {
            let parts = (me == root).then(|| (0..size).map(|to| site.part(root, to)).collect());
            wait(comm.start_scatter(of_root, parts), list)
        }
        AllGatherV => wait(comm.start_all_gather(site.part(me, 0)), |parts| Some(lists(&parts))),
        Reduce => wait(comm.start_reduce(of_root, buf, op), move |all| all.and_then(list)),
        AllReduce => wait(comm.start_all_reduce(buf, op), list),
        ReduceScatter => wait(comm.start_reduce_scatter(buf, op), list),
        Scan => wait(comm.start_scan(buf, op), list),
        Exscan => wait(comm.start_exscan(buf, op), move |all| all.and_then(list)),
        AllToAllV => {
            let parts = (0..size).map(|to| site.part(me, to)).collect();
            wait(comm.start_all_to_all(parts), |parts| Some(lists(&parts)))
        }
        _ => unreachable!("only the first are"),
    }
}
