//! What a worker does while there is nothing to do: it spins for a while, because work that comes soon is then begun soonest, and
//! then sleeps, so that others, or nobody, can have the core.

use std::time::{Duration, Instant};

/// How long members of a team spin for the next loop. Long beside the time between two loops of a program that computes, short
/// beside what anyone notices of a busy core.
const SPIN: Duration = Duration::from_micros(200);

/// Looks between two looks at the clock.
const LOOKS: u32 = 32;

/// Waits shorter than this are spun through by whoever waits for work to end, where cores are not shared.
const NAPLESS: Duration = Duration::from_millis(1);

/// How long workers without work spin before they sleep: `PHYSALIA_IDLE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// 200 µs where every worker has a core of its own, otherwise not at all.
    Auto,
    /// Until there is work: the quickest start of short loops, at the price of cores that are never idle.
    Spin,
    /// So long; zero is `sleep`.
    For(Duration),
}

impl Idle {
    /// Reads `spin`, `sleep` or a number of microseconds.
    ///
    /// # Errors
    /// What is wrong with the text, which begins it.
    pub fn parse(text: &str) -> Result<Idle, String> {
        match text.trim() {
            "spin" => Ok(Idle::Spin),
            "sleep" => Ok(Idle::For(Duration::ZERO)),
            micros => match micros.parse::<u32>() {
                Ok(micros) => Ok(Idle::For(Duration::from_micros(micros.into()))),
                Err(_) => Err(format!("{text}: `spin`, `sleep` or a number of microseconds is wanted")),
            },
        }
    }
}

/// How the workers of one pool wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manner {
    /// How long for the next loop; `None` is for ever.
    spin: Option<Duration>,
    /// Every worker has a core of its own.
    roomy: bool,
}

impl Manner {
    pub(super) fn new(idle: Idle, roomy: bool) -> Manner {
        let spin = match idle {
            Idle::Auto => Some(if roomy { SPIN } else { Duration::ZERO }),
            Idle::Spin => None,
            Idle::For(time) => Some(time),
        };
        Manner { spin, roomy }
    }

    pub(super) fn wait(&self) -> Wait {
        Wait { manner: *self, looks: 0, since: None }
    }
}

/// One wait.
pub(super) struct Wait {
    manner: Manner,
    looks: u32,
    since: Option<Instant>,
}

impl Wait {
    /// Passes a moment. Some microseconds into the wait `help` is asked for something useful to do meanwhile; it says
    /// whether there was something. Gives how long the wait has lasted, as far as the clock has been looked at.
    fn moment(&mut self, help: impl FnOnce() -> bool) -> Duration {
        self.looks += 1;
        if !self.manner.roomy {
            std::thread::yield_now();
        }
        std::hint::spin_loop();
        if self.looks < LOOKS {
            return Duration::ZERO;
        }
        if help() {
            *self = self.manner.wait();
            return Duration::ZERO;
        }
        if self.looks.is_multiple_of(LOOKS) {
            self.since.get_or_insert_with(Instant::now).elapsed()
        } else {
            Duration::ZERO
        }
    }

    /// A moment of a wait for the next loop; `false` when it is time to sleep.
    pub(super) fn spins(&mut self, help: impl FnOnce() -> bool) -> bool {
        match self.manner.spin {
            Some(Duration::ZERO) => false,
            None => {
                self.moment(help);
                true
            }
            Some(most) => self.moment(help) < most,
        }
    }

    /// A moment of a wait for others to end their work. A long one is napped through, at most a 16th too long.
    pub(super) fn naps(&mut self, help: impl FnOnce() -> bool) {
        let waited = self.moment(help);
        let most = if self.manner.roomy { NAPLESS } else { NAPLESS / 20 };
        if waited > most {
            std::thread::sleep((waited / 16).min(NAPLESS));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_refused() {
        assert_eq!((Idle::parse("spin"), Idle::parse("sleep")), (Ok(Idle::Spin), Ok(Idle::For(Duration::ZERO))));
        assert_eq!(Idle::parse("50"), Ok(Idle::For(Duration::from_micros(50))));
        for bad in ["", "-1", "1.5", "Spin", "99999999999"] {
            assert!(Idle::parse(bad).unwrap_err().starts_with(&format!("{bad}: ")), "{bad}");
        }
    }

    #[test]
    fn spinning_ends_unless_it_must_not() {
        let mut short = Manner::new(Idle::For(Duration::from_micros(10)), true).wait();
        while short.spins(|| false) {}
        assert!(!Manner::new(Idle::Auto, false).wait().spins(|| false));
        let mut endless = Manner::new(Idle::Spin, true).wait();
        assert!((0..100_000).all(|_| endless.spins(|| false)));
        // Who finds something to do begins to wait anew.
        let mut helped = 0;
        let mut wait = Manner::new(Idle::For(Duration::from_nanos(1)), true).wait();
        while wait.spins(|| {
            helped += 1;
            helped < 10
        }) {}
        assert!(helped >= 10);
    }
}
