//! One outcome of all ranks'.

use crate::check::Print;
use crate::failure::{Cause, host};
use crate::{Abort, Comm};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::panic::Location;

/// What a rank tells the others about its own outcome: host and message of a failure.
type Said = Result<(), (String, String)>;

impl Comm {
    /// Each rank's own value if all have one, else on every rank the failure of the lowest rank that has none. The
    /// communicator stays usable. Collective; ⌈log₂ p⌉ messages a rank, a few bytes where nothing failed.
    ///
    /// # Errors
    /// [`Cause::Agreed`], the same on all ranks; or the job's abort.
    #[track_caller]
    pub fn agree<T, E: Display>(&mut self, local: Result<T, E>) -> Result<T, Abort> {
        let print = Print::new::<()>("agree", [0; 2], Location::caller());
        let said: Said = local.as_ref().map(|_| ()).map_err(|e| (host().into(), e.to_string()));
        let mine = postcard::to_stdvec(&said).expect("text can be written to memory");
        for (place, blob) in self.core.all_blobs(print, mine)?.iter().enumerate() {
            if let Err(said) = postcard::from_bytes::<Said>(blob).expect("what agree wrote, agree reads") {
                return Err(self.agreed(place, said));
            }
        }
        Ok(local.unwrap_or_else(|_| unreachable!("our own failure is among all")))
    }

    /// Rank 0 runs `f`; all get its value, or all get its failure. The value travels by serde in a binary form that keeps
    /// every bit of floats. Collective; at most ⌈log₂ p⌉ messages a rank (binomial tree).
    ///
    /// # Errors
    /// [`Cause::Agreed`] with what `f` said, the same on all ranks; or the job's abort.
    #[track_caller]
    pub fn from_root<T, E>(&mut self, f: impl FnOnce() -> Result<T, E> + Send) -> Result<T, Abort>
    where
        T: Serialize + DeserializeOwned,
        E: Display,
    {
        let print = Print::new::<T>("from_root", [0; 2], Location::caller());
        let mine = self.on_root(|| {
            let value = f().map_err(|e| e.to_string());
            let bytes = value.and_then(|v| postcard::to_stdvec(&v).map_err(|e| format!("cannot be sent: {e}")));
            let said: Result<Vec<u8>, (String, String)> = bytes.map_err(|e| (host().into(), e));
            postcard::to_stdvec(&said).expect("bytes can be written to memory")
        });
        let blob = self.blob_from(print, 0, mine)?;
        match postcard::from_bytes::<Result<&[u8], (String, String)>>(&blob).expect("what from_root wrote, it reads") {
            Ok(bytes) => Ok(postcard::from_bytes(bytes)
                .unwrap_or_else(|e| panic!("{} does not read what it wrote: {e}", std::any::type_name::<T>()))),
            Err(said) => Err(self.agreed(0, said)),
        }
    }

    pub(super) fn agreed(&self, place: usize, (host, message): (String, String)) -> Abort {
        let core = &self.core;
        let rank = if core.size() == 1 { core.rank.called } else { core.members[place] };
        Abort::new(Cause::Agreed { rank, host, message, by_all: core.is_whole() })
    }
}
