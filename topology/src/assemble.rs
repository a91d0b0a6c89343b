//! From what a window shows to a [`Machine`]: which node a core belongs to, and which nodes are memory alone. Both windows end
//! here, so that they cannot differ.

use crate::{Core, CpuSet, Distances, Domain, Machine, MemoryNode, Source};

/// A NUMA node as a window shows it.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) number: u32,
    /// Its processors, usable or not.
    pub(crate) cpus: CpuSet,
    pub(crate) bytes: Option<u64>,
    pub(crate) kind: Option<String>,
    pub(crate) tier: Option<u32>,
    /// Whether its memory may be used.
    pub(crate) usable: bool,
}

/// What a window shows.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) source: Source,
    /// With their usable hardware threads only.
    pub(crate) cores: Vec<Core>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) distances: Distances,
    pub(crate) online: CpuSet,
    pub(crate) offline: CpuSet,
}

/// A core belongs to the *narrowest* node that has it, so that wide tiers of memory beside a processor's own (HBM, CXL) get no
/// cores and are no domains; of equally wide ones to the first. A core without a node that may be used goes to the nearest
/// that has cores. `None` if there are no cores.
pub(crate) fn assemble(seen: Seen) -> Option<Machine> {
    let Seen { source, mut cores, mut nodes, distances, online, offline } = seen;
    cores.retain(|core| !core.cpus.is_empty());
    cores.sort_by_key(|core| core.cpus.first());
    if cores.is_empty() {
        return None;
    }
    let usable: CpuSet = cores.iter().flat_map(|core| core.cpus.iter()).collect();
    nodes.sort_by_key(|node| (node.cpus.len(), node.number));

    let (mut domains, mut memories, mut lost) = (Vec::new(), Vec::new(), Vec::new());
    let mut taken = CpuSet::default();
    for node in nodes {
        let own = node.cpus.minus(&taken); // broken firmware shows one processor on two nodes: the first has it
        taken = taken.or(&own);
        let here: Vec<Core> = cores.extract_if(.., |c| c.cpus.first().is_some_and(|cpu| own.contains(cpu))).collect();
        let Node { number: node, bytes, kind, tier, usable, .. } = node;
        match usable {
            true if here.is_empty() => memories.push(MemoryNode { node, bytes, kind, tier, cpus: own }),
            true => domains.push(Domain { node, cores: here, memory_bytes: bytes, memory_kind: kind }),
            false => lost.extend(here.into_iter().map(|core| (Some(node), core))),
        }
    }
    domains.sort_by_key(|domain| domain.node);
    memories.sort_by_key(|memory| memory.node);
    lost.extend(cores.into_iter().map(|core| (None, core)));
    if domains.is_empty() {
        // All cores are lost: they have whatever memory there is.
        let memory = if memories.is_empty() { None } else { Some(memories.remove(0)) };
        let (node, memory_bytes, memory_kind) = memory.map_or((0, None, None), |m| (m.node, m.bytes, m.kind));
        domains.push(Domain { node, cores: Vec::new(), memory_bytes, memory_kind });
    }
    let notes = adopt(&mut domains, lost, &distances);
    for memory in &mut memories {
        memory.cpus = memory.cpus.minus(&usable);
    }
    let forbidden = online.minus(&usable);
    let online = online.len().max(usable.len());
    Some(Machine { memories, distances, online, offline, forbidden, notes, ..Machine::of(source, domains) })
}

/// Gives cores without usable memory of their own to the domain that is nearest to their node, or else shares their package,
/// or is the first. Says so, unless there are no nodes at all.
fn adopt(domains: &mut [Domain], lost: Vec<(Option<u32>, Core)>, distances: &Distances) -> Vec<String> {
    let (mut nowhere, mut barred) = (CpuSet::default(), CpuSet::default());
    let packages: Vec<(Option<u32>, usize)> =
        domains.iter().enumerate().flat_map(|(d, domain)| domain.cores.iter().map(move |c| (c.package, d))).collect();
    let alone = domains.iter().all(|domain| domain.cores.is_empty());
    for (node, core) in lost {
        let near = match node {
            Some(node) => (0..domains.len()).min_by_key(|&d| distances.least(&[node], &[domains[d].node])),
            None => packages.iter().find(|(package, _)| package.is_some() && *package == core.package).map(|p| p.1),
        };
        let set = if node.is_some() { &mut barred } else { &mut nowhere };
        *set = set.or(&core.cpus);
        domains[near.unwrap_or(0)].cores.push(core);
    }
    domains.iter_mut().for_each(|domain| domain.cores.sort_by_key(|core| core.cpus.first()));
    let mut notes = Vec::new();
    if !nowhere.is_empty() && !alone {
        notes.push(format!("processors {nowhere} are on no NUMA node"));
    }
    if !barred.is_empty() {
        notes
            .push(format!("the memory near processors {barred} may not be used: they are counted to the nearest node"));
    }
    notes
}
