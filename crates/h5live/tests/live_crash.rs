//! Writers killed at any instant, as real processes: what they leave opens at once in stock h5py, with everything acknowledged in it,
//! and is appended to again, by h5live and by h5py.

use std::path::Path;
use std::time::Duration;

use h5live::{Dataset, File};
use h5live_storage::sim::Random;
use h5live_testkit::process::{self, Program};
use h5live_testkit::{H5py, Libhdf5, scratch, tool};
use h5live_trial::kinds::{Content, FOLLOW, KINDS, Kind, kind};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);
/// How often the writer of each file is killed.
const KILLS: usize = 12;

/// Groups of kinds, each written to a file of its own.
fn files() -> Vec<Vec<Kind>> {
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

/// Rows a grid may come to in all sessions: it grows with their square.
const MOST_ROWS: u64 = 1200;

fn path_of(at: usize) -> String {
    format!("group/dataset {at}")
}

/// A writer in a process of its own, `FILE PATH`: creates the file or resumes it, and appends until it is killed, saying after each
/// publication how many rows every dataset has.
fn write(role: &str) {
    let (at, path) = role.split_once(' ').unwrap();
    let kinds = &files()[at.parse::<usize>().unwrap()];
    let is_new = !Path::new(path).exists();
    let file = if is_new { File::create(path) } else { File::append(path) }.unwrap();
    let datasets: Vec<Dataset> = kinds
        .iter()
        .enumerate()
        .map(|(at, kind)| if is_new { kind.create(&file, &path_of(at)) } else { file.dataset(&path_of(at)) }.unwrap())
        .collect();
    let live = file.go_live().unwrap();
    process::say(&rows(&datasets));
    loop {
        for (number, (kind, dataset)) in kinds.iter().zip(&datasets).enumerate() {
            if kind.content != Content::Grid || dataset.shape()[0] < MOST_ROWS {
                kind.append(dataset, number as u64, kind.step).unwrap();
            }
        }
        live.publish().unwrap();
        process::say(&rows(&datasets));
    }
}

fn rows(datasets: &[Dataset]) -> String {
    datasets.iter().map(|dataset| dataset.shape()[0].to_string()).collect::<Vec<_>>().join(" ")
}

/// Reads everything with h5py and returns the rows of every dataset.
fn read(python: &H5py, kinds: &[Kind], path: &Path, mode: &str, swmr: bool) -> Vec<u64> {
    let datasets: Vec<Value> =
        kinds.iter().enumerate().map(|(at, kind)| kind.in_python(&path_of(at), at as u64)).collect();
    let arguments =
        json!({"path": path, "mode": mode, "swmr": swmr, "end": null, "form": "rows", "datasets": datasets});
    let found = python.run(FOLLOW, arguments).unwrap_or_else(|error| panic!("{mode} swmr={swmr}: {error}"));
    (0..kinds.len()).map(|at| found["seen"][&path_of(at)].as_u64().unwrap()).collect()
}

/// Reads everything with h5live and returns the rows of every dataset.
fn read_own(kinds: &[Kind], path: &Path) -> Vec<u64> {
    let file = File::open(path).unwrap();
    let rows = kinds.iter().enumerate().map(|(at, kind)| {
        let dataset = file.dataset(&path_of(at)).unwrap();
        let rows = dataset.shape()[0];
        kind.check_shape(&dataset.shape()).unwrap();
        kind.check(&dataset, at as u64, 0..rows).unwrap();
        rows
    });
    rows.collect()
}

#[test]
fn killed_at_any_instant() {
    const TEST: &str = "killed_at_any_instant";
    if let Some(role) = process::role() {
        return write(&role);
    }
    let scratch = scratch();
    let pythons = Libhdf5::ALL.map(|version| H5py::start(version).unwrap());
    let mut random = Random::new(std::process::id().into());
    let (mut kills, mut opens) = (0, 0);
    for (number, kinds) in files().iter().enumerate() {
        let path = scratch.path().join(format!("{number}.h5"));
        let mut seen = vec![0; kinds.len()];
        for kill in 0..KILLS {
            let mut writer = Program::this_test(TEST, &format!("{number} {}", path.display())).start().unwrap();
            let parse = |line: &str| -> Vec<u64> { line.split(' ').map(|rows| rows.parse().unwrap()).collect() };
            let mut acknowledged = parse(&writer.hear("being live", LIMIT).unwrap());
            assert!(acknowledged >= seen, "{acknowledged:?} rows after {seen:?} had been there");
            std::thread::sleep(Duration::from_micros(random.below(60_000) as u64));
            writer.kill();
            kills += 1;
            while let Ok(line) = writer.hear("what it said before it ended", LIMIT) {
                acknowledged = parse(&line);
            }
            let at_least = |found: &[u64], who: &str| {
                let whole = found.iter().zip(&acknowledged).all(|(found, acknowledged)| found >= acknowledged);
                assert!(whole, "{who} sees {found:?} of {acknowledged:?}, file {number}, kill {kill}");
            };
            // What a reader has seen stays.
            seen = read_own(kinds, &path);
            at_least(&seen, "h5live");
            for python in &pythons {
                at_least(&read(python, kinds, &path, "r", false), "h5py");
                at_least(&read(python, kinds, &path, "r", true), "h5py with swmr=True");
                opens += 2;
            }
            // What changes the file, on a copy.
            let copy = scratch.path().join("copy.h5");
            for python in &pythons {
                std::fs::copy(&path, &copy).unwrap();
                at_least(&read(python, kinds, &copy, "r+", false), "h5py for writing");
                at_least(&read(python, kinds, &copy, "r", false), "h5py after h5py wrote");
                opens += 2;
            }
            std::fs::copy(&path, &copy).unwrap();
            tool::h5clear(&copy).unwrap();
            at_least(&read(&pythons[0], kinds, &copy, "r", false), "h5py after h5clear");
            at_least(&read_own(kinds, &copy), "h5live after h5clear");
            opens += 1;
        }
        // In the end it is closed like any other file.
        let file = File::append(&path).unwrap();
        for (at, kind) in kinds.iter().enumerate() {
            kind.append(&file.dataset(&path_of(at)).unwrap(), at as u64, kind.step).unwrap();
        }
        file.close().unwrap();
        let rows = read_own(kinds, &path);
        for python in &pythons {
            assert_eq!(read(python, kinds, &path, "r", false), rows);
        }
        println!("file {number}: {rows:?} rows after {KILLS} kills, {} bytes", std::fs::metadata(&path).unwrap().len());
    }
    println!("{kills} kills, {opens} opens by h5py");
}

/// libhdf5 appends to what a killed h5live writer left, and h5live to what libhdf5 made of it.
#[test]
fn h5py_takes_over() {
    const TEST: &str = "h5py_takes_over";
    if let Some(role) = process::role() {
        return write(&role);
    }
    let scratch = scratch();
    for (number, version) in Libhdf5::ALL.into_iter().enumerate() {
        let path = scratch.path().join(format!("{version:?}.h5"));
        let kinds = files().pop().unwrap();
        let python = H5py::start(version).unwrap();
        for round in 0..3 {
            let mut writer =
                Program::this_test(TEST, &format!("{} {}", files().len() - 1, path.display())).start().unwrap();
            writer.hear("being live", LIMIT).unwrap();
            std::thread::sleep(Duration::from_millis(5 + 3 * round));
            writer.kill();
            let before = read_own(&kinds, &path);
            let code = "
file = h5py.File(arguments[0], 'r+')
for path, number, step in arguments[1]:
    ds = file[path]
    start = ds.shape[0]
    ds.resize(start + step, axis=0)
    ds[start:] = formula.rows(number, start, step, ds.shape[1:], 'f8')
file.close()
";
            let datasets: Vec<_> =
                kinds.iter().enumerate().map(|(at, kind)| (path_of(at), at, 7 * kind.step)).collect();
            python.run(code, json!([path, datasets])).unwrap();
            // Between extent and commit record, libhdf5 sees one publication more than followers are told of.
            for ((rows, before), kind) in read_own(&kinds, &path).into_iter().zip(before).zip(&kinds) {
                let wanted = before + 7 * kind.step;
                assert!(
                    [wanted, wanted + kind.step].contains(&rows),
                    "file {number}, round {round}: {rows}, not {wanted}"
                );
            }
        }
    }
}

/// Sessions that were killed before their first publication, again and again: nothing piles up that readers could see.
#[test]
fn killed_before_anything_was_published() {
    const TEST: &str = "killed_before_anything_was_published";
    if let Some(path) = process::role() {
        let file = File::append(&path).unwrap();
        let _live = file.go_live().unwrap();
        for (at, kind) in KINDS.iter().enumerate() {
            kind.append(&file.dataset(&path_of(at)).unwrap(), 77, 3 * kind.step).unwrap();
            file.create_group(&format!("never {at}")).unwrap();
        }
        process::say("appended");
        let _ = process::hear();
        return;
    }
    let scratch = scratch();
    let path = scratch.path().join("run.h5");
    let file = File::create(&path).unwrap();
    for (at, kind) in KINDS.iter().enumerate() {
        let dataset = kind.create(&file, &path_of(at)).unwrap();
        kind.append(&dataset, at as u64, 2 * kind.step).unwrap();
    }
    file.close().unwrap();
    let wanted: Vec<u64> = KINDS.iter().map(|kind| 2 * kind.step).collect();
    let python = H5py::start(Libhdf5::V2_0).unwrap();
    for _ in 0..5 {
        let mut writer = Program::this_test(TEST, &path.display().to_string()).start().unwrap();
        writer.expect("appended", LIMIT).unwrap();
        writer.kill();
        assert_eq!(read_own(KINDS, &path), wanted);
        assert_eq!(read(&python, KINDS, &path, "r", false), wanted);
        assert!(!File::open(&path).unwrap().contains("never 0").unwrap());
    }
    // What nobody published is not seen where the extent grows over it either.
    let file = File::append(&path).unwrap();
    for (at, kind) in KINDS.iter().enumerate() {
        let dataset = file.dataset(&path_of(at)).unwrap();
        let mut shape = dataset.shape();
        shape[0] += 2 * kind.step;
        dataset.resize(shape).unwrap();
    }
    file.close().unwrap();
    let file = File::open(&path).unwrap();
    for (at, kind) in KINDS.iter().enumerate() {
        let dataset = file.dataset(&path_of(at)).unwrap();
        kind.check(&dataset, at as u64, 0..wanted[at]).unwrap();
        let new = dataset.read_raw(wanted[at]..2 * wanted[at]).unwrap();
        assert!(new.iter().all(|byte| *byte == 0), "{}: {new:?}", kind.name);
    }
}
