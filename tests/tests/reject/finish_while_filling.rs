//~ E0499 | E0502
use physalia::prelude::*;

fn body(mut boxes: Mailboxes<f64>, world: &mut World) {
    let fill = boxes.open(world).unwrap();
    boxes.finish().unwrap();
    fill.send().unwrap();
}
fn main() {}
