//! The plan: which cores the workers of one rank get. Pure.
//!
//! Ranks that share a mask divide its cores into contiguous, nearly equal shares, in the order of the machine, so that a
//! rank's cores lie on as few NUMA domains as they can. One worker a core: hardware threads of a core share its arithmetic,
//! so a second one rarely helps. Nothing is pinned when there are more workers on the host than cores, or when the machine
//! is known by number only: a pinned worker that must share its core with another is worse off than a free one.

use crate::{CpuSet, Machine, Source};
use serde::Serialize;

/// What the user asked of the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Workers of each rank.
    pub threads: Option<usize>,
    /// Whether workers are pinned; by default where it is safe.
    pub pin: Option<bool>,
    /// A worker for each hardware thread, not for each core.
    pub smt: bool,
}

/// A worker and its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Worker {
    /// The processor that it is pinned to.
    pub core: Option<u32>,
    /// The index of its domain in the plan.
    pub domain: usize,
}

/// A NUMA domain on which the rank has workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanDomain {
    /// The system's number of the node.
    pub node: u32,
    /// The processors of this rank there.
    pub cpus: CpuSet,
}

/// The workers of one rank; worker 0 is the rank's own thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The domains with workers of this rank.
    pub domains: Vec<PlanDomain>,
    /// At least one.
    pub workers: Vec<Worker>,
    /// Whether every worker has a processor of its own.
    pub pinned: bool,
    /// What the user should know, with its cure.
    pub notes: Vec<String>,
}

impl Plan {
    /// The number of workers.
    pub fn threads(&self) -> usize {
        self.workers.len()
    }
}

/// A place for a worker.
#[derive(Clone, Copy)]
struct Slot {
    cpu: u32,
    domain: usize,
}

/// The plan of the rank that is number `place` of `ranks_on_host` ranks that share `mask`.
///
/// Without a wish a rank gets a worker for each of its cores, at least one, and no more than its share of the time that the
/// cgroup grants (rounded up).
///
/// # Panics
/// If `place` is not below `ranks_on_host`.
pub fn plan(machine: &Machine, mask: &CpuSet, ranks_on_host: u32, place: u32, wish: &Wish) -> Plan {
    assert!(place < ranks_on_host, "place {place} among {ranks_on_host} ranks of a host");
    let (ranks, place) = (ranks_on_host as usize, place as usize);
    let slots = slots(machine, mask, wish.smt);
    let cut = |r: usize| slots.len() * r / ranks;
    let mine =
        if slots.len() >= ranks { &slots[cut(place)..cut(place + 1)] } else { &slots[place % slots.len()..][..1] };

    let granted = machine.quota_cpus.map_or(usize::MAX, |q| (q / ranks as f64).ceil().max(1.0) as usize);
    let threads = wish.threads.map_or(mine.len().min(granted), |t| t.max(1));
    let fits = slots.len() >= ranks && wish.threads.is_none_or(|t| t <= slots.len() / ranks);
    let pinned = fits && wish.pin != Some(false) && machine.source != Source::Flat;

    let mut domains: Vec<usize> = mine.iter().map(|slot| slot.domain).collect();
    domains.dedup();
    let of = |d: usize| mine.iter().filter(move |slot| slot.domain == d).map(|slot| slot.cpu);
    let workers = (0..threads).map(|w| {
        // Fewer workers than cores are spread over the rank's cores, so that each domain has its part.
        let slot = if threads <= mine.len() { mine[w * mine.len() / threads] } else { mine[w % mine.len()] };
        let domain = domains.iter().position(|&d| d == slot.domain).expect("a domain of this rank");
        Worker { core: pinned.then_some(slot.cpu), domain }
    });
    let notes = notes(machine, mask, &slots, ranks, threads, granted, wish);
    Plan {
        workers: workers.collect(),
        domains: domains.iter().map(|&d| PlanDomain { node: machine.domains[d].node, cpus: of(d).collect() }).collect(),
        pinned,
        notes,
    }
}

/// Places for workers within the mask, in the order of the machine; at least one.
fn slots(machine: &Machine, mask: &CpuSet, smt: bool) -> Vec<Slot> {
    let mut slots = Vec::new();
    for (domain, core) in machine.cores() {
        let cpus = core.cpus.and(mask);
        slots.extend(cpus.iter().take(if smt { usize::MAX } else { 1 }).map(|cpu| Slot { cpu, domain }));
    }
    if slots.is_empty() {
        // A mask of another machine than the one that was seen: there is at least the processor that we run on.
        slots.push(Slot { cpu: mask.first().unwrap_or(0), domain: 0 });
    }
    slots
}

fn notes(
    machine: &Machine,
    mask: &CpuSet,
    slots: &[Slot],
    ranks: usize,
    threads: usize,
    granted: usize,
    wish: &Wish,
) -> Vec<String> {
    let mut notes = Vec::new();
    if mask.len() == 1 && machine.online > 1 && machine.source != Source::Flat {
        notes.push(format!(
            "this rank may use only processor {mask} of {}; mpirun binds each of one or two ranks to a single core: start with \
             `mpirun --bind-to none`, or give it N cores with `--map-by slot:PE=N` (srun: -c N)",
            machine.online
        ));
    }
    let workers = if wish.threads.is_none() { slots.len().max(ranks) } else { threads.saturating_mul(ranks) };
    if workers > slots.len() {
        notes.push(format!("{workers} workers on {} cores: they share cores and are not pinned", slots.len()));
    } else if workers < slots.len() {
        notes.push(format!("{} of {} cores stay unused", slots.len() - workers, slots.len()));
    }
    if wish.threads.is_none() && granted < slots.len() / ranks {
        let quota = machine.quota_cpus.unwrap_or_default();
        notes.push(format!("the cgroup grants the time of {quota:.1} processors, so there are {threads} workers"));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Core, Domain};
    use proptest::prelude::*;

    /// Domains of so many cores each, with so many hardware threads a core, numbered as Linux does: second threads last.
    fn machine(domains: &[usize], smt: u32) -> Machine {
        let all: usize = domains.iter().sum();
        let mut next = 0u32;
        let mut core = || {
            next += 1;
            Core { cpus: (0..smt).map(|t| next - 1 + t * all as u32).collect() }
        };
        let domain = |(d, &n): (usize, &usize)| Domain {
            node: d as u32,
            cores: (0..n).map(|_| core()).collect(),
            memory_bytes: None,
        };
        let domains = domains.iter().enumerate().map(domain).collect();
        Machine { source: Source::Sysfs, domains, quota_cpus: None, online: all * smt as usize, notes: vec![] }
    }

    fn cores(plan: &Plan) -> Vec<u32> {
        plan.workers.iter().filter_map(|w| w.core).collect()
    }

    fn plans(machine: &Machine, mask: &CpuSet, ranks: u32, wish: &Wish) -> Vec<Plan> {
        (0..ranks).map(|place| plan(machine, mask, ranks, place, wish)).collect()
    }

    #[test]
    fn ranks_divide_domains() {
        let machine = machine(&[4, 4], 1);
        let plans = plans(&machine, &machine.mask(), 2, &Wish::default());
        assert_eq!(cores(&plans[0]), [0, 1, 2, 3]);
        assert_eq!(cores(&plans[1]), [4, 5, 6, 7]);
        assert_eq!(plans[1].domains, [PlanDomain { node: 1, cpus: "4-7".parse().unwrap() }]);
        assert!(plans.iter().all(|p| p.pinned && p.notes.is_empty()));
    }

    #[test]
    fn one_rank_spans_domains() {
        let machine = machine(&[2, 3], 1);
        let plan = plan(&machine, &machine.mask(), 1, 0, &Wish::default());
        assert_eq!(plan.workers.iter().map(|w| w.domain).collect::<Vec<_>>(), [0, 0, 1, 1, 1]);
        assert_eq!(plan.domains.len(), 2);
    }

    #[test]
    fn one_worker_a_core_unless_asked() {
        let machine = machine(&[2], 2); // cores 0,2 and 1,3
        assert_eq!(cores(&plan(&machine, &machine.mask(), 1, 0, &Wish::default())), [0, 1]);
        let smt = Wish { smt: true, ..Wish::default() };
        assert_eq!(cores(&plan(&machine, &machine.mask(), 1, 0, &smt)), [0, 2, 1, 3]);
        // A mask may leave only second threads.
        let mask = "2-3".parse().unwrap();
        assert_eq!(cores(&plan(&machine, &mask, 1, 0, &Wish::default())), [2, 3]);
    }

    #[test]
    fn more_ranks_than_cores_are_not_pinned() {
        let machine = machine(&[2], 1);
        for plan in plans(&machine, &machine.mask(), 8, &Wish::default()) {
            assert_eq!((plan.threads(), plan.pinned), (1, false));
            assert!(plan.notes[0].contains("8 workers on 2 cores"), "{:?}", plan.notes);
        }
    }

    #[test]
    fn shares_are_uneven_but_whole() {
        let machine = machine(&[5], 1);
        let plans = plans(&machine, &machine.mask(), 2, &Wish::default());
        assert_eq!((cores(&plans[0]), cores(&plans[1])), (vec![0, 1], vec![2, 3, 4]));
    }

    #[test]
    fn explicit_threads_are_obeyed() {
        let machine = machine(&[4], 1);
        let wish = |threads| Wish { threads: Some(threads), ..Wish::default() };
        let few = plan(&machine, &machine.mask(), 1, 0, &wish(2));
        assert_eq!((cores(&few), few.pinned), (vec![0, 2], true));
        assert_eq!(few.notes, ["2 of 4 cores stay unused"]);
        let many = plan(&machine, &machine.mask(), 2, 1, &wish(3));
        assert_eq!((many.threads(), many.pinned), (3, false));
        let free = Wish { pin: Some(false), ..Wish::default() };
        assert!(!plan(&machine, &machine.mask(), 1, 0, &free).pinned);
    }

    #[test]
    fn a_quota_limits_workers() {
        let mut machine = machine(&[64], 1);
        machine.quota_cpus = Some(1.5);
        let mine = plan(&machine, &machine.mask(), 1, 0, &Wish::default());
        assert_eq!(mine.threads(), 2);
        assert!(mine.notes[0].contains("1.5 processors"), "{:?}", mine.notes);
        assert_eq!(plan(&machine, &machine.mask(), 4, 3, &Wish::default()).threads(), 1);
    }

    #[test]
    fn the_one_core_trap_is_named() {
        let machine = machine(&[8], 1);
        let mask: CpuSet = "3".parse().unwrap();
        let plan = plan(&machine.clone().within(&mask), &mask, 1, 0, &Wish::default());
        assert_eq!(cores(&plan), [3]);
        assert!(plan.notes[0].contains("--bind-to none"), "{:?}", plan.notes);
    }

    #[test]
    fn a_flat_machine_is_not_pinned() {
        let machine = Machine::flat(3);
        let plan = plan(&machine, &machine.mask(), 1, 0, &Wish::default());
        assert_eq!((plan.threads(), plan.pinned), (3, false));
    }

    #[test]
    fn a_mask_in_the_middle_and_a_strange_one() {
        let machine = machine(&[4, 4], 1);
        let middle: CpuSet = "2-5".parse().unwrap();
        let plans = plans(&machine, &middle, 2, &Wish::default());
        assert_eq!((cores(&plans[0]), cores(&plans[1])), (vec![2, 3], vec![4, 5]));
        let strange: CpuSet = "100".parse().unwrap();
        assert_eq!(plan(&machine, &strange, 1, 0, &Wish::default()).threads(), 1);
        assert_eq!(machine.clone().within(&strange).mask(), strange);
    }

    proptest! {
        /// Whatever the machine and the mask: each usable core has exactly one worker of all ranks, or nothing is pinned.
        #[test]
        fn every_core_once(
            domains in proptest::collection::vec(1usize..9, 1..6),
            smt in 1u32..4,
            ranks in 1u32..20,
            allowed in proptest::collection::vec(any::<bool>(), 130),
        ) {
            let machine = machine(&domains, smt);
            let mask: CpuSet = machine.mask().iter().filter(|&c| allowed[c as usize]).collect();
            prop_assume!(!mask.is_empty());
            let seen = machine.clone().within(&mask);
            let usable = seen.cores().count();
            let plans = plans(&seen, &mask, ranks, &Wish::default());
            let mut used: Vec<u32> = plans.iter().flat_map(cores).collect();
            used.sort_unstable();
            if usable >= ranks as usize {
                let first: Vec<u32> = {
                    let mut all: Vec<u32> = seen.cores().map(|(_, c)| c.cpus.first().unwrap()).collect();
                    all.sort_unstable();
                    all
                };
                prop_assert_eq!(used, first);
            } else {
                prop_assert!(used.is_empty() && plans.iter().all(|p| p.threads() == 1));
            }
        }
    }
}
