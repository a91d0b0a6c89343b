//! Models of mailboxes, run by loom as those of `transport/models.rs`: what a reader reads is whole and stays until it is through,
//! who sleeps is rung, and workers that write to one place take turns.

use super::outlet::Outlet;
use super::{APART, LINES, LOBBY, Pair, Region, Side};
use crate::check::Print;
use crate::stall::Stall;
use crate::transport::Call;
use crate::transport::board::Stamp;
use crate::transport::sync::yield_now;
use crate::transport::threads::Job;
use loom::thread;
use std::panic::Location;
use std::sync::Arc;

/// Where the two buffers of the modelled link are.
const BOXES: [usize; 2] = [LOBBY + LINES, LOBBY + LINES + APART];

fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(4);
    builder.max_branches = 100_000;
    builder.check(model);
}

fn region() -> Arc<Region> {
    Region::heap(BOXES[1] + APART)
}

fn pairs(region: &Arc<Region>) -> [Pair; 2] {
    [Side::Writer, Side::Reader].map(|side| Pair::new(region.clone(), LOBBY, side))
}

fn stamp(step: u64) -> Stamp {
    Stamp { step, print: 7, rolling: step << 40 }
}

/// A writer that nobody answers runs as far ahead as there is room. Each round is read whole, though its buffer is used again.
#[test]
fn rounds_are_whole_and_stay() {
    check(|| {
        let region = region();
        let [writer, reader] = pairs(&region);
        let writing = thread::spawn({
            let region = region.clone();
            move || {
                for round in 1..=3 {
                    while !writer.free(round) {
                        yield_now();
                    }
                    // SAFETY: the reader is through with that buffer.
                    unsafe { region.put(BOXES[round as usize % 2], &[round as u8; 8]) };
                    writer.post(stamp(round));
                }
            }
        });
        for round in 1..=3 {
            reader.done_before(round);
            while !reader.posted(stamp(round)).unwrap() {
                yield_now();
            }
            let mut came = [0u8; 8];
            // SAFETY: the round is there, and the writer has not been told that we are through with it.
            unsafe { region.get(BOXES[round as usize % 2], came.as_mut_ptr(), came.len()) };
            assert_eq!(came, [round as u8; 8]);
        }
        writing.join().unwrap();
    });
}

/// Naps until `there`, while another thread does `work` and rings.
fn rung(sleeper: Pair, other: Pair, work: impl Fn(&Pair) + Send + 'static, there: impl Fn(&Pair) -> bool) {
    let job = Job::new(2, false, Stall::default());
    let working = thread::spawn({
        let job = job.clone();
        move || {
            work(&other);
            if other.other_sleeps() {
                job.wake(1);
            }
        }
    });
    let print = Print::new::<u8>("nap", [0; 2], Location::caller());
    let call = Call { comm: 1, seq: 0, print, rolling: 0 };
    loop {
        let seen = job.epoch(1);
        let _nap = sleeper.nap();
        if there(&sleeper) {
            break;
        }
        job.wait(1, seen, &call).unwrap();
    }
    working.join().unwrap();
}

#[test]
fn who_naps_for_mail_is_rung() {
    check(|| {
        let [writer, reader] = pairs(&region());
        rung(reader, writer, |writer| writer.post(stamp(1)), |reader| reader.posted(stamp(1)).unwrap());
    });
}

#[test]
fn who_naps_for_room_is_rung() {
    check(|| {
        let [writer, reader] = pairs(&region());
        rung(writer, reader, |reader| reader.done_before(1), |writer| writer.free(2));
    });
}

/// Two workers that write to one place of a link.
#[test]
fn workers_take_turns() {
    check(|| {
        let outlet = Arc::new(Outlet::new(region(), BOXES, 64));
        // SAFETY: nobody reads the buffer.
        let write = |outlet: &Outlet, byte: u8| unsafe { outlet.write(0, 8, &[byte; 8]) };
        let other = thread::spawn({
            let outlet = outlet.clone();
            move || write(&outlet, 1)
        });
        write(&outlet, 2);
        other.join().unwrap();
    });
}
