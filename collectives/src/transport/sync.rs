//! The atomics and locks of what ranks of one process share: the standard library's. Under `--cfg loom` they are loom's, so
//! that the same code runs in the model checker (`models.rs`), which tries the orders in which threads can go, and the old
//! values that weak memory lets them see.

#[cfg(loom)]
pub(super) use loom::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering, fence},
    sync::{Condvar, Mutex, MutexGuard},
    thread::yield_now,
};
#[cfg(not(loom))]
pub(super) use std::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering, fence},
    sync::{Condvar, Mutex, MutexGuard},
    thread::yield_now,
};
