//! Halos: the rows around a rank's boxes, from the ranks that own them.
//!
//! Whole rows travel with the room before and behind them, so that the stencil's code reads them where they arrive: nobody
//! unpacks; within a host they are copied once, to the mailboxes of their reader. (Where boxes divide x, parts of rows are packed, and copied into rows of this rank's own.) All fields of a step go
//! in one message to each neighbour.

use super::places::{Geometry, Piece};
use crate::World;
use crate::field::{Boxes, Cell};
use physalia_collectives::{Abort, Link, Mailboxes};
use std::collections::BTreeMap;

/// How rows lie in memory, in cells: the same for all boxes if they do not divide x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowShape {
    pub lead: usize,
    pub pitch: usize,
    /// Before and behind all rows.
    pub margin: usize,
}

/// A piece on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carried {
    /// Which of the fields that are exchanged.
    pub field: usize,
    /// Whose box it is for.
    pub id: usize,
    pub piece: Piece,
    /// Where it begins in the message: its row's lead, or its first cell.
    pub at: usize,
}

/// An exchange of the halos of some fields, prepared for one depth and one epoch of the boxes.
pub(super) struct Exchange<T: Cell> {
    plan: Mailboxes<T>,
    alone: bool,
    shape: Option<RowShape>,
    pub sends: Vec<Vec<Carried>>,
    pub recvs: Vec<Vec<Carried>>,
}

impl<T: Cell> Exchange<T> {
    /// Prepares it. `inputs` tells by which field's walls each field that travels is looked up. Collective.
    #[track_caller]
    pub(super) fn new(
        world: &mut World,
        geometry: &Geometry<T>,
        boxes: &Boxes,
        inputs: &[usize],
        shape: RowShape,
    ) -> Result<Exchange<T>, Abort> {
        let me = world.rank();
        let shape = (!geometry.cuts_x(boxes)).then_some(shape);
        let owner = |id: usize| boxes.owners()[id];
        let mine = boxes.of_rank(me);
        let mut near: Vec<usize> = mine.iter().flat_map(|&id| geometry.near(boxes, &boxes.region(id))).collect();
        near.sort_unstable();
        near.dedup();
        let (mut sends, mut recvs) = (BTreeMap::<u32, Vec<Carried>>::new(), BTreeMap::<u32, Vec<Carried>>::new());
        for (field, &input) in inputs.iter().enumerate() {
            for &id in &near {
                for piece in geometry.needs(boxes, id, input) {
                    let carried = Carried { field, id, piece, at: 0 };
                    match (owner(id), owner(piece.source)) {
                        (to, from) if to == from => {}
                        (to, from) if to == me => recvs.entry(from).or_default().push(carried),
                        (to, from) if from == me => sends.entry(to).or_default().push(carried),
                        _ => {}
                    }
                }
            }
        }
        let place = |list: &mut BTreeMap<u32, Vec<Carried>>| -> Vec<Link> {
            let lay = |(&rank, pieces): (&u32, &mut Vec<Carried>)| {
                let mut end = shape.map_or(0, |shape| shape.margin);
                for carried in pieces {
                    carried.at = end;
                    end += shape.map_or(carried.piece.len, |shape| shape.pitch);
                }
                Link { rank, len: end + shape.map_or(0, |shape| shape.margin) }
            };
            list.iter_mut().map(lay).collect()
        };
        let (out, into) = (place(&mut sends), place(&mut recvs));
        let plan = world.mailboxes(&out, &into)?;
        let alone = world.size() == 1;
        Ok(Exchange { plan, alone, shape, sends: sends.into_values().collect(), recvs: recvs.into_values().collect() })
    }

    /// Whether this rank is alone. Otherwise all take part, also those that have no neighbours.
    pub(super) fn is_alone(&self) -> bool {
        self.alone
    }

    /// Which of the two places messages come to has those that came last.
    pub(super) fn parity(&self) -> usize {
        if self.alone { 0 } else { self.plan.parity() }
    }

    /// Where the row of a piece of message `i` lies when it has come, in rounds of a parity.
    pub(super) fn arrives(&self, i: usize, carried: &Carried, parity: usize) -> *mut T {
        let shape = self.shape.expect("whole rows");
        self.plan.inbox_of(i, parity).wrapping_add(carried.at + shape.lead).cast_mut()
    }

    /// Sends what others need. `row` gives the first own cell of a row of one of this rank's boxes, `begin` where a box begins
    /// along x.
    ///
    /// # Safety
    /// Rows can be read, with their lead and the rest of their pitch, and nobody writes them.
    #[track_caller]
    pub(super) unsafe fn send(
        &mut self,
        world: &mut World,
        row: impl Fn(usize, usize, [u64; 2]) -> *mut T + Sync,
        begin: impl Fn(usize) -> u64 + Sync,
    ) -> Result<(), Abort> {
        /// So many pieces are given to a worker at once; fewer are not worth the workers' while.
        const PIECES: usize = 32;
        let mut fill = self.plan.open(world)?;
        let shape = self.shape;
        let cells = |Carried { field, piece, .. }: &Carried| -> &[T] {
            let [x, y, z] = piece.cell;
            let row = row(*field, piece.source, [y, z]);
            let (from, len) = match shape {
                Some(shape) => (row.wrapping_sub(shape.lead), shape.pitch),
                None => (row.wrapping_add((x - begin(piece.source)) as usize), piece.len),
            };
            // SAFETY: as the caller says.
            unsafe { std::slice::from_raw_parts(from, len) }
        };
        let lists = || self.sends.iter().enumerate();
        if lists().map(|(_, list)| list.len()).sum::<usize>() <= PIECES {
            lists().for_each(|(i, list)| list.iter().for_each(|c| fill.write_alone(i, c.at, cells(c))));
        } else {
            let items = lists().flat_map(|(i, list)| list.chunks(PIECES).map(move |part| (i, part))).collect();
            world.each(items, |_, (i, part): (usize, &[Carried])| {
                part.iter().for_each(|c| fill.write(i, c.at, cells(c)));
            });
        }
        fill.send()
    }

    /// Waits for what others have sent.
    pub(super) fn receive(&mut self) -> Result<(), Abort> {
        self.plan.finish()
    }

    /// Where the cells of a piece of message `i` are, where parts of rows travel.
    pub(super) fn part(&self, i: usize, carried: &Carried) -> *const T {
        self.plan.inbox(i).wrapping_add(carried.at)
    }
}
