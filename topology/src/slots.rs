//! Places for workers, and the domains that they lie in before ranks divide them.

use crate::plan::{Domains, Wish};
use crate::{CpuSet, Distances, Domain, Machine};
use std::collections::BTreeMap;

/// A place for a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) cpu: u32,
    /// The number of its core, in the order of the machine.
    pub(crate) core: usize,
    /// How fast its core is: 0 the fastest.
    pub(crate) kind: u8,
    /// The cache that it shares.
    pub(crate) cache: Option<u32>,
}

/// Places that are near the same memory.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) nodes: Vec<u32>,
    /// The threads of a core are neighbours.
    pub(crate) slots: Vec<Slot>,
    /// Within the whole mask there is a single place.
    pub(crate) tiny: bool,
}

/// The places for workers within the mask, in the domains that are wished; at least one. The domains of a package are
/// neighbours, and in a domain the places that share a cache.
pub(crate) fn groups(machine: &Machine, mask: &CpuSet, wish: &Wish) -> Vec<Group> {
    let each = if wish.smt { usize::MAX } else { 1 };
    let mut domains: Vec<&Domain> = machine.domains.iter().collect();
    domains.sort_by_key(|domain| (domain.cores.iter().map(|core| core.package).min(), domain.node));
    let mut groups: Vec<Group> = Vec::new();
    let mut number = 0..;
    for domain in domains {
        let mut caches: Vec<(Option<u32>, Vec<Slot>)> = Vec::new();
        for (core, at) in domain.cores.iter().zip(number.by_ref()) {
            let slots = core.cpus.and(mask);
            let slots = slots.iter().take(each).map(|cpu| Slot { cpu, core: at, kind: core.kind, cache: core.l3 });
            match caches.iter_mut().find(|(cache, _)| *cache == core.l3) {
                Some((_, there)) => there.extend(slots),
                None => caches.push((core.l3, slots.collect())),
            }
        }
        let group = |slots: Vec<Slot>| Group { nodes: vec![domain.node], tiny: slots.len() == 1, slots };
        let caches = caches.into_iter().map(|(_, slots)| slots);
        match wish.domains {
            Domains::L3 => groups.extend(caches.map(group)),
            Domains::Numa | Domains::One => groups.push(group(caches.flatten().collect())),
        }
    }
    groups.retain(|group| !group.slots.is_empty());
    if groups.is_empty() {
        // A mask of another machine than the one that was seen: there is at least the processor that we run on.
        let nodes = vec![machine.domains.first().map_or(0, |domain| domain.node)];
        let slots = vec![Slot { cpu: mask.first().unwrap_or(0), core: 0, kind: 0, cache: None }];
        groups.push(Group { nodes, slots, tiny: true });
    }
    groups
}

/// Of a rank's domains, a tiny one has nobody to share work with. Such ones are joined, each with its nearest, until they have
/// two places; the last one joins a pair. One that has only large neighbours stays as it is: together with them, most of its
/// memory would be far from most of the workers.
pub(crate) fn merge_tiny(mut groups: Vec<Group>, distances: &Distances) -> Vec<Group> {
    let mut done = vec![false; groups.len()];
    while let Some(lone) = (0..groups.len()).find(|&g| groups[g].tiny && groups[g].slots.len() == 1 && !done[g]) {
        let far = |&other: &usize| {
            let apart = distances.least(&groups[lone].nodes, &groups[other].nodes);
            (apart, groups[other].slots.len(), other.abs_diff(lone))
        };
        let Some(other) = (0..groups.len()).filter(|&g| g != lone && groups[g].tiny).min_by_key(far) else {
            done[lone] = true;
            continue;
        };
        let (first, second) = (lone.min(other), lone.max(other));
        let Group { nodes, slots, .. } = groups.remove(second);
        done.remove(second);
        groups[first].nodes.extend(nodes);
        groups[first].nodes.sort_unstable();
        groups[first].nodes.dedup();
        groups[first].slots.extend(slots);
    }
    groups
}

/// What ranks divide: cores with all their threads, or single threads if there are fewer cores than ranks; and how many of them
/// share each cache. With cores of several kinds they are dealt so that each share has its part of each kind; cores of a kind
/// stay in their order, and caches do not count.
pub(crate) fn pieces(group: &Group, whole_cores: bool, deal: bool) -> (Vec<Vec<Slot>>, Vec<usize>) {
    let pieces: Vec<Vec<Slot>> =
        group.slots.chunk_by(|a, b| whole_cores && a.core == b.core).map(<[Slot]>::to_vec).collect();
    let mut of_kind = BTreeMap::<u8, usize>::new();
    pieces.iter().for_each(|piece| *of_kind.entry(piece[0].kind).or_default() += 1);
    if of_kind.len() < 2 || !deal {
        let caches = pieces.chunk_by(|a, b| a[0].cache == b[0].cache).map(<[_]>::len).collect();
        return (pieces, caches);
    }
    let (all, mut seen) = (pieces.len(), BTreeMap::<u8, usize>::new());
    let mut keyed: Vec<(usize, u8, Vec<Slot>)> = Vec::new();
    for piece in pieces {
        let kind = piece[0].kind;
        let i = seen.entry(kind).or_default();
        // Where in the row its middle lies, if each kind is spread over the whole: (i + 1/2) / number, in 2^-32.
        let place = ((2 * *i + 1) << 32) / (2 * of_kind[&kind]);
        *i += 1;
        keyed.push((place, kind, piece));
    }
    keyed.sort_by_key(|&(place, kind, _)| (place, kind));
    (keyed.into_iter().map(|(_, _, piece)| piece).collect(), vec![all])
}

/// Of a rank's places those for `threads` workers: the fastest cores first, and of equally fast ones some from everywhere, so
/// that each domain has its part. Gives their indices, ascending; with more workers than places, some more than once.
pub(crate) fn chosen(slots: &[Slot], threads: usize) -> Vec<usize> {
    if threads >= slots.len() {
        return (0..threads).map(|w| w * slots.len() / threads).collect();
    }
    let mut kinds: Vec<u8> = slots.iter().map(|slot| slot.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let mut chosen = Vec::new();
    for kind in kinds {
        let these: Vec<usize> = (0..slots.len()).filter(|&i| slots[i].kind == kind).collect();
        let wanted = (threads - chosen.len()).min(these.len());
        chosen.extend((0..wanted).map(|w| these[w * these.len() / wanted]));
    }
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kinds: &[u8]) -> Vec<Slot> {
        kinds.iter().enumerate().map(|(i, &kind)| Slot { cpu: i as u32, core: i, kind, cache: None }).collect()
    }

    fn lone(nodes: &[u32], sizes: &[usize]) -> Vec<Group> {
        let group =
            |(&node, &size): (&u32, &usize)| Group { nodes: vec![node], slots: row(&vec![0; size]), tiny: size == 1 };
        nodes.iter().zip(sizes).map(group).collect()
    }

    fn merged(nodes: &[u32], sizes: &[usize], distances: &Distances) -> Vec<Vec<u32>> {
        merge_tiny(lone(nodes, sizes), distances).into_iter().map(|group| group.nodes).collect()
    }

    #[test]
    fn lone_places_find_each_other() {
        let none = Distances::default();
        assert_eq!(merged(&[0, 1], &[1, 1], &none), [vec![0, 1]]);
        assert_eq!(merged(&[0, 1, 2, 3, 4], &[1; 5], &none), [vec![0, 1], vec![2, 3, 4]]);
        assert_eq!(merged(&[0, 1], &[1, 8], &none), [vec![0], vec![1]], "the large one is better alone");
        assert_eq!(merged(&[0], &[1], &none), [vec![0]]);
        let row = |a, b, c, d| vec![a, b, c, d];
        let rows = vec![row(10, 30, 12, 30), row(30, 10, 30, 12), row(12, 30, 10, 30), row(30, 12, 30, 10)];
        let near = Distances::new(vec![0, 1, 2, 3], rows).unwrap();
        assert_eq!(merged(&[0, 1, 2, 3], &[1; 4], &near), [vec![0, 2], vec![1, 3]]);
    }

    #[test]
    fn kinds_are_dealt_and_chosen() {
        let slots = row(&[0, 0, 0, 0, 1, 1]);
        let group = Group { nodes: vec![0], slots: slots.clone(), tiny: false };
        let kinds = |deal| pieces(&group, true, deal).0.iter().map(|piece| piece[0].kind).collect::<Vec<_>>();
        assert_eq!((kinds(true), kinds(false)), (vec![0, 1, 0, 0, 1, 0], vec![0, 0, 0, 0, 1, 1]));
        let two = |cpu| Slot { cpu, core: cpu as usize / 2, kind: 0, cache: None };
        let threads = Group { nodes: vec![0], slots: (0..4).map(two).collect(), tiny: false };
        assert_eq!((pieces(&threads, true, true).1, pieces(&threads, false, true).1), (vec![2], vec![4]));
        assert_eq!(chosen(&slots, 2), [0, 2]);
        assert_eq!(chosen(&slots, 5), [0, 1, 2, 3, 4]);
        assert_eq!(chosen(&slots, 6), [0, 1, 2, 3, 4, 5]);
        assert_eq!(chosen(&row(&[0, 0]), 5), [0, 0, 0, 1, 1]);
    }
}
