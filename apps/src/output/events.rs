//! When something is due.

/// A moment of a simulation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// Steps done since the start.
    pub step: u64,
    /// The time that the simulation has come to, in its own unit.
    pub time: f64,
}

/// Steps after files were begun until it is first looked whether they are on disk: as many as an engine may want to do at once.
const FIRST_LOOK: u64 = 16;

/// Steps at which something is due: at the start, every so many steps, and at the end; and now and then between, as long as
/// files are being written, so that they are named soon after they are on disk.
#[derive(Clone, Debug)]
pub struct Events {
    last: u64,
    every: Vec<u64>,
    /// Where files were begun, and where it is looked for them next.
    look: Option<(u64, u64)>,
}

impl Events {
    /// Something every so many steps of `every`, up to the `last` one. 0 is never.
    pub fn new(last: u64, every: impl IntoIterator<Item = u64>) -> Events {
        Events { last, every: every.into_iter().filter(|&n| n > 0).collect(), look: None }
    }

    /// The next step after this one at which something is due; at most the last. Pure.
    pub fn next(&self, step: u64) -> u64 {
        let multiples = self.every.iter().map(|n| (step / n + 1).saturating_mul(*n));
        multiples.chain(self.look.map(|(_, at)| at.max(step + 1))).fold(self.last, u64::min)
    }

    /// Whether what is to be every `every` steps is due now.
    pub fn due(&self, every: u64, step: u64) -> bool {
        step == self.last || (every > 0 && step.is_multiple_of(every))
    }

    /// Says at each stop whether files are under way: if so, the next look is after [`FIRST_LOOK`] steps, then after twice
    /// as many since they were begun, and so on.
    pub(super) fn writing(&mut self, begun: bool, under_way: bool, step: u64) {
        self.look = match self.look {
            _ if !under_way => None,
            Some((since, _)) if !begun => Some((since, step.saturating_add((step - since).max(FIRST_LOOK)))),
            _ => Some((step, step.saturating_add(FIRST_LOOK))),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_multiple_and_the_last() {
        let events = Events::new(25, [10, 4, 0]);
        let mut steps = vec![0];
        while steps.last() != Some(&25) {
            steps.push(events.next(*steps.last().unwrap()));
        }
        assert_eq!(steps, [0, 4, 8, 10, 12, 16, 20, 24, 25]);
        assert!(events.due(10, 20) && events.due(10, 25) && !events.due(10, 24) && events.due(0, 25));
        assert_eq!(Events::new(7, []).next(0), 7);
        assert_eq!(Events::new(u64::MAX, [u64::MAX - 1]).next(u64::MAX - 1), u64::MAX);
    }

    #[test]
    fn looks_become_seldom() {
        let mut events = Events::new(1000, [500]);
        events.writing(true, true, 500);
        let mut looks = Vec::new();
        let mut step = 500;
        while step < 1000 {
            step = events.next(step);
            looks.push(step - 500);
            events.writing(false, true, step);
        }
        assert_eq!(looks, [16, 32, 64, 128, 256, 500]);
        events.writing(false, false, 600);
        assert_eq!(events.next(600), 1000);
    }
}
