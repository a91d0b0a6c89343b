//! A stencil of one's own: the heat equation in a closure. `own-stencil 4096 4096 200` takes cells along x and y, and steps.

use physalia::prelude::*;
use physalia::stencil::{Point, Stepper, Wall, Walls};
use std::time::Instant;

fn main() -> std::process::ExitCode {
    physalia::run(|world| {
        let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u64>());
        let mut next = |usual| args.next().unwrap_or(Ok(usual));
        let (nx, ny, steps) = (next(2048)?, next(2048)?, next(500)?);

        // α Δt / h² of each axis, at 0.8 of the stability limit.
        let squares = [nx, ny].map(|n| (n as f64 + 1.0).powi(2));
        let dt = 0.8 * (1.0 / (2.0 * (squares[0] + squares[1])));
        let [rx, ry] = squares.map(|square| dt * square);

        let mut u = Field::<f64, 2>::new(world, Grid::new([nx, ny]))?;
        let sine = |i: u64, n: u64| (std::f64::consts::PI * (i + 1) as f64 / (n as f64 + 1.0)).sin();
        u.fill(|[x, y]| sine(x, nx) * sine(y, ny));
        let mut heat = Stepper::new(move |p: Point<f64, 1>| {
            let here = p.at(0, 0, 0);
            let x = rx * ((p.at(-1, 0, 0) - here) + (p.at(1, 0, 0) - here));
            let y = ry * ((p.at(0, -1, 0) - here) + (p.at(0, 1, 0) - here));
            here + (x + y)
        })
        .walls(Walls::all(Wall::fixed(0.0)));
        heat.advance(world, &mut [&mut u], 0)?; // prepares
        let start = Instant::now();
        heat.advance(world, &mut [&mut u], steps)?;
        world.barrier()?;
        let rate = (nx * ny * steps) as f64 / start.elapsed().as_secs_f64();
        let hash = u.hash(world)?;
        world.on_root(|| println!("{rate:.4e} cell updates/s, hash {hash:016x}"));
        Ok(())
    })
}
