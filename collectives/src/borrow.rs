//! Collectives that move borrowed memory and return when it is free again: the one place where a loan is bound to a frame.
//!
//! `Core::run` returns, or unwinds, only when its flow is done or withdrawn, so a slice that is borrowed for the call
//! outlives every use. (`overlap.rs` is the other place, for loans that last longer than one call.)
#![allow(unsafe_code)]

use crate::algo::{Step, scaled};
use crate::check::Print;
use crate::core::Core;
use crate::failure::Abort;
use crate::flow::{Cargo, Fold};
use crate::transport::memory::{self, Landing, Memory, any_bits};
use crate::{Op, Plain};

/// Runs `steps` with `from` as buffer 0 and room for `room` values as buffer 1, which is given back full. The caller's
/// own parts are copied by `own`: where in `from` and in the result, and how long (in values).
pub(crate) fn exchange<T: Plain>(
    core: &Core,
    print: Print,
    steps: Vec<Step>,
    from: &[T],
    room: usize,
    own: impl IntoIterator<Item = (usize, usize, usize)>,
) -> Result<Vec<T>, Abort> {
    // SAFETY: `from` is borrowed until this call returns, and `run` settles the flow before.
    let source = unsafe { Memory::lend(from) };
    let mut landing = Memory::landing(Landing::<T>::new(room));
    for (start, into, len) in own {
        let bytes = |n: usize| n * T::BYTES;
        let part = memory::span_of(bytemuck::cast_slice(&from[start..start + len]));
        // SAFETY: the landing is ours alone, no flow has begun.
        unsafe { landing.span().part(bytes(into), bytes(len)).fill(part) };
    }
    landed(core, print, Cargo { steps, memory: vec![source, landing], ..Cargo::default() })
}

/// Runs a call whose last buffer is a landing of values; gives it back.
fn landed<T: Plain>(core: &Core, print: Print, cargo: Cargo) -> Result<Vec<T>, Abort> {
    let landing = core.run(print, cargo)?.memory.pop().expect("a landing went in");
    landing.into_landed().map_err(|i| invalid::<T>(core, &print, i))
}

/// Runs `steps` on one buffer of `len` values, where `mine` stands at `start`; gives it back full.
pub(crate) fn gathered<T: Plain>(
    core: &Core,
    print: Print,
    steps: Vec<Step>,
    mine: &[T],
    len: usize,
    start: usize,
) -> Result<Vec<T>, Abort> {
    let mut landing = Memory::landing(Landing::<T>::new(len));
    let own = memory::span_of(bytemuck::cast_slice(mine));
    // SAFETY: the landing is ours alone, no flow has begun.
    unsafe { landing.span().part(start * T::BYTES, own.len()).fill(own) };
    landed(core, print, Cargo { steps, memory: vec![landing], ..Cargo::default() })
}

/// Runs `steps` with `from` as buffer 0 and `into` as buffer 1. Any bits must be a `T`.
pub(crate) fn exchange_into<T: Plain>(
    core: &Core,
    print: Print,
    steps: Vec<Step>,
    from: &[T],
    into: &mut [T],
) -> Result<(), Abort> {
    assert!(any_bits::<T>());
    // SAFETY: both are borrowed until this call returns, `into` exclusively, and `run` settles the flow before. Any bits
    // will do.
    let memory = unsafe { vec![Memory::lend(from), Memory::lend_mut(std::ptr::from_mut(into))] };
    core.run(print, Cargo { steps, memory, ..Cargo::default() }).map(drop)
}

/// Runs `steps` with `buf` as buffer 0, from which messages are sent or into which they are received.
pub(crate) fn in_place<T: Plain>(core: &Core, print: Print, steps: Vec<Step>, buf: &mut [T]) -> Result<(), Abort> {
    if any_bits::<T>() {
        // SAFETY: `buf` is borrowed exclusively until this call returns, and `run` settles the flow before. Any bits will do.
        let memory = vec![unsafe { Memory::lend_mut(std::ptr::from_mut(buf)) }];
        return core.run(print, Cargo { steps, memory, ..Cargo::default() }).map(drop);
    }
    let mut bytes = Memory::landing(Landing::<T>::new(buf.len()));
    // SAFETY: the landing is ours alone, no flow has begun.
    unsafe { bytes.span().fill(memory::span_of(bytemuck::cast_slice(buf))) };
    let mut cargo = core.run(print, Cargo { steps, memory: vec![bytes], ..Cargo::default() })?;
    let values = cargo.memory.pop().expect("one buffer went in").into_landed();
    buf.copy_from_slice(&values.map_err(|i| invalid::<T>(core, &print, i))?);
    Ok(())
}

/// Runs `steps` on `buf` as buffer 0 and room for `room` values as buffer 1, combining by `op`. Any bits must be a `T`. Gives
/// back buffer 1.
pub(crate) fn combining<T: Plain, O: Op<T>>(
    core: &Core,
    print: Print,
    steps: Vec<Step>,
    buf: &mut [T],
    room: usize,
    op: O,
) -> Result<Vec<T>, Abort> {
    assert!(any_bits::<T>());
    // SAFETY: `buf` is borrowed exclusively until this call returns, and `run` settles the flow before. Any bits will do.
    let lent = unsafe { Memory::lend_mut(std::ptr::from_mut(buf)) };
    let mut cargo = core.run(print, combining_in(lent, steps, room, op))?;
    let room = cargo.memory.pop().expect("two buffers went in");
    Ok(room.into_landed().expect("any bits are a value"))
}

/// As [`combining`], of a buffer that is moved in.
pub(crate) fn combining_owned<T: Plain, O: Op<T>>(steps: Vec<Step>, buf: Vec<T>, room: usize, op: O) -> Cargo {
    assert!(any_bits::<T>());
    combining_in(Memory::source(buf), steps, room, op)
}

fn combining_in<T: Plain, O: Op<T>>(buf: Memory, steps: Vec<Step>, room: usize, op: O) -> Cargo {
    let memory = vec![buf, Memory::landing(Landing::<T>::new(room))];
    let fold: Fold = Box::new(move |from, into, left| memory::fold(&op, from, into, left));
    Cargo { steps: scaled(steps, T::BYTES), memory, fold: Some(fold), ..Cargo::default() }
}

/// A peer has sent bytes that are no value of the type: its program is another one, or memory is corrupt.
pub(crate) fn invalid<T>(core: &Core, print: &Print, index: usize) -> Abort {
    let what = format!("element {index} received in {} is no valid {}", print.text(), std::any::type_name::<T>());
    core.rank.transport.abort(core.rank.own_abort(&what))
}
