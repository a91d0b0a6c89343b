//! Whether a grid fits the memory that this job may still use: found out before any is taken, for a job that is killed for
//! memory says nothing.

use physalia::prelude::*;
use physalia::topology::sysfs;

/// Refuses what does not fit: all ranks together take `bytes`, each its part, and the ranks of a host share what it has left.
/// Where the system does not tell, all is let through. Collective.
///
/// # Errors
/// An agreed failure that names need and budget; or the job's abort.
#[track_caller]
pub fn room(world: &mut World, bytes: f64) -> Outcome<()> {
    let ranks = world.size();
    let here = world.with_split_by_host(|host| Ok(host.size()))?;
    let (need, left) = (bytes / f64::from(ranks) * f64::from(here), sysfs::memory_left());
    Ok(world.agree(fits(need, left, here))?)
}

fn fits(need: f64, left: Option<u64>, ranks: u32) -> Result<(), String> {
    let gib = |bytes: f64| format!("{:.2} GiB", bytes / f64::from(1 << 30));
    match left {
        Some(left) if need > left as f64 => Err(format!(
            "this grid needs {} on this host, where {ranks} of the job's ranks may use {} more: take fewer cells, shorter numbers, or more hosts",
            gib(need),
            gib(left as f64)
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn need_and_budget_are_named() {
        assert_eq!((fits(1e9, None, 1), fits(1e9, Some(1_000_000_000), 1)), (Ok(()), Ok(())));
        let why = fits(3e9, Some(1 << 30), 2).unwrap_err();
        assert!(why.contains("needs 2.79 GiB") && why.contains("2 of the job's ranks may use 1.00 GiB"), "{why}");
        let job = Launch::from_env().ranks(2).run(|world| {
            let why = room(world, 1e18).map_err(|why| why.to_string());
            Ok((room(world, 1e6).is_ok(), why))
        });
        for (small, large) in job.unwrap() {
            assert!(small && large.unwrap_err().contains("GiB on this host, where 2"));
        }
    }
}
