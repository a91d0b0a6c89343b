//! Parts that commute exactly, merged on the way to rank 0: the reduction under exact sums.

use crate::algo::binomial::{FIRST_CHILD, PART, RESULT, merge, merge_blobs};
use crate::check::Print;
use crate::flow::Cargo;
use crate::{Abort, Comm};

/// Up to so many ranks of a board merge all parts on each.
const FEW: usize = 16;

impl Comm {
    /// One blob of each rank to every rank, in their order. Collective; for the runtime. ⌈log₂ p⌉ messages a rank.
    ///
    /// # Errors
    /// The job's abort.
    pub fn all_blobs(&mut self, print: Print, mine: Vec<u8>) -> Result<Vec<Vec<u8>>, Abort> {
        self.core.all_blobs(print, mine)
    }

    /// Merges encoded parts of all ranks into one result on all. `absorb(mine, theirs)` must commute and associate exactly,
    /// since the order of merging depends on the number of ranks. Each rank sends its part once, and the (short) result at most
    /// ⌈log₂ p⌉ times; a few ranks with a board read all parts, and each merges them by itself. Collective; for the runtime.
    ///
    /// # Errors
    /// The job's abort.
    pub fn merge_parts(
        &mut self,
        print: Print,
        mine: Vec<u8>,
        mut absorb: impl FnMut(&mut Vec<u8>, &[u8]) + 'static,
        mut result: impl FnMut(&[u8]) -> Vec<u8> + 'static,
    ) -> Result<Vec<u8>, Abort> {
        let (me, size) = (self.core.me, self.core.size());
        if size <= FEW
            && let Some(posting) = self.core.posting(print)?
        {
            let mut all = posting.all_gather(&mine)?.into_iter();
            let mut part = all.next().expect("at least this rank");
            all.for_each(|theirs| absorb(&mut part, &theirs));
            return Ok(result(&part));
        }
        let mut blobs = vec![None; merge_blobs(me, size)];
        blobs[PART] = Some(mine);
        let combine = move |blobs: &mut crate::flow::Blobs| {
            let mut part = blobs[PART].take().expect("our own part");
            for child in &mut blobs[FIRST_CHILD..] {
                absorb(&mut part, &child.take().expect("a child's part has come"));
            }
            if me == 0 {
                blobs[RESULT] = Some(result(&part));
            }
            blobs[PART] = Some(part);
        };
        let cargo = Cargo { steps: merge(me, size), blobs, combine: Some(Box::new(combine)), ..Cargo::default() };
        let mut cargo = self.core.run(print, cargo)?;
        Ok(cargo.blobs[RESULT].take().expect("the result has come back"))
    }
}
