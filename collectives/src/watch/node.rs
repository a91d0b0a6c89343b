//! One process's part of the side channel: what it knows of the ranks below it, and what it does with each frame.
//!
//! All of it is under one lock, which is never held over a write. A connection that is given up is left with a goodbye, since
//! its end without one means a death. Threads hold the node, so it lives until its connections
//! have ended; after the goodbye it says and ends nothing any more.

use super::secret::Secret;
use super::state::State;
use super::table::{Line, What};
use super::wire::{Came, Frame, Link, Reader};
use crate::failure::host;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Where a rank is among its hosts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) me: u32,
    pub(crate) size: u32,
    /// The lowest rank of this host, and how many ranks are here.
    pub(crate) hub: u32,
    pub(crate) on_host: u32,
    /// How many of them are below this one.
    pub(crate) below: u32,
}

impl Place {
    /// Rank `me`, from the lowest rank of each rank's host.
    #[cfg(feature = "mpi")]
    pub(crate) fn new(me: u32, hosts: &[u32]) -> Place {
        let hub = hosts[me as usize];
        let count = |ranks: &[u32]| ranks.iter().filter(|&&lowest| lowest == hub).count() as u32;
        Place { me, size: hosts.len() as u32, hub, on_host: count(hosts), below: count(&hosts[..me as usize]) }
    }
}

/// How long things take.
#[derive(Clone, Copy)]
pub(super) struct Times {
    /// From a death to the word of it. A launcher that ends the job by itself is faster, and so is a rank that ends it.
    pub(super) grace: Duration,
    /// The same after a rank has said that it ends the job.
    pub(super) explained: Duration,
    /// How long rank 0 waits for answers; a hub waits for three quarters of it.
    pub(super) answers: Duration,
    /// How long a rank that has asked for the job's end waits for it.
    pub(super) end: Duration,
    /// Between two beats over TCP.
    pub(super) beat: Duration,
}

impl Default for Times {
    fn default() -> Times {
        let [grace, explained, answers, end, beat] = [500, 10_000, 2000, 10_000, 5000].map(Duration::from_millis);
        Times { grace, explained, answers, end, beat }
    }
}

/// So many beats without an answer are told.
const SILENT: u32 = 3;

/// How a node speaks and ends its process; tests listen instead.
pub(super) struct Voice {
    pub(super) say: Box<dyn Fn(&str) + Send + Sync>,
    pub(super) leave: Box<dyn Fn() + Send + Sync>,
}

/// A rank below this one.
pub(super) struct Member {
    pub(super) host: String,
    pub(super) pid: u32,
    /// Through whose connection it is reached: its own, or its hub's.
    pub(super) via: u32,
    /// It has called on this host.
    pub(super) near: bool,
    pub(super) fate: Option<What>,
}

pub(super) type Waker = Box<dyn Fn() + Send>;

#[derive(Default)]
pub(super) struct Shared {
    pub(super) up: Option<Arc<Link>>,
    pub(super) down: BTreeMap<u32, Arc<Link>>,
    pub(super) members: BTreeMap<u32, Member>,
    /// Those that listen for callers, of this host or (`true`) of others, and how to wake them when all have come.
    pub(super) wake: Vec<(bool, Waker)>,
    /// Whose connections over TCP are silent, and for how many beats.
    pub(super) quiet: BTreeMap<u32, u32>,
    /// The gathering under way: who has not answered, and the answers.
    pub(super) gathering: u64,
    pub(super) missing: BTreeSet<u32>,
    pub(super) lines: Vec<Line>,
    /// Who below waits to hear that a question has come to rank 0; how often this process has heard it.
    pub(super) asking: BTreeSet<u32>,
    pub(super) heard: u64,
    pub(super) telling: bool,
    pub(super) kill: bool,
    pub(super) told: Option<Instant>,
    /// What a roll-call adds, once.
    pub(super) remark: Option<String>,
    /// A rank has said that it ends the job, and why.
    pub(super) explained: bool,
    /// The job is over for this process; the process is being ended.
    pub(super) over: bool,
    pub(super) ending: bool,
}

impl Shared {
    /// Whether nobody is to come any more; `others`: over TCP.
    pub(super) fn all_came(&self, place: &Place, others: bool) -> bool {
        let (came, due) = if others {
            (self.members.len(), place.size)
        } else {
            (self.members.values().filter(|member| member.near).count(), place.on_host)
        };
        self.over || came as u32 + 1 >= due
    }

    /// The wakers of those that need not listen any more.
    pub(super) fn wakers(&mut self, place: &Place) -> Vec<Waker> {
        let wake = std::mem::take(&mut self.wake);
        let (done, wake): (Vec<_>, Vec<_>) = wake.into_iter().partition(|(others, _)| self.all_came(place, *others));
        self.wake = wake;
        done.into_iter().map(|(_, waker)| waker).collect()
    }
}

pub(super) struct Node {
    pub(super) place: Place,
    pub(super) secret: Secret,
    /// A roll-call is told no more often than in half of this time.
    pub(super) after: Duration,
    pub(super) state: State,
    pub(super) times: Times,
    pub(super) voice: Voice,
    shared: Mutex<Shared>,
    pub(super) bell: Condvar,
    pub(super) one_gathering: Mutex<()>,
}

impl Node {
    pub(super) fn new(place: Place, secret: Secret, after: Duration, times: Times, voice: Voice) -> Arc<Node> {
        Arc::new(Node {
            place,
            secret,
            after,
            state: State::default(),
            times,
            voice,
            shared: Mutex::default(),
            bell: Condvar::new(),
            one_gathering: Mutex::new(()),
        })
    }

    pub(super) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_hub(&self) -> bool {
        self.place.me == self.place.hub
    }

    /// A small thread that holds the node. Where the system gives none, its connection is not served.
    pub(super) fn thread(self: &Arc<Node>, f: impl FnOnce(&Arc<Node>) + Send + 'static) {
        let node = self.clone();
        let builder = std::thread::Builder::new().name("watch".into()).stack_size(256 << 10);
        builder.spawn(move || f(&node)).ok();
    }

    /// Reads what comes from above, until nothing more does.
    pub(super) fn serve_up(self: &Arc<Node>, link: &Arc<Link>) {
        let (mut reader, mut quiet) = (Reader::new(link), false);
        let ended = loop {
            match reader.next() {
                Came::Frame(Frame::Tell { id }) => self.answer(link, id),
                Came::Frame(Frame::Heard) => self.heard(),
                Came::Frame(Frame::End) => self.end(None),
                Came::Frame(Frame::Told) => self.explain(),
                Came::Frame(Frame::Beat) => _ = link.send(&Frame::Pulse),
                Came::Frame(Frame::Bye) | Came::Lost => break false,
                Came::Frame(_) => {}
                Came::Quiet => {
                    if !std::mem::replace(&mut quiet, true) {
                        let time = self.times.beat * (SILENT + 1);
                        self.remark(format_args!("{}: rank 0 has not been heard of for {time:?}", host()));
                    }
                }
                Came::Ended => break true,
            }
        };
        if !ended {
            link.leave(); // or we would be taken for gone
        }
        link.close();
        self.shared().up = None;
        self.bell.notify_all();
        if ended && !self.shared().over {
            self.orphaned();
        }
    }

    /// Reads what comes from the rank `peer` below, until nothing more does.
    pub(super) fn serve_down(self: &Arc<Node>, peer: u32, link: &Arc<Link>, mut reader: Reader) {
        let mut quiet = 0;
        let ended = loop {
            let came = reader.next();
            if !matches!(came, Came::Quiet) && quiet > 0 {
                self.shared().quiet.remove(&peer);
            }
            if !matches!(came, Came::Quiet) && std::mem::take(&mut quiet) >= SILENT {
                self.remark(format_args!("the host of rank {peer} is heard of again"));
            }
            match came {
                Came::Frame(Frame::Joined { rank, host, pid }) => {
                    self.join(rank, Member { host, pid, via: peer, near: false, fate: None });
                }
                Came::Frame(Frame::Ask { kill }) => self.asked_by(peer, kill),
                Came::Frame(Frame::Lines { id, lines }) => self.answered(peer, id, lines),
                Came::Frame(Frame::Gone { rank }) => {
                    self.mark(|r, _| r == rank, What::Gone);
                    self.thread(|node| node.mourn(Duration::ZERO));
                }
                Came::Frame(Frame::Told) => self.explain(),
                Came::Quiet => {
                    quiet += 1;
                    self.shared().quiet.insert(peer, quiet);
                    link.send(&Frame::Beat);
                    if quiet == SILENT {
                        let (time, known) = (self.times.beat * SILENT, self.who(peer));
                        let known = known.map(|who| format!(" {who}")).unwrap_or_default();
                        self.remark(format_args!("the host of rank {peer}{known} has not been heard of for {time:?}"));
                    }
                }
                Came::Frame(Frame::Bye) => {
                    self.mark(|_, via| via == peer, What::Left);
                    break false;
                }
                Came::Frame(_) => {}
                Came::Ended => break true,
                Came::Lost => break false,
            }
        };
        let gone = ended && !self.shared().over;
        if gone {
            self.mark(|rank, _| rank == peer, What::Gone);
        }
        if !ended {
            link.leave(); // or we would be taken for gone
        }
        link.close();
        let mut shared = self.shared();
        shared.down.remove(&peer);
        shared.missing.remove(&peer);
        drop(shared);
        self.bell.notify_all();
        if gone {
            self.mourn(self.times.grace);
        }
    }

    /// Says something unasked, as long as the job runs.
    fn remark(&self, what: std::fmt::Arguments) {
        if !self.shared().over {
            (self.voice.say)(&what.to_string());
        }
    }

    /// Host and process of a rank, as far as they are known.
    pub(super) fn who(&self, rank: u32) -> Option<String> {
        if rank == self.place.me {
            return Some(format!("on {} (process {})", host(), std::process::id()));
        }
        self.shared().members.get(&rank).map(|member| format!("on {} (process {})", member.host, member.pid))
    }

    /// A rank is known from now on, here and above.
    pub(super) fn join(&self, rank: u32, member: Member) {
        let frame = Frame::Joined { rank, host: member.host.clone(), pid: member.pid };
        let (wake, up) = {
            let mut shared = self.shared();
            shared.members.insert(rank, member);
            (shared.wakers(&self.place), shared.up.clone())
        };
        wake.iter().for_each(|wake| wake());
        if let Some(up) = up {
            up.send(&frame);
        }
    }
}
