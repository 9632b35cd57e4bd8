//! The demo's followers.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use h5live::{Dataset, File};

use super::values::{SIDE, frame, signal};
use super::{SIGNAL, Teller};
use crate::failure::Failure;

/// Time between reports.
const REPORT: Duration = Duration::from_millis(100);

/// A reader's process of `demo`
#[derive(Debug, clap::Args)]
pub(crate) struct DemoFollower {
    file: PathBuf,
    dataset: String,
}

impl DemoFollower {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut teller = Teller::new(REPORT);
        let ended = self.follow(&mut teller);
        teller.end(ended)
    }

    fn follow(&self, teller: &mut Teller) -> Result<(), Failure> {
        let dataset = File::follow(&self.file)?.dataset(&self.dataset)?;
        let check = if self.dataset == SIGNAL { check_signal } else { check_frames };
        let mut seen = 0;
        for growth in dataset.watch_from(0)? {
            let growth = growth?;
            if growth.rows.start != seen {
                return Err(Failure::Other(format!("rows {:?} came after row {seen}", growth.rows)));
            }
            check(&dataset, growth.rows.start, growth.rows.end)?;
            seen = growth.rows.end;
            if let Some(lag) = growth.published.and_then(|published| SystemTime::now().duration_since(published).ok()) {
                teller.lags.push(lag.as_secs_f64() * 1e3);
            }
            teller.tell(seen);
        }
        teller.report.rows = seen;
        Ok(())
    }
}

fn check_signal(dataset: &Dataset, from: u64, to: u64) -> Result<(), Failure> {
    let rows = dataset.read_vec::<f64>(from..to)?;
    match rows.iter().zip(from..to).find(|(value, row)| **value != signal(*row)) {
        None => Ok(()),
        Some((value, row)) => Err(Failure::Other(format!("row {row} is {value}, not {}", signal(row)))),
    }
}

fn check_frames(dataset: &Dataset, from: u64, to: u64) -> Result<(), Failure> {
    let pixels = dataset.read_vec::<u16>(from..to)?;
    let mut expected = Vec::new();
    for (found, row) in pixels.chunks_exact(SIDE * SIDE).zip(from..to) {
        expected.clear();
        frame(row, &mut expected);
        if found != expected {
            return Err(Failure::Other(format!("frame {row} is not what was written")));
        }
    }
    Ok(())
}
