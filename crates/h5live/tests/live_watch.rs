//! Being told of new rows: every row once, an end when the writer closes, an error when it died, and nothing to do in between.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use h5live::{ErrorKind, File, Watch, WriterState};
use h5live_storage::Memory;
use h5live_testkit::formula::values;
use h5live_testkit::process::{self, Program};
use h5live_testkit::{H5py, Libhdf5, scratch};
use h5live_trial::kinds::{KINDS, Kind, WRITE, kind};
use serde_json::{Value, json};

/// Within which everything must be over.
const LIMIT: Duration = Duration::from_secs(30);
/// Rows of a long run.
const MANY: u64 = 6000;

/// A writer in a process of its own: `ROWS PATH`. It creates the file, appends when it is told to, and closes when it is told to.
fn write(role: &str) {
    let (rows, path) = role.split_once(' ').unwrap();
    let kind = KINDS[0];
    let file = File::create(path).unwrap();
    let dataset = kind.create(&file, "data").unwrap();
    let live = file.go_live().unwrap();
    process::say("live");
    assert_eq!(process::hear().as_deref(), Some("go"));
    let (mut done, rows) = (0, rows.parse::<u64>().unwrap());
    while done < rows {
        // One row at a time, and bursts.
        let step = [1, 1, 1, 7, 1, 40][done as usize % 6].min(rows - done);
        kind.append(&dataset, 0, step).unwrap();
        live.publish().unwrap();
        done += step;
    }
    process::say("written");
    assert_eq!(process::hear().as_deref(), Some("close"));
    drop(dataset);
    drop(live);
    file.close().unwrap();
}

/// Checks all that a watch tells from row `from` on, until it ends; returns how many rows there are and how often it told.
fn listen(watch: Watch, kind: &Kind, number: u64, from: u64) -> Result<(u64, u64), h5live::Error> {
    let (mut seen, mut told) = (from, 0);
    let dataset = watch.dataset().clone();
    for growth in watch {
        let growth = growth?;
        assert_eq!(growth.rows.start, seen, "a row is told once");
        assert!(growth.rows.end > seen, "what is told is new");
        assert_eq!(growth.shape[0], growth.rows.end);
        kind.check(&dataset, number, growth.rows.clone()).unwrap();
        seen = growth.rows.end;
        told += 1;
    }
    Ok((seen, told))
}

#[test]
fn every_row_is_told_once() {
    if let Some(role) = process::role() {
        return write(&role);
    }
    let scratch = scratch();
    let path = scratch.path().join("run.h5");
    let mut writer =
        Program::this_test("every_row_is_told_once", &format!("{MANY} {}", path.display())).start().unwrap();
    writer.expect("live", LIMIT).unwrap();
    let watches: Vec<_> =
        (0..3).map(|_| File::follow(&path).unwrap().dataset("data").unwrap().watch().unwrap()).collect();
    let results: Vec<_> = std::thread::scope(|scope| {
        let listening: Vec<_> =
            watches.into_iter().map(|watch| scope.spawn(|| listen(watch, &KINDS[0], 0, 0).unwrap())).collect();
        writer.say("go").unwrap();
        writer.expect("written", LIMIT).unwrap();
        assert!(listening.iter().all(|thread| !thread.is_finished()), "a watch lasts as long as its writer");
        writer.say("close").unwrap();
        listening.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    writer.finish(LIMIT).unwrap();
    println!("(rows, times told): {results:?}");
    for (rows, told) in results {
        assert_eq!(rows, MANY);
        assert!(told > 1, "told while it was written");
    }
    // Who comes late is told everything at once, and the end.
    let late = File::follow(&path).unwrap().dataset("data").unwrap().watch_from(MANY - 5).unwrap();
    assert_eq!(listen(late, &KINDS[0], 0, MANY - 5).unwrap(), (MANY, 1));
}

#[test]
fn waiting_closed_and_died_are_told_apart() {
    const TEST: &str = "waiting_closed_and_died_are_told_apart";
    if let Some(role) = process::role() {
        return write(&role);
    }
    let scratch = scratch();
    for killed in [false, true] {
        let path = scratch.path().join(format!("{killed}.h5"));
        let mut writer = Program::this_test(TEST, &format!("500 {}", path.display())).start().unwrap();
        writer.expect("live", LIMIT).unwrap();
        let file = File::follow(&path).unwrap();
        let dataset = file.dataset("data").unwrap();
        let mut watch = dataset.watch().unwrap().with_timeout(Duration::from_millis(50));
        assert!(watch.next().is_none() && !watch.has_ended(), "nothing new yet");
        let state = file.writer_state().unwrap();
        assert!(matches!(&state, WriterState::Live(it) if it.pid == writer.id()), "{state:?}");
        writer.say("go").unwrap();
        writer.expect("written", LIMIT).unwrap();
        if killed {
            writer.kill();
        } else {
            writer.say("close").unwrap();
            writer.finish(LIMIT).unwrap();
        }
        let mut told = 0;
        let end = loop {
            match watch.next() {
                Some(Ok(growth)) => {
                    assert_eq!(growth.rows.start, told);
                    told = growth.rows.end;
                }
                Some(Err(error)) => break Some(error),
                None if watch.has_ended() => break None,
                None => {}
            }
        };
        assert_eq!(told, 500, "rows come before the end");
        assert!(watch.next().is_none() && watch.has_ended(), "an end is the end");
        let state = file.writer_state().unwrap();
        if killed {
            let error = end.expect("a dead writer is an error");
            let pid = format!("pid {}", writer.id());
            assert!(matches!(error.kind(), ErrorKind::WriterDied { writer, .. } if writer.contains(&pid)), "{error}");
            assert!(matches!(state, WriterState::Died(_)), "{state:?}");
        } else {
            assert!(end.is_none(), "{end:?}");
            assert_eq!(state, WriterState::Closed);
        }
    }
}

#[test]
fn what_stock_h5py_writes_is_told_too() {
    let scratch = scratch();
    for version in Libhdf5::ALL {
        for name in ["chunk of 4", "gzip, parts of chunks", "grid"] {
            let kind = kind(name);
            let path = scratch.path().join(format!("{version:?} {name}.h5"));
            let (live, stop) = (path.with_extension("live"), path.with_extension("stop"));
            let python = H5py::start(version).unwrap();
            let (rows, told) = std::thread::scope(|scope| {
                let arguments = json!({
                    "path": path, "live": live, "stop": stop, "most": 300, "datasets": [kind.in_python("data", 0)],
                });
                let writing = scope.spawn(|| python.run(WRITE, arguments));
                wait_for(&live);
                let watch = File::follow(&path).unwrap().dataset("data").unwrap().watch_from(0).unwrap();
                let listening = scope.spawn(move || listen(watch, &kind, 0, 0).unwrap());
                assert_eq!(writing.join().unwrap().unwrap(), 300);
                assert!(!listening.is_finished(), "a watch lasts as long as its writer");
                python.run("files.pop('writer').close()", Value::Null).unwrap();
                listening.join().unwrap()
            });
            assert_eq!(rows, 300 * kind.step, "{version:?} {name}");
            assert!(told > 1);
        }
    }
}

/// A libhdf5 writer that died leaves nothing by which to tell: whoever waits for it says for how long.
#[test]
fn a_dead_h5py_writer_is_waited_for_no_longer_than_asked() {
    let scratch = scratch();
    let path = scratch.path().join("run.h5");
    let (live, stop) = (path.with_extension("live"), path.with_extension("stop"));
    let python = H5py::start(Libhdf5::V2_0).unwrap();
    let datasets = [KINDS[0].in_python("data", 0)];
    python.run(WRITE, json!({"path": path, "live": live, "stop": stop, "most": 20, "datasets": datasets})).unwrap();
    python.kill();
    let file = File::follow(&path).unwrap();
    let watch = file.dataset("data").unwrap().watch_from(0).unwrap().with_timeout(Duration::from_millis(300));
    assert_eq!(listen(watch, &KINDS[0], 0, 0).unwrap().0, 20);
    assert_eq!(file.writer_state().unwrap(), WriterState::Foreign);
}

#[test]
fn bytes_that_are_no_file_are_looked_at_again_and_again() {
    let storage = Arc::new(Memory::new());
    let file = File::create_with(storage.clone()).unwrap();
    let dataset = KINDS[0].create(&file, "data").unwrap();
    let live = file.go_live().unwrap();
    let follower = File::open_with(storage).unwrap();
    assert!(!follower.waker().is_notified());
    let watch = follower.dataset("data").unwrap().watch().unwrap();
    std::thread::scope(|scope| {
        let listening = scope.spawn(|| listen(watch, &KINDS[0], 0, 0).unwrap());
        for _ in 0..200 {
            KINDS[0].append(&dataset, 0, 1).unwrap();
            live.publish().unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
        live.clone().close().unwrap();
        let (rows, told) = listening.join().unwrap();
        assert_eq!(rows, 200);
        assert!(told > 1 && told < 200, "told {told} times");
    });
}

#[test]
fn waiting_takes_no_time_of_the_processor() {
    if let Some(path) = process::role() {
        let watch = File::follow(path).unwrap().dataset("data").unwrap().watch().unwrap();
        process::say("waiting");
        let before = ticks();
        let mut watch = watch.with_timeout(Duration::from_millis(1500));
        assert!(watch.next().is_none());
        return process::say(&(ticks() - before).to_string());
    }
    let scratch = scratch();
    let path = scratch.path().join("run.h5");
    let file = File::create(&path).unwrap();
    KINDS[0].create(&file, "data").unwrap();
    let _live = file.go_live().unwrap();
    let mut waiting =
        Program::this_test("waiting_takes_no_time_of_the_processor", &path.display().to_string()).start().unwrap();
    waiting.expect("waiting", LIMIT).unwrap();
    let ticks: u64 = waiting.hear("its time", LIMIT).unwrap().parse().unwrap();
    waiting.finish(LIMIT).unwrap();
    // A tick is 10 ms: the timer may have struck once or twice.
    assert!(ticks <= 2, "{ticks} ticks");
}

/// User and system time of this process.
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // The name before it may hold spaces, but ends with the last parenthesis; then the state is field 3.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Two axes that grow are watched each by itself.
#[test]
fn any_axis_can_be_watched() {
    let scratch = scratch();
    let path = scratch.path().join("run.h5");
    let file = File::create(&path).unwrap();
    let dataset =
        file.new_dataset::<f64>("data").shape([2, 0]).resizable([None, None]).chunks([2, 4]).create().unwrap();
    let live = file.go_live().unwrap();
    let mut watch = File::follow(&path).unwrap().dataset("data").unwrap().watch().unwrap().along(1);
    assert_eq!(watch.poll().unwrap(), None);
    dataset.append_along(1, &values::<f64>(0, 0, 6)).unwrap();
    live.publish().unwrap();
    let growth = watch.next().unwrap().unwrap();
    assert_eq!((growth.rows, growth.shape, growth.commit), (0..3, vec![2, 3], Some(1)));
    live.close().unwrap();
    assert!(watch.next().is_none() && watch.has_ended());
}

fn wait_for(path: &Path) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(begun.elapsed() < LIMIT, "{} does not come", path.display());
        std::thread::sleep(Duration::from_millis(2));
    }
}
