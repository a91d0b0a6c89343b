//! Machines described in a line, built as made-up `/sys` trees, and what must hold for every plan on them.
//!
//! A line is a name, nodes, and settings. A node is `NUMBERS:CORES@PACKAGE/MEMORY`: `0-3:8x2|8x2@0/32` is four nodes, each with
//! two groups of eight cores that share an L3, two hardware threads a core, in package 0, with 32 GiB. `6x2+8e` in a group are six
//! cores with two threads and eight slow ones with one. Without cores it is memory alone: `4:/16`. Settings:
//!
//! - `order=`: how processors are numbered. `split` (by default): all first threads, then all second ones; `adjacent`: the
//!   threads of a core after each other; `robin`: as `split`, but from node to node in turn
//! - `dist=12,32`: distances inside a package and between packages, memory alone as far as that; `dist=10,20/20,10`: the table
//! - `off=3,5`: processors that are switched off; `mask=0-3`: what the process may use; `mems=0`: whose memory
//! - `quota=1.5`: of the cgroup; `l3=no`, `nodes=no`: without caches, without node folders
//! - `kinds=capacity`: slow cores are told by the scheduler's capacity, as on Arm
//! - `tier4=0-1`: nodes of a memory tier
//! - `file=PATH:TEXT`: any file below `/sys/devices/system`, instead of what would be there

use physalia_topology::{CpuSet, Domains, Machine, Plan, Wish, plan, sysfs};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A machine by its line.
pub struct Made {
    pub name: String,
    pub line: String,
    pub machine: Machine,
    pub mask: CpuSet,
}

struct MadeCore {
    node: u32,
    package: u32,
    l3: usize,
    slow: bool,
    threads: u32,
    cpus: Vec<u32>,
}

fn set(text: &str) -> CpuSet {
    text.parse().unwrap_or_else(|e| panic!("{e}"))
}

/// The machine that a line describes.
///
/// # Panics
/// If the line says something else than the notation.
pub fn made(line: &str) -> Made {
    let mut words = line.split_whitespace();
    let name = words.next().expect("a name").to_string();
    let (settings, nodes): (Vec<&str>, Vec<&str>) = words.partition(|word| word.contains('='));
    let settings: Vec<(&str, &str)> = settings.iter().map(|word| word.split_once('=').expect("a setting")).collect();
    let get = |key: &str| settings.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);

    let (mut cores, mut memory, mut package_of) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    let mut caches = 0;
    for word in nodes {
        let (numbers, rest) = word.split_once(':').expect("NUMBERS:CORES");
        let (rest, bytes) = rest.split_once('/').unwrap_or((rest, "64"));
        let (groups, package) = rest.split_once('@').unwrap_or((rest, "0"));
        let package: u32 = package.parse().expect("a package");
        for node in set(numbers).iter() {
            memory.insert(node, bytes.parse::<u64>().expect("GiB"));
            package_of.insert(node, package);
            for group in groups.split('|').filter(|group| !group.is_empty()) {
                caches += 1;
                for part in group.split('+') {
                    let (part, slow) = part.strip_suffix('e').map_or((part, false), |part| (part, true));
                    let (number, threads) = part.split_once('x').unwrap_or((part, "1"));
                    let (number, threads): (u32, u32) =
                        (number.parse().expect("cores"), threads.parse().expect("threads"));
                    let core = || MadeCore { node, package, l3: caches, slow, threads, cpus: vec![] };
                    cores.extend((0..number).map(|_| core()));
                }
            }
        }
    }
    number(&mut cores, get("order").unwrap_or("split"));

    // Some thousands of small files: in memory, where there is such a folder.
    let shared = Path::new("/dev/shm");
    let root = if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() }.unwrap();
    let write = |path: &str, text: String| {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text + "\n").unwrap();
    };
    let system = |path: &str| format!("sys/devices/system/{path}");
    let present: CpuSet = cores.iter().flat_map(|core| core.cpus.iter().copied()).collect();
    let online = present.minus(&get("off").map(set).unwrap_or_default());
    let of = |which: &dyn Fn(&MadeCore) -> bool| -> CpuSet {
        cores
            .iter()
            .filter(|core| which(core))
            .flat_map(|core| core.cpus.iter().copied())
            .collect::<CpuSet>()
            .and(&online)
    };
    write(&system("cpu/present"), present.to_string());
    write(&system("cpu/online"), online.to_string());
    for core in &cores {
        let here = core.cpus.iter().copied().collect::<CpuSet>().and(&online);
        for cpu in here.iter() {
            let folder = |file: &str| system(&format!("cpu/cpu{cpu}/{file}"));
            write(&folder("topology/core_cpus_list"), here.to_string());
            write(&folder("topology/physical_package_id"), core.package.to_string());
            write(&folder("cache/index2/level"), "2".into());
            if get("l3") != Some("no") {
                write(&folder("cache/index3/level"), "3".into());
                write(&folder("cache/index3/shared_cpu_list"), of(&|other| other.l3 == core.l3).to_string());
            }
            if get("kinds") == Some("capacity") {
                write(&folder("cpu_capacity"), if core.slow { "446" } else { "1024" }.into());
            }
        }
    }
    if cores.iter().any(|core| core.slow) && get("kinds").is_none() {
        write("sys/devices/cpu_core/cpus", of(&|core| !core.slow).to_string());
        write("sys/devices/cpu_atom/cpus", of(&|core| core.slow).to_string());
    }
    if get("nodes") != Some("no") {
        let numbers: Vec<u32> = memory.keys().copied().collect();
        write(&system("node/online"), numbers.iter().copied().collect::<CpuSet>().to_string());
        for (i, (&node, gib)) in memory.iter().enumerate() {
            let folder = |file: &str| system(&format!("node/node{node}/{file}"));
            write(&folder("cpulist"), of(&|core| core.node == node).to_string());
            write(&folder("meminfo"), format!("Node {node} MemTotal:  {} kB", gib << 20));
            if let Some(dist) = get("dist") {
                let row = match dist.split_once('/') {
                    Some(_) => dist.split('/').nth(i).expect("a row").replace(',', " "),
                    None => {
                        let (near, far) = dist.split_once(',').expect("NEAR,FAR");
                        let to = |to: &u32| match () {
                            () if *to == node => "10",
                            () if package_of[to] == package_of[&node] => near,
                            () => far,
                        };
                        numbers.iter().map(to).collect::<Vec<_>>().join(" ")
                    }
                };
                write(&folder("distance"), row);
            }
        }
    }
    if let Some(quota) = get("quota") {
        let quota: f64 = quota.parse().expect("a quota");
        write("proc/self/cgroup", "0::/".into());
        write("sys/fs/cgroup/cpu.max", format!("{} 100000", quota * 1e5));
    }
    if let Some(mems) = get("mems") {
        write("proc/self/status", format!("Name:\tx\nMems_allowed_list:\t{mems}"));
    }
    for (key, value) in &settings {
        match key.strip_prefix("tier") {
            Some(tier) => {
                write(&format!("sys/devices/virtual/memory_tiering/memory_tier{tier}/nodelist"), (*value).into())
            }
            None if *key == "file" => {
                let (path, text) = value.split_once(':').expect("PATH:TEXT");
                write(&system(path), text.replace('_', " "));
            }
            None => assert!(
                ["order", "dist", "off", "mask", "mems", "quota", "l3", "nodes", "kinds"].contains(key),
                "{key}={value}"
            ),
        }
    }
    let machine = sysfs::machine(root.path()).expect("a machine");
    let mask = get("mask").map_or(online, set);
    Made { name, line: line.into(), machine: machine.within(&mask), mask }
}

fn number(cores: &mut [MadeCore], order: &str) {
    let mut next = 0..;
    let most = cores.iter().map(|core| core.threads).max().unwrap_or(0);
    match order {
        "adjacent" => cores.iter_mut().for_each(|core| core.cpus = next.by_ref().take(core.threads as usize).collect()),
        "split" | "robin" => {
            let mut turn: Vec<usize> = (0..cores.len()).collect();
            if order == "robin" {
                let place = |i: usize| cores[..i].iter().filter(|core| core.node == cores[i].node).count();
                turn.sort_by_key(|&i| (place(i), i));
            }
            for thread in 0..most {
                for &i in turn.iter().filter(|&&i| cores[i].threads > thread).collect::<Vec<_>>() {
                    cores[i].cpus.extend(next.next());
                }
            }
        }
        other => panic!("order={other}"),
    }
}

/// The plans of all ranks, after what must hold for them has been checked.
///
/// # Panics
/// If it does not hold.
pub fn plans(machine: &Machine, mask: &CpuSet, ranks: u32, wish: &Wish) -> Vec<Plan> {
    let plans: Vec<Plan> = (0..ranks).map(|place| plan(machine, mask, ranks, place, wish)).collect();
    let case = || format!("{ranks} ranks within {mask}, {wish:?}: {plans:?}"); // long: only made to be told
    let node_of: BTreeMap<u32, u32> =
        machine.cores().flat_map(|(d, core)| core.cpus.iter().map(move |cpu| (cpu, machine.domains[d].node))).collect();
    // The places that there are: a thread of each core, or each thread.
    let places: Vec<CpuSet> = machine
        .cores()
        .flat_map(|(_, core)| match wish.smt {
            true => core.cpus.iter().map(|cpu| CpuSet::from_iter([cpu])).collect(),
            false => vec![core.cpus.clone()],
        })
        .collect();
    let mut pinned: Vec<u32> = Vec::new();
    for plan in &plans {
        assert!(!plan.workers.is_empty() && plan.workers[0].domain == 0, "worker 0 is in domain 0: {}", case());
        assert!(plan.workers.is_sorted_by_key(|worker| worker.domain), "workers by domain: {}", case());
        let used: BTreeSet<usize> = plan.workers.iter().map(|worker| worker.domain).collect();
        assert!(used.iter().copied().eq(0..plan.domains.len()), "each domain has workers: {}", case());
        assert!(
            plan.workers.iter().all(|worker| worker.core.is_some() == plan.pinned),
            "all or none is pinned: {}",
            case()
        );
        for worker in plan.workers.iter().filter(|worker| worker.core.is_some()) {
            let (cpu, domain) = (worker.core.unwrap(), &plan.domains[worker.domain]);
            assert!(mask.contains(cpu), "within the mask: {}", case());
            assert!(
                domain.cpus.contains(cpu) && domain.nodes.contains(&node_of[&cpu]),
                "in its own domain: {}",
                case()
            );
            pinned.push(cpu);
        }
        let mut cpus: Vec<u32> =
            plan.domains.iter().flat_map(|domain| domain.cpus.iter().collect::<Vec<_>>()).collect();
        let number = cpus.len();
        cpus.sort_unstable();
        cpus.dedup();
        assert_eq!(cpus.len(), number, "a processor in two domains: {}", case());
        for domain in &plan.domains {
            let on = |node: &u32| domain.cpus.iter().any(|cpu| node_of.get(&cpu) == Some(node));
            assert!(domain.nodes.iter().all(on), "a node of which the rank has no processor: {}", case());
            assert!(!domain.nodes.is_empty() && domain.nodes.is_sorted() && !domain.cpus.is_empty(), "{}", case());
            let of = |node: &u32| machine.domains.iter().any(|domain| domain.node == *node);
            assert!(domain.nodes.iter().all(of), "a node without processors has workers: {}", case());
            assert!(domain.cpus.minus(mask).is_empty(), "a forbidden processor: {}", case());
        }
        for (a, b) in (0..plan.domains.len()).flat_map(|a| (0..plan.domains.len()).map(move |b| (a, b))) {
            let d = plan.distance(a, b);
            assert!(d >= 10 && d == plan.distance(b, a) && (a != b || d == 10), "distances {a} {b}: {}", case());
        }
    }
    let plain = Wish { smt: wish.smt, domains: wish.domains, ..Wish::default() };
    if *wish == plain && machine.quota_cpus.is_none() && ranks as usize <= places.len() {
        assert!(plans.iter().all(|plan| plan.pinned), "{}", case());
        let taken = |place: &CpuSet| pinned.iter().filter(|&&cpu| place.contains(cpu)).count();
        assert!(places.iter().all(|place| taken(place) == 1), "every core once: {}", case());
        assert_eq!(pinned.len(), places.len(), "{}", case());
        // The smallest share is as with equal pieces: in cores, and where there are too few of them in threads.
        let cores = machine.cores().count();
        let has =
            |plan: &Plan, cpus: &CpuSet| plan.workers.iter().any(|w| w.core.is_some_and(|cpu| cpus.contains(cpu)));
        if cores >= ranks as usize {
            let cores_of = |plan: &Plan| machine.cores().filter(|(_, core)| has(plan, &core.cpus)).count();
            let shares: Vec<usize> = plans.iter().map(cores_of).collect();
            assert_eq!(shares.iter().sum::<usize>(), cores, "a core of two ranks: {}", case());
            assert_eq!(shares.into_iter().min(), Some(cores / ranks as usize), "the smallest share: {}", case());
        } else {
            let least = plans.iter().map(Plan::threads).min();
            assert_eq!(least, Some(places.len() / ranks as usize), "the smallest share: {}", case());
        }
    } else {
        let once: BTreeSet<u32> = pinned.iter().copied().collect();
        assert_eq!(once.len(), pinned.len(), "no processor twice: {}", case());
    }
    if ranks as usize > places.len() {
        assert!(plans.iter().all(|plan| !plan.pinned), "more ranks than cores are not pinned: {}", case());
    }
    plans
}

/// All wishes about domains and threads.
pub fn wishes() -> Vec<(&'static str, Wish)> {
    vec![
        ("numa", Wish::default()),
        ("l3", Wish { domains: Domains::L3, ..Wish::default() }),
        ("one", Wish { domains: Domains::One, ..Wish::default() }),
        ("smt", Wish { smt: true, ..Wish::default() }),
    ]
}

/// The text is what the file has, or becomes it where `PHYSALIA_WRITE_GOLDEN` is set.
///
/// # Panics
/// If it differs, with the first line that does.
pub fn golden(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    if std::env::var_os("PHYSALIA_WRITE_GOLDEN").is_some() {
        return std::fs::write(&path, text).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    if known == text {
        return;
    }
    let lines =
        known.lines().chain(std::iter::repeat("(the end)")).zip(text.lines().chain(std::iter::repeat("(the end)")));
    let (number, (was, is)) = (1..).zip(lines).find(|(_, (was, is))| was != is).expect("a line that differs");
    panic!(
        "{file}:{number} differs; PHYSALIA_WRITE_GOLDEN=1 writes it anew, for review\n  it has {was}\n  now is {is}"
    );
}
