//! The machine through hwloc, by the crate `hwlocality`. Nothing else of the project names it.
//!
//! hwloc knows what the memory of a node is (HBM, NVM, GPU memory), which Linux's node folders do not tell.
//!
//! The environment's `HWLOC_SYNTHETIC` and `HWLOC_XMLFILE` change what is seen; mpirun reads them too, so they are best left
//! alone.

use crate::assemble::{Node, Seen, assemble};
use crate::{Core, CpuSet, Distances, Machine, Source};
use hwlocality::Topology;
use hwlocality::object::TopologyObject;
use hwlocality::object::depth::Depth;
use hwlocality::object::distance::{Distances as HwlocDistances, DistancesKind};
use hwlocality::object::types::ObjectType;
use hwlocality::topology::builder::{BuildFlags, TopologyBuilder};
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
    let mut machine = machine(&builder()?.build().map_err(not_seen)?)?;
    machine.online = machine.online.max(crate::sys::online_cpus());
    let tiers = crate::sysfs::tiers(Path::new("/")); // hwloc does not tell
    machine.memories.iter_mut().for_each(|memory| memory.tier = tiers.get(&memory.node).copied());
    Ok(machine)
}

/// A machine by hwloc's description, like `pack:2 numa:2 core:8 pu:2`.
///
/// # Errors
/// If the description makes no machine.
pub fn synthetic(description: &str) -> Result<Machine, NotSeen> {
    let builder = builder()?.from_synthetic(description).map_err(not_seen)?;
    machine(&builder.build().map_err(not_seen)?)
}

/// A machine that was saved by `lstopo --of xml`.
///
/// # Errors
/// If the file cannot be read or shows no processors.
pub fn from_xml(path: &Path) -> Result<Machine, NotSeen> {
    let at = |error: &dyn fmt::Display| NotSeen(format!("{}: {error}", path.display()));
    let builder = builder()?.from_xml_file(path).map_err(|e| at(&e))?;
    machine(&builder.build().map_err(|e| at(&e))?).map_err(|e| at(&e))
}

fn builder() -> Result<TopologyBuilder, NotSeen> {
    // Processors that a cgroup forbids are shown too, and told apart here.
    Topology::builder().with_flags(BuildFlags::INCLUDE_DISALLOWED).map_err(not_seen)
}

fn machine(topology: &Topology) -> Result<Machine, NotSeen> {
    let (online, allowed) = (numbers(topology.cpuset()), numbers(topology.allowed_cpuset()));
    let all_of = |object: &TopologyObject| object.cpuset().map(numbers).unwrap_or_default();
    let objects = |ty| topology.objects_with_type(ty).map(|object| (object.os_index(), all_of(object)));
    let mut cores: Vec<CpuSet> = objects(ObjectType::Core).map(|(_, cpus)| cpus).collect();
    // Virtual machines and old kernels show processors without cores.
    let in_cores = cores.iter().fold(CpuSet::default(), |all, core| all.or(core));
    cores.extend(objects(ObjectType::PU).map(|(_, pu)| pu).filter(|pu| pu.and(&in_cores).is_empty()));
    let mut caches: Vec<CpuSet> = objects(ObjectType::L3Cache).map(|(_, cpus)| cpus).collect();
    caches.sort_by_key(CpuSet::first);
    let packages: Vec<(Option<usize>, CpuSet)> = objects(ObjectType::Package).collect();
    let kinds = kinds(topology);
    let core = |cpus: CpuSet| {
        let first = cpus.first().unwrap_or(0);
        let package = packages.iter().find(|(_, cpus)| cpus.contains(first)).and_then(|(number, _)| *number);
        Core {
            kind: kinds.iter().find(|(cpus, _)| cpus.contains(first)).map_or(0, |&(_, kind)| kind),
            l3: caches.iter().position(|cache| cache.contains(first)).map(|cache| cache as u32),
            package: package.and_then(|number| number.try_into().ok()),
            cpus: cpus.and(&allowed),
            siblings: cpus,
        }
    };
    let usable = topology.allowed_nodeset();
    let node = |node: &TopologyObject| {
        Some(Node {
            number: node.os_index()?.try_into().ok()?,
            cpus: all_of(node),
            bytes: Some(node.total_memory()).filter(|&bytes| bytes > 0),
            kind: node.subtype().map(|kind| kind.to_string_lossy().into_owned()),
            tier: None,
            usable: node.nodeset().is_none_or(|nodes| usable.intersects(nodes)),
        })
    };
    let seen = Seen {
        source: Source::Hwloc,
        cores: cores.into_iter().map(core).collect(),
        nodes: topology.objects_at_depth(Depth::NUMANode).filter_map(node).collect(),
        distances: distances(topology),
        offline: numbers(topology.complete_cpuset()).minus(&online),
        online,
    };
    assemble(seen).ok_or_else(|| NotSeen("no processors".into()))
}

/// The processors of each kind, and how fast they are: 0 the fastest. hwloc has them from slow to fast, where it knows.
fn kinds(topology: &Topology) -> Vec<(CpuSet, u8)> {
    let Ok(kinds) = topology.cpu_kinds() else { return Vec::new() };
    let kinds: Vec<(CpuSet, Option<usize>)> = kinds.map(|kind| (numbers(&kind.cpuset), kind.efficiency)).collect();
    if kinds.iter().any(|(_, speed)| speed.is_none()) {
        return Vec::new();
    }
    let mut speeds: Vec<Option<usize>> = kinds.iter().map(|(_, speed)| *speed).collect();
    speeds.sort_unstable();
    speeds.dedup();
    let place = |speed| speeds.iter().rev().position(|s| *s == speed).and_then(|place| place.try_into().ok());
    kinds.into_iter().map(|(cpus, speed)| (cpus, place(speed).unwrap_or(u8::MAX))).collect()
}

/// The firmware's distances between nodes: the first table of latencies.
fn distances(topology: &Topology) -> Distances {
    let tables = topology.distances_with_type(Some(DistancesKind::MEANS_LATENCY), ObjectType::NUMANode);
    let Ok(tables) = tables else { return Distances::default() };
    let read = |table: &HwlocDistances<'_>| {
        let numbers = table.objects().map(|node| node?.os_index()?.try_into().ok()).collect::<Option<Vec<u32>>>()?;
        let row = |row: &[u64]| row.iter().map(|&d| d.try_into().unwrap_or(0)).collect();
        Distances::new(numbers.clone(), table.distances().chunks(numbers.len().max(1)).map(row).collect())
    };
    tables.iter().find_map(read).unwrap_or_default()
}

fn numbers(set: impl std::ops::Deref<Target = hwlocality::cpu::cpuset::CpuSet>) -> CpuSet {
    // Only a set that ends has a last one; hwloc's endless ones mean "all", which no object here has.
    let Some(_) = set.last_set() else { return CpuSet::default() };
    set.iter_set().map(usize::from).filter_map(|cpu| cpu.try_into().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Domain, sys, sysfs};

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
}
