//! The part of a machine that a process may use, in the terms that placement needs: NUMA domains, their cores, and the
//! hardware threads of each core.

use crate::CpuSet;
use serde::Serialize;

/// Through which window a machine was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Core {
    /// Its hardware threads that may be used; never empty.
    pub cpus: CpuSet,
}

/// A NUMA node with usable cores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Domain {
    /// The system's number of the node.
    pub node: u32,
    /// In ascending order of their first hardware thread; never empty.
    pub cores: Vec<Core>,
    /// Memory of the node, if known.
    pub memory_bytes: Option<u64>,
}

/// What a process may use of a machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Machine {
    /// Through which window it was seen.
    pub source: Source,
    /// Domains with usable cores, in the order of their nodes; never empty. Nodes without processors (HBM, CXL, GPU memory)
    /// are not among them.
    pub domains: Vec<Domain>,
    /// How many processors' time the cgroup grants, if it limits that.
    pub quota_cpus: Option<f64>,
    /// Processors that are online in the whole machine, usable or not.
    pub online: usize,
    /// What was odd on the way.
    pub notes: Vec<String>,
}

impl Machine {
    /// A machine of which only the number of processors is known.
    pub fn flat(cpus: u32) -> Machine {
        let cores = (0..cpus.max(1)).map(|cpu| Core { cpus: CpuSet::from_iter([cpu]) }).collect();
        Machine {
            source: Source::Flat,
            domains: vec![Domain { node: 0, cores, memory_bytes: None }],
            quota_cpus: None,
            online: cpus.max(1) as usize,
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

    /// The machine cut down to `mask`. Cores and domains that lose all are gone. If nothing is left, the mask is of another
    /// machine than the window shows: then its processors are taken as they are, in one domain.
    pub fn within(mut self, mask: &CpuSet) -> Machine {
        for domain in &mut self.domains {
            domain.cores.iter_mut().for_each(|core| core.cpus = core.cpus.and(mask));
            domain.cores.retain(|core| !core.cpus.is_empty());
            domain.cores.sort_by_key(|core| core.cpus.first());
        }
        self.domains.retain(|domain| !domain.cores.is_empty());
        self.domains.sort_by_key(|domain| domain.node);
        let seen = self.mask();
        if seen != *mask && !mask.is_empty() {
            self.notes
                .push(format!("processors {} may be used, but the machine shows no cores for them", mask.minus(&seen)));
            if self.domains.is_empty() {
                let cores = mask.iter().map(|cpu| Core { cpus: CpuSet::from_iter([cpu]) }).collect();
                self.domains.push(Domain { node: 0, cores, memory_bytes: None });
            }
        }
        self
    }
}
