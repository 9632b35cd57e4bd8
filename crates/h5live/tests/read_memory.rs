//! What is held in memory beside the caller's buffer. Alone in its program, whose peak it watches.
#![cfg(target_os = "linux")]

use h5live::File;
use h5live_testkit::scratch;

/// The most memory that the process had at any time, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix("kB").unwrap().trim().parse::<u64>().unwrap() * 1024
}

#[test]
fn conversion_holds_a_piece_for_each_core() {
    const ELEMENTS: u64 = 40 << 20;
    let directory = scratch();
    let path = directory.path().join("large.h5");
    let file = File::create(&path).unwrap();
    // In small parts, so that writing has no higher peak than reading.
    let values = |first: u64, len: u64| (first..first + len).map(|at| at as i8).collect::<Vec<i8>>();
    let contiguous = file.new_dataset::<i8>("contiguous").shape([ELEMENTS]).create().unwrap();
    for first in (0..ELEMENTS).step_by(1 << 20) {
        contiguous.write(first..first + (1 << 20), &values(first, 1 << 20)).unwrap();
    }
    let chunked = file.new_dataset::<i8>("chunked").shape([40, 1 << 20]).chunks([8, 1 << 14]).create().unwrap();
    for row in 0..40 {
        chunked.write(row..row + 1, &values(row << 20, 1 << 20)).unwrap();
    }
    file.close().unwrap();
    let file = File::open(&path).unwrap();
    let mut out = vec![1i16; ELEMENTS as usize];
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let allowed = (4 << 20) * cores + (8 << 20);
    for name in ["contiguous", "chunked"] {
        let dataset = file.dataset(name).unwrap();
        let before = peak();
        dataset.read_into(.., &mut out).unwrap();
        let more = peak() - before;
        assert!(more <= allowed, "{name}: {more} bytes more, {allowed} allowed");
        assert!((0..).zip(&out).all(|(at, value)| *value == i16::from(at as u64 as i8)), "{name}");
    }
    // What this can see: a copy of all elements beside the buffer.
    let before = peak();
    let raw = file.dataset("contiguous").unwrap().read_raw(..).unwrap();
    assert!(peak() - before > ELEMENTS / 2, "beside {} bytes", raw.len());
}
