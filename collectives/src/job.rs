//! How ranks come to be and end: for the runtime, which decides where they run.
//!
//! In process, [`Threads`] is shared by all ranks; each rank's thread takes its [`Keeper`]. Under MPI there is one keeper a
//! process. The keeper is held by the runtime's frame, out of the program's reach: it ends the job's communicator whatever
//! handle the program has put in its place.

use crate::Comm;
use crate::check::Print;
use crate::core::Core;
use crate::exit::say;
use crate::failure::{Abort, Cause, Outcome, host, panic_message};
use crate::level::Level;
use crate::rank::Rank;
use crate::stall::Stall;
use crate::transport::{Transport, simulator, threads};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What the in-process ranks of one job share.
#[derive(Clone)]
pub struct Threads {
    job: Arc<threads::Job>,
    size: u32,
}

impl std::fmt::Debug for Threads {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Threads({} ranks)", self.size)
    }
}

impl Threads {
    /// A job of `size` ranks in this process. `roomy`: every rank has cores of its own, so a waiting rank may spin briefly.
    pub fn new(size: u32, roomy: bool, stall: Stall, level: Level) -> Threads {
        Threads { job: threads::Job::checked(size, roomy, stall, level), size }
    }

    /// Makes this thread rank `rank`.
    pub fn keeper(&self, rank: u32) -> Keeper {
        Keeper::new(Transport::Threads(self.job.clone()), rank, self.size)
    }

    /// Raises the job's abort flag; gives the abort that stands, which is the first.
    pub fn abort(&self, abort: Abort) -> Abort {
        self.job.abort(abort)
    }

    /// Rank `rank` is back from its body, or never began.
    pub fn rank_ended(&self, rank: u32) {
        self.job.rank_ended(rank);
    }

    /// Waits until all ranks are back; once the flag is up, no longer than `grace`.
    ///
    /// # Errors
    /// Cause and roll-call, if a rank did not come back in time.
    pub fn wait_ended(&self, grace: Duration) -> Result<(), String> {
        self.job.wait_ended(grace)
    }
}

/// One rank's hold on its job.
pub struct Keeper {
    core: Rc<Core>,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Keeper(rank {})", self.core.me)
    }
}

impl Keeper {
    pub(crate) fn new(transport: Transport, rank: u32, size: u32) -> Keeper {
        let rank = Rank::new(transport, rank);
        rank.sit();
        if let (Level::Full { seed }, 0) = (rank.level, rank.me) {
            say(format_args!("all is checked, with delays by PHYSALIA_CHECK=full:{seed}"));
        }
        Keeper { core: Core::root(rank, size, true) }
    }

    /// This process as a rank of its MPI job. Rank 0's level holds for all.
    ///
    /// # Errors
    /// What is wrong with the launch, in words.
    #[cfg(feature = "mpi")]
    pub fn mpi(stall: Stall, level: Level) -> Result<Keeper, String> {
        let job = crate::transport::mpi::Job::begin(stall, level)?;
        let (rank, size) = (job.rank(), job.size());
        Ok(Keeper::new(Transport::Mpi(job), rank, size))
    }

    /// The communicator of all ranks.
    pub fn comm(&self) -> Comm {
        Comm { core: self.core.clone() }
    }

    /// Ends the job because of this rank; gives the abort that stands. Under MPI it does not return.
    pub fn abort(&self, abort: Abort) -> Abort {
        self.core.rank.transport.abort(abort)
    }

    /// One rank from start to end: runs `body` and finishes. It returns, whatever the body does, and never before the job
    /// knows how it ended.
    ///
    /// # Errors
    /// Why the job ended.
    pub fn lead<T>(&self, body: impl FnOnce(Comm) -> Outcome<T>, at: &'static Location<'static>) -> Result<T, Abort> {
        let rank = self.core.rank.me;
        // All user code is inside: the body, the `Display` of its error, the destructor of a value that nobody gets.
        let result = catch_unwind(AssertUnwindSafe(|| {
            // Our core is the one that is finished, whatever communicator the body has put in the place of ours.
            match body(self.comm()) {
                Ok(value) => self.finish("the end of the body", at).map(|()| value),
                Err(failure) => {
                    let abort = failure.into_abort(rank);
                    if abort.known_to_all() {
                        // Every rank has it, so all meet here and end in order; one that went on instead is found out.
                        self.finish("the end of the body", at)?;
                        return Err(abort);
                    }
                    Err(self.abort(abort))
                }
            }
        }));
        result.unwrap_or_else(|payload| {
            let message = panic_message(&*payload);
            let abort = self.abort(Abort::new(Cause::Panicked { rank, host: host().into(), message }));
            std::mem::forget(payload); // its destructor is the program's and could panic again
            Err(abort)
        })
    }

    /// Lands what was never waited for and meets all ranks. `what` and `at` are part of the fingerprint, so a rank that
    /// ends while others communicate is found out.
    ///
    /// # Errors
    /// The job's abort.
    pub fn finish(&self, what: &'static str, at: &'static Location<'static>) -> Result<(), Abort> {
        self.core.finish(Print::new::<()>(what, [0; 2], at))
    }
}

/// A look at the job's abort flag from any thread.
#[derive(Clone)]
pub struct AbortFlag(Flag);

#[derive(Clone)]
enum Flag {
    Threads(Arc<threads::Job>),
    Simulator(Arc<simulator::Job>),
    #[cfg(feature = "mpi")]
    Never,
}

impl std::fmt::Debug for AbortFlag {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "AbortFlag({})", self.raised())
    }
}

impl AbortFlag {
    /// Whether the job is ending. Never under MPI, where the processes of an ending job are ended.
    pub fn raised(&self) -> bool {
        match &self.0 {
            Flag::Threads(job) => job.aborted(),
            Flag::Simulator(job) => job.aborted(),
            #[cfg(feature = "mpi")]
            Flag::Never => false,
        }
    }
}

impl Comm {
    /// The job's abort flag, for loops that compute for long. Local.
    pub fn abort_flag(&self) -> AbortFlag {
        match &self.core.rank.transport {
            Transport::Threads(job) => AbortFlag(Flag::Threads(job.clone())),
            Transport::Simulator(job) => AbortFlag(Flag::Simulator(job.clone())),
            #[cfg(feature = "mpi")]
            Transport::Mpi(_) => AbortFlag(Flag::Never),
        }
    }

    /// `threads`, `mpi` or `simulator`. Local.
    pub fn transport(&self) -> &'static str {
        match &self.core.rank.transport {
            Transport::Threads(_) => "threads",
            Transport::Simulator(_) => "simulator",
            #[cfg(feature = "mpi")]
            Transport::Mpi(_) => "mpi",
        }
    }
}

/// Name and version of the MPI library in use; `None` without the feature. Local; needs no started MPI.
pub fn mpi_version() -> Option<String> {
    #[cfg(feature = "mpi")]
    return Some(crate::transport::mpi::version());
    #[cfg(not(feature = "mpi"))]
    None
}
