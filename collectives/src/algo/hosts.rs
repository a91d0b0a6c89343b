//! Schedules by host: the ranks of a host turn to the lowest among them (its *leader*; for a broadcast the root is its host's),
//! and only leaders talk to other hosts. Few messages go between hosts, and each host's network carries one vector, not one
//! a rank (Träff, "Improved MPI all-to-all communication on a Giganet SMP cluster", 2002; Karonis et al., "Exploiting hierarchy
//! in parallel computer networks to optimize collective operation performance", 2000).

use super::{Piece, Step, binomial, chain, dissemination, doubling, halving, ring, within};
use std::collections::HashMap;
use std::ops::Range;

/// The places of a communicator's members by host: hosts in the order of their first member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hosts {
    groups: Vec<Vec<usize>>,
    /// By member: its host, and its place there.
    at: Vec<(usize, usize)>,
}

impl Hosts {
    /// `host_of`: a number for each member's host.
    pub(crate) fn new(host_of: &[u32]) -> Hosts {
        let mut numbers: HashMap<u32, usize> = HashMap::new();
        let (mut groups, mut at): (Vec<Vec<usize>>, _) = (Vec::new(), Vec::new());
        for (place, &host) in host_of.iter().enumerate() {
            let host = *numbers.entry(host).or_insert(groups.len());
            if host == groups.len() {
                groups.push(Vec::new());
            }
            at.push((host, groups[host].len()));
            groups[host].push(place);
        }
        Hosts { groups, at }
    }

    pub(crate) fn count(&self) -> usize {
        self.groups.len()
    }

    /// The most members on one host.
    pub(crate) fn widest(&self) -> usize {
        self.groups.iter().map(Vec::len).max().unwrap_or(1)
    }

    /// Whether the members of each host are neighbours in the order of ranks.
    pub(crate) fn in_order(&self) -> bool {
        self.groups.iter().all(|g| g.windows(2).all(|w| w[0] + 1 == w[1]))
    }

    /// What a member does on its host before the leaders' part, in that part if it is one, and after it. Leaders are the first
    /// of their hosts, or `root` of its own.
    fn around(
        &self,
        me: usize,
        root: Option<usize>,
        before: impl Fn(usize, usize, usize) -> Vec<Step>,
        among: impl Fn(usize, usize) -> Vec<Step>,
        after: impl Fn(usize, usize, usize) -> Vec<Step>,
    ) -> Vec<Step> {
        let (host, place) = self.at[me];
        let group = &self.groups[host];
        let leader_of = |h: usize| match root.map(|r| self.at[r]) {
            Some((host, place)) if host == h => place,
            _ => 0,
        };
        let leader = leader_of(host);
        let mut steps = within(group, before(place, leader, group.len()));
        if place == leader {
            let leaders: Vec<usize> = (0..self.count()).map(|h| self.groups[h][leader_of(h)]).collect();
            steps.extend(within(&leaders, among(host, leaders.len())));
        }
        steps.extend(within(group, after(place, leader, group.len())));
        steps
    }

    /// Nobody is done before everybody has begun.
    pub(crate) fn barrier(&self, me: usize) -> Vec<Step> {
        let before = |me, root, size| emptied(binomial::reduce(me, root, size, 1));
        let after = |me, root, size| binomial::broadcast(me, root, size, Piece::Empty);
        self.around(me, None, before, dissemination::barrier, after)
    }

    /// The root's buffer 0 to everyone, in so many segments between hosts.
    pub(crate) fn broadcast(&self, me: usize, root: usize, len: usize, segments: usize) -> Vec<Step> {
        let top = self.at[root].0;
        let among = |host, hosts| match segments {
            1 => binomial::broadcast(host, top, hosts, Piece::span(0, 0..len)),
            _ => chain::broadcast(host, top, hosts, len, segments),
        };
        let after = |me, root, size| binomial::broadcast(me, root, size, Piece::span(0, 0..len));
        self.around(me, Some(root), |_, _, _| vec![], among, after)
    }

    /// Buffer 0 of all ranks combined, on all; buffer 1 is room for one. The order of ranks is kept where `in_order`.
    pub(crate) fn all_reduce(&self, me: usize, len: usize, long: bool) -> Vec<Step> {
        let before = |me, root, size| binomial::reduce(me, root, size, len);
        let among = |host, hosts| match long {
            true => halving::all_reduce(host, hosts, len),
            false => doubling::all_reduce(host, hosts, len),
        };
        let after = |me, root, size| binomial::broadcast(me, root, size, Piece::span(0, 0..len));
        self.around(me, None, before, among, after)
    }

    /// Every rank has its part of a buffer; afterwards all have all. `place(q)`: rank q's, one behind the other; hosts must be
    /// `in_order`.
    pub(crate) fn all_gather(&self, me: usize, memory: usize, place: impl Fn(usize) -> Range<usize>) -> Vec<Step> {
        let of_host = |h: usize| {
            let group = &self.groups[h];
            place(group[0]).start..place(group[group.len() - 1]).end
        };
        let group = &self.groups[self.at[me].0];
        let part = |p: usize| Piece::span(memory, place(group[p]));
        let before = |me, leader, size| match me == leader {
            true => vec![(1..size).fold(Step::default(), |step, q| step.and_recv(q, part(q)))],
            false => vec![Step::default().and_send(leader, part(me))],
        };
        let among = |host, hosts| ring::all_gather(host, hosts, memory, of_host);
        let whole = place(0).start..of_host(self.count() - 1).end;
        let after = |me, leader, size| binomial::broadcast(me, leader, size, Piece::span(memory, whole.clone()));
        self.around(me, None, before, among, after)
    }
}

/// The same messages, empty, and no work.
fn emptied(mut steps: Vec<Step>) -> Vec<Step> {
    for step in &mut steps {
        step.then.clear();
        step.sends.iter_mut().chain(&mut step.recvs).for_each(|m| m.piece = Piece::Empty);
    }
    steps
}
