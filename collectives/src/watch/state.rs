//! What this rank is doing, written by its thread and read by the threads that answer for it.
//!
//! A wait writes only when it has lasted for some 20 ms, then once a second, and once more when it is over; a phase writes
//! when it begins and when it ends. So the lock is as good as never contended.

use super::table::What;
use crate::check::Print;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A wait is noted at least so often; what the clock shows beyond it was no waiting (see `stall`).
const NOTED: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct State(Mutex<Now>);

#[derive(Default)]
struct Now {
    phase: String,
    wait: Option<Wait>,
}

struct Wait {
    print: Print,
    /// By the wait's own ticks.
    waited: Duration,
    noted: Instant,
}

impl State {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn waits(&self, print: &Print, waited: Duration) {
        self.now().wait = Some(Wait { print: *print, waited, noted: Instant::now() });
    }

    pub(super) fn waits_no_more(&self) {
        self.now().wait = None;
    }

    /// In a phase of this name; in none if it is empty.
    pub(super) fn phase(&self, name: &str) {
        let mut now = self.now();
        now.phase.clear();
        now.phase.push_str(name);
    }

    pub(super) fn what(&self) -> What {
        let now = self.now();
        match &now.wait {
            None => What::Computes { phase: now.phase.clone() },
            Some(wait) => {
                let seconds = (wait.waited + wait.noted.elapsed().min(NOTED)).as_secs_f64();
                What::Waits { call: wait.print.text(), seconds: [seconds; 2] }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_goes_before_a_phase_and_has_its_own_clock() {
        let state = State::default();
        state.phase("count");
        assert_eq!(state.what(), What::Computes { phase: "count".into() });
        let print = Print::new::<u8>("barrier", [0; 2], std::panic::Location::caller());
        state.waits(&print, Duration::from_secs(60));
        // As in a process that was stopped for an hour.
        let noted = Instant::now().checked_sub(Duration::from_secs(3600));
        if let (Some(noted), Some(wait)) = (noted, &mut state.now().wait) {
            wait.noted = noted;
        }
        let What::Waits { call, seconds: [least, most] } = state.what() else { panic!("it waits") };
        assert!(call.starts_with("barrier of u8") && least == most && (60.0..=61.0).contains(&most), "{call} {most}");
        state.waits_no_more();
        state.phase("");
        assert_eq!(state.what(), What::Computes { phase: String::new() });
    }
}
