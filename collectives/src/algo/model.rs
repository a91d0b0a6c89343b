//! Which schedule a call takes: the one of least cost in the α–β model (Hockney 1994; Thakur, Rabenseifner, Gropp 2005). A
//! message of n bytes takes α + nβ, of which its sender is busy for o + nβ; combining takes γ a byte. Two pairs (α, β): *near*
//! between ranks of a host, *far* between hosts. Where all ranks of a host talk to others at once they share its network, so
//! β is then as many times as large.
//!
//! The numbers are round ones of common machines, and need be no better: they place the borders between schedules whose costs
//! are about equal there. All ranks compute the same, from what all know.

use super::hosts::Hosts;
use super::levels;
use std::fmt;

/// A message between ranks of a host, and between hosts: α in ns, β in ns a byte.
const NEAR: Link = Link { alpha: 1000.0, beta: 0.1 };
const FAR: Link = Link { alpha: 5000.0, beta: 0.25 };
/// What combining takes, in ns a byte.
const GAMMA: f64 = 0.1;
/// The part of α for which the sender, or the receiver, is busy.
const BUSY: f64 = 0.25;
/// No segment of a pipeline is shorter than this, in bytes, and no vector has more.
const SEGMENT: usize = 8 << 10;
const SEGMENTS: usize = 256;

#[derive(Clone, Copy, Debug)]
struct Link {
    alpha: f64,
    beta: f64,
}

macro_rules! names {
    ($(#[$doc:meta])* $kind:ident { $($name:ident = $text:literal: $what:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum $kind {
            $(#[doc = $what] $name),*
        }

        impl $kind {
            pub(crate) const ALL: &[$kind] = &[$($kind::$name),*];

            pub(crate) fn name(self) -> &'static str {
                match self {
                    $($kind::$name => $text),*
                }
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

names! {
    /// What is to be done.
    Collective {
        Barrier = "barrier": "nobody goes on before all have come",
        Broadcast = "broadcast": "one vector to all, whose length all know",
        Gather = "gather": "a blob of each to one",
        Scatter = "scatter": "a blob of one to each",
        AllGather = "all_gather": "a part of each to all, of lengths that all know",
        AllToAll = "all_to_all": "a block of each for each",
        Reduce = "reduce": "vectors combined, on one",
        AllReduce = "all_reduce": "vectors combined, on all",
        ReduceScatter = "reduce_scatter": "vectors combined, a slice on each",
        Scan = "scan": "vectors of the ranks up to each, combined",
    }
}

names! {
    /// How it is done.
    Algorithm {
        Direct = "direct": "every message straight to where it belongs, all at once",
        Pairwise = "pairwise": "the same, one peer after the other",
        Binomial = "binomial": "a binomial tree",
        Tree = "tree": "a binary tree, in segments",
        Chain = "chain": "from rank to rank, in segments",
        ScatterGather = "scatter_gather": "slices down a binomial tree, then around a ring",
        Ring = "ring": "slices around a ring",
        Dissemination = "dissemination": "in rounds from twice as far, by Bruck and others",
        Doubling = "doubling": "recursive doubling",
        Halving = "halving": "recursive halving, then doubling",
        Gathered = "gathered": "all parts to where they are combined",
        Slices = "slices": "each combines a slice of all, in the order of ranks",
        Hosts = "hosts": "within hosts, then between them",
        Native = "native": "MPI's own, after all have met",
    }
}

/// What may be changed about the order in which values are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// Nothing: ((a₀ ∘ a₁) ∘ a₂) ∘ …, in the order of ranks.
    Ranks,
    /// The brackets: the operation is associative, so the same bits come out.
    Brackets,
    /// Brackets and order: the operation is associative and commutative; or bits do not matter.
    Any,
}

/// What a choice depends on: the same on all ranks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case<'h> {
    pub size: usize,
    /// Of the whole vector; of all blocks of a rank (all_to_all); of all parts together (all_gather).
    pub bytes: usize,
    pub order: Order,
    /// The root is rank 0, or there is none.
    pub from_0: bool,
    /// The transport's own collectives may be called: it has some, all its ranks take part, and nothing else is started.
    pub native: bool,
    pub hosts: &'h Hosts,
}

/// Those that give the right result, the simplest first.
fn candidates(what: Collective, case: &Case) -> Vec<Algorithm> {
    use Algorithm::*;
    let ordered = match case.order {
        Order::Ranks => false,
        Order::Brackets => case.hosts.in_order(),
        Order::Any => true,
    };
    let list: &[(Algorithm, bool)] = match what {
        Collective::Barrier => &[(Dissemination, true), (Hosts, true)],
        Collective::Broadcast => &[
            (Binomial, true),
            (ScatterGather, true),
            (Tree, true),
            (Chain, true),
            (Hosts, true),
            (Native, case.native),
        ],
        Collective::Gather | Collective::Scatter => &[(Direct, true), (Binomial, true)],
        Collective::AllGather => &[
            (Direct, true),
            (Dissemination, true),
            (Doubling, case.size.is_power_of_two()),
            (Ring, true),
            (Hosts, case.hosts.in_order()),
        ],
        Collective::AllToAll => &[
            (Direct, true),
            (Dissemination, true),
            (Pairwise, true),
            (Native, case.native && (1..1 << 31).contains(&case.bytes)),
        ],
        Collective::Reduce => {
            let tree = case.order == Order::Any || (case.order == Order::Brackets && case.from_0);
            &[(Slices, true), (Gathered, true), (Binomial, tree)]
        }
        Collective::AllReduce => &[
            (Slices, true),
            (Gathered, true),
            (Chain, true),
            (Doubling, case.order >= Order::Brackets),
            (Halving, case.order >= Order::Brackets),
            (Ring, case.order == Order::Any),
            (Hosts, ordered),
        ],
        Collective::ReduceScatter => &[(Slices, true), (Ring, case.order == Order::Any)],
        Collective::Scan => &[(Gathered, true), (Doubling, case.order >= Order::Brackets)],
    };
    list.iter().filter(|(_, right)| *right).map(|(a, _)| *a).collect()
}

/// About how long a call takes, in ns.
fn cost(what: Collective, how: Algorithm, case: &Case) -> f64 {
    use Algorithm::*;
    let (p, n, lg) = (case.size as f64, case.bytes as f64, levels(case.size) as f64);
    let many = case.hosts.count() > 1;
    // A message on the way, and one of many that leave a host at once.
    let way = if many { FAR } else { NEAR };
    let share = if many { way.beta * case.hosts.widest() as f64 } else { way.beta };
    let Link { alpha, beta } = way;
    // So many messages of one rank in all, so many bytes in all of them, all at once.
    let burst = |messages: f64, bytes: f64| alpha + (messages - 1.0) * alpha * BUSY + bytes * share;
    let pipe = |hops: f64, copies: f64| {
        let s = segments(case) as f64;
        (hops + s - 1.0) * (alpha + copies * n / s * beta)
    };
    let inside = |messages: f64, bytes: f64| messages * NEAR.alpha + bytes * NEAR.beta;
    let (h, lh, lw) = (case.hosts.count(), levels(case.hosts.count()) as f64, levels(case.hosts.widest()) as f64);
    match (what, how) {
        // What the network can do cannot be known from here: only where it was asked for.
        (_, Native) => f64::INFINITY,
        (Collective::Barrier, Hosts) => inside(2.0 * lw, 0.0) + lh * FAR.alpha,
        (Collective::Barrier, _) => lg * alpha,
        (Collective::Broadcast, ScatterGather) => (lg + p - 1.0) * alpha + 2.0 * (p - 1.0) / p * n * beta,
        (Collective::Broadcast, Tree) => pipe(lg.max(1.0), 2.0),
        (Collective::Broadcast, Chain) => pipe(p - 1.0, 1.0),
        (Collective::Broadcast, Hosts) => {
            let s = between(case) as f64;
            let hops = if s > 1.0 { h as f64 - 1.0 + s - 1.0 } else { lh };
            hops * (FAR.alpha + n / s * FAR.beta) + inside(lw, lw * n)
        }
        (Collective::Broadcast, _) => lg * (alpha + n * beta),
        (Collective::Gather | Collective::Scatter, Direct) => burst(p - 1.0, n),
        (Collective::Gather | Collective::Scatter, _) => lg * alpha + 2.0 * n * beta, // packed on the way
        (Collective::AllGather, Direct) => burst(p - 1.0, (p - 1.0) / p * n),
        (Collective::AllGather, Ring) => (p - 1.0) * alpha + (p - 1.0) / p * n * beta,
        (Collective::AllGather, Hosts) => {
            inside(1.0 + lw, n / h as f64 + lw * n) + (h as f64 - 1.0) * (FAR.alpha + n / h as f64 * FAR.beta)
        }
        (Collective::AllGather, _) => lg * alpha + (p - 1.0) / p * n * share,
        (Collective::AllToAll, Dissemination) => lg * (alpha + n / 2.0 * (share + 2.0 * GAMMA)), // packed and unpacked
        (Collective::AllToAll, Pairwise) => (p - 1.0) * alpha + (p - 1.0) / p * n * share,
        // From all sides at once: each receiver is crowded when ranks are many.
        (Collective::AllToAll, _) => burst(p - 1.0, (p - 1.0) / p * n * if case.size > 32 { 1.5 } else { 1.0 }),
        (Collective::Reduce, Binomial) => lg * (alpha + n * (beta + GAMMA)),
        (Collective::Reduce, Gathered) => lg * alpha + (p - 1.0) * n * (beta + GAMMA),
        (Collective::Reduce | Collective::AllReduce, Slices) => {
            2.0 * burst(p - 1.0, (p - 1.0) / p * n) + (p - 1.0) / p * n * GAMMA
        }
        (Collective::AllReduce, Gathered) => lg * alpha + (p - 1.0) * n * (share + GAMMA),
        (Collective::AllReduce, Chain) => {
            let s = segments(case) as f64;
            (2.0 * (p - 1.0) + s - 1.0) * (alpha + n / s * (2.0 * beta + GAMMA))
        }
        (Collective::AllReduce, Doubling) => lg * (alpha + n * (share + GAMMA)),
        (Collective::AllReduce, Halving) => 2.0 * lg * alpha + (p - 1.0) / p * n * (2.0 * share + GAMMA),
        (Collective::AllReduce, Ring) => 2.0 * (p - 1.0) * alpha + (p - 1.0) / p * n * (2.0 * beta + GAMMA),
        (Collective::AllReduce, Hosts) => {
            let rounds = if long_between(case) {
                2.0 * lh * FAR.alpha + n * (2.0 * FAR.beta + GAMMA)
            } else {
                lh * (FAR.alpha + n * (FAR.beta + GAMMA))
            };
            inside(2.0 * lw, lw * n * 2.0) + lw * n * GAMMA + rounds
        }
        (Collective::ReduceScatter, Ring) => (p - 1.0) * (alpha + n / p * (beta + GAMMA)),
        (Collective::ReduceScatter, _) => burst(p - 1.0, (p - 1.0) / p * n) + (p - 1.0) / p * n * GAMMA,
        (Collective::Scan, Doubling) => lg * (alpha + n * (share + GAMMA)),
        (Collective::Scan, _) => lg * alpha + (p - 1.0) * n * (share + GAMMA),
        (Collective::AllReduce | Collective::Reduce, _) => f64::INFINITY,
    }
}

/// The segments of a pipeline among all ranks: as many as make the time least.
pub(crate) fn segments(case: &Case) -> usize {
    let way = if case.hosts.count() > 1 { FAR } else { NEAR };
    best_segments(case.size, case.bytes, way)
}

/// The segments of a broadcast between hosts.
pub(crate) fn between(case: &Case) -> usize {
    best_segments(case.hosts.count(), case.bytes, FAR)
}

fn best_segments(hops: usize, bytes: usize, way: Link) -> usize {
    let best = (bytes as f64 * way.beta * hops.saturating_sub(2) as f64 / way.alpha).sqrt() as usize;
    best.clamp(1, (bytes / SEGMENT).clamp(1, SEGMENTS))
}

/// Whether leaders combine by halving.
pub(crate) fn long_between(case: &Case) -> bool {
    let lh = levels(case.hosts.count()) as f64;
    let n = case.bytes as f64;
    2.0 * lh * FAR.alpha + n * (2.0 * FAR.beta + GAMMA) < lh * (FAR.alpha + n * (FAR.beta + GAMMA))
}

/// The longest setting, in bytes.
pub(crate) const LONGEST: usize = 1000;

/// The algorithms that a user has asked for: `PHYSALIA_SCHEDULE`. Among processes those of rank 0 hold for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedules {
    forced: Vec<(Collective, Algorithm)>,
    hosts: Option<u32>,
}

impl Schedules {
    /// From `all_reduce:ring,broadcast:chain`; `hosts:2` treats the ranks as of two hosts.
    ///
    /// # Errors
    /// What is wanted instead, in words.
    pub fn parse(text: &str) -> Result<Schedules, String> {
        let mut schedules = Schedules::default();
        if text.len() > LONGEST {
            return Err(format!("{} bytes: at most {LONGEST} are wanted", text.len()));
        }
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (what, how) = item.split_once(':').ok_or_else(|| format!("{item}: COLLECTIVE:ALGORITHM is wanted"))?;
            if what == "hosts" {
                let hosts = how.parse().ok().filter(|&n| n > 0);
                schedules.hosts = Some(hosts.ok_or_else(|| format!("{item}: a number of hosts is wanted"))?);
                continue;
            }
            let list = |names: Vec<&str>| names.join(", ");
            let what = Collective::ALL.iter().find(|c| c.name() == what).ok_or_else(|| {
                format!("{what}: no collective of these: {}", list(Collective::ALL.iter().map(|c| c.name()).collect()))
            })?;
            let how = Algorithm::ALL.iter().find(|a| a.name() == how).ok_or_else(|| {
                format!("{how}: no algorithm of these: {}", list(Algorithm::ALL.iter().map(|a| a.name()).collect()))
            })?;
            let hosts = Hosts::new(&[0, 1]);
            let all = Case { size: 2, bytes: 8, order: Order::Any, from_0: true, native: true, hosts: &hosts };
            let ways = candidates(*what, &all);
            if !ways.contains(how) {
                let names = list(ways.iter().map(|a| a.name()).collect());
                return Err(format!("{item}: a {what} goes by one of these: {names}"));
            }
            schedules.forced.push((*what, *how));
        }
        Ok(schedules)
    }

    /// As the environment asks; what it cannot mean has been refused at start.
    pub(crate) fn from_env() -> Schedules {
        Schedules::parse(&Schedules::text_of_env()).unwrap_or_default()
    }

    /// What the environment asks for.
    pub(crate) fn text_of_env() -> String {
        std::env::var("PHYSALIA_SCHEDULE").unwrap_or_default()
    }

    /// The number of hosts that the ranks are to be treated as.
    pub(crate) fn hosts(&self) -> Option<u32> {
        self.hosts
    }

    /// The algorithm for a call: the one that was asked for, if it gives the right result; else the cheapest.
    pub(crate) fn choose(&self, what: Collective, case: &Case) -> Algorithm {
        let all = candidates(what, case);
        let forced = self.forced.iter().rev().find(|f| f.0 == what && all.contains(&f.1)).map(|f| f.1);
        let cheapest = || all.iter().copied().min_by(|&a, &b| cost(what, a, case).total_cmp(&cost(what, b, case)));
        forced.or_else(cheapest).expect("a way to do it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(what: Collective, size: usize, bytes: usize, order: Order, hosts: &[u32]) -> Algorithm {
        let hosts = Hosts::new(hosts);
        Schedules::default().choose(what, &Case { size, bytes, order, from_0: true, native: false, hosts: &hosts })
    }

    #[test]
    fn short_and_long_go_different_ways() {
        use Algorithm::*;
        let one = [0; 64];
        assert_eq!(choice(Collective::AllReduce, 64, 8, Order::Any, &one), Doubling);
        assert_eq!(choice(Collective::AllReduce, 64, 1 << 20, Order::Brackets, &one), Halving);
        assert_eq!(choice(Collective::AllReduce, 64, 8, Order::Ranks, &one), Gathered);
        assert_eq!(choice(Collective::AllReduce, 64, 1 << 24, Order::Ranks, &one), Slices);
        assert_eq!(choice(Collective::Broadcast, 64, 8, Order::Ranks, &one), Binomial);
        assert_ne!(choice(Collective::Broadcast, 64, 1 << 24, Order::Ranks, &one), Binomial);
        assert_eq!(choice(Collective::AllToAll, 64, 64 * 8, Order::Ranks, &one), Dissemination);
        assert_eq!(choice(Collective::AllToAll, 8, 1 << 24, Order::Ranks, &one[..8]), Direct);
        let four: Vec<u32> = (0..64).map(|r| r / 16).collect();
        assert_eq!(choice(Collective::AllReduce, 64, 8, Order::Brackets, &four), Hosts);
        assert_eq!(choice(Collective::Barrier, 64, 0, Order::Ranks, &four), Hosts);
        // Ranks dealt out to hosts in turn: the order of ranks is not that of hosts.
        let dealt: Vec<u32> = (0..64).map(|r| r % 4).collect();
        assert_ne!(choice(Collective::AllReduce, 64, 8, Order::Brackets, &dealt), Hosts);
        assert_eq!(choice(Collective::AllReduce, 64, 8, Order::Any, &dealt), Hosts);
    }

    #[test]
    fn wishes_are_read_and_refused() {
        let hosts = Hosts::new(&[0; 6]);
        let case = Case { size: 6, bytes: 8, order: Order::Ranks, from_0: true, native: false, hosts: &hosts };
        let wish = Schedules::parse("all_reduce:chain, broadcast:tree").unwrap();
        assert_eq!(wish.choose(Collective::AllReduce, &case), Algorithm::Chain);
        assert_eq!(wish.choose(Collective::Broadcast, &case), Algorithm::Tree);
        // What would be wrong is not done.
        let wish = Schedules::parse("all_reduce:ring,all_gather:doubling").unwrap();
        assert_ne!(wish.choose(Collective::AllReduce, &case), Algorithm::Ring);
        assert_ne!(wish.choose(Collective::AllGather, &case), Algorithm::Doubling);
        assert_eq!(Schedules::parse("hosts:3").unwrap().hosts(), Some(3));
        for (bad, why) in [
            ("ring", "COLLECTIVE:ALGORITHM"),
            ("sum:ring", "no collective"),
            ("barrier:x", "no algorithm"),
            ("hosts:0", "number of hosts"),
            ("barrier:ring", "goes by one of these: dissemination, hosts"),
        ] {
            assert!(Schedules::parse(bad).unwrap_err().contains(why), "{bad}");
        }
    }
}
