//! Vectors at home, interleaved and on one domain, by pools that claim to have several.

use super::*;
use crate::World;
use physalia_collectives::Comm;
use std::sync::Mutex;

/// A pool of domains with so many workers each, of nodes 0, 1, ….
fn pool(workers: &[usize]) -> Arc<Pool> {
    let mut plan = World::alone().plan().clone();
    let domain = |node: usize| physalia_topology::PlanDomain { nodes: vec![node as u32], ..plan.domains[0].clone() };
    let worker = |domain| physalia_topology::Worker { domain, ..plan.workers[0].clone() };
    let domains = (0..workers.len()).map(domain).collect();
    plan.workers = workers.iter().enumerate().flat_map(|(d, &n)| (0..n).map(move |_| worker(d))).collect();
    plan.pinned = true; // else workers are of no domain
    plan.domains = domains;
    Arc::new(Pool::new(&plan, crate::pool::Idle::Auto, Comm::alone().abort_flag()).unwrap())
}

fn present<T: Plain + Pod>(vec: &NumaVec<T>) -> Option<Locality> {
    vec.locality().inspect_err(|e| println!("skipped: {e}")).ok()
}

#[test]
fn zeros_as_long_as_asked() {
    for pool in [pool(&[1]), pool(&[2, 1])] {
        for len in [0, 1, 511, 512, 513, HUGE / 8 - 1, HUGE / 8, HUGE / 4 + 1] {
            let all = [NumaVec::new(&pool, len), NumaVec::interleaved(&pool, len), NumaVec::on(&pool, 0, len)];
            for mut vec in all.map(Result::unwrap) {
                assert_eq!(vec.len(), len);
                assert!(vec.iter().all(|x: &f64| x.to_bits() == 0));
                vec.fill(1.5);
                assert_eq!(vec.iter().sum::<f64>(), 1.5 * len as f64);
            }
        }
    }
    assert_eq!(NumaVec::<[u8; 3]>::new(&pool(&[1]), 1000).unwrap().len(), 1000);
}

#[test]
fn too_much_is_an_error() {
    let pool = pool(&[1]);
    for len in [usize::MAX, 1 << 60, 1 << 58] {
        let error = NumaVec::<u64>::new(&pool, len).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
        assert!(error.to_string().starts_with("no memory for "), "{error}");
    }
    assert!(NumaVec::<u64>::new(&pool, 1 << 58).unwrap_err().to_string().contains("2147483648.0 GiB"));
}

#[test]
fn several_domains_have_touched_all_and_one_nothing() {
    let one = NumaVec::<u8>::new(&pool(&[2]), 3 * HUGE + 1).unwrap();
    assert_eq!(one.placement(), Placement::FirstUse);
    let Some(locality) = present(&one) else { return };
    assert_eq!((locality.present, locality.share()), (0, 1.0));
    for len in [1, 5000, HUGE, 9 * HUGE + 5] {
        let two = NumaVec::<u8>::new(&pool(&[1, 1]), len).unwrap();
        assert_eq!(two.placement(), Placement::FirstTouch);
        let locality = present(&two).unwrap();
        assert_eq!(locality.pages, len.div_ceil(page_bytes()));
        assert_eq!(locality.present, locality.pages);
    }
}

/// On a machine of one node, what should be on others is not at home.
#[test]
fn home_is_what_the_domain_has() {
    let two = NumaVec::<u8>::new(&pool(&[3, 1]), 16 * HUGE).unwrap();
    let Some(locality) = present(&two) else { return };
    let nodes = physalia_topology::sys::nodes_of(&two, 1).unwrap();
    if nodes.iter().any(|&node| node != Some(0)) {
        return println!("skipped: several nodes");
    }
    assert_eq!(locality.share(), 0.75);
    let here = NumaVec::<u8>::on(&pool(&[1, 1]), 0, 1000).unwrap();
    let there = NumaVec::<u8>::on(&pool(&[1, 1]), 1, 1000).unwrap();
    let spread = NumaVec::<u8>::interleaved(&pool(&[1, 1]), 1 << 20).unwrap();
    // The system can be told of node 0, but not of one that is not there.
    assert_ne!(here.placement(), Placement::FirstUse);
    assert_eq!(there.placement(), Placement::FirstTouch);
    assert_eq!(present(&there), Some(Locality { pages: 1, present: 1, at_home: 0 }));
    let mut all = [here, spread];
    all.iter_mut().for_each(|vec| vec.fill(1));
    assert!(all.iter().all(|vec| present(vec).unwrap().share() == 1.0));
}

#[test]
fn pages_in_turn_are_all_touched() {
    for (len, unit) in [(10 * page_bytes() + 1, page_bytes()), (5 * HUGE, HUGE), (1, HUGE), (0, HUGE)] {
        let mut vec = NumaVec::<u8>::lazy(&pool(&[1, 1]), len, |len| Homes::one(len, 0, 2, page_bytes())).unwrap();
        let pool = vec.pool.clone();
        touch::in_turn(&mut vec, unit, &pool);
        let Some(locality) = present(&vec) else { return };
        assert_eq!(locality.present, len.div_ceil(page_bytes()));
    }
}

#[test]
fn chunks_come_once_each_with_their_numbers() {
    for pool in [pool(&[1]), pool(&[2, 1]), pool(&[1, 1, 1])] {
        for (len, chunk) in [(0, 5), (1, 5), (5, 5), (1_000_003, 1000), (1_000_003, 2_000_000)] {
            let mut vec = NumaVec::<u32>::new(&pool, len).unwrap();
            let seen = Mutex::new(Vec::new());
            vec.each_chunk(chunk, |i, values| {
                seen.lock().unwrap().push((i, values.len()));
                values.iter_mut().zip(i * chunk..).for_each(|(value, n)| *value += n as u32 + 1);
            });
            let mut seen = seen.into_inner().unwrap();
            seen.sort_unstable();
            assert!(seen.iter().map(|s| s.0).eq(0..len.div_ceil(chunk)), "{seen:?}");
            assert_eq!(seen.iter().map(|s| s.1).sum::<usize>(), len);
            assert!(vec.iter().copied().eq(1..=len as u32));
            let cuts = vec.cuts(chunk);
            assert_eq!((cuts.len(), cuts[0]), (pool.domains() + 1, 0));
            assert!(cuts.is_sorted() && cuts[pool.domains()] == len.div_ceil(chunk));
            for (i, values) in vec.chunks(chunk).enumerate() {
                let home = vec.home(i * chunk + values.len() / 2);
                assert!((cuts[home]..cuts[home + 1]).contains(&i), "chunk {i} of home {home}: {cuts:?}");
            }
        }
    }
}

#[test]
fn a_chunk_makes_memory_of_its_own() {
    let pool = pool(&[1, 1]);
    pool.each(vec![(); 4], |_, ()| {
        let mut vec = NumaVec::<u32>::new(&pool, 100_000).unwrap();
        assert_eq!(vec.placement(), Placement::FirstUse);
        vec.fill(1);
    });
}

#[test]
#[should_panic(expected = "value 3 of 3")]
fn there_is_no_home_of_what_is_not_there() {
    NumaVec::<u8>::new(&pool(&[1]), 3).unwrap().home(3);
}

#[test]
#[should_panic(expected = "domain 2 of 2")]
fn there_is_no_memory_on_what_is_not_there() {
    NumaVec::<u8>::on(&pool(&[1, 1]), 2, 3).unwrap();
}
