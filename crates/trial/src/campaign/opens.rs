//! Anyone may open it: stock readers that open a file again and again while it is appended to at full speed.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use h5live::File;
use h5live_testkit::formula::values;
use h5live_testkit::{H5py, Libhdf5, scratch, tool};
use serde_json::{Value, json};

use super::{Failure, LIMIT, Report, player, say};
use crate::kinds::{Kind, kind};

/// Publications of a file before the next is begun: files stay small enough to be looked at in whole.
const PUBLICATIONS: u64 = 20_000;
/// New objects come once in so many publications.
const ARRIVE: u64 = 50;
/// Of the opens, one in so many is h5dump's.
const DUMPED: u64 = 50;

/// Opens the file until it is closed, each time with some rows of some datasets and the newest objects.
const OPEN: &str = concat!(include_str!("../../python/rows.py"), include_str!("../../python/open.py"));

/// Small ones, and one of each index.
fn datasets() -> Vec<Kind> {
    let limited = Kind { limit: Some(1_000_000), ..kind("limited") };
    let grid = Kind { chunk: &[16, 4], ..kind("gzip grid") };
    let mut all = vec![kind("chunk of 4"), kind("gzip, parts of chunks"), kind("gzip frames"), limited, grid];
    all.extend([kind("chunk of 1024"); 40]);
    all
}

/// Rows a grid may come to.
const MOST_ROWS: u64 = 1000;

pub(super) fn write(most: &str, path: &str) -> Result<(), Failure> {
    let file = File::create(path)?;
    let kinds = datasets();
    let mut handles = Vec::new();
    for (at, kind) in kinds.iter().enumerate() {
        handles.push(kind.create(&file, &format!("dataset {at}"))?);
    }
    file.create_group("all")?;
    let live = file.go_live()?;
    say("live");
    for step in 1..=most.parse::<u64>()? {
        for (at, (kind, dataset)) in kinds.iter().zip(&handles).enumerate() {
            if kind.content != crate::kinds::Content::Grid || dataset.shape()[0] < MOST_ROWS {
                kind.append(dataset, at as u64, kind.step)?;
            }
        }
        if step.is_multiple_of(ARRIVE) {
            let number = step / ARRIVE;
            let dataset = kind("chunk of 4").create(&file, &format!("all/{number}/data"))?;
            kind("chunk of 4").append(&dataset, number, 6)?;
            dataset.set_attribute("step", number)?;
        }
        live.publish()?;
    }
    live.close()?;
    say("closed");
    Ok(())
}

pub(super) fn run(count: u64, seed: u64) -> Result<Report, Failure> {
    let mut report = Report::default();
    let sorts = [(Libhdf5::V2_0, false), (Libhdf5::V1_14, false), (Libhdf5::V2_0, true), (Libhdf5::V1_14, true)];
    let pythons = sorts
        .into_iter()
        .map(|(version, swmr)| Ok((H5py::start(version)?.with_limit(Duration::from_secs(900)), version, swmr)))
        .collect::<Result<Vec<_>, Failure>>()?;
    let scratch = scratch();
    let mut round = 0;
    while report.figure("opens") < count && report.is_clean() {
        round += 1;
        let path = scratch.path().join(format!("{round}.h5"));
        let end = path.with_extension("end");
        let left = count - report.figure("opens");
        let most = if left < 2000 { 1500 } else { PUBLICATIONS };
        let mut writer = player(&["opens", &most.to_string(), &path.to_string_lossy()]).start()?;
        writer.expect("live", LIMIT)?;
        let closed = AtomicBool::new(false);
        let found = std::thread::scope(|scope| {
            let readers: Vec<_> = pythons
                .iter()
                .map(|(python, version, swmr)| {
                    let (path, end) = (&path, &end);
                    scope.spawn(move || follow(python, *version, *swmr, path, end, seed ^ round))
                })
                .collect();
            let dumping = scope.spawn(|| dump(&path, &closed, left / DUMPED));
            let ended = writer.expect("closed", Duration::from_secs(900));
            closed.store(true, Ordering::Relaxed);
            let ended = ended.map_err(Failure::from).and_then(|()| Ok(std::fs::write(&end, "")?));
            let mut found: Vec<Result<Report, Failure>> = readers.into_iter().map(|it| joined(it.join())).collect();
            found.push(joined(dumping.join()));
            ended.map(|()| found)
        })?;
        for found in found {
            report.add(found?);
        }
        report.count("publications", most);
        std::fs::remove_file(&path)?;
    }
    Ok(report)
}

fn joined(result: std::thread::Result<Result<Report, Failure>>) -> Result<Report, Failure> {
    result.unwrap_or_else(|_| Err("a thread panicked".into()))
}

fn follow(python: &H5py, version: Libhdf5, swmr: bool, path: &Path, end: &Path, seed: u64) -> Result<Report, Failure> {
    let specs: Vec<Value> =
        datasets().iter().enumerate().map(|(at, kind)| kind.in_python(&format!("dataset {at}"), at as u64)).collect();
    let arriving = kind("chunk of 4").in_python("data", 0);
    let arguments = json!({
        "path": path, "end": end, "swmr": swmr, "seed": seed, "datasets": specs, "arriving": arriving,
    });
    let found = python.run(OPEN, arguments)?;
    let mut report = Report::default();
    let opens = found["opens"].as_u64().unwrap_or(0);
    let who = format!("libhdf5 {version:?}, {}", if swmr { "swmr=True" } else { "plain" });
    report.count("opens", opens);
    report.count(format!("opens by {who}"), opens);
    report.count("rows compared", found["rows"].as_u64().unwrap_or(0));
    for (error, many) in found["errors"].as_object().into_iter().flatten() {
        report.count(format!("errors of {who}: {error}"), many.as_u64().unwrap_or(0));
    }
    for wrong in found["wrong"].as_array().into_iter().flatten() {
        report.complain(format!("{who}: {}", wrong.as_str().unwrap_or_default()));
    }
    Ok(report)
}

/// h5dump 1.10, one dataset in whole each time.
fn dump(path: &Path, closed: &AtomicBool, most: u64) -> Result<Report, Failure> {
    let mut report = Report::default();
    let mut before = 0;
    while !closed.load(Ordering::Relaxed) && report.figure("opens by h5dump 1.10") < most.max(20) {
        report.count("opens", 1);
        report.count("opens by h5dump 1.10", 1);
        match tool::h5dump_bytes(path, "/dataset 7") {
            Ok(bytes) => {
                let found: Vec<f64> = bytes.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
                report.count("rows compared", found.len() as u64);
                if found != values::<f64>(7, 0, found.len()) || found.len() < before {
                    report.complain(format!("h5dump shows {} rows after {before}, or others", found.len()));
                }
                before = found.len();
            }
            Err(error) => {
                let line = error.to_string();
                report.count("errors of h5dump 1.10", 1);
                report.note(format!("h5dump 1.10: {}", line.lines().map(str::trim).collect::<Vec<_>>().join(" | ")));
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(report)
}
