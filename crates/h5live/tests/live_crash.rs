//! Writers that were killed, as real processes: h5py takes over from them, and what was never published is never seen. (Kills at any
//! instant are a campaign of `h5live-trial`.)

use std::path::Path;
use std::time::Duration;

use h5live::{Dataset, File};
use h5live_testkit::process::{self, Program};
use h5live_testkit::{H5py, Libhdf5, scratch};
use h5live_trial::campaign::{path_of, sets};
use h5live_trial::kinds::{FOLLOW, KINDS, Kind};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);

/// A writer in a process of its own, `FILE PATH`: creates the file or resumes it, and appends until it is killed, saying after each
/// publication how many rows every dataset has.
fn write(role: &str) {
    let (at, path) = role.split_once(' ').unwrap();
    let kinds = &sets()[at.parse::<usize>().unwrap()];
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
            kind.append(dataset, number as u64, kind.step).unwrap();
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
        let kinds = sets().pop().unwrap();
        let python = H5py::start(version).unwrap();
        for round in 0..3 {
            let mut writer =
                Program::this_test(TEST, &format!("{} {}", sets().len() - 1, path.display())).start().unwrap();
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
