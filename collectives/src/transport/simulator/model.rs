//! What messages cost: LogGP (Alexandrov, Ionescu, Schauser, Scheiman, "LogGP: Incorporating long messages into the LogP
//! model", SPAA 1995). Times are whole picoseconds, so that they add up to the same whatever the order.

/// The parameters of LogGP.
///
/// A send keeps its rank busy for o. Its bytes then leave G apart, and those of the rank's next message not before g after the
/// last of them; the rank may compute meanwhile. The last byte is there L after it has left, and to take the message in costs
/// its receiver o. So a message of k bytes between two ranks that do nothing else takes o + (k − 1) G + L + o.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogGp {
    /// L: how long a byte is under way.
    pub latency_ps: u64,
    /// o: how long a rank is busy with a message that it sends, or takes in.
    pub overhead_ps: u64,
    /// g: the least time from the last byte of a message to the first of the same sender's next.
    pub gap_ps: u64,
    /// G: the time from byte to byte of one message.
    pub byte_gap_ps: u64,
}

impl Default for LogGp {
    /// In the order of today's networks of clusters: 1 µs, 300 ns, 500 ns, and 20 GB/s.
    fn default() -> LogGp {
        LogGp { latency_ps: 1_000_000, overhead_ps: 300_000, gap_ps: 500_000, byte_gap_ps: 50 }
    }
}

impl LogGp {
    /// From the first byte of a message to its last.
    fn bytes_ps(&self, len: usize) -> u64 {
        (len as u64).saturating_sub(1).saturating_mul(self.byte_gap_ps)
    }
}

/// When the last byte of a rank's latest message has left, and the gap after it is over.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Port {
    free: u64,
}

impl Port {
    /// Sends `len` bytes at `clock`. Gives the time from which the rank can go on, and that of the arrival.
    pub(super) fn send(&mut self, model: &LogGp, clock: u64, len: usize) -> (u64, u64) {
        let busy = clock.saturating_add(model.overhead_ps);
        let last = busy.max(self.free).saturating_add(model.bytes_ps(len));
        self.free = last.saturating_add(model.gap_ps);
        (busy, last.saturating_add(model.latency_ps))
    }
}

/// Random numbers from a seed (SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Copy, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// The numbers of this seed for one purpose.
    pub(super) fn new(seed: u64, purpose: u64) -> Dice {
        let mut dice = Dice(seed ^ purpose.wrapping_mul(0xd6e8_feb8_6659_fd93));
        Dice(dice.next())
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number in 0..=most.
    pub(super) fn up_to(&mut self, most: u64) -> u64 {
        ((u128::from(self.next()) * (u128::from(most) + 1)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: LogGp = LogGp { latency_ps: 1000, overhead_ps: 10, gap_ps: 25, byte_gap_ps: 2 };

    #[test]
    fn a_message_takes_what_the_paper_says() {
        let mut port = Port::default();
        assert_eq!(port.send(&MODEL, 0, 1), (10, 10 + 1000));
        assert_eq!(Port::default().send(&MODEL, 0, 101), (10, 10 + 200 + 1000));
        assert_eq!(Port::default().send(&MODEL, 7, 0), (17, 17 + 1000));
    }

    #[test]
    fn messages_leave_a_gap_apart() {
        let mut port = Port::default();
        port.send(&MODEL, 0, 1); // leaves at 10
        assert_eq!(port.send(&MODEL, 10, 1), (20, 35 + 1000)); // the rank is free at 20, its port at 35
        assert_eq!(port.send(&MODEL, 100, 51), (110, 110 + 100 + 1000));
        assert_eq!(port.send(&MODEL, 110, 1), (120, 210 + 25 + 1000));
    }

    #[test]
    fn numbers_are_the_seed_s() {
        let draw = |seed, purpose| {
            let mut dice = Dice::new(seed, purpose);
            std::array::from_fn::<u64, 8, _>(|_| dice.up_to(99))
        };
        assert_eq!(draw(1, 0), draw(1, 0));
        assert!(draw(1, 0) != draw(2, 0) && draw(1, 0) != draw(1, 1));
        assert!((0..100).flat_map(|seed| draw(seed, 0)).all(|n| n < 100));
        assert_eq!(Dice::new(5, 5).up_to(0), 0);
        Dice::new(5, 5).up_to(u64::MAX);
    }
}
