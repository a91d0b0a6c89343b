//! Files that are written while the job goes on: a thread of each rank writes, and the ranks' own threads see to it that a
//! file appears only after those that it speaks of.
//!
//! A [`Batch`] is what is to be written of one moment, in *stages*. A stage of a batch begins, on every rank, after all
//! ranks are through with the one before: so all ranks' parts are on disk before the file that names them. Ranks find that
//! out when they look, in [`Writer::poll`], which costs next to nothing and waits for no disk; [`Writer::submit`] looks,
//! too, and waits where too many batches are under way. What one rank cannot write fails on all ranks, at their next look;
//! nothing of the batch is visible then but parts that no file names.
//!
//! ```
//! use physalia::prelude::*;
//! use physalia::publish::{Aside, Batch, Writer};
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("answer");
//! let mut world = World::alone();
//! let mut writer = Writer::default();
//! let to = path.clone();
//! writer.submit(&mut world, Batch::default().then(move || Aside::new(&to)?.whole(b"42").map(drop)))?;
//! // … the next time steps, and now and then:
//! writer.poll(&mut world)?;
//! writer.finish(&mut world)?;
//! assert_eq!(std::fs::read(&path)?, b"42");
//! # Ok::<(), Failure>(())
//! ```

use super::CannotWrite;
use crate::World;
use physalia_collectives::{Abort, Min};
use physalia_topology::{CpuSet, sys};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

type Outcome = Result<(), CannotWrite>;
type Stage = Box<dyn FnOnce() -> Outcome + Send>;

/// What this rank writes of one moment. All ranks have as many stages; those who have nothing to do in one do nothing in it.
#[derive(Default)]
pub struct Batch {
    stages: VecDeque<Stage>,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Batch({} stages)", self.stages.len())
    }
}

impl Batch {
    /// With one stage more, which begins after all ranks are through with those before.
    pub fn then(mut self, stage: impl FnOnce() -> Result<(), CannotWrite> + Send + 'static) -> Batch {
        self.stages.push_back(Box::new(stage));
        self
    }
}

/// A rank's writing thread, and what is under way. Dropped without [`finish`](Writer::finish), what has not been written is not.
#[derive(Debug)]
pub struct Writer {
    hand: Option<Hand>,
    /// The number of the stage that each batch is in, and the stages after it; oldest first.
    flying: VecDeque<(u64, Batch)>,
    done: BTreeMap<u64, Outcome>,
    next: u64,
    most: usize,
}

#[derive(Debug)]
struct Hand {
    work: Sender<(u64, Stage)>,
    done: Receiver<(u64, Outcome)>,
    thread: JoinHandle<()>,
}

impl Default for Writer {
    /// With one batch under way at a time.
    fn default() -> Writer {
        Writer::new(1)
    }
}

impl Writer {
    /// With at most so many batches under way: each holds what it writes in memory. Local.
    ///
    /// # Panics
    /// If `most` is 0.
    pub fn new(most: usize) -> Writer {
        assert!(most > 0, "a writer that may not write");
        Writer { hand: None, flying: VecDeque::new(), done: BTreeMap::new(), next: 0, most }
    }

    /// Begins a batch, after it has waited until fewer than the most are under way. Collective.
    ///
    /// # Errors
    /// An agreed failure if something of an earlier batch could not be written, or there is no thread: then nothing is under
    /// way any more, also not the new batch. Or the job's abort.
    #[track_caller]
    pub fn submit(&mut self, world: &mut World, batch: Batch) -> Result<(), Abort> {
        self.make_room(world)?;
        let started = if self.hand.is_none() { Hand::new(world).map(|hand| self.hand = Some(hand)) } else { Ok(()) };
        world.agree(started.map_err(|e| format!("no thread to write with: {e}")))?;
        self.begin(batch);
        Ok(())
    }

    /// Waits until fewer than the most batches are under way: before cells are copied for one more, so that no more than the
    /// most are in memory. Collective.
    ///
    /// # Errors
    /// As [`submit`](Writer::submit).
    #[track_caller]
    pub fn make_room(&mut self, world: &mut World) -> Result<(), Abort> {
        while self.flying.len() >= self.most {
            self.first(world)?;
        }
        Ok(())
    }

    /// Looks what has been written, and goes on with that. Gives whether all is done. Collective; an all-reduce of 4 bytes if
    /// something is under way.
    ///
    /// # Errors
    /// As [`submit`](Writer::submit).
    #[track_caller]
    pub fn poll(&mut self, world: &mut World) -> Result<bool, Abort> {
        while let Some(&(stage, _)) = self.flying.front() {
            self.hear(false);
            let here = u32::from(self.done.contains_key(&stage));
            if world.all_reduce(here, Min)? == 0 {
                return Ok(false);
            }
            self.first(world)?;
        }
        Ok(true)
    }

    /// Waits until all is written. Collective.
    ///
    /// # Errors
    /// As [`submit`](Writer::submit).
    #[track_caller]
    pub fn finish(&mut self, world: &mut World) -> Result<(), Abort> {
        while !self.flying.is_empty() {
            self.first(world)?;
        }
        Ok(())
    }

    /// Whether nothing is under way; the same on all ranks. Local.
    pub fn is_idle(&self) -> bool {
        self.flying.is_empty()
    }

    /// Waits for the stage of the oldest batch, and begins its next one.
    #[track_caller]
    fn first(&mut self, world: &mut World) -> Result<(), Abort> {
        let Some(&(stage, _)) = self.flying.front() else { return Ok(()) };
        while !self.done.contains_key(&stage) {
            self.hear(true);
        }
        let outcome = self.done.remove(&stage).expect("it has been waited for");
        if let Err(abort) = world.agree(outcome) {
            self.flying.clear();
            return Err(abort);
        }
        if let Some((_, batch)) = self.flying.pop_front() {
            self.begin_at(batch, 0);
        }
        Ok(())
    }

    fn begin(&mut self, batch: Batch) {
        let last = self.flying.len();
        self.begin_at(batch, last);
    }

    /// Gives the next stage to the thread.
    fn begin_at(&mut self, mut batch: Batch, place: usize) {
        let Some(stage) = batch.stages.pop_front() else { return };
        let hand = self.hand.as_ref().expect("submit has started it");
        hand.work.send((self.next, stage)).ok(); // if it has panicked, `hear` says so
        self.flying.insert(place, (self.next, batch));
        self.next += 1;
    }

    /// Takes in what the thread has done; waits for something if asked.
    fn hear(&mut self, wait: bool) {
        let Some(hand) = &self.hand else { return };
        if wait {
            match hand.done.recv() {
                Ok((stage, outcome)) => drop(self.done.insert(stage, outcome)),
                Err(_) => {
                    let gone = || io::Error::other("the thread that writes it has panicked");
                    let gone = || Err(CannotWrite::new(Path::new("a file"), gone()));
                    self.done.extend(self.flying.iter().map(|&(stage, _)| (stage, gone())));
                }
            }
        }
        self.done.extend(hand.done.try_iter());
    }
}

impl Hand {
    fn new(world: &World) -> io::Result<Hand> {
        let (work, stages) = channel::<(u64, Stage)>();
        let (tell, done) = channel();
        // The rank's own thread may be pinned; this one may run beside any of its workers.
        let cpus: CpuSet = world.plan().domains.iter().flat_map(|domain| domain.cpus.iter()).collect();
        let write = move || {
            sys::set_affinity(&cpus).ok();
            for (number, stage) in stages {
                if tell.send((number, stage())).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("physalia files".into()).spawn(write)?;
        Ok(Hand { work, done, thread })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.flying.clear();
        if let Some(Hand { work, done, thread }) = self.hand.take() {
            drop((work, done));
            thread.join().ok(); // it has told of its panic
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::publish;
    use super::*;
    use crate::Launch;
    use std::fs;
    use std::path::PathBuf;
    use std::sync::{Arc, Mutex};

    fn ranks(n: u32, body: impl Fn(&mut World) -> crate::Outcome<()> + Send + Sync) {
        Launch::from_env().ranks(n).threads(1).run(body).unwrap();
    }

    fn file(path: PathBuf, bytes: &'static [u8]) -> impl FnOnce() -> Outcome + Send + 'static {
        move || publish(&path, bytes).map(drop)
    }

    #[test]
    fn a_stage_begins_after_the_last_rank_is_through_with_the_one_before() {
        for most in [1, 3] {
            let folder = tempfile::tempdir().unwrap();
            ranks(3, |world| {
                let mut writer = Writer::new(most);
                let rank = world.rank();
                for batch in 0..4 {
                    let part = |rank| folder.path().join(format!("{batch}.{rank}"));
                    let (mine, all, whole) = (part(rank), [0, 1, 2].map(part), folder.path().join(format!("{batch}")));
                    let before = folder.path().join(format!("{}", batch - 1));
                    let last = move || {
                        assert!(all.iter().all(|part| part.exists()), "all parts are there");
                        assert!(batch == 0 || before.exists(), "batches appear in their order");
                        if rank == 0 { publish(&whole, b"").map(drop) } else { Ok(()) }
                    };
                    let slow = std::time::Duration::from_millis(5 * u64::from(rank));
                    let first = file(mine, b"part");
                    let batch = Batch::default().then(move || (std::thread::sleep(slow), first()).1).then(last);
                    writer.submit(world, batch)?;
                    assert!(writer.flying.len() <= most);
                    writer.poll(world)?;
                }
                writer.finish(world)?;
                assert!(writer.is_idle() && writer.poll(world)?);
                Ok(())
            });
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 16);
        }
    }

    #[test]
    fn what_one_rank_cannot_write_all_ranks_are_told_at_their_next_look() {
        let folder = tempfile::tempdir().unwrap();
        ranks(3, |world| {
            let bad = folder.path().join("no/such");
            for look in 0..3 {
                let mut writer = Writer::new(2);
                let here = folder.path().join(format!("{look}.{}", world.rank()));
                let (path, whole) = (if world.rank() == 1 { bad.clone() } else { here }, folder.path().join("whole"));
                writer.submit(world, Batch::default().then(file(path, b"x")).then(file(whole, b"all")))?;
                let told = match look {
                    0 => writer.finish(world),
                    1 => loop {
                        match writer.poll(world) {
                            Ok(done) => assert!(!done),
                            Err(abort) => break Err(abort),
                        }
                    },
                    _ => {
                        writer.submit(world, Batch::default())?;
                        let place = folder.path().join(format!("other.{}", world.rank()));
                        writer.submit(world, Batch::default().then(file(place, b"y"))).and(writer.finish(world))
                    }
                };
                let told = told.unwrap_err().to_string();
                assert!(told.contains("rank 1 on") && told.contains("no/such: there is no folder"), "{told}");
                assert!(writer.is_idle());
            }
            world.barrier()?;
            assert!(!folder.path().join("whole").exists(), "no rank has gone on");
            Ok(())
        });
    }

    #[test]
    fn a_panic_of_the_thread_is_a_failure() {
        ranks(2, |world| {
            let mut writer = Writer::default();
            let rank = world.rank();
            writer.submit(world, Batch::default().then(move || if rank == 1 { panic!("oh") } else { Ok(()) }))?;
            assert!(writer.finish(world).unwrap_err().to_string().contains("has panicked"));
            Ok(())
        });
    }

    #[test]
    fn memory_is_free_once_it_is_written() {
        let held = Arc::new(Mutex::new(()));
        let mine = held.clone();
        ranks(1, move |world| {
            let (mut writer, held) = (Writer::default(), mine.clone());
            writer.submit(world, Batch::default().then(move || (drop(held), Ok(())).1))?;
            writer.finish(world)?;
            drop(writer);
            Ok(())
        });
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
