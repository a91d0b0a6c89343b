//! A collective under way whose buffer the runtime owns. Since the buffer was moved in, forgetting or dropping a
//! [`Pending`] frees nothing that a peer or MPI may still use: the rank's table of flows has it until it lands, at the
//! latest in the `finish` that ends the communicator. Nothing waits in `Drop`.

use crate::Abort;
use crate::check::Print;
use crate::core::Core;
use crate::flow::{Blobs, Cargo, Flow};
use crate::transport::memory::Memory;
use std::cell::RefCell;
use std::rc::Rc;

/// The result of a collective that was started, to be waited for.
#[must_use = "the result of a collective that was started is in its Pending"]
pub struct Pending<R> {
    flight: Result<(Rc<Core>, Rc<RefCell<Flow>>), Abort>, // `Rc`: `!Send`, and the core outlives the `Comm`
    open: Box<Open<R>>,
}

/// From what has landed to the result.
pub(crate) type Open<R> = dyn FnOnce(&Core, Blobs, Vec<Memory>) -> Result<R, Abort>;

impl<R> std::fmt::Debug for Pending<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("Pending")
    }
}

impl<R> Pending<R> {
    /// Starts a flow; its blobs are opened when they have landed and are waited for.
    pub(crate) fn new(core: &Rc<Core>, print: Print, cargo: Cargo, open: Box<Open<R>>) -> Pending<R> {
        let flow = core.start(print, cargo);
        Pending { flight: flow.map(|flow| (core.clone(), flow)), open }
    }

    /// Waits until the result is there, or the job ends.
    ///
    /// # Errors
    /// The job's abort.
    pub fn wait(self) -> Result<R, Abort> {
        let (core, flow) = self.flight?;
        core.rank.settle(&flow)?;
        let mut flow = flow.borrow_mut();
        let (blobs, memory) = (std::mem::take(&mut flow.blobs), std::mem::take(&mut flow.memory));
        (self.open)(&core, blobs, memory)
    }
}
