//! Memory that takes part in a transfer: who owns it, and how typed vectors become bytes and back.
//!
//! A [`Span`] is a bare address, so that a transfer can outlive any one borrow. Invariant: a span is handed to a transport
//! only by a [`Memory`], which either owns the storage or was made by an `unsafe` constructor whose caller promises that
//! the loan lasts until the flow that holds the memory has settled (see `flow.rs`).

use super::mailbox::Region;
use crate::Plain;
use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Every byte of memory that is poisoned: NaN, -1, the largest number.
pub(crate) const POISON: u8 = 0xff;

/// Bytes at a fixed place: lent for reading, and for writing where it came from exclusive memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    ptr: *mut u8,
    len: usize,
}

impl Span {
    pub(crate) fn len(self) -> usize {
        self.len
    }

    #[cfg(feature = "mpi")]
    pub(crate) fn ptr(self) -> *mut u8 {
        self.ptr
    }

    /// `len` bytes from `start`.
    pub(crate) fn part(self, start: usize, len: usize) -> Span {
        let end = start.checked_add(len).expect("a range of memory");
        assert!(end <= self.len, "bytes {start}..{end} of {}", self.len);
        Span { ptr: self.ptr.wrapping_add(start), len }
    }

    /// # Safety
    /// The span's memory is alive, initialised, and nobody writes it while the slice is in use.
    pub(crate) unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: promised by the caller.
        unsafe { std::slice::from_raw_parts(self.ptr, self.len) }
    }

    /// Copies `from` here; lengths must be equal.
    ///
    /// # Safety
    /// The span's memory is alive, was exclusive memory of its owner, and nobody else uses it during the call; the source
    /// is as for `bytes`.
    pub(crate) unsafe fn fill(self, from: Span) {
        assert_eq!(self.len, from.len, "bytes to receive and bytes sent");
        if self.len > 0 {
            // SAFETY: promised by the caller; an exclusive destination overlaps no source.
            unsafe { std::ptr::copy_nonoverlapping(from.ptr, self.ptr, self.len) }
        }
    }
}

/// Copies between two parts of a flow's buffers, of equal length. `into` belongs to memory that is received into.
pub(crate) fn copy(from: Span, into: Span) {
    assert_eq!(from.len, into.len, "bytes to copy");
    // SAFETY: both are alive, as every span of a flow's memory; what is received into is exclusive memory of the flow, and no
    // message reads it now (`Flow::in_use`). `copy` allows them to overlap.
    unsafe { into.ptr.copy_from(from.ptr, from.len) }
}

/// How values are combined that lie in a flow's buffers. `into` belongs to memory that is received into; any bits are a `T`.
pub(crate) fn fold<T: Plain>(op: &impl crate::Op<T>, from: Span, into: Span, left: bool) {
    assert!(any_bits::<T>() && from.len == into.len && from.len.is_multiple_of(T::BYTES));
    assert!(from.ptr.cast::<T>().is_aligned() && into.ptr.cast::<T>().is_aligned());
    let apart = from.ptr.wrapping_add(from.len) <= into.ptr || into.ptr.wrapping_add(into.len) <= from.ptr;
    assert!(apart || from.len == 0, "values combined with themselves");
    let count = from.len / T::BYTES;
    if count == 0 {
        return;
    }
    // SAFETY: both are alive, aligned, do not overlap, and hold values, since any bits are one. `into` is exclusive memory of
    // the flow, and no message reads it now (`Flow::in_use`); nobody writes `from`, whose receive has landed.
    unsafe {
        let others = std::slice::from_raw_parts(from.ptr.cast::<T>(), count);
        op.combine_all(std::slice::from_raw_parts_mut(into.ptr.cast::<T>(), count), others, left);
    }
}

/// A span of bytes that the caller reads now; for copies that end before the call returns.
pub(crate) fn span_of(bytes: &[u8]) -> Span {
    Span { ptr: bytes.as_ptr().cast_mut(), len: bytes.len() }
}

/// A span of bytes to receive into, for as long as the caller waits for it.
#[cfg(feature = "mpi")]
pub(crate) fn span_of_mut(bytes: &mut [u8]) -> Span {
    Span { ptr: bytes.as_mut_ptr(), len: bytes.len() }
}

/// Storage of any element type, by its bytes.
trait Storage {
    fn span(&mut self) -> Span;
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

impl<T: 'static> Storage for Vec<T> {
    fn span(&mut self) -> Span {
        Span { ptr: self.as_mut_ptr().cast(), len: size_of_val(self.as_slice()) }
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

impl Storage for Arc<Region> {
    fn span(&mut self) -> Span {
        Span { ptr: self.address(0, 0), len: self.len() }
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// A buffer that a flow reads or writes.
pub(crate) enum Memory {
    /// Moved in. Its heap block does not move, so spans stay good until it is taken out again.
    Owned(Box<dyn StorageAny>),
    /// Lent; see the constructors.
    Lent(Span),
}

/// Hides `Storage` from the rest of the crate.
pub(crate) trait StorageAny {
    fn span_any(&mut self) -> Span;
    fn boxed_any(self: Box<Self>) -> Box<dyn Any>;
}

impl<S: Storage> StorageAny for S {
    fn span_any(&mut self) -> Span {
        self.span()
    }
    fn boxed_any(self: Box<Self>) -> Box<dyn Any> {
        self.into_any()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(if matches!(self, Memory::Owned(_)) { "owned" } else { "lent" })
    }
}

impl Memory {
    /// A vector to send from. `Plain` has no padding, so all its bytes may be read.
    pub(crate) fn source<T: Plain>(values: Vec<T>) -> Memory {
        const { assert!(T::BYTES > 0) };
        Memory::Owned(Box::new(values))
    }

    /// Memory of mailboxes. The flow uses only parts that no other rank and no worker uses meanwhile.
    pub(crate) fn region(region: Arc<Region>) -> Memory {
        Memory::Owned(Box::new(region))
    }

    pub(crate) fn landing<T: Plain>(landing: Landing<T>) -> Memory {
        match landing {
            Landing::Direct(bits) => Memory::Owned(Box::new(bits)),
            Landing::Bytes(bytes) => Memory::Owned(Box::new(bytes)),
        }
    }

    /// # Safety
    /// `values` outlives the flow that holds this memory, and is not written until that flow has settled.
    pub(crate) unsafe fn lend<T: Plain>(values: &[T]) -> Memory {
        Memory::Lent(Span { ptr: values.as_ptr().cast_mut().cast(), len: values.len() * T::BYTES })
    }

    /// # Safety
    /// `values` outlives the flow that holds this memory and is not touched until that flow has settled. Any bit pattern
    /// is a `T`.
    pub(crate) unsafe fn lend_mut<T: Plain>(values: *mut [T]) -> Memory {
        debug_assert!(any_bits::<T>());
        Memory::Lent(Span { ptr: values.cast(), len: values.len() * T::BYTES })
    }

    /// Writes poison into a range of bytes that a flow will receive into.
    pub(crate) fn poison(&mut self, range: Range<usize>) {
        let span = self.span().part(range.start, range.len());
        // SAFETY: what will be received into is exclusive memory in which any bits are valid, and no message reads it now
        // (`Flow::in_use`).
        unsafe { span.ptr.write_bytes(POISON, span.len) };
    }

    pub(crate) fn span(&mut self) -> Span {
        match self {
            Memory::Owned(storage) => storage.span_any(),
            Memory::Lent(span) => *span,
        }
    }

    /// The vector that `source` took.
    pub(crate) fn into_source<T: Plain>(self) -> Vec<T> {
        let Memory::Owned(storage) = self else { unreachable!("only owned memory is taken back") };
        *storage.boxed_any().downcast().expect("the type that was moved in")
    }

    /// The values that have landed; `Err` holds the index of the first that is no valid `T`.
    pub(crate) fn into_landed<T: Plain>(self) -> Result<Vec<T>, usize> {
        let Memory::Owned(storage) = self else { unreachable!("only owned memory is taken back") };
        let any = storage.boxed_any();
        if any_bits::<T>() {
            return Landing::<T>::Direct(*any.downcast().expect("the type that was moved in")).checked();
        }
        Landing::<T>::Bytes(*any.downcast().expect("bytes were moved in")).checked()
    }
}

/// Whether every bit pattern is a valid `T`, so that peers may write straight into memory of that type.
pub(crate) fn any_bits<T: Plain>() -> bool {
    std::any::TypeId::of::<T>() == std::any::TypeId::of::<T::Bits>()
}

/// Writes poison over values. Any bits must be a `T`.
pub(crate) fn poison<T: Plain>(values: &mut [T]) {
    assert!(any_bits::<T>());
    // SAFETY: the values are ours for the call, have no padding, and any bits are a value.
    unsafe { values.as_mut_ptr().cast::<u8>().write_bytes(POISON, size_of_val(values)) };
}

/// Where values of `T` land: directly as themselves where any bit pattern will do, else as bytes to be checked.
pub(crate) enum Landing<T: Plain> {
    Direct(Vec<T::Bits>),
    Bytes(Vec<u8>),
}

impl<T: Plain> Landing<T> {
    /// Zeroed room for `len` values. Fresh pages come zeroed from the system and are first touched by the copy.
    pub(crate) fn new(len: usize) -> Landing<T> {
        if any_bits::<T>() {
            const { assert!(T::BYTES > 0) };
            Landing::Direct(bytemuck::zeroed_vec(len))
        } else {
            Landing::Bytes(vec![0; len.checked_mul(T::BYTES).expect("a length in bytes")])
        }
    }

    /// The values; `Err` holds the index of the first that is no valid `T`.
    pub(crate) fn checked(self) -> Result<Vec<T>, usize> {
        match self {
            Landing::Direct(bits) => {
                let mut same: Option<Vec<T::Bits>> = Some(bits);
                let slot = (&mut same as &mut dyn Any).downcast_mut::<Option<Vec<T>>>();
                Ok(slot.and_then(Option::take).expect("Direct is chosen when the types are equal"))
            }
            Landing::Bytes(bytes) => decode(&bytes),
        }
    }
}

/// Values from bytes at any alignment; `Err` holds the index of the first that is no valid `T`.
pub(crate) fn decode<T: Plain>(bytes: &[u8]) -> Result<Vec<T>, usize> {
    let one = |(i, bytes)| bytemuck::checked::try_pod_read_unaligned(bytes).map_err(|_| i);
    bytes.chunks_exact(T::BYTES).enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owned_memory_comes_back_as_it_went_in() {
        let mut memory = Memory::source(vec![1.5f64, 2.5]);
        assert_eq!(memory.span().len(), 16);
        assert_eq!(memory.into_source::<f64>(), [1.5, 2.5]);
        let mut landing = Memory::landing(Landing::<u32>::new(2));
        // SAFETY: the landing is ours, and the source is alive during the call.
        unsafe { landing.span().fill(span_of(&[1, 0, 0, 0, 2, 0, 0, 0])) };
        assert_eq!(landing.into_landed::<u32>(), Ok(vec![1, 2]));
    }

    #[test]
    fn what_is_no_value_of_the_type_is_refused() {
        let mut landing = Memory::landing(Landing::<bool>::new(3));
        // SAFETY: as above.
        unsafe { landing.span().fill(span_of(&[1, 0, 2])) };
        assert_eq!(landing.into_landed::<bool>(), Err(2));
        assert_eq!(decode::<char>(&[0x61, 0, 0, 0, 0, 0xd8, 0, 0]), Err(1));
        assert_eq!(decode::<u16>(&[1, 0, 2, 0]), Ok(vec![1, 2]));
    }

    #[test]
    #[should_panic(expected = "bytes 3..5 of 4")]
    fn parts_stay_inside() {
        span_of(&[0; 4]).part(3, 2);
    }
}
