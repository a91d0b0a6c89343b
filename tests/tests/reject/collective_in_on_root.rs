//~ E0277
use physalia::prelude::*;

fn body(world: &mut World) -> Outcome<u32> {
    let split = world.with_split(0, |sub| Ok(world_on_root(sub)))?;
    Ok(split)
}
fn world_on_root(sub: &mut World) -> u32 {
    sub.from_root(|| sub.agree(Ok::<_, String>(1))).unwrap()
}
fn main() {}
