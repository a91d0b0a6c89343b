//! Every schedule, against what it must give and against the fewest messages, bytes and rounds that it can have.

use super::hosts::Hosts;
use super::player::{LogGp, Played, Player, ROUNDS, play};
use super::{Piece, Step, binomial, bruck, chain, direct, dissemination, doubling, halving, levels, ring, slices};

/// A way to do it: the schedule of each rank.
type Way<'w> = Box<dyn Fn(usize) -> Vec<Step> + 'w>;
/// Of rank, root and size.
type Rooted = fn(usize, usize, usize) -> Vec<Step>;
/// An operation.
type Fold = fn(u64, u64) -> u64;

const SIZES: std::ops::RangeInclusive<usize> = 1..=33;
const LENGTHS: [usize; 6] = [0, 1, 2, 7, 40, 101];

/// Messages are late, and overtake each other.
const LATE: LogGp = LogGp { latency: 1000, overhead: 50, gap: 20, ns_a_byte: 1, late: 5000 };

fn no_fold(_: u64, _: u64) -> u64 {
    panic!("nothing to combine")
}

fn no_combine(_: usize, _: &mut Vec<Option<Vec<u8>>>) {
    panic!("nothing to combine")
}

fn value(rank: usize, i: usize) -> u64 {
    (rank as u64 + 1) << 32 | (i as u64 + 1)
}

fn vector(rank: usize, len: usize) -> Vec<u64> {
    (0..len).map(|i| value(rank, i)).collect()
}

/// Runs a schedule of vectors in order of time and three times late; `good` looks at every outcome.
fn check(
    make: impl Fn(usize) -> Player,
    size: usize,
    fold: &dyn Fn(u64, u64) -> u64,
    good: impl Fn(&[Player]),
) -> Played {
    for seed in 0..3 {
        good(&play((0..size).map(&make).collect(), LATE, seed, fold, &no_combine).ranks);
    }
    let now = play((0..size).map(&make).collect(), ROUNDS, 0, fold, &no_combine);
    good(&now.ranks);
    now
}

/// Neither commutes nor associates.
fn left_fold(a: u64, b: u64) -> u64 {
    a.wrapping_mul(31).wrapping_sub(b)
}

/// Associates and does not commute: x → ax + b, one after the other, modulo 2^32.
fn affine(f: u64, g: u64) -> u64 {
    let ([a, b], [c, d]) = ([f >> 32, f & 0xffff_ffff], [g >> 32, g & 0xffff_ffff]);
    let (a, b) = (a.wrapping_mul(c), b.wrapping_mul(c).wrapping_add(d));
    a << 32 | b & 0xffff_ffff
}

fn roots(size: usize) -> Vec<usize> {
    let mut roots = vec![0, size / 2, size - 1];
    roots.dedup();
    roots
}

/// Hosts of equal and odd widths; and dealt out in turn.
fn host_maps(size: usize) -> Vec<Vec<u32>> {
    let by = |f: &dyn Fn(usize) -> usize| (0..size).map(|r| f(r) as u32).collect::<Vec<u32>>();
    vec![
        by(&|_| 0),
        by(&|r| r / 4),
        by(&|r| r * 3 / size),
        by(&|r| r.max(1).ilog2() as usize),
        by(&|r| r % 3),
        by(&|r| r),
    ]
}

#[test]
fn broadcasts() {
    for size in SIZES {
        for root in roots(size) {
            for len in LENGTHS {
                let hosts: Vec<Hosts> = host_maps(size).iter().map(|map| Hosts::new(map)).collect();
                let mut ways: Vec<(String, Way<'_>)> = vec![
                    (
                        "binomial".into(),
                        Box::new(move |me| binomial::broadcast(me, root, size, Piece::span(0, 0..len))),
                    ),
                    ("scatter".into(), Box::new(move |me| binomial::scatter_gather(me, root, size, len))),
                ];
                for segments in [1, 3, 8] {
                    ways.push((
                        format!("chain {segments}"),
                        Box::new(move |me| chain::broadcast(me, root, size, len, segments)),
                    ));
                    ways.push((
                        format!("tree {segments}"),
                        Box::new(move |me| chain::tree(me, root, size, len, segments)),
                    ));
                    for hosts in hosts.clone() {
                        ways.push((format!("{hosts:?}"), Box::new(move |me| hosts.broadcast(me, root, len, segments))));
                    }
                }
                for (name, way) in ways {
                    let make = |me| Player::new(way(me), vec![vector(if me == root { 99 } else { me }, len)]);
                    let good = |ranks: &[Player]| {
                        assert!(
                            ranks.iter().all(|r| r.memory[0] == vector(99, len)),
                            "{name}: {len} from {root} of {size}"
                        );
                    };
                    let played = check(make, size, &no_fold, good);
                    assert!(played.bytes >= (size - 1) * 8 * len, "{name}: every rank gets every byte");
                    match name.as_str() {
                        "binomial" if len > 0 => {
                            assert_eq!((played.messages, played.bytes), (size - 1, (size - 1) * 8 * len));
                            assert_eq!(played.time as usize, levels(size), "the fewest rounds there can be");
                        }
                        "chain 8" if len >= 8 && size > 1 => assert_eq!(played.time as usize, size - 1 + 8 - 1),
                        _ => {}
                    }
                }
            }
        }
    }
}

#[test]
fn gathers_and_scatters_of_blobs() {
    let blob = |b: usize| Some(vec![b as u8; b % 5]);
    for size in SIZES {
        for root in roots(size) {
            let all: Vec<_> = (0..size).map(blob).collect();
            let own = |me: usize| (0..size).map(|b| if b == me { blob(b) } else { None }).collect::<Vec<_>>();
            let gathers: [Rooted; 2] = [binomial::gather, |me, r, p| direct::with_root(me, r, p, true)];
            for way in gathers {
                let good = |ranks: &[Player]| assert_eq!(ranks[root].blobs, all, "{size} ranks to {root}");
                let played = check(|me| Player::of_blobs(way(me, root, size), own(me)), size, &no_fold, good);
                assert_eq!(played.messages, size - 1);
            }
            let scatters: [Rooted; 2] = [binomial::scatter, |me, r, p| direct::with_root(me, r, p, false)];
            for way in scatters {
                let of_root = |me: usize| if me == root { all.clone() } else { vec![None; size] };
                let good = |ranks: &[Player]| {
                    assert!(
                        ranks.iter().enumerate().all(|(me, r)| r.blobs[me] == blob(me)),
                        "{size} ranks from {root}"
                    );
                };
                let played = check(|me| Player::of_blobs(way(me, root, size), of_root(me)), size, &no_fold, good);
                assert_eq!(played.messages, size - 1);
            }
        }
    }
}

#[test]
fn merging_adds_every_part_once_and_tells_everyone() {
    use binomial::{PART, RESULT, merge, merge_blobs};
    for size in SIZES {
        let own = |me: usize| {
            let mut blobs = vec![None; merge_blobs(me, size)];
            blobs[PART] = Some(vec![me as u8]);
            Player::of_blobs(merge(me, size), blobs)
        };
        let combine = |me: usize, blobs: &mut Vec<Option<Vec<u8>>>| {
            let mut all: Vec<u8> = blobs.iter().flatten().flatten().copied().collect();
            all.sort_unstable();
            if me == 0 {
                blobs[RESULT] = Some(all.clone());
            }
            blobs[PART] = Some(all);
        };
        let played = play((0..size).map(own).collect(), LATE, 7, &no_fold, &combine);
        assert_eq!(played.messages, 2 * (size - 1));
        let all: Vec<u8> = (0..size as u8).collect();
        assert!(played.ranks.iter().all(|r| r.blobs[RESULT].as_ref() == Some(&all)), "{size} ranks");
    }
}

#[test]
fn all_gathers() {
    for size in SIZES {
        // Parts of unlike lengths, none among them; and of equal ones.
        for lens in [(0..size).map(|r| [3, 0, 1, 8][r % 4]).collect::<Vec<usize>>(), vec![2; size]] {
            let start = |r: usize| lens[..r].iter().sum::<usize>();
            let place = |r: usize| start(r)..start(r) + lens[r];
            let whole: Vec<u64> = (0..size).flat_map(|r| vector(r, lens[r])).collect();
            let own = |me: usize| {
                let mut all = vec![0; whole.len()];
                all[place(me)].copy_from_slice(&vector(me, lens[me]));
                all
            };
            let mut ways: Vec<(&str, Way<'_>)> = vec![
                ("direct", Box::new(|me| direct::all_gather(me, size, place))),
                ("ring", Box::new(|me| ring::all_gather(me, size, 0, place))),
                ("dissemination", Box::new(|me| dissemination::all_gather_parts(me, size, 0, place))),
            ];
            if size.is_power_of_two() {
                ways.push(("doubling", Box::new(|me| doubling::all_gather(me, size, 0, place))));
            }
            for map in host_maps(size) {
                let hosts = Hosts::new(&map);
                if hosts.in_order() {
                    ways.push(("hosts", Box::new(move |me| hosts.all_gather(me, 0, place))));
                }
            }
            for (name, way) in ways {
                let good =
                    |ranks: &[Player]| assert!(ranks.iter().all(|r| r.memory[0] == whole), "{name}, {size} ranks");
                let played = check(|me| Player::new(way(me), vec![own(me)]), size, &no_fold, good);
                // Each rank must get all that is not its own, in ⌈log₂ p⌉ rounds at least.
                let least = (size - 1) * 8 * whole.len();
                assert!(played.bytes >= least);
                assert!(lens[0] != 2 || played.time as usize >= levels(size), "{name}");
                if name != "hosts" {
                    assert_eq!(played.bytes, least, "{name}: no byte twice");
                }
                if name == "dissemination" && lens[0] == 2 {
                    // Two messages a round where the parts lie around the buffer's end.
                    assert!(played.time as usize <= 2 * levels(size));
                }
            }
            let blob = |b: usize| Some(vec![b as u8; lens[b]]);
            let own = |me: usize| (0..size).map(|b| if b == me { blob(b) } else { None }).collect();
            let good = |ranks: &[Player]| {
                assert!(ranks.iter().all(|r| (0..size).all(|b| r.blobs[b] == blob(b))), "{size} ranks");
            };
            let played =
                check(|me| Player::of_blobs(dissemination::all_gather(me, size), own(me)), size, &no_fold, good);
            assert_eq!(played.messages, size * levels(size));
        }
    }
}

#[test]
fn all_to_alls() {
    for size in SIZES {
        for block in [0usize, 1, 3] {
            let from = |me: usize| (0..size * block).map(|i| value(me, i)).collect::<Vec<u64>>();
            let expected = |me: usize| -> Vec<u64> {
                (0..size).flat_map(|q| (me * block..(me + 1) * block).map(move |i| value(q, i))).collect()
            };
            let own = |me: usize| {
                let mut into = vec![0; size * block];
                into[me * block..(me + 1) * block].copy_from_slice(&from(me)[me * block..(me + 1) * block]);
                into
            };
            let place = |q: usize| Some(q * block..(q + 1) * block);
            let direct = |me| direct::exchange(me, size, place, place);
            let pairwise = |me| direct::pairwise(me, size, block);
            let ways: [&dyn Fn(usize) -> Vec<Step>; 2] = [&direct, &pairwise];
            for way in ways {
                let good = |ranks: &[Player]| {
                    assert!(
                        ranks.iter().enumerate().all(|(me, r)| r.memory[1] == expected(me)),
                        "{size} ranks, {block}"
                    );
                };
                let played = check(|me| Player::new(way(me), vec![from(me), own(me)]), size, &no_fold, good);
                assert_eq!(played.bytes, size * (size - 1) * 8 * block);
            }
        }
        let blob = |from: usize, to: usize| {
            Some(vec![from as u8, to as u8, 7][..(from + to) % 4].to_vec()).filter(|b| b.len() < 4)
        };
        let own = |me: usize| (0..size).map(|d| blob(me, (me + d) % size)).collect();
        let good = |ranks: &[Player]| {
            for (me, rank) in ranks.iter().enumerate() {
                assert!((0..size).all(|d| rank.blobs[d] == blob((me + size - d) % size, me)), "{size} ranks");
            }
        };
        let played = check(|me| Player::of_blobs(bruck::all_to_all(me, size), own(me)), size, &no_fold, good);
        assert_eq!((played.messages, played.time as usize), (size * levels(size), levels(size)));
    }
}

/// The combination of all ranks, by the book.
fn combined(size: usize, len: usize, fold: Fold) -> Vec<u64> {
    (0..len).map(|i| (0..size).map(|r| value(r, i)).reduce(fold).expect("a rank")).collect()
}

#[test]
fn all_reductions() {
    for size in SIZES {
        for len in LENGTHS {
            let mut ways: Vec<(String, Fold, Way<'_>)> = vec![
                ("doubling".into(), affine, Box::new(move |me| doubling::all_reduce(me, size, len))),
                ("halving".into(), affine, Box::new(move |me| halving::all_reduce(me, size, len))),
                ("ring".into(), u64::wrapping_add, Box::new(move |me| ring::all_reduce(me, size, len))),
            ];
            ways.push(("slices".into(), left_fold, Box::new(move |me| direct::all_reduce(me, size, len))));
            for segments in [1, 2, 5] {
                let way = move |me| chain::all_reduce(me, size, len, segments);
                ways.push((format!("chain {segments}"), left_fold, Box::new(way)));
            }
            for map in host_maps(size) {
                let hosts = Hosts::new(&map);
                let fold = if hosts.in_order() { affine } else { u64::wrapping_add };
                for long in [false, true] {
                    let hosts = hosts.clone();
                    ways.push((format!("{map:?}"), fold, Box::new(move |me| hosts.all_reduce(me, len, long))));
                }
            }
            for (name, fold, way) in ways {
                let expected = combined(size, len, fold);
                let good = |ranks: &[Player]| {
                    assert!(ranks.iter().all(|r| r.memory[0] == expected), "{name}: {len} elements, {size} ranks");
                };
                let played =
                    check(|me| Player::new(way(me), vec![vector(me, len), vec![0; len + size]]), size, &fold, good);
                let (n, p) = (8 * len, size);
                match name.as_str() {
                    "doubling" if p.is_power_of_two() && len > 0 => {
                        assert_eq!((played.messages, played.bytes), (p * levels(p), p * levels(p) * n));
                        assert_eq!(played.time as usize, levels(p), "the fewest rounds there can be");
                    }
                    // Nobody can send less than 2 (p - 1)/p of the vector (Patarasuk and Yuan 2009).
                    "ring" | "slices" => assert_eq!(played.bytes, 2 * (p - 1) * n),
                    "halving" if p.is_power_of_two() => assert_eq!(played.bytes, 2 * (p - 1) * n),
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn reductions_scatters_and_scans() {
    for size in SIZES {
        for len in LENGTHS {
            for root in roots(size) {
                // From rank 0 the order of ranks is kept.
                let fold = if root == 0 { affine } else { u64::wrapping_add };
                let expected = combined(size, len, fold);
                let make = |me| Player::new(binomial::reduce(me, root, size, len), vec![vector(me, len), vec![0; len]]);
                let good = |ranks: &[Player]| assert_eq!(ranks[root].memory[0], expected, "{len} to {root} of {size}");
                let played = check(make, size, &fold, good);
                assert!(played.time as usize <= levels(size));
            }
            let slice = slices(len, size);
            let sum = combined(size, len, u64::wrapping_add);
            let make = |me| Player::new(ring::reduce_scatter(me, size, len), vec![vector(me, len), vec![0; len]]);
            let good = |ranks: &[Player]| {
                let own = |me: usize| ranks[me].memory[0][slice(me)] == sum[slice(me)];
                assert!((0..size).all(own), "{len} elements, {size} ranks");
            };
            let played = check(make, size, &u64::wrapping_add, good);
            assert_eq!(played.bytes, (size - 1) * 8 * len);

            let make = |me| Player::new(doubling::scan(me, size, len, true), vec![vector(me, len), vec![0; 2 * len]]);
            let good = |ranks: &[Player]| {
                for (me, rank) in ranks.iter().enumerate() {
                    assert_eq!(rank.memory[0], combined(me + 1, len, affine), "{me} of {size}");
                    assert!(me == 0 || rank.memory[1][len..] == combined(me, len, affine), "{me} of {size}");
                }
            };
            let played = check(make, size, &affine, good);
            assert!(len == 0 || played.time as usize == levels(size));
            let in_order = combined(size, len, left_fold);
            let room = |me: usize| vec![0; slice(me).len() * size];
            let make = |me| Player::new(direct::reduce_slices(me, size, len), vec![vector(me, len), room(me)]);
            let good = |ranks: &[Player]| {
                let own = |me: usize| ranks[me].memory[1][..slice(me).len()] == in_order[slice(me)];
                assert!((0..size).all(own), "{len} elements, {size} ranks");
            };
            check(make, size, &left_fold, good);
            for root in roots(size) {
                let make = |me| Player::new(direct::reduce(me, root, size, len), vec![vector(me, len), room(me)]);
                let good = |ranks: &[Player]| {
                    let kept = |me: usize| me == root || ranks[me].memory[0] == vector(me, len);
                    assert!((0..size).all(kept) && ranks[root].memory[0] == in_order, "{len} to {root} of {size}");
                };
                check(make, size, &left_fold, good);
            }
        }
    }
}

/// Who has heard, directly or not, of whom: a barrier ends nowhere before it has begun everywhere.
#[test]
fn barriers() {
    for size in SIZES {
        let mut ways: Vec<Way<'_>> = vec![Box::new(move |me| dissemination::barrier(me, size))];
        for map in host_maps(size) {
            let hosts = Hosts::new(&map);
            ways.push(Box::new(move |me| hosts.barrier(me)));
        }
        for way in ways {
            // The last rank begins late: nobody is done before that.
            let begins = |me: usize| if me == size - 1 { 1_000_000 } else { 0 };
            let make = |me| Player::new(way(me), vec![]).from(begins(me));
            let good = |ranks: &[Player]| assert!(ranks.iter().all(|r| r.ends() >= 1_000_000), "{size} ranks");
            check(make, size, &no_fold, good);
        }
    }
}

/// Far more ranks than anybody can start here.
#[test]
fn schedules_of_65_536_ranks() {
    const RANKS: usize = 65_536;
    let model = LogGp { latency: 1500, overhead: 300, gap: 300, ns_a_byte: 0, late: 0 };
    let message = 1500 + 2 * 300;
    let run = |make: &dyn Fn(usize) -> Player, fold: &dyn Fn(u64, u64) -> u64| {
        play((0..RANKS).map(make).collect(), model, 0, fold, &no_combine)
    };
    let barrier = run(&|me| Player::new(dissemination::barrier(me, RANKS), vec![]), &no_fold);
    assert_eq!((barrier.messages, barrier.time), (RANKS * 16, 16 * message));

    let one = |me: usize| vec![value(me, 0)];
    let tree = run(&|me| Player::new(binomial::broadcast(me, 0, RANKS, Piece::span(0, 0..1)), vec![one(me)]), &no_fold);
    assert!(tree.ranks.iter().all(|r| r.memory[0] == one(0)));
    assert_eq!(tree.messages, RANKS - 1);
    // The longest way has 16 messages; each rank on it has sent to its larger subtrees before.
    assert!((16 * message..=16 * message + 16 * 16 * 300).contains(&tree.time), "{}", tree.time);

    let sum = run(&|me| Player::new(doubling::all_reduce(me, RANKS, 1), vec![one(me), vec![0]]), &u64::wrapping_add);
    let expected = (0..RANKS).map(|r| value(r, 0)).fold(0, u64::wrapping_add);
    assert!(sum.ranks.iter().all(|r| r.memory[0] == [expected]));
    assert_eq!((sum.messages, sum.time), (RANKS * 16, 16 * message));

    let hosts = Hosts::new(&(0..RANKS as u32).map(|r| r / 64).collect::<Vec<_>>());
    let by_host = run(&|me| Player::new(hosts.all_reduce(me, 1, false), vec![one(me), vec![0]]), &u64::wrapping_add);
    assert!(by_host.ranks.iter().all(|r| r.memory[0] == [expected]));
    assert_eq!(by_host.messages, 2 * (RANKS - RANKS / 64) + RANKS / 64 * 10, "only leaders talk between hosts");

    let scan =
        run(&|me| Player::new(doubling::scan(me, RANKS, 1, false), vec![one(me), vec![0; 2]]), &u64::wrapping_add);
    let mut prefix = 0u64;
    for (me, rank) in scan.ranks.iter().enumerate() {
        prefix = prefix.wrapping_add(value(me, 0));
        assert_eq!(rank.memory[0], [prefix]);
    }
}
