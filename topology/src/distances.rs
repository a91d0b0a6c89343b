//! How far NUMA nodes are from each other, in the firmware's unit: 10 is a node's own memory, 20 is twice as long a way.

use serde::{Deserialize, Serialize};

/// A node's distance to itself.
pub const LOCAL: u32 = 10;
/// What stands for a distance that nobody tells.
pub const UNKNOWN: u32 = 20;

/// Distances between NUMA nodes, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distances {
    /// The system's numbers of the nodes, in the order of rows and columns.
    nodes: Vec<u32>,
    /// From each node, to each; 0 where it is not known.
    rows: Vec<Vec<u32>>,
}

impl Distances {
    /// Distances from each node (a row) to each; `None` if that is no square, or a node is there twice.
    pub fn new(nodes: Vec<u32>, rows: Vec<Vec<u32>>) -> Option<Distances> {
        let n = nodes.len();
        let square = rows.len() == n && rows.iter().all(|row| row.len() == n);
        let once = (1..n).all(|i| !nodes[..i].contains(&nodes[i]));
        (square && once).then_some(Distances { nodes, rows })
    }

    /// The nodes that are spoken of, in the order of the table.
    pub fn nodes(&self) -> &[u32] {
        &self.nodes
    }

    /// Between two nodes, the larger of the two directions: 10 for one and the same, `None` if neither direction is
    /// known. Less than 10 is not believed: firmware has no such distances.
    pub fn between(&self, a: u32, b: u32) -> Option<u32> {
        if a == b {
            return Some(LOCAL);
        }
        let at = |node| self.nodes.iter().position(|&n| n == node);
        let (a, b) = (at(a)?, at(b)?);
        [self.rows[a][b], self.rows[b][a]].into_iter().filter(|&d| d >= LOCAL).max()
    }

    /// Between two sets of nodes: the least between one of these and one of those; 20 if none is known.
    pub fn least(&self, these: &[u32], those: &[u32]) -> u32 {
        let pairs = these.iter().flat_map(|&a| those.iter().map(move |&b| (a, b)));
        pairs.filter_map(|(a, b)| self.between(a, b)).min().unwrap_or(UNKNOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_direction_counts_and_nonsense_does_not() {
        let table = Distances::new(vec![0, 3, 4], vec![vec![10, 21, 0], vec![31, 10, 9], vec![17, 255, 10]]).unwrap();
        assert_eq!((table.between(0, 3), table.between(3, 0)), (Some(31), Some(31)));
        assert_eq!((table.between(0, 4), table.between(3, 4)), (Some(17), Some(255)));
        assert_eq!((table.between(7, 7), table.between(0, 7)), (Some(LOCAL), None));
        assert_eq!((table.least(&[0, 3], &[4]), table.least(&[0], &[7]), table.least(&[0, 7], &[7])), (17, 20, 10));
    }

    #[test]
    fn only_squares_are_tables() {
        assert!(Distances::new(vec![0, 1], vec![vec![10, 20]]).is_none());
        assert!(Distances::new(vec![0, 1], vec![vec![10], vec![20, 10]]).is_none());
        assert!(Distances::new(vec![1, 1], vec![vec![10, 20], vec![20, 10]]).is_none());
        assert_eq!(Distances::new(vec![], vec![]), Some(Distances::default()));
    }
}
