//! A rank that calls `process::exit` would leave its peers waiting (under MPI) or end a half-done job with code 0 (in
//! process). `exit` runs `atexit` handlers on the calling thread while all others still run, so a counter of live ranks
//! tells. `_exit`, `abort` and signals do not come by here: the launcher sees those.

use crate::failure::{Seat, host, seat_here, set_seat_here, take_panic};
use physalia_topology::sys;
use std::io::Write;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The exit code of a job that a rank has left.
pub const LEFT: i32 = 70;

static LIVE: AtomicUsize = AtomicUsize::new(0);

/// This thread is a rank until the value is dropped. Held by the runtime's frame, out of the program's reach.
#[derive(Debug)]
pub struct Alive(());

impl Alive {
    /// Enters this thread as rank `rank` of the job.
    pub fn new(rank: u32) -> Alive {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| sys::at_exit(on_exit));
        set_seat_here(Some(Seat::new(rank)));
        LIVE.fetch_add(1, Ordering::SeqCst);
        Alive(())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::SeqCst);
        take_panic(); // one that the program caught and went on from
        set_seat_here(None);
    }
}

extern "C" fn on_exit() {
    if LIVE.load(Ordering::SeqCst) > 0 {
        let who = seat_here().map_or("a thread that is no rank".into(), |s| format!("rank {}", s.rank()));
        leave(LEFT, &format!("{who} on {}: called exit while ranks were running", host()));
    }
    #[cfg(feature = "mpi")]
    crate::transport::mpi::finalize();
}

/// A line of the runtime's own on stderr, in one write, so that lines of several ranks do not mix. With stderr closed there
/// is nobody to tell, and no reason to fail.
pub fn say(what: impl std::fmt::Display) {
    std::io::stderr().write_all(format!("physalia: {what}\n").as_bytes()).ok();
}

/// Ends the process at once, and under MPI the job with it. Only for what cannot be unwound: an exit already under way, a
/// thread that does not come back.
pub fn leave(code: i32, why: &str) -> ! {
    say(why);
    #[cfg(feature = "mpi")]
    crate::watch::told();
    #[cfg(feature = "mpi")]
    crate::transport::mpi::abort_job(code);
    sys::leave(code)
}
