//! Which domain's a byte is: a memory has one part for each domain, in their order, in proportion to the domain's workers.
//! Pure.
//!
//! Parts begin at multiples of 2 MiB, so that no huge page is two domains'. Memory that has less than that for a domain is cut
//! at base pages, and must do without huge ones.

use physalia_topology::sys::HUGE;

/// The parts of a memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Homes {
    /// Domain d's bytes are `begins[d]..begins[d + 1]`.
    begins: Vec<usize>,
    unit: usize,
}

impl Homes {
    /// The parts of so many bytes for domains of so many workers, where base pages have `page` bytes. Each part is what is
    /// due to its domain, give or take less than a unit (2 MiB, or a page).
    pub(crate) fn new(bytes: usize, workers: &[usize], page: usize) -> Homes {
        let all: usize = workers.iter().sum();
        let due = |workers: usize| (bytes as u128 * workers as u128 / all.max(1) as u128) as usize;
        let unit = if workers.iter().all(|&w| w == 0 || due(w) >= HUGE) { HUGE } else { page };
        let mut before = 0;
        let begins = workers.iter().map(|w| {
            // Whoever has no workers behind the last that has some gets no rest either.
            let begin = if before == all { bytes } else { (due(before) + unit / 2) / unit * unit };
            before += w;
            begin.min(bytes)
        });
        let begins = begins.chain([bytes]).collect();
        Homes { begins, unit }
    }

    /// All bytes are one domain's.
    pub(crate) fn one(bytes: usize, domain: usize, domains: usize, page: usize) -> Homes {
        let begins = (0..=domains).map(|d| if d <= domain { 0 } else { bytes }).collect();
        Homes { begins, unit: if bytes >= HUGE { HUGE } else { page } }
    }

    /// Of what the parts begin at multiples.
    pub(crate) fn unit(&self) -> usize {
        self.unit
    }

    /// The number of domains.
    pub(crate) fn domains(&self) -> usize {
        self.begins.len() - 1
    }

    /// Each domain's bytes.
    pub(crate) fn parts(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        self.begins.windows(2).map(|w| w[0]..w[1])
    }

    /// The domain of a byte.
    pub(crate) fn home(&self, byte: usize) -> usize {
        (self.begins.partition_point(|&begin| begin <= byte) - 1).min(self.domains() - 1)
    }

    /// Where each domain's items begin among so many, of which each is where its byte is; bytes must ascend.
    pub(crate) fn cuts(&self, items: usize, byte: impl Fn(usize) -> usize) -> Vec<usize> {
        let first_from = |begin: usize| {
            let (mut low, mut high) = (0, items);
            while low < high {
                let middle = usize::midpoint(low, high);
                if byte(middle) < begin { low = middle + 1 } else { high = middle }
            }
            low
        };
        let inner = self.begins[1..self.domains()].iter().map(|&begin| first_from(begin));
        [0].into_iter().chain(inner).chain([items]).collect()
    }
}

/// Items in the order of their homes, those of one home as they were, and where each home's begin.
pub(super) fn by_home<I>(domains: usize, mut items: Vec<I>, home: impl Fn(&I) -> usize) -> (Vec<I>, Vec<usize>) {
    if domains == 1 {
        let cuts = vec![0, items.len()];
        return (items, cuts);
    }
    items.sort_by_key(&home);
    let cuts = (0..=domains).map(|d| items.partition_point(|item| home(item) < d)).collect();
    (items, cuts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PAGE: usize = 4096;

    fn parts(bytes: usize, workers: &[usize]) -> Vec<usize> {
        Homes::new(bytes, workers, PAGE).parts().map(|part| part.len()).collect()
    }

    #[test]
    fn parts_are_in_proportion_to_workers() {
        const M: usize = 1 << 20;
        assert_eq!(parts(64 * M, &[1, 1]), [32 * M, 32 * M]);
        assert_eq!(parts(64 * M, &[3, 1]), [48 * M, 16 * M]);
        assert_eq!(parts(64 * M, &[2, 0, 2]), [32 * M, 0, 32 * M]);
        assert_eq!(parts(64 * M + 5, &[0, 2, 0]), [0, 64 * M + 5, 0]);
        assert_eq!(parts(64 * M + 5, &[1]), [64 * M + 5]);
        assert_eq!(parts(64 * M + 5, &[1, 1]), [32 * M, 32 * M + 5]);
        // 2 MiB for each of both, and a byte less.
        assert_eq!(parts(4 * M, &[1, 1]), [2 * M, 2 * M]);
        assert_eq!(Homes::new(4 * M, &[1, 1], PAGE).unit(), HUGE);
        assert_eq!(Homes::new(4 * M - 1, &[1, 1], PAGE).unit(), PAGE);
        assert_eq!(parts(3 * M, &[1, 1]), [3 * M / 2, 3 * M / 2]);
        // Fewer pages than domains.
        assert_eq!(parts(0, &[1, 1]), [0, 0]);
        assert_eq!(parts(1, &[1, 1]).iter().sum::<usize>(), 1);
        assert_eq!(parts(2 * PAGE, &[1; 8]).iter().filter(|&&len| len == PAGE).count(), 2);
        let huge = Homes::new(isize::MAX as usize, &[7, 9], PAGE);
        assert_eq!(huge.home(isize::MAX as usize - 1), 1);
    }

    #[test]
    fn one_domain_may_have_it_all() {
        let homes = Homes::one(10, 1, 3, PAGE);
        assert_eq!(homes.parts().collect::<Vec<_>>(), [0..0, 0..10, 10..10]);
        assert_eq!((homes.home(0), homes.home(9)), (1, 1));
        assert_eq!(homes.cuts(4, |i| i), [0, 0, 4, 4]);
        assert_eq!((homes.unit(), Homes::one(HUGE, 0, 1, PAGE).unit()), (PAGE, HUGE));
    }

    #[test]
    fn items_go_home_in_their_order() {
        let items = vec![(1, 'a'), (0, 'b'), (3, 'c'), (1, 'd'), (0, 'e')];
        let (items, cuts) = by_home(4, items, |item| item.0);
        assert_eq!(items.iter().map(|item| item.1).collect::<String>(), "beadc");
        assert_eq!(cuts, [0, 2, 4, 4, 5]);
        assert_eq!(by_home(1, vec![5, 3], |_| 0), (vec![5, 3], vec![0, 2]));
    }

    proptest! {
        #[test]
        fn every_byte_has_one_home(
            bytes in prop_oneof![0..100_000usize, 0..100_000_000usize, Just(0), Just(4 * HUGE), (0..64usize).prop_map(|n| n * HUGE)],
            workers in proptest::collection::vec(0..9usize, 1..9),
            chunk in 1..300_000usize,
            page in prop_oneof![Just(4096usize), Just(65_536)],
        ) {
            let all: usize = workers.iter().sum();
            prop_assume!(all > 0);
            let homes = Homes::new(bytes, &workers, page);
            let unit = homes.unit();
            prop_assert!(unit == HUGE || unit == page);
            prop_assert_eq!(homes.domains(), workers.len());
            let mut at = 0;
            for (d, part) in homes.parts().enumerate() {
                prop_assert_eq!(part.start, at);
                prop_assert!(part.start.is_multiple_of(unit) || part.start == bytes);
                let due = bytes as f64 * workers[d] as f64 / all as f64;
                prop_assert!((part.len() as f64 - due).abs() <= unit as f64, "{part:?}, {due} due");
                if workers[d] == 0 {
                    prop_assert!(part.is_empty());
                } else if unit == HUGE {
                    prop_assert!(!part.is_empty());
                }
                for byte in [part.start, part.start + part.len() / 2, part.end.saturating_sub(1)] {
                    prop_assert!(!part.contains(&byte) || homes.home(byte) == d);
                }
                at = part.end;
            }
            prop_assert_eq!(at, bytes);

            // The cuts of chunks are where a search one by one finds them.
            let count = bytes.div_ceil(chunk).min(2000);
            let middle = |i: usize| i * chunk + chunk.min(bytes - i * chunk) / 2;
            let cuts = homes.cuts(count, middle);
            let (sorted, same) = by_home(workers.len(), (0..count).collect(), |&i| homes.home(middle(i)));
            prop_assert_eq!(&cuts, &same);
            prop_assert!(sorted.is_sorted());
        }
    }
}
