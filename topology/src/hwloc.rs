//! The machine through hwloc, by the crate `hwlocality`. Nothing else of the project names it.
//!
//! hwloc knows memory that Linux's node folders do not tell apart: HBM, CXL and GPU memory beside a processor's own. A core
//! belongs to the *narrowest* node that covers it, so wide tiers of memory get no cores and are not domains.
//!
//! The environment's `HWLOC_SYNTHETIC` and `HWLOC_XMLFILE` change what is seen; mpirun reads them too, so they are best left
//! alone.

use crate::{Core, CpuSet, Domain, Machine, Source};
use hwlocality::Topology;
use hwlocality::object::TopologyObject;
use hwlocality::object::depth::Depth;
use hwlocality::object::types::ObjectType;
use std::fmt;
use std::path::Path;

/// hwloc shows nothing, or nothing that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotSeen(String);

impl fmt::Display for NotSeen {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotSeen {}

fn not_seen(error: impl fmt::Display) -> NotSeen {
    NotSeen(error.to_string())
}

/// This machine, as far as it is online and allowed.
///
/// # Errors
/// If hwloc cannot look at it, or shows no processors.
pub fn this_machine() -> Result<Machine, NotSeen> {
    let mut machine = machine(&Topology::new().map_err(not_seen)?)?;
    machine.online = machine.online.max(crate::sys::online_cpus()); // hwloc leaves out what a cgroup forbids
    Ok(machine)
}

/// A machine by hwloc's description, like `pack:2 numa:2 core:8 pu:2`.
///
/// # Errors
/// If the description makes no machine.
pub fn synthetic(description: &str) -> Result<Machine, NotSeen> {
    let builder = Topology::builder().from_synthetic(description).map_err(not_seen)?;
    machine(&builder.build().map_err(not_seen)?)
}

/// A machine that was saved by `lstopo --of xml`.
///
/// # Errors
/// If the file cannot be read or shows no processors.
pub fn from_xml(path: &Path) -> Result<Machine, NotSeen> {
    let at = |error: &dyn fmt::Display| NotSeen(format!("{}: {error}", path.display()));
    let builder = Topology::builder().from_xml_file(path).map_err(|e| at(&e))?;
    machine(&builder.build().map_err(|e| at(&e))?).map_err(|e| at(&e))
}

fn machine(topology: &Topology) -> Result<Machine, NotSeen> {
    let allowed = numbers(topology.allowed_cpuset());
    let cpus_of = |object: &TopologyObject| object.cpuset().map(numbers).unwrap_or_default().and(&allowed);
    let objects = |ty| topology.objects_with_type(ty).map(cpus_of).filter(|cpus| !cpus.is_empty());
    let mut cores: Vec<CpuSet> = objects(ObjectType::Core).collect();
    // Virtual machines and old kernels show processors without cores.
    let in_cores = cores.iter().fold(CpuSet::default(), |all, core| all.or(core));
    cores.extend(objects(ObjectType::PU).filter(|pu| pu.and(&in_cores).is_empty()));
    cores.sort_by_key(CpuSet::first);
    let online = cores.iter().map(CpuSet::len).sum();

    let mut nodes: Vec<(u32, CpuSet, Option<u64>)> = topology
        .objects_at_depth(Depth::NUMANode)
        .filter_map(|node| {
            let memory = Some(node.total_memory()).filter(|&bytes| bytes > 0);
            Some((node.os_index()?.try_into().ok()?, cpus_of(node), memory))
        })
        .collect();
    nodes.sort_by_key(|(node, cpus, _)| (cpus.len(), *node));

    let mut notes = Vec::new();
    let mut domains: Vec<Domain> = Vec::new();
    for (node, cpus, memory_bytes) in nodes {
        let (here, rest) = cores.into_iter().partition(|core: &CpuSet| core.minus(&cpus).is_empty());
        cores = rest;
        if !here.is_empty() {
            let cores = here.into_iter().map(Core::of).collect();
            domains.push(Domain { node, cores, memory_bytes, memory_kind: None });
        }
    }
    domains.sort_by_key(|domain| domain.node);
    if !cores.is_empty() {
        let lost = cores.iter().fold(CpuSet::default(), |all, core| all.or(core));
        let cores = cores.into_iter().map(Core::of);
        match domains.first_mut() {
            Some(first) => {
                notes.push(format!("processors {lost} are on no NUMA node"));
                first.cores.extend(cores);
                first.cores.sort_by_key(|core| core.cpus.first());
            }
            None => domains.push(Domain { node: 0, cores: cores.collect(), memory_bytes: None, memory_kind: None }),
        }
    }
    if domains.is_empty() {
        return Err(NotSeen("no processors".into()));
    }
    Ok(Machine { online, notes, ..Machine::of(Source::Hwloc, domains) })
}

fn numbers(set: impl std::ops::Deref<Target = hwlocality::cpu::cpuset::CpuSet>) -> CpuSet {
    // Only a set that ends has a last one; hwloc's endless ones mean "all", which no object here has.
    let Some(_) = set.last_set() else { return CpuSet::default() };
    set.iter_set().map(usize::from).filter_map(|cpu| cpu.try_into().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Wish, plan, sys, sysfs};
    use std::collections::BTreeSet;

    fn shape(machine: &Machine) -> Vec<(u32, usize, usize)> {
        let one = |d: &Domain| (d.node, d.cores.len(), d.cores.iter().map(|c| c.cpus.len()).sum());
        machine.domains.iter().map(one).collect()
    }

    #[test]
    fn machines_by_description() {
        let two = synthetic("pack:2 numa:2 l3:1 core:8 pu:2").unwrap();
        assert_eq!(shape(&two), [(0, 8, 16), (1, 8, 16), (2, 8, 16), (3, 8, 16)]);
        assert_eq!(shape(&synthetic("core:6 pu:1").unwrap()), [(0, 6, 6)]);
        assert!(synthetic("no:machine").is_err());
    }

    #[test]
    fn this_machine_looks_alike_through_both_windows() {
        let here = this_machine().unwrap();
        let mask = sys::affinity().unwrap();
        if let Some(sysfs) = sysfs::machine(Path::new("/")) {
            assert_eq!(shape(&here.within(&mask)), shape(&sysfs.within(&mask)));
        }
    }

    /// On every machine of a folder of hwloc's XML files, any number of ranks is planned, cores are shared out once, and
    /// domains have processors.
    #[test]
    fn plans_on_recorded_machines() {
        let Ok(folder) = std::env::var("PHYSALIA_TOPOLOGIES") else {
            return eprintln!("skipped: PHYSALIA_TOPOLOGIES names no folder of hwloc's XML files");
        };
        let files = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path());
        let files: Vec<_> = files.filter(|p| p.extension().is_some_and(|e| e == "xml")).collect();
        assert!(!files.is_empty(), "{folder} has no XML files");
        for path in files {
            let machine = from_xml(&path).unwrap();
            let mask = machine.mask();
            let cpus: usize = machine.cores().map(|(_, core)| core.cpus.len()).sum();
            assert_eq!(cpus, mask.len(), "{}: a processor on two cores", path.display());
            let cores = machine.cores().count();
            for ranks in [1, 2, 3, cores as u32, cores as u32 + 1] {
                let mut taken = BTreeSet::new();
                for place in 0..ranks {
                    let plan = plan(&machine, &mask, ranks, place, &Wish::default());
                    assert!(plan.threads() >= 1);
                    if ranks as usize <= cores {
                        for worker in &plan.workers {
                            assert!(
                                taken.insert(worker.core.expect("pinned")),
                                "{}: {ranks} ranks share a core",
                                path.display()
                            );
                        }
                    }
                }
                assert!(ranks as usize > cores || taken.len() == cores, "{}: idle cores", path.display());
            }
        }
    }
}
