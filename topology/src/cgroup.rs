//! What Linux's cgroups, of both versions, grant this process: processors, their time, and memory.

use crate::CpuSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The cgroup's cpuset, where it sets one: the processors that processes of it may ever use.
pub(crate) fn cpus(root: &Path) -> Option<CpuSet> {
    let v2 = own_groups(root, "").into_iter().map(|g| crate::sysfs::list(&g.join("cpuset.cpus.effective")));
    let v1 = own_groups(root, "cpuset").into_iter().map(|g| crate::sysfs::list(&g.join("cpuset.effective_cpus")));
    v2.chain(v1).flatten().find(|set| !set.is_empty())
}

/// How many processors' time the cgroup and its parents grant: the least of their limits.
pub(crate) fn quota(root: &Path) -> Option<f64> {
    limit(root).map(|(quota, _)| quota)
}

/// Bytes of memory that the cgroup and its parents still grant: the least of their limits less what is used, where files that
/// are only cached do not count.
pub(crate) fn memory_left(root: &Path) -> Option<u64> {
    let left = |group: &Path, limit: &str, used: &str, cached: &str| {
        let number = |name: &str| fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
        let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
        let cached = stat.lines().find_map(|line| line.strip_prefix(cached)?.trim().parse::<u64>().ok()).unwrap_or(0);
        Some(number(limit)?.saturating_sub(number(used)?.saturating_sub(cached))) // `max`: no limit
    };
    let v2 =
        own_groups(root, "").into_iter().filter_map(|g| left(&g, "memory.max", "memory.current", "inactive_file "));
    let v1 = own_groups(root, "memory");
    let v1 = v1
        .into_iter()
        .filter_map(|g| left(&g, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "));
    v2.chain(v1).min()
}

/// Which group sets the quota, in words that are the same for all processes that share it, if one does.
pub(crate) fn quota_group(root: &Path) -> Option<String> {
    let (_, group) = limit(root)?;
    // In containers the same path means different groups.
    let space = fs::read_link(root.join("proc/self/ns/cgroup")).unwrap_or_default();
    Some(format!("{} {}", space.display(), group.display()))
}

/// The least limit, and the folder of the group that sets it.
fn limit(root: &Path) -> Option<(f64, PathBuf)> {
    let v2 = |group: &Path| {
        let text = fs::read_to_string(group.join("cpu.max")).ok()?;
        let (quota, period) = text.trim().split_once(' ')?;
        share(quota, period)
    };
    let v1 = |group: &Path| {
        let read = |name| fs::read_to_string(group.join(name)).ok();
        share(&read("cpu.cfs_quota_us")?, &read("cpu.cfs_period_us")?)
    };
    let v2 = own_groups(root, "").into_iter().filter_map(|group| Some((v2(&group)?, group)));
    let v1 = own_groups(root, "cpu").into_iter().filter_map(|group| Some((v1(&group)?, group)));
    v2.chain(v1).min_by(|a, b| a.0.total_cmp(&b.0))
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
    use crate::sysfs::tests::tree;

    #[test]
    fn memory_of_both_kinds_of_cgroup() {
        let v2 = tree(&[
            ("proc/self/cgroup", "0::/job/step\n"),
            ("sys/fs/cgroup/job/memory.max", "5000\n"),
            ("sys/fs/cgroup/job/memory.current", "3000\n"),
            ("sys/fs/cgroup/job/memory.stat", "anon 1\ninactive_file 500\n"),
            ("sys/fs/cgroup/job/step/memory.max", "max\n"),
            ("sys/fs/cgroup/job/step/memory.current", "10\n"),
        ]);
        assert_eq!(memory_left(v2.path()), Some(2500));
        let v1 = tree(&[
            ("proc/self/cgroup", "5:memory:/a\n"),
            ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "900\n"),
            ("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "1000\n"),
            ("sys/fs/cgroup/memory/a/memory.stat", "total_inactive_file 50\n"),
        ]);
        assert_eq!((memory_left(v1.path()), memory_left(tree(&[]).path())), (Some(0), None));
    }

    #[test]
    fn quotas_of_both_kinds_of_cgroup() {
        let v2 = tree(&[
            ("proc/self/cgroup", "0::/job/step\n"),
            ("sys/fs/cgroup/job/cpu.max", "150000 100000\n"),
            ("sys/fs/cgroup/job/step/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/job/step/cpuset.cpus.effective", "2-3\n"),
        ]);
        assert!(quota_group(v2.path()).unwrap().ends_with("/job"), "{:?}", quota_group(v2.path()));
        assert_eq!((quota(v2.path()), cpus(v2.path()).unwrap().to_string()), (Some(1.5), "2-3".into()));
        let v1 = tree(&[
            ("proc/self/cgroup", "5:cpuset:/a\n4:cpu,cpuacct:/a\n"),
            ("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "50000"),
            ("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000"),
            ("sys/fs/cgroup/cpuset/a/cpuset.effective_cpus", "1"),
        ]);
        assert_eq!((quota(v1.path()), cpus(v1.path()).unwrap().to_string()), (Some(0.5), "1".into()));
        assert_eq!((quota(tree(&[]).path()), cpus(tree(&[]).path())), (None, None));
    }
}
