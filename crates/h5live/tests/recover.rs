//! Files that libhdf5 SWMR writers leave when they are killed: `recover` saves everything that was flushed, in whatever program it
//! is read; `h5clear -s` does not.

use std::path::Path;
use std::time::Duration;

use h5live::check::Check;
use h5live::recover::{Recover, Remedy};
use h5live_storage::sim::Random;
use h5live_testkit::process::Program;
use h5live_testkit::{H5py, Libhdf5, scratch, tool};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);
/// Writers killed for each version of libhdf5, with and without flushing.
const KILLS: usize = 8;

/// Appends to four datasets in SWMR mode and says, after each flush, how many rows are flushed.
const WRITE: &str = r#"
import sys, h5py, numpy as np
path, flush = sys.argv[1], sys.argv[2] == "flush"
f = h5py.File(path, "w", libver="v110")
f.attrs["title"] = "killed"
made = [
    f.create_dataset("rows", (0, 10), "f8", maxshape=(None, 10), chunks=(7, 10), compression="gzip"),
    f.create_dataset("numbers", (0,), "i8", maxshape=(None,), chunks=(50,)),
    f.create_dataset("summed", (0,), "i8", maxshape=(None,), chunks=(16,), fletcher32=True, shuffle=True),
    f.create_dataset("grid", (0, 4), "f8", maxshape=(None, None), chunks=(4, 4)),
]
f.swmr_mode = True
print("live", flush=True)
n = 0
while True:
    for dataset in made:
        dataset.resize(n + 3, 0)
        wide = dataset.shape[1] if dataset.ndim == 2 else 1
        dataset[n:n + 3] = np.arange(n * wide, (n + 3) * wide).reshape((3,) + dataset.shape[1:])
    n += 3
    if flush or n == 300:
        for dataset in made:
            dataset.flush()
        print(n, flush=True)
"#;

/// The rows of each dataset that are right from the first on; fails where the file cannot be read.
const READ: &str = r#"
import numpy as np
f = h5py.File(arguments[0], "r")
assert f.attrs["title"] == "killed"
result = []
for name in ["rows", "numbers", "summed", "grid"]:
    found = f[name][()]
    wide = found.shape[1] if found.ndim == 2 else 1
    wanted = np.arange(found.size).reshape(found.shape)
    wrong = np.nonzero((found != wanted).reshape(len(found), wide).any(axis=1))[0]
    result.append(int(wrong[0]) if len(wrong) else len(found))
f.close()
"#;

fn read(python: &H5py, path: &Path) -> Result<Vec<u64>, String> {
    let found: Value = python.run(READ, json!([path])).map_err(|error| error.to_string())?;
    Ok(found.as_array().unwrap().iter().map(|rows| rows.as_u64().unwrap()).collect())
}

#[test]
fn what_a_killed_libhdf5_writer_flushed_is_saved() {
    let scratch = scratch();
    let pythons = Libhdf5::ALL.map(|version| H5py::start(version).unwrap());
    let mut random = Random::new(std::process::id().into());
    let (mut kills, mut lost_by_h5clear, mut beyond) = (0, 0, 0);
    for version in Libhdf5::ALL {
        for (flush, kill) in ["flush", "no"].into_iter().flat_map(|flush| (0..KILLS).map(move |kill| (flush, kill))) {
            let path = scratch.path().join("killed.h5");
            let writer = Program::new(version.python().unwrap()).args(["-c", WRITE]).arg(&path).arg(flush);
            let mut writer = writer.start().unwrap();
            writer.expect("live", LIMIT).unwrap();
            let mut flushed: u64 = writer.hear("the first flush", LIMIT).unwrap().parse().unwrap();
            std::thread::sleep(Duration::from_micros(random.below(150_000) as u64));
            writer.kill();
            while let Ok(line) = writer.hear("what it said before it ended", LIMIT) {
                flushed = line.parse().unwrap();
            }
            kills += 1;
            let at = format!("{version:?}, {flush}, kill {kill}: {flushed} rows flushed");

            let examined = Recover::examine(&path, |_| {}).unwrap();
            let saved = scratch.path().join("saved.h5");
            let recovered = examined.to(&saved, |_| true).unwrap();
            if flush == "flush" {
                assert_eq!(examined.remedy(), Remedy::Superblock, "{at}: {recovered:?}");
            }
            for python in &pythons {
                let rows = read(python, &saved).unwrap_or_else(|error| panic!("{at}: {error}"));
                assert!(rows.iter().all(|rows| *rows >= flushed), "{at}, and {rows:?} are there: {recovered:?}");
                beyond += u64::from(rows.iter().any(|rows| *rows > flushed));
            }
            tool::h5dump_header(&saved).unwrap();
            assert!(Check::new().file(&saved).unwrap().is_sound(), "{at}");

            // The file itself is as it was; recovered in place, it is what the copy is.
            if examined.remedy() == Remedy::Superblock {
                assert!(read(&pythons[0], &path).is_err(), "{at}: libhdf5 opens it as it was");
                let cleared = scratch.path().join("cleared.h5");
                std::fs::copy(&path, &cleared).unwrap();
                tool::h5clear(&cleared).unwrap();
                let kept = read(&pythons[0], &cleared);
                lost_by_h5clear +=
                    u64::from(kept.is_err() || kept.is_ok_and(|rows| rows.iter().any(|rows| *rows < flushed)));
                examined.in_place().unwrap();
                assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&saved).unwrap(), "{at}");
            }
        }
    }
    println!(
        "{kills} kills, h5clear -s lost flushed rows of {lost_by_h5clear}, more than was flushed was saved {beyond} times"
    );
    assert!(lost_by_h5clear > 0, "h5clear -s loses nothing: then this shows nothing");
}

/// Each kind of damage to a file that h5py made, and what of it is saved.
#[test]
fn torn_metadata_is_rebuilt_as_far_as_it_makes_sense() {
    let scratch = scratch();
    let path = scratch.path().join("whole.h5");
    let python = H5py::start(Libhdf5::V2_0).unwrap();
    let make = r#"
import numpy as np
with h5py.File(arguments[0], "w", libver="latest") as f:
    f.attrs["title"] = "killed"
    f.create_dataset("rows", data=np.arange(20000.0).reshape(-1, 10), maxshape=(None, 10), chunks=(7, 10), compression="gzip")
    f.create_dataset("numbers", data=np.arange(2000), maxshape=(None,), chunks=(50,))
    f.create_dataset("summed", data=np.arange(2000), chunks=(16,), fletcher32=True, shuffle=True)
    f.create_dataset("grid", data=np.arange(8000.0).reshape(-1, 4), maxshape=(None, None), chunks=(4, 4))
"#;
    python.run(make, json!([path])).unwrap();
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(read(&python, &path).unwrap(), [2000; 4]);
    let (mut rebuilt, mut in_full) = (0, 0);
    // A byte in the signature of each block: what it holds is there, and to be found by its place.
    for signature in ["EAHD", "EAIB", "EASB", "EADB", "FAHD", "FADB", "BTHD", "BTIN", "BTLF"] {
        let found = whole.windows(4).enumerate().filter(|(_, bytes)| *bytes == signature.as_bytes()).map(|(at, _)| at);
        for at in found.collect::<Vec<_>>() {
            let mut damaged = whole.clone();
            damaged[at + 1] ^= 0x20;
            let from = scratch.path().join("damaged.h5");
            std::fs::write(&from, damaged).unwrap();
            let saved = scratch.path().join("saved.h5");
            let examined = Recover::examine(&from, |_| {}).unwrap();
            let recovered = examined.to(&saved, |_| true).unwrap();
            if examined.remedy() != Remedy::Rebuild {
                continue; // An older node, which nothing names.
            }
            rebuilt += 1;
            assert!(!recovered.is_complete() && !recovered.damage.is_empty(), "{signature} at {at:#x}");
            let rows = read(&python, &saved).unwrap_or_else(|error| panic!("{signature} at {at:#x}: {error}"));
            in_full += u32::from(rows == [2000; 4]);
            assert!(rows.iter().filter(|rows| **rows == 2000).count() >= 3, "{signature} at {at:#x}: {rows:?}");
            assert!(Check::new().data(true).file(&saved).unwrap().is_sound());
        }
    }
    println!("{rebuilt} rebuilt, {in_full} in full");
    assert!(rebuilt > 20 && in_full > rebuilt * 3 / 4, "{in_full} of {rebuilt}");
}
