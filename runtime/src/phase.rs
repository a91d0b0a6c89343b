//! Named timers: how long this rank has spent in which part of its program.
//!
//! A [`Phase`] runs until it is dropped. Times of one name add up; phases may be nested, each then counts its whole time.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The timers of one rank, in the order of their first use. Cheap to clone: clones share the times.
#[derive(Clone, Debug, Default)]
pub struct Phases(Rc<RefCell<Vec<(String, Duration)>>>);

impl Phases {
    /// Starts the timer of this name.
    pub fn start(&self, name: &str) -> Phase {
        let mut all = self.0.borrow_mut();
        let index = all.iter().position(|p| p.0 == name).unwrap_or_else(|| {
            all.push((name.into(), Duration::ZERO));
            all.len() - 1
        });
        Phase { phases: self.clone(), index, since: Instant::now() }
    }

    /// Seconds by name. Running timers count when they stop.
    pub fn seconds(&self) -> Vec<(String, f64)> {
        self.0.borrow().iter().map(|(name, time)| (name.clone(), time.as_secs_f64())).collect()
    }

    /// Seconds of one name; 0 if it was never started.
    pub fn of(&self, name: &str) -> f64 {
        self.0.borrow().iter().find(|p| p.0 == name).map_or(0.0, |p| p.1.as_secs_f64())
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
        self.phases.0.borrow_mut()[self.index].1 += self.since.elapsed();
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
}
