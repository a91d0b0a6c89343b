//! How the ranks of a job agree on who has which cores: each tells of itself what the system lets it have, all see what all
//! have told, and find the same answer. Pure, but for [`Claim::here`].
//!
//! After each has made its plan they look at all plans together ([`check`]): that is the proof that no two workers have one
//! processor, whatever windows and settings the ranks had.

use crate::{CpuSet, Layout, Machine, Plan, Share, Source, Wish, cgroup};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// What a rank tells the others of what it may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The name of its host.
    pub host: String,
    /// The processors that it may run on.
    pub mask: CpuSet,
    /// How many cores these are.
    pub cores: usize,
    /// All hardware threads of these cores, in the mask or not.
    pub siblings: CpuSet,
    /// The processors that the job may use there, in anyone's mask.
    pub available: CpuSet,
    /// The cgroup whose quota it lives on, if one has a quota.
    pub quota_group: Option<String>,
    /// What it was asked to do.
    pub wish: Wish,
}

impl Claim {
    /// What this process tells.
    pub fn here(host: &str, machine: &Machine, mask: &CpuSet, wish: &Wish) -> Claim {
        let root = Path::new("/");
        let known = machine.source != Source::Flat;
        let own = || machine.cores().map(|(_, core)| core).filter(|core| !core.cpus.and(mask).is_empty());
        let online = || machine.mask().or(&machine.forbidden);
        Claim {
            host: host.into(),
            mask: mask.clone(),
            cores: own().count(),
            siblings: own().flat_map(|core| core.siblings.iter()).collect(),
            available: if known { cgroup::cpus(root).unwrap_or_else(online) } else { mask.clone() },
            quota_group: cgroup::quota_group(root),
            wish: wish.clone(),
        }
    }
}

/// What all ranks find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    /// By rank: its part in its mask.
    pub shares: Vec<Share>,
    /// What makes the job slow, with its cure: for standard error, once.
    pub warnings: Vec<String>,
    /// What else the user may want to know.
    pub notes: Vec<String>,
}

/// Who has which part of its mask. Ranks of one host with the same mask divide it, in their order; masks that have nothing in
/// common are kept; where masks overlap in part, no worker of that host is pinned, since such ones cannot be divided by
/// counting.
pub fn agree(claims: &[Claim]) -> Agreement {
    let mut hosts: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (rank, claim) in claims.iter().enumerate() {
        hosts.entry(&claim.host).or_default().push(rank);
    }
    let mut shares = vec![Share::of(1, 0); claims.len()];
    let (mut overlaps, mut siblings, mut trapped) = (Vec::<String>::new(), Vec::<&str>::new(), Vec::<usize>::new());
    let mut notes = Vec::new();
    for (host, ranks) in &hosts {
        let mut masks: BTreeMap<&CpuSet, Vec<usize>> = BTreeMap::new();
        let mut quotas: BTreeMap<&str, u32> = BTreeMap::new();
        for &rank in ranks {
            masks.entry(&claims[rank].mask).or_default().push(rank);
            *quotas.entry(claims[rank].quota_group.as_deref().unwrap_or_default()).or_default() += 1;
        }
        let overlap = common(masks.iter().map(|(mask, ranks)| (*mask, ranks[0])));
        for alike in masks.values() {
            for (place, &rank) in (0..).zip(alike) {
                shares[rank] = Share {
                    ranks: alike.len() as u32,
                    place,
                    quota_ranks: quotas[claims[rank].quota_group.as_deref().unwrap_or_default()],
                    may_pin: overlap.is_none(),
                };
            }
        }
        overlaps.extend(overlap.map(|(a, b)| format!("rank {a} and rank {b} on {host}")));
        let cores: Vec<(CpuSet, usize)> =
            masks.values().map(|alike| (claims[alike[0]].siblings.or(&claims[alike[0]].mask), alike[0])).collect();
        if overlap.is_none() && common(cores.iter().map(|(cpus, rank)| (cpus, *rank))).is_some() {
            siblings.push(*host);
        }
        let used: CpuSet = cores.iter().flat_map(|(cpus, _)| cpus.iter()).collect();
        let available: CpuSet = ranks.iter().flat_map(|&rank| claims[rank].available.iter()).collect();
        let idle = available.minus(&used);
        if !idle.is_empty() {
            notes.push(format!("processors {idle} of {host} are in no rank's mask"));
            trapped.extend(ranks.iter().copied().filter(|&rank| claims[rank].cores == 1));
        }
    }
    let mut warnings = Vec::new();
    if let Some(first) = overlaps.first() {
        let more = if overlaps.len() > 1 { format!(", and {} more hosts", overlaps.len() - 1) } else { String::new() };
        warnings.push(format!(
            "the CPU masks of {first} overlap in part{more}, so no worker is pinned there; start with `mpirun --bind-to none`, \
             or give every rank cores of its own (--map-by slot:PE=N)"
        ));
    }
    if let Some(host) = siblings.first() {
        warnings.push(format!(
            "ranks on {host} have hardware threads of the same cores, and so share those: give every rank whole cores \
             (mpirun --bind-to core; srun --hint=nomultithread)"
        ));
    }
    if !trapped.is_empty() {
        let who = if trapped.len() == claims.len() { "each rank".into() } else { format!("{} ranks", trapped.len()) };
        warnings.push(format!(
            "{who} may use only one core of a host that has idle ones: mpirun binds each of one or two ranks to a single core; \
             start with `mpirun --bind-to none`, or give every rank N cores with `--map-by slot:PE=N` (srun: -c N)"
        ));
    }
    Agreement { shares, warnings, notes }
}

/// The first two ranks whose sets have something in common.
fn common<'s>(sets: impl Iterator<Item = (&'s CpuSet, usize)>) -> Option<(usize, usize)> {
    let mut owner: BTreeMap<u32, usize> = BTreeMap::new();
    let mut found: Option<(usize, usize)> = None;
    for (set, rank) in sets {
        for cpu in set.iter() {
            if let Some(other) = owner.insert(cpu, rank) {
                let pair = (other.min(rank), other.max(rank));
                found = Some(found.map_or(pair, |known| known.min(pair)));
            }
        }
    }
    found
}

/// What a rank tells the others of its plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// The name of its host.
    pub host: String,
    /// By domain: how many workers it has there.
    pub workers: Vec<u32>,
    /// The processors that workers are pinned to.
    pub pins: Vec<u32>,
}

impl Placed {
    /// What is to be told of a plan.
    pub fn of(host: &str, plan: &Plan) -> Placed {
        let mut workers = vec![0; plan.domains.len()];
        plan.workers.iter().for_each(|worker| workers[worker.domain] += 1);
        Placed { host: host.into(), workers, pins: plan.workers.iter().filter_map(|worker| worker.core).collect() }
    }
}

/// Two workers are pinned to one processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    /// Whose workers these are; twice the same, if both are of one rank.
    pub ranks: [u32; 2],
    /// The host.
    pub host: String,
    /// The processor.
    pub core: u32,
}

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Clash { ranks: [a, b], host, core } = self;
        write!(
            f,
            "workers of rank {a} and rank {b} are pinned to one processor, {core} of {host}: the ranks do not see the machine \
             alike; start with PHYSALIA_PIN=off"
        )
    }
}

impl std::error::Error for Clash {}

/// What the plans of all ranks are together.
///
/// # Errors
/// If two workers on one host are pinned to one processor.
pub fn check(placed: &[Placed]) -> Result<Layout, Clash> {
    let mut taken: BTreeMap<(&str, u32), u32> = BTreeMap::new();
    for (rank, placed) in (0..).zip(placed) {
        for &core in &placed.pins {
            if let Some(other) = taken.insert((&placed.host, core), rank) {
                return Err(Clash { ranks: [other, rank], host: placed.host.clone(), core });
            }
        }
    }
    Ok(Layout::of(placed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Core, Domain, plan_share};
    use proptest::prelude::*;

    fn claim(host: &str, mask: &str, cores: usize) -> Claim {
        let (mask, available) = (mask.parse().unwrap(), "0-7".parse().unwrap());
        let siblings = CpuSet::default();
        Claim { host: host.into(), mask, cores, siblings, available, quota_group: None, wish: Wish::default() }
    }

    fn places(agreement: &Agreement) -> Vec<(u32, u32, bool)> {
        agreement.shares.iter().map(|s| (s.ranks, s.place, s.may_pin)).collect()
    }

    #[test]
    fn equal_masks_are_divided_and_disjoint_ones_kept() {
        let all = agree(&[claim("a", "0-7", 8), claim("b", "0-7", 8), claim("a", "0-7", 8)]);
        assert_eq!(places(&all), [(2, 0, true), (1, 0, true), (2, 1, true)]);
        assert_eq!((all.warnings.len(), all.notes.len()), (0, 0));
        let apart = agree(&[claim("a", "0-3", 4), claim("a", "4-7", 4), claim("a", "0-3", 4)]);
        assert_eq!(places(&apart), [(2, 0, true), (1, 0, true), (2, 1, true)]);
        assert_eq!((apart.warnings.len(), apart.notes.len()), (0, 0));
    }

    #[test]
    fn overlapping_masks_get_one_warning_and_no_pins() {
        let masks = ["0-3", "4-7", "2-5"];
        let mut claims: Vec<Claim> = masks.iter().map(|mask| claim("a", mask, 4)).collect();
        claims.extend(masks.iter().map(|mask| claim("b", mask, 4)));
        claims.push(claim("c", "0-7", 8));
        let agreed = agree(&claims);
        assert!(agreed.shares[..6].iter().all(|share| !share.may_pin) && agreed.shares[6].may_pin);
        let [warning] = agreed.warnings.as_slice() else { panic!("{:?}", agreed.warnings) };
        assert!(warning.contains("rank 0 and rank 2 on a") && warning.contains("1 more host"), "{warning}");
        assert!(warning.contains("--bind-to none") && warning.contains("PE=N"), "{warning}");
    }

    #[test]
    fn the_one_core_trap_is_a_trap_where_cores_are_idle() {
        let agreed = agree(&[claim("a", "0", 1), claim("a", "1", 1)]);
        assert!(agreed.warnings[0].contains("each rank may use only one core"), "{:?}", agreed.warnings);
        assert_eq!(agreed.notes, ["processors 2-7 of a are in no rank's mask"]);
        let claims: Vec<Claim> = (0..8).map(|cpu| claim("a", &cpu.to_string(), 1)).collect();
        assert_eq!(agree(&claims).warnings, [""; 0]);
        // Four cores of two threads each, of which every rank has one: all cores are in use.
        let threads =
            |cpu: u32| Claim { siblings: CpuSet::from_iter([cpu, cpu + 4]), ..claim("a", &cpu.to_string(), 1) };
        let agreed = agree(&(0..4).map(threads).collect::<Vec<_>>());
        assert_eq!((agreed.warnings, agreed.notes), (vec![], vec![]));
        // Both threads of the cores, each another rank's.
        let agreed = agree(
            &(0..8)
                .map(|cpu| Claim {
                    siblings: CpuSet::from_iter([cpu % 4, cpu % 4 + 4]),
                    ..claim("a", &cpu.to_string(), 1)
                })
                .collect::<Vec<_>>(),
        );
        assert!(agreed.warnings.len() == 1 && agreed.warnings[0].contains("share"), "{agreed:?}");
        let half = agree(&[claim("a", "0-2", 3), claim("a", "3-5", 3)]);
        assert_eq!((half.warnings.len(), half.notes.len()), (0, 1));
    }

    #[test]
    fn a_quota_is_shared_by_all_of_its_group() {
        let of = |host, mask, group: &str| Claim { quota_group: Some(group.into()), ..claim(host, mask, 4) };
        let agreed = agree(&[of("a", "0-3", "x"), of("a", "4-7", "x"), of("a", "0-3", "y"), of("b", "0-3", "x")]);
        assert_eq!(agreed.shares.iter().map(|s| s.quota_ranks).collect::<Vec<_>>(), [2, 2, 1, 1]);
    }

    #[test]
    fn a_processor_with_two_workers_is_named() {
        let placed = |host: &str, pins: &[u32]| Placed { host: host.into(), workers: vec![], pins: pins.into() };
        assert!(check(&[placed("a", &[0, 1]), placed("b", &[0, 1]), placed("a", &[2])]).is_ok());
        let clash = check(&[placed("a", &[0, 5]), placed("b", &[0]), placed("a", &[5])]).unwrap_err();
        assert_eq!(clash, Clash { ranks: [0, 2], host: "a".into(), core: 5 });
        let said = clash.to_string();
        assert!(said.contains("rank 0") && said.contains("rank 2") && said.contains("5 of a"), "{said}");
        assert_eq!(check(&[placed("a", &[3, 3])]).unwrap_err().ranks, [0, 0]);
    }

    proptest! {
        /// Whatever masks ranks have: no processor has two pinned workers, none is used outside the rank's own mask, masks
        /// that overlap in part leave their host unpinned and get one warning, and with masks that do not every core of a
        /// mask has its worker, if there are as many cores as ranks.
        #[test]
        fn no_processor_twice(
            nodes in proptest::collection::vec(1usize..6, 1..4),
            ranks in proptest::collection::vec((0usize..2, 0usize..5), 1..12),
            masks in proptest::collection::vec(proptest::collection::vec(any::<bool>(), 16), 5),
            disjoint in any::<bool>(),
        ) {
            let mut next = 0..;
            let domain = |(node, &n): (usize, &usize)| Domain {
                node: node as u32,
                cores: next.by_ref().take(n).map(|cpu| Core::of(CpuSet::from_iter([cpu]))).collect(),
                memory_bytes: None,
                memory_kind: None,
            };
            let machine = Machine::of(Source::Sysfs, nodes.iter().enumerate().map(domain).collect());
            let all = machine.mask();
            let mut before = CpuSet::default();
            let masks: Vec<CpuSet> = masks.iter().map(|bits| {
                let mask: CpuSet = all.iter().filter(|&cpu| bits[cpu as usize]).collect();
                let mask = if disjoint { mask.minus(&before) } else { mask };
                before = before.or(&mask);
                mask
            }).collect();
            let claims: Vec<Claim> = ranks.iter().map(|&(host, m)| Claim {
                host: ["a", "b"][host].into(),
                mask: masks[m].clone(),
                cores: masks[m].len(),
                siblings: masks[m].clone(),
                available: all.clone(),
                quota_group: None,
                wish: Wish::default(),
            }).filter(|claim| !claim.mask.is_empty()).collect();
            let agreed = agree(&claims);
            let parts = |a: &Claim, b: &Claim| a.host == b.host && a.mask != b.mask && !a.mask.and(&b.mask).is_empty();
            let mut overlapping = 0;
            let mut placed = Vec::new();
            for (claim, share) in claims.iter().zip(&agreed.shares) {
                let plan = plan_share(&machine.clone().within(&claim.mask), &claim.mask, *share, &claim.wish);
                let lone = claims.iter().all(|a| a.host != claim.host || claims.iter().all(|b| !parts(a, b)));
                prop_assert_eq!(share.may_pin, lone);
                prop_assert!(lone || !plan.pinned);
                overlapping += usize::from(!lone);
                let one = Placed::of(&claim.host, &plan);
                prop_assert!(one.pins.iter().all(|&cpu| claim.mask.contains(cpu)));
                placed.push(one);
            }
            prop_assert!(check(&placed).is_ok());
            let warned = agreed.warnings.iter().filter(|w| w.contains("overlap")).count();
            prop_assert_eq!(warned, usize::from(overlapping > 0));
            for (claim, share) in claims.iter().zip(&agreed.shares) {
                if share.may_pin && share.ranks as usize <= claim.mask.len() {
                    let alike = claims.iter().zip(&placed).filter(|(c, _)| c.host == claim.host && c.mask == claim.mask);
                    let pins: CpuSet = alike.flat_map(|(_, placed)| placed.pins.iter().copied()).collect();
                    prop_assert_eq!(pins, claim.mask.clone());
                }
            }
        }
    }
}
