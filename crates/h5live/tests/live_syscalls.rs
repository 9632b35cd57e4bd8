//! What a publication is to the kernel: strace as the judge.

use std::path::Path;
use std::time::Duration;

use h5live::File;
use h5live_testkit::scratch;
use h5live_testkit::tool::{self, Action};

const PATH: &str = "H5LIVE_SYSCALLS_PATH";
const DURABLE: &str = "H5LIVE_SYSCALLS_DURABLE";
const PAGE: u64 = 4096;
const ROWS: usize = 10;

/// Appends rows to a chunk that is there already, publishing each, and ends without closing.
fn append(path: &Path) {
    let file = File::create(path).unwrap();
    let rows = file.new_dataset::<f64>("rows").shape([0]).unlimited().chunks([1024]).create().unwrap();
    let live = file.go_live().unwrap();
    let publish = || match std::env::var_os(DURABLE) {
        Some(_) => live.publish_durably().unwrap(),
        None => live.publish().unwrap(),
    };
    rows.append(&[0.0]).unwrap();
    publish();
    for row in 0..ROWS {
        rows.append(&[row as f64]).unwrap();
        publish();
    }
    std::process::abort();
}

/// The last calls of a process that appends.
fn calls(test: &str, durable: bool) -> Vec<Action> {
    let scratch = scratch();
    let path = scratch.path().join("run.h5");
    let mut arguments = vec![format!("{PATH}={}", path.display())];
    arguments.extend(durable.then(|| format!("{DURABLE}=1")));
    arguments.push(std::env::current_exe().unwrap().display().to_string());
    arguments.extend([test.to_owned(), "--exact".to_owned()]);
    let made = tool::strace("env", arguments, |file| file == path, Duration::from_secs(60)).unwrap();
    made.into_iter().map(|call| call.action).collect()
}

#[test]
fn a_row_is_three_small_writes_and_no_sync() {
    if let Some(path) = std::env::var_os(PATH) {
        return append(Path::new(&path));
    }
    let calls = calls("a_row_is_three_small_writes_and_no_sync", false);
    assert!(!calls.contains(&Action::Sync), "{calls:?}");
    let rows = &calls[calls.len() - 3 * ROWS..];
    let (first, _) = written(&rows[0]);
    for (number, row) in rows.chunks(3).enumerate() {
        assert_eq!(written(&row[0]), (first + 8 * number as u64, 8), "the row goes behind the last one");
        let ((extent, length), (record, record_length)) = (written(&row[1]), written(&row[2]));
        assert!(length <= 32, "the extent is {length} bytes");
        assert!(record_length <= 256, "the record is {record_length} bytes");
        assert_eq!(extent / PAGE, (extent + length - 1) / PAGE, "the extent lies in one page");
        assert!(extent < first && first < record, "header, chunk and record follow each other in the file");
    }
}

#[test]
fn a_durable_row_is_settled_layer_by_layer() {
    if let Some(path) = std::env::var_os(PATH) {
        return append(Path::new(&path));
    }
    let calls = calls("a_durable_row_is_settled_layer_by_layer", true);
    for row in calls[calls.len() - 6 * ROWS..].chunks(6) {
        for pair in row.chunks(2) {
            written(&pair[0]);
            assert_eq!(pair[1], Action::Sync, "{row:?}");
        }
    }
}

fn written(call: &Action) -> (u64, u64) {
    match call {
        Action::Write { at: Some(at), length } => (*at, *length),
        other => panic!("not a write at a place: {other:?}"),
    }
}
