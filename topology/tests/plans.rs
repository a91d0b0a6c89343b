//! Plans on machines that nobody here owns: made-up ones, with golden tables that are to be reviewed by eye, recorded ones, and
//! random ones.

mod made;

use made::{Made, golden, made, plans, wishes};
#[cfg(feature = "hwloc")]
use physalia_topology::Domains;
use physalia_topology::{CpuSet, Machine, Plan, Wish, draw};
use proptest::prelude::*;
use std::fmt::Write;

/// The lines of a text, cut to at most so many characters at blanks, with what follows set in.
fn folded(line: &str, width: usize) -> String {
    let mut text = String::new();
    let mut length = 0;
    for (i, word) in line.split(' ').enumerate() {
        if i > 0 && length + 1 + word.chars().count() > width {
            text += "\n         ";
            length = 9;
        } else if i > 0 {
            text += " ";
            length += 1;
        }
        text += word;
        length += word.chars().count();
    }
    text + "\n"
}

/// `n0[0-3]`: the workers of a domain on node 0, pinned to 0–3; `n0:4(0-7)`: four workers there, free to move on 0–7.
fn row(plan: &Plan) -> String {
    let domain = |(d, domain): (usize, &physalia_topology::PlanDomain)| {
        let nodes = domain.nodes.iter().copied().collect::<CpuSet>();
        let workers = || plan.workers.iter().filter(|worker| worker.domain == d);
        match plan.pinned {
            true => format!("n{nodes}[{}]", workers().filter_map(|worker| worker.core).collect::<CpuSet>()),
            false => format!("n{nodes}:{}({})", workers().count(), domain.cpus),
        }
    };
    plan.domains.iter().enumerate().map(domain).collect::<Vec<_>>().join(" ")
}

/// The plans of one machine for some numbers of ranks and wishes; a line for ranks one after the other that are alike.
fn table(machine: &Machine, mask: &CpuSet) -> String {
    let mut text = String::new();
    let cores = machine.cores().count() as u32;
    let mut ranks = vec![1, 2, 3, machine.domains.len() as u32];
    ranks.sort_unstable();
    ranks.dedup();
    ranks.push(cores + 1);
    let mut noted = std::collections::BTreeSet::new();
    for (name, wish) in wishes() {
        for &ranks in if name == "numa" { &ranks[..] } else { &[1, 2][..] } {
            let plans = plans(machine, mask, ranks, &wish);
            if ranks > cores {
                let alike = plans.iter().all(|plan| plan.threads() == 1 && plan.domains.len() == 1);
                assert!(alike, "more ranks than cores: {plans:?}");
                continue;
            }
            for (rank, plan) in plans.iter().enumerate() {
                let title = if rank == 0 { format!("{name} {ranks}") } else { String::new() };
                text += &folded(&format!("{title:8} {}", row(plan)), 110);
                if ranks == 1 && name == "numa" && plan.domains.len() > 1 {
                    let far = |a| (0..plan.domains.len()).map(move |b| plan.distance(a, b).to_string());
                    let shown = if plan.domains.len() > 8 { 1 } else { plan.domains.len() };
                    let rows = (0..shown).map(|a| far(a).collect::<Vec<_>>().join(","));
                    text += &folded(&format!("far      {}", rows.collect::<Vec<_>>().join(" ")), 110);
                }
                for note in plan.notes.iter().filter(|note| noted.insert((*note).clone())) {
                    text += &folded(&format!("  note   {note}"), 110);
                }
            }
        }
    }
    text
}

fn machines() -> Vec<Made> {
    let text = include_str!("machines.txt");
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(made).collect()
}

#[test]
fn golden_tables() {
    let machines = machines();
    assert!(machines.len() >= 30, "{}", machines.len());
    let mut text = String::new();
    for Made { line, machine, mask, .. } in &machines {
        writeln!(text, "== {}", line.split_whitespace().collect::<Vec<_>>().join(" ")).unwrap();
        text += &table(machine, mask);
        text += "\n";
    }
    golden("plans.txt", &text);
}

#[test]
fn golden_drawings() {
    let mut text = String::new();
    for Made { name, machine, .. } in &machines() {
        let drawing = draw(machine);
        assert!(drawing.lines().all(|line| line.chars().count() <= 100), "wider than 100:\n{drawing}");
        writeln!(text, "== {name}\n{drawing}").unwrap();
    }
    golden("drawings.txt", &text);
}

/// A line of the notation, for any machine: some nodes with up to three groups, some without cores, some processors switched
/// off, not in the mask, or told by broken files.
fn any_line() -> impl Strategy<Value = String> {
    let part = (1u32..4, 1u32..3, any::<bool>());
    let group = proptest::collection::vec(part, 1..3);
    let node = (proptest::collection::vec(group, 0..3), 0u32..3);
    let settings = (0usize..3, 0usize..4, any::<bool>(), any::<bool>(), any::<u64>(), 0usize..6, any::<bool>());
    (proptest::collection::vec(node, 1..6), settings).prop_map(|(nodes, settings)| {
        let (order, dist, caches, folders, seed, odd, some_mask) = settings;
        let mut line = String::from("random");
        let mut cpus = 0;
        for (number, (groups, package)) in nodes.iter().enumerate() {
            let part = |&(cores, threads, slow): &(u32, u32, bool)| {
                cpus += cores * threads;
                format!("{cores}x{threads}{}", if slow { "e" } else { "" })
            };
            let mut part = part;
            let groups: Vec<String> =
                groups.iter().map(|g| g.iter().map(&mut part).collect::<Vec<_>>().join("+")).collect();
            write!(line, " {}:{}@{package}/4", 2 * number, groups.join("|")).unwrap();
        }
        if cpus == 0 {
            line += " 20:3x2@1/4";
            cpus = 6;
        }
        let some = |step: u64| (0..cpus).filter(move |cpu| (seed >> (u64::from(*cpu) * step % 61)) & 1 == 1);
        let list = |set: CpuSet| if set.is_empty() { "0".to_string() } else { set.to_string() };
        write!(line, " order={}", ["split", "adjacent", "robin"][order]).unwrap();
        line += ["", " dist=12,21", " dist=30,20", " dist=10,10"][dist];
        line += if caches { "" } else { " l3=no" };
        line += if folders { "" } else { " nodes=no" };
        if odd % 2 == 1 && cpus > 2 {
            write!(line, " off={}", list(some(7).filter(|&cpu| cpu > 0).take(cpus as usize / 2).collect())).unwrap();
            line = line.replace(" off=0", "");
        }
        line += ["", "", " file=node/node0/distance:x", " file=node/node2/cpulist:0-2", " mems=0", " mems=2,4"][odd];
        if some_mask && odd % 2 == 0 {
            write!(line, " mask={}", list(some(3).collect())).unwrap();
        }
        line
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, ..ProptestConfig::default() })]

    /// What must hold for every plan holds on any machine, for any number of ranks and any wish.
    #[test]
    fn random_machines(
        line in any_line(),
        ranks in 1u32..30,
        threads in proptest::option::of(1usize..20),
        pin in proptest::option::of(any::<bool>()),
        wish in 0usize..4,
    ) {
        let Made { machine, mask, .. } = made(&line);
        let all: CpuSet = machine.mask();
        prop_assert_eq!(&all, &mask, "{}", line);
        let wish = wishes()[wish].1.clone();
        plans(&machine, &mask, ranks, &wish);
        plans(&machine, &mask, ranks, &Wish { threads, pin, ..wish });
        let drawing = draw(&machine);
        prop_assert!(drawing.lines().all(|line| line.chars().count() <= 100), "{}", drawing);
    }
}

/// Two machines are told alike by both windows.
#[cfg(feature = "hwloc")]
#[test]
fn both_windows_show_the_same() {
    use physalia_topology::hwloc;
    let same = [
        ("pack:2 numa:4 l3:2 core:3 pu:2", "a 0-3:3x2|3x2@0 4-7:3x2|3x2@1 order=adjacent"),
        ("pack:1 numa:1 l3:12 core:8 pu:2", "b 0:8x2|8x2|8x2|8x2|8x2|8x2|8x2|8x2|8x2|8x2|8x2|8x2@0 order=adjacent"),
        ("pack:24 numa:1 l3:1 core:8 pu:2", &{
            let nodes: Vec<String> = (0..24).map(|n| format!("{n}:8x2@{n}")).collect();
            format!("c {} order=adjacent", nodes.join(" "))
        }),
        ("pack:4 numa:1 core:1 pu:1", "d 0:1@0 1:1@1 2:1@2 3:1@3 l3=no"),
        ("numa:1 core:6 pu:1", "e 0:6@0 l3=no"),
    ];
    for (description, line) in same {
        let theirs = hwloc::synthetic(description).unwrap();
        let Made { machine: ours, mask, .. } = made(line);
        assert_eq!(theirs.mask(), mask);
        for (_, wish) in wishes() {
            for ranks in [1, 2, 3, 5, 24, 200] {
                let both = [&theirs, &ours].map(|machine| plans(machine, &mask, ranks, &wish));
                assert_eq!(both[0], both[1], "{description} and {line}: {ranks} ranks, {wish:?}");
            }
        }
    }
}

/// Every file of a folder of hwloc's XML files. `PHYSALIA_TOPOLOGY_TABLES` names a file for their tables and drawings.
#[cfg(feature = "hwloc")]
#[test]
fn recorded_machines() {
    let Ok(folder) = std::env::var("PHYSALIA_TOPOLOGIES") else {
        return eprintln!("skipped: PHYSALIA_TOPOLOGIES names no folder of hwloc's XML files");
    };
    let files = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<_> = files.filter(|p| p.extension().is_some_and(|e| e == "xml")).collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} has no XML files");
    let mut text = String::new();
    for path in files {
        let machine = physalia_topology::hwloc::from_xml(&path).unwrap();
        let mask = machine.mask();
        let cpus: usize = machine.cores().map(|(_, core)| core.cpus.len()).sum();
        assert_eq!(cpus, mask.len(), "{}: a processor on two cores", path.display());
        assert!(machine.domains.iter().all(|domain| !domain.cores.is_empty()), "{}", path.display());
        let cores = machine.cores().count() as u32;
        for (_, wish) in wishes() {
            for ranks in [1, 2, 3, 5, machine.domains.len() as u32, cores - 1, cores, cores + 1] {
                plans(&machine, &mask, ranks.max(1), &wish);
            }
        }
        // Half of the processors, and every third.
        for (step, from) in [(2, 0), (2, 1), (3, 1)] {
            let part: CpuSet = mask.iter().skip(from).step_by(step).collect();
            let seen = machine.clone().within(&part);
            assert_eq!(seen.mask(), part);
            for ranks in [1, 2, 7] {
                plans(&seen, &part, ranks, &Wish { domains: Domains::L3, ..Wish::default() });
                plans(&seen, &part, ranks, &Wish::default());
            }
        }
        let drawing = draw(&machine);
        assert!(drawing.lines().all(|line| line.chars().count() <= 100), "wider than 100:\n{drawing}");
        writeln!(text, "== {}\n{drawing}{}", path.file_stem().unwrap().display(), table(&machine, &mask)).unwrap();
    }
    if let Some(file) = std::env::var_os("PHYSALIA_TOPOLOGY_TABLES") {
        std::fs::write(file, text).unwrap();
    }
}
