//! Regular chunks of a grid whose boxes are not regular.

use physalia::field::{Cell, Field, Region};
use physalia::prelude::*;
use std::collections::BTreeMap;

/// Bytes of a chunk, at most and at least (but for small fields).
const MOST: u64 = 16 << 20;
const LEAST: u64 = 64 << 10;

/// A chunk's number along x, y, z, and its cells.
pub(super) type Filled<T> = ([u64; 3], Vec<T>);

/// Where chunks lie.
#[derive(Clone, Debug)]
pub(super) struct Chunks {
    whole: Region,
    sides: [u64; 3],
}

impl Chunks {
    /// Chunks of whole rows, if they fit, and some 64 of them. They depend on the grid alone: a run goes on with a store on any
    /// number of ranks.
    pub(super) fn of(whole: &Region, cell: usize) -> Chunks {
        let most = (whole.cells() / 64 * cell as u64).clamp(LEAST, MOST) / cell as u64;
        let first = whole.parts(most).next().expect("a grid has cells");
        Chunks { whole: whole.clone(), sides: [0, 1, 2].map(|a| first.len(a)) }
    }

    pub(super) fn side(&self, axis: usize) -> u64 {
        self.sides[axis]
    }

    /// The numbers of the chunks that have cells of a region, along x, y, z.
    fn touching(&self, region: &Region) -> impl Iterator<Item = [u64; 3]> + use<> {
        let spans = [0, 1, 2].map(|a| region.begin[a] / self.sides[a]..(region.end[a] - 1) / self.sides[a] + 1);
        let [xs, ys, zs] = spans;
        zs.flat_map(move |z| {
            let xs = xs.clone();
            ys.clone().flat_map(move |y| xs.clone().map(move |x| [x, y, z]))
        })
    }

    /// The cells of a chunk; at the end of the grid fewer than its sides say.
    fn region(&self, chunk: [u64; 3]) -> Region {
        let begin = std::array::from_fn(|a| chunk[a] * self.sides[a]);
        Region { begin, end: std::array::from_fn(|a| (begin[a] + self.sides[a]).min(self.whole.end[a])) }
    }

    /// The chunks whose first cell this rank has, complete, with zeros beyond the grid. Collective.
    pub(super) fn collect<T: Cell, const D: usize>(
        &self,
        world: &mut World,
        field: &Field<T, D>,
    ) -> Result<Vec<Filled<T>>, Abort> {
        let (boxes, me) = (field.boxes(), world.rank());
        let owner = |chunk: [u64; 3]| {
            let begin = self.region(chunk).begin;
            boxes.owners()[boxes.touching(&Region { begin, end: begin.map(|n| n + 1) })[0]]
        };
        let mut mine: BTreeMap<[u64; 3], Vec<T>> = BTreeMap::new();
        let [sx, sy, sz] = self.sides;
        let mut put = |chunk: [u64; 3], part: &Region, cells: &[T]| {
            let into = mine.entry(chunk).or_insert_with(|| vec![T::default(); (sx * sy * sz) as usize]);
            let len = part.len(0) as usize;
            for (at, row) in part.rows().zip(cells.chunks(len)) {
                let [x, y, z] = std::array::from_fn(|a| at[a] - chunk[a] * self.sides[a]);
                let start = ((z * sy + y) * sx + x) as usize;
                into[start..start + len].copy_from_slice(row);
            }
        };
        let mut messages: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        for (region, cells) in field.snapshot() {
            for chunk in self.touching(&region) {
                let part = region.and(&self.region(chunk)).expect("it touches");
                let len = part.len(0) as usize;
                let mut of_part: Vec<T> = Vec::with_capacity(part.cells() as usize);
                for at in part.rows() {
                    let [x, y, z] = std::array::from_fn(|a| at[a] - region.begin[a]);
                    let start = ((z * region.len(1) + y) * region.len(0) + x) as usize;
                    of_part.extend(&cells[start..start + len]);
                }
                let to = owner(chunk);
                if to == me {
                    put(chunk, &part, &of_part);
                    continue;
                }
                let message = messages.entry(to).or_default();
                [chunk, part.begin, part.end].iter().flatten().for_each(|n| message.extend(n.to_le_bytes()));
                message.extend(bytemuck::cast_slice::<T, u8>(&of_part));
            }
        }
        for (_, message) in world.sparse_exchange(messages.into_iter().collect())? {
            let mut rest = &message[..];
            while let Some((head, after)) = rest.split_at_checked(72) {
                let number = |n: usize| u64::from_le_bytes(head[8 * n..8 * n + 8].try_into().expect("8 bytes"));
                let [chunk, begin, end] = [0, 3, 6].map(|n| [number(n), number(n + 1), number(n + 2)]);
                let part = Region { begin, end };
                let (bytes, after) = after.split_at(part.cells() as usize * size_of::<T>());
                put(chunk, &part, &bytemuck::pod_collect_to_vec::<u8, T>(bytes));
                rest = after;
            }
        }
        Ok(mine.into_iter().collect())
    }
}
