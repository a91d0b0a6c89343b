//! How a grid is cut into boxes, and which rank owns which. Pure; every rank has the whole map.
//!
//! Axes are cut at the same places everywhere, so boxes form a grid of their own. x is cut only at multiples of 4,096 cells:
//! the blocks in which sums are ordered must not be split (and short rows are slow). The *epoch* is raised whenever owners
//! change; what was prepared for another epoch is refused.

use crate::par::BLOCK;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// A cuboid of cells, `[x, y, z]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Region {
    /// The first cell.
    pub begin: [u64; 3],
    /// Behind the last cell.
    pub end: [u64; 3],
}

impl Region {
    /// Cells along an axis.
    pub fn len(&self, axis: usize) -> u64 {
        self.end[axis] - self.begin[axis]
    }

    /// All cells.
    pub fn cells(&self) -> u64 {
        (0..3).map(|a| self.len(a)).product()
    }

    /// Whether it has this cell.
    pub fn contains(&self, cell: [u64; 3]) -> bool {
        (0..3).all(|a| (self.begin[a]..self.end[a]).contains(&cell[a]))
    }

    /// The cells of both, if any.
    pub fn and(&self, other: &Region) -> Option<Region> {
        let begin = std::array::from_fn(|a| self.begin[a].max(other.begin[a]));
        let end = std::array::from_fn(|a| self.end[a].min(other.end[a]));
        (0..3).all(|a| begin[a] < end[a]).then_some(Region { begin, end })
    }

    /// So many cells more on each side, as far as the grid goes.
    pub fn grown(&self, by: [usize; 3], extent: [u64; 3]) -> Region {
        Region {
            begin: std::array::from_fn(|a| self.begin[a].saturating_sub(by[a] as u64)),
            end: std::array::from_fn(|a| self.end[a].saturating_add(by[a] as u64).min(extent[a])),
        }
    }

    /// The first cell of each of its rows.
    pub fn rows(&self) -> impl Iterator<Item = [u64; 3]> + use<> {
        let ([x, y0, z0], [_, y1, z1]) = (self.begin, self.end);
        (z0..z1).flat_map(move |z| (y0..y1).map(move |y| [x, y, z]))
    }
}

/// The boxes of a grid and their owners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boxes {
    /// Where each axis is cut: 0, …, its cells.
    cuts: [Vec<u64>; 3],
    pub(super) owners: Vec<u32>,
    pub(super) epoch: u64,
}

impl Boxes {
    /// At most one box a rank: as equal as can be, then with as few cells at borders as can be.
    pub fn new(extent: [u64; 3], ranks: u32) -> Boxes {
        Boxes::cut(extent, choose(extent, ranks.into()))
    }

    /// As `new`, for ranks on several hosts (`hosts[rank]` is a number of its host): of the ways to deal the grid out the one with
    /// the smallest borders between hosts, where exchanging is dear. Tried are the grid cut among hosts first, then each host's part
    /// among its ranks, unless that makes the largest box larger; and cut among ranks at once, in their order or host by host.
    pub fn on_hosts(extent: [u64; 3], hosts: &[u32]) -> Boxes {
        let flat = Boxes::new(extent, hosts.len() as u32);
        let mut of_host: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        hosts.iter().zip(0..).for_each(|(&host, rank)| of_host.entry(host).or_default().push(rank));
        if of_host.len() == 1 {
            return flat;
        }
        let of_host: Vec<Vec<u32>> = of_host.into_values().collect();
        let side_by_side = Boxes { owners: of_host.concat()[..flat.len()].to_vec(), ..flat.clone() };
        let largest = |boxes: &Boxes| (0..boxes.len()).map(|id| boxes.region(id).cells()).max();
        let nested = Boxes::nested(extent, &of_host).filter(|boxes| largest(boxes) <= largest(&flat));
        let ways = nested.into_iter().chain([flat, side_by_side]);
        ways.min_by_key(|boxes| boxes.far_border(hosts)).expect("two at least")
    }

    /// The grid among hosts, and each host's part among its ranks; `None` if there is no even way.
    fn nested(extent: [u64; 3], of_host: &[Vec<u32>]) -> Option<Boxes> {
        let (count, each) = (of_host.len(), of_host[0].len());
        let among_hosts = choose(extent, count as u64);
        let part = std::array::from_fn(|a| extent[a].div_ceil(among_hosts[a]));
        let within = choose(part, each as u64);
        let counts: [u64; 3] = std::array::from_fn(|a| among_hosts[a] * within[a]);
        let all = counts.iter().product::<u64>() == (count * each) as u64 && of_host.iter().all(|r| r.len() == each);
        let most = [if counts[0] == 1 { 1 } else { blocks(extent[0]) }, extent[1], extent[2]];
        if !all || (0..3).any(|a| counts[a] > most[a]) {
            return None;
        }
        let mut boxes = Boxes::cut(extent, counts);
        let number = |at: [u64; 3], of: [u64; 3]| ((at[2] * of[1] + at[1]) * of[0] + at[0]) as usize;
        for id in 0..boxes.len() {
            let place = boxes.place(id).map(|at| at as u64);
            let host = number(std::array::from_fn(|a| place[a] / within[a]), among_hosts);
            let rank = number(std::array::from_fn(|a| place[a] % within[a]), within);
            boxes.owners[id] = of_host[host][rank];
        }
        Some(boxes)
    }

    /// Cells around boxes, one deep, that other hosts have.
    fn far_border(&self, hosts: &[u32]) -> u64 {
        let host = |id: usize| hosts[self.owners[id] as usize];
        let of_box = |id: usize| -> u64 {
            let grown = self.region(id).grown([1; 3], self.extent());
            let others = self.touching(&grown).into_iter().filter(|&other| host(other) != host(id));
            others.filter_map(|other| grown.and(&self.region(other))).map(|region| region.cells()).sum()
        };
        (0..self.len()).map(of_box).sum()
    }

    /// So many boxes along each axis, as equal as can be; box i belongs to rank i.
    fn cut(extent: [u64; 3], counts: [u64; 3]) -> Boxes {
        let cuts = std::array::from_fn(|a| {
            let (unit, units) = if a == 0 && counts[0] > 1 { (BLOCK, blocks(extent[0])) } else { (1, extent[a]) };
            let cut = |i: u64| if i == counts[a] { extent[a] } else { units * i / counts[a] * unit };
            (0..=counts[a]).map(cut).collect()
        });
        let boxes: u64 = counts.iter().product();
        Boxes { cuts, owners: (0..boxes as u32).collect(), epoch: 0 }
    }

    /// Boxes cut at the given places, with the given owners; x changes fastest.
    ///
    /// # Panics
    /// If cuts do not ascend from 0, x is cut elsewhere than at multiples of 4,096, or there is not one owner a box.
    pub fn with(cuts: [Vec<u64>; 3], owners: Vec<u32>) -> Boxes {
        for cuts in &cuts {
            assert!(
                cuts.len() > 1 && cuts[0] == 0 && cuts.is_sorted_by(|a, b| a < b),
                "cuts that do not ascend: {cuts:?}"
            );
        }
        let inner = &cuts[0][1..cuts[0].len() - 1];
        assert!(inner.iter().all(|c| c.is_multiple_of(BLOCK)), "x is cut at multiples of {BLOCK}, not at {inner:?}");
        assert_eq!(owners.len(), cuts.iter().map(|c| c.len() - 1).product::<usize>(), "owners, one a box");
        Boxes { cuts, owners, epoch: 0 }
    }

    /// The number of boxes.
    #[allow(clippy::len_without_is_empty)] // there is at least one
    pub fn len(&self) -> usize {
        self.owners.len()
    }

    /// Cells along x, y, z.
    pub fn extent(&self) -> [u64; 3] {
        std::array::from_fn(|a| *self.cuts[a].last().expect("two cuts at least"))
    }

    /// Where each axis is cut: 0, …, its cells.
    pub fn cuts(&self) -> &[Vec<u64>; 3] {
        &self.cuts
    }

    /// The owner of each box.
    pub fn owners(&self) -> &[u32] {
        &self.owners
    }

    /// How often boxes have changed their owner.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The boxes of a rank.
    pub fn of_rank(&self, rank: u32) -> Vec<usize> {
        (0..self.len()).filter(|&id| self.owners[id] == rank).collect()
    }

    /// The cells of a box.
    pub fn region(&self, id: usize) -> Region {
        let place = self.place(id);
        Region {
            begin: std::array::from_fn(|a| self.cuts[a][place[a]]),
            end: std::array::from_fn(|a| self.cuts[a][place[a] + 1]),
        }
    }

    /// The boxes that have cells of `region`, in ascending order.
    pub fn touching(&self, region: &Region) -> Vec<usize> {
        let spans: [Range<usize>; 3] = std::array::from_fn(|a| {
            let first = self.cuts[a].partition_point(|&c| c <= region.begin[a]) - 1;
            first..self.cuts[a].partition_point(|&c| c < region.end[a])
        });
        let [nx, ny] = [self.cuts[0].len() - 1, self.cuts[1].len() - 1];
        let [xs, ys, zs] = spans;
        zs.flat_map(|z| {
            ys.clone().flat_map({
                let xs = xs.clone();
                move |y| xs.clone().map(move |x| (z * ny + y) * nx + x)
            })
        })
        .collect()
    }

    fn place(&self, id: usize) -> [usize; 3] {
        let [nx, ny] = [self.cuts[0].len() - 1, self.cuts[1].len() - 1];
        [id % nx, id / nx % ny, id / nx / ny]
    }

    pub(crate) fn fingerprint(&self) -> u64 {
        let numbers = self.cuts.iter().flatten().copied().chain(self.owners.iter().map(|&o| o.into()));
        numbers.fold(self.epoch, |h, n| (h ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29))
    }
}

impl fmt::Display for Boxes {
    /// `4 boxes (1 x 2 x 2) of up to 512 x 256 x 256 cells`
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let counts = [0, 1, 2].map(|a| self.cuts[a].len() - 1);
        let longest = [0, 1, 2].map(|a| self.cuts[a].windows(2).map(|c| c[1] - c[0]).max().unwrap_or(0));
        let ([i, j, k], [x, y, z]) = (counts, longest);
        let boxes = if self.len() == 1 { "box" } else { "boxes" };
        write!(f, "{} {boxes} ({i} x {j} x {k}) of up to {x} x {y} x {z} cells", self.len())
    }
}

/// Blocks of x among which it may be cut; a short rest belongs to the last one, since a box that is a sliver is all border.
fn blocks(cells: u64) -> u64 {
    let (whole, rest) = (cells / BLOCK, cells % BLOCK);
    (whole + u64::from(rest >= BLOCK / 8)).max(1)
}

/// Boxes along each axis for so many ranks: the largest box as small as can be, then the least border. A cell at a border
/// across x costs a cache line where one across y or z costs its own size, so x is cut last.
fn choose(extent: [u64; 3], ranks: u64) -> [u64; 3] {
    const ACROSS_X: u128 = 64;
    let most_x = blocks(extent[0]);
    let mut best = ([1, 1, 1], (u128::MAX, u128::MAX));
    for z in 1..=extent[2].min(ranks) {
        for y in 1..=extent[1].min(ranks / z) {
            for x in [1, most_x.min(ranks / z / y)] {
                let counts = [x, y, z];
                let largest_x = if x == 1 { extent[0] } else { (most_x.div_ceil(x) * BLOCK).min(extent[0]) };
                let largest = [largest_x, extent[1].div_ceil(y), extent[2].div_ceil(z)];
                let wide = largest.map(u128::from);
                let [nx, ny, nz] = extent.map(u128::from);
                let [bx, by, bz] = counts.map(|c| u128::from(c - 1));
                let border = bx * ny * nz * ACROSS_X + by * nx * nz + bz * nx * ny;
                let cost = (wide.iter().product(), border);
                // Of equals the one with more cuts across z: whole planes are contiguous.
                if cost <= best.1 {
                    best = (counts, cost);
                }
            }
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_tile_the_grid_for_any_number_of_ranks() {
        let grids =
            [[1, 1, 1], [7, 1, 1], [512, 384, 1], [48, 40, 36], [3, 5, 2], [20_000, 1, 1], [9_000, 2, 3], [1, 1000, 1]];
        for extent in grids {
            for ranks in 1..=64 {
                let boxes = Boxes::new(extent, ranks);
                assert!(boxes.len() as u32 <= ranks);
                let cells: u64 = (0..boxes.len()).map(|id| boxes.region(id).cells()).sum();
                assert_eq!(cells, extent.iter().product::<u64>(), "{extent:?} on {ranks}");
                for id in 0..boxes.len() {
                    let region = boxes.region(id);
                    assert!((0..3).all(|a| region.begin[a] < region.end[a]), "{region:?}");
                    assert!(region.begin[0].is_multiple_of(BLOCK));
                    assert_eq!(boxes.touching(&region), [id]);
                }
            }
        }
    }

    #[test]
    fn shares_are_equal_and_borders_short() {
        assert_eq!(choose([512, 512, 512], 8), [1, 2, 4]);
        assert_eq!(choose([512, 384, 1], 4), [1, 4, 1]);
        assert_eq!(choose([8192, 8192, 1], 4), [1, 4, 1]); // x stays whole
        assert_eq!(choose([20_000, 1, 1], 4), [4, 1, 1]); // unless it is all there is
        assert_eq!(choose([10, 3, 1], 8), [1, 3, 1]); // more ranks than rows
        let even = Boxes::new([100, 97, 1], 3);
        assert!((0..3).all(|id| (32..=33).contains(&even.region(id).len(1))));
    }

    #[test]
    fn hosts_have_compact_parts() {
        for extent in [[512, 512, 512], [512, 384, 1], [100, 97, 30], [20_000, 3, 1], [5, 4, 3]] {
            for (hosts, each) in [(2, 4), (4, 4), (3, 2), (2, 1), (4, 6), (1, 5)] {
                // Ranks one host after the other, and in turn.
                for in_turn in [false, true] {
                    let hosts: Vec<u32> =
                        (0..hosts * each).map(|r| if in_turn { r % hosts } else { r / each }).collect();
                    let boxes = Boxes::on_hosts(extent, &hosts);
                    let flat = Boxes::new(extent, hosts.len() as u32);
                    let cells: u64 = (0..boxes.len()).map(|id| boxes.region(id).cells()).sum();
                    assert_eq!(cells, extent.iter().product::<u64>());
                    let mut owners = boxes.owners().to_vec();
                    owners.sort_unstable();
                    owners.dedup();
                    assert_eq!(owners.len(), boxes.len(), "a rank has one at most");
                    assert!(boxes.far_border(&hosts) <= flat.far_border(&hosts), "{extent:?}, {hosts:?}");
                }
            }
        }
        let hosts: Vec<u32> = (0..8).map(|r| r % 2).collect();
        let boxes = Boxes::on_hosts([512, 512, 512], &hosts);
        // One plane, seen from both sides (and by neighbours at its edges).
        let plane = 2 * 512 * 512;
        assert!((plane..plane + plane / 50).contains(&boxes.far_border(&hosts)));
        assert_eq!(boxes.to_string(), "8 boxes (1 x 2 x 4) of up to 512 x 256 x 128 cells");
    }

    #[test]
    fn neighbours_are_found() {
        let boxes = Boxes::with([vec![0, 4096, 5000], vec![0, 2, 5], vec![0, 1]], vec![0; 4]);
        let grown = boxes.region(0).grown([1, 1, 0], boxes.extent());
        assert_eq!(boxes.touching(&grown), [0, 1, 2, 3]);
        let last = boxes.region(3).grown([1, 0, 0], boxes.extent());
        assert_eq!(boxes.touching(&last), [2, 3]);
        assert_eq!(last.and(&boxes.region(2)).unwrap().cells(), 3);
    }

    #[test]
    #[should_panic(expected = "x is cut at multiples of 4096")]
    fn x_is_not_cut_inside_a_block() {
        let _ = Boxes::with([vec![0, 100, 200], vec![0, 1], vec![0, 1]], vec![0, 0]);
    }
}
