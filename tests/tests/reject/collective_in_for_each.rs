//~ E0277
use physalia::prelude::*;

fn body(world: &mut World, comm: &mut Comm) -> Outcome<()> {
    let comm = std::cell::RefCell::new(comm);
    world.par(0..10).for_each(|i| {
        comm.borrow_mut().all_reduce(i, Sum).unwrap();
    })?;
    Ok(())
}
fn main() {}
