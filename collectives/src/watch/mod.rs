//! A side channel of the processes of a job, which needs no MPI to make progress: it tells who waits where since when, who
//! computes in which phase, and who is gone.
//!
//! **Connections** form a tree. The ranks of a host call its lowest rank, the *hub*, by a Unix socket; the hubs call rank 0
//! by TCP, which listens on one address that somebody has named (`interface`), never on all. With one host there is no TCP
//! at all. Rank 0 draws 32 random bytes, the *secret*, and broadcasts them with its address over MPI when the job begins;
//! who cannot prove that it knows them is hung up on (`secret`). All else runs beside the job: connecting delays nobody, and
//! what cannot connect is missing in the roll-call, not in the job.
//!
//! **Roll-call** (`roll`). A rank whose wait has lasted for `PHYSALIA_STALL` asks rank 0, which asks all and says what came
//! within 2 s, once for the job and with equal lines as one (`table`). The answers come from threads that read a rank's
//! `state`, so they come while the rank computes, or waits inside of MPI. If the job is to be ended, rank 0 says why and ends it.
//! A rank that is not heard speaks for itself instead, as before.
//!
//! **Deaths.** The system closes the connections of a process that ends in any way. A connection that ends without a
//! goodbye proves that the process is gone: that is said, with rank and host, and ends the job. Before, some time passes, in which
//! a launcher that kills the job has done so, and nothing is said if a rank has told that it ends the job itself. Silence proves
//! nothing: a host that does not answer beats over TCP for 15 s is named, and no more. After the goodbye, which follows the
//! last barrier, nothing ends the job any more.
//!
//! Cost: a broadcast on the host and one in the job when it begins; a thread in each process and one for each connection in
//! a hub, all asleep in a read; over TCP two frames in 5 s for each host.

mod end;
mod interface;
mod meet;
mod node;
mod roll;
mod secret;
mod state;
mod table;
mod wire;

pub(crate) use node::Place;

use crate::check::Print;
use crate::exit::say;
use crate::stall::Stall;
use meet::Listener;
use node::{Node, Times, Voice};
use physalia_topology::sys;
use secret::Secret;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// What rank 0 tells the others over MPI.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Offer {
    secret: Secret,
    /// Where rank 0 listens for the hubs of other hosts.
    address: Option<SocketAddr>,
}

/// What rank 0 keeps of it.
#[derive(Default)]
pub(crate) struct Door {
    listener: Option<Listener>,
    /// Why other hosts cannot come.
    remark: Option<String>,
}

/// Whether the environment wants a side channel. (A typo is refused where a job is launched.)
fn wanted() -> bool {
    std::env::var("PHYSALIA_WATCH").map_or(true, |text| text != "off")
}

/// Rank 0, before the broadcast. `None`: there is to be no side channel, or it cannot be had.
pub(crate) fn offer(place: &Place) -> Option<(Offer, Door)> {
    if !wanted() || place.size < 2 {
        return None;
    }
    let secret = Secret::random().ok()?;
    if place.on_host == place.size {
        return Some((Offer { secret, address: None }, Door::default()));
    }
    let chosen = interface::choose(|name| std::env::var(name).ok(), &sys::interfaces());
    let listening = chosen
        .and_then(|address| Listener::tcp(address).map_err(|why| format!("rank 0 cannot listen on {address}: {why}")));
    Some(match listening {
        Ok((listener, address)) => {
            (Offer { secret, address: Some(address) }, Door { listener: Some(listener), remark: None })
        }
        Err(why) => {
            let remark = Some(format!("ranks on other hosts speak for themselves: {why}"));
            (Offer { secret, address: None }, Door { listener: None, remark })
        }
    })
}

/// The node of the job that this process runs, for those that end it from anywhere.
static CURRENT: Mutex<Weak<Node>> = Mutex::new(Weak::new());

/// This process ends the job and has said why, so that nobody else needs to tell of its death.
pub(crate) fn told() {
    let node = CURRENT.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
    if let Some(node) = node {
        node.explain();
    }
}

/// A rank's hold on the side channel. Its thread writes what it does; the goodbye is said by `goodbye`, or at the latest
/// when this is dropped.
pub(crate) struct Watch {
    node: Arc<Node>,
    noted: Cell<bool>,
}

impl Watch {
    /// Begins to connect, in threads of its own.
    pub(crate) fn begin(place: Place, offer: Offer, door: Door, stall: Stall) -> Option<Watch> {
        if !wanted() {
            return None;
        }
        let voice = Voice { say: Box::new(|what| say(what)), leave: Box::new(|| sys::leave(1)) };
        let node = Node::new(place, offer.secret, stall.after, Times::default(), voice);
        node.open(offer.address, door);
        *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&node);
        Some(Watch { node, noted: Cell::new(false) })
    }

    /// This rank has waited so long in a call.
    pub(crate) fn waits(&self, print: &Print, waited: Duration) {
        self.node.state.waits(print, waited);
        self.noted.set(true);
    }

    /// The wait is over.
    pub(crate) fn waits_no_more(&self) {
        if self.noted.replace(false) {
            self.node.state.waits_no_more();
        }
    }

    /// This rank is in a phase of this name; in none if it is empty.
    pub(crate) fn phase(&self, name: &str) {
        self.node.state.phase(name);
    }

    /// Has it told that a wait has lasted, or, with `kill`, the job ended for it. `false`: nobody did.
    pub(crate) fn ask(&self, kill: bool) -> bool {
        self.node.ask(kill)
    }

    /// The job is over for this rank.
    pub(crate) fn goodbye(&self) {
        self.node.goodbye();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.node.goodbye();
    }
}

impl Node {
    fn open(self: &Arc<Node>, address: Option<SocketAddr>, door: Door) {
        self.shared().remark = door.remark;
        if let Some(listener) = door.listener {
            self.listen(listener);
        }
        if !self.is_hub() {
            return self.call_hub();
        }
        if self.place.on_host > 1
            && let Ok(listener) = Listener::unix(&self.secret.socket_name(self.place.me))
        {
            self.listen(listener);
        }
        if let (true, Some(address)) = (self.place.me > 0, address) {
            self.call_first(address);
        }
    }
}

#[cfg(test)]
mod tests;
