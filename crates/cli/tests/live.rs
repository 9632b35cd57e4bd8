//! `record`, `tail -f`, `watch` and `demo`: several processes at one file.

mod common;

use std::fs;
use std::time::Duration;

use common::{LIMIT, await_log, feed, h5live, output, run};
use h5live_testkit::process::{Child, Program};
use h5live_testkit::{python, scratch};
use serde_json::{Value as Json, json};

/// Opens the file until it can be read and has rows; the recording process takes its time.
fn rows_of(path: &std::path::Path, dataset: &str) -> u64 {
    h5live::File::follow(path)
        .and_then(|file| file.dataset(dataset))
        .map_or(0, |dataset| dataset.shape().first().copied().unwrap_or(0))
}

#[track_caller]
fn await_rows(path: &std::path::Path, dataset: &str, rows: u64) {
    let begun = std::time::Instant::now();
    while rows_of(path, dataset) < rows {
        assert!(begun.elapsed() < LIMIT, "{} of {rows} rows", rows_of(path, dataset));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn recording_every_format() {
    let directory = scratch();
    let tail = |file: &str, path: &str| output(&run(directory.path(), &["tail", file, path, "--format", "csv"]));
    let recorded = feed(directory.path(), &["record", "a.h5"], b"t,v\n1,2.5\n3,\n");
    assert_eq!(output(&recorded), "", "nothing but data on standard output");
    assert!(String::from_utf8_lossy(&recorded.errors).contains("recorded 2 rows"));
    assert_eq!(tail("a.h5", "data"), "1.0,2.5\n3.0,NaN\n");

    output(&feed(directory.path(), &["record", "a.h5"], b"5,6\n"));
    assert_eq!(tail("a.h5", "data"), "1.0,2.5\n3.0,NaN\n5.0,6.0\n", "a file that is there is appended to");
    output(&feed(directory.path(), &["record", "a.h5", "more/things", "--columns"], b"t,name\n1,x\n2,y z\n"));
    assert_eq!(
        (tail("a.h5", "more/things/t"), tail("a.h5", "more/things/name")),
        ("1.0\n2.0\n".into(), "x\ny z\n".into())
    );
    output(&feed(directory.path(), &["record", "a.h5", "--overwrite", "--dtype", "i32"], b"7\n"));
    assert_eq!(output(&run(directory.path(), &["ls", "-rp", "a.h5"])), "/data\n");

    let lines = b"{\"n\": 1, \"v\": [1, 2], \"on\": true}\n{\"n\": 2, \"v\": [3, 4], \"on\": false}\n";
    output(&feed(directory.path(), &["record", "b.h5", "log", "--format", "jsonl"], lines));
    assert_eq!((tail("b.h5", "log/v"), tail("b.h5", "log/on")), ("1.0,2.0\n3.0,4.0\n".into(), "true\nfalse\n".into()));

    let raw: Vec<u8> = (0..3000u16).flat_map(u16::to_be_bytes).collect();
    let arguments =
        "record c.h5 frames --format raw --dtype >u2 --row-shape 2,3 --gzip 6 --shuffle --chunk 10 --durable";
    output(&feed(directory.path(), &arguments.split(' ').collect::<Vec<_>>(), &raw));
    let told = output(&run(directory.path(), &["ls", "-l", "c.h5"]));
    assert!(told.contains("(500, 2, 3)") && told.contains("u16be  chunked (10, 2, 3), shuffle, gzip 6"), "{told}");
    assert_eq!(run(directory.path(), &["tail", "c.h5", "-n", "+0", "--format", "raw"]).output, raw);

    let script = "import numpy, sys\nfor i in range(3): numpy.save(sys.stdout.buffer, numpy.full((i + 1, 2), i, 'f4'))";
    let arrays = Program::new(python().unwrap()).args(["-c", script]).output(LIMIT).unwrap();
    output(&feed(directory.path(), &["record", "d.h5", "--format", "npy"], &arrays));
    let told = output(&run(directory.path(), &["tail", "d.h5", "--format", "jsonl"]));
    assert_eq!(told, "[0.0,0.0]\n[1.0,1.0]\n[1.0,1.0]\n[2.0,2.0]\n[2.0,2.0]\n[2.0,2.0]\n");
    let script = "import h5py; d = h5py.File('d.h5')['data']; print(d.shape, d.dtype, d[:].sum())";
    let told = Program::new(python().unwrap()).args(["-c", script]).directory(directory.path()).output(LIMIT).unwrap();
    assert_eq!(String::from_utf8_lossy(&told), "(6, 2) float32 16.0\n");
}

#[test]
fn what_cannot_be_recorded_is_told_and_the_rest_kept() {
    let directory = scratch();
    for (arguments, input, words, rows) in [
        (&["record", "a.h5"][..], &b"1\n2\nx\n4\n"[..], "line 3, \"column_0\": \"x\" is no number", 2),
        (&["record", "a.h5"], b"1,2\n", "has rows of shape (), not (2,)", 2),
        (&["record", "a.h5", "--dtype", "i8"], b"1\n", "is of f64, not i8", 2),
        (&["record", "b.h5", "--format", "jsonl"], b"1\n{", "line 2", 1),
        (&["record", "c.h5", "--format", "raw", "--dtype", "u2"], b"\x01\x00\x02", "1 of 2 bytes", 1),
        (&["record", "d.h5", "--format", "npy"], b"1,2,3\n4,5,6\n", "numpy.save", 0),
    ] {
        let ended = feed(directory.path(), arguments, input);
        let errors = String::from_utf8_lossy(&ended.errors);
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}: {errors}");
        assert!(errors.contains(words), "{arguments:?}: {errors}");
        assert_eq!(rows_of(&directory.path().join(arguments[1]), "data"), rows, "{arguments:?}");
        let state = h5live::File::open(directory.path().join(arguments[1])).unwrap().writer_state().unwrap();
        assert_eq!(state, h5live::WriterState::Closed, "{arguments:?}");
    }
}

#[test]
fn rows_are_published_by_number_or_by_time() {
    let directory = scratch();
    let path = directory.path().join("a.h5");
    let mut writer = h5live(directory.path(), &["record", "a.h5", "--publish-every", "3"]).start().unwrap();
    for value in ["1", "2", "3", "4"] {
        writer.say(value).unwrap();
    }
    await_rows(&path, "data", 3);
    // The fourth is no third row: it waits for two more, or the end.
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(rows_of(&path, "data"), 3);
    writer.finish(LIMIT).unwrap();
    assert_eq!(rows_of(&path, "data"), 4);

    let mut writer = h5live(directory.path(), &["record", "a.h5", "--publish-every", "20ms"]).start().unwrap();
    writer.say("5").unwrap();
    await_rows(&path, "data", 5);
    writer.say("6").unwrap();
    await_rows(&path, "data", 6);
    // Meanwhile nobody else may write.
    let ended = feed(directory.path(), &["record", "a.h5"], b"1\n");
    let errors = String::from_utf8_lossy(&ended.errors);
    assert_eq!(ended.status.code(), Some(4), "{errors}");
    assert!(errors.contains(&format!("pid {}", writer.id())), "{errors}");
    let told = output(&run(directory.path(), &["info", "a.h5"]));
    assert!(told.contains(&format!("pid {}", writer.id())), "{told}");
    writer.finish(LIMIT).unwrap();
}

#[test]
fn ctrl_c_closes_the_recording() {
    let directory = scratch();
    let path = directory.path().join("a.h5");
    let mut writer = h5live(directory.path(), &["record", "a.h5", "--publish-every", "1000"]).start().unwrap();
    for value in 0..5 {
        writer.say(&value.to_string()).unwrap();
    }
    let begun = std::time::Instant::now();
    while !path.exists() || h5live::File::follow(&path).is_err() {
        assert!(begun.elapsed() < LIMIT);
        std::thread::sleep(Duration::from_millis(5));
    }
    // Its input stays open: it is the signal that ends it.
    std::thread::sleep(Duration::from_millis(200));
    writer.interrupt().unwrap();
    let begun = std::time::Instant::now();
    while writer.is_running() {
        assert!(begun.elapsed() < LIMIT, "{}", writer.log());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(writer.wait(LIMIT).unwrap().code(), Some(130));
    await_log(&writer, "interrupted; a.h5: recorded 5 rows");
    assert_eq!(h5live::File::open(&path).unwrap().writer_state().unwrap(), h5live::WriterState::Closed);
    assert_eq!(rows_of(&path, "data"), 5);
}

/// A recording process with rows 1 and 2 published.
fn writer_with_two_rows(directory: &std::path::Path) -> Child {
    let mut writer = h5live(directory, &["record", "a.h5", "--publish-every", "1"]).start().unwrap();
    writer.say("1").unwrap();
    writer.say("2").unwrap();
    await_rows(&directory.join("a.h5"), "data", 2);
    writer
}

#[test]
fn following_until_the_writer_closes() {
    let directory = scratch();
    let mut writer = writer_with_two_rows(directory.path());
    let mut tail = h5live(directory.path(), &["tail", "-f", "-n", "1", "a.h5"]).start().unwrap();
    tail.expect("2.0", LIMIT).unwrap();
    for value in ["3", "4"] {
        writer.say(value).unwrap();
        tail.expect(&format!("{value}.0"), LIMIT).unwrap();
    }
    writer.say("5").unwrap();
    writer.finish(LIMIT).unwrap();
    tail.expect("5.0", LIMIT).unwrap();
    tail.finish(LIMIT).unwrap();
}

#[test]
fn following_until_the_writer_dies() {
    let directory = scratch();
    let mut writer = writer_with_two_rows(directory.path());
    let mut tail = h5live(directory.path(), &["tail", "-f", "--format", "jsonl", "a.h5"]).start().unwrap();
    tail.expect("1.0", LIMIT).unwrap();
    tail.expect("2.0", LIMIT).unwrap();
    let mut watch = h5live(directory.path(), &["watch", "a.h5"]).start().unwrap();
    watch.hear("the head of the table", LIMIT).unwrap();
    writer.kill();
    assert_eq!(tail.wait(LIMIT).unwrap().code(), Some(5), "{}", tail.log());
    await_log(&tail, "died at commit");
    assert_eq!(watch.wait(LIMIT).unwrap().code(), Some(5), "{}", watch.log());
    let told = output(&run(directory.path(), &["info", "a.h5"]));
    assert!(told.contains("died; what it published is there"), "{told}");
    output(&feed(directory.path(), &["record", "a.h5"], b"3\n"));
    assert_eq!(output(&run(directory.path(), &["tail", "a.h5"])), "1.0\n2.0\n3.0\n");
}

#[test]
fn following_h5py() {
    let directory = scratch();
    let script = "
import h5py, sys
f = h5py.File('p.h5', 'w', libver='latest')
d = f.create_dataset('data', (0,), maxshape=(None,), chunks=(4,), dtype='i4')
f.swmr_mode = True
print('live', flush=True)
for line in sys.stdin:
    d.resize((d.shape[0] + 1,))
    d[-1] = int(line)
    d.flush()
f.close()
";
    let mut writer = Program::new(python().unwrap()).args(["-c", script]).directory(directory.path()).start().unwrap();
    writer.expect("live", LIMIT).unwrap();
    let mut tail = h5live(directory.path(), &["tail", "-f", "p.h5"]).start().unwrap();
    for value in 1..20 {
        writer.say(&value.to_string()).unwrap();
        tail.expect(&value.to_string(), LIMIT).unwrap();
    }
    writer.finish(LIMIT).unwrap();
    tail.finish(LIMIT).unwrap();
}

#[test]
fn a_reader_that_stops_ends_following() {
    let directory = scratch();
    let _writer = writer_with_two_rows(directory.path());
    // The writer says nothing more: only by looking can `tail` notice that `head` has gone.
    let script = format!("({} tail -f a.h5; echo $? >code) | head -n 1", env!("CARGO_BIN_EXE_h5live"));
    let ended = Program::new("sh").args(["-c", &script]).directory(directory.path()).run(LIMIT).unwrap();
    assert_eq!(String::from_utf8_lossy(&ended.output), "1.0\n");
    assert_eq!(fs::read_to_string(directory.path().join("code")).unwrap().trim(), "0");
}

#[test]
fn watching_tells_of_every_growth() {
    let directory = scratch();
    let patient = &["watch", "--wait", "30", "--json", "a.h5"];
    // Before there is a file.
    let mut watch = h5live(directory.path(), patient).start().unwrap();
    let mut writer = writer_with_two_rows(directory.path());
    std::thread::sleep(Duration::from_millis(200));
    writer.say("3").unwrap();
    let mut end = 0;
    while end < 3 {
        let line = watch.hear("a growth", LIMIT).unwrap();
        let line: Json = serde_json::from_str(&line).unwrap();
        assert_eq!(line["path"], "/data");
        assert!(line["lag_ms"].as_f64().is_some_and(|lag| (0.0..60_000.0).contains(&lag)), "{line}");
        let (from, to) = (line["rows"][0].as_u64().unwrap(), line["rows"][1].as_u64().unwrap());
        assert!(from < to && (end == 0 || from == end), "{line} after {end}");
        assert_eq!(line["shape"], json!([to]));
        end = to;
    }
    writer.finish(LIMIT).unwrap();
    watch.finish(LIMIT).unwrap();
}

#[test]
fn the_demo_checks_itself() {
    let directory = scratch();
    let demo = h5live(directory.path(), &["demo", "--seconds", "1.5", "--keep", "demo.h5"]);
    let told = output(&demo.env("H5LIVE_PYTHON", python().unwrap()).run(LIMIT).unwrap());
    assert!(told.contains("All 3 readers saw every row of theirs") && told.contains("h5py"), "{told}");
    assert!(!told.contains('\u{1b}'), "no colours and no cursor where there is no terminal: {told}");
    let frames = output(&run(directory.path(), &["ls", "-l", "demo.h5"]));
    assert!(frames.lines().any(|line| line.contains("shuffle, gzip 4  ") && line.ends_with("  frames")), "{frames}");
}
