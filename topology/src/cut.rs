//! How ranks divide a row of cores that lies in domains: along the borders of domains, where that takes nothing from the rank
//! with the smallest share, and else in nearly equal pieces.

/// Where the shares of `ranks` ranks begin and end in a row of cores, of which each domain has the sizes of its caches: rank r
/// has those from `cuts[r]` to `cuts[r + 1]`. No share is smaller than with equal pieces, so none is empty.
///
/// With fewer ranks than domains a rank has whole domains, with more a domain has whole ranks, if that can be; and those divide
/// its caches likewise.
///
/// # Panics
/// If there are no ranks, or fewer cores than ranks.
pub(crate) fn cuts(domains: &[Vec<usize>], ranks: usize) -> Vec<usize> {
    let sizes: Vec<usize> = domains.iter().map(|caches| caches.iter().sum()).collect();
    let all: usize = sizes.iter().sum();
    assert!(ranks > 0 && all >= ranks, "{ranks} ranks on {all} cores");
    if ranks <= sizes.len() {
        return whole_domains(&sizes, ranks).unwrap_or_else(|| equal(all, ranks));
    }
    let Some(of) = whole_ranks(&sizes, ranks) else { return equal(all, ranks) };
    let (mut cuts, mut start) = (vec![0], 0);
    for ((caches, size), ranks) in domains.iter().zip(&sizes).zip(of) {
        let inside = if ranks <= caches.len() {
            whole_domains(caches, ranks)
        } else {
            // Ranks of a cache divide it in equal pieces.
            let row: Option<Vec<Vec<usize>>> = whole_ranks(caches, ranks)
                .map(|of| caches.iter().zip(of).map(|(&size, ranks)| equal(size, ranks)).collect());
            row.map(|row| joined(&row))
        };
        cuts.extend(inside.unwrap_or_else(|| equal(*size, ranks)).into_iter().skip(1).map(|cut| start + cut));
        start += size;
    }
    cuts
}

fn equal(all: usize, ranks: usize) -> Vec<usize> {
    (0..=ranks).map(|r| all * r / ranks).collect()
}

/// Rows of cuts, one after the other.
fn joined(rows: &[Vec<usize>]) -> Vec<usize> {
    let mut cuts = vec![0];
    for row in rows {
        let start = cuts[cuts.len() - 1];
        cuts.extend(row.iter().skip(1).map(|cut| start + cut));
    }
    cuts
}

/// Each rank gets whole domains, neighbours of each other; of all ways the one with the smallest largest share.
fn whole_domains(sizes: &[usize], ranks: usize) -> Option<Vec<usize>> {
    let starts: Vec<usize> = std::iter::once(0)
        .chain(sizes.iter().scan(0, |sum, size| {
            *sum += size;
            Some(*sum)
        }))
        .collect();
    let least = starts[sizes.len()] / ranks;
    // For the first d domains and the ranks so far: the smallest largest share, and where the last rank's domains begin.
    let mut best: Vec<Option<(usize, usize)>> = vec![None; sizes.len() + 1];
    best[0] = Some((0, 0));
    let mut begins = Vec::new();
    for _ in 0..ranks {
        let last = |end: usize| {
            let from = |begin: usize| {
                let share = starts[end] - starts[begin];
                best[begin].filter(|_| share >= least).map(|(largest, _)| (largest.max(share), begin))
            };
            (0..end).filter_map(from).min()
        };
        best = (0..=sizes.len()).map(last).collect();
        begins.push(best.clone());
    }
    let mut cuts = vec![sizes.len()];
    for best in begins.iter().rev() {
        cuts.push(best[*cuts.last()?]?.1);
    }
    Some(cuts.into_iter().rev().map(|domain| starts[domain]).collect())
}

/// How many ranks each domain gets, if each gets some and they divide it in equal pieces; of all ways one with the largest
/// smallest share (a rank more always goes where the shares are largest then: D'Hondt's method).
fn whole_ranks(sizes: &[usize], ranks: usize) -> Option<Vec<usize>> {
    let least = sizes.iter().sum::<usize>() / ranks;
    let mut of: Vec<usize> = vec![1; sizes.len()];
    for _ in sizes.len()..ranks {
        // Compared without division: a / b > c / d.
        let more = |a: usize, b: usize| sizes[a] * (of[b] + 1) > sizes[b] * (of[a] + 1);
        let next = (1..sizes.len()).fold(0, |best, d| if more(d, best) { d } else { best });
        of[next] += 1;
    }
    sizes.iter().zip(&of).all(|(size, ranks)| size / ranks >= least).then_some(of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn borders_are_kept_where_nobody_loses() {
        let cuts = |sizes: &[usize], ranks| cuts(&sizes.iter().map(|&size| vec![size]).collect::<Vec<_>>(), ranks);
        assert_eq!(cuts(&[4, 4], 1), [0, 8]);
        assert_eq!(cuts(&[4, 4], 2), [0, 4, 8]);
        assert_eq!(cuts(&[4, 4, 4, 4], 2), [0, 8, 16]);
        assert_eq!(cuts(&[5, 3, 4, 4], 2), [0, 8, 16]);
        assert_eq!(cuts(&[2, 2, 2], 2), [0, 3, 6], "4 and 2 would leave one with less than 3");
        assert_eq!(cuts(&[3, 2, 2], 2), [0, 3, 7], "3 is what equal pieces give too");
        assert_eq!(cuts(&[4, 4], 3), [0, 2, 4, 8], "2 each, and one with a whole domain");
        assert_eq!(cuts(&[4, 4], 4), [0, 2, 4, 6, 8]);
        assert_eq!(cuts(&[8, 4], 3), [0, 4, 8, 12]);
        assert_eq!(cuts(&[3, 3, 3, 3], 5), [0, 2, 4, 7, 9, 12], "one rank of a domain would have 1");
        assert_eq!(cuts(&[1, 7], 2), [0, 4, 8]);
    }

    #[test]
    fn inside_a_domain_caches_are_kept() {
        assert_eq!(cuts(&[vec![9, 8]], 2), [0, 9, 17]);
        assert_eq!(cuts(&[vec![4, 4, 4], vec![6, 6]], 5), [0, 4, 8, 12, 18, 24]);
        assert_eq!(cuts(&[vec![4, 4]], 3), [0, 2, 4, 8]);
        assert_eq!(cuts(&[vec![3, 3, 3]], 2), [0, 4, 9], "3 and 6 would leave one with less than 4");
        assert_eq!(cuts(&[vec![8, 8], vec![16]], 2), [0, 16, 32]);
    }

    /// Whether ranks could have whole domains, by trying all ways.
    fn some_way(sizes: &[usize], ranks: usize, least: usize) -> bool {
        let first = |n: usize| sizes[..n].iter().sum::<usize>() >= least && some_way(&sizes[n..], ranks - 1, least);
        if ranks == 0 { sizes.is_empty() } else { (1..=sizes.len()).any(first) }
    }

    fn possible(sizes: &[usize], ranks: usize, least: usize) -> bool {
        let most = || sizes.iter().map(|size| size / least).sum::<usize>(); // the most ranks that domains can hold
        if ranks <= sizes.len() {
            some_way(sizes, ranks, least)
        } else {
            sizes.iter().all(|&size| size >= least) && most() >= ranks
        }
    }

    proptest! {
        #[test]
        fn no_share_is_smaller_than_equal_pieces(
            domains in proptest::collection::vec(proptest::collection::vec(1usize..6, 1..4), 1..7),
            ranks in 1usize..20,
        ) {
            let sizes: Vec<usize> = domains.iter().map(|caches| caches.iter().sum()).collect();
            let all: usize = sizes.iter().sum();
            prop_assume!(all >= ranks);
            let least = all / ranks;
            let cuts = cuts(&domains, ranks);
            prop_assert_eq!((cuts.len(), cuts[0], cuts[ranks]), (ranks + 1, 0, all));
            prop_assert!(cuts.windows(2).all(|c| c[1] >= c[0] + least), "{:?}", cuts);
            let mut borders: Vec<usize> = vec![0];
            sizes.iter().for_each(|size| borders.push(borders[borders.len() - 1] + size));
            let kept = if ranks <= sizes.len() {
                cuts.iter().all(|cut| borders.contains(cut))
            } else {
                borders.iter().all(|border| cuts.contains(border))
            };
            prop_assert!(kept || !possible(&sizes, ranks, least), "{:?}", cuts);
        }
    }
}
