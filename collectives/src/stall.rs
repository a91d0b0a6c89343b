//! What to do about waits that last: to say so, and to end the job only where that was asked for. (What is *proved* never to
//! end, ends without being asked: `stuck`.)
//!
//! A wait counts its own ticks, each at most a fifth of a second of waiting. A job that was stopped meanwhile, or sat in a debugger, has
//! not waited: its clock has gone on, its ticks have not.

use std::time::{Duration, Instant};

/// The most that one look at the clock adds to a wait.
const TICK: Duration = Duration::from_millis(100);

/// After how long a wait is told, and whether the job ends then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    pub(crate) after: Duration,
    pub(crate) kill: bool,
}

impl Default for Stall {
    /// A minute, and no end.
    fn default() -> Stall {
        Stall { after: Duration::from_secs(60), kill: false }
    }
}

impl Stall {
    /// From `60`, seconds, or `60:kill`.
    ///
    /// # Errors
    /// What is wanted instead, in words.
    pub fn parse(text: &str) -> Result<Stall, String> {
        let (seconds, kill) = match text.split_once(':') {
            None => (text, false),
            Some((seconds, "kill")) => (seconds, true),
            Some(_) => (text, false), // whose `:` is no number
        };
        match seconds.trim().parse::<f64>() {
            Ok(s) if (0.001..1e9).contains(&s) => Ok(Stall { after: Duration::from_secs_f64(s), kill }),
            _ => Err(format!("{text}: seconds are wanted, as `60`, or `60:kill` to end a job after a wait that long")),
        }
    }
}

/// What is due in a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Say,
    Kill,
}

/// How long one wait has lasted, by its own ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    looked: Instant,
    waited: Duration,
    next: Duration,
}

impl Patience {
    pub(crate) fn new(stall: Stall) -> Patience {
        Patience { looked: Instant::now(), waited: Duration::ZERO, next: stall.after }
    }

    /// How long to sleep before the next look, at most.
    pub(crate) fn nap(&self) -> Duration {
        TICK.min(self.next)
    }

    /// The wait so far. (Among threads the roll-call has its own clock.)
    #[cfg_attr(not(feature = "mpi"), allow(dead_code))]
    pub(crate) fn waited(&self) -> Duration {
        self.waited
    }

    /// A look at the clock. What is said is said again when the wait has doubled.
    pub(crate) fn tick(&mut self, stall: Stall) -> Due {
        let now = Instant::now();
        self.waited += (now - self.looked).min(2 * TICK);
        self.looked = now;
        if self.waited < self.next {
            return Due::Nothing;
        }
        self.next *= 2;
        if stall.kill { Due::Kill } else { Due::Say }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_refused() {
        let read = |text| Stall::parse(text).map(|s| (s.after.as_secs_f64(), s.kill));
        assert_eq!((read("60"), read("0.5:kill")), (Ok((60.0, false)), Ok((0.5, true))));
        for bad in ["", "kill", "60:end", "-1", "0", "nan", "inf"] {
            assert!(read(bad).unwrap_err().contains("seconds are wanted"), "{bad}");
        }
    }

    /// A stopped process sees the clock jump. Its wait has not lasted as long.
    #[test]
    fn a_jump_of_the_clock_is_no_wait() {
        let stall = Stall { after: Duration::from_secs(10), kill: true };
        let mut patience = Patience::new(stall);
        patience.looked = Instant::now().checked_sub(Duration::from_secs(180)).expect("the machine is up for longer");
        assert_eq!(patience.tick(stall), Due::Nothing);
        assert!(patience.waited() < Duration::from_secs(1));
        patience.waited = Duration::from_secs(11);
        assert_eq!(patience.tick(stall), Due::Kill);
    }
}
