//! What the tests of the program share.

// Not every test file uses all of it.
#![allow(dead_code)]

use std::path::Path;
use std::time::Duration;

use h5live_testkit::process::{Child, Ended, Program};

/// Longer than anything takes: nothing waits for ever.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The program, in a directory.
pub(crate) fn h5live(directory: &Path, arguments: &[&str]) -> Program {
    Program::new(env!("CARGO_BIN_EXE_h5live")).args(arguments).directory(directory)
}

/// Runs it to its end.
pub(crate) fn run(directory: &Path, arguments: &[&str]) -> Ended {
    h5live(directory, arguments).run(LIMIT).unwrap()
}

/// Runs it with this on standard input.
pub(crate) fn feed(directory: &Path, arguments: &[&str], input: &[u8]) -> Ended {
    let path = directory.join(".input");
    std::fs::write(&path, input).unwrap();
    let script = r#"input="$1"; shift; exec "$@" < "$input""#;
    let program = Program::new("sh").args(["-c", script, "sh"]).arg(&path).arg(env!("CARGO_BIN_EXE_h5live"));
    program.args(arguments).directory(directory).run(LIMIT).unwrap()
}

/// Its standard output, when it succeeded.
#[track_caller]
pub(crate) fn output(ended: &Ended) -> String {
    assert_eq!(ended.status.code(), Some(0), "{}: {}", ended.program, String::from_utf8_lossy(&ended.errors));
    String::from_utf8(ended.output.clone()).unwrap()
}

/// Waits until the log has these words: also that of a program that has ended arrives in its own time.
#[track_caller]
pub(crate) fn await_log(child: &Child, words: &str) {
    let begun = std::time::Instant::now();
    while !child.log().contains(words) {
        assert!(begun.elapsed() < LIMIT, "no {words:?} in {}", child.log());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A file with all kinds of things in it.
pub(crate) fn example(path: &Path) {
    let file = h5live::File::create(path).unwrap();
    file.set_attribute("title", "an example").unwrap();
    let signal = file.new_dataset::<f64>("entry/signal").shape([0, 3]).unlimited().chunks([4, 3]).shuffle().gzip(4);
    let signal = signal.create().unwrap();
    signal.set_attribute("units", "mV").unwrap();
    signal.append(&(0..30).map(|value| f64::from(value) / 2.0).collect::<Vec<_>>()).unwrap();
    let names = file.new_dataset::<String>("entry/names").shape([2]).create().unwrap();
    names.write(.., &["one".to_owned(), "t, wo".to_owned()]).unwrap();
    file.new_dataset::<i32>("entry/number").create().unwrap().write_scalar(&-7i32).unwrap();
    file.root().link_soft("latest", "/entry/signal").unwrap();
    file.close().unwrap();
}
