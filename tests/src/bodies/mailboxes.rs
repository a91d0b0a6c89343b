//! Exchanges through mailboxes. What is sent is made of sender, link, round and place, so that a value of another round, or of
//! another link, is seen.

use crate::dice::Dice;
use crate::{Body, End, well};
use physalia::prelude::*;
use std::time::Duration;

/// How a round is called.
const PLAN: &str = "open of the mailboxes made in call of u64 [";

pub(super) fn bodies() -> Vec<Body> {
    use self as m;
    let bad = |name, run, says| Body { name, run, end: End::Badly { code: 1, says } };
    let mut all = well![
        m::mail_in_a_ring,
        m::mail_one_way,
        m::mail_to_one_and_to_all,
        m::mail_of_several_links_and_the_own_rank,
        m::mail_at_random,
        m::mail_in_a_split,
        m::mail_of_plans_in_turn,
        m::mail_that_is_left_alone,
        m::mailboxes_that_do_not_match_are_refused,
    ];
    all.extend([
        bad("mail_that_a_panic_leaves", m::mail_that_a_panic_leaves, &["rank 1 on HOST: panicked: no mail today"]),
        bad("mail_that_a_failure_leaves", m::mail_that_a_failure_leaves, &["rank 1 on HOST: no mail today"]),
        bad("mail_of_who_has_gone_home", m::mail_of_who_has_gone_home, &["the end of the body", PLAN]),
        bad("mail_of_who_is_elsewhere", m::mail_of_who_is_elsewhere, &["barrier of ()", "mailboxes.rs:", PLAN]),
        bad("mail_that_is_never_sent", m::mail_that_is_never_sent, &["wait for each other", "in barrier of ()", PLAN]),
        bad("mail_that_is_never_read", m::mail_that_is_never_read, &["barrier of ()", PLAN]),
        bad("mail_of_another_plan", m::mail_of_another_plan, &["open of the mailboxes made in call of u8 ["]),
        bad("mailboxes_of_another_type", m::mailboxes_of_another_type, &["of u32 [0, 0]", "of i32 [0, 0]"]),
        bad(
            "mailboxes_of_another_communicator",
            m::mailboxes_of_another_communicator,
            &["made on another communicator"],
        ),
        bad("mailboxes_of_the_past", m::mailboxes_of_the_past, &["a communicator that has ended"]),
    ]);
    all
}

fn value(from: u32, link: usize, round: u64, place: usize) -> u64 {
    u64::from(from) << 48 | (link as u64) << 40 | round << 24 | place as u64
}

fn values(from: u32, link: usize, round: u64, len: usize) -> Vec<u64> {
    (0..len).map(|place| value(from, link, round, place)).collect()
}

/// A link as both ends know it: who sends it, its number there, and its length.
#[derive(Clone, Copy)]
struct Line {
    from: u32,
    to: u32,
    len: usize,
}

/// All lines of a plan, of which each rank takes its own.
struct Net {
    lines: Vec<Line>,
    me: u32,
}

impl Net {
    fn sends(&self) -> Vec<Link> {
        self.lines.iter().filter(|l| l.from == self.me).map(|l| Link { rank: l.to, len: l.len }).collect()
    }

    fn recvs(&self) -> Vec<Link> {
        self.lines.iter().filter(|l| l.to == self.me).map(|l| Link { rank: l.from, len: l.len }).collect()
    }

    /// Of each receive: the line, and its number at the sender.
    fn origins(&self) -> Vec<(Line, usize)> {
        let number = |i: usize| self.lines[..i].iter().filter(|l| l.from == self.lines[i].from).count();
        let mine = |i: &usize| self.lines[*i].to == self.me;
        (0..self.lines.len()).filter(mine).map(|i| (self.lines[i], number(i))).collect()
    }

    fn make(&self, comm: &mut Comm) -> Result<Mailboxes<u64>, Abort> {
        comm.mailboxes(&self.sends(), &self.recvs())
    }

    /// What came in a round is there, whole and in parts.
    fn check(&self, round: u64, read: impl Fn(usize, usize, &mut [u64])) {
        for (i, (line, number)) in self.origins().into_iter().enumerate() {
            let mut came = vec![1; line.len];
            read(i, 0, &mut came);
            let due = if round == 0 { vec![0; line.len] } else { values(line.from, number, round, line.len) };
            assert!(came == due, "round {round} from rank {}: {:x?} for {:x?}", line.from, came.first(), due.first());
            let (start, end) = (line.len / 3, line.len / 2);
            read(i, start, &mut came[start..end]);
            assert_eq!(came, due);
        }
    }

    /// So many rounds. A rank dawdles where the dice say.
    fn run(
        &self,
        comm: &mut Comm,
        boxes: &mut Mailboxes<u64>,
        first: u64,
        rounds: u64,
        dice: &mut Dice,
    ) -> Outcome<()> {
        for round in first..first + rounds {
            let mut fill = boxes.open(comm)?;
            dawdle(dice);
            for (i, link) in self.sends().iter().enumerate() {
                let all = values(self.me, i, round, link.len);
                let cut = dice.below(link.len as u64 + 1) as usize;
                fill.write(i, cut, &all[cut..]);
                fill.write_alone(i, 0, &all[..cut]);
            }
            // What came last is still there, though neighbours may have written the next.
            self.check(round - 1, |i, at, into| fill.read(i, at, into));
            fill.send()?;
            dawdle(dice);
            boxes.finish()?;
            assert_eq!(boxes.parity() as u64, round % 2);
            dawdle(dice);
            self.check(round, |i, at, into| boxes.read(i, at, into));
        }
        Ok(())
    }
}

fn dawdle(dice: &mut Dice) {
    match dice.below(12) {
        0 => std::thread::sleep(Duration::from_micros(dice.below(400))),
        1..4 => std::thread::yield_now(),
        _ => {}
    }
}

fn ring(comm: &Comm, len: usize) -> Net {
    let ranks = comm.size();
    let lines = (0..ranks).map(|from| Line { from, to: (from + 1) % ranks, len }).collect();
    Net { lines, me: comm.rank() }
}

fn mail_in_a_ring(world: &mut World) -> Outcome<()> {
    let mut dice = Dice::of(1, world.rank().into());
    for len in [1, 700, 20_000] {
        let net = ring(world, len);
        let mut boxes = net.make(world)?;
        let places = [0, 1].map(|parity| boxes.inbox_of(0, parity));
        assert!(places[0] != places[1] && places.iter().all(|at| at.addr() % 64 == 0));
        net.check(0, |i, at, into| boxes.read(i, at, into));
        for round in 1..=20 {
            net.run(world, &mut boxes, round, 1, &mut dice)?;
            assert_eq!(boxes.inbox(0), places[round as usize % 2]);
            if round % 5 == 0 {
                world.par(0..1000).map(|i| i).sum()?; // other collectives in between
            }
        }
    }
    Ok(())
}

/// Nobody answers, so only the room in the readers' boxes holds the writers back: once the first is slow, once the last.
fn mail_one_way(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    for slow in [0, ranks - 1] {
        let lines = (1..ranks).map(|to| Line { from: to - 1, to, len: 900 }).collect();
        let net = Net { lines, me };
        let mut boxes = net.make(world)?;
        let mut dice = Dice::of(2, me.into());
        for round in 1..=30 {
            if me == slow {
                std::thread::sleep(Duration::from_micros(100));
            }
            net.run(world, &mut boxes, round, 1, &mut dice)?;
        }
    }
    Ok(())
}

fn mail_to_one_and_to_all(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    for all in [false, true] {
        let line = |r: u32| if all { Line { from: 0, to: r, len: 50 } } else { Line { from: r, to: 0, len: 50 } };
        let net = Net { lines: (0..ranks).map(line).collect(), me };
        let mut boxes = net.make(world)?;
        net.run(world, &mut boxes, 1, 20, &mut Dice::of(3, me.into()))?;
    }
    Ok(())
}

/// Workers write at once, side by side inside one link.
fn mail_of_several_links_and_the_own_rank(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    let lines = |from: u32| {
        (0..ranks.min(4)).flat_map(move |d| [3, 0, 1000].map(|len| Line { from, to: (from + d) % ranks, len }))
    };
    let net = Net { lines: (0..ranks).flat_map(lines).collect(), me };
    let mut boxes = net.make(world)?;
    for round in 1..=4 {
        let fill = boxes.open(world)?;
        std::thread::scope(|scope| {
            for worker in 0..3 {
                let (fill, sends) = (&fill, net.sends());
                scope.spawn(move || {
                    for (i, link) in sends.iter().enumerate() {
                        let all = values(me, i, round, link.len);
                        // Every third run of seven values.
                        for (n, run) in all.chunks(7).enumerate().filter(|(n, _)| n % 3 == worker) {
                            fill.write(i, 7 * n, run);
                        }
                    }
                });
            }
        });
        fill.send()?;
        boxes.finish()?;
        net.check(round, |i, at, into| boxes.read(i, at, into));
    }
    let fill = boxes.open(world)?;
    let over = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| fill.write(0, 2, &[7, 7])));
    assert!(over.is_err(), "two values at the last place of three");
    fill.send()?;
    boxes.finish()?;
    Ok(())
}

fn mail_at_random(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    for seed in 0..4 {
        let mut dice = Dice::of(4, seed);
        let line = |_| {
            let [from, to] = [0; 2].map(|_| dice.below(ranks.into()) as u32);
            Line { from, to, len: [0, 1, 5, 64, 700, 5000][dice.below(6) as usize] }
        };
        let net = Net { lines: (0..2 * ranks).map(line).collect(), me };
        let mut boxes = net.make(world)?;
        net.run(world, &mut boxes, 1, 12, &mut Dice::of(5 + seed, me.into()))?;
    }
    Ok(())
}

fn mail_in_a_split(world: &mut World) -> Outcome<()> {
    let color = world.rank() % 2;
    let mut dice = Dice::of(9, world.rank().into());
    world.with_split(color, |half| {
        let net = ring(half, 300);
        let mut boxes = net.make(half)?;
        net.run(half, &mut boxes, 1, 10, &mut dice)
    })
}

/// Two plans at once, and one of another type of odd size.
fn mail_of_plans_in_turn(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    let nets = [ring(world, 40), ring(world, 41)];
    let mut plans = [nets[0].make(world)?, nets[1].make(world)?];
    let below = (me + ranks - 1) % ranks;
    let mut odd =
        world.mailboxes::<[u8; 3]>(&[Link { rank: (me + 1) % ranks, len: 5 }], &[Link { rank: below, len: 5 }])?;
    for round in 1..=6 {
        for (net, plan) in nets.iter().zip(&mut plans) {
            let fill = plan.open(world)?;
            fill.write(0, 0, &values(me, 0, round, net.lines[0].len));
            fill.send()?;
        }
        let fill = odd.open(world)?;
        fill.write(0, 1, &[[me as u8, round as u8, 1]; 4]);
        fill.send()?;
        for (net, plan) in nets.iter().zip(&mut plans).rev() {
            plan.finish()?;
            net.check(round, |i, at, into| plan.read(i, at, into));
        }
        odd.finish()?;
        let mut came = [[9; 3]; 5];
        odd.read(0, 0, &mut came);
        assert_eq!(came[1..], [[below as u8, round as u8, 1]; 4]);
    }
    Ok(())
}

/// Rounds that are not finished, or not sent, and plans that are dropped or forgotten in the middle.
fn mail_that_is_left_alone(world: &mut World) -> Outcome<()> {
    let net = ring(world, 3000);
    let mut boxes = net.make(world)?;
    for round in 1..=4 {
        drop(boxes.open(world)?); // opened by all, and again
        let fill = boxes.open(world)?;
        fill.write(0, 0, &values(world.rank(), 0, round, 3000));
        fill.send()?;
        assert!(boxes.flying());
    }
    boxes.finish()?;
    boxes.finish()?;
    net.check(4, |i, at, into| boxes.read(i, at, into));
    for forget in [false, true] {
        let mut boxes = net.make(world)?;
        for _ in 0..3 {
            boxes.open(world)?.send()?;
        }
        if forget {
            std::mem::forget(boxes);
        }
    }
    world.barrier()?;
    Ok(())
}

fn mailboxes_that_do_not_match_are_refused(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    let (below, above) = ((me + ranks - 1) % ranks, (me + 1) % ranks);
    let len = if me == 0 { 6 } else { 5 };
    let refused = world.mailboxes::<u8>(&[Link { rank: above, len }], &[Link { rank: below, len: 5 }]);
    let words = refused.expect_err("6 values for 5").to_string();
    assert!(words.contains(&format!("rank 0 sends [6] values to rank {}, which expects [5]", 1 % ranks)), "{words}");
    let net = ring(world, 5); // it was an agreement
    let mut boxes = net.make(world)?;
    net.run(world, &mut boxes, 1, 2, &mut Dice::of(0, 0))
}

/// Three good rounds, then rank 1 does what it does in place of the fourth.
fn until(world: &mut World, instead: impl FnOnce(&mut World, Mailboxes<u64>) -> Outcome<()>) -> Outcome<()> {
    let (net, second) = (ring(world, 100), world.rank() == 1);
    let mut boxes = net.make(world)?;
    let mut dice = Dice::of(6, world.rank().into());
    net.run(world, &mut boxes, 1, 3, &mut dice)?;
    if second {
        return instead(world, boxes);
    }
    net.run(world, &mut boxes, 4, 40, &mut dice)
}

fn mail_that_a_panic_leaves(world: &mut World) -> Outcome<()> {
    until(world, |_, _| panic!("no mail today"))
}

fn mail_that_a_failure_leaves(world: &mut World) -> Outcome<()> {
    until(world, |_, _| Err(Failure::msg("no mail today")))
}

fn mail_of_who_has_gone_home(world: &mut World) -> Outcome<()> {
    until(world, |_, _| Ok(()))
}

fn mail_of_who_is_elsewhere(world: &mut World) -> Outcome<()> {
    until(world, |world, _boxes| Ok(world.barrier()?))
}

/// Rank 1 opens the round as all do, and goes on without sending.
fn mail_that_is_never_sent(world: &mut World) -> Outcome<()> {
    let net = ring(world, 100);
    let mut boxes = net.make(world)?;
    let fill = boxes.open(world)?;
    if net.me == 1 {
        drop(fill);
    } else {
        fill.send()?;
        boxes.finish()?;
    }
    Ok(world.barrier()?)
}

/// Rank 1 only reads, and stops: who writes for it finds no room.
fn mail_that_is_never_read(world: &mut World) -> Outcome<()> {
    let net = Net { lines: vec![Line { from: 0, to: 1, len: 10 }], me: world.rank() };
    let mut boxes = net.make(world)?;
    let rounds = if net.me == 1 { 2 } else { 40 };
    net.run(world, &mut boxes, 1, rounds, &mut Dice::of(7, net.me.into()))?;
    Ok(world.barrier()?)
}

/// Two plans made on one line, of the same lengths, in another order.
fn mail_of_another_plan(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    let links = [(me + 1) % ranks, (me + ranks - 1) % ranks].map(|rank| Link { rank, len: 9 });
    let mut plans = Vec::new();
    for _ in 0..2 {
        plans.push(world.mailboxes::<u8>(&links[..1], &links[1..])?);
    }
    if me == 1 {
        plans.reverse();
    }
    for plan in &mut plans {
        plan.open(world)?.send()?;
        plan.finish()?;
    }
    Ok(())
}

/// Of the same size, and made on the same line.
fn mailboxes_of_another_type(world: &mut World) -> Outcome<()> {
    fn make<T: Plain>(world: &mut World) -> Outcome<()> {
        let (me, ranks) = (world.rank(), world.size());
        let links = [(me + 1) % ranks, (me + ranks - 1) % ranks].map(|rank| Link { rank, len: 9 });
        let mut boxes = world.mailboxes::<T>(&links[..1], &links[1..])?;
        boxes.open(world)?.send()?;
        Ok(boxes.finish()?)
    }
    if world.rank() == 1 { make::<u32>(world) } else { make::<i32>(world) }
}

fn mailboxes_of_another_communicator(world: &mut World) -> Outcome<()> {
    let mut boxes = ring(world, 4).make(world)?;
    world.with_split(0, |sub| {
        boxes.open(sub)?.send()?;
        Ok(())
    })
}

fn mailboxes_of_the_past(world: &mut World) -> Outcome<()> {
    let mut stolen = World::alone();
    let mut boxes = world.with_split(0, |sub| {
        let boxes = ring(sub, 4).make(sub)?;
        std::mem::swap(sub, &mut stolen);
        Ok(boxes)
    })?;
    boxes.open(&mut stolen)?.send()?;
    Ok(())
}
