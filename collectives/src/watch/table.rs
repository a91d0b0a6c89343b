//! The roll-call as a table: equal lines of many ranks are one, so that it can be read with ten thousand ranks.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;

/// What a rank is doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum What {
    /// In a call; for how many seconds, the least and the most of the ranks of the line.
    Waits { call: String, seconds: [f64; 2] },
    /// In no call that lasts; the phase may be empty.
    Computes { phase: String },
    /// It has said goodbye.
    Left,
    /// Its process is gone.
    Gone,
    /// It did not answer in time: stopped, or without a processor; or its host is not heard of, for so many seconds (or 0).
    Silent { host: u64 },
    /// It never connected.
    Unseen,
}

/// Ranks that do the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) what: What,
    pub(super) ranks: Vec<u32>,
}

impl Line {
    pub(super) fn new(what: What, ranks: impl IntoIterator<Item = u32>) -> Line {
        Line { what, ranks: ranks.into_iter().collect() }
    }

    /// What must be equal for two lines to be one, and its place in the table.
    fn key(&self) -> (u8, u64, &str) {
        match &self.what {
            What::Gone => (0, 0, ""),
            What::Computes { phase } => (1, 0, phase),
            What::Silent { host } => (2, *host, ""),
            What::Unseen => (3, 0, ""),
            What::Left => (4, 0, ""),
            What::Waits { call, .. } => (5, 0, call),
        }
    }
}

/// Equal lines become one. Those that the others may be waiting for come first.
pub(super) fn merge(lines: impl IntoIterator<Item = Line>) -> Vec<Line> {
    let mut merged: BTreeMap<(u8, u64, String), Line> = BTreeMap::new();
    for line in lines.into_iter().filter(|line| !line.ranks.is_empty()) {
        let (place, time, text) = line.key();
        let key = (place, time, text.to_string());
        match merged.get_mut(&key) {
            None => {
                merged.insert(key, line);
            }
            Some(before) => {
                before.ranks.extend(line.ranks);
                if let (What::Waits { seconds: [a, b], .. }, What::Waits { seconds: [c, d], .. }) =
                    (&mut before.what, &line.what)
                {
                    (*a, *b) = (a.min(*c), b.max(*d));
                }
            }
        }
    }
    merged.into_values().collect()
}

/// One line for people. `who` tells host and process of a rank, where they are known.
pub(super) fn text(line: &Line, who: impl Fn(u32) -> Option<String>) -> String {
    let (one, mut said) = (line.ranks.len() == 1, names(&line.ranks));
    if let (true, Some(who)) = (one, line.ranks.first().and_then(|&r| who(r))) {
        write!(said, " {who}").ok();
    }
    let verb = |single: &'static str, many: &'static str| if one { single } else { many };
    match &line.what {
        What::Waits { call, seconds: [least, most] } => {
            let (least, most) = (format!("{least:.1}"), format!("{most:.1}"));
            let time = if least == most { most } else { format!("{least} to {most}") };
            write!(said, " {} {time} s in {call}", verb("waits", "wait"))
        }
        What::Computes { phase } => {
            let phase = if phase.is_empty() { String::new() } else { format!(" in phase {phase:?}") };
            write!(said, " {} computing{phase}", verb("is", "are"))
        }
        What::Left => write!(said, " {} at the end", verb("is", "are")),
        What::Gone => write!(said, " {} gone", verb("is", "are")),
        What::Silent { host } => {
            let why = match host {
                0 => "stopped?".into(),
                _ => format!("not heard of for {host} s"),
            };
            write!(said, " {} not answer ({why})", verb("does", "do"))
        }
        What::Unseen => write!(said, " {} not connected, so nothing is known", verb("is", "are")),
    }
    .ok();
    said
}

/// `rank 3`, or `ranks 1-63, 70`; no more than so many ranges.
pub(super) fn names(ranks: &[u32]) -> String {
    const TOLD: usize = 16;
    let mut sorted = ranks.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for &rank in &sorted {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == rank => *last = rank,
            _ => ranges.push((rank, rank)),
        }
    }
    let one = |&(a, b): &(u32, u32)| if a == b { a.to_string() } else { format!("{a}-{b}") };
    let told: Vec<String> = ranges.iter().take(TOLD).map(one).collect();
    let rest: u32 = ranges.iter().skip(TOLD).map(|(a, b)| b - a + 1).sum();
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{} {}{more}", if sorted.len() == 1 { "rank" } else { "ranks" }, told.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(call: &str, seconds: f64, ranks: impl IntoIterator<Item = u32>) -> Line {
        Line::new(What::Waits { call: call.into(), seconds: [seconds; 2] }, ranks)
    }

    fn computes(phase: &str, rank: u32) -> Line {
        Line::new(What::Computes { phase: phase.into() }, [rank])
    }

    #[test]
    fn equal_lines_of_many_ranks_are_one() {
        let lines = (1..10_000).map(|r| waits("barrier of ()", 60.0 + f64::from(r % 3), [r]));
        let lines = merge(lines.chain([computes("count", 0), Line::new(What::Gone, [])]));
        let who = |rank| Some(format!("on n{rank} (process 7)"));
        let said: Vec<String> = lines.iter().map(|line| text(line, who)).collect();
        assert_eq!(
            said,
            [
                "rank 0 on n0 (process 7) is computing in phase \"count\"",
                "ranks 1-9999 wait 60.0 to 62.0 s in barrier of ()"
            ]
        );
    }

    #[test]
    fn different_lines_stay_apart() {
        let two = [computes("", 2), computes("read", 0), computes("", 1), waits("a", 1.0, [3]), waits("b", 1.0, [4])];
        let said: Vec<String> = merge(two).iter().map(|line| text(line, |_| None)).collect();
        assert_eq!(
            said,
            [
                "ranks 1-2 are computing",
                "rank 0 is computing in phase \"read\"",
                "rank 3 waits 1.0 s in a",
                "rank 4 waits 1.0 s in b"
            ]
        );
    }

    #[test]
    fn ranks_are_named_by_ranges() {
        assert_eq!(names(&[5, 4, 9, 1, 4]), "ranks 1, 4-5, 9");
        assert_eq!(names(&[7]), "rank 7");
        let odd: Vec<u32> = (0..100).map(|i| 2 * i + 1).collect();
        assert!(names(&odd).ends_with("29, 31 and 84 more"), "{}", names(&odd));
    }
}
