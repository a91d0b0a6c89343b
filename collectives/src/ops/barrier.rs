//! Nobody goes on before everybody has come.

use crate::check::Print;
use crate::{Abort, Comm};
use std::panic::Location;

impl Comm {
    /// Waits for all ranks. Collective; ⌈log₂ p⌉ empty messages a rank (dissemination barrier).
    ///
    /// # Errors
    /// The job's abort.
    #[track_caller]
    #[doc(alias = "MPI_Barrier")]
    pub fn barrier(&mut self) -> Result<(), Abort> {
        self.core.barrier(Print::new::<()>("barrier", [0; 2], Location::caller()))
    }
}
