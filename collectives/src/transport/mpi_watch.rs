//! The side channel of an MPI job: what rank 0 offers goes to all by one broadcast.

use super::mpi_calls::{Wire, check};
use crate::stall::Stall;
use crate::watch::{Door, Offer, Place, Watch, offer};
use mpi::ffi;

/// The offer as it travels, in bytes; all zeros if there is none.
const LEN: usize = 128;

/// Collective over all processes of the job. All take part, whether or not they have a side channel then.
pub(super) fn begin(wire: &Wire, place: Place, stall: Stall) -> Option<Watch> {
    if wire.size < 2 {
        return None;
    }
    let mut bytes = [0u8; LEN];
    let mut door = Door::default();
    if wire.rank == 0
        && let Some((made, kept)) = offer(&place)
        && postcard::to_slice(&Some(made), &mut bytes).is_ok()
    {
        door = kept;
    }
    // SAFETY: so many bytes, of the type that MPI is told.
    let code = unsafe { ffi::MPI_Bcast(bytes.as_mut_ptr().cast(), LEN as i32, ffi::RSMPI_UINT8_T, 0, wire.comm) };
    check(code, "MPI_Bcast");
    let offer = postcard::from_bytes::<Option<Offer>>(&bytes).ok()??;
    Watch::begin(place, offer, door, stall)
}
