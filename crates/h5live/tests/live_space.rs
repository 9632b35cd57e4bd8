//! What a file that grows in small steps takes on the disk.

use h5live::File;
use h5live_testkit::{H5py, Libhdf5, scratch};
use serde_json::json;

/// Rows of a chunk: 4000 bytes.
const CHUNK: u64 = 1000;

/// Writes rows one by one, each with a publication, and the same rows at once; returns the sizes of both files and the bytes that nothing
/// leads to in the first. h5py must read both alike.
fn written(python: &H5py, rows: u64, value: impl Fn(u64) -> u32) -> (u64, u64, u64) {
    let scratch = scratch();
    let paths = ["growing.h5", "at once.h5"].map(|name| scratch.path().join(name));
    let all: Vec<u32> = (0..rows).map(value).collect();
    let mut dead = 0;
    for (path, one_by_one) in paths.iter().zip([true, false]) {
        let file = File::create(path).unwrap();
        let dataset = file.new_dataset::<u32>("data").shape([0]).unlimited().chunks([CHUNK]).gzip(6).create().unwrap();
        if one_by_one {
            let live = file.go_live().unwrap();
            for row in &all {
                dataset.append(std::slice::from_ref(row)).unwrap();
                live.publish().unwrap();
            }
            dead = file.superseded_bytes().unwrap();
        } else {
            dataset.append(&all).unwrap();
        }
        drop(dataset);
        file.close().unwrap();
        let read = "
with h5py.File(arguments[0], 'r') as file:
    result = file['data'][:].tolist()
";
        assert_eq!(python.run(read, json!([path])).unwrap(), json!(all), "{}", path.display());
    }
    let [growing, at_once] = paths.map(|path| std::fs::metadata(path).unwrap().len());
    (growing, at_once, dead)
}

/// What libhdf5 makes of one such chunk that is flushed a thousand times has 1.9 MB.
#[test]
fn a_filtered_chunk_that_grows_takes_little_more_than_one_that_is_written_at_once() {
    let python = H5py::start(Libhdf5::V2_0).unwrap();
    let noise = |row: u64| (row as u32).wrapping_mul(2_654_435_761);
    let readings = |row: u64| 20_000 + (row as u32 * 7 + row as u32 / 3) % 50;
    for (name, value) in [("noise", &noise as &dyn Fn(u64) -> u32), ("readings", &readings)] {
        let (growing, at_once, dead) = written(&python, CHUNK, value);
        println!("{name}: {growing} bytes, {at_once} at once, {dead} dead");
        assert!(growing <= 3 * at_once, "{name}: {growing} bytes instead of {at_once}");
        // Row by row, each chunk leaves behind the room in which it was filled up, and nothing else.
        let (growing, at_once, dead) = written(&python, 20 * CHUNK, value);
        println!("{name}, 20 chunks: {growing} bytes, {at_once} at once, {dead} dead");
        assert_eq!(dead, 20 * CHUNK * 4, "{name}");
        assert!(growing <= at_once + dead + 4096, "{name}: {growing} bytes instead of {at_once} and {dead}");
    }
}
