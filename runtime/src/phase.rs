//! Named timers: how long this rank has spent in which part of its program.
//!
//! A [`Phase`] runs until it is dropped. Times of one name add up; phases may be nested, each then counts its whole time.
//! The latest one that runs is what a roll-call calls the phase of a rank that computes.

use physalia_collectives::phase_here;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The timers of one rank, in the order of their first use. Cheap to clone: clones share the times.
#[derive(Clone, Debug, Default)]
pub struct Phases(Rc<RefCell<Timers>>);

#[derive(Debug, Default)]
struct Timers {
    all: Vec<(String, Duration)>,
    /// Those that run, by their place in `all`; the latest last.
    running: Vec<usize>,
}

impl Timers {
    /// Makes the latest that runs known.
    fn tell(&self) {
        phase_here(self.running.last().map_or("", |&index| &self.all[index].0));
    }
}

impl Phases {
    /// Starts the timer of this name.
    pub fn start(&self, name: &str) -> Phase {
        let mut timers = self.0.borrow_mut();
        let all = &mut timers.all;
        let index = all.iter().position(|p| p.0 == name).unwrap_or_else(|| {
            all.push((name.into(), Duration::ZERO));
            all.len() - 1
        });
        timers.running.push(index);
        timers.tell();
        Phase { phases: self.clone(), index, since: Instant::now() }
    }

    /// Seconds by name. Running timers count when they stop.
    pub fn seconds(&self) -> Vec<(String, f64)> {
        self.0.borrow().all.iter().map(|(name, time)| (name.clone(), time.as_secs_f64())).collect()
    }

    /// Seconds of one name; 0 if it was never started.
    pub fn of(&self, name: &str) -> f64 {
        self.0.borrow().all.iter().find(|p| p.0 == name).map_or(0.0, |p| p.1.as_secs_f64())
    }
}

/// A running timer.
#[must_use = "the timer stops when this is dropped"]
#[derive(Debug)]
pub struct Phase {
    phases: Phases,
    index: usize,
    since: Instant,
}

impl Drop for Phase {
    fn drop(&mut self) {
        let mut timers = self.phases.0.borrow_mut();
        timers.all[self.index].1 += self.since.elapsed();
        // The order of drops is the program's.
        if let Some(place) = timers.running.iter().rposition(|&index| index == self.index) {
            timers.running.remove(place);
        }
        timers.tell();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_one_name_add_up() {
        let phases = Phases::default();
        for name in ["b", "a", "b"] {
            let _phase = phases.start(name);
            std::thread::sleep(Duration::from_millis(2));
        }
        let seconds = phases.seconds();
        assert_eq!(seconds.iter().map(|s| s.0.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert!(phases.of("b") >= 0.004 && phases.of("a") >= 0.002 && phases.of("c") == 0.0);
    }

    #[test]
    fn the_latest_that_runs_is_known_in_whatever_order_they_stop() {
        let phases = Phases::default();
        let running = || {
            let timers = phases.0.borrow();
            timers.running.iter().map(|&index| timers.all[index].0.clone()).collect::<Vec<_>>()
        };
        let (a, b, c) = (phases.start("a"), phases.start("b"), phases.start("a"));
        assert_eq!(running(), ["a", "b", "a"]);
        drop(b);
        assert_eq!(running(), ["a", "a"]);
        drop((a, c));
        assert!(running().is_empty());
    }
}
