//! Calls that some members of a communicator have begun and others not: where fingerprints are compared, among ranks of one
//! process. Each is compared with that of the first rank that began the call, before anything is sent.

use super::Call;
use crate::check::Print;
use crate::failure::{Abort, Cause, host};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

struct Meeting {
    /// The first rank in the call, its fingerprint, and all its calls so far.
    first: (u32, Print, u64),
    begun: usize,
}

/// The calls under way, by communicator and number.
#[derive(Default)]
pub(super) struct Meetings(HashMap<(u64, u64), Meeting>);

impl Meetings {
    /// Rank `me` begins `call`, as one of so many members. `late`: its earlier calls have been compared elsewhere.
    ///
    /// # Errors
    /// The first rank there is in another call, or has been.
    pub(super) fn meet(&mut self, me: u32, call: &Call, members: usize, late: bool) -> Result<(), Abort> {
        let first = (me, call.print, call.rolling);
        let meeting = self.0.entry((call.comm, call.seq)).or_insert(Meeting { first, begun: 0 });
        let (other, print, rolling) = meeting.first;
        // On a board, a rank that was elsewhere before is found with the name of that call.
        let same = print.hash() == call.print.hash() && (late || rolling == call.rolling);
        if !same {
            let earlier =
                if print.hash() == call.print.hash() { " too, but an earlier call of it differed" } else { "" };
            let calls = [(me, call.print.text()), (other, print.text() + earlier)];
            return Err(Abort::new(Cause::Mismatch { host: host().into(), calls }));
        }
        meeting.begun += 1;
        if meeting.begun == members {
            self.0.remove(&(call.comm, call.seq));
        }
        Ok(())
    }

    /// One of those in the call of this communicator and number is through with it in another way.
    pub(super) fn leave(&mut self, key: (u64, u64)) {
        if let Entry::Occupied(mut meeting) = self.0.entry(key) {
            meeting.get_mut().begun -= 1;
            if meeting.get().begun == 0 {
                meeting.remove();
            }
        }
    }
}
