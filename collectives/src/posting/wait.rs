//! How a rank waits for what others write into memory that they share: a board, or mailboxes.

use crate::core::Core;
use crate::failure::{Abort, Cause, host};
use crate::flow::Due;
use crate::stuck::Watch;
use crate::transport::Call;

impl Core {
    /// Waits in `call` until `ready`; first looking, then as the transport waits. `on` gives the members that are waited for, and
    /// for what; after `nap` a member rings us when it has written something. `late`: the call has not been compared among threads
    /// when it began, so it is now.
    pub(crate) fn wait_for<N>(
        &self,
        call: &Call,
        late: bool,
        on: impl Fn(&mut dyn FnMut(usize, Due)),
        ready: impl Fn() -> Result<bool, Abort>,
        nap: impl Fn(usize) -> Option<N>,
    ) -> Result<(), Abort> {
        let rank = &self.rank;
        let patience = rank.transport.spins();
        for _ in 0..=patience {
            if ready()? {
                return Ok(());
            }
            std::hint::spin_loop();
        }
        let _late = if late { rank.transport.enter_late(rank.me, call)? } else { None };
        loop {
            let seen = rank.transport.epoch(rank.me);
            rank.advance();
            let missing = || {
                let mut missing = Vec::new();
                on(&mut |member, due| missing.push((self.members[member], due)));
                missing
            };
            let for_whom = missing().first().map(|m| m.0);
            let _nap = for_whom.map(|m| nap(self.place(m)));
            if ready()? {
                rank.transport.stir();
                rank.waited();
                return Ok(());
            }
            // Only from here on would that member ring us. If it was quicker, we sleep for another.
            let missing = missing();
            if missing.first().map(|m| m.0) != for_whom {
                continue;
            }
            let watch = Watch { call: *call, missing };
            rank.chaser.answer(rank, &watch);
            rank.wait(seen, call, &watch)?;
        }
    }

    /// Ends the job: a member has written in another call than ours, of this fingerprint, and this text if it is known.
    pub(crate) fn posted_another(&self, call: &Call, member: usize, print: u64, text: Option<String>) -> Abort {
        let now = call.print.text();
        let (mine, theirs) = match text {
            Some(text) if print != call.print.hash() => (now, text),
            None if print != call.print.hash() => (now, "another call".into()),
            // It is here as we are, but somewhere before it was elsewhere, as one that only posts does not see.
            _ => match self.board().and_then(|board| board.first_difference(member)) {
                Some([mine, theirs]) => (mine, format!("{theirs} (before {now})")),
                None => (now.clone(), format!("{now} too, but an earlier call of it differed")),
            },
        };
        let calls = [(self.members[self.me], mine), (self.members[member], theirs)];
        self.rank.transport.abort(Abort::new(Cause::Mismatch { host: host().into(), calls }))
    }
}
