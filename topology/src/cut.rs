//! How ranks divide a row of cores that lies in domains: along the borders of domains, where that takes nothing from the rank
//! with the smallest share, and else in nearly equal pieces.

/// Where the shares of `ranks` ranks begin and end in a row of cores, of which each domain has `sizes`: rank r has those from
/// `cuts[r]` to `cuts[r + 1]`. No share is smaller than with equal pieces, so none is empty.
///
/// With fewer ranks than domains a rank has whole domains, with more a domain has whole ranks, if that can be.
///
/// # Panics
/// If there are no ranks, or fewer cores than ranks.
pub(crate) fn cuts(sizes: &[usize], ranks: usize) -> Vec<usize> {
    let all: usize = sizes.iter().sum();
    assert!(ranks > 0 && all >= ranks, "{ranks} ranks on {all} cores");
    let along = if ranks <= sizes.len() { whole_domains(sizes, ranks) } else { whole_ranks(sizes, ranks) };
    along.unwrap_or_else(|| (0..=ranks).map(|r| all * r / ranks).collect())
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

/// Each domain gets whole ranks, which divide it in equal pieces; of all ways one with the largest smallest share (a rank
/// more always goes where the shares are largest then: D'Hondt's method).
fn whole_ranks(sizes: &[usize], ranks: usize) -> Option<Vec<usize>> {
    let least = sizes.iter().sum::<usize>() / ranks;
    let mut of: Vec<usize> = vec![1; sizes.len()];
    for _ in sizes.len()..ranks {
        // Compared without division: a / b > c / d.
        let more = |a: usize, b: usize| sizes[a] * (of[b] + 1) > sizes[b] * (of[a] + 1);
        let next = (1..sizes.len()).fold(0, |best, d| if more(d, best) { d } else { best });
        of[next] += 1;
    }
    if sizes.iter().zip(&of).any(|(size, ranks)| size / ranks < least) {
        return None;
    }
    let (mut cuts, mut start) = (vec![0], 0);
    for (size, ranks) in sizes.iter().zip(of) {
        cuts.extend((1..=ranks).map(|r| start + size * r / ranks));
        start += size;
    }
    Some(cuts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn borders_are_kept_where_nobody_loses() {
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
        fn no_share_is_smaller_than_equal_pieces(sizes in proptest::collection::vec(1usize..9, 1..7), ranks in 1usize..20) {
            let all: usize = sizes.iter().sum();
            prop_assume!(all >= ranks);
            let least = all / ranks;
            let cuts = cuts(&sizes, ranks);
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
