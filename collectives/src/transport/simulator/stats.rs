//! What a simulated job has cost.

/// What one rank has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RankStats {
    /// Messages that it has sent, the runtime's own among them.
    pub messages: u64,
    /// Their bytes, without headers.
    pub bytes: u64,
    /// How often it has waited.
    pub waits: u64,
    /// The virtual time at which it had ended.
    pub ended_ps: u64,
}

/// What a job has done. Two runs of one program with one seed have equal statistics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Each rank's own.
    pub ranks: Vec<RankStats>,
    /// How often the turn has gone to a rank.
    pub turns: u64,
    /// A hash of who had the turn when: schedules that differ have another one.
    pub order: u64,
}

impl Stats {
    /// The messages of all ranks.
    pub fn messages(&self) -> u64 {
        self.ranks.iter().map(|rank| rank.messages).sum()
    }

    /// The bytes of all ranks' messages, without headers.
    pub fn bytes(&self) -> u64 {
        self.ranks.iter().map(|rank| rank.bytes).sum()
    }

    /// The virtual time at which the last rank had ended: the length of the job's critical path.
    pub fn makespan_ps(&self) -> u64 {
        self.ranks.iter().map(|rank| rank.ended_ps).max().unwrap_or(0)
    }
}
