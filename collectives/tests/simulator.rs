//! The simulated transport: what messages cost, against formulas of textbooks; runs that can be repeated; ranks that die.

use physalia_collectives::Schedules;
use physalia_collectives::simulator::{Death, LogGp, Report, Simulation, Stats, charge_ps, now_ps};
use physalia_collectives::{By, Cause, Comm, Failure, Fast, Outcome, Sum, poll_here};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};

const MODEL: LogGp = LogGp { latency_ps: 1_000_000, overhead_ps: 100_000, gap_ps: 150_000, byte_gap_ps: 100 };

fn simulated(ranks: u32) -> Simulation {
    Simulation::new(ranks).model(MODEL)
}

fn levels(ranks: u32) -> u64 {
    u64::from(ranks.next_power_of_two().trailing_zeros())
}

/// What a body costs, without the barrier that ends every body.
fn cost(ranks: u32, body: impl Fn(&mut Comm) -> Outcome<()> + Sync) -> (u64, u64, u64) {
    let of = |stats: Stats| (stats.messages(), stats.bytes(), stats.makespan_ps());
    let run = |body: &(dyn Fn(&mut Comm) -> Outcome<()> + Sync)| {
        let report = simulated(ranks).run(body);
        assert!(report.results.iter().all(Result::is_ok), "{report:?}");
        of(report.stats)
    };
    let (all, end) = (run(&body), run(&|_| Ok(())));
    (all.0 - end.0, all.1 - end.1, all.2 - end.2)
}

const SIZES: [u32; 10] = [1, 2, 3, 4, 5, 8, 13, 16, 33, 128];

/// From the call of `send` to the return of `receive`, on ranks that do nothing else.
fn message_ps(bytes: u64) -> u64 {
    2 * MODEL.overhead_ps + MODEL.latency_ps + bytes.saturating_sub(1) * MODEL.byte_gap_ps
}

/// Dissemination: ⌈log₂ p⌉ rounds, in each of which every rank sends and receives one empty message.
#[test]
fn a_barrier_takes_a_round_for_each_power_of_two() {
    for ranks in SIZES {
        let rounds = levels(ranks);
        let (messages, bytes, time) = cost(ranks, |comm| Ok(comm.barrier()?));
        assert_eq!((messages, bytes, time), (u64::from(ranks) * rounds, 0, rounds * message_ps(0)), "{ranks} ranks");
    }
}

/// Binomial tree: p − 1 messages. Rank v of the tree has it when its parent, v without its lowest bit, has sent it to all
/// children of larger subtrees before.
#[test]
fn a_broadcast_goes_down_a_binomial_tree() {
    /// The children of `v` by what they add to it, those of the largest subtrees first.
    fn children(v: u32, ranks: u32) -> Vec<u32> {
        let low = if v == 0 { ranks.next_power_of_two() } else { v & v.wrapping_neg() };
        (0..32).rev().map(|i| 1 << i).filter(|&bit| bit < low && v + bit < ranks).collect()
    }
    fn there(v: u32, ranks: u32, bytes: u64) -> u64 {
        if v == 0 {
            return 0;
        }
        let low = v & v.wrapping_neg();
        let parent = v - low;
        let before = children(parent, ranks).iter().position(|&bit| bit == low).expect("a child");
        // Each message before occupies the sender's port for its bytes and a gap, or its processor for an overhead.
        let port = (bytes.saturating_sub(1) * MODEL.byte_gap_ps + MODEL.gap_ps).max(MODEL.overhead_ps);
        there(parent, ranks, bytes) + before as u64 * port + message_ps(bytes)
    }
    for ranks in SIZES {
        for root in [0, ranks / 3] {
            let report = simulated(ranks).run(|comm| {
                assert_eq!(comm.broadcast(root, [comm.rank(); 25])?, [root; 25]);
                Ok(now_ps())
            });
            let times = report.values().unwrap();
            for v in 0..ranks {
                let rank = (v + root) % ranks;
                // It goes on when it has given all that it sends to its port.
                let sent = there(v, ranks, 100) + children(v, ranks).len() as u64 * MODEL.overhead_ps;
                assert_eq!(times[rank as usize], Some(sent), "rank {rank} of {ranks} from {root}");
            }
        }
        let (messages, bytes, _) = cost(ranks, |comm| Ok(comm.broadcast(0, [0u8; 100]).map(drop)?));
        assert_eq!((messages, bytes), (u64::from(ranks) - 1, 100 * (u64::from(ranks) - 1)));
        let deepest = (0..ranks).map(|v| there(v, ranks, 100)).max().unwrap();
        assert!(deepest <= levels(ranks) * message_ps(100), "{ranks} ranks");
    }
}

/// Bruck: ⌈log₂ p⌉ messages a rank, which carry all other ranks' values once, each behind its length.
#[test]
fn an_all_gather_sends_every_value_to_every_rank_once() {
    for ranks in SIZES {
        let p = u64::from(ranks);
        let (messages, bytes, time) = cost(ranks, |comm| Ok(comm.all_gather([comm.rank(); 5]).map(drop)?));
        assert_eq!((messages, bytes), (p * levels(ranks), p * (p - 1) * (8 + 20)), "{ranks} ranks");
        // All ranks do the same at the same time: each round doubles the values, the last one brings the rest.
        let rounds = (0..levels(ranks)).map(|round| message_ps((p - (1 << round)).min(1 << round) * (8 + 20)));
        assert_eq!(time, rounds.sum::<u64>(), "{ranks} ranks");
    }
}

/// One rank is late: nobody leaves the barrier before it has come.
#[test]
fn work_is_charged_and_waited_for() {
    let report = simulated(9).run(|comm| {
        charge_ps(if comm.rank() == 4 { 50_000_000 } else { 7 });
        comm.barrier()?;
        Ok(now_ps())
    });
    for time in report.values().unwrap() {
        assert!(time >= Some(50_000_000 + MODEL.latency_ps), "{time:?}");
    }
    assert_eq!((now_ps(), charge_ps(1)), (None, ()), "outside of a simulation");
}

/// A long message is lent: its sender has the memory back when the receiver, which is late, has read it.
#[test]
fn a_loan_comes_back_when_it_was_read() {
    let run = |bytes: usize| {
        let report = simulated(2).eager(1000).run(move |comm| {
            let mut buf = vec![comm.rank() as u8; bytes];
            charge_ps(if comm.rank() == 1 { 90_000_000 } else { 0 });
            comm.broadcast_into(0, &mut buf)?;
            assert!(buf.iter().all(|&b| b == 0));
            Ok(now_ps().unwrap())
        });
        report.values().unwrap()
    };
    let read = 90_000_000 + MODEL.overhead_ps;
    assert_eq!(run(1000), [MODEL.overhead_ps, read]);
    assert_eq!(run(1001), [read + MODEL.latency_ps, read]);
    // Two readers: the second, a message and a gap later, reads before the news of the first is there. Both count.
    let report = simulated(3).eager(0).run(|comm| {
        comm.broadcast_into(0, &mut [7u8; 1000])?;
        Ok(now_ps().unwrap())
    });
    let second = message_ps(1000) + 999 * MODEL.byte_gap_ps + MODEL.gap_ps;
    assert_eq!(report.values().unwrap(), [second + MODEL.latency_ps, second, message_ps(1000)]);
}

/// A dozen calls with results that are easily wrong, messages of all sizes, and some work.
fn mixed(comm: &mut Comm) -> Outcome<Vec<u64>> {
    let (me, size) = (comm.rank(), comm.size());
    let own = u64::from(me) * 1_000_003 + 17;
    charge_ps(own % 977 * 1000);
    let mut all = comm.all_gather(own)?;
    let mut long: Vec<u64> = (0..3000).map(|i| i * own).collect();
    comm.all_reduce_into(&mut long, Sum)?;
    all.push(long[2999]);
    comm.broadcast_into(size / 2, &mut long[..2000])?;
    let pending = comm.start_all_reduce(vec![own; 10], Sum);
    all.extend(comm.exscan(own, Sum)?);
    let to: Vec<(u32, Vec<u64>)> = (0..me % 4).map(|i| ((me * 3 + i) % size, vec![own; 40 * i as usize])).collect();
    let came = comm.sparse_exchange(to)?;
    all.extend(came.into_iter().flat_map(|(from, values)| values.into_iter().chain([from.into()])));
    all.push(comm.with_split(me % 3, |sub| Ok(sub.all_reduce(own, Sum)?))?);
    all.extend(pending.wait()?);
    Ok(all)
}

#[test]
fn a_seed_is_a_run() {
    let run = |seed, delays| {
        let Report { results, stats } = simulated(13).seed(seed).delays(delays).run(mixed);
        (results.into_iter().map(Result::unwrap).collect::<Vec<_>>(), stats)
    };
    for delays in [0, 5_000_000] {
        let runs: Vec<_> = (0..8).map(|seed| run(seed, delays)).collect();
        for (seed, (values, stats)) in (0..).zip(&runs) {
            assert_eq!(run(seed, delays), (values.clone(), stats.clone()), "seed {seed}");
            assert_eq!(*values, runs[0].0, "seed {seed}");
            assert_eq!((stats.messages(), stats.bytes()), (runs[0].1.messages(), runs[0].1.bytes()));
            assert!(runs[..seed as usize].iter().all(|other| other.1.order != stats.order), "seed {seed}");
        }
    }
}

/// A program of five ranks, one of which dies at each place where it can. Either all others are told, or they were through.
#[test]
fn a_death_at_any_wait_ends_the_job_with_its_name() {
    let short = |comm: &mut Comm| {
        let mut values = vec![u64::from(comm.rank()); 2000];
        comm.all_reduce_into(&mut values, Sum)?;
        comm.sparse_exchange(vec![((comm.rank() + 1) % 5, vec![1u8; 10])])?;
        comm.with_split(comm.rank() % 2, |sub| Ok(sub.barrier()?))?;
        Ok(values[0])
    };
    let mut told = 0;
    for seed in 0..3 {
        let waits = |rank: u32| {
            let simulation = simulated(5).seed(seed).delays(400_000);
            simulation.run(short).stats.ranks[rank as usize].waits
        };
        for rank in 0..5 {
            for wait in 1..=waits(rank) {
                let simulation = simulated(5).seed(seed).delays(400_000).death(rank, Death::AtWait(wait));
                let Report { results, stats } = simulation.run(short);
                for (r, result) in (0..).zip(results) {
                    let context = format!("rank {r} when rank {rank} dies at wait {wait}, seed {seed}: {result:?}");
                    match result {
                        Ok(value) => assert!(value == 10 && r != rank, "{context}"),
                        Err(abort) => {
                            assert!(
                                matches!(abort.cause(), Cause::Gone { rank: gone, .. } if *gone == rank),
                                "{context}"
                            );
                            assert!(abort.to_string().contains(&format!("rank {rank} is gone")), "{context}");
                            told += u32::from(r != rank);
                        }
                    }
                }
                assert_eq!(stats.ranks[rank as usize].waits, wait, "a dead rank goes on");
            }
        }
    }
    assert!(told > 300, "{told}");
}

#[test]
fn a_death_at_a_time_is_known_after_a_while() {
    let forever = |comm: &mut Comm| loop {
        comm.barrier()?;
        charge_ps(1000);
    };
    for seed in 0..20 {
        let simulation = simulated(6).seed(seed).death_by_seed(1_000_000_000).detection(70_000_000);
        let Report::<()> { results, stats } = simulation.run(forever);
        let causes: Vec<_> = results.into_iter().map(|result| result.unwrap_err().to_string()).collect();
        assert!(causes[0].contains("is gone") && causes.iter().all(|cause| *cause == causes[0]), "{causes:?}");
        let died = stats.ranks.iter().map(|rank| rank.ended_ps).min().unwrap();
        let told = stats.ranks.iter().filter(|rank| rank.ended_ps >= died + 70_000_000).count();
        assert!(died < 1_000_000_000 + message_ps(0) + 1000 && told == 5, "{stats:?}");
    }
    let last = simulated(3).death(1, Death::AtTimePs(40)).death(2, Death::AtTimePs(30)).detection(5).run(forever);
    for (rank, result) in last.results.into_iter().enumerate() {
        let gone = if rank == 1 { 1 } else { 2 };
        assert!(result.unwrap_err().to_string().contains(&format!("rank {gone} is gone")), "rank {rank}");
    }
    let alone = simulated(1).death(0, Death::AtTimePs(0)).run(|_| Ok(5));
    assert_eq!(alone.values().unwrap(), [5], "one rank never waits");
}

/// Lent memory of a rank that dies is taken back before it is freed: who comes for it later finds nothing. What was read
/// before is good.
#[test]
fn the_dead_take_their_memory_with_them() {
    for seed in 0..20 {
        let simulation = simulated(4).seed(seed).delays(2_000_000).death(0, Death::AtTimePs(20_000_000));
        let simulation = simulation.schedules(Schedules::parse("broadcast:binomial").unwrap());
        let bufs = std::sync::Mutex::new(vec![0; 4]);
        let report = simulation.run(|comm| {
            let me = comm.rank();
            let mut buf = vec![me as u8 + 1; 100_000]; // 10 µs
            charge_ps(if me == 1 { 100_000_000 } else { 0 });
            let result = comm.broadcast_into(0, &mut buf);
            assert!(buf.iter().all(|&b| b == buf[0]));
            bufs.lock().unwrap()[me as usize] = buf[0];
            Ok(result?)
        });
        for result in report.results {
            assert!(result.unwrap_err().to_string().contains("rank 0 is gone"), "seed {seed}");
        }
        // Rank 0 has never come back from its call; rank 3 has its bytes from rank 2.
        assert_eq!(bufs.into_inner().unwrap(), [0, 2, 1, 1], "seed {seed}");
    }
}

/// A started reduction whose operation panics gives nobody a value, whatever its rank does then.
#[test]
fn an_operation_that_panics_gives_nobody_a_value() {
    for (algorithm, seed) in
        ["slices", "chain", "halving", "ring"].into_iter().flat_map(|a| (0..5).map(move |s| (a, s)))
    {
        let schedules = Schedules::parse(&format!("all_reduce:{algorithm}")).unwrap();
        let values = AtomicU32::new(0);
        let report = simulated(4).seed(seed).schedules(schedules).run(|comm| {
            let me = comm.rank();
            let op = Fast(By(move |a: u64, b: u64| {
                assert!(me != 1, "no sum here");
                a + b
            }));
            let pending = comm.start_all_reduce(vec![1; 30], op);
            if me == 1 {
                // Its operation panics within; what matters is what the flow does afterwards.
                catch_unwind(AssertUnwindSafe(|| comm.barrier().ok())).ok();
            }
            for _ in 0..10 {
                charge_ps(100_000_000);
                poll_here();
            }
            let value = catch_unwind(AssertUnwindSafe(|| pending.wait()));
            values.fetch_add(u32::from(matches!(value, Ok(Ok(_)))), Ordering::Relaxed);
            Ok(())
        });
        assert_eq!(values.into_inner(), 0, "{algorithm}, seed {seed}");
        for result in report.results {
            assert!(result.unwrap_err().to_string().contains("no sum here"), "{algorithm}, seed {seed}");
        }
    }
}

/// What a dying rank's destructors say, and what it does if it catches its death, is not heard.
#[test]
fn the_dead_are_silent() {
    struct Last<'c>(&'c mut Comm);
    impl Drop for Last<'_> {
        fn drop(&mut self) {
            self.0.barrier().ok();
        }
    }
    for wait in 1..5 {
        let report = simulated(3).death(2, Death::AtWait(wait)).run(|comm| {
            let last = Last(comm);
            let all = std::panic::AssertUnwindSafe(|| (0..4).try_for_each(|_| last.0.barrier()));
            match std::panic::catch_unwind(all) {
                Ok(result) => result?,
                Err(_) => assert!(last.0.barrier().unwrap_err().to_string().contains("rank 2 is gone")),
            }
            panic!("after all");
        });
        let words: Vec<String> =
            report.results.into_iter().map(|r: Result<(), _>| r.unwrap_err().to_string()).collect();
        assert!(words.iter().all(|words| words.contains("rank 2 is gone")), "{words:?}");
    }
}

#[test]
fn ranks_that_wait_for_each_other_and_ranks_elsewhere_are_named() {
    for seed in 0..10 {
        let stuck = simulated(3).seed(seed).run(|comm| {
            let leaves = comm.rank() == 1;
            comm.with_split(0, |_| if leaves { Err(Failure::msg("never mind")) } else { Ok(()) }).ok();
            Ok(comm.barrier()?)
        });
        for result in stuck.results {
            let words = result.unwrap_err().to_string();
            for part in [
                "ranks wait for each other",
                "rank 0 waits ",
                "in the end of with_split",
                "rank 1 waits ",
                "in barrier",
            ] {
                assert!(words.contains(part), "no {part:?} in {words}");
            }
        }
        let elsewhere = simulated(3).seed(seed).run(|comm| match comm.rank() {
            2 => Ok(comm.broadcast(0, 1u8).map(drop)?),
            _ => Ok(comm.barrier()?),
        });
        for result in elsewhere.results {
            let words = result.unwrap_err().to_string();
            assert!(words.contains("broadcast of u8") && words.contains("barrier of ()"), "{words}");
        }
    }
}

#[test]
fn panics_and_failures_end_the_job_in_their_words() {
    let panics = simulated(20).run(|comm| {
        assert!(comm.rank() != 7, "enough of it");
        Ok(comm.barrier()?)
    });
    let fails = simulated(20).run(|comm| match comm.rank() {
        7 => Err(Failure::msg("no disk")),
        _ => Ok(comm.barrier()?),
    });
    for (report, part) in [(panics, "panicked: enough of it (at "), (fails, ": no disk (at ")] {
        for result in report.results {
            let words = result.unwrap_err().to_string();
            assert!(words.starts_with("rank 7 on ") && words.contains(part), "{words}");
        }
    }
}

#[test]
#[should_panic(expected = "a simulation inside a rank")]
fn no_simulation_inside_a_rank() {
    let report = Simulation::new(1).run(|_| {
        Simulation::new(1).run(|_| Ok(()));
        Ok(())
    });
    panic!("{}", report.values().unwrap_err());
}
