//! What hardware this rank may use, and the plan: how ranks and their workers are laid on it.
//!
//! [`probe`] looks at the machine through the best window there is: hwloc (feature `hwloc`), Linux's `/sys`, or the number of
//! processors that the system grants. Whatever the window shows is cut down to what the process may really use: its affinity
//! mask, its cgroup's cpuset and quota. [`plan`] is pure: the same machine, mask, place and wish give the same plan, so it is
//! tested on machines that nobody here owns.
//!
//! ```
//! use physalia_topology::{Machine, Wish, plan};
//! // Rank 1 of 2 on a host with four cores that both may use:
//! let machine = Machine::flat(4);
//! let plan = plan(&machine, &machine.mask(), 2, 1, &Wish::default());
//! assert_eq!(plan.threads(), 2);
//! ```
#![deny(unsafe_code)]

pub mod agree;
mod assemble;
mod cgroup;
mod cpuset;
mod cut;
mod distances;
mod draw;
#[cfg(feature = "hwloc")]
pub mod hwloc;
mod layout;
mod machine;
mod plan;
mod probe;
mod slots;
#[allow(unsafe_code)]
pub mod sys;
pub mod sysfs;

pub use cpuset::{BadCpuList, CpuSet};
pub use distances::Distances;
pub use draw::draw;
pub use layout::Layout;
pub use machine::{Core, Domain, Machine, MemoryNode, Source};
pub use plan::{Domains, Plan, PlanDomain, Share, Wish, Worker, plan, plan_share};
pub use probe::{probe, probe_host};
