//! What this process may use of the machine that it runs on.

use crate::{Machine, Source, cgroup, sys, sysfs};
use std::path::Path;

/// Looks at this machine through the best window there is, cut down to what this process may use. Never fails: a window that
/// shows nothing gives way to the next, with a note.
pub fn probe() -> Machine {
    let machine = seen();
    // A mask that cannot be asked for, on another system than Linux, limits nothing.
    let mask = sys::affinity().unwrap_or_else(|_| machine.mask());
    let mask = match cgroup::cpus(Path::new("/")) {
        Some(group) if !group.and(&mask).is_empty() => group.and(&mask),
        _ => mask,
    };
    machine.within(&mask)
}

/// As [`probe`], but with all that the cgroup lets processes have, whatever this thread is bound to.
pub fn probe_host() -> Machine {
    let machine = seen();
    let known = machine.mask().or(&machine.forbidden);
    match cgroup::cpus(Path::new("/")).map(|group| group.and(&known)) {
        Some(group) if !group.is_empty() && machine.source != Source::Flat => machine.within(&group),
        _ => machine,
    }
}

fn seen() -> Machine {
    let root = Path::new("/");
    let mut notes = Vec::new();
    let seen = by_hwloc(&mut notes).or_else(|| sysfs::machine(root));
    let granted = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    let mut machine = seen.unwrap_or_else(|| Machine::flat(granted));
    machine.notes.extend(notes);
    machine.quota_cpus = cgroup::quota(root);
    machine
}

#[cfg(feature = "hwloc")]
fn by_hwloc(notes: &mut Vec<String>) -> Option<Machine> {
    crate::hwloc::this_machine().map_err(|e| notes.push(format!("hwloc shows nothing: {e}"))).ok()
}

#[cfg(not(feature = "hwloc"))]
fn by_hwloc(_: &mut Vec<String>) -> Option<Machine> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_what_the_thread_may_use() {
        let machine = probe();
        assert!(machine.cores().count() >= 1);
        if let Ok(mask) = sys::affinity() {
            assert!(machine.mask().minus(&mask).is_empty(), "{} of {mask}", machine.mask());
            assert!(machine.mask().minus(&probe_host().mask()).is_empty(), "more than the host has");
        }
    }
}
