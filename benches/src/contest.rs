//! Contestants in turn, round by round; medians and ratios.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use tempfile::TempDir;

/// How a benchmark ends.
pub(crate) type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Where contests are held.
pub(crate) struct Contest {
    directory: TempDir,
}

/// One contestant: a name, and what takes the seconds of one round.
pub(crate) struct Contestant<'a> {
    name: &'static str,
    round: Box<dyn FnMut() -> Result<f64, Box<dyn std::error::Error>> + 'a>,
}

impl<'a> Contestant<'a> {
    /// A contestant that measures itself.
    pub(crate) fn measured(
        name: &'static str,
        round: impl FnMut() -> Result<f64, Box<dyn std::error::Error>> + 'a,
    ) -> Self {
        Self { name, round: Box::new(round) }
    }

    /// A contestant of which the whole round is measured.
    pub(crate) fn new(name: &'static str, mut round: impl FnMut() -> Outcome + 'a) -> Self {
        Self::measured(name, move || {
            let begun = Instant::now();
            round()?;
            Ok(begun.elapsed().as_secs_f64())
        })
    }
}

/// What one round does: so many of something.
pub(crate) enum Work {
    /// So many operations: told as microseconds each.
    Operations(u64),
    /// So many bytes: told as megabytes a second.
    Bytes(u64),
}

impl Contest {
    pub(crate) fn new() -> std::io::Result<Self> {
        let directory = match std::env::var_os("H5LIVE_BENCH_DIR") {
            Some(parent) => tempfile::tempdir_in(parent)?,
            None => tempfile::tempdir()?,
        };
        Ok(Self { directory })
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    /// Holds `rounds` rounds after one that does not count, the contestants taking turns. The first is h5live.
    ///
    /// Every other round goes the other way round, and what a turn has written reaches the disk before the next: nobody always
    /// comes after the same other one, or pays for what that one left behind.
    pub(crate) fn hold(&self, rounds: usize, work: &Work, mut contestants: Vec<Contestant<'_>>) -> Outcome {
        let mut seconds = vec![Vec::new(); contestants.len()];
        for round in 0..=rounds {
            let mut turns: Vec<_> = seconds.iter_mut().zip(&mut contestants).collect();
            if round % 2 == 1 {
                turns.reverse();
            }
            for (taken, contestant) in turns {
                let took = (contestant.round)()?;
                if round > 0 {
                    taken.push(took);
                }
                settle();
            }
        }
        for (contestant, taken) in contestants.iter().zip(&seconds) {
            let typical = median(taken.clone());
            let figure = match work {
                Work::Operations(count) => format!("{:10.2} us", typical / *count as f64 * 1e6),
                Work::Bytes(bytes) => format!("{:10.0} MB/s", *bytes as f64 / typical / 1e6),
            };
            // Round by round: a machine that is slower for a while is so for all.
            let ratio = median(taken.iter().zip(&seconds[0]).map(|(theirs, ours)| theirs / ours).collect());
            println!("  {:<28}{figure}   ratio {ratio:.2}", contestant.name);
        }
        Ok(())
    }
}

/// Waits until what was written is on its disk. Without the command, the figures are as true and a little noisier.
fn settle() {
    let _ = Command::new("sync").status();
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
