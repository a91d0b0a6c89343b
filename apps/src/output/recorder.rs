//! What an application writes, at the moments at which it is due.
//!
//! ```
//! use physalia::prelude::*;
//! use physalia_apps::output::{Moment, Recorder, Wishes};
//! # let folder = tempfile::tempdir()?;
//! let wishes = Wishes { csv: Some((folder.path().join("u.csv"), 10)), ..Wishes::new("a test", 25) };
//! let mut world = World::alone();
//! let mut u = Field::<f64, 1>::new(&mut world, Grid::new([8]))?;
//! let mut recorder = Recorder::new(&mut world, wishes, None)?;
//! let mut step = 0;
//! loop {
//!     recorder.at(&mut world, Moment { step, time: 0.1 * step as f64 }, &[("u", &u)], &[("u", &u)])?;
//!     if step == 25 { break }
//!     let next = recorder.next(step);
//!     u.fill(|_| next as f64); // the steps in between
//!     step = next;
//! }
//! recorder.finish(&mut world)?;
//! assert_eq!(std::fs::read_to_string(folder.path().join("u.csv"))?.lines().count(), 5); // 0, 10, 20, 25
//! # Ok::<(), Failure>(())
//! ```

use super::hdf5::Files;
use super::movie::Movie;
use super::npy::{self, Plane};
use super::table::{SUMMARY, Table, summary};
use super::vtk::{self, Series};
use super::zarr::Store;
use super::{Events, Geometry, Moment, Named, at_step, can_be_replaced, can_write, netcdf};
use physalia::checkpoint::{self, Checkpoints, Stored, open};
use physalia::field::Cell;
use physalia::prelude::*;
use physalia::publish::{CannotWrite, Writer};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What is wanted. Each with the number of steps between two; 0 is at the end only. What is wanted every so many steps is
/// written at the start and at the end, too.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// The run in words: what a checkpoint must be of to go on from it.
    pub what: String,
    /// The last step.
    pub steps: u64,
    /// Where cells lie.
    pub geometry: Geometry,
    /// The fields; the ending says how.
    pub output: Option<PathBuf>,
    /// Of the fields, and of slices.
    pub output_every: u64,
    /// Slices of the first field, as `.npy`.
    pub slices: Vec<(Plane, PathBuf)>,
    /// A movie of the first field.
    pub movie: Option<(PathBuf, u64)>,
    /// The values that a movie's colours span; else those of its first frame.
    pub movie_scale: Option<(f64, f64)>,
    /// The first field in numbers.
    pub csv: Option<(PathBuf, u64)>,
    /// A folder for checkpoints.
    pub checkpoint: Option<(PathBuf, u64)>,
}

impl Wishes {
    /// Nothing, of a run of so many steps.
    pub fn new(what: &str, steps: u64) -> Wishes {
        Wishes {
            what: what.into(),
            steps,
            geometry: Geometry::default(),
            output: None,
            output_every: 0,
            slices: Vec::new(),
            movie: None,
            movie_scale: None,
            csv: None,
            checkpoint: None,
        }
    }
}

/// What a checkpoint of an application tells beside its fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The run in words.
    pub what: String,
    /// Steps done.
    pub step: u64,
    /// The time that it has come to.
    pub time: f64,
}

/// Where a run goes on.
#[derive(Clone, Debug)]
pub struct Resumed {
    folder: PathBuf,
    from: checkpoint::Resumed<Run>,
}

impl Resumed {
    /// Loads fields from the newest checkpoint of a folder. Collective.
    ///
    /// # Errors
    /// An agreed failure if there is none that is whole, or it is of another run than `what`, or of a later step than
    /// `steps`; or the job's abort.
    #[track_caller]
    pub fn load(
        world: &mut World,
        folder: &Path,
        wishes: &Wishes,
        fields: &mut [(&str, &mut dyn Stored)],
    ) -> Result<Resumed, Abort> {
        let saved = open::<Run>(world, folder)?;
        let saved = world.agree(saved.ok_or_else(|| format!("there is no checkpoint in {}", folder.display())))?;
        let from = saved.load(world, fields)?;
        let Run { what, step, .. } = &from.meta;
        let right = match () {
            () if *what != wishes.what => Err(format!(
                "the checkpoint in {} is of another run: {what}; this one is {}",
                folder.display(),
                wishes.what
            )),
            () if *step > wishes.steps => Err(format!(
                "the checkpoint in {} is of step {step}, behind the last one, {}",
                folder.display(),
                wishes.steps
            )),
            () => Ok(()),
        };
        world.agree(right)?;
        Ok(Resumed { folder: folder.into(), from })
    }

    /// The moment from which it goes on.
    pub fn moment(&self) -> Moment {
        Moment { step: self.from.meta.step, time: self.from.meta.time }
    }
}

/// How fields are written.
#[derive(Debug)]
enum Sink {
    Npy,
    Vti,
    Pvd(Series),
    NetCdf,
    Zarr(Store),
    Hdf5(Files),
}

/// Endings of files, for messages.
const ENDINGS: &str = ".npy, .vti, .pvd, .nc, .zarr, .h5";

/// Whether fields can be written to a file of this name.
///
/// # Errors
/// In words, if not.
pub fn known(path: &Path) -> Result<(), String> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("npy" | "vti" | "pvd" | "nc" | "zarr" | "h5") => Ok(()),
        _ => Err(format!("{} says no form of a field: name a file that ends with one of {ENDINGS}", path.display())),
    }
}

/// Writes what is wanted.
#[derive(Debug)]
pub struct Recorder {
    wishes: Wishes,
    events: Events,
    writer: Writer,
    sink: Option<Sink>,
    movie: Option<Movie>,
    table: Option<Table>,
    checkpoints: Option<Checkpoints>,
    first: u64,
}

impl Recorder {
    /// Begins what is wanted: what cannot be written is found out now. Series, tables and movies of a run that goes on are
    /// continued. Collective.
    ///
    /// # Errors
    /// An agreed failure if something cannot be written, or continued; or the job's abort.
    #[track_caller]
    pub fn new(world: &mut World, wishes: Wishes, resumed: Option<&Resumed>) -> Result<Recorder, Abort> {
        let from = resumed.map(|resumed| resumed.moment().step);
        let sink = match &wishes.output {
            None => None,
            Some(path) => Some(sink(world, path, &wishes.what, from)?),
        };
        for (_, path) in &wishes.slices {
            can_be(world, path)?;
        }
        let movie = match &wishes.movie {
            None => None,
            Some((path, _)) => Some(Movie::new(world, path, wishes.movie_scale, 40, from)?),
        };
        let table = match &wishes.csv {
            None => None,
            Some((path, _)) => Some(Table::new(world, path, &SUMMARY, from)?),
        };
        let mut checkpoints = match &wishes.checkpoint {
            None => None,
            Some((folder, _)) => Some(Checkpoints::new(world, folder)?),
        };
        if let (Some(checkpoints), Some(resumed), Some((folder, _))) = (&mut checkpoints, resumed, &wishes.checkpoint) {
            let same = || std::fs::canonicalize(folder).ok() == std::fs::canonicalize(&resumed.folder).ok();
            if world.from_root(|| Ok::<_, String>(same()))? {
                checkpoints.keep(&resumed.from);
            }
        }
        let every = |wish: &Option<(PathBuf, u64)>| wish.as_ref().map_or(0, |wish| wish.1);
        let fields = if wishes.output.is_some() || !wishes.slices.is_empty() { wishes.output_every } else { 0 };
        let all = [fields, every(&wishes.movie), every(&wishes.csv), every(&wishes.checkpoint)];
        // As many as a moment has: the next one's wait for those.
        let batches = usize::from(sink.is_some()) + wishes.slices.len() + usize::from(checkpoints.is_some());
        let events = Events::new(wishes.steps, all);
        let writer = Writer::new(batches.max(1));
        Ok(Recorder { wishes, events, writer, sink, movie, table, checkpoints, first: from.unwrap_or(0) })
    }

    /// The next step, after this one, at which it wants to be shown the fields; at most the last one.
    pub fn next(&self, step: u64) -> u64 {
        self.events.next(step)
    }

    /// Writes what is due now: of the fields that are `shown`, and, for a checkpoint, of all that are `kept`. Collective;
    /// costs next to nothing if nothing is due.
    ///
    /// # Errors
    /// An agreed failure if something cannot be written, or could not since the last call; or the job's abort.
    ///
    /// # Panics
    /// If nothing is shown, or fields of several grids.
    #[track_caller]
    pub fn at<T: Cell, const D: usize>(
        &mut self,
        world: &mut World,
        moment: Moment,
        shown: &Named<'_, T, D>,
        kept: &[(&str, &dyn Stored)],
    ) -> Result<(), Abort> {
        let Moment { step, time } = moment;
        let (_, first) = shown.first().expect("a field is shown");
        let mut begun = false;
        if self.events.due(self.wishes.output_every, step) {
            begun |= self.fields(world, moment, shown)?;
            for i in 0..self.wishes.slices.len() {
                let (plane, path) = &self.wishes.slices[i];
                let path = self.name(path, step);
                self.writer.make_room(world)?;
                let batch = npy::plane(world, &path, first, *plane)?;
                self.writer.submit(world, batch)?;
                begun = true;
            }
        }
        if let (Some(movie), Some((_, every))) = (&mut self.movie, &self.wishes.movie)
            && self.events.due(*every, step)
        {
            movie.add(world, moment, first)?;
        }
        if let (Some(table), Some((_, every))) = (&mut self.table, &self.wishes.csv)
            && self.events.due(*every, step)
        {
            let values = summary(world, first)?;
            table.add(world, moment, &values)?;
        }
        if let (Some(checkpoints), Some((_, every))) = (&mut self.checkpoints, &self.wishes.checkpoint)
            && step > self.first
            && self.events.due(*every, step)
        {
            // What goes on from the checkpoint finds what was before it.
            self.table.as_mut().map_or(Ok(()), |table| table.publish(world))?;
            self.movie.as_mut().map_or(Ok(()), |movie| movie.publish(world))?;
            let run = Run { what: self.wishes.what.clone(), step, time };
            checkpoints.start(world, &mut self.writer, &run, kept)?;
            begun = true;
        }
        let done = self.writer.poll(world)?;
        self.events.writing(begun, !done, step);
        Ok(())
    }

    /// Waits until all is on disk. Collective.
    ///
    /// # Errors
    /// As [`at`](Recorder::at).
    #[track_caller]
    pub fn finish(mut self, world: &mut World) -> Result<(), Abort> {
        self.table.map_or(Ok(()), |table| table.finish(world))?;
        self.movie.map_or(Ok(()), |movie| movie.finish(world))?;
        self.writer.finish(world)
    }

    #[track_caller]
    fn fields<T: Cell, const D: usize>(
        &mut self,
        world: &mut World,
        moment: Moment,
        shown: &Named<'_, T, D>,
    ) -> Result<bool, Abort> {
        let (Some(path), Some(_)) = (&self.wishes.output, &self.sink) else { return Ok(false) };
        let (path, geometry) = (self.name(path, moment.step), self.wishes.geometry);
        self.writer.make_room(world)?;
        let batch = match self.sink.as_mut() {
            None => return Ok(false),
            Some(Sink::Npy) => {
                for (name, field) in shown {
                    let path = if shown.len() == 1 { path.clone() } else { named(&path, name) };
                    self.writer.make_room(world)?;
                    let batch = npy::field(world, &path, field)?;
                    self.writer.submit(world, batch)?;
                }
                return Ok(true);
            }
            Some(Sink::Vti) => vtk::image(world, &path, &geometry, moment, shown)?,
            Some(Sink::Pvd(series)) => series.add(world, &geometry, moment, shown),
            Some(Sink::NetCdf) => netcdf::file(world, &path, &self.wishes.what, &geometry, moment, shown)?,
            Some(Sink::Zarr(store)) => store.add(world, &geometry, moment, shown)?,
            Some(Sink::Hdf5(files)) => files.add(world, &path, &geometry, moment, shown)?,
        };
        self.writer.submit(world, batch)?;
        Ok(true)
    }

    /// The file of a moment.
    fn name(&self, path: &Path, step: u64) -> PathBuf {
        if self.wishes.output_every == 0 { path.into() } else { at_step(path, step) }
    }
}

/// `u.npy` of the field `v` among several is `u-v.npy`.
fn named(path: &Path, name: &str) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-{name}.npy"))
}

/// Finds out whether ranks can write a file. Collective.
#[track_caller]
fn can_be(world: &mut World, path: &Path) -> Result<(), Abort> {
    let tried = world.on_root(|| match can_be_replaced(path) {
        true => can_write(path),
        false => Err(CannotWrite::new(path, std::io::Error::other("a plain file is wanted"))),
    });
    world.agree(tried.transpose()).map(drop)
}

#[track_caller]
fn sink(world: &mut World, path: &Path, title: &str, resumed: Option<u64>) -> Result<Sink, Abort> {
    world.agree(known(path))?;
    Ok(match path.extension().and_then(|e| e.to_str()) {
        Some("pvd") => Sink::Pvd(Series::new(world, path, resumed)?),
        Some("zarr") => Sink::Zarr(Store::new(world, path, resumed)?),
        ending => {
            can_be(world, path)?;
            match ending {
                Some("npy") => Sink::Npy,
                Some("vti") => Sink::Vti,
                Some("h5") => Sink::Hdf5(Files::new(world, path, title, resumed)?),
                _ => Sink::NetCdf,
            }
        }
    })
}
