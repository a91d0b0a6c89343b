//! A job's layout in one line: `2 ranks × 1 domain × 4 workers on 1 host`.

use crate::agree::Placed;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// How many ranks a job has, on how many hosts, and how many domains and workers they have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Ranks of the job.
    pub ranks: u32,
    /// Different machines.
    pub hosts: u32,
    /// Domains of a rank: the fewest and the most.
    pub domains: [u32; 2],
    /// Workers of a rank in a domain: the fewest and the most.
    pub workers: [u32; 2],
    /// Workers of all ranks.
    pub all_workers: u64,
}

impl Layout {
    /// The layout of ranks of which each tells this.
    pub(crate) fn of(placed: &[Placed]) -> Layout {
        let ends = |numbers: &mut dyn Iterator<Item = u32>| {
            let (least, most) = numbers.fold((u32::MAX, 0), |(least, most), n| (least.min(n), most.max(n)));
            [least.min(most), most]
        };
        let workers = || placed.iter().flat_map(|placed| placed.workers.iter().copied());
        Layout {
            ranks: placed.len() as u32,
            hosts: placed.iter().map(|placed| &placed.host).collect::<BTreeSet<_>>().len() as u32,
            domains: ends(&mut placed.iter().map(|placed| placed.workers.len() as u32)),
            workers: ends(&mut workers()),
            all_workers: workers().map(u64::from).sum(),
        }
    }
}

/// `2 ranks × 1 domain × 4 workers on 1 host`; where ranks or domains differ, from the fewest to the most, and how many workers
/// there are: `3 ranks × 1–2 domains × 2–4 workers (10 in all) on 2 hosts`.
impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let many = |[least, most]: [u32; 2], what: &str| {
            let from = if least < most { format!("{least}–") } else { String::new() };
            format!("{from}{most} {what}{}", if most == 1 { "" } else { "s" })
        };
        let ranks = many([self.ranks; 2], "rank");
        let (domains, workers) = (many(self.domains, "domain"), many(self.workers, "worker"));
        let even = self.domains[0] == self.domains[1] && self.workers[0] == self.workers[1];
        let all = if even { String::new() } else { format!(" ({} in all)", self.all_workers) };
        write!(f, "{ranks} × {domains} × {workers}{all} on {}", many([self.hosts; 2], "host"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_says_all() {
        let of = |ranks: &[(&str, &[u32])]| {
            let placed = |(host, workers): &(&str, &[u32])| Placed {
                host: (*host).into(),
                workers: workers.to_vec(),
                pins: vec![],
            };
            Layout::of(&ranks.iter().map(placed).collect::<Vec<_>>()).to_string()
        };
        assert_eq!(of(&[("a", &[4]), ("a", &[4])]), "2 ranks × 1 domain × 4 workers on 1 host");
        assert_eq!(of(&[("a", &[1])]), "1 rank × 1 domain × 1 worker on 1 host");
        assert_eq!(of(&[("a", &[2, 3])]), "1 rank × 2 domains × 2–3 workers (5 in all) on 1 host");
        let uneven = of(&[("a", &[4, 2]), ("b", &[4])]);
        assert_eq!(uneven, "2 ranks × 1–2 domains × 2–4 workers (10 in all) on 2 hosts");
    }
}
