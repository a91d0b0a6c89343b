//! Cuboids in parts that are written, read or sent one at a time.

use super::Region;

impl Region {
    /// Parts of at most so many cells that tile the region, each as large as may be: whole planes, else whole rows of one
    /// plane, else pieces of rows. x changes fastest.
    ///
    /// # Panics
    /// If `most` is 0.
    pub fn parts(&self, most: u64) -> impl Iterator<Item = Region> + use<> {
        assert!(most > 0, "parts of no cells");
        let len = |a: usize| self.len(a);
        let x = len(0).min(most);
        let y = if x == len(0) { (most / x).min(len(1)) } else { 1 };
        let z = if y == len(1) { (most / (x * y)).clamp(1, len(2)) } else { 1 };
        let Region { begin, end } = *self;
        let spans = move |a: usize, step: u64| {
            (begin[a]..end[a]).step_by(step as usize).map(move |at| (at, (at + step).min(end[a])))
        };
        spans(2, z).flat_map(move |z| {
            spans(1, y)
                .flat_map(move |y| spans(0, x).map(move |x| Region { begin: [x.0, y.0, z.0], end: [x.1, y.1, z.1] }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_tile_their_region() {
        for begin in [[0, 0, 0], [4096, 3, 2]] {
            for len in [[1, 1, 1], [10, 7, 5], [1, 9, 9], [9, 1, 9], [100, 2, 2]] {
                for most in [1, 2, 7, 10, 11, 35, 69, 70, 71, 349, 350, 1000] {
                    let region = Region { begin, end: std::array::from_fn(|a| begin[a] + len[a]) };
                    let parts: Vec<Region> = region.parts(most).collect();
                    assert!(parts.iter().all(|part| (1..=most).contains(&part.cells())));
                    assert_eq!(parts.iter().map(Region::cells).sum::<u64>(), region.cells());
                    assert!((0..parts.len()).all(|i| parts[..i].iter().all(|p| p.and(&parts[i]).is_none())));
                    assert!(parts.iter().all(|part| part.and(&region).as_ref() == Some(part)));
                }
            }
        }
        let cube = Region { begin: [0; 3], end: [512; 3] };
        assert_eq!(cube.parts((4 << 20) / 8).count(), 256);
    }
}
