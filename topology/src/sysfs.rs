//! The machine through Linux's `/sys` and `/proc`: nodes, cores, cgroup limits. Everything is read below a root folder that
//! tests can make up. Missing or odd files are survived: what cannot be read is as if it were not there.

use crate::{Core, CpuSet, Domain, Machine, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The online part of the machine below `root` (`/`), or `None` if no processors are to be seen.
pub fn machine(root: &Path) -> Option<Machine> {
    let sys = root.join("sys/devices/system");
    let present = list(&sys.join("cpu/online")).or_else(|| numbered(&sys.join("cpu"), "cpu"))?;
    if present.is_empty() {
        return None;
    }
    let mut notes = Vec::new();
    let mut nodes: BTreeMap<u32, CpuSet> = BTreeMap::new();
    for node in numbered(&sys.join("node"), "node").unwrap_or_default().iter() {
        let cpus = list(&sys.join(format!("node/node{node}/cpulist"))).unwrap_or_default().and(&present);
        if !cpus.is_empty() {
            nodes.insert(node, cpus);
        }
    }
    let on_nodes = nodes.values().fold(CpuSet::default(), |all, cpus| all.or(cpus));
    if on_nodes != present {
        if !nodes.is_empty() {
            notes.push(format!("processors {} are on no NUMA node", present.minus(&on_nodes)));
        }
        let first = nodes.keys().next().copied().unwrap_or(0);
        let more = nodes.entry(first).or_default().or(&present.minus(&on_nodes));
        nodes.insert(first, more);
    }
    let mut taken = CpuSet::default();
    let domain = |(node, cpus): (u32, CpuSet)| {
        // Broken firmware shows one processor on two nodes: the first has it.
        let cpus = cpus.minus(&taken);
        taken = taken.or(&cpus);
        let memory_bytes = memory(&sys.join(format!("node/node{node}/meminfo")));
        Domain { node, cores: cores(&sys, &cpus), memory_bytes, memory_kind: None }
    };
    let domains: Vec<Domain> = nodes.into_iter().map(domain).filter(|d| !d.cores.is_empty()).collect();
    Some(Machine { quota_cpus: quota(root), online: present.len(), notes, ..Machine::of(Source::Sysfs, domains) })
}

fn cores(sys: &Path, cpus: &CpuSet) -> Vec<Core> {
    let mut seen = BTreeSet::new();
    let mut cores = Vec::new();
    for cpu in cpus.iter() {
        if seen.contains(&cpu) {
            continue;
        }
        let folder = sys.join(format!("cpu/cpu{cpu}/topology"));
        let siblings = list(&folder.join("core_cpus_list")).or_else(|| list(&folder.join("thread_siblings_list")));
        let siblings = siblings.filter(|s| s.contains(cpu)).unwrap_or_else(|| CpuSet::from_iter([cpu])).and(cpus);
        let fresh: CpuSet = siblings.iter().filter(|c| seen.insert(*c)).collect();
        cores.push(Core::of(fresh));
    }
    cores
}

/// `Node 0 MemTotal:  16384 kB`
fn memory(path: &Path) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|l| l.contains("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().rev().nth(1)?.parse().ok()?;
    kib.checked_mul(1024)
}

fn list(path: &Path) -> Option<CpuSet> {
    fs::read_to_string(path).ok()?.parse().ok()
}

/// The numbers of entries like `node0`, `node1`.
fn numbered(folder: &Path, prefix: &str) -> Option<CpuSet> {
    let number = |name: &str| name.strip_prefix(prefix)?.parse().ok();
    Some(fs::read_dir(folder).ok()?.flatten().filter_map(|e| number(e.file_name().to_str()?)).collect())
}

/// The cgroup's cpuset, where it sets one: the processors that processes of it may ever use.
pub fn cgroup_cpus(root: &Path) -> Option<CpuSet> {
    let v2 = own_groups(root, "").into_iter().map(|g| list(&g.join("cpuset.cpus.effective")));
    let v1 = own_groups(root, "cpuset").into_iter().map(|g| list(&g.join("cpuset.effective_cpus")));
    v2.chain(v1).flatten().find(|set| !set.is_empty())
}

/// How many processors' time the cgroup and its parents grant: the least of their limits.
pub fn quota(root: &Path) -> Option<f64> {
    let v2 = |group: PathBuf| {
        let text = fs::read_to_string(group.join("cpu.max")).ok()?;
        let (quota, period) = text.trim().split_once(' ')?;
        share(quota, period)
    };
    let v1 = |group: PathBuf| {
        let read = |name| fs::read_to_string(group.join(name)).ok();
        share(&read("cpu.cfs_quota_us")?, &read("cpu.cfs_period_us")?)
    };
    let limits =
        own_groups(root, "").into_iter().filter_map(v2).chain(own_groups(root, "cpu").into_iter().filter_map(v1));
    limits.min_by(f64::total_cmp)
}

fn share(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (f64, f64) = (quota.trim().parse().ok()?, period.trim().parse().ok()?); // `max`, `-1`: no limit
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

/// The folders of this process's cgroup of a controller (v1) or of all (`""`, v2), and of its parents. In a container the
/// group's own path may not be visible: then its root is.
fn own_groups(root: &Path, controller: &str) -> Vec<PathBuf> {
    let text = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let base = root.join("sys/fs/cgroup");
    let mut groups = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        if controllers != controller && (controller.is_empty() || !controllers.split(',').any(|c| c == controller)) {
            continue;
        }
        let mounts = if controller.is_empty() {
            vec![base.clone()]
        } else {
            vec![base.join(controllers), base.join(controller)]
        };
        for mount in mounts {
            let full = mount.join(path.trim_start_matches('/'));
            let own = full.ancestors().take_while(|p| p.starts_with(&mount)).map(Path::to_path_buf);
            groups.extend(own.filter(|p| p.is_dir()));
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A made-up `/sys`.
    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn nodes_cores_and_threads() {
        let mut files = vec![
            ("sys/devices/system/cpu/online".to_string(), "0-7\n".to_string()),
            ("sys/devices/system/node/node0/cpulist".into(), "0-1,4-5\n".into()),
            ("sys/devices/system/node/node1/cpulist".into(), "2-3,6-7\n".into()),
            ("sys/devices/system/node/node2/cpulist".into(), "\n".into()), // memory only
            (
                "sys/devices/system/node/node0/meminfo".into(),
                "Node 0 MemTotal:       1024 kB\nNode 0 MemFree: 1 kB\n".into(),
            ),
        ];
        for cpu in 0..8 {
            let siblings = format!("{},{}\n", cpu % 4, cpu % 4 + 4);
            files.push((format!("sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"), siblings));
        }
        let files: Vec<(&str, &str)> = files.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let root = tree(&files);
        let machine = machine(root.path()).unwrap();
        let cores = |d: usize| machine.domains[d].cores.iter().map(|c| c.cpus.to_string()).collect::<Vec<_>>();
        assert_eq!(machine.domains.len(), 2);
        assert_eq!((cores(0), cores(1)), (vec!["0,4".into(), "1,5".into()], vec!["2,6".into(), "3,7".into()]));
        assert_eq!(machine.domains[0].memory_bytes, Some(1 << 20));
        assert_eq!(machine.online, 8);
    }

    #[test]
    fn odd_trees_are_survived() {
        assert!(machine(tree(&[]).path()).is_none());
        assert!(machine(tree(&[("sys/devices/system/cpu/online", "")]).path()).is_none());
        // No nodes at all; a sibling list that does not have its own processor; nonsense.
        let root = tree(&[
            ("sys/devices/system/cpu/online", "0-2"),
            ("sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "1"),
            ("sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "nonsense"),
        ]);
        assert_eq!(machine(root.path()).unwrap().domains[0].cores.len(), 3);
        // One processor on two nodes, another on none.
        let root = tree(&[
            ("sys/devices/system/cpu/online", "0-3"),
            ("sys/devices/system/node/node0/cpulist", "0-1"),
            ("sys/devices/system/node/node1/cpulist", "1-2"),
        ]);
        let machine = machine(root.path()).unwrap();
        assert_eq!(machine.mask().to_string(), "0-3");
        assert_eq!(machine.cores().count(), 4);
        assert!(machine.notes[0].contains("processors 3 are on no NUMA node"), "{:?}", machine.notes);
    }

    #[test]
    fn quotas_of_both_kinds_of_cgroup() {
        let v2 = tree(&[
            ("proc/self/cgroup", "0::/job/step\n"),
            ("sys/fs/cgroup/job/cpu.max", "150000 100000\n"),
            ("sys/fs/cgroup/job/step/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/job/step/cpuset.cpus.effective", "2-3\n"),
        ]);
        assert_eq!((quota(v2.path()), cgroup_cpus(v2.path()).unwrap().to_string()), (Some(1.5), "2-3".into()));
        let v1 = tree(&[
            ("proc/self/cgroup", "5:cpuset:/a\n4:cpu,cpuacct:/a\n"),
            ("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "50000"),
            ("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000"),
            ("sys/fs/cgroup/cpuset/a/cpuset.effective_cpus", "1"),
        ]);
        assert_eq!((quota(v1.path()), cgroup_cpus(v1.path()).unwrap().to_string()), (Some(0.5), "1".into()));
        assert_eq!((quota(tree(&[]).path()), cgroup_cpus(tree(&[]).path())), (None, None));
    }
}
