//! Datasets published together are seen together, whenever one looks; and rows within the extent are never fill values.

use std::path::Path;
use std::time::Duration;

use h5live::{Dataset, File, WriterState};
use h5live_testkit::history::{History, check_together};
use h5live_testkit::scratch;

use super::{Failure, LIMIT, Report, player, say};
use crate::kinds::{Kind, kind};

/// Publications of a file before the next is begun.
const PUBLICATIONS: u64 = 150_000;
/// Followers in processes' stead: each has a file of its own.
const FOLLOWERS: usize = 2;

/// What is counted: a refresh that showed nothing new proves nothing.
const SHOWED_MORE: &str = "refreshes that showed more";

fn datasets() -> Vec<Kind> {
    let wide = |kind: Kind| Kind { limit: Some(10_000_000), ..kind };
    let one_row = |kind: Kind| Kind { step: 1, ..kind };
    vec![
        one_row(kind("chunk of 4")),
        kind("chunk of 1024"),
        one_row(Kind { chunk: &[256], ..kind("gzip, parts of chunks") }),
        wide(kind("limited")),
        kind("frames"),
    ]
}

pub(super) fn write(most: &str, path: &str) -> Result<(), Failure> {
    let file = File::create(path)?;
    let mut handles = Vec::new();
    for (at, kind) in datasets().into_iter().enumerate() {
        handles.push((at as u64, kind, kind.create(&file, &format!("dataset {at}"))?));
    }
    let live = file.go_live()?;
    say("live");
    for _ in 0..most.parse::<u64>()? {
        for (at, kind, dataset) in &handles {
            kind.append(dataset, *at, 1)?;
        }
        live.publish()?;
    }
    live.close()?;
    Ok(())
}

pub(super) fn run(count: u64) -> Result<Report, Failure> {
    let mut report = Report::default();
    let scratch = scratch();
    let mut round = 0;
    while report.figure(SHOWED_MORE) < count && report.is_clean() {
        round += 1;
        let path = scratch.path().join(format!("{round}.h5"));
        let left = count - report.figure(SHOWED_MORE);
        let most = PUBLICATIONS.min(4 * left).max(2000);
        let mut writer = player(&["together", &most.to_string(), &path.to_string_lossy()]).start()?;
        writer.expect("live", LIMIT)?;
        let found: Vec<Result<Report, Failure>> = std::thread::scope(|scope| {
            let followers: Vec<_> = (0..FOLLOWERS).map(|_| scope.spawn(|| follow(&path, left))).collect();
            let all = followers.into_iter().map(|it| it.join().unwrap_or_else(|_| Err("a thread panicked".into())));
            all.collect()
        });
        for found in found {
            report.add(found?);
        }
        writer.finish(Duration::from_secs(600))?;
        report.count("publications", most);
        std::fs::remove_file(&path)?;
    }
    Ok(report)
}

fn follow(path: &Path, most: u64) -> Result<Report, Failure> {
    let mut report = Report::default();
    let file = File::follow(path)?;
    let kinds = datasets();
    let datasets =
        (0..kinds.len()).map(|at| file.dataset(&format!("dataset {at}"))).collect::<Result<Vec<Dataset>, _>>()?;
    let mut histories: Vec<History> =
        kinds.iter().enumerate().map(|(at, kind)| History::new(at as u64, kind.row.iter().product::<u64>())).collect();
    let mut looked = 0;
    while report.figure(SHOWED_MORE) < most {
        let changed = file.refresh()?;
        report.count("refreshes", 1);
        let lengths: Vec<u64> = datasets.iter().map(|dataset| dataset.shape()[0]).collect();
        if let Err(why) = check_together(&lengths) {
            report.complain(why.to_string());
        }
        if !changed {
            // The end is looked for now and then: asking costs more than refreshing.
            looked += 1;
            if looked % 1000_u64 == 0 && file.writer_state()? == WriterState::Closed {
                break;
            }
            continue;
        }
        report.count(SHOWED_MORE, 1);
        let rows = lengths[0];
        // The newest rows of one dataset after the other.
        let at = (report.figure("refreshes") % kinds.len() as u64) as usize;
        let newest = rows.saturating_sub(3)..rows;
        let values = datasets[at].read_vec::<f64>(newest.clone())?;
        if let Err(why) = histories[at].check(rows, newest, &values) {
            report.complain(why.to_string());
        }
        if report.figure(SHOWED_MORE).is_multiple_of(64) && file.writer_state()? == WriterState::Closed {
            break;
        }
    }
    Ok(report)
}
