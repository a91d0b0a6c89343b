//! A flag for code that runs as one rank's own: closures of `par`, of `on_root`, of the pool. Types keep communicators out
//! of them (they are `!Send` and `!Sync`); the flag covers the one road that types leave open, an owned communicator in a
//! thread-local, reached from the rank's own thread.

use std::cell::Cell;

thread_local!(static LOCAL: Cell<bool> = const { Cell::new(false) });

/// Whether this thread runs local code, where a collective would be refused.
pub fn inside() -> bool {
    LOCAL.get()
}

/// Runs `f` as local code.
pub fn local<R>(f: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            LOCAL.set(self.0);
        }
    }
    let _restore = Restore(LOCAL.replace(true));
    f()
}
