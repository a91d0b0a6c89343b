//! Sets of processors by their numbers, in Linux's list format (`0-3,8`), as in `/sys` and `taskset -c`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// A set of logical processors (hardware threads), by the system's numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct CpuSet(BTreeSet<u32>);

/// No larger number than this is believed: no machine has as many, and a typing error must not fill the memory.
const MOST: u32 = 1 << 20;

/// A text that is no list of processors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadCpuList(String);

impl fmt::Display for BadCpuList {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:?} is no list of processors like 0-3,8", self.0)
    }
}

impl std::error::Error for BadCpuList {}

impl CpuSet {
    /// Whether it has this processor.
    pub fn contains(&self, cpu: u32) -> bool {
        self.0.contains(&cpu)
    }

    /// How many processors it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The processors in ascending order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u32> + '_ {
        self.0.iter().copied()
    }

    /// The lowest processor.
    pub fn first(&self) -> Option<u32> {
        self.0.first().copied()
    }

    /// The highest processor.
    pub fn last(&self) -> Option<u32> {
        self.0.last().copied()
    }

    /// The processors that are in both.
    pub fn and(&self, other: &CpuSet) -> CpuSet {
        CpuSet(&self.0 & &other.0)
    }

    /// The processors that are in either.
    pub fn or(&self, other: &CpuSet) -> CpuSet {
        CpuSet(&self.0 | &other.0)
    }

    /// The processors that are not in `other`.
    pub fn minus(&self, other: &CpuSet) -> CpuSet {
        CpuSet(&self.0 - &other.0)
    }
}

impl FromIterator<u32> for CpuSet {
    fn from_iter<I: IntoIterator<Item = u32>>(cpus: I) -> CpuSet {
        CpuSet(cpus.into_iter().collect())
    }
}

impl From<CpuSet> for String {
    fn from(set: CpuSet) -> String {
        set.to_string()
    }
}

impl TryFrom<String> for CpuSet {
    type Error = BadCpuList;

    fn try_from(text: String) -> Result<CpuSet, BadCpuList> {
        text.parse()
    }
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mut rest = self.iter().peekable();
        let mut comma = "";
        while let Some(first) = rest.next() {
            let mut last = first;
            while rest.peek() == Some(&(last + 1)) {
                last = rest.next().expect("peeked");
            }
            if first == last {
                write!(f, "{comma}{first}")?
            } else {
                write!(f, "{comma}{first}-{last}")?
            }
            comma = ",";
        }
        Ok(())
    }
}

impl FromStr for CpuSet {
    type Err = BadCpuList;

    fn from_str(text: &str) -> Result<CpuSet, BadCpuList> {
        let bad = || BadCpuList(text.chars().take(80).collect());
        let number = |s: &str| s.trim().parse::<u32>().ok().filter(|&n| n < MOST).ok_or_else(bad);
        let mut cpus = BTreeSet::new();
        for range in text.trim().split(',').filter(|r| !r.trim().is_empty()) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(bad());
            }
            cpus.extend(first..=last);
        }
        Ok(CpuSet(cpus))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_are_read_and_refused() {
        let set: CpuSet = " 0-3,8, 10-11\n".parse().unwrap();
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 1, 2, 3, 8, 10, 11]);
        assert_eq!(set.to_string(), "0-3,8,10-11");
        assert!("".parse::<CpuSet>().unwrap().is_empty());
        for bad in ["x", "3-1", "1-", "-1", "0-99999999999", "4294967295", "1;2"] {
            assert!(bad.parse::<CpuSet>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(cpus in proptest::collection::btree_set(0u32..3000, 0..200)) {
            let set = CpuSet(cpus);
            prop_assert_eq!(set.to_string().parse::<CpuSet>().unwrap(), set);
        }
    }
}
