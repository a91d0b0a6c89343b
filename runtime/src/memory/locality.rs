//! Where pages lie, compared with where they should.

use physalia_topology::sys::nodes_of;
use std::io;
use std::iter::Sum;

/// How many of a memory's pages lie at home.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Locality {
    /// Pages that were asked for; of 4 KiB on most machines, and a huge page counts as those that it has.
    pub pages: usize,
    /// Those that have been written, so that they lie somewhere.
    pub present: usize,
    /// Those of them that lie on a node of their home.
    pub at_home: usize,
}

impl Locality {
    /// Every `step`-th page, which should be on one of these nodes.
    pub(crate) fn of(memory: &[u8], step: usize, nodes: &[u32]) -> io::Result<Locality> {
        let found = nodes_of(memory, step)?;
        let present = found.iter().flatten();
        Ok(Locality {
            pages: found.len(),
            present: present.clone().count(),
            at_home: present.filter(|node| nodes.contains(node)).count(),
        })
    }

    /// The share of the present pages that lie at home, 0 to 1; 1 if none are present.
    pub fn share(&self) -> f64 {
        if self.present == 0 { 1.0 } else { self.at_home as f64 / self.present as f64 }
    }
}

impl Sum for Locality {
    fn sum<I: Iterator<Item = Locality>>(all: I) -> Locality {
        all.fold(Locality::default(), |a, b| Locality {
            pages: a.pages + b.pages,
            present: a.present + b.present,
            at_home: a.at_home + b.at_home,
        })
    }
}
