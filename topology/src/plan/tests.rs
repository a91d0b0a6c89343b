//! Plans of made-up machines, and of any.

use super::*;
use crate::{Core, Distances, Domain};
use proptest::prelude::*;

/// Domains of so many cores each, with so many hardware threads a core, numbered as Linux does: second threads last.
fn machine(domains: &[usize], smt: u32) -> Machine {
    let all: usize = domains.iter().sum();
    let mut next = 0u32;
    let mut core = || {
        next += 1;
        Core::of((0..smt).map(|t| next - 1 + t * all as u32).collect())
    };
    let domain = |(d, &n): (usize, &usize)| Domain {
        node: d as u32,
        cores: (0..n).map(|_| core()).collect(),
        memory_bytes: None,
        memory_kind: None,
    };
    Machine::of(Source::Sysfs, domains.iter().enumerate().map(domain).collect())
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
    assert_eq!(plans[1].domains, [PlanDomain { nodes: vec![1], cpus: "4-7".parse().unwrap() }]);
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
fn distances_between_the_plans_own_domains() {
    let mut machine = machine(&[2, 2, 2], 1);
    assert_eq!(plan(&machine, &machine.mask(), 1, 0, &Wish::default()).distance(0, 2), 20);
    let rows = vec![vec![10, 12, 30], vec![12, 10, 21], vec![25, 21, 10]];
    machine.distances = Distances::new(vec![0, 1, 2], rows).unwrap();
    let all = plan(&machine, &machine.mask(), 1, 0, &Wish::default());
    assert_eq!((all.distance(0, 2), all.distance(2, 0), all.distance(1, 1)), (30, 30, 10));
    let two = plan(&machine, &"2-5".parse().unwrap(), 1, 0, &Wish::default());
    assert_eq!((two.domains[0].nodes[0], two.distance(0, 1)), (1, 21));
}

#[test]
fn domains_as_wished() {
    let mut machine = machine(&[4, 4], 1);
    machine.domains.iter_mut().flat_map(|d| &mut d.cores).enumerate().for_each(|(i, c)| c.l3 = Some(i as u32 / 2));
    let domains = |domains| {
        let plan = plan(&machine, &machine.mask(), 1, 0, &Wish { domains, ..Wish::default() });
        let one = |d: &PlanDomain| (d.nodes.clone(), d.cpus.to_string());
        let of: Vec<usize> = plan.workers.iter().map(|w| w.domain).collect();
        (plan.domains.iter().map(one).collect::<Vec<_>>(), of, plan.distance(0, plan.domains.len() - 1))
    };
    let d = |node, cpus: &str| (vec![node], cpus.to_string());
    assert_eq!(domains(Domains::Numa), (vec![d(0, "0-3"), d(1, "4-7")], vec![0, 0, 0, 0, 1, 1, 1, 1], 20));
    let l3 = vec![d(0, "0-1"), d(0, "2-3"), d(1, "4-5"), d(1, "6-7")];
    assert_eq!(domains(Domains::L3), (l3, vec![0, 0, 1, 1, 2, 2, 3, 3], 20));
    assert_eq!(domains(Domains::One), (vec![(vec![0, 1], "0-7".into())], vec![0; 8], 10));
}

#[test]
fn free_workers_have_no_home() {
    let machine = machine(&[2, 2], 1);
    let free = plan(&machine, &machine.mask(), 1, 0, &Wish { pin: Some(false), ..Wish::default() });
    assert_eq!(free.domains, [PlanDomain { nodes: vec![0, 1], cpus: "0-3".parse().unwrap() }]);
    assert!(free.workers.iter().all(|w| w.core.is_none() && w.domain == 0));
    let one = plan(&machine, &machine.mask(), 1, 0, &Wish { threads: Some(1), ..Wish::default() });
    assert_eq!((one.domains.len(), one.domains[0].nodes.clone(), one.pinned), (1, vec![0], true));
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
    assert!(!mine.pinned, "others use the cores too");
    assert!(plan(&machine, &machine.mask(), 1, 0, &Wish { pin: Some(true), ..Wish::default() }).pinned);
    assert_eq!(plan(&machine, &machine.mask(), 4, 3, &Wish::default()).threads(), 1);
    let shared = Share { quota_ranks: 4, ..Share::of(1, 0) };
    machine.quota_cpus = Some(6.0);
    assert_eq!(plan_share(&machine, &machine.mask(), shared, &Wish::default()).threads(), 2);
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
