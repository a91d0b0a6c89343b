//~ E0277
use physalia::prelude::*;

fn body(mut boxes: Mailboxes<f64>, world: &mut World) {
    let fill = boxes.open(world).unwrap();
    // Workers may write into it, but only the rank's own thread sends it.
    std::thread::scope(|scope| {
        scope.spawn(move || fill.send());
    });
}
fn main() {}
