//! The plan: which cores the workers of one rank get. Pure.
//!
//! Ranks that share a mask divide its cores, in the order of the machine, along the borders of domains where nobody loses by
//! it, else in nearly equal pieces. One worker a core: hardware threads of a core share its arithmetic, so a second one rarely
//! helps. Nothing is pinned when there are more workers on the host than cores, when a quota says that others use the cores
//! too, or when the machine is known by number only: a pinned worker that must share its core with another is worse off than a
//! free one. Workers that are free to move have no home, so they are in one domain.

use crate::cut::cuts;
use crate::distances::{LOCAL, UNKNOWN};
use crate::slots::{Group, Slot, chosen, groups, merge_tiny, pieces};
use crate::{CpuSet, Machine, Source};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What is a domain: where workers take work from each other first, near one memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Domains {
    /// The cores of a NUMA node.
    #[default]
    Numa,
    /// The cores that share a last-level cache.
    L3,
    /// All cores of the rank.
    One,
}

/// What the user asked of the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// Workers of each rank.
    pub threads: Option<usize>,
    /// Whether workers are pinned; by default where it is safe.
    pub pin: Option<bool>,
    /// A worker for each hardware thread, not for each core.
    pub smt: bool,
    /// What is a domain.
    pub domains: Domains,
}

/// A rank's part in a mask that it may share with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// How many ranks have the mask.
    pub ranks: u32,
    /// Which of them this is, from 0.
    pub place: u32,
    /// How many ranks have the cgroup's quota together.
    pub quota_ranks: u32,
    /// Whether workers may be pinned: not where other ranks' masks overlap.
    pub may_pin: bool,
}

impl Share {
    /// Rank `place` of `ranks` that have one mask and one quota, and no others in their way.
    pub fn of(ranks: u32, place: u32) -> Share {
        Share { ranks, place, quota_ranks: ranks, may_pin: true }
    }
}

/// A worker and its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// The processor that it is pinned to.
    pub core: Option<u32>,
    /// The index of its domain in the plan.
    pub domain: usize,
}

/// A domain on which the rank has workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanDomain {
    /// The system's numbers of its NUMA nodes, ascending: one, or several that are tiny or that are asked to be one.
    pub nodes: Vec<u32>,
    /// The processors of this rank there.
    pub cpus: CpuSet,
}

/// The workers of one rank; worker 0 is the rank's own thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The domains with workers of this rank.
    pub domains: Vec<PlanDomain>,
    /// At least one, in the order of their domains: worker 0 is in domain 0.
    pub workers: Vec<Worker>,
    /// Whether every worker has a processor of its own.
    pub pinned: bool,
    /// From each domain, to each, as [`distance`](Plan::distance) tells them.
    pub distances: Vec<Vec<u32>>,
    /// What the user should know, with its cure.
    pub notes: Vec<String>,
}

impl Plan {
    /// The number of workers.
    pub fn threads(&self) -> usize {
        self.workers.len()
    }

    /// How far two domains are from each other, by their indices, as firmware counts it: 10 for a domain and itself, and for
    /// two parts of one node; 20 where it is not known. Of the two directions the longer, of several nodes the nearest.
    ///
    /// # Panics
    /// If there are no such domains.
    pub fn distance(&self, a: usize, b: usize) -> u32 {
        assert!(a.max(b) < self.domains.len(), "domains {a} and {b} of {}", self.domains.len());
        let known = self.distances.get(a).and_then(|row| row.get(b)).copied();
        known.unwrap_or(if a == b { LOCAL } else { UNKNOWN })
    }
}

/// The plan of the rank that is number `place` of `ranks_on_host` ranks that share `mask`, and the cgroup's quota.
///
/// Without a wish a rank gets a worker for each of its cores, at least one, and no more than its share of the time that the
/// cgroup grants (rounded up).
///
/// # Panics
/// If `place` is not below `ranks_on_host`.
pub fn plan(machine: &Machine, mask: &CpuSet, ranks_on_host: u32, place: u32, wish: &Wish) -> Plan {
    plan_share(machine, mask, Share::of(ranks_on_host, place), wish)
}

/// As [`plan`], for any [`Share`].
///
/// # Panics
/// If the share's place is not below its number of ranks.
pub fn plan_share(machine: &Machine, mask: &CpuSet, share: Share, wish: &Wish) -> Plan {
    assert!(share.place < share.ranks, "place {} among {} ranks of a host", share.place, share.ranks);
    let (ranks, place) = (share.ranks as usize, share.place as usize);
    let groups = groups(machine, mask, wish);
    let cores: usize = groups.iter().map(|group| group.slots.len()).sum();
    let (mine, least) = part(&groups, ranks, place);
    let here: usize = mine.iter().map(|group| group.slots.len()).sum();

    let quota_ranks = f64::from(share.quota_ranks.max(1));
    let granted = machine.quota_cpus.map_or(usize::MAX, |quota| (quota / quota_ranks).ceil().max(1.0) as usize);
    let threads = wish.threads.map_or(here.min(granted), |t| t.max(1));
    let fits = cores >= ranks && wish.threads.is_none_or(|t| t <= least);
    // A quota below the number of cores means that others have the rest, on the same cores.
    let ours = machine.quota_cpus.is_none_or(|quota| quota >= cores as f64) || wish.pin == Some(true);
    let pinned = fits && ours && share.may_pin && wish.pin != Some(false) && machine.source != Source::Flat;

    let apart = pinned && wish.domains != Domains::One;
    let mine = if apart { merge_tiny(mine, &machine.distances) } else { vec![as_one(mine)] };
    let slots: Vec<(usize, Slot)> =
        mine.iter().enumerate().flat_map(|(g, group)| group.slots.iter().map(move |slot| (g, *slot))).collect();
    let places = chosen(&slots.iter().map(|(_, slot)| *slot).collect::<Vec<_>>(), threads);
    let mut used: Vec<usize> = places.iter().map(|&i| slots[i].0).collect();
    used.dedup();
    let worker = |&i: &usize| {
        let (group, slot) = slots[i];
        let domain = used.iter().position(|&g| g == group).expect("a domain of this rank");
        Worker { core: pinned.then_some(slot.cpu), domain }
    };
    let domain = |&g: &usize| PlanDomain {
        nodes: mine[g].nodes.clone(),
        cpus: mine[g].slots.iter().map(|slot| slot.cpu).collect(),
    };
    let between = |a: usize, b: usize| match a == b {
        true => LOCAL,
        false => machine.distances.least(&mine[a].nodes, &mine[b].nodes),
    };
    Plan {
        workers: places.iter().map(worker).collect(),
        domains: used.iter().map(domain).collect(),
        pinned,
        distances: used.iter().map(|&a| used.iter().map(|&b| between(a, b)).collect()).collect(),
        notes: notes(machine, mask, &groups, ranks, threads, granted, ours, wish),
    }
}

/// The part of one of the ranks, its places in the order of the machine again; and how many places the smallest part has. More
/// ranks than places take turns.
fn part(groups: &[Group], ranks: usize, place: usize) -> (Vec<Group>, usize) {
    let cores: BTreeSet<usize> = groups.iter().flat_map(|group| &group.slots).map(|slot| slot.core).collect();
    let (pieces, sizes): (Vec<Vec<Vec<Slot>>>, Vec<Vec<usize>>) =
        groups.iter().map(|group| pieces(group, cores.len() >= ranks, ranks > 1)).unzip();
    let order: Vec<Vec<Slot>> = pieces.into_iter().flatten().collect();
    let cuts = if order.len() >= ranks { cuts(&sizes, ranks) } else { (0..=order.len()).collect() };
    let places = |part: &[Vec<Slot>]| part.iter().map(Vec::len).sum();
    let least = cuts.windows(2).map(|cut| places(&order[cut[0]..cut[1]])).min().unwrap_or(0);
    let turn = place % (cuts.len() - 1);
    let mine: BTreeSet<u32> = order[cuts[turn]..cuts[turn + 1]].iter().flatten().map(|slot| slot.cpu).collect();
    let of = |group: &Group| Group {
        slots: group.slots.iter().filter(|slot| mine.contains(&slot.cpu)).copied().collect(),
        ..group.clone()
    };
    (groups.iter().map(of).filter(|group| !group.slots.is_empty()).collect(), least)
}

/// All places in one domain.
fn as_one(groups: Vec<Group>) -> Group {
    let mut nodes: Vec<u32> = groups.iter().flat_map(|group| group.nodes.iter().copied()).collect();
    nodes.sort_unstable();
    nodes.dedup();
    Group { nodes, slots: groups.into_iter().flat_map(|group| group.slots).collect(), tiny: false }
}

#[allow(clippy::too_many_arguments)] // what the plan has found out
fn notes(
    machine: &Machine,
    mask: &CpuSet,
    groups: &[Group],
    ranks: usize,
    threads: usize,
    granted: usize,
    ours: bool,
    wish: &Wish,
) -> Vec<String> {
    let slots = || groups.iter().flat_map(|group| &group.slots);
    let cores = slots().count();
    let mut notes = Vec::new();
    let mut own = machine.cores().map(|(_, core)| core).filter(|core| !core.cpus.and(mask).is_empty());
    let (threads_here, one_core) = (own.next().map_or(0, |core| core.siblings.len()), own.next().is_none());
    if one_core && machine.online > threads_here && machine.source != Source::Flat {
        notes.push(format!(
            "a rank may use only one core of a machine with {} processors; mpirun binds each of one or two ranks to a single \
             core: start with `mpirun --bind-to none`, or give it N cores with `--map-by slot:PE=N` (srun: -c N)",
            machine.online
        ));
    }
    let workers = if wish.threads.is_none() { cores.max(ranks) } else { threads.saturating_mul(ranks) };
    if workers > cores {
        notes.push(format!("{workers} workers on {cores} cores: they share cores and are not pinned"));
    } else if workers < cores {
        notes.push(format!("{} of {cores} cores stay unused", cores - workers));
    }
    let few = wish.threads.is_none() && granted < cores / ranks;
    let free = !ours && wish.pin.is_none() && machine.source != Source::Flat;
    if few || free {
        let quota = machine.quota_cpus.unwrap_or_default();
        let workers = if threads == 1 { "1 worker".into() } else { format!("{threads} workers") };
        let few = if few { format!("; so a rank has {workers}") } else { String::new() };
        let free = if free { "; others use them too, so no worker is pinned" } else { "" };
        notes.push(format!("the cgroup grants the time of {quota:.1} processors of {cores}{few}{free}"));
    }
    let of =
        |slow: bool| slots().filter(move |slot| !slow || slot.kind > 0).map(|slot| slot.core).collect::<BTreeSet<_>>();
    let (slow, all) = (of(true).len(), of(false).len());
    if slow > 0 && wish.threads.is_none() {
        notes.push(format!("{slow} of {all} cores are slower ones (E); they have workers too, which get less done"));
    }
    notes
}

#[cfg(test)]
mod tests;
