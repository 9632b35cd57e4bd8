//! What a publication costs that many datasets are part of.

use std::time::{Duration, Instant};

use h5live::{Dataset, File};
use h5live_testkit::formula::values;
use h5live_testkit::scratch;

use super::{Failure, Report};
use crate::kinds::kind;

/// How many datasets a publication is measured with.
const WIDTHS: [usize; 4] = [1, 10, 100, 1000];

/// Measures `count` publications of each width: one row more in every dataset, visible, and one dataset of as many.
pub(super) fn run(count: u64) -> Result<Report, Failure> {
    let mut report = Report::default();
    let scratch = scratch();
    for width in WIDTHS {
        let path = scratch.path().join(format!("{width}.h5"));
        let file = File::create(&path)?;
        let kind = kind("chunk of 1024");
        let datasets: Vec<Dataset> =
            (0..width).map(|at| kind.create(&file, &format!("dataset {at}"))).collect::<Result<_, _>>()?;
        let live = file.go_live()?;
        let publish = |datasets: &[Dataset]| -> Result<(Duration, Duration), Failure> {
            let rows: Vec<(u64, u64)> =
                datasets.iter().enumerate().map(|(at, it)| (at as u64, it.shape()[0])).collect();
            let begun = Instant::now();
            for (dataset, (at, row)) in datasets.iter().zip(rows) {
                dataset.append(&values::<f64>(at, row, 1))?;
            }
            let appended = begun.elapsed();
            live.publish()?;
            Ok((appended, begun.elapsed() - appended))
        };
        for (what, part) in [("all", &datasets[..]), ("one", &datasets[..1])] {
            let mut times = (0..count).map(|_| publish(part)).collect::<Result<Vec<_>, _>>()?;
            times.sort_unstable_by_key(|(_, published)| *published);
            let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
            report.note(format!(
                "{width} datasets, {what} of them changed: appending {:.1} us, publishing {:.1} us (median), {:.1} us (p99)",
                at(0.5).0.as_secs_f64() * 1e6,
                at(0.5).1.as_secs_f64() * 1e6,
                at(0.99).1.as_secs_f64() * 1e6,
            ));
            report.count("publications", count);
        }
        // A follower sees all of them together.
        let lengths = |file: &File| -> Result<Vec<u64>, Failure> {
            (0..width).map(|at| Ok(file.dataset(&format!("dataset {at}"))?.shape()[0])).collect()
        };
        let follower = File::follow(&path)?;
        let begun = Instant::now();
        publish(&datasets)?;
        follower.refresh()?;
        report.note(format!(
            "{width} datasets: a follower is up to date after {:.1} us",
            begun.elapsed().as_secs_f64() * 1e6
        ));
        let found = lengths(&follower)?;
        if found[0] != 2 * count + 1 || found[1..].iter().any(|rows| *rows != count + 1) {
            report.complain(format!("a follower sees {found:?}"));
        }
        live.close()?;
    }
    Ok(report)
}
