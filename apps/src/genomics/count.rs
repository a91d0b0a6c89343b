//! Counting over ranks and workers, in rounds of bounded size.
//!
//! Each k-mer has an owner: a rank, and one of its *shards*, both by its hash. A round has three parts:
//!
//! 1. *fill*: workers read units and put k-mers into a bucket for each owner, until the round's bytes are used up;
//! 2. *exchange*: every rank sends every rank the buckets of its shards (one all-to-all);
//! 3. *count*: workers take shards and count what has come for them. A shard has one table, so nothing is locked.
//!
//! Rounds go on until no rank has anything left. A rank that fails to read says so at the round's end, so all ranks fail
//! alike. Bytes sent: 8 for each k-mer that changes its rank (16 for k over 32).

use super::dump::{self, Histogram};
use super::input::{self, BadInput, Input};
use super::kmer::{Strange, Window, Word};
use super::parse::Sink;
use super::parts::{self, Joint, Unit};
use super::reader::Reader;
use super::table::Table;
use crate::publish::{Aside, Output};
use physalia::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// What to count, and what to write.
#[derive(Clone, Debug)]
pub struct Options {
    /// Letters of a k-mer, 1 to 63.
    pub k: usize,
    /// FASTA and FASTQ files, plain or gzip; `-` is standard input.
    pub reads: Vec<PathBuf>,
    /// Where to write `count<TAB>number` lines; `-` is standard output.
    pub histogram: Option<PathBuf>,
    /// Where to write `kmer<TAB>count` lines in order; `-` is standard output.
    pub dump: Option<PathBuf>,
    /// Files are not read in parts.
    pub whole_files: bool,
    /// Bytes of k-mers that a rank may send in a round.
    pub round_bytes: usize,
    /// Bytes of a part of a file.
    pub piece_bytes: u64,
}

impl Options {
    /// Counts k-mers of these files, and writes nothing.
    pub fn new(k: usize, reads: Vec<PathBuf>) -> Options {
        Options {
            k,
            reads,
            histogram: None,
            dump: None,
            whole_files: false,
            round_bytes: 32 << 20,
            piece_bytes: 4 << 20,
        }
    }
}

/// What was counted, over all ranks; the same on each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Letters of a k-mer.
    pub k: usize,
    /// Letters of all sequences.
    pub bases: u64,
    /// k-mers, each as often as it occurs.
    pub kmers: u64,
    /// Different k-mers.
    pub distinct: u64,
    /// k-mers that occur once.
    pub unique: u64,
    /// The largest count.
    pub largest: u64,
    /// For each count, the number of k-mers that have it.
    pub histogram: BTreeMap<u64, u64>,
    /// Files that were written.
    pub outputs: Vec<Output>,
}

/// Counts k-mers. Collective.
///
/// # Errors
/// An agreed failure, the same on all ranks, if a file cannot be read or is no FASTA or FASTQ, if an output cannot be
/// written, or if k is out of range; outputs are then as they were before. Or the job's abort.
#[track_caller]
pub fn count(world: &mut World, options: &Options) -> Outcome<Summary> {
    match options.k {
        1..=32 => run::<u64>(world, options),
        33..=63 => run::<u128>(world, options),
        k => Err(Failure::from(world.agree(Err::<(), _>(format!("k = {k}: 1 to 63 are supported"))).unwrap_err())),
    }
}

/// One rank's part of the count.
struct Counter<'o, W> {
    options: &'o Options,
    inputs: Vec<Input>,
    units: Vec<Unit>,
    next: AtomicUsize,
    /// Units that were begun and not finished when a round's bytes were used up.
    open: Mutex<Vec<Open<W>>>,
    /// By worker: buckets by owner, kept from round to round for their memory.
    workers: Vec<Mutex<Filler<W>>>,
    owners: Owners,
    tables: Vec<Table<W>>,
}

/// A unit being read, and the window on it.
struct Open<W> {
    reader: Reader,
    window: Window<W>,
}

/// Which rank, and which of its shards, owns a k-mer.
#[derive(Clone, Copy)]
struct Owners {
    ranks: u64,
    shards: u64,
}

impl Owners {
    fn buckets(&self) -> usize {
        (self.ranks * self.shards) as usize
    }

    /// The rank by the high half of the hash, the shard by the low one.
    #[inline(always)]
    fn of(&self, hash: u64) -> usize {
        let part = |bits: u64, n: u64| (bits * n) >> 32;
        (part(hash >> 32, self.ranks) * self.shards + part(hash & 0xffff_ffff, self.shards)) as usize
    }
}

/// One worker's sink: letters in, k-mers in buckets out.
struct Filler<W> {
    window: Window<W>,
    buckets: Vec<Vec<W>>,
    owners: Owners,
    bases: u64,
    kmers: usize,
    joints: Vec<Joint>,
}

impl<W: Word> Sink for Filler<W> {
    fn begin(&mut self) {
        self.window.clear();
    }

    fn letters(&mut self, letters: &[u8], tail: bool) -> Result<(), Strange> {
        let (owners, buckets, kmers) = (self.owners, &mut self.buckets, &mut self.kmers);
        self.window.slide(letters, |kmer| {
            buckets[owners.of(kmer.hash64())].push(kmer);
            *kmers += 1;
        })?;
        self.bases += if tail { 0 } else { letters.len() as u64 };
        Ok(())
    }
}

fn run<W: Word>(world: &mut World, options: &Options) -> Outcome<Summary> {
    let inputs: Vec<Input> = world.from_root(|| input::look_at_all(&options.reads, options.whole_files))?;
    // Outputs are begun before the work, so that a folder that cannot be written is found out now.
    let begin = |path: &Option<PathBuf>| path.as_deref().map(|path: &Path| Aside::new(path)).transpose();
    let outputs =
        world.on_root(|| Ok::<_, crate::publish::CannotWrite>((begin(&options.histogram)?, begin(&options.dump)?)));
    let (histogram_out, dump_out) = world.agree(outputs.transpose())?.unwrap_or_default();

    let threads = world.threads() as u64;
    let most_threads = world.all_reduce(threads, Max)?;
    let mut counter = Counter::<W>::new(world, options, inputs, most_threads);
    loop {
        let filled = {
            let _phase = world.phase("read");
            counter.fill(world)
        };
        world.agree(filled)?;
        let more = world.all_reduce(u8::from(counter.unfinished()), Max)?;
        counter.exchange_and_count(world)?;
        if more == 0 {
            break;
        }
    }
    counter.check_joints(world)?;
    let bases = counter.workers.iter_mut().map(|w| own(w).bases).sum::<u64>();
    let bases = world.all_reduce(bases, Sum)?;
    let tables = std::mem::take(&mut counter.tables);
    drop(counter);
    let histogram = Histogram::of(world, &tables)?;
    let summary = Summary {
        k: options.k,
        bases,
        kmers: histogram.total(),
        distinct: histogram.distinct(),
        unique: histogram.number(1),
        largest: histogram.largest(),
        histogram: histogram.into_map(),
        outputs: Vec::new(),
    };
    let _phase = world.phase("write");
    let written = histogram_out.map(|out| dump::write_histogram(out, &summary.histogram)).transpose();
    let histogram_out = world.agree(written)?;
    let dump_out = if options.dump.is_some() { dump::dump(world, options.k, tables, dump_out)? } else { None };
    // Everything is on its way; now both appear.
    let published = [histogram_out, dump_out].into_iter().flatten().map(Aside::publish).collect::<Result<Vec<_>, _>>();
    let outputs = world.agree(published)?;
    Ok(Summary { outputs, ..summary })
}

fn own<T>(mutex: &mut Mutex<T>) -> &mut T {
    mutex.get_mut().unwrap_or_else(PoisonError::into_inner)
}

impl<'o, W: Word> Counter<'o, W> {
    fn new(world: &World, options: &'o Options, inputs: Vec<Input>, most_threads: u64) -> Counter<'o, W> {
        let ranks = u64::from(world.size());
        // Enough shards that workers are evenly busy; fewer where many ranks make many buckets already.
        let shards = (most_threads * 8).next_power_of_two().min((4096 / ranks).max(1)).max(1);
        let owners = Owners { ranks, shards };
        let filler = || Filler {
            window: Window::new(options.k),
            buckets: vec![Vec::new(); owners.buckets()],
            owners,
            bases: 0,
            kmers: 0,
            joints: Vec::new(),
        };
        let units = parts::deal(&inputs, options.piece_bytes, world.size()).swap_remove(world.rank() as usize);
        Counter {
            options,
            inputs,
            units,
            next: AtomicUsize::new(0),
            open: Mutex::default(),
            workers: (0..world.threads()).map(|_| Mutex::new(filler())).collect(),
            owners,
            tables: (0..shards).map(|_| Table::default()).collect(),
        }
    }

    /// Reads until the round's bytes are used up, or everything is read.
    fn fill(&self, world: &World) -> Result<(), BadInput> {
        let share = (self.options.round_bytes / size_of::<W>() / self.workers.len()).max(1);
        let failure = Mutex::new(None);
        world.each(self.workers.iter().collect(), |_, worker| {
            let mut worker = worker.lock().unwrap_or_else(PoisonError::into_inner);
            worker.kmers = 0;
            if let Err(error) = self.fill_one(&mut worker, share) {
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        });
        failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    fn fill_one(&self, worker: &mut Filler<W>, share: usize) -> Result<(), BadInput> {
        while worker.kmers < share {
            let Some(mut open) = self.next_unit()? else { return Ok(()) };
            std::mem::swap(&mut worker.window, &mut open.window);
            let mut more = true;
            while more && worker.kmers < share {
                more = open.reader.read(worker)?;
                poll_here();
            }
            std::mem::swap(&mut worker.window, &mut open.window);
            if more {
                self.open.lock().unwrap_or_else(PoisonError::into_inner).push(open);
            } else {
                worker.joints.extend(open.reader.joint());
            }
        }
        Ok(())
    }

    /// A unit that was begun in an earlier round, or the next one.
    fn next_unit(&self) -> Result<Option<Open<W>>, BadInput> {
        if let Some(open) = self.open.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(Some(open));
        }
        while let Some(unit) = self.units.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            if let Some(reader) = Reader::open(&self.inputs, unit, self.options.k as u64 - 1)? {
                return Ok(Some(Open { reader, window: Window::new(self.options.k) }));
            }
        }
        Ok(None)
    }

    fn unfinished(&mut self) -> bool {
        !own(&mut self.open).is_empty() || *self.next.get_mut() < self.units.len()
    }

    fn exchange_and_count(&mut self, world: &mut World) -> Result<(), Abort> {
        let (ranks, shards) = (self.owners.ranks as usize, self.owners.shards as usize);
        let mut tables = std::mem::take(&mut self.tables);
        let workers: Vec<&mut Filler<W>> = self.workers.iter_mut().map(own).collect();
        if ranks == 1 {
            let _phase = world.phase("count");
            world.each(tables.iter_mut().collect(), |shard, table| {
                workers.iter().for_each(|worker| table.add_all(&worker.buckets[shard]));
            });
        } else {
            let exchanging = world.phase("exchange");
            // By owner, then by worker; the receiver needs to know where each shard ends.
            let mut ends = Vec::with_capacity(ranks * shards);
            let mut counts = vec![0u64; ranks];
            let mut send = Vec::with_capacity(workers.iter().map(|w| w.kmers).sum());
            for (rank, count) in counts.iter_mut().enumerate() {
                let start = send.len();
                for bucket in rank * shards..(rank + 1) * shards {
                    workers.iter().for_each(|worker| send.extend_from_slice(&worker.buckets[bucket]));
                    ends.push((send.len() - start) as u64);
                }
                *count = (send.len() - start) as u64;
            }
            let ends = world.all_to_all(&ends)?;
            let parts = world.all_to_all_v(&send, &counts)?;
            drop(send);
            drop(exchanging);
            let _phase = world.phase("count");
            world.each(tables.iter_mut().collect(), |shard, table| {
                for (part, ends) in parts.iter().zip(ends.chunks(shards)) {
                    let start = if shard == 0 { 0 } else { ends[shard - 1] };
                    table.add_all(&part[start as usize..ends[shard] as usize]);
                }
            });
        }
        workers.into_iter().flat_map(|worker| &mut worker.buckets).for_each(Vec::clear);
        self.tables = tables;
        Ok(())
    }

    /// Parts of files must have met.
    fn check_joints(&mut self, world: &mut World) -> Result<(), Abort> {
        let mine: Vec<[u64; 3]> =
            self.workers.iter_mut().flat_map(|w| &own(w).joints).map(|j| [j.file as u64, j.begin, j.end]).collect();
        let all = world.all_gather_v(&mine)?;
        let joints = all.as_slice().iter().map(|&[file, begin, end]| Joint { file: file as usize, begin, end });
        world.agree(parts::check_joints(&self.inputs, joints.collect()))
    }
}
