//! A fixed binary tree over the blocks of an index range: what makes the order of a reduction independent of who does it.
//!
//! Node (level, index) covers the 2^level blocks from index × 2^level. Its value is its left child's combined with its right
//! child's, or the one that is there where the range has no block under the other. So the value of the whole depends only on
//! the range. A contiguous run of blocks is held as its maximal nodes, at most two a level.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Node<V> {
    pub level: u32,
    pub index: u64,
    pub value: V,
}

impl<V> Node<V> {
    fn begin(&self) -> u64 {
        self.index << self.level
    }

    fn end(&self) -> u64 {
        (self.index + 1) << self.level
    }
}

/// The maximal nodes of a contiguous run of blocks, from left to right.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Nodes<V>(Vec<Node<V>>);

impl<V> Nodes<V> {
    pub(crate) fn new(node: Node<V>) -> Nodes<V> {
        Nodes(vec![node])
    }

    pub(crate) fn begin(&self) -> u64 {
        self.0.first().map_or(0, Node::begin)
    }

    pub(crate) fn end(&self) -> u64 {
        self.0.last().map_or(0, Node::end)
    }

    /// The next node to the right; it must begin where the run ends.
    pub(crate) fn push(&mut self, mut node: Node<V>, op: impl Fn(V, V) -> V) {
        debug_assert!(self.0.is_empty() || node.begin() == self.end());
        while self
            .0
            .last()
            .is_some_and(|left| left.level == node.level && left.index % 2 == 0 && left.index + 1 == node.index)
        {
            let left = self.0.pop().expect("looked at just now");
            node = Node { level: node.level + 1, index: node.index / 2, value: op(left.value, node.value) };
        }
        self.0.push(node);
    }

    /// Runs that follow each other, as one.
    pub(crate) fn joined(runs: Vec<Nodes<V>>, op: impl Fn(V, V) -> V) -> Nodes<V> {
        let mut all = Nodes(Vec::new());
        for run in runs {
            run.0.into_iter().for_each(|node| all.push(node, &op));
        }
        all
    }

    /// The value of the whole, if there is any block.
    pub(crate) fn root(self, op: impl Fn(V, V) -> V) -> Option<V> {
        let mut nodes = self.0;
        // Parents of single children have their value, so lift the lowest node until it has a sibling or is alone.
        while nodes.len() > 1 {
            let lowest = nodes.iter().map(|n| n.level).min().expect("two nodes at least");
            let mut lifted: Vec<Node<V>> = Vec::with_capacity(nodes.len());
            for node in nodes {
                let node = if node.level == lowest {
                    Node { level: node.level + 1, index: node.index / 2, value: node.value }
                } else {
                    node
                };
                match lifted.pop() {
                    Some(left) if (left.level, left.index) == (node.level, node.index) => {
                        lifted.push(Node { value: op(left.value, node.value), ..node });
                    }
                    left => {
                        lifted.extend(left);
                        lifted.push(node);
                    }
                }
            }
            nodes = lifted;
        }
        nodes.pop().map(|n| n.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, in words: the value of a node is its children's, or the only one's.
    fn definition(level: u32, index: u64, blocks: &std::ops::Range<u64>) -> Option<String> {
        if level == 0 {
            return blocks.contains(&index).then(|| index.to_string());
        }
        match (definition(level - 1, 2 * index, blocks), definition(level - 1, 2 * index + 1, blocks)) {
            (Some(a), Some(b)) => Some(format!("({a} {b})")),
            (a, b) => a.or(b),
        }
    }

    #[test]
    fn the_order_depends_on_the_range_alone() {
        let op = |a: String, b: String| format!("({a} {b})");
        for start in 0..9 {
            for end in start..20 {
                let expected = definition(6, 0, &(start..end));
                for parts in 1..6 {
                    let cut = |r: u64| start + (end - start) * r / parts;
                    let run = |r: u64| {
                        let mut nodes = Nodes(Vec::new());
                        (cut(r)..cut(r + 1))
                            .for_each(|b| nodes.push(Node { level: 0, index: b, value: b.to_string() }, op));
                        nodes
                    };
                    let all = Nodes::joined((0..parts).map(run).collect(), op);
                    assert_eq!(all.root(op), expected, "blocks {start}..{end} in {parts} parts");
                }
            }
        }
    }
}
