//! What is prepared for fields on some boxes: tables, halos, and tiles in the order in which they are computed.
//!
//! A sweep computes the tiles first that other ranks wait for, sends those, and computes the others while messages travel.

use super::ends::Ends;
use super::exchange::{Exchange, RowShape};
use super::kernel::Kernel;
use super::places::Geometry;
use super::shape::Shape;
use super::surroundings::{Mine, Shared, ends_of, ghosts, zero_ghosts};
use super::tables::{FieldTables, Raws};
use super::taps::{At, Points, Sound, Taps, mine as mine_of};
use super::tile::{Desk, Sweep, Table};
use super::walls::{About, Wall};
use super::work::{Work, run, work};
use crate::World;
use crate::field::{Boxes, Cell, Field};
use crate::pool::Pool;
use physalia_collectives::Abort;
use std::sync::{Arc, Mutex};

/// Everything but the stencil, the fields and the time.
pub(super) struct Ready<T: Cell> {
    boxes: Arc<Boxes>,
    /// Around the boxes of the fields.
    ghosts: [usize; 3],
    pub geometry: Geometry<T>,
    pub shape: Shape,
    kernel: Kernel<T>,
    rows: RowShape,
    mine: Vec<Mine<T>>,
    exchange: Exchange<T>,
    /// Of fields that are only read; with the exchange in whose messages their halos stay.
    reads: Vec<FieldTables<T>>,
    reads_from: Option<Exchange<T>>,
    /// Of arrays that were seen as a field of the exchange, in rounds of a parity.
    tables: Vec<([usize; 2], Raws<T>, FieldTables<T>)>,
    mirrors: Vec<[[Option<About>; 2]; 2]>,
    taps: Vec<Taps>,
    /// This rank's receivers.
    hears: Vec<usize>,
    /// Tiles that neighbours wait for, and the others.
    work: [Work; 2],
    desks: Vec<Mutex<Desk<T>>>,
}

/// A sweep to be done.
pub(super) struct Task<'a, T> {
    /// What the kernel is of.
    pub stencil: *const (),
    /// The fields that are stepped, in a leapfrog followed by those one step earlier; where they go.
    pub now: &'a [Raws<T>],
    pub next: &'a [Raws<T>],
    pub steps: usize,
    /// Steps done before.
    pub step: u64,
    /// Another sweep follows: halos are exchanged for it.
    pub more: bool,
    /// It is done to see how long it takes.
    pub trial: bool,
}

impl<T: Cell> Ready<T> {
    /// Prepares for fields on the boxes of `field`. Collective.
    #[track_caller]
    pub(super) fn new<const D: usize>(
        world: &mut World,
        geometry: Geometry<T>,
        shape: Shape,
        kernel: Kernel<T>,
        field: &mut Field<T, D>,
        reads: &mut [Field<T, D>],
        points: &Points<T>,
    ) -> Result<Ready<T>, Abort> {
        let (boxes, rows) = (field.boxes.clone(), field.row_shape());
        let rows = RowShape { lead: rows[0], pitch: rows[1], margin: rows[2] };
        let levels = if kernel.leapfrog && shape.steps > 1 { 2 } else { 1 };
        let inputs: Vec<usize> = (0..levels).flat_map(|_| 0..kernel.outputs).collect();
        let exchange = Exchange::new(world, &geometry, &boxes, &inputs, rows)?;
        let cuts_x = geometry.cuts_x(&boxes);
        let mine = |id: usize| -> Mine<T> {
            let region = boxes.region(id);
            let at_end = [region.begin[0] == 0, region.end[0] == geometry.extent[0]];
            let ends = |walls: &[[Wall<T>; 2]; 3]| Ends {
                walls: [0, 1]
                    .map(|side| Some(walls[0][side].clone()).filter(|wall| at_end[side] && !wall.is_periodic())),
                wrap: (geometry.is_periodic(0) && !cuts_x).then_some(geometry.depth),
                cells: region.len(0) as isize,
            };
            Mine { ends: geometry.walls.iter().map(ends).collect(), region }
        };
        let mine: Vec<Mine<T>> = boxes.of_rank(world.rank()).into_iter().map(mine).collect();
        let work = work(&geometry, &shape, &exchange, field, kernel.radius);
        let desks = (0..world.threads()).map(|_| Mutex::new(Desk::new())).collect();
        let mirrors = geometry.mirrors(kernel.outputs);
        let sources: Vec<At> = points.sources.iter().map(|(at, _)| *at).collect();
        let taps = |mine: &Mine<T>| Taps::new(&geometry, &mine.region, &sources, &points.receivers);
        let taps = mine.iter().map(taps).collect();
        let hears = mine_of(&points.receivers, &boxes, world.rank());
        let mut ready = Ready {
            boxes,
            ghosts: field.grid().ghosts(),
            geometry,
            shape,
            kernel,
            rows,
            mine,
            exchange,
            reads: vec![],
            reads_from: None,
            tables: vec![],
            mirrors,
            taps,
            hears,
            work,
            desks,
        };
        ready.look_at(world, reads)?;
        Ok(ready)
    }

    /// Whether this is for fields like this one, and so many workers.
    pub(super) fn fits<const D: usize>(&self, field: &Field<T, D>, workers: usize) -> bool {
        let boxes = &field.boxes;
        let same = Arc::ptr_eq(&self.boxes, boxes) || *self.boxes == **boxes;
        same && self.ghosts == field.grid().ghosts() && self.desks.len() == workers
    }

    /// Other tiles and no more steps than it was made for.
    pub(super) fn reshape<const D: usize>(&mut self, shape: Shape, field: &Field<T, D>) {
        assert!(shape.steps * self.geometry.radius <= self.geometry.depth, "halos are as deep as they were made");
        self.work = work(&self.geometry, &shape, &self.exchange, field, self.kernel.radius);
        self.shape = shape;
    }

    /// Gets the halos of fields that are only read, once and for all. Collective.
    #[track_caller]
    fn look_at<const D: usize>(&mut self, world: &mut World, reads: &mut [Field<T, D>]) -> Result<(), Abort> {
        if reads.is_empty() {
            return Ok(());
        }
        let first = self.kernel.outputs;
        let arrays: Vec<Raws<T>> = reads.iter_mut().map(Field::raws).collect();
        let inputs: Vec<usize> = (first..first + reads.len()).collect();
        let mut exchange = Exchange::new(world, &self.geometry, &self.boxes, &inputs, self.rows)?;
        // SAFETY: the fields are borrowed exclusively, and have halos as wide as the radius.
        unsafe {
            ghosts(world.pool(), &self.geometry, &self.mine, &arrays, |k| first + k, 0);
            send(world, &mut exchange, &self.boxes, &arrays.iter().collect::<Vec<_>>())?;
        }
        exchange.receive()?;
        for (k, array) in arrays.iter().enumerate() {
            let of = Some((&exchange, k, exchange.parity()));
            let tables = FieldTables::new(&self.geometry, &self.boxes, first + k, array, of, self.rows);
            // SAFETY: nobody else knows these tables.
            unsafe {
                tables.fill_parts(&exchange, ends_of(&self.geometry, &self.mine, first + k, 0));
                tables.make_rows(&self.geometry, &self.boxes, array, first + k, 0);
            }
            self.reads.push(tables);
        }
        self.reads_from = Some(exchange);
        Ok(())
    }

    /// The tables of an array that takes part as number `k`.
    fn table(&mut self, k: usize, array: &Raws<T>) -> usize {
        let seen = [k, self.exchange.parity()];
        if let Some(known) = self.tables.iter().position(|(at, raws, _)| *at == seen && raws == array) {
            return known;
        }
        let input = k % self.kernel.outputs; // a leapfrog has each field twice
        let travels = k < self.kernel.outputs || (self.kernel.leapfrog && self.shape.steps > 1);
        let exchange = travels.then_some((&self.exchange, k, seen[1]));
        let tables = FieldTables::new(&self.geometry, &self.boxes, input, array, exchange, self.rows);
        self.tables.push((seen, array.clone(), tables));
        self.tables.len() - 1
    }

    /// The fields were written by others: sets what lies around them, halos too. Collective over neighbours.
    ///
    /// # Safety
    /// Nobody else uses the arrays meanwhile; they have halos as wide as the radius.
    #[track_caller]
    pub(super) unsafe fn begin(&mut self, world: &mut World, now: &[Raws<T>], step: u64) -> Result<(), Abort> {
        let outputs = self.kernel.outputs;
        // SAFETY: as the caller says.
        unsafe { ghosts(world.pool(), &self.geometry, &self.mine, now, |k| k % outputs, step) };
        if self.exchange.is_alone() {
            return Ok(());
        }
        let travel = if self.kernel.leapfrog && self.shape.steps == 1 { self.kernel.outputs } else { now.len() };
        let now: Vec<&Raws<T>> = now[..travel].iter().collect();
        // SAFETY: as the caller says.
        unsafe { send(world, &mut self.exchange, &self.boxes, &now)? };
        self.exchange.receive()
    }

    /// Makes the ghosts at the ends of rows zeros again, as other users of fields expect those beyond the grid to be.
    ///
    /// # Safety
    /// Nobody else uses the arrays meanwhile; they have the halos that this was made for.
    pub(super) unsafe fn clear(&self, pool: &Pool, arrays: &[Raws<T>]) {
        // SAFETY: as the caller says.
        unsafe { zero_ghosts(pool, &self.mine, arrays, self.ghosts[0]) };
    }

    /// Does some steps. Collective over neighbours if more follow.
    ///
    /// # Safety
    /// Nobody else uses the arrays meanwhile, and `begin` or a sweep has set their surroundings; the stencil is the kernel's.
    #[track_caller]
    pub(super) unsafe fn sweep(
        &mut self,
        world: &mut World,
        task: &Task<'_, T>,
        points: &mut Points<T>,
    ) -> Result<(), Abort> {
        let outputs = self.kernel.outputs;
        // Fields come and go; few are ever in use.
        if self.tables.len() + task.now.len() + task.next.len() > MOST_TABLES {
            self.tables.clear();
        }
        let now: Vec<usize> = task.now.iter().enumerate().map(|(k, array)| self.table(k, array)).collect();
        let next: Vec<usize> = task.next.iter().enumerate().map(|(k, array)| self.table(k, array)).collect();
        let Ready { boxes, geometry, exchange, tables, mine, .. } = self;
        for (k, &table) in now.iter().enumerate() {
            let tables = &tables[table].2;
            // SAFETY: as the caller says.
            unsafe {
                tables.fill_parts(exchange, ends_of(geometry, mine, k % outputs, task.step));
                tables.make_rows(geometry, boxes, &task.now[k], k % outputs, task.step);
            }
        }
        let of_box = |list: &[usize], index: usize| -> Vec<Table<T>> {
            list.iter().map(|&t| tables[t].2.table(index)).collect()
        };
        let rows: Vec<[Vec<Table<T>>; 3]> = (0..mine.len())
            .map(|index| {
                let mut src = of_box(&now, index);
                let old = src.split_off(outputs);
                src.extend(self.reads.iter().map(|read| read.table(index)));
                [src, old, of_box(&next, index)]
            })
            .collect();
        let cells: u64 = mine.iter().map(|mine| mine.region.cells()).sum();
        let bytes = cells as usize * size_of::<T>() * (task.now.len() + task.next.len());
        // A leapfrog of single steps has just read what it overwrites.
        let in_place = self.kernel.leapfrog && task.steps == 1;
        let amounts = points.amounts(task.step, task.steps);
        let mut heard = vec![T::default(); points.receivers.len() * task.steps];
        let sound = Sound { amounts: &amounts, add: points.add, heard: heard.as_mut_ptr(), steps: task.steps };
        let sweeps: Vec<Sweep<'_, T>> = (mine.iter().zip(&rows).zip(&self.taps))
            .map(|((mine, [src, old, next]), taps)| Sweep {
                kernel: self.kernel,
                stencil: task.stencil,
                dims: geometry.dims,
                steps: task.steps,
                clip: geometry.clip(&mine.region),
                origin: mine.region.begin.map(u64::cast_signed),
                periods: geometry.periods(),
                step: task.step,
                src,
                old,
                dst: &next[..outputs],
                dst_old: &next[outputs..],
                mirrors: &self.mirrors,
                ends: &mine.ends,
                taps,
                sound: &sound,
                stream: bytes > STREAM_FROM && !in_place,
                ahead: if geometry.dims == 2 { 4 } else { 1 },
            })
            .collect();
        let [first, rest] = &self.work;
        // SAFETY: as the caller says; tiles do not overlap.
        unsafe { run(world, &self.desks, &sweeps, first) };
        let exchanges = task.more && !exchange.is_alone();
        if exchanges {
            // What is now and, in a leapfrog that fuses steps, one step earlier.
            let mut after: Vec<&Raws<T>> = task.next[..outputs].iter().collect();
            if self.kernel.leapfrog && self.shape.steps > 1 {
                after.extend(if task.steps == 1 { &task.now[..outputs] } else { &task.next[outputs..] });
            }
            // SAFETY: the tiles that are sent are done.
            unsafe { send(world, exchange, boxes, &after)? };
        }
        // SAFETY: as above.
        unsafe { run(world, &self.desks, &sweeps, rest) };
        if !task.trial {
            points.keep(&self.hears, &heard, task.step, task.steps);
        }
        if exchanges { exchange.receive() } else { Ok(()) }
    }
}

/// Tables that are kept, more than any one sweep uses.
const MOST_TABLES: usize = 64;

/// Fields that together are larger than this are stored past the caches: they would not stay there until the next sweep.
const STREAM_FROM: usize = 16 << 20;

/// Sends rows of arrays to those that need them.
///
/// # Safety
/// Nobody writes what is sent meanwhile.
#[track_caller]
unsafe fn send<T: Cell>(
    world: &mut World,
    exchange: &mut Exchange<T>,
    boxes: &Boxes,
    arrays: &[&Raws<T>],
) -> Result<(), Abort> {
    let arrays: Vec<Shared<'_, T>> = arrays.iter().map(|raws| Shared(std::slice::from_ref(*raws))).collect();
    let row = |k: usize, id: usize, at: [u64; 2]| {
        arrays[k].rows(0).iter().find(|raw| raw.id == id).expect("an own box is sent from").row(at)
    };
    // SAFETY: rows of fields have their lead and pitch.
    unsafe { exchange.send(world, row, |id| boxes.region(id).begin[0]) }
}
