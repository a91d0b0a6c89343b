//! What goes wrong. A [`Failure`] is one rank's own; an [`Abort`] is the job's, the same on every rank.
//!
//! `Failure` is not `Error`, so that `From<E: Error>` can cover every error; `?` records the place. Invariant: the first
//! cause of a job stays its cause; what follows from it is never reported in its stead.

use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError};

/// What a body returns: its value, or one rank's failure.
pub type Outcome<T> = Result<T, Failure>;

/// Why a job ends, or (`Agreed`) why a step failed on every rank alike. Ranks are those of the whole job.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// Made by `agree` or `from_root`: a value. The communicator stays usable, and a program may handle it.
    Agreed {
        /// The lowest rank that failed.
        rank: u32,
        /// Its host.
        host: String,
        /// What it said.
        message: String,
        /// Whether all ranks of the job know of it, not only those of a split.
        by_all: bool,
    },
    /// A rank's body returned an error.
    Failed {
        /// The rank.
        rank: u32,
        /// Its host.
        host: String,
        /// The error and the place of the `?` that let it go.
        message: String,
    },
    /// A rank's body, or a closure on one of its workers, panicked.
    Panicked {
        /// The rank.
        rank: u32,
        /// Its host.
        host: String,
        /// The panic's message and place.
        message: String,
    },
    /// Two ranks called different collectives where one was due.
    Mismatch {
        /// The host of the rank that found it.
        host: String,
        /// Rank and call, of both.
        calls: [(u32, String); 2],
    },
    /// Ranks wait for each other: it is proved that no such wait can end.
    Stuck {
        /// Who waits where.
        roll_call: String,
    },
    /// A wait has lasted, and `PHYSALIA_STALL` asks to end the job then.
    Stalled {
        /// Who waits where since when.
        roll_call: String,
    },
    /// A rank has died: its host or its connection was lost, or it was killed.
    Gone {
        /// The rank.
        rank: u32,
        /// Its host.
        host: String,
    },
    /// The job was asked for in a way that cannot be.
    Usage(String),
}

/// Why the job ends; cheap to clone, the same on every rank.
#[derive(Clone, Debug)]
pub struct Abort(Arc<Cause>);

impl Abort {
    /// An abort for this cause.
    pub fn new(cause: Cause) -> Abort {
        Abort(Arc::new(cause))
    }

    /// What happened.
    pub fn cause(&self) -> &Cause {
        &self.0
    }

    /// The exit code of a program that ends for this: 2 for wrong use, else 1.
    pub fn exit_code(&self) -> u8 {
        if matches!(*self.0, Cause::Usage(_)) { 2 } else { 1 }
    }

    /// Whether every rank of the job has this abort as a value, so that all can end in order.
    pub fn known_to_all(&self) -> bool {
        matches!(*self.0, Cause::Agreed { by_all: true, .. })
    }
}

impl fmt::Display for Abort {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &*self.0 {
            Cause::Agreed { rank, host, message, .. } | Cause::Failed { rank, host, message } => {
                write!(f, "rank {rank} on {host}: {message}")
            }
            Cause::Panicked { rank, host, message } => write!(f, "rank {rank} on {host}: panicked: {message}"),
            Cause::Mismatch { host, calls: [(a, x), (b, y)] } => {
                write!(f, "rank {a} on {host}: the ranks call different things: rank {a} is in {x}; ")?;
                if x == y {
                    write!(f, "rank {b} is there with another closure")
                } else {
                    write!(f, "rank {b} is in {y}")
                }
            }
            Cause::Stuck { roll_call } => write!(f, "ranks wait for each other, so none of them can go on:{roll_call}"),
            Cause::Stalled { roll_call } => {
                write!(f, "a wait has lasted as long as PHYSALIA_STALL allows:{roll_call}")
            }
            Cause::Gone { rank, host } => write!(f, "rank {rank} is gone: it has died on {host} without a word"),
            Cause::Usage(what) => f.write_str(what),
        }
    }
}

impl Error for Abort {}

/// Any error of one rank, with the place of the `?` that let it go.
pub struct Failure {
    error: Box<dyn Error + Send + Sync>,
    at: &'static Location<'static>,
}

impl Failure {
    /// A failure with this message.
    #[track_caller]
    pub fn msg(message: impl fmt::Display) -> Failure {
        Failure { error: message.to_string().into(), at: Location::caller() }
    }

    /// The job's [`Abort`], if that is what came up.
    pub fn abort(&self) -> Option<&Abort> {
        self.error.downcast_ref()
    }

    /// The job's `Abort` if that is what came up, else this rank's own failure made into one.
    pub fn into_abort(self, rank: u32) -> Abort {
        match self.error.downcast::<Abort>() {
            Ok(abort) => *abort,
            Err(error) => {
                let message = format!("{error} (at {})", self.at);
                Abort::new(Cause::Failed { rank, host: host().into(), message })
            }
        }
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    #[track_caller]
    fn from(error: E) -> Failure {
        Failure { error: Box::new(error), at: Location::caller() }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} (at {})", self.error, self.at)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

/// This machine's name, asked once.
pub fn host() -> &'static str {
    static HOST: OnceLock<String> = OnceLock::new();
    HOST.get_or_init(physalia_topology::sys::host_name)
}

/// A thread's place in a job: which rank it works for. Copied to the rank's workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    rank: u32,
    /// Tells ranks of several jobs in one process apart.
    id: u64,
}

impl Seat {
    /// A new rank begins.
    pub(crate) fn new(rank: u32) -> Seat {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Seat { rank, id: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    /// The rank in its job.
    pub fn rank(&self) -> u32 {
        self.rank
    }
}

thread_local! {
    // `const` and without destructor, so that the exit guard can still read it.
    static SEAT: Cell<Option<Seat>> = const { Cell::new(None) };
}

/// The last panic on a thread of each seat: where it began, however many threads it has unwound through since.
static PANICS: Mutex<BTreeMap<u64, String>> = Mutex::new(BTreeMap::new());

fn panics() -> MutexGuard<'static, BTreeMap<u64, String>> {
    PANICS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The rank that this thread works for: a rank's own thread, or one of its workers.
pub fn seat_here() -> Option<Seat> {
    SEAT.get()
}

/// Says which rank this thread works for from now on.
pub fn set_seat_here(seat: Option<Seat>) {
    SEAT.set(seat);
}

/// Installs the hook once. On threads of a rank it only records: whether a panic ends the job is known when unwinding
/// reaches `run` (a program may catch it). Other threads keep the hook they had.
pub fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let Some(seat) = SEAT.get() else { return before(info) };
            let what = info.payload_as_str().unwrap_or("(a value that is not text)");
            let at = info.location().map(|l| format!(" (at {l})")).unwrap_or_default();
            panics().insert(seat.id, format!("{what}{at}"));
        }));
    });
}

/// The last panic recorded for this thread's rank, even where only a runtime's `Drop` sees it.
pub fn take_panic() -> Option<String> {
    panics().remove(&SEAT.get()?.id)
}

/// Message for a caught payload: the hook's record, or what the payload says when another hook was set meanwhile.
pub fn panic_message(payload: &(dyn Any + Send)) -> String {
    take_panic().unwrap_or_else(|| match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => text.to_string(),
        (_, Some(text)) => text.clone(),
        _ => "(a value that is not text)".into(),
    })
}
