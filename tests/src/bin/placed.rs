//! Prints where each rank is, by what Linux says of it, one line a rank: where its threads may run, and how many pages of fields
//! lie at home: `rank 0: 0 1 2 3; 8192 of 8192`.

use physalia::prelude::*;
use std::process::ExitCode;

fn main() -> ExitCode {
    physalia::run(|world| {
        let random = Random::new(1);
        let mut field = Field::<f64, 2>::new(world, Grid::new([1500, 2000]))?;
        field.fill(|[x, y]| random.unit(x + 1500 * y));
        let mut small = Field::<f32, 3>::new(world, Grid::new([100, 30, 20]))?;
        small.fill(|[x, ..]| x as f32);
        let pages = [field.locality()?, small.locality()?].into_iter();
        let pages = pages.fold([0, 0], |sum, part| [sum[0] + part.at_home, sum[1] + part.present]);

        let mut places = Vec::new();
        for task in std::fs::read_dir("/proc/self/task")? {
            // A thread may be gone meanwhile.
            let status = std::fs::read_to_string(task?.path().join("status")).unwrap_or_default();
            let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
            places.extend(allowed.map(|place| place.trim().to_string()));
        }
        places.sort_unstable();
        let mine = format!("{}; {} of {}\n", places.join(" "), pages[0], pages[1]);
        let all = world.gather_v(0, mine.as_bytes())?;
        for (rank, line) in all.iter().flat_map(|all| all.iter()).enumerate() {
            print!("rank {rank}: {}", String::from_utf8_lossy(line));
        }
        Ok(())
    })
}
