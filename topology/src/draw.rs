//! A machine as a small drawing in text, at most 100 columns wide: a box for each package, a line for each NUMA node, the
//! cores of each shared cache in brackets; then memory without cores, what is not there, and distances.

use crate::{Core, CpuSet, Domain, Machine, MemoryNode, Source};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The most columns of a drawing.
const WIDTH: usize = 100;

/// The drawing; lines end in `\n`.
///
/// ```text
/// 1 package, 2 NUMA nodes, 8 cores, 16 processors, seen by sysfs
/// ┌─ package 0 ───────────────────────┐
/// │ node 0  32 GiB  [0-3 +8-11]       │
/// │ node 1  32 GiB  [4-5 +12-13] [6-7 │
/// └───────────────────────────────────┘
/// ```
///
/// `[0-3 +8-11]` are the cores that share an L3, by their first and second hardware threads; `[0-7 2 a core]` the same where
/// threads of a core have neighbouring numbers; `(0-3)` cores of which no shared cache is known; `e` before numbers are slower
/// cores.
pub fn draw(machine: &Machine) -> String {
    let mut text = title(machine) + "\n";
    let packages = |domain: &Domain| domain.cores.iter().filter_map(|core| core.package).collect::<BTreeSet<u32>>();
    let mut boxes: Vec<(BTreeSet<u32>, Vec<&Domain>)> = Vec::new();
    for domain in &machine.domains {
        let packages = packages(domain);
        match boxes.iter_mut().find(|(known, _)| *known == packages) {
            Some((_, domains)) => domains.push(domain),
            None => boxes.push((packages, vec![domain])),
        }
    }
    // All boxes are as wide as the widest, and amounts of memory stand below each other.
    let columns = Columns::of(machine);
    let insides: Vec<(String, Vec<String>)> = boxes
        .into_iter()
        .map(|(packages, domains)| {
            let numbers = packages.iter().copied().collect::<CpuSet>();
            let name = match packages.len() {
                0 => "machine".to_string(),
                1 => format!("package {numbers}"),
                _ => format!("packages {numbers}"),
            };
            (name, domains.iter().flat_map(|domain| columns.node(domain)).collect())
        })
        .collect();
    let width = insides.iter().flat_map(|(_, lines)| lines).map(|line| line.chars().count()).max().unwrap_or(0);
    let width = insides.iter().map(|(name, _)| name.chars().count() + 2).chain([width]).max().unwrap_or(0);
    for (name, lines) in insides {
        writeln!(text, "┌─ {name} {}┐", "─".repeat(width.saturating_sub(name.chars().count() + 1))).ok();
        lines.iter().for_each(|line| text += &format!("│ {line:width$} │\n"));
        writeln!(text, "└{}┘", "─".repeat(width + 2)).ok();
    }
    machine.memories.iter().for_each(|memory| text += &columns.memory(memory, machine));
    if !machine.offline.is_empty() {
        text += &folded(&format!("offline: {}", machine.offline), 2);
    }
    if !machine.forbidden.is_empty() {
        text += &folded(&format!("not for this process: {}", machine.forbidden), 2);
    }
    text + &distances(machine)
}

fn title(machine: &Machine) -> String {
    let many = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let packages: BTreeSet<u32> = machine.cores().filter_map(|(_, core)| core.package).collect();
    let (cores, cpus) = (machine.cores().count(), machine.cores().map(|(_, core)| core.cpus.len()).sum());
    let source = match machine.source {
        Source::Hwloc => "hwloc",
        Source::Sysfs => "/sys",
        Source::Flat => "their number alone",
    };
    let packages = if packages.is_empty() { String::new() } else { many(packages.len(), "package") + ", " };
    let nodes = many(machine.domains.len() + machine.memories.len(), "NUMA node");
    let slow = machine.cores().filter(|(_, core)| core.kind > 0).count();
    let slow = if slow > 0 { format!(" ({slow} slower ones: e)") } else { String::new() };
    format!("{packages}{nodes}, {}{slow}, {}, seen by {source}", many(cores, "core"), many(cpus, "processor"))
}

/// How wide the columns before the cores are.
struct Columns {
    node: usize,
    memory: usize,
}

impl Columns {
    fn of(machine: &Machine) -> Columns {
        let nodes = machine.domains.iter().map(|d| d.node).chain(machine.memories.iter().map(|m| m.node));
        let texts = machine.domains.iter().map(|d| amount(d.memory_bytes, d.memory_kind.as_deref()));
        let more = machine.memories.iter().map(|m| amount(m.bytes, m.kind.as_deref()));
        Columns {
            node: nodes.map(|node| node.to_string().len()).max().unwrap_or(1),
            memory: texts.chain(more).map(|text| text.chars().count()).max().unwrap_or(0),
        }
    }

    fn head(&self, node: u32, memory: &str) -> String {
        let gap = if self.memory > 0 { "  " } else { "" };
        format!("node {node:>0$}{gap}{memory:>1$}  ", self.node, self.memory)
    }

    /// The lines of a node with cores.
    fn node(&self, domain: &Domain) -> Vec<String> {
        let head = self.head(domain.node, &amount(domain.memory_bytes, domain.memory_kind.as_deref()));
        let mut caches: Vec<(Option<u32>, Vec<&Core>)> = Vec::new();
        for core in &domain.cores {
            match caches.iter_mut().find(|(l3, _)| *l3 == core.l3) {
                Some((_, cores)) => cores.push(core),
                None => caches.push((core.l3, vec![core])),
            }
        }
        let groups: Vec<String> = caches
            .iter()
            .map(|(l3, cores)| if l3.is_some() { format!("[{}]", group(cores)) } else { format!("({})", group(cores)) })
            .collect();
        let indent = head.chars().count();
        // A group is not broken if a line can hold it.
        let glue = |group: String| if group.len() + indent + 4 <= WIDTH { group.replace(' ', "\u{a0}") } else { group };
        let groups: Vec<String> = groups.into_iter().map(glue).collect();
        let text = folded_to(&(head + &groups.join(" ")), indent, WIDTH - 4);
        text.lines().map(|line| line.replace('\u{a0}', " ")).collect()
    }

    /// The line of a node without cores, outside of boxes: as far in as those in boxes.
    fn memory(&self, memory: &MemoryNode, machine: &Machine) -> String {
        let head = self.head(memory.node, &amount(memory.bytes, memory.kind.as_deref()));
        let cores = if memory.cpus.is_empty() {
            "no cores".to_string()
        } else {
            format!("cores not for this process: {}", memory.cpus)
        };
        let tier = memory.tier.map_or(String::new(), |tier| format!(", tier {tier}"));
        let far = |d: &Domain| machine.distances.between(memory.node, d.node).map(|far| (far, d.node));
        let near = machine.domains.iter().filter_map(far).collect::<Vec<_>>();
        let least = near.iter().map(|(far, _)| *far).min();
        let near: CpuSet = near.iter().filter(|(far, _)| Some(*far) == least).map(|(_, node)| *node).collect();
        let near = if near.is_empty() || near.len() == machine.domains.len() && near.len() > 1 {
            String::new()
        } else {
            format!(", nearest to node {near}")
        };
        folded(&format!("  {head}{cores}{tier}{near}"), 6)
    }
}

/// `32 GiB HBM`
fn amount(bytes: Option<u64>, kind: Option<&str>) -> String {
    let amount = bytes.map(|bytes| {
        let unit = |shift: u32, name: &str| format!("{} {name}", (bytes + (1 << (shift - 1))) >> shift);
        match bytes {
            0..0x4000_0000 => unit(20, "MiB"),
            0x4000_0000..0x400_0000_0000 => unit(30, "GiB"),
            _ => unit(40, "TiB"),
        }
    });
    amount.into_iter().chain(kind.map(String::from)).collect::<Vec<_>>().join(" ")
}

/// The cores that share a cache, kinds apart.
fn group(cores: &[&Core]) -> String {
    let kinds: BTreeSet<u8> = cores.iter().map(|core| core.kind).collect();
    let of = |&kind: &u8| {
        let cores: Vec<&Core> = cores.iter().filter(|core| core.kind == kind).copied().collect();
        let most = cores.iter().map(|core| core.cpus.len()).max().unwrap_or(0);
        let thread = |t: usize| cores.iter().filter_map(move |core| core.cpus.iter().nth(t)).collect::<CpuSet>();
        let apart = (0..most).map(|t| thread(t).to_string()).collect::<Vec<_>>().join(" +");
        let all: CpuSet = cores.iter().flat_map(|core| core.cpus.iter()).collect();
        let even = cores.iter().all(|core| core.cpus.len() == most);
        let together = format!("{all} {most} a core");
        let text = if most > 1 && even && together.len() < apart.len() { together } else { apart };
        format!("{}{text}", "e".repeat(kind.into()))
    };
    kinds.iter().map(of).collect::<Vec<_>>().join(" · ")
}

/// A table where it fits; else a line for each node, with the nodes at each distance.
fn distances(machine: &Machine) -> String {
    let all = machine.domains.iter().map(|d| d.node).chain(machine.memories.iter().map(|m| m.node));
    let nodes: Vec<u32> = all.collect::<BTreeSet<u32>>().into_iter().collect();
    let far = |a: u32, b: u32| machine.distances.between(a, b);
    let known = nodes.iter().any(|&a| nodes.iter().any(|&b| a != b && far(a, b).is_some()));
    if !known {
        return String::new();
    }
    let mut text = String::new();
    if 4 * nodes.len() + 9 <= WIDTH / 2 {
        let line = |name: &str, cells: Vec<String>| {
            cells.iter().fold(format!("{name:9}"), |line, cell| format!("{line}{cell:>4}")) + "\n"
        };
        text += &line("distances", nodes.iter().map(u32::to_string).collect());
        for &a in &nodes {
            let cell = |&b: &u32| far(a, b).map_or("?".into(), |d| d.to_string());
            text += &line(&format!("{a:>9}"), nodes.iter().map(cell).collect());
        }
    } else {
        text += "distances\n";
        for &a in &nodes {
            let others = || nodes.iter().filter(move |&&b| b != a);
            let steps: BTreeSet<Option<u32>> = others().map(|&b| far(a, b)).collect();
            let step = |step: &Option<u32>| {
                let to: CpuSet = others().filter(|&&b| far(a, b) == *step).copied().collect();
                format!("{} to {to}", step.map_or("?".into(), |d| d.to_string()))
            };
            text += &folded(&format!("  node {a}: {}", steps.iter().map(step).collect::<Vec<_>>().join("; ")), 6);
        }
    }
    text
}

fn folded(line: &str, indent: usize) -> String {
    folded_to(line, indent, WIDTH)
}

/// Where a line may be cut: after blanks, and after commas where nothing glues what they are in.
fn pieces(line: &str) -> impl Iterator<Item = &str> {
    line.split_inclusive(' ').flat_map(|word| {
        let whole = word.contains('\u{a0}') || word.len() < WIDTH / 2;
        word.split_inclusive(move |c: char| c == ',' && !whole)
    })
}

/// A line cut at blanks, and within words at commas, so that none is longer than `width`; what follows is set in.
fn folded_to(line: &str, indent: usize, width: usize) -> String {
    let mut lines = vec![String::new()];
    let mut count = 0;
    for piece in pieces(line) {
        let length = piece.trim_end().chars().count();
        if count > indent && count + length > width {
            lines.push(" ".repeat(indent));
            count = indent;
        }
        lines.last_mut().expect("a line").push_str(piece);
        count += piece.chars().count();
    }
    lines.iter().map(|line| line.trim_end().to_string() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Distances;

    fn node(node: u32, cores: &[&str], l3: Option<u32>) -> Domain {
        let cores = cores.iter().map(|cpus| Core { l3, package: Some(0), ..Core::of(cpus.parse().unwrap()) }).collect();
        Domain { node, cores, memory_bytes: Some(32 << 30), memory_kind: None }
    }

    #[test]
    fn a_machine_is_drawn_with_all_that_it_has() {
        let nodes = vec![node(0, &["0,4", "1,5"], Some(0)), node(1, &["2,6", "3,7"], Some(1))];
        let mut machine = Machine::of(Source::Sysfs, nodes);
        let (kind, tier) = (Some("HBM".into()), Some(3));
        machine.memories = vec![MemoryNode { node: 2, bytes: Some(512 << 20), kind, tier, cpus: CpuSet::default() }];
        let rows = vec![vec![10, 21, 15], vec![21, 10, 30], vec![15, 30, 10]];
        machine.distances = Distances::new(vec![0, 1, 2], rows).unwrap();
        machine.offline = "9".parse().unwrap();
        machine.forbidden = "10-11".parse().unwrap();
        machine.domains[1].cores[1].kind = 1;
        let expected = "\
1 package, 3 NUMA nodes, 4 cores (1 slower ones: e), 8 processors, seen by /sys
┌─ package 0 ──────────────────────────┐
│ node 0       32 GiB  [0-1 +4-5]      │
│ node 1       32 GiB  [2 +6 · e3 +7]  │
└──────────────────────────────────────┘
  node 2  512 MiB HBM  no cores, tier 3, nearest to node 0
offline: 9
not for this process: 10-11
distances   0   1   2
        0  10  21  15
        1  21  10  30
        2  15  30  10
";
        let width = |text: &str| text.replace(['─', ' '], "");
        assert_eq!(width(&draw(&machine)), width(expected), "\n{}", draw(&machine));
    }

    #[test]
    fn boxes_are_closed_and_narrow() {
        let cores: Vec<String> = (0..300).map(|i| (2 * i).to_string()).collect();
        let cores: Vec<&str> = cores.iter().map(String::as_str).collect();
        let drawing =
            draw(&Machine::of(Source::Hwloc, vec![node(0, &cores, None), node(17, &["700", "702,703"], Some(1))]));
        let lines: Vec<&str> = drawing.lines().skip(1).collect();
        let widths: BTreeSet<usize> = lines.iter().map(|line| line.chars().count()).collect();
        assert!(widths.len() == 1 && widths.iter().all(|&w| w <= WIDTH), "{drawing}");
        for cpu in (0..600).step_by(2).chain([700, 702, 703]) {
            let cpu = cpu.to_string();
            assert!(drawing.split(|c: char| !c.is_ascii_digit()).any(|number| number == cpu), "{cpu} in\n{drawing}");
        }
        assert!(drawing.contains("700,702 +703"), "{drawing}");
    }
}
