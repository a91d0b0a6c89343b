//! Whose turn it is, and at which virtual time: a sequential discrete-event simulation of ranks that compute and wait. Pure: no
//! threads, no clock of the world, no memory of the program.
//!
//! One rank at a time has the turn. It has it until it waits, looks up from computing, or ends; then it goes to the rank that
//! can go on at the least virtual time: one that is ready, or one for which something is due. Of several at one time one is
//! drawn, so that another seed is another schedule. A rank's clock never goes back.

use super::model::Dice;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

#[derive(Default)]
struct Lane {
    clock: u64,
    /// Its place in the queue, if it can go on: when, and what was drawn. Older entries of it no longer count.
    entry: Option<(u64, u64)>,
    waits: bool,
    /// When something comes about for it that it has not noticed.
    due: BinaryHeap<Reverse<u64>>,
    /// How often something has.
    epoch: u64,
}

pub(super) struct Turns {
    lanes: Vec<Lane>,
    queue: BinaryHeap<Reverse<(u64, u64, u32)>>,
    dice: Dice,
    turn: Option<u32>,
    /// How many turns there have been, and a hash of who had them when.
    given: u64,
    order: u64,
}

impl Turns {
    pub(super) fn new(size: u32, dice: Dice) -> Turns {
        let lanes = (0..size).map(|_| Lane::default()).collect();
        Turns { lanes, queue: BinaryHeap::new(), dice, turn: None, given: 0, order: 0 }
    }

    fn lane(&mut self, rank: u32) -> &mut Lane {
        &mut self.lanes[rank as usize]
    }

    /// Who has the turn.
    pub(super) fn turn(&self) -> Option<u32> {
        self.turn
    }

    /// A rank's virtual time.
    pub(super) fn now(&self, rank: u32) -> u64 {
        self.lanes[rank as usize].clock
    }

    /// The latest of all clocks.
    pub(super) fn latest(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.clock).max().unwrap_or(0)
    }

    /// The number of turns so far, and a hash of their order and times.
    pub(super) fn history(&self) -> (u64, u64) {
        (self.given, self.order)
    }

    /// A rank is busy until this time.
    pub(super) fn busy_until(&mut self, rank: u32, time: u64) {
        let lane = self.lane(rank);
        lane.clock = lane.clock.max(time);
    }

    /// A rank can go on from this time, or from now if that is later.
    pub(super) fn ready(&mut self, rank: u32, time: u64) {
        let drawn = self.dice.next();
        let lane = self.lane(rank);
        let time = time.max(lane.clock);
        if lane.entry.is_none_or(|(known, _)| time < known) {
            lane.entry = Some((time, drawn));
            self.queue.push(Reverse((time, drawn, rank)));
        }
    }

    /// Something comes about for a rank at this time.
    pub(super) fn due(&mut self, rank: u32, time: u64) {
        let lane = self.lane(rank);
        lane.due.push(Reverse(time));
        if lane.waits {
            self.ready(rank, time);
        }
    }

    /// How often something has come about for a rank, by its own clock.
    pub(super) fn notice(&mut self, rank: u32) -> u64 {
        let lane = self.lane(rank);
        while lane.due.peek().is_some_and(|Reverse(time)| *time <= lane.clock) {
            lane.due.pop();
            lane.epoch += 1;
        }
        lane.epoch
    }

    /// A rank waits until something comes about for it, at the latest until this time.
    pub(super) fn wait(&mut self, rank: u32, latest: Option<u64>) {
        let lane = self.lane(rank);
        lane.waits = true;
        let due = lane.due.peek().map(|Reverse(time)| *time);
        if let Some(time) = due.into_iter().chain(latest).min() {
            self.ready(rank, time);
        }
    }

    /// Every rank that waits can go on from this time.
    pub(super) fn rouse(&mut self, time: u64) {
        for rank in 0..self.lanes.len() as u32 {
            if self.lane(rank).waits {
                self.ready(rank, time);
            }
        }
    }

    /// When the next turn begins. `None`: no rank can go on.
    pub(super) fn next_time(&mut self) -> Option<u64> {
        while let Some(&Reverse((time, drawn, rank))) = self.queue.peek() {
            if self.lane(rank).entry == Some((time, drawn)) {
                return Some(time);
            }
            self.queue.pop(); // it could go on earlier, and has
        }
        None
    }

    /// Gives the next turn; nobody has it if no rank can go on.
    pub(super) fn pass(&mut self) -> Option<u32> {
        self.turn = None;
        let time = self.next_time()?;
        let Reverse((_, _, rank)) = self.queue.pop()?;
        let lane = self.lane(rank);
        (lane.clock, lane.entry, lane.waits) = (time, None, false);
        self.turn = Some(rank);
        self.given += 1;
        self.order = (self.order ^ time ^ u64::from(rank) << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        self.turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(size: u32, seed: u64) -> Turns {
        let mut turns = Turns::new(size, Dice::new(seed, 0));
        (0..size).for_each(|rank| turns.ready(rank, 0));
        turns
    }

    #[test]
    fn the_least_time_goes_first_and_clocks_follow() {
        let mut t = turns(3, 1);
        for _ in 0..3 {
            let rank = t.pass().unwrap();
            t.busy_until(rank, 10 * u64::from(rank));
            t.wait(rank, None);
        }
        assert_eq!((t.pass(), t.turn()), (None, None));
        t.due(0, 35);
        t.due(1, 30);
        t.due(2, 5); // long past by its own clock
        t.due(0, 33); // before what it was told first
        let order: Vec<(u32, u64)> = std::iter::from_fn(|| t.pass().map(|rank| (rank, t.now(rank)))).collect();
        assert_eq!(order, [(2, 20), (1, 30), (0, 33)]);
        assert_eq!(t.notice(0), 1);
        t.busy_until(0, 40);
        assert_eq!((t.notice(0), t.notice(0), t.latest()), (2, 2, 40));
    }

    #[test]
    fn who_waits_until_a_time_goes_on_then_and_who_is_roused_at_once() {
        let mut t = turns(2, 2);
        for _ in 0..2 {
            let rank = t.pass().unwrap();
            t.wait(rank, (rank == 0).then_some(50));
        }
        assert_eq!(t.next_time(), Some(50));
        t.rouse(7);
        assert_eq!((t.pass().map(|rank| t.now(rank)), t.pass().map(|rank| t.now(rank))), (Some(7), Some(7)));
        assert_eq!(t.pass(), None);
    }

    #[test]
    fn seeds_draw_among_equals() {
        let order = |seed| {
            let mut t = turns(5, seed);
            let ranks: Vec<u32> = std::iter::from_fn(|| t.pass()).collect();
            (ranks, t.history())
        };
        assert_eq!(order(3), order(3));
        let mut firsts: Vec<u32> = (0..100).map(|seed| order(seed).0[0]).collect();
        firsts.sort_unstable();
        firsts.dedup();
        assert_eq!(firsts, [0, 1, 2, 3, 4]);
    }
}
