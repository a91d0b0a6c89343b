//! Messages to a few ranks out of many, where nobody knows who has something for whom.
//!
//! Hoefler, Siebert, Lumsdaine, "Scalable communication protocols for dynamic sparse data exchange" (PPoPP 2010), the protocol
//! NBX: everybody sends, and takes in whatever comes. Whose messages have all been received (each is answered) starts a
//! barrier, which does not block; when that has ended, all messages of all ranks have been received. No rank has a table of
//! all ranks, and nobody is told that there is nothing for it.

use super::values;
use crate::algo::dissemination;
use crate::check::Print;
use crate::core::Core;
use crate::flow::{Cargo, Due, Flow};
use crate::stuck::{Waits, Watch};
use crate::transport::{Call, Key, Payload, Pulled, Want};
use crate::{Abort, Comm, Plain};
use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::Location;
use std::rc::Rc;

impl Comm {
    /// Sends each message to its rank, and gives those that come here, with their senders: in the order of senders, and as
    /// each has sent them. Several may go to one rank, and to the own. Collective; two messages for each that is sent, and
    /// ⌈log₂ p⌉ empty ones a rank.
    ///
    /// ```
    /// use physalia_collectives::Comm;
    /// let came = Comm::alone().sparse_exchange(vec![(0, vec![1u8, 2]), (0, vec![])])?;
    /// assert_eq!(came, [(0, vec![1, 2]), (0, vec![])]);
    /// # Ok::<(), physalia_collectives::Abort>(())
    /// ```
    ///
    /// # Errors
    /// The job's abort.
    ///
    /// # Panics
    /// If there is no such rank.
    #[track_caller]
    #[doc(alias = "NBX")]
    pub fn sparse_exchange<T: Plain>(&mut self, messages: Vec<(u32, Vec<T>)>) -> Result<Vec<(u32, Vec<T>)>, Abort> {
        self.sparse(["sparse_exchange", "the end of sparse_exchange"], messages, Location::caller())
    }

    /// As `sparse_exchange`, under other names of its begin and its end.
    pub(super) fn sparse<T: Plain>(
        &self,
        [name, end]: [&'static str; 2],
        messages: Vec<(u32, Vec<T>)>,
        at: &'static Location<'static>,
    ) -> Result<Vec<(u32, Vec<T>)>, Abort> {
        let core = &*self.core;
        assert!(
            messages.iter().all(|(to, _)| *to < self.size()),
            "a message to a rank that is not among {}",
            self.size()
        );
        let print = Print::new::<T>(name, [0; 2], at);
        let call = core.begin(print)?;
        core.rank.transport.enter(core.rank.me, &call, &core.members)?;
        let mut exchange = Exchange { core, call, came: Vec::new(), coming: Vec::new(), unanswered: Vec::new() };
        let mut numbers = HashMap::<u32, u32>::new();
        for (to, values) in messages {
            let number = numbers.entry(to).and_modify(|n| *n += 1).or_insert(0);
            exchange.send(to as usize, *number, bytemuck::cast_slice(&values).to_vec());
        }
        exchange.run(Print::new::<T>(end, [0; 2], at))?;
        let mut came = exchange.came;
        came.sort_by_key(|&(from, number, _)| (from, number));
        let value = |(from, _, bytes): (usize, u32, Vec<u8>)| Ok((from as u32, values(core, &print, &bytes)?));
        came.into_iter().map(value).collect()
    }
}

/// Messages have even tags, their answers the odd ones that follow.
struct Exchange<'c> {
    core: &'c Core,
    call: Call,
    /// Sender, number, content.
    came: Vec<(usize, u32, Vec<u8>)>,
    /// Under way; among threads nothing is, a message is there or not.
    #[cfg_attr(not(feature = "mpi"), allow(dead_code))]
    coming: Vec<(Key, u64)>,
    unanswered: Vec<Key>,
}

impl Exchange<'_> {
    fn send(&mut self, to: usize, number: u32, bytes: Vec<u8>) {
        let (core, rank) = (self.core, &self.core.rank);
        if to == core.me {
            return self.came.push((to, number, bytes));
        }
        let to = core.members[to];
        rank.count_sent(bytes.len());
        rank.delays.now();
        rank.transport.post(rank.me, to, 2 * number, &self.call, Payload::Owned(bytes));
        self.unanswered.push(Key { comm: self.call.comm, seq: self.call.seq, tag: 2 * number + 1, from: to });
    }

    fn run(&mut self, end: Print) -> Result<(), Abort> {
        let (core, rank) = (self.core, &self.core.rank);
        let mut barrier: Option<Rc<RefCell<Flow>>> = None;
        loop {
            let seen = rank.transport.epoch(rank.me);
            rank.advance();
            self.take();
            if barrier.as_ref().is_some_and(|flow| flow.borrow().done()) {
                rank.waited();
                return Ok(());
            }
            if barrier.is_none() && self.unanswered.is_empty() {
                let steps = dissemination::barrier(core.me, core.size());
                barrier = Some(core.start(end, Cargo { steps, ..Cargo::default() })?);
                continue;
            }
            let missing = self.unanswered.iter().map(|key| (key.from, Due::Answer)).collect();
            let watch = Watch { call: self.call, missing };
            let waits: &dyn Waits = match &barrier {
                Some(flow) => &**flow,
                None => &watch,
            };
            rank.chaser.answer(rank, waits);
            rank.wait(seen, &waits.call(), waits)?;
        }
    }

    /// Takes in what has come, and answers it.
    fn take(&mut self) {
        let rank = &self.core.rank;
        rank.delays.seldom();
        let pull = |key: &Key| rank.transport.pull(rank.me, key, Want::Any, &self.call);
        self.unanswered.retain(|key| matches!(pull(key), Pulled::NotYet));
        let mut whole = Vec::new();
        while let Some(key) = rank.transport.unasked(rank.me, self.call.comm, self.call.seq) {
            match pull(&key) {
                Pulled::Bytes(bytes) => whole.push((key, bytes)),
                #[cfg(feature = "mpi")]
                Pulled::Coming(id) => self.coming.push((key, id)),
                _ => break, // taken back: its sender is ending the job
            }
        }
        #[cfg(feature = "mpi")]
        self.coming.retain(|&(key, id)| match rank.transport.landed(id) {
            crate::transport::Landed::Bytes(bytes) => {
                whole.push((key, bytes));
                false
            }
            _ => true,
        });
        for (key, bytes) in whole {
            rank.transport.post(rank.me, key.from, key.tag + 1, &self.call, Payload::Owned(Vec::new()));
            self.came.push((self.core.place(key.from), key.tag / 2, bytes));
        }
    }
}
