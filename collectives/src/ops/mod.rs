//! The collectives of a [`Comm`](crate::Comm), a file each.

mod agree;
mod all_to_all;
mod barrier;
mod broadcast;
mod cartesian;
mod gather;
mod graph;
mod mailbox;
mod merge;
mod neighbours;
mod op;
mod plan;
mod reduce;
mod scan;
mod scatter;
mod sparse;

pub use cartesian::Cartesian;
pub use graph::Graph;
pub use mailbox::{Fill, Mailboxes};
pub use op::{Addable, Associative, By, Fast, Max, Min, Op, Sum};
pub use plan::{ExchangePlan, Link};

use crate::borrow::invalid;
use crate::check::Print;
use crate::core::Core;
use crate::failure::Abort;
use crate::plain::{Parts, Plain};
use crate::transport::memory::decode;

/// The values in each rank's blob.
pub(crate) fn values<T: Plain>(core: &Core, print: &Print, blob: &[u8]) -> Result<Vec<T>, Abort> {
    if !blob.len().is_multiple_of(T::BYTES) {
        return Err(invalid::<T>(core, print, blob.len() / T::BYTES));
    }
    decode(blob).map_err(|i| invalid::<T>(core, print, i))
}

/// The one value in a blob.
fn value<T: Plain>(core: &Core, print: &Print, blob: &[u8]) -> Result<T, Abort> {
    Ok(values(core, print, blob)?[0])
}

/// Blobs of all ranks as parts.
pub(crate) fn parts<T: Plain>(core: &Core, print: &Print, blobs: &[Vec<u8>]) -> Result<Parts<T>, Abort> {
    let mut all = Vec::with_capacity(blobs.iter().map(Vec::len).sum::<usize>() / T::BYTES);
    let mut ends = Vec::with_capacity(blobs.len());
    for blob in blobs {
        all.extend(values::<T>(core, print, blob)?);
        ends.push(all.len());
    }
    Ok(Parts::new(all, ends))
}

/// The bytes of a slice.
pub(crate) fn bytes<T: Plain>(values: &[T]) -> Vec<u8> {
    const { assert!(T::BYTES > 0) };
    bytemuck::cast_slice(values).to_vec()
}
