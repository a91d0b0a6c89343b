//! Prints where the threads of each rank may run, one line a rank, by what Linux says of them: `rank 0: 0 1 2 3`.

use std::process::ExitCode;

fn main() -> ExitCode {
    physalia::run(|world| {
        world.each(vec![(); 4 * world.threads()], |_, ()| ()); // the workers are there
        let mut places = Vec::new();
        for task in std::fs::read_dir("/proc/self/task")? {
            // A thread may be gone meanwhile.
            let status = std::fs::read_to_string(task?.path().join("status")).unwrap_or_default();
            places.extend(
                status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).map(|s| s.trim().to_string()),
            );
        }
        places.sort_unstable();
        let all = world.gather_v(0, format!("{}\n", places.join(" ")).as_bytes())?;
        for (rank, line) in all.iter().flat_map(|all| all.iter()).enumerate() {
            print!("rank {rank}: {}", String::from_utf8_lossy(line));
        }
        Ok(())
    })
}
