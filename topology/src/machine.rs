//! The part of a machine that a process may use, in the terms that placement needs: NUMA domains, their cores, the hardware
//! threads of each core, which cores share a cache, how far nodes are from each other, and memory that has no cores.

use crate::{CpuSet, Distances};
use serde::{Deserialize, Serialize};

/// Through which window a machine was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The hwloc library.
    Hwloc,
    /// Linux's `/sys`.
    Sysfs,
    /// Only a number of processors is known: one domain, nothing is pinned.
    Flat,
}

/// A physical core.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Core {
    /// Its hardware threads that may be used; never empty.
    pub cpus: CpuSet,
    /// All its hardware threads that are online, as far as they are seen.
    #[serde(skip)]
    pub siblings: CpuSet,
    /// How fast cores of its kind are: 0 the fastest (all, where there is one kind), 1 the next.
    pub kind: u8,
    /// The last-level cache that it shares with all cores of the same number, if known.
    pub l3: Option<u32>,
    /// The number of its package (socket), if known.
    pub package: Option<u32>,
}

impl Core {
    /// A core of which no more is known than its hardware threads.
    pub fn of(cpus: CpuSet) -> Core {
        Core { siblings: cpus.clone(), cpus, ..Core::default() }
    }
}

/// A NUMA node with usable cores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// The system's number of the node.
    pub node: u32,
    /// In ascending order of their first hardware thread; never empty.
    pub cores: Vec<Core>,
    /// Memory of the node, if known.
    pub memory_bytes: Option<u64>,
    /// What its memory is (`HBM`, `DRAM`), if known.
    pub memory_kind: Option<String>,
}

/// A NUMA node without usable cores: HBM, CXL or GPU memory, or that of processors that this process may not use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryNode {
    /// The system's number of the node.
    pub node: u32,
    /// How much it is, if known.
    pub bytes: Option<u64>,
    /// What it is (`HBM`, `NVM`, `MCDRAM`), if known.
    pub kind: Option<String>,
    /// The system's number of its memory tier, if known: a lower one is faster.
    pub tier: Option<u32>,
    /// Processors of the node, none of which may be used.
    pub cpus: CpuSet,
}

/// What a process may use of a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Through which window it was seen.
    pub source: Source,
    /// Domains with usable cores, in the order of their nodes; never empty. Nodes without processors (HBM, CXL, GPU memory)
    /// are not among them.
    pub domains: Vec<Domain>,
    /// Nodes without usable cores, in order.
    pub memories: Vec<MemoryNode>,
    /// How far nodes are from each other.
    pub distances: Distances,
    /// How many processors' time the cgroup grants, if it limits that.
    pub quota_cpus: Option<f64>,
    /// Processors that are online in the whole machine, usable or not.
    pub online: usize,
    /// Processors that are there, but switched off.
    pub offline: CpuSet,
    /// Processors that are online, but not for this process.
    pub forbidden: CpuSet,
    /// What was odd on the way.
    pub notes: Vec<String>,
}

impl Machine {
    /// A machine of which only the number of processors is known.
    pub fn flat(cpus: u32) -> Machine {
        let cores = (0..cpus.max(1)).map(|cpu| Core::of(CpuSet::from_iter([cpu]))).collect();
        Machine::of(Source::Flat, vec![Domain { node: 0, cores, memory_bytes: None, memory_kind: None }])
    }

    /// A machine of domains, of which no more is known.
    pub fn of(source: Source, domains: Vec<Domain>) -> Machine {
        let online = domains.iter().flat_map(|domain| &domain.cores).map(|core| core.cpus.len()).sum();
        Machine {
            source,
            domains,
            memories: Vec::new(),
            distances: Distances::default(),
            quota_cpus: None,
            online,
            offline: CpuSet::default(),
            forbidden: CpuSet::default(),
            notes: Vec::new(),
        }
    }

    /// All hardware threads that may be used.
    pub fn mask(&self) -> CpuSet {
        self.cores().flat_map(|(_, core)| core.cpus.iter()).collect()
    }

    /// All cores, each with the index of its domain.
    pub fn cores(&self) -> impl Iterator<Item = (usize, &Core)> {
        self.domains.iter().enumerate().flat_map(|(d, domain)| domain.cores.iter().map(move |core| (d, core)))
    }

    /// The machine cut down to `mask`. Cores that lose all their threads are gone, and domains that lose all their cores are
    /// memory alone. If nothing is left, the mask is of another machine than the window shows: then its processors are taken
    /// as they are, in one domain.
    pub fn within(mut self, mask: &CpuSet) -> Machine {
        self.forbidden = self.forbidden.or(&self.mask().minus(mask));
        for domain in std::mem::take(&mut self.domains) {
            let all: CpuSet = domain.cores.iter().flat_map(|core| core.cpus.iter()).collect();
            let cut = |core: Core| Core { cpus: core.cpus.and(mask), ..core };
            let mut cores: Vec<Core> = domain.cores.into_iter().map(cut).filter(|c| !c.cpus.is_empty()).collect();
            cores.sort_by_key(|core| core.cpus.first());
            let Domain { node, memory_bytes, memory_kind, .. } = domain;
            if cores.is_empty() {
                let (bytes, kind) = (memory_bytes, memory_kind);
                self.memories.push(MemoryNode { node, bytes, kind, tier: None, cpus: all });
            } else {
                self.domains.push(Domain { node, cores, memory_bytes, memory_kind });
            }
        }
        self.domains.sort_by_key(|domain| domain.node);
        self.memories.sort_by_key(|memory| memory.node);
        let seen = self.mask();
        if seen != *mask && !mask.is_empty() {
            self.notes
                .push(format!("processors {} may be used, but the machine shows no cores for them", mask.minus(&seen)));
            if self.domains.is_empty() {
                let cores = mask.iter().map(|cpu| Core::of(CpuSet::from_iter([cpu]))).collect();
                let memory = (!self.memories.is_empty()).then(|| self.memories.remove(0));
                let (node, memory_bytes, memory_kind) = memory.map_or((0, None, None), |m| (m.node, m.bytes, m.kind));
                self.domains.push(Domain { node, cores, memory_bytes, memory_kind });
            }
        }
        self
    }
}
