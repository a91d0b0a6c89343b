//! A right program of twelve collectives, and wrong ones made of it: one rank's copy is changed in one place. Every job of a
//! mutant must end, not with 0, and say where the ranks were.

use crate::clock::Ended;
use crate::dice::Dice;
use physalia::collectives::Addable;
use physalia::prelude::*;
use std::fmt;

/// How many mutants the tests run: 20, or as many as `PHYSALIA_TEST_MUTANTS` says.
///
/// # Panics
/// If that is no number.
pub fn count() -> u64 {
    let asked = std::env::var("PHYSALIA_TEST_MUTANTS");
    asked.map_or(20, |count| count.parse().expect("PHYSALIA_TEST_MUTANTS: a number"))
}

/// Which collective.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Barrier,
    Broadcast,
    Gather,
    AllGather,
    AllGatherV,
    Scatter,
    Reduce,
    AllReduce,
    AllReduceInto,
    Scan,
    AllToAll,
    AllToAllV,
    Pending,
    Agree,
}

const WHATS: [What; 14] = [
    What::Barrier,
    What::Broadcast,
    What::Gather,
    What::AllGather,
    What::AllGatherV,
    What::Scatter,
    What::Reduce,
    What::AllReduce,
    What::AllReduceInto,
    What::Scan,
    What::AllToAll,
    What::AllToAllV,
    What::Pending,
    What::Agree,
];

/// On values of which type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    U32,
    U64,
    F64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Call {
    what: What,
    of: Of,
    root: u32,
    len: usize,
    largest: bool,
    /// In a communicator of its own, of all ranks.
    apart: bool,
}

/// How a rank's copy differs. Numbers are places in the program.
#[derive(Clone, Copy, Debug)]
enum Change {
    Nothing,
    Drop(usize),
    Double(usize),
    Swap(usize, usize),
    Replace(usize, Call),
    Leave(usize),
    Loop(usize),
}

/// A program for so many ranks, and how the copy of one of them differs.
#[derive(Clone)]
pub struct Mutant {
    /// The number of ranks.
    pub ranks: u32,
    calls: Vec<Call>,
    rank: u32,
    change: Change,
}

impl fmt::Debug for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "rank {} of {}: {:?} in {:?}", self.rank, self.ranks, self.change, self.calls)
    }
}

impl Mutant {
    /// The mutant of this number; every tenth is no mutant.
    pub fn of(seed: u64) -> Mutant {
        let mut dice = Dice::of(seed, 12);
        let ranks = 2 + dice.below(3) as u32;
        let mut call = |_| Call {
            what: dice.one_of(&WHATS),
            of: dice.one_of(&[Of::U32, Of::U64, Of::F64]),
            root: dice.below(ranks.into()) as u32,
            len: dice.size(30_000) as usize,
            largest: dice.below(2) == 1,
            apart: dice.below(6) == 0,
        };
        let calls: Vec<Call> = (0..12).map(&mut call).collect();
        let rank = dice.below(ranks.into()) as u32;
        let change = if seed.is_multiple_of(10) {
            Change::Nothing
        } else {
            std::iter::repeat_with(|| change(&mut dice, &calls, ranks)).flatten().next().expect("one in many fits")
        };
        Mutant { ranks, calls, rank, change }
    }

    /// Whether the job needs `PHYSALIA_STALL=…:kill` to end: a rank that computes for ever is not proved to.
    pub fn loops(&self) -> bool {
        matches!(self.change, Change::Loop(_))
    }

    /// The program, on one rank.
    ///
    /// # Errors
    /// As its collectives.
    pub fn run(&self, world: &mut World) -> Outcome<()> {
        let mut calls = self.calls.clone();
        if world.rank() == self.rank {
            match self.change {
                Change::Nothing => {}
                Change::Drop(i) => drop(calls.remove(i)),
                Change::Double(i) => calls.insert(i, calls[i]),
                Change::Swap(i, j) => calls.swap(i, j),
                Change::Replace(i, call) => calls[i] = call,
                Change::Leave(i) | Change::Loop(i) => calls.truncate(i),
            }
        }
        for call in calls {
            if call.apart { world.with_split(0, |sub| one(sub, call))? } else { one(world, call)? }
        }
        while self.loops() && world.rank() == self.rank {
            std::hint::black_box(());
        }
        Ok(())
    }

    /// Checks how the job has ended.
    ///
    /// # Panics
    /// If it ended otherwise.
    pub fn check(&self, ended: &Ended) {
        let right = matches!(self.change, Change::Nothing);
        assert_eq!(ended.code, Some(i32::from(!right)), "{self:?}: {ended:?}");
        let ours: String =
            ended.stderr.lines().filter(|l| l.starts_with("physalia: ") || l.starts_with("  rank")).collect();
        // One place if the other rank computes, else two.
        let places = if right { 0 } else { 2 - usize::from(self.loops()) };
        assert!(ours.matches(".rs:").count() >= places, "{self:?}: {ended:?}");
    }
}

impl Call {
    fn has_root(self) -> bool {
        [What::Broadcast, What::Gather, What::Scatter, What::Reduce].contains(&self.what)
    }

    fn has_type(self) -> bool {
        ![What::Barrier, What::Agree].contains(&self.what)
    }

    fn has_length(self) -> bool {
        [What::AllReduceInto, What::AllToAll, What::Pending].contains(&self.what)
    }

    fn has_operation(self) -> bool {
        [What::Reduce, What::AllReduce, What::AllReduceInto, What::Scan, What::Pending].contains(&self.what)
    }

    /// With what does not matter to it left out.
    fn plain(self) -> Call {
        Call {
            root: if self.has_root() { self.root } else { 0 },
            of: if self.has_type() { self.of } else { Of::U32 },
            len: if self.has_length() { self.len } else { 0 },
            largest: self.has_operation() && self.largest,
            ..self
        }
    }
}

/// A change that matters, or `None`.
fn change(dice: &mut Dice, calls: &[Call], ranks: u32) -> Option<Change> {
    let (i, j) = (dice.below(12) as usize, dice.below(12) as usize);
    let call = calls[i];
    let by = match dice.below(10) {
        0 => return Some(Change::Drop(i)),
        1 => return Some(Change::Double(i)),
        2 => return (calls[i].plain() != calls[j].plain()).then_some(Change::Swap(i, j)),
        3 => return Some(Change::Leave(i)),
        4 => return Some(Change::Loop(i)),
        5 => Call { root: dice.below(ranks.into()) as u32, ..call },
        6 => Call { of: dice.one_of(&[Of::U32, Of::U64, Of::F64]), ..call },
        7 => Call { len: call.len + 1, ..call },
        8 => Call { largest: !call.largest, ..call },
        _ => Call { apart: !call.apart, ..call },
    };
    (by.plain() != call.plain()).then_some(Change::Replace(i, by))
}

/// Values of a type that counts.
trait Counts: Plain + PartialOrd + Addable + fmt::Debug {
    fn from_place(place: usize) -> Self;
}

macro_rules! counts {
    ($($t:ty)*) => { $(impl Counts for $t {
        fn from_place(place: usize) -> $t {
            place as $t
        }
    })* };
}
counts!(u32 u64 f64);

fn one(world: &mut World, call: Call) -> Outcome<()> {
    match call.of {
        Of::U32 => of::<u32>(world, call),
        Of::U64 => of::<u64>(world, call),
        Of::F64 => of::<f64>(world, call),
    }
}

fn of<T: Counts>(world: &mut World, call: Call) -> Outcome<()> {
    if call.largest { by::<T, Max>(world, call, Max) } else { by::<T, Sum>(world, call, Sum) }
}

fn by<T: Counts, O: Op<T>>(world: &mut World, call: Call, op: O) -> Outcome<()> {
    let (me, ranks, Call { root, len, .. }) = (world.rank(), world.size() as usize, call);
    let one = T::from_place(me as usize);
    let many: Vec<T> = (0..len).map(|i| T::from_place(i % 1000)).collect();
    match call.what {
        What::Barrier => world.barrier()?,
        What::Broadcast => assert_eq!(world.broadcast(root, one)?, T::from_place(root as usize)),
        What::Gather => drop(world.gather(root, one)?),
        What::AllGather => assert_eq!(world.all_gather(one)?.len(), ranks),
        What::AllGatherV => drop(world.all_gather_v(&many[..len.min(100 * me as usize)])?),
        What::Scatter => {
            let all: Vec<T> = (0..ranks).map(T::from_place).collect();
            assert_eq!(world.scatter(root, (me == root).then_some(&all))?, one);
        }
        What::Reduce => drop(world.reduce(root, one, op)?),
        What::AllReduce => drop(world.all_reduce(one, op)?),
        What::AllReduceInto => world.all_reduce_into(&mut many.clone(), op)?,
        What::Scan => drop(world.scan(one, op)?),
        What::AllToAll => drop(world.all_to_all(&many.repeat(ranks))?),
        What::AllToAllV => {
            let counts: Vec<u64> = (0..ranks).map(|q| if q == me as usize { len as u64 } else { 0 }).collect();
            assert_eq!(world.all_to_all_v(&many, &counts)?.as_slice(), many);
        }
        What::Pending => drop(world.start_all_reduce(many, op).wait()?),
        What::Agree => world.agree(Ok::<(), String>(()))?,
    }
    Ok(())
}
