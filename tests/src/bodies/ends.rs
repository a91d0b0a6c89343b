//! Ranks that fail, panic, leave, or call other things than their peers: the job must end, soon, with the right words.
//! Peers wait in a collective, or compute.

use crate::{Body, End};
use physalia::field::Boxes;
use physalia::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub(super) fn bodies() -> Vec<Body> {
    let bad = |name, run, code, says| Body { name, run, end: End::Badly { code, says } };
    vec![
        bad(
            "panic_while_others_wait",
            panic_while_others_wait,
            1,
            &["rank 1 on HOST: panicked: enough of it (at tests/"],
        ),
        bad("panic_while_others_compute", panic_while_others_compute, 1, &["rank 1 on HOST: panicked: enough of it"]),
        bad("panic_while_others_are_deaf", panic_while_others_are_deaf, 1, &["rank 1 on HOST: panicked: enough of it"]),
        bad("panic_on_a_worker", panic_on_a_worker, 1, &["panicked: index 99999 (at tests/"]),
        bad("err_while_others_wait", err_while_others_wait, 1, &["rank 1 on HOST: No such file", "(at tests/"]),
        bad("err_while_others_compute", err_while_others_compute, 1, &["rank 1 on HOST: No such file"]),
        bad("agreed_alone", agreed_alone, 1, &["rank 1 on HOST: no disk"]),
        bad("agreed_failure", agreed_failure, 1, &["rank 1 on HOST: no disk"]),
        bad("early_ok", early_ok, 1, &["barrier of ()", "the end of the body"]),
        bad(
            "early_ok_while_others_compute",
            early_ok_while_others_compute,
            1,
            &["barrier of ()", "the end of the body"],
        ),
        bad(
            "exit_while_others_wait",
            exit_while_others_wait,
            70,
            &["rank 1 on HOST: called exit while ranks were running"],
        ),
        bad("exit_while_others_compute", exit_while_others_compute, 70, &["rank 1 on HOST: called exit"]),
        bad("work_left_out", work_left_out, 1, &["rank 1 on HOST: after it has sent its part"]),
        bad("panic_in_one_operation", panic_in_one_operation, 1, &["rank 0 on HOST: panicked: only here"]),
        bad("another_type", another_type, 1, &["all_reduce of (u32, Sum)", "all_reduce of (u64, Sum)"]),
        bad("another_line", another_line, 1, &["ends.rs:", "broadcast of u32"]),
        bad("another_closure", another_closure, 1, &["all_reduce of (u32, By<", "is there with another closure"]),
        bad("another_plan", another_plan, 1, &["start of the plan made in call of u8 ["]),
        bad("another_halo_plan", another_halo_plan, 1, &["open of the mailboxes made in call of f64 ["]),
        bad("another_move", another_move, 1, &["Field::move_boxes of ", "ends.rs:"]),
        bad("another_length", another_length, 1, &["all_reduce_into", "[4, 0]", "[5, 0]"]),
        bad("another_range", another_range, 1, &["par sum of u64 [0, 10]", "par sum of u64 [0, 11]"]),
        bad("another_root", another_root, 1, &["broadcast of u32 [0, 1]", "broadcast of u32 [1, 1]"]),
        bad("all_wait_for_another", all_wait_for_another, 1, &["scatter of u32", "broadcast of u32"]),
        bad(
            "each_in_another_communicator",
            each_in_another_communicator,
            1,
            &["wait for each other", "in the end of with_split of ()", "in barrier of ()"],
        ),
        bad(
            "long_messages_that_nobody_receives",
            long_messages_that_nobody_receives,
            1,
            &["wait for each other", "in broadcast_into of u8", "in barrier of ()"],
        ),
        bad(
            "missing_in_a_sparse_exchange",
            missing_in_a_sparse_exchange,
            1,
            &["sparse_exchange of u8", "in barrier of ()"],
        ),
        bad("panic_inside_overlap", panic_inside_overlap, 1, &["rank 0 on HOST: panicked: inside"]),
        bad("collective_in_drop", collective_in_drop, 1, &["rank 0 on HOST: panicked: unwinding"]),
        bad(
            "stolen_communicator",
            stolen_communicator,
            1,
            &["panicked: a collective on a communicator that has ended"],
        ),
        bad("rude_error", rude_error, 1, &["rank 0 on HOST: panicked: in Display"]),
        bad("stolen_world_in_local_code", stolen_world_in_local_code, 1, &["panicked: a collective inside local code"]),
        Body { name: "killed_while_others_wait", run: killed_while_others_wait, end: End::Killed },
        Body { name: "killed_while_others_compute", run: killed_while_others_compute, end: End::Killed },
    ]
}

fn second(world: &World) -> bool {
    world.rank() == 1
}

/// Computes for longer than any test waits, where the runtime can see it: in the chunk loop of `par`.
fn compute(world: &mut World) -> Outcome<()> {
    world.par(0..1 << 44).map(|i| i as f64).sum()?;
    Ok(())
}

/// Computes where the runtime cannot see it.
fn compute_deaf(seconds: u64) {
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

fn panic_while_others_wait(world: &mut World) -> Outcome<()> {
    assert!(!second(world), "enough of it");
    Ok(world.barrier()?)
}

fn panic_while_others_compute(world: &mut World) -> Outcome<()> {
    assert!(!second(world), "enough of it");
    compute(world)
}

fn panic_while_others_are_deaf(world: &mut World) -> Outcome<()> {
    assert!(!second(world), "enough of it");
    compute_deaf(100);
    Ok(())
}

fn panic_on_a_worker(world: &mut World) -> Outcome<()> {
    // The rest would take hours.
    world.par(0..1 << 44).map(|i| if i == 99_999 { panic!("index {i}") } else { i as f64 }).sum()?;
    Ok(())
}

fn err_while_others_wait(world: &mut World) -> Outcome<()> {
    if second(world) {
        std::fs::read("/nonexistent")?;
    }
    Ok(world.barrier()?)
}

fn err_while_others_compute(world: &mut World) -> Outcome<()> {
    if second(world) {
        std::fs::read("/nonexistent")?;
    }
    compute(world)
}

/// What a world made alone has agreed on, the others know nothing of.
fn agreed_alone(world: &mut World) -> Outcome<()> {
    if second(world) {
        World::alone().agree(Err::<(), _>("no disk"))?;
    }
    Ok(world.barrier()?)
}

fn agreed_failure(world: &mut World) -> Outcome<()> {
    let local = if second(world) { Err("no disk") } else { Ok(()) };
    world.agree(local)?;
    Ok(())
}

fn early_ok(world: &mut World) -> Outcome<()> {
    if second(world) {
        return Ok(());
    }
    Ok(world.barrier()?)
}

fn early_ok_while_others_compute(world: &mut World) -> Outcome<()> {
    if second(world) {
        return Ok(());
    }
    compute_deaf(2);
    Ok(world.barrier()?)
}

fn exit_while_others_wait(world: &mut World) -> Outcome<()> {
    if second(world) {
        std::process::exit(0);
    }
    Ok(world.barrier()?)
}

fn exit_while_others_compute(world: &mut World) -> Outcome<()> {
    if second(world) {
        std::process::exit(0);
    }
    compute(world)
}

/// As the system does when memory is short.
fn kill_this_process() -> Outcome<()> {
    std::process::Command::new("kill").args(["-KILL", &std::process::id().to_string()]).status()?;
    Err(Failure::msg("still there after a SIGKILL"))
}

fn killed_while_others_wait(world: &mut World) -> Outcome<()> {
    if second(world) { kill_this_process() } else { Ok(world.barrier()?) }
}

fn killed_while_others_compute(world: &mut World) -> Outcome<()> {
    if second(world) { kill_this_process() } else { compute(world) }
}

/// Rank 1 fails when its part of a sum is sent. Rank 0 then leaves its own work out, and must not see a sum without it.
fn work_left_out(world: &mut World) -> Outcome<()> {
    let done = AtomicU64::new(0);
    if world.rank() == 0 {
        world.each(vec![(); 1000], |_, ()| {
            std::thread::sleep(Duration::from_micros(300));
            done.fetch_add(1, Ordering::Relaxed);
        });
    }
    let mut sum = [done.into_inner()];
    world.reduce_into(0, &mut sum, Sum)?;
    if second(world) {
        return Err(Failure::msg("after it has sent its part"));
    }
    assert!(world.rank() > 0 || sum == [1000], "{sum:?}");
    Ok(world.barrier()?)
}

/// The others need what rank 0 computes: they must not take something else for it.
fn panic_in_one_operation(world: &mut World) -> Outcome<()> {
    let fails = world.rank() == 0;
    let op = move |a: u64, b: u64| if fails { panic!("only here") } else { a + b };
    let mut values = vec![1u64; 30_000];
    let run = std::panic::AssertUnwindSafe(|| world.all_reduce_into(&mut values, By(op)));
    match std::panic::catch_unwind(run) {
        Ok(result) => {
            result?;
            assert!(values.iter().all(|&v| v == u64::from(world.size())));
        }
        Err(panic) => std::panic::resume_unwind(panic),
    }
    Ok(world.barrier()?)
}

fn another_type(world: &mut World) -> Outcome<()> {
    fn add<T: Plain>(world: &mut World, one: T) -> Outcome<()>
    where
        Sum: Op<T>,
    {
        world.all_reduce(one, Sum)?;
        Ok(())
    }
    if second(world) { add(world, 1u32) } else { add(world, 1u64) }
}

fn another_line(world: &mut World) -> Outcome<()> {
    if second(world) {
        world.broadcast(0, 1u32)?;
    } else {
        world.broadcast(0, 2u32)?;
    }
    Ok(())
}

fn another_closure(world: &mut World) -> Outcome<()> {
    fn all<F: Fn(u32, u32) -> u32 + 'static>(world: &mut World, f: F) -> Outcome<()> {
        world.all_reduce(1, By(f))?;
        Ok(())
    }
    if second(world) { all(world, |a, b| a.min(b)) } else { all(world, |a, b| a.max(b)) }
}

/// Two plans made on one line, of the same lengths: started in another order they would take each other's values.
fn another_plan(world: &mut World) -> Outcome<()> {
    let (me, ranks) = (world.rank(), world.size());
    let ring = ([Link { rank: (me + 1) % ranks, len: 9 }], [Link { rank: (me + ranks - 1) % ranks, len: 9 }]);
    let mut plans = Vec::new();
    for _ in 0..2 {
        plans.push(world.exchange_plan::<u8>(&ring.0, &ring.1)?);
    }
    if second(world) {
        plans.reverse();
    }
    for plan in &mut plans {
        plan.start(world)?;
    }
    Ok(())
}

fn another_halo_plan(world: &mut World) -> Outcome<()> {
    let mut fields = Vec::new();
    for _ in 0..2 {
        let field = Field::<f64, 2>::new(world, Grid::new([16, 16]))?;
        fields.push((HaloPlan::new(world, &field)?, field));
    }
    if second(world) {
        fields.reverse();
    }
    for (plan, field) in &mut fields {
        plan.start(world, field)?.finish(field)?;
    }
    Ok(())
}

fn another_move(world: &mut World) -> Outcome<()> {
    let boxes = Boxes::with([vec![0, 4096, 5000], vec![0, 1], vec![0, 1]], vec![0, 1]);
    let mut u = Field::<f64, 1>::with_boxes(world, Grid::new([5000]), boxes)?;
    u.move_boxes(world, &[(0, world.rank().min(1))])?;
    Ok(())
}

fn another_length(world: &mut World) -> Outcome<()> {
    let mut buf = vec![1u8; if second(world) { 5 } else { 4 }];
    world.all_reduce_into(&mut buf, Sum)?;
    Ok(())
}

fn another_range(world: &mut World) -> Outcome<()> {
    let end = if second(world) { 11 } else { 10 };
    world.par(0..end).map(|i| i).sum()?;
    Ok(())
}

fn another_root(world: &mut World) -> Outcome<()> {
    let root = u32::from(second(world));
    world.broadcast(root, 0u32)?;
    Ok(())
}

/// Rank 0 waits for rank 1, and the others for rank 0: nobody sends anything.
fn all_wait_for_another(world: &mut World) -> Outcome<()> {
    if world.rank() == 0 {
        world.scatter::<u32>(1, None)?;
    } else {
        world.broadcast(0, 0u32)?;
    }
    Ok(())
}

/// Rank 1 leaves a split by a failure that it does not pass on; the others wait for it at the split's end, it for them in a
/// barrier of all.
fn each_in_another_communicator(world: &mut World) -> Outcome<()> {
    let leaves = second(world);
    let result = world.with_split(0, |_| if leaves { Err(Failure::msg("never mind")) } else { Ok(()) });
    assert_eq!(result.is_err(), leaves);
    Ok(world.barrier()?)
}

/// As above, where what is waited for is that a long message is received, too.
fn long_messages_that_nobody_receives(world: &mut World) -> Outcome<()> {
    let leaves = second(world);
    let pair = u32::from(world.rank() < 2);
    let send = |sub: &mut World| match (pair, leaves) {
        (0, _) => Ok(()),
        (_, true) => Err(Failure::msg("never mind")),
        (_, false) => Ok(sub.broadcast_into(0, &mut vec![1u8; 1 << 20])?),
    };
    world.with_split(pair, send).ok();
    Ok(world.barrier()?)
}

/// Rank 1 is sent something, and does not take part.
fn missing_in_a_sparse_exchange(world: &mut World) -> Outcome<()> {
    if !second(world) {
        world.sparse_exchange(vec![(1, vec![7u8])])?;
    }
    Ok(world.barrier()?)
}

fn panic_inside_overlap(world: &mut World) -> Outcome<()> {
    // On one line: a rank that comes first must not end the job for another reason.
    fn start<'s, 'env>(
        o: &mut Overlap<'s, 'env, World>,
        src: &'env [u8],
        dst: &'env mut [u8],
    ) -> Result<Ticket<'s, 'env, u8>, Abort> {
        o.start_all_to_all_into(src, dst)
    }
    let n = 10_000 * world.size() as usize;
    if world.rank() == 0 {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let (src, mut dst) = (vec![7u8; n], vec![0; n]);
            world.overlap(|o| -> Outcome<()> {
                let _ticket = start(o, &src, &mut dst)?;
                panic!("inside");
            })
        }));
        assert!(caught.is_err()); // caught by the program, and yet the job knows
        return Ok(());
    }
    std::thread::sleep(Duration::from_millis(50)); // mostly after rank 0 has freed its buffers
    let (src, mut dst) = (vec![1u8; n], vec![9u8; n]);
    let me = world.rank() as usize;
    let result = world.overlap(|o| Ok(start(o, &src, &mut dst)?.wait(o)?.len()));
    let from_root = &dst[..n / world.size() as usize];
    assert!(me == 0 || from_root.iter().all(|&b| b == 9), "nothing may come from freed memory");
    result.map(drop)
}

fn collective_in_drop(world: &mut World) -> Outcome<()> {
    struct Last<'w>(&'w mut World);
    impl Drop for Last<'_> {
        fn drop(&mut self) {
            self.0.barrier().ok();
        }
    }
    let first = world.rank() == 0;
    let last = Last(world);
    assert!(!first, "unwinding");
    last.0.barrier()?;
    Ok(last.0.barrier()?)
}

fn stolen_communicator(world: &mut World) -> Outcome<()> {
    let mut stolen = World::alone();
    world.with_split(0, |sub| {
        std::mem::swap(sub, &mut stolen);
        Ok(())
    })?;
    Ok(stolen.barrier()?)
}

fn rude_error(world: &mut World) -> Outcome<()> {
    #[derive(Debug)]
    struct Rude;
    impl std::fmt::Display for Rude {
        fn fmt(&self, _: &mut std::fmt::Formatter) -> std::fmt::Result {
            panic!("in Display")
        }
    }
    impl std::error::Error for Rude {}
    if world.rank() == 0 { Err(Rude)? } else { Ok(world.barrier()?) }
}

fn stolen_world_in_local_code(world: &mut World) -> Outcome<()> {
    thread_local!(static STOLEN: std::cell::RefCell<Option<World>> = const { std::cell::RefCell::new(None) });
    let here = World::alone();
    STOLEN.set(Some(std::mem::replace(world, World::alone())));
    here.on_root(|| STOLEN.with_borrow_mut(|w| w.as_mut().expect("stolen").all_reduce(0u64, Sum)))
        .expect("alone is rank 0")?;
    Ok(())
}
