//! Each classic program against h5py on the other side, and against its counterpart here.

use std::path::Path;
use std::time::Duration;

use h5live_testkit::process::{Child, Program};
use h5live_testkit::{python, scratch};

/// Longer than anything takes: nothing waits for ever.
const LIMIT: Duration = Duration::from_secs(60);

const APPEND: &str = env!("CARGO_BIN_EXE_swmr_append");
const MONITOR: &str = env!("CARGO_BIN_EXE_swmr_monitor");
const INOTIFY: &str = env!("CARGO_BIN_EXE_swmr_inotify");
const MULTIPROCESS: &str = env!("CARGO_BIN_EXE_swmr_multiprocess");

/// A writer in h5py that appends four integers at each line it hears, and says so.
const H5PY_WRITER: &str = "
import sys
import h5py, numpy as np
f = h5py.File(sys.argv[1], 'w', libver='latest')
arr = np.array([1, 2, 3, 4])
dset = f.create_dataset(sys.argv[2], chunks=(2,), maxshape=(None,), data=arr)
f.swmr_mode = True
print('live', flush=True)
for i, line in enumerate(sys.stdin):
    dset.resize(((i + 1) * len(arr),))
    dset[i * len(arr):] = arr
    dset.flush()
    print('event', flush=True)
f.close()
";

/// A reader in h5py that opens the file as soon as it can, says each shape it sees, checks that every element is what was
/// written, and ends at the shape it was given.
const H5PY_READER: &str = "
import sys, time
import h5py
begun = time.monotonic()
def patience():
    if time.monotonic() - begun > 50:
        sys.exit('no end in 50 s')
    time.sleep(0.001)
print('ready', flush=True)
while True:
    try:
        f = h5py.File(sys.argv[1], 'r', libver='latest', swmr=True)
        dset = f[sys.argv[2]]
        break
    except (OSError, KeyError):
        patience()
seen = None
while True:
    dset.refresh()
    shape = dset.shape
    if shape != seen:
        print(shape, flush=True)
        values = list(dset[:])
        if values != [1, 2, 3, 4] * (shape[0] // 4) or (seen and shape < seen):
            sys.exit(f'{values} after {seen}')
        seen = shape
    if shape == (int(sys.argv[3]),):
        break
    patience()
";

fn h5py(script: &str, directory: &Path, arguments: &[&str]) -> Child {
    let python =
        python().unwrap_or_else(|error| panic!("{error}; `cargo xtask setup` makes one, or set H5LIVE_PYTHON"));
    Program::new(python).args(["-c", script]).args(arguments).directory(directory).start().unwrap()
}

fn ours(program: &str, directory: &Path, arguments: &[&str]) -> Child {
    Program::new(program).args(arguments).directory(directory).start().unwrap()
}

/// The rows that h5py reads from a file that nobody writes.
fn rows(directory: &Path, file: &str, dataset: &str) -> String {
    let script = "import h5py, sys; print(list(map(int, h5py.File(sys.argv[1])[sys.argv[2]][:])))";
    h5py(script, directory, &[file, dataset]).hear("the rows", LIMIT).unwrap()
}

const TWENTY: &str = "[1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4]";

/// Waits until the log has these words: also that of a program that has ended arrives in its own time.
#[track_caller]
fn await_log(child: &mut Child, words: &str) {
    let begun = std::time::Instant::now();
    while !child.log().contains(words) {
        assert!(begun.elapsed() < LIMIT, "no {words:?} in {}", child.log());
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn append_beside_an_h5py_reader() {
    let directory = scratch();
    let mut reader = h5py(H5PY_READER, directory.path(), &["swmr.h5", "data", "20"]);
    reader.expect("ready", LIMIT).unwrap();
    let mut writer = ours(APPEND, directory.path(), &[]);
    writer.finish(LIMIT).unwrap();
    reader.finish(LIMIT).unwrap();
    for shape in ["(4,)", "(8,)", "(12,)", "(16,)", "(20,)"] {
        await_log(&mut writer, &format!("Resizing dset shape: {shape}"));
    }
    assert_eq!(rows(directory.path(), "swmr.h5", "data"), TWENTY);
}

#[test]
fn append_takes_file_and_dataset() {
    let directory = scratch();
    ours(APPEND, directory.path(), &["other.h5", "entry/numbers"]).finish(LIMIT).unwrap();
    assert_eq!(rows(directory.path(), "other.h5", "entry/numbers"), TWENTY);
}

#[test]
fn monitor_of_an_h5py_writer() {
    let directory = scratch();
    let mut writer = h5py(H5PY_WRITER, directory.path(), &["swmr.h5", "data"]);
    writer.expect("live", LIMIT).unwrap();
    let mut monitor = ours(MONITOR, directory.path(), &[]);
    for shape in ["(4,)", "(8,)", "(12,)"] {
        writer.say("append").unwrap();
        writer.expect("event", LIMIT).unwrap();
        await_log(&mut monitor, &format!("Read data shape: {shape}"));
    }
    writer.finish(LIMIT).unwrap();
    monitor.finish(LIMIT).unwrap();
    await_log(&mut monitor, "File writer closed file");
}

#[test]
fn monitor_of_our_writer() {
    let directory = scratch();
    ours(APPEND, directory.path(), &[]).finish(LIMIT).unwrap();
    let mut monitor = ours(MONITOR, directory.path(), &[]);
    monitor.finish(LIMIT).unwrap();
    await_log(&mut monitor, "Read data shape: (20,)");
}

#[test]
fn inotify_of_an_h5py_writer() {
    let directory = scratch();
    let mut writer = h5py(H5PY_WRITER, directory.path(), &["swmr.h5", "data"]);
    writer.expect("live", LIMIT).unwrap();
    let mut monitor = ours(INOTIFY, directory.path(), &[]);
    await_log(&mut monitor, "Read data shape: (4,)");
    for end in [4, 8, 12, 16, 20] {
        writer.say("append").unwrap();
        writer.expect("event", LIMIT).unwrap();
        await_log(&mut monitor, &format!("Read data shape: ({end},)"));
        await_log(&mut monitor, &format!("Reading out dataset [{}:{end}]", end - 4));
    }
    writer.finish(LIMIT).unwrap();
    monitor.finish(LIMIT).unwrap();
    await_log(&mut monitor, "File writer closed file");
    let last =
        |log: &str| log.split_once("File writer closed file").map(|(_, last)| last.to_owned()).unwrap_or_default();
    let begun = std::time::Instant::now();
    while !last(&monitor.log()).contains("Read data shape: (20,)") {
        assert!(begun.elapsed() < LIMIT, "{}", monitor.log());
    }
    let log = monitor.log();
    assert_eq!(log.matches("[1, 2, 3, 4]").count(), 5, "each row once: {log}");
}

#[test]
fn inotify_of_our_writer() {
    let directory = scratch();
    ours(APPEND, directory.path(), &[]).finish(LIMIT).unwrap();
    // A second session, slow enough to be watched.
    let path = directory.path().join("swmr.h5");
    let live = h5live::File::append(&path).unwrap().go_live().unwrap();
    let data = live.dataset("data").unwrap();
    let mut monitor = ours(INOTIFY, directory.path(), &[]);
    await_log(&mut monitor, "Reading out dataset [0:20]");
    data.append(&[5i64, 6]).unwrap();
    live.publish().unwrap();
    await_log(&mut monitor, "Reading out dataset [20:22]");
    live.close().unwrap();
    monitor.finish(LIMIT).unwrap();
    await_log(&mut monitor, "File writer closed file");
}

#[test]
fn multiprocess_by_itself_and_beside_an_h5py_reader() {
    let directory = scratch();
    let mut reader = h5py(H5PY_READER, directory.path(), &["swmrmp.h5", "data", "20"]);
    reader.expect("ready", LIMIT).unwrap();
    let mut both = ours(MULTIPROCESS, directory.path(), &[]);
    both.finish(LIMIT).unwrap();
    reader.finish(LIMIT).unwrap();
    for words in
        ["Starting reader", "Waiting for initial event", "SWMR mode", "Sending event", "Read dset shape: (20,)"]
    {
        await_log(&mut both, words);
    }
    assert_eq!(rows(directory.path(), "swmrmp.h5", "data"), TWENTY);
}

#[test]
fn multiprocess_reader_of_an_h5py_writer() {
    let directory = scratch();
    let mut writer = h5py(H5PY_WRITER, directory.path(), &["swmrmp.h5", "data"]);
    let mut reader = ours(MULTIPROCESS, directory.path(), &["--reader", "swmrmp.h5", "data"]);
    writer.expect("live", LIMIT).unwrap();
    reader.say("event").unwrap();
    await_log(&mut reader, "Opening file swmrmp.h5");
    for end in [4, 8, 12] {
        writer.say("append").unwrap();
        writer.expect("event", LIMIT).unwrap();
        reader.say("event").unwrap();
        await_log(&mut reader, &format!("Read dset shape: ({end},)"));
    }
    writer.finish(LIMIT).unwrap();
    reader.finish(LIMIT).unwrap();
}

#[test]
fn multiprocess_writer_signals_an_h5py_reader() {
    let directory = scratch();
    let mut reader = h5py(H5PY_READER, directory.path(), &["swmrmp.h5", "data", "20"]);
    reader.expect("ready", LIMIT).unwrap();
    let mut writer = ours(MULTIPROCESS, directory.path(), &["--writer"]);
    // One when it is live, one after each append.
    for _ in 0..6 {
        writer.expect("event", LIMIT).unwrap();
    }
    writer.finish(LIMIT).unwrap();
    reader.finish(LIMIT).unwrap();
}

#[test]
fn a_reader_without_a_writer_says_so() {
    let directory = scratch();
    for (program, arguments, words) in [
        (MONITOR, &["none.h5"][..], "none.h5"),
        (INOTIFY, &["none.h5"], "none.h5"),
        (MULTIPROCESS, &["--reader", "none.h5"], "no event in 2 s"),
    ] {
        let mut child = ours(program, directory.path(), arguments);
        assert_eq!(child.wait(LIMIT).unwrap().code(), Some(1), "{program}");
        await_log(&mut child, words);
    }
}
