//! Writers killed at any instant: what they leave opens at once in stock h5py, plain, with `swmr=True` and for writing, with everything
//! acknowledged in it; `h5clear -s` loses nothing; and h5live appends to it again.

use std::path::Path;
use std::time::Duration;

use h5live::{Dataset, File};
use h5live_storage::sim::Random;
use h5live_testkit::formula::values;
use h5live_testkit::process::Program;
use h5live_testkit::{H5py, Libhdf5, scratch, tool};
use serde_json::{Value, json};

use super::{Failure, LIMIT, Report, player, program, say};
use crate::kinds::{Content, FOLLOW, KINDS, Kind, kind};

/// How often the writer of each file is killed.
const KILLS_OF_A_FILE: u64 = 12;
/// Rows a grid may come to in all sessions: it grows with their square.
const MOST_ROWS: u64 = 1200;

/// Groups of kinds, each written to a file of its own. libhdf5 can append to the last, too.
#[must_use]
pub fn sets() -> Vec<Vec<Kind>> {
    let numbers = ["chunk of 1", "chunk of 4", "gzip, parts of chunks", "gzip frames"].map(kind).to_vec();
    let trees = ["grid", "gzip grid", "text"].map(kind).to_vec();
    let wide = |kind: Kind| Kind { limit: Some(100_000), ..kind };
    let limited = [wide(kind("limited")), wide(kind("gzip limited")), kind("fletcher32")].to_vec();
    // What libhdf5 is to append to has chunks that always become smaller when compressed: where one happens to keep its size,
    // libhdf5 writes it in place and forgets to note in the index that its filters are now applied.
    let compressible = Kind { chunk: &[256], step: 30, ..kind("gzip, parts of chunks") };
    let appendable = vec![kind("chunk of 1"), kind("chunk of 4"), compressible, kind("frames")];
    vec![numbers, trees, limited, appendable]
}

/// The path of dataset number `at` of a set.
#[must_use]
pub fn path_of(at: usize) -> String {
    format!("group/dataset {at}")
}

/// Creates the file or resumes it, and appends until it is killed, saying after each publication how many rows every dataset has.
pub(super) fn write(set: &str, path: &str) -> Result<(), Failure> {
    let kinds = &sets()[set.parse::<usize>()?];
    let is_new = !Path::new(path).exists();
    let file = if is_new { File::create(path) } else { File::append(path) }?;
    let datasets = kinds
        .iter()
        .enumerate()
        .map(|(at, kind)| if is_new { kind.create(&file, &path_of(at)) } else { file.dataset(&path_of(at)) })
        .collect::<Result<Vec<Dataset>, _>>()?;
    let live = file.go_live()?;
    say(&rows(&datasets));
    loop {
        for (number, (kind, dataset)) in kinds.iter().zip(&datasets).enumerate() {
            if kind.content != Content::Grid || dataset.shape()[0] < MOST_ROWS {
                kind.append(dataset, number as u64, kind.step)?;
            }
        }
        live.publish()?;
        say(&rows(&datasets));
    }
}

fn rows(datasets: &[Dataset]) -> String {
    datasets.iter().map(|dataset| dataset.shape()[0].to_string()).collect::<Vec<_>>().join(" ")
}

pub(super) fn run(count: u64, seed: u64) -> Result<Report, Failure> {
    let mut report = Report::default();
    let pythons = Libhdf5::ALL.map(H5py::start);
    let [Ok(new), Ok(old)] = pythons else { return Err("h5py is not installed: run `cargo xtask setup`".into()) };
    let pythons = [new.with_limit(LIMIT), old.with_limit(LIMIT)];
    let mut random = Random::new(seed);
    let recorded = count / 5;
    for (number, kills) in parts(count - recorded).into_iter().enumerate() {
        let set = number % sets().len();
        kill_library(set, kills, &pythons, &mut random, &mut report)?;
    }
    for kills in parts(recorded) {
        kill_record(kills, &pythons, &mut random, &mut report)?;
    }
    Ok(report)
}

/// So many kills, by files.
fn parts(count: u64) -> Vec<u64> {
    let each = KILLS_OF_A_FILE.min(count.div_ceil(sets().len() as u64)).max(1);
    (0..count).step_by(each as usize).map(|done| each.min(count - done)).collect()
}

fn kill_library(
    set: usize,
    kills: u64,
    pythons: &[H5py; 2],
    random: &mut Random,
    report: &mut Report,
) -> Result<(), Failure> {
    let scratch = scratch();
    let path = scratch.path().join("run.h5");
    let kinds = &sets()[set];
    let mut seen = vec![0; kinds.len()];
    for _ in 0..kills {
        let mut writer = player(&["kills", &set.to_string(), &path.to_string_lossy()]).start()?;
        let mut acknowledged = parse(&writer.hear("being live", LIMIT)?)?;
        if acknowledged < seen {
            report.complain(format!("{acknowledged:?} rows after {seen:?} had been there"));
        }
        std::thread::sleep(Duration::from_micros(random.below(60_000) as u64));
        writer.kill();
        while let Ok(line) = writer.hear("what it said before it ended", LIMIT) {
            acknowledged = parse(&line)?;
        }
        report.count("writers of the library killed", 1);
        seen = read_own(kinds, &path)?;
        judge(kinds, &acknowledged, &path, pythons, report)?;
    }
    // In the end it is closed like any other file.
    let file = File::append(&path)?;
    for (at, kind) in kinds.iter().enumerate() {
        kind.append(&file.dataset(&path_of(at))?, at as u64, kind.step)?;
    }
    file.close()?;
    let rows = read_own(kinds, &path)?;
    for python in pythons {
        if read(python, kinds, &path, "r", false)? != rows {
            report.complain("h5py sees other rows than h5live in a closed file");
        }
    }
    Ok(())
}

fn parse(line: &str) -> Result<Vec<u64>, Failure> {
    Ok(line.split(' ').map(str::parse).collect::<Result<_, _>>()?)
}

/// The command-line program, fed lines until it is killed: what a follower has seen must be there afterwards.
fn kill_record(kills: u64, pythons: &[H5py; 2], random: &mut Random, report: &mut Report) -> Result<(), Failure> {
    let scratch = scratch();
    let path = scratch.path().join("run.h5");
    let kinds = [KINDS[0]];
    let mut fed = 0_u64;
    for _ in 0..kills {
        let at = [path.as_os_str(), "group/dataset 0".as_ref()];
        let program = Program::new(program("h5live")).arg("record").args(at);
        let mut writer = program.args(["--publish-every", "3", "--chunk", "64"]).start()?;
        let fed_before = fed;
        let begun = std::time::Instant::now();
        let life = Duration::from_micros(20_000 + random.below(60_000) as u64);
        let mut seen = vec![0];
        while begun.elapsed() < life {
            for value in values::<f64>(0, fed, 5) {
                writer.say(&value.to_string())?;
            }
            fed += 5;
            if let Ok(dataset) = File::follow(&path).and_then(|file| file.dataset("group/dataset 0")) {
                seen = vec![dataset.shape()[0]];
            }
        }
        writer.kill();
        report.count("programs `h5live record` killed", 1);
        if !path.exists() {
            fed = 0;
            continue;
        }
        // The next goes on after what the object header counts: that may be one publication more than followers were told of.
        match read(&pythons[0], &kinds, &path, "r", false) {
            Ok(rows) => fed = rows[0],
            // Killed before it was live: the file was still its own.
            Err(_) if seen == [0] && fed_before == 0 => {
                std::fs::remove_file(&path)?;
                fed = 0;
                report.count("killed before the file was live", 1);
                continue;
            }
            Err(error) => return Err(error),
        }
        judge(&kinds, &seen, &path, pythons, report)?;
    }
    Ok(())
}

/// What must hold of a file whose writer was killed.
fn judge(
    kinds: &[Kind],
    acknowledged: &[u64],
    path: &Path,
    pythons: &[H5py; 2],
    report: &mut Report,
) -> Result<(), Failure> {
    let mut at_least = |found: Result<Vec<u64>, Failure>, who: &str| match found {
        Ok(found) if found.iter().zip(acknowledged).all(|(found, acknowledged)| found >= acknowledged) => {
            report.count(format!("looks by {who}"), 1);
        }
        Ok(found) => report.complain(format!("{who} sees {found:?} of {acknowledged:?}")),
        Err(why) => report.complain(format!("{who}: {}", why.to_string().lines().next().unwrap_or_default())),
    };
    at_least(read_own(kinds, path), "h5live");
    let copy = path.with_extension("copy");
    for python in pythons {
        at_least(read(python, kinds, path, "r", false), "h5py, plain");
        at_least(read(python, kinds, path, "r", true), "h5py, swmr=True");
        // What changes the file, on a copy.
        std::fs::copy(path, &copy)?;
        at_least(read(python, kinds, &copy, "r+", false), "h5py, r+");
        at_least(read(python, kinds, &copy, "r", false), "h5py, after r+");
    }
    std::fs::copy(path, &copy)?;
    tool::h5clear(&copy)?;
    at_least(read(&pythons[0], kinds, &copy, "r", false), "h5py, after h5clear -s");
    at_least(read_own(kinds, &copy), "h5live, after h5clear -s");
    // And appended to at once.
    std::fs::copy(path, &copy)?;
    let append = || -> Result<Vec<u64>, Failure> {
        let file = File::append(&copy)?;
        let live = file.go_live()?;
        for (at, kind) in kinds.iter().enumerate() {
            kind.append(&file.dataset(&path_of(at))?, at as u64, kind.step)?;
        }
        live.publish()?;
        live.close()?;
        read_own(kinds, &copy)
    };
    at_least(append(), "h5live, appending");
    at_least(read(&pythons[1], kinds, &copy, "r", false), "h5py, after h5live appended");
    Ok(())
}

/// Reads everything with h5py and returns the rows of every dataset.
fn read(python: &H5py, kinds: &[Kind], path: &Path, mode: &str, swmr: bool) -> Result<Vec<u64>, Failure> {
    let datasets: Vec<Value> =
        kinds.iter().enumerate().map(|(at, kind)| kind.in_python(&path_of(at), at as u64)).collect();
    let datasets: Vec<Value> = datasets
        .into_iter()
        .map(|mut spec| {
            // Rows come in any number.
            spec["step"] = 1.into();
            spec
        })
        .collect();
    let arguments =
        json!({"path": path, "mode": mode, "swmr": swmr, "end": null, "form": "rows", "datasets": datasets});
    let found = python.run(FOLLOW, arguments)?;
    (0..kinds.len()).map(|at| found["seen"][&path_of(at)].as_u64().ok_or_else(|| "no rows".into())).collect()
}

/// Reads everything with h5live and returns the rows of every dataset.
fn read_own(kinds: &[Kind], path: &Path) -> Result<Vec<u64>, Failure> {
    let file = File::open(path)?;
    let rows = kinds.iter().enumerate().map(|(at, kind)| {
        let dataset = file.dataset(&path_of(at))?;
        let rows = dataset.shape()[0];
        kind.check_shape(&dataset.shape())?;
        kind.check(&dataset, at as u64, 0..rows)?;
        Ok(rows)
    });
    rows.collect()
}
