//! Values from one level to the next coarser one, and back: products of the weights along each axis.

use super::Number;
use super::axis::Ties;
use crate::field::Field;

/// Cells of a coarse row that are made at a time.
const CHUNK: usize = 64;

/// The ties of all axes; axes that are not there have one cell.
#[derive(Debug)]
pub(super) struct Weights<T> {
    factor: [u64; 3],
    back: [Vec<[T; 2]>; 3],
    up: [Vec<[T; 4]>; 3],
    mean: [Vec<[T; 4]>; 3],
}

impl<T: Number> Weights<T> {
    pub(super) fn new<const D: usize>(ties: &[Ties; D]) -> Weights<T> {
        let ties: [Ties; 3] = std::array::from_fn(|a| ties.get(a).cloned().unwrap_or_else(|| Ties::same(1)));
        fn nearest<T: Number, const N: usize>(weights: &[[f64; N]]) -> Vec<[T; N]> {
            weights.iter().map(|w| w.map(T::nearest)).collect()
        }
        Weights {
            factor: ties.each_ref().map(|t| t.factor),
            back: ties.each_ref().map(|t| nearest(&t.back)),
            up: ties.each_ref().map(|t| nearest(&t.up)),
            mean: ties.each_ref().map(|t| nearest(&t.mean)),
        }
    }

    /// Coarse cells from fine ones, whose boxes are the coarse ones, refined: as means of their own, where it does not matter what
    /// ghosts are, if they are numbers; or by the `transpose` of interpolation, from ghosts too. Local.
    pub(super) fn gather<const D: usize>(&self, fine: &Field<T, D>, coarse: &mut Field<T, D>, transpose: bool) {
        let weights = if transpose { &self.up } else { &self.mean };
        let ([fx, fy, fz], zero) = (self.factor, T::default());
        coarse.each_row_mut(|b, [x0, y, z], row| {
            let block = &fine.blocks[b];
            let [wy, wz] = [weights[1][y as usize], weights[2][z as usize]];
            for (chunk, row) in row.chunks_mut(CHUNK).enumerate() {
                let x = x0 + (chunk * CHUNK) as u64;
                // From the fine cell before the first on; behind the last ghost there is nothing, of weight zero.
                let mut line = [zero; 2 * CHUNK + 2];
                let there = (block.region.end[0] + 2 - fx * x) as usize;
                let len = (row.len() * fx as usize + 2).min(there);
                for (dz, wz) in wz.into_iter().enumerate().filter(|(_, w)| *w != zero) {
                    for (dy, wy) in wy.into_iter().enumerate().filter(|(_, w)| *w != zero) {
                        let at = [fx * x, fy * y + dy as u64, fz * z + dz as u64].map(|c| c.wrapping_sub(1));
                        let weight = wy * wz;
                        for (sum, &cell) in line.iter_mut().zip(block.part(at, len)) {
                            *sum = *sum + weight * cell;
                        }
                    }
                }
                let wx = &weights[0][x as usize..];
                if fx == 1 {
                    row.copy_from_slice(&line[1..row.len() + 1]);
                } else {
                    for ((cell, w), four) in row.iter_mut().zip(wx).zip(line.windows(4).step_by(2)) {
                        *cell = (w[0] * four[0] + w[1] * four[1]) + (w[2] * four[2] + w[3] * four[3]);
                    }
                }
            }
        });
    }

    /// Adds to fine cells, or replaces them by, what lies between the centres of coarse cells and ghosts. The fine boxes are the
    /// coarse ones, refined. Local.
    pub(super) fn interpolate<const D: usize>(&self, coarse: &Field<T, D>, fine: &mut Field<T, D>, add: bool) {
        let ([fx, fy, fz], zero) = (self.factor, T::default());
        let pair = |axis: usize, factor: u64, at: u64| {
            let [own, next] = self.back[axis][at as usize];
            let j = at / factor;
            [(j, own), (if at.is_multiple_of(2) { j.wrapping_sub(1) } else { j + 1 }, next)]
        };
        fine.each_row_mut(|b, [x0, y, z], row| {
            let block = &coarse.blocks[b];
            let (ys, zs) = (pair(1, fy, y), pair(2, fz, z));
            for (chunk, row) in row.chunks_mut(CHUNK).enumerate() {
                let x = x0 + (chunk * CHUNK) as u64;
                let (first, last) = (x / fx, (x + row.len() as u64 - 1) / fx);
                let mut line = [zero; CHUNK + 2];
                let len = (last - first) as usize + 3;
                for (z, wz) in zs.into_iter().filter(|(_, w)| *w != zero) {
                    for (y, wy) in ys.into_iter().filter(|(_, w)| *w != zero) {
                        let weight = wy * wz;
                        for (sum, &cell) in line.iter_mut().zip(block.part([first.wrapping_sub(1), y, z], len)) {
                            *sum = *sum + weight * cell;
                        }
                    }
                }
                for ((at, cell), &[own, next]) in (x..).zip(row).zip(&self.back[0][x as usize..]) {
                    let j = (at / fx - first) as usize + 1;
                    let beside = if at.is_multiple_of(2) { j - 1 } else { j + 1 };
                    let value = own * line[j] + next * line[beside];
                    *cell = if add { *cell + value } else { value };
                }
            }
        });
    }
}
