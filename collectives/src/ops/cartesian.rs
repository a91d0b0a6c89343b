//! Ranks as the points of a grid. Pure: numbers in, numbers out, the same on every rank.
//!
//! The order is row-major, as MPI's: the last axis runs fastest, so on a grid of 2 × 3 the ranks are (0,0) (0,1) (0,2) (1,0)
//! (1,1) (1,2). An axis is *periodic* if its two ends are neighbours; else it has walls there, with no neighbour behind.

/// A grid of ranks, of any number of axes.
///
/// ```
/// use physalia_collectives::Cartesian;
/// let grid = Cartesian::new(&Cartesian::balanced(6, 2), &[false, true]);
/// assert_eq!(grid.dims(), [3, 2]);
/// assert_eq!(grid.coords(5), [2, 1]);
/// assert_eq!(grid.rank_at(&[2, -1]), Some(5)); // around the periodic axis
/// assert_eq!(grid.shift(5, 0, 1), (Some(3), None)); // from below; above is a wall
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "MPI_Cart_create")]
pub struct Cartesian {
    dims: Vec<u32>,
    periodic: Vec<bool>,
}

impl Cartesian {
    /// A grid of these extents, each axis periodic or not. Without any axis it is one point.
    ///
    /// # Panics
    /// If there is not one answer for each axis, an extent is 0, or there are more points than a `u32` counts.
    #[track_caller]
    pub fn new(dims: &[u32], periodic: &[bool]) -> Cartesian {
        assert_eq!(dims.len(), periodic.len(), "extents, and whether each axis is periodic");
        assert!(!dims.contains(&0), "a grid of {dims:?} ranks");
        assert!(dims.iter().try_fold(1u32, |n, &d| n.checked_mul(d)).is_some(), "a grid of {dims:?} ranks");
        Cartesian { dims: dims.into(), periodic: periodic.into() }
    }

    /// Extents of a grid of exactly `ranks` points that is as near to a cube as can be: the largest extent is the smallest
    /// possible, then the next one, and so on. Never increasing. A prime number of ranks gives a line.
    ///
    /// # Panics
    /// If `ranks` is 0, or more than 1 on no axis.
    #[track_caller]
    #[doc(alias = "MPI_Dims_create")]
    pub fn balanced(ranks: u32, axes: usize) -> Vec<u32> {
        assert!(ranks > 0 && (axes > 0 || ranks == 1), "{ranks} ranks on {axes} axes");
        let mut divisors: Vec<u32> = (1..=ranks.isqrt()).filter(|d| ranks.is_multiple_of(*d)).collect();
        divisors.extend(divisors.clone().iter().rev().map(|d| ranks / d));
        divisors.dedup(); // the root of a square
        let mut dims = Vec::with_capacity(axes);
        let found = factors(ranks, axes, ranks, &divisors, &mut dims);
        assert!(found, "one extent can take all ranks");
        dims
    }

    /// The extents.
    pub fn dims(&self) -> &[u32] {
        &self.dims
    }

    /// Which axes are periodic.
    pub fn periodic(&self) -> &[bool] {
        &self.periodic
    }

    /// The number of axes.
    pub fn axes(&self) -> usize {
        self.dims.len()
    }

    /// The number of ranks.
    pub fn size(&self) -> u32 {
        self.dims.iter().product()
    }

    /// Where a rank is: on each axis from 0 to below the extent. (Signed, so that a neighbour is a sum away.)
    ///
    /// # Panics
    /// If there is no such rank.
    #[track_caller]
    #[doc(alias = "MPI_Cart_coords")]
    pub fn coords(&self, rank: u32) -> Vec<i64> {
        assert!(rank < self.size(), "rank {rank} of a grid of {:?}", self.dims);
        let mut rest = rank;
        let mut coords: Vec<i64> = self.dims.iter().rev().map(|&d| (i64::from(rest % d), rest /= d).0).collect();
        coords.reverse();
        coords
    }

    /// The rank at these coordinates, which go around on periodic axes; `None` behind a wall.
    ///
    /// # Panics
    /// If there is not one coordinate for each axis.
    #[track_caller]
    #[doc(alias = "MPI_Cart_rank")]
    pub fn rank_at(&self, coords: &[i64]) -> Option<u32> {
        assert_eq!(coords.len(), self.axes(), "coordinates, one for each axis");
        coords.iter().zip(&self.dims).zip(&self.periodic).try_fold(0, |rank, ((&at, &extent), &periodic)| {
            let within = if periodic { at.rem_euclid(extent.into()) } else { at };
            (0..i64::from(extent)).contains(&within).then(|| rank * extent + within as u32)
        })
    }

    /// Of a shift of everybody's data by `steps` along an axis: from which rank `rank` receives, and to which it sends.
    ///
    /// # Panics
    /// If there is no such rank or axis.
    #[track_caller]
    #[doc(alias = "MPI_Cart_shift")]
    pub fn shift(&self, rank: u32, axis: usize, steps: i64) -> (Option<u32>, Option<u32>) {
        let coords = self.coords(rank);
        assert!(axis < self.axes(), "axis {axis} of {}", self.axes());
        let extent = i64::from(self.dims[axis]);
        let steps = if self.periodic[axis] { steps.rem_euclid(extent) } else { steps };
        let moved = |at: Option<i64>| {
            let mut there = coords.clone();
            there[axis] = at?;
            self.rank_at(&there)
        };
        (moved(coords[axis].checked_sub(steps)), moved(coords[axis].checked_add(steps)))
    }

    /// The neighbours of a rank: below and above on the first axis, then on the next; entry 2 × axis is below, 2 × axis + 1
    /// above. `None` at a wall. On a periodic axis of extent 2 both are one rank, of extent 1 both are the rank itself.
    ///
    /// # Panics
    /// If there is no such rank.
    #[track_caller]
    pub fn neighbours(&self, rank: u32) -> Vec<Option<u32>> {
        (0..self.axes()).flat_map(|axis| <[_; 2]>::from(self.shift(rank, axis, 1))).collect()
    }
}

/// Appends `axes` factors of `n` to `dims`, none above `most` nor above its forerunner; of all such lists the first by order.
fn factors(n: u32, axes: usize, most: u32, divisors: &[u32], dims: &mut Vec<u32>) -> bool {
    if axes == 0 {
        return n == 1;
    }
    // The largest of `axes` factors is their geometric mean at least.
    let reaches = |d: u32| u64::from(d).checked_pow(axes as u32).is_none_or(|all| all >= n.into());
    for &first in divisors.iter().filter(|&&d| d <= most && n.is_multiple_of(d) && reaches(d)) {
        dims.push(first);
        if factors(n / first, axes - 1, first, divisors, dims) {
            return true;
        }
        dims.pop();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All never increasing lists of `axes` factors of `n`.
    fn lists(n: u32, axes: usize, most: u32) -> Vec<Vec<u32>> {
        if axes == 0 {
            return if n == 1 { vec![vec![]] } else { vec![] };
        }
        let with = |d: u32| lists(n / d, axes - 1, d).into_iter().map(move |rest| [vec![d], rest].concat());
        (1..=n.min(most)).filter(|d| n.is_multiple_of(*d)).flat_map(with).collect()
    }

    #[test]
    fn balanced_is_the_least_of_all() {
        for ranks in 1..=130 {
            for axes in 1..=4 {
                let least = lists(ranks, axes, ranks).into_iter().min();
                assert_eq!(Some(Cartesian::balanced(ranks, axes)), least, "{ranks} on {axes}");
            }
        }
        assert_eq!(Cartesian::balanced(1, 0), [0; 0]);
        assert_eq!(Cartesian::balanced(4096, 3), [16, 16, 16]);
        assert_eq!(Cartesian::balanced(u32::MAX, 2), [65537, 65535]);
        assert_eq!(Cartesian::balanced(2_147_483_647, 3), [2_147_483_647, 1, 1]); // a prime
        assert_eq!(Cartesian::balanced(735_134_400, 6).iter().product::<u32>(), 735_134_400);
    }

    #[test]
    fn coordinates_and_ranks_are_one_to_one() {
        for (dims, periodic) in [
            (vec![], vec![]),
            (vec![5], vec![true]),
            (vec![2, 3], vec![false, true]),
            (vec![3, 1, 2, 2], vec![true, true, false, true]),
        ] {
            let grid = Cartesian::new(&dims, &periodic);
            let mut rank = 0;
            let mut at = vec![0; dims.len()];
            loop {
                assert_eq!(grid.coords(rank), at);
                assert_eq!(grid.rank_at(&at), Some(rank));
                // The next point, by counting with the last axis fastest.
                let Some(axis) = (0..dims.len()).rev().find(|&a| at[a] + 1 < i64::from(dims[a])) else { break };
                at[axis] += 1;
                at[axis + 1..].fill(0);
                rank += 1;
            }
            assert_eq!(rank + 1, grid.size());
        }
    }

    #[test]
    fn what_is_sent_down_arrives_from_above() {
        let grid = Cartesian::new(&[4, 1, 2, 1], &[false, true, true, false]);
        for rank in 0..grid.size() {
            for (i, other) in grid.neighbours(rank).into_iter().enumerate() {
                let back = other.map(|other| grid.neighbours(other)[i ^ 1]);
                assert!(back.is_none_or(|back| back == Some(rank)), "{rank} {i}");
            }
            let all = grid.neighbours(rank);
            assert_eq!((all[2], all[3]), (Some(rank), Some(rank)));
            assert!(all[4] == all[5] && all[4] != Some(rank));
            assert_eq!((all[6], all[7]), (None, None));
            assert_eq!(all[0].is_none(), grid.coords(rank)[0] == 0);
            assert_eq!(grid.shift(rank, 0, -1), (all[1], all[0]));
            assert_eq!(grid.shift(rank, 2, 1001), (all[4], all[5]));
            assert_eq!(grid.shift(rank, 0, i64::MIN), (None, None));
            assert_eq!(grid.shift(rank, 1, i64::MIN), (Some(rank), Some(rank)));
        }
    }

    #[test]
    #[should_panic(expected = "a grid of [65536, 65536] ranks")]
    fn too_many_points_are_refused() {
        Cartesian::new(&[65536, 65536], &[true, true]);
    }
}
