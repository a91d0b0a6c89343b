//! A value that is with one thread beside things that all threads may use.

/// A value in a struct that is `Sync`, though the value is not: nobody gets at it through a shared reference. As
/// `std::sync::Exclusive`, which is not stable.
pub(crate) struct Unshared<X>(X);

// SAFETY: a shared reference gives nothing. (Whoever has the value, or an exclusive reference, is on the thread that the value
// may be on: neither can be sent unless `X` can.)
unsafe impl<X> Sync for Unshared<X> {}

impl<X> Unshared<X> {
    pub(crate) fn new(value: X) -> Unshared<X> {
        Unshared(value)
    }

    pub(crate) fn into_inner(self) -> X {
        self.0
    }
}
