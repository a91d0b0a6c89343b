//! How a job ends because of the side channel, and how the side channel ends with the job.

use super::node::Node;
use super::table::{What, names};
use super::wire::{Frame, Link};
use crate::failure::host;
use std::sync::Arc;
use std::time::Duration;

impl Node {
    /// The process above is gone. All ranks of a host may see it: the lowest speak, one after the other in case that one is
    /// gone, too, and the rest leaves in silence. Of a hub that is gone, rank 0 speaks first.
    pub(super) fn orphaned(self: &Arc<Node>) {
        const SPEAK: u32 = 3;
        let turn = self.place.below.min(SPEAK + 1) + u32::from(self.place.hub > 0);
        std::thread::sleep(self.times.grace * turn.max(1));
        if self.shared().explained {
            std::thread::sleep(self.times.explained);
        }
        let above = if self.is_hub() { 0 } else { self.place.hub };
        let place = if self.is_hub() { String::new() } else { format!(" on {}", host()) };
        let why = format!("rank {above}{place} is gone without a goodbye (killed, or crashed), so the job ends");
        self.end((self.place.below <= SPEAK).then_some(&*why));
    }

    /// What became of some ranks below, by their number and by the connection that they are reached through. Who has left
    /// cannot get lost any more.
    pub(super) fn mark(&self, which: impl Fn(u32, u32) -> bool, fate: What) {
        for (&rank, member) in &mut self.shared().members {
            if which(rank, member.via) && member.fate.is_none() {
                member.fate = Some(fate.clone());
            }
        }
    }

    /// Processes below are gone. After `grace`, in which whoever ends the job anyhow does so, rank 0 is told of it, or, if
    /// this is rank 0 or has no way there, says it and ends the job.
    pub(super) fn mourn(self: &Arc<Node>, grace: Duration) {
        std::thread::sleep(grace);
        if self.shared().explained {
            std::thread::sleep(self.times.explained);
        }
        if self.shared().over {
            return;
        }
        let (gone, up) = {
            let shared = self.shared();
            let gone = shared.members.iter().filter(|(_, member)| member.fate == Some(What::Gone));
            (gone.map(|(&rank, _)| rank).collect::<Vec<_>>(), shared.up.clone())
        };
        if let Some(up) = up {
            for &rank in &gone {
                up.send(&Frame::Gone { rank });
            }
            std::thread::sleep(self.times.grace * 10); // it ends the job before this is over
        }
        let first = gone.first().and_then(|&rank| self.who(rank)).map(|who| format!(" {who}"));
        let which = match &gone[..] {
            [one] => format!("rank {one}{} is", first.unwrap_or_default()),
            many => format!("{} are", names(many)),
        };
        self.end(Some(&format!("{which} gone without a goodbye (killed, or crashed), so the job ends")));
    }

    /// This rank, or another, ends the job and has said why: no death is news any more.
    pub(super) fn explain(&self) {
        let links: Vec<Arc<Link>> = {
            let mut shared = self.shared();
            if shared.over || std::mem::replace(&mut shared.explained, true) {
                return;
            }
            shared.down.values().chain(&shared.up).cloned().collect()
        };
        for link in &links {
            link.send(&Frame::Told);
        }
    }

    /// Ends this process and all below, once, unless the job is over. MPI belongs to another thread, so it is not asked:
    /// the launcher ends the others when it sees that one has left, and those that are connected end by themselves.
    pub(super) fn end(&self, why: Option<&str>) {
        let down: Vec<Arc<Link>> = {
            let mut shared = self.shared();
            if shared.over || std::mem::replace(&mut shared.ending, true) {
                return;
            }
            shared.down.values().cloned().collect()
        };
        if let Some(why) = why {
            (self.voice.say)(why);
            self.explain();
        }
        for link in &down {
            link.send(&Frame::End);
        }
        (self.voice.leave)();
    }

    /// The job is over for this process, in order.
    pub(super) fn goodbye(&self) {
        let (links, wake) = {
            let mut shared = self.shared();
            if std::mem::replace(&mut shared.over, true) {
                return;
            }
            let up = shared.up.take();
            (shared.down.values().cloned().chain(up).collect::<Vec<_>>(), shared.wakers(&self.place))
        };
        self.bell.notify_all();
        links.iter().for_each(|link| link.leave());
        wake.iter().for_each(|wake| wake());
    }
}
