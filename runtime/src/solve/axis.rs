//! One axis of a level: how wide its cells are, how strongly neighbours are coupled, and how values go to the next coarser axis
//! and back. Pure.
//!
//! A coarser axis has a cell for each pair of cells; of an odd number the last cell goes alone, so any number can be halved, and a
//! coarse cell never reaches beyond its own. Values come back by linear interpolation between the centres of coarse cells, and
//! go up by its transpose, so that a cycle stays symmetric.

use super::elliptic::Wall;

/// The cells along an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    pub walls: [Wall; 2],
    pub widths: Vec<f64>,
}

/// How values go between an axis and the next coarser one, which may be the same.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ties {
    /// Fine cells of a coarse one: 1 or 2.
    pub factor: u64,
    /// Of each fine cell: the weight of the coarse cell that has it, and of the next one on its side.
    pub back: Vec<[f64; 2]>,
    /// Of each coarse cell: the weights of four fine cells, from `factor` × coarse − 1 on.
    pub up: Vec<[f64; 4]>,
    /// As `up`, of the mean over its own cells.
    pub mean: Vec<[f64; 4]>,
}

impl Axis {
    pub(super) fn uniform(cells: u64, length: f64, walls: [Wall; 2]) -> Axis {
        Axis { walls, widths: vec![length / cells as f64; cells as usize] }
    }

    pub(super) fn len(&self) -> usize {
        self.widths.len()
    }

    fn periodic(&self) -> bool {
        self.walls[0] == Wall::Periodic
    }

    /// The coupling of each cell to the one before, and to the one behind: 1 / (own width × distance). A wall that has a value
    /// is half a cell away; through others nothing goes. One cell around a periodic axis is not coupled to itself.
    pub(super) fn couplings(&self) -> [Vec<f64>; 2] {
        let (w, n) = (&self.widths, self.len());
        let at_wall = |wall: Wall, i: usize, around: usize| match wall {
            Wall::Dirichlet => 2.0 / (w[i] * w[i]),
            Wall::Neumann => 0.0,
            Wall::Periodic if n == 1 => 0.0,
            Wall::Periodic => 2.0 / (w[i] * (w[i] + w[around])),
        };
        let between = |i: usize, other: usize| 2.0 / (w[i] * (w[i] + w[other]));
        let lower = (0..n).map(|i| if i == 0 { at_wall(self.walls[0], 0, n - 1) } else { between(i, i - 1) });
        let upper = (0..n).map(|i| if i == n - 1 { at_wall(self.walls[1], i, 0) } else { between(i, i + 1) });
        [lower.collect(), upper.collect()]
    }

    /// Half as many cells.
    pub(super) fn coarse(&self) -> Axis {
        Axis { walls: self.walls, widths: self.widths.chunks(2).map(|pair| pair.iter().sum()).collect() }
    }

    /// Ties to the coarser axis.
    pub(super) fn ties(&self) -> Ties {
        let (fine, coarse) = (&self.widths, self.coarse().widths);
        let (n, m) = (fine.len(), coarse.len());
        let back: Vec<[f64; 2]> = (0..n)
            .map(|i| {
                let (j, first) = (i / 2, i % 2 == 0);
                let off = (coarse[j] - fine[i]) / 2.0; // between the centres; 0 of one that goes alone
                let next = if first { j.checked_sub(1) } else { Some(j + 1).filter(|&next| next < m) };
                let (wall, around) = if first { (self.walls[0], m - 1) } else { (self.walls[1], 0) };
                let apart = |next: usize| (coarse[j] + coarse[next]) / 2.0;
                let share = match (next, wall) {
                    (Some(next), _) => off / apart(next),
                    (None, Wall::Periodic) if m > 1 => off / apart(around),
                    (None, Wall::Dirichlet) => return [1.0 - off / (coarse[j] / 2.0), 0.0],
                    (None, _) => 0.0,
                };
                [1.0 - share, share]
            })
            .collect();
        let wraps = self.periodic() && m > 1;
        let part = |i: usize, j: usize, which: usize| back[i][which] * fine[i] / coarse[j];
        let up = |j: usize| {
            let (begin, end) = (2 * j, (2 * j + 2).min(n));
            let mut weights = [0.0; 4];
            (begin..end).for_each(|i| weights[i - begin + 1] = part(i, j, 0));
            if begin > 0 {
                weights[0] = part(begin - 1, j, 1);
            } else if wraps {
                weights[0] = part(n - 1, j, 1);
            }
            if end < n {
                weights[end - begin + 1] = part(end, j, 1);
            } else if wraps {
                weights[end - begin + 1] = part(0, j, 1);
            }
            weights
        };
        let mean = |j: usize| {
            let own = |i: usize| if i < n { fine[i] / coarse[j] } else { 0.0 };
            [0.0, own(2 * j), own(2 * j + 1), 0.0]
        };
        Ties { factor: 2, up: (0..m).map(up).collect(), mean: (0..m).map(mean).collect(), back }
    }

    /// Ties to itself.
    pub(super) fn same(&self) -> Ties {
        Ties::same(self.len())
    }
}

impl Ties {
    pub(super) fn same(cells: usize) -> Ties {
        let own = vec![[0.0, 1.0, 0.0, 0.0]; cells];
        Ties { factor: 1, back: vec![[1.0, 0.0]; cells], up: own.clone(), mean: own }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALLS: [[Wall; 2]; 4] = [
        [Wall::Dirichlet, Wall::Dirichlet],
        [Wall::Neumann, Wall::Neumann],
        [Wall::Dirichlet, Wall::Neumann],
        [Wall::Periodic, Wall::Periodic],
    ];

    /// What goes up is the transpose of what comes back, by the cells' widths: for all fine e_i and coarse e_j.
    #[test]
    fn up_is_the_transpose_of_back() {
        for walls in WALLS {
            for n in 2..14u64 {
                let mut axis = Axis::uniform(n, 1.7, walls);
                while axis.len() > 1 {
                    let (coarse, ties) = (axis.coarse(), axis.ties());
                    let (n, m) = (axis.len(), coarse.len());
                    let mut dense = vec![vec![0.0; m]; n];
                    for (i, row) in dense.iter_mut().enumerate() {
                        let j = i / 2;
                        let next = if i % 2 == 0 { (j + m - 1) % m } else { (j + 1) % m };
                        row[j] += ties.back[i][0];
                        row[next] += ties.back[i][1];
                    }
                    let mut up = vec![vec![0.0; n]; m];
                    for (j, row) in up.iter_mut().enumerate() {
                        for (k, &weight) in ties.up[j].iter().enumerate().filter(|(_, w)| **w != 0.0) {
                            let at = (2 * j + k) as i64 - 1;
                            assert!((-1..=n as i64).contains(&at), "beyond the halo");
                            row[at.rem_euclid(n as i64) as usize] += weight;
                        }
                        assert!((ties.mean[j].iter().sum::<f64>() - 1.0).abs() < 1e-14);
                    }
                    for i in 0..n {
                        for j in 0..m {
                            let (a, b) = (dense[i][j] * axis.widths[i], up[j][i] * coarse.widths[j]);
                            assert!((a - b).abs() < 1e-14, "{walls:?}, {n} cells: {a} and {b} at {i}, {j}");
                        }
                    }
                    // Constants come back as such, where walls let them.
                    let kept = !walls.contains(&Wall::Dirichlet);
                    assert!(!kept || dense.iter().all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-14));
                    axis = coarse;
                }
            }
        }
    }

    #[test]
    fn couplings_are_symmetric_by_widths() {
        for walls in WALLS {
            for n in 1..9u64 {
                let axis = Axis::uniform(n, 1.0, walls).coarse();
                let [lower, upper] = axis.couplings();
                for i in 1..axis.len() {
                    let (a, b) = (lower[i] * axis.widths[i], upper[i - 1] * axis.widths[i - 1]);
                    assert!((a - b).abs() <= 1e-13 * a);
                }
                let around = (lower[0] * axis.widths[0], upper[axis.len() - 1] * axis.widths[axis.len() - 1]);
                assert!(walls[0] != Wall::Periodic || (around.0 - around.1).abs() <= 1e-13 * around.0);
            }
        }
    }
}
