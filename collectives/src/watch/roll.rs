//! The roll-call: a rank whose wait has lasted asks, rank 0 gathers what all are doing, and says it once for the job.

use super::node::{Node, Shared};
use super::table::{Line, What, merge, text};
use super::wire::{Frame, Link};
use crate::failure::{Abort, Cause, host};
use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So long a rank waits to hear that its question has come to rank 0.
const HEARD: Duration = Duration::from_secs(1);

impl Node {
    /// From the rank's own thread: its wait has lasted. Whether somebody will say so; if the job was to be ended and
    /// this returns, nobody did.
    pub(super) fn ask(self: &Arc<Node>, kill: bool) -> bool {
        let (up, before) = {
            let shared = self.shared();
            (shared.up.clone(), shared.heard)
        };
        match up {
            Some(up) => {
                if !up.send(&Frame::Ask { kill }) {
                    return false;
                }
                let (shared, heard) = self.wait(self.shared(), HEARD, |shared| shared.heard > before);
                drop(shared);
                if !heard {
                    return false;
                }
            }
            None if self.is_hub() => self.asked(kill),
            None => return false,
        }
        if kill {
            drop(self.wait(self.shared(), self.times.end, |_| false));
        }
        !kill
    }

    /// Waits until `done`, at most so long by its own ticks: a process that was stopped has not waited.
    fn wait<'s>(
        &self,
        mut shared: MutexGuard<'s, Shared>,
        limit: Duration,
        done: impl Fn(&Shared) -> bool,
    ) -> (MutexGuard<'s, Shared>, bool) {
        const TICK: Duration = Duration::from_millis(100);
        let mut waited = Duration::ZERO;
        while !done(&shared) {
            if waited >= limit {
                return (shared, false);
            }
            let before = Instant::now();
            let nap = TICK.min(limit - waited);
            shared = self.bell.wait_timeout(shared, nap).unwrap_or_else(PoisonError::into_inner).0;
            waited += before.elapsed().min(2 * TICK);
        }
        (shared, true)
    }

    /// A rank below asks. What many of them ask at once goes up once.
    pub(super) fn asked_by(self: &Arc<Node>, peer: u32, kill: bool) {
        let (up, link, first) = {
            let mut shared = self.shared();
            let first = shared.asking.is_empty();
            if shared.up.is_some() {
                shared.asking.insert(peer);
            }
            (shared.up.clone(), shared.down.get(&peer).cloned(), first)
        };
        match (up, link) {
            (Some(up), _) if first || kill => _ = up.send(&Frame::Ask { kill }),
            (Some(_), _) => {}
            (None, link) => {
                if let Some(link) = link {
                    link.send(&Frame::Heard);
                }
                self.asked(kill);
            }
        }
    }

    /// Rank 0 has heard a question of ours, or of ranks below.
    pub(super) fn heard(&self) {
        let links: Vec<Arc<Link>> = {
            let mut shared = self.shared();
            shared.heard += 1;
            let asking = std::mem::take(&mut shared.asking);
            asking.iter().filter_map(|peer| shared.down.get(peer).cloned()).collect()
        };
        self.bell.notify_all();
        for link in &links {
            link.send(&Frame::Heard);
        }
    }

    /// There is nobody above to ask: this process gathers and speaks. Many waits that have lasted are told at once.
    fn asked(self: &Arc<Node>, kill: bool) {
        {
            let mut shared = self.shared();
            shared.kill |= kill;
            let lately = shared.told.is_some_and(|told| told.elapsed() < self.after / 2);
            if shared.telling || shared.over || (lately && !kill) {
                return;
            }
            shared.telling = true;
        }
        self.thread(Node::tell);
    }

    fn tell(self: &Arc<Node>) {
        let roll_call = self.roll_call();
        let kill = {
            let mut shared = self.shared();
            shared.telling = false;
            shared.told = Some(Instant::now());
            shared.kill
        };
        match roll_call {
            Some(lines) if kill => self.end(Some(&Abort::new(Cause::Stalled { roll_call: lines }).to_string())),
            Some(lines) if !self.shared().over => {
                (self.voice.say)(&format!("a long wait, seen from {}:{lines}", host()));
            }
            _ => {}
        }
    }

    /// Who waits where; nothing if nobody waits any more.
    fn roll_call(&self) -> Option<String> {
        let mut lines = self.gather(self.times.answers);
        let seen: BTreeSet<u32> = lines.iter().flat_map(|line| line.ranks.iter().copied()).collect();
        lines.push(Line::new(What::Unseen, (0..self.place.size).filter(|rank| !seen.contains(rank))));
        let lines = merge(lines);
        if !lines.iter().any(|line| matches!(line.what, What::Waits { .. })) {
            return None;
        }
        let remark = self.shared().remark.take().map(|remark| format!("\n  ({remark})"));
        let lines = lines.iter().map(|line| format!("\n  {}", text(line, |rank| self.who(rank))));
        Some(lines.chain(remark).collect())
    }

    /// Answers for this rank and those below.
    pub(super) fn answer(self: &Arc<Node>, link: &Arc<Link>, id: u64) {
        if self.shared().down.is_empty() {
            let lines = merge(self.gather(Duration::ZERO));
            link.send(&Frame::Lines { id, lines });
            return;
        }
        let link = link.clone();
        self.thread(move |node| {
            let lines = merge(node.gather(node.times.answers * 3 / 4));
            link.send(&Frame::Lines { id, lines });
        });
    }

    /// What this rank and all below are doing; of those that do not answer in time, that they do not.
    fn gather(&self, limit: Duration) -> Vec<Line> {
        let _one = self.one_gathering.lock().unwrap_or_else(PoisonError::into_inner);
        let (id, links) = {
            let mut shared = self.shared();
            shared.gathering += 1;
            shared.lines.clear();
            shared.missing = shared.down.keys().copied().collect();
            (shared.gathering, shared.down.values().cloned().collect::<Vec<_>>())
        };
        for link in &links {
            link.send(&Frame::Tell { id });
        }
        let (mut shared, _) = self.wait(self.shared(), limit, |shared| shared.missing.is_empty());
        shared.gathering += 1; // what comes now is too late
        let mut lines = std::mem::take(&mut shared.lines);
        lines.push(Line::new(self.state.what(), [self.place.me]));
        // Those that have not answered, and that nobody has answered for.
        let seen: BTreeSet<u32> = lines.iter().flat_map(|line| line.ranks.iter().copied()).collect();
        for (&rank, member) in shared.members.iter().filter(|(rank, _)| !seen.contains(rank)) {
            let beats = shared.quiet.get(&member.via).copied().unwrap_or(0);
            let silent = What::Silent { host: (self.times.beat * beats).as_secs() };
            lines.push(Line::new(member.fate.clone().unwrap_or(silent), [rank]));
        }
        lines
    }

    pub(super) fn answered(&self, peer: u32, id: u64, lines: Vec<Line>) {
        let mut shared = self.shared();
        if shared.gathering == id && shared.missing.remove(&peer) {
            shared.lines.extend(lines);
            drop(shared);
            self.bell.notify_all();
        }
    }
}
