//! A collective under way whose buffer the runtime owns. Since the buffer was moved in, forgetting or dropping a
//! [`Pending`] frees nothing that a peer or MPI may still use: the rank's table of flows has it until it lands, at the
//! latest in the `finish` that ends the communicator. Nothing waits in `Drop`.

use crate::algo::dissemination;
use crate::check::Print;
use crate::core::Core;
use crate::flow::{Blobs, Cargo, Flow};
use crate::transport::memory::decode;
use crate::{Abort, Comm, Op, Plain};
use std::cell::RefCell;
use std::panic::Location;
use std::rc::Rc;

/// The result of a collective that was started, to be waited for.
#[must_use = "the result of a collective that was started is in its Pending"]
pub struct Pending<R> {
    flight: Result<(Rc<Core>, Rc<RefCell<Flow>>), Abort>, // `Rc`: `!Send`, and the core outlives the `Comm`
    open: Box<Open<R>>,
}

/// From the blobs that have landed to the result.
type Open<R> = dyn FnOnce(&Core, Blobs) -> Result<R, Abort>;

impl<R> std::fmt::Debug for Pending<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("Pending")
    }
}

impl<R> Pending<R> {
    /// Waits until the result is there, or the job ends.
    ///
    /// # Errors
    /// The job's abort.
    pub fn wait(self) -> Result<R, Abort> {
        let (core, flow) = self.flight?;
        core.rank.settle(&flow)?;
        let blobs = std::mem::take(&mut flow.borrow_mut().blobs);
        (self.open)(&core, blobs)
    }
}

impl Comm {
    /// Starts an [`all_reduce_into`](Comm::all_reduce_into) of an owned buffer, element by element in the order of ranks.
    /// All ranks pass the same length. Collective; (p − 1) × length sent by each rank in ⌈log₂ p⌉ messages.
    #[track_caller]
    #[doc(alias = "MPI_Iallreduce")]
    pub fn start_all_reduce<T: Plain, O: Op<T>>(&mut self, buf: Vec<T>, op: O) -> Pending<Vec<T>> {
        let print = Print::of_op::<T, O>("start_all_reduce", [buf.len() as u64, 0], Location::caller());
        let core = &self.core;
        let mut blobs: Blobs = vec![None; core.size()];
        blobs[core.me] = Some(bytemuck::cast_slice(&buf).to_vec());
        let steps = dissemination::all_gather(core.me, core.size());
        let flow = core.start(print, Cargo { steps, blobs, ..Cargo::default() });
        let open = move |core: &Core, blobs: Blobs| {
            let mut sum: Option<Vec<T>> = None;
            for blob in blobs {
                let values = decode::<T>(&blob.expect("every rank's blob has come"))
                    .map_err(|i| crate::borrow::invalid::<T>(core, &print, i))?;
                match &mut sum {
                    None => sum = Some(values),
                    Some(sum) => sum.iter_mut().zip(values).for_each(|(a, b)| *a = op.combine(*a, b)),
                }
            }
            Ok(sum.expect("at least this rank"))
        };
        Pending { flight: flow.map(|flow| (self.core.clone(), flow)), open: Box::new(open) }
    }
}
