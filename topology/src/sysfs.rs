//! The machine through Linux's `/sys` and `/proc`: nodes, cores, caches, kinds of cores, distances. Everything is read below a
//! root folder that tests can make up. Missing or odd files are survived: what cannot be read is as if it were not there.

use crate::assemble::{Node, Seen, assemble};
use crate::{Core, CpuSet, Distances, Machine, Source, cgroup};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The online part of the machine below `root` (`/`), or `None` if no processors are to be seen.
pub fn machine(root: &Path) -> Option<Machine> {
    let sys = root.join("sys/devices/system");
    let online = list(&sys.join("cpu/online")).or_else(|| numbered(&sys.join("cpu"), "cpu"))?;
    let present = list(&sys.join("cpu/present")).unwrap_or_default();
    let (nodes, odd) = nodes(root, &online);
    let (distances, unread) = distances(&sys, &nodes);
    let seen = Seen {
        source: Source::Sysfs,
        cores: cores(root, &online),
        nodes,
        distances,
        offline: present.minus(&online),
        online,
    };
    let mut machine = assemble(seen)?;
    machine.notes.extend(odd.into_iter().chain(unread));
    machine.quota_cpus = cgroup::quota(root);
    Some(machine)
}

/// The nodes, and what is odd about them.
fn nodes(root: &Path, online: &CpuSet) -> (Vec<Node>, Option<String>) {
    let folder = root.join("sys/devices/system/node");
    let usable = memory_nodes_allowed(root);
    let tiers = tiers(root);
    let node = |number: u32| {
        let own = folder.join(format!("node{number}"));
        Node {
            number,
            cpus: list(&own.join("cpulist")).unwrap_or_default().and(online),
            bytes: memory(&own.join("meminfo")),
            kind: None,
            tier: tiers.get(&number).copied(),
            usable: usable.as_ref().is_none_or(|nodes| nodes.contains(number)),
        }
    };
    let nodes: Vec<Node> = numbered(&folder, "node").unwrap_or_default().iter().map(node).collect();
    let mut seen = CpuSet::default();
    let mut twice = CpuSet::default();
    for node in &nodes {
        twice = twice.or(&seen.and(&node.cpus));
        seen = seen.or(&node.cpus);
    }
    (nodes, (!twice.is_empty()).then(|| format!("processors {twice} are on more than one NUMA node")))
}

/// The nodes whose memory this process may use, if the system tells.
fn memory_nodes_allowed(root: &Path) -> Option<CpuSet> {
    let text = fs::read_to_string(root.join("proc/self/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Mems_allowed_list:"))?;
    line.parse().ok().filter(|nodes: &CpuSet| !nodes.is_empty())
}

/// The number of each node's memory tier: a lower one is faster.
pub(crate) fn tiers(root: &Path) -> BTreeMap<u32, u32> {
    let folder = root.join("sys/devices/virtual/memory_tiering");
    let tiers = numbered(&folder, "memory_tier").unwrap_or_default();
    let nodes = |tier: u32| {
        let nodes = list(&folder.join(format!("memory_tier{tier}/nodelist"))).unwrap_or_default();
        nodes.iter().map(move |node| (node, tier)).collect::<Vec<_>>()
    };
    tiers.iter().flat_map(nodes).collect()
}

/// Each node's file has its distances to all online nodes, in order. What does not fit is left out, with a note.
fn distances(sys: &Path, nodes: &[Node]) -> (Distances, Option<String>) {
    let numbers: Vec<u32> = nodes.iter().map(|node| node.number).collect();
    let columns: Vec<u32> =
        list(&sys.join("node/online")).map_or_else(|| numbers.clone(), |online| online.iter().collect());
    let mut odd = Vec::new();
    let mut row = |from: u32| {
        let text = fs::read_to_string(sys.join(format!("node/node{from}/distance"))).ok();
        let row: Option<Vec<u32>> =
            text.as_ref().and_then(|text| text.split_whitespace().map(|d| d.parse().ok()).collect());
        let row = row.filter(|row| row.len() == columns.len());
        if row.is_none() && text.is_some() {
            odd.push(from.to_string());
        }
        let to = |to: &u32| row.as_ref().and_then(|row| row.get(columns.iter().position(|c| c == to)?).copied());
        numbers.iter().map(|node| to(node).unwrap_or(0)).collect::<Vec<u32>>()
    };
    let rows: Vec<Vec<u32>> = numbers.iter().map(|&from| row(from)).collect();
    if rows.iter().flatten().all(|&d| d == 0) {
        return (Distances::default(), None);
    }
    let note = (!odd.is_empty()).then(|| format!("the distances of NUMA nodes {} cannot be read", odd.join(",")));
    (Distances::new(numbers, rows).unwrap_or_default(), note)
}

fn cores(root: &Path, online: &CpuSet) -> Vec<Core> {
    let sys = root.join("sys/devices/system");
    let kinds = kinds(root, online);
    let mut caches: Vec<CpuSet> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut cores = Vec::new();
    for cpu in online.iter() {
        if seen.contains(&cpu) {
            continue;
        }
        let folder = sys.join(format!("cpu/cpu{cpu}"));
        let of_core = |name| list(&folder.join("topology").join(name)).filter(|s| s.contains(cpu));
        let siblings = of_core("core_cpus_list").or_else(|| of_core("thread_siblings_list"));
        let siblings = siblings.unwrap_or_else(|| CpuSet::from_iter([cpu])).and(online);
        let cpus: CpuSet = siblings.iter().filter(|c| seen.insert(*c)).collect();
        let package = fs::read_to_string(folder.join("topology/physical_package_id")).ok();
        let l3 = l3(&folder).filter(|shared| shared.contains(cpu)).map(|shared| {
            let known = caches.iter().position(|cache| *cache == shared);
            known.unwrap_or_else(|| {
                caches.push(shared);
                caches.len() - 1
            }) as u32
        });
        cores.push(Core {
            siblings: cpus.clone(),
            cpus,
            kind: kinds.get(&cpu).copied().unwrap_or(0),
            l3,
            package: package.and_then(|text| text.trim().parse().ok()), // -1 where it is not known
        });
    }
    cores
}

/// Bytes of memory that this process may still take without pushing others out: what the machine has free or can free at once,
/// or what its cgroup grants, if that is less; `None` where the system does not tell.
pub fn memory_left() -> Option<u64> {
    memory_left_below(Path::new("/"))
}

fn memory_left_below(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).unwrap_or_default();
    let free = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:")?.trim().strip_suffix("kB")?.trim().parse().ok());
    let free = free.and_then(|kib: u64| kib.checked_mul(1 << 10));
    free.into_iter().chain(cgroup::memory_left(root)).min()
}

/// Bytes of the data cache of a level (1 to 3) of this machine's first processor, if the system tells.
pub fn cache_bytes(level: u32) -> Option<usize> {
    cache_bytes_below(Path::new("/"), level)
}

fn cache_bytes_below(root: &Path, level: u32) -> Option<usize> {
    let folder = root.join("sys/devices/system/cpu/cpu0/cache");
    let text = |index: u32, name| fs::read_to_string(folder.join(format!("index{index}/{name}"))).unwrap_or_default();
    let is_it = |&i: &u32| text(i, "level").trim() == level.to_string() && text(i, "type").trim() != "Instruction";
    let size = text(numbered(&folder, "index")?.iter().find(is_it)?, "size");
    let (digits, unit) =
        size.trim().split_at(size.trim().find(|c: char| !c.is_ascii_digit()).unwrap_or(size.trim().len()));
    let unit = match unit {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(unit)
}

/// The processors that share a processor's last-level cache, if that is an L3.
fn l3(cpu: &Path) -> Option<CpuSet> {
    let folder = cpu.join("cache");
    let text = |index: u32, name| fs::read_to_string(folder.join(format!("index{index}/{name}"))).unwrap_or_default();
    let index = numbered(&folder, "index")?.iter().find(|&i| text(i, "level").trim() == "3")?;
    list(&folder.join(format!("index{index}/shared_cpu_list")))
}

/// How fast the processors are: 0 the fastest kind. Intel's kinds have folders of their own; elsewhere the scheduler's
/// capacities tell, where those within a tenth of the largest are of one kind, since single cores may be a little faster.
fn kinds(root: &Path, online: &CpuSet) -> BTreeMap<u32, u8> {
    let of = |name: &str| list(&root.join("sys/devices").join(name).join("cpus")).unwrap_or_default().and(online);
    let (fast, slow) = (of("cpu_core"), of("cpu_atom"));
    if !fast.is_empty() && !slow.is_empty() {
        return fast.iter().map(|cpu| (cpu, 0)).chain(slow.iter().map(|cpu| (cpu, 1))).collect();
    }
    let capacity = |cpu: u32| -> Option<(u64, u32)> {
        let path = root.join(format!("sys/devices/system/cpu/cpu{cpu}/cpu_capacity"));
        Some((fs::read_to_string(path).ok()?.trim().parse().ok()?, cpu))
    };
    let mut capacities: Vec<(u64, u32)> = online.iter().filter_map(capacity).collect();
    capacities.sort_by_key(|&(capacity, cpu)| (std::cmp::Reverse(capacity), cpu));
    let (mut kinds, mut kind, mut largest) = (BTreeMap::new(), 0u8, None);
    for (capacity, cpu) in capacities {
        let first = *largest.get_or_insert(capacity);
        if u128::from(capacity) * 10 < u128::from(first) * 9 {
            (kind, largest) = (kind.saturating_add(1), Some(capacity));
        }
        kinds.insert(cpu, kind);
    }
    kinds
}

/// `Node 0 MemTotal:  16384 kB`
fn memory(path: &Path) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|l| l.contains("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().rev().nth(1)?.parse().ok()?;
    kib.checked_mul(1024)
}

pub(crate) fn list(path: &Path) -> Option<CpuSet> {
    fs::read_to_string(path).ok()?.parse().ok()
}

/// The numbers of entries like `node0`, `node1`.
fn numbered(folder: &Path, prefix: &str) -> Option<CpuSet> {
    let number = |name: &str| name.strip_prefix(prefix)?.parse().ok();
    Some(fs::read_dir(folder).ok()?.flatten().filter_map(|e| number(e.file_name().to_str()?)).collect())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A made-up `/sys`.
    pub(crate) fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn caches_have_sizes() {
        let file = |name: &str| format!("sys/devices/system/cpu/cpu0/cache/{name}");
        let files = [
            ("index0/level", "1\n"),
            ("index0/type", "Data\n"),
            ("index0/size", "48K\n"),
            ("index1/level", "1\n"),
            ("index1/type", "Instruction\n"),
            ("index1/size", "32K\n"),
            ("index2/level", "2\n"),
            ("index2/type", "Unified\n"),
            ("index2/size", "2M\n"),
        ]
        .map(|(name, text)| (file(name), text));
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
        let dir = tree(&files);
        let bytes = |level| cache_bytes_below(dir.path(), level);
        assert_eq!((bytes(1), bytes(2), bytes(3)), (Some(48 << 10), Some(2 << 20), None));
    }

    #[test]
    fn memory_that_is_left() {
        let free = ("proc/meminfo", "MemTotal:  9 kB\nMemAvailable:     4 kB\n");
        let group = [("proc/self/cgroup", "0::/a\n"), ("sys/fs/cgroup/a/memory.current", "0\n")];
        let left =
            |limit| memory_left_below(tree(&[free, group[0], group[1], ("sys/fs/cgroup/a/memory.max", limit)]).path());
        assert_eq!((left("max\n"), left("100\n"), left("99999\n")), (Some(4096), Some(100), Some(4096)));
        assert_eq!(memory_left_below(tree(&[]).path()), None);
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
}
