//! Finding things in large files: many objects, many chunks, many small reads.

use std::path::Path;

use crate::contest::{Contest, Contestant, Outcome, Work};
use crate::h5py;

const OBJECTS: u64 = 10_000;
const READS: u64 = 100_000;

/// The versions of the format that h5py writes: its default, and the newest.
const FORMATS: [&str; 2] = ["earliest", "latest"];

/// Opening a file of 10,000 datasets in 100 groups that h5py wrote, and telling shape, type and an attribute of each.
pub(crate) fn walk(contest: &Contest) -> Outcome {
    for format in FORMATS {
        println!("  {format}");
        let path = contest.path(&format!("walk-{format}.h5"));
        h5py::run(
            &path,
            &format!(
                "f = h5py.File(path, 'w', libver='{format}')\n\
                 for g in range(100):\n\
                 \x20   group = f.create_group(f'group{{g:02}}')\n\
                 \x20   for d in range(100):\n\
                 \x20       group.create_dataset(f'dataset{{d:02}}', data=[1.5, 2.5]).attrs['number'] = d\n\
                 f.close(); seconds = 0"
            ),
        )?;
        let ours = || {
            let file = h5live::File::open(&path)?;
            let mut seen = 0;
            for link in file.links()? {
                let h5live::Object::Group(group) = file.root().open_link(&link)? else { continue };
                for link in group.links()? {
                    let h5live::Object::Dataset(dataset) = group.open_link(&link)? else { continue };
                    assert_eq!((dataset.shape(), dataset.datatype().size()), (vec![2], 8));
                    assert!(dataset.attribute("number")?.read_scalar::<i64>()? < 100);
                    seen += 1;
                }
            }
            assert_eq!(seen, OBJECTS);
            Ok(())
        };
        let theirs = "begun = time.perf_counter()\n\
             f = h5py.File(path, 'r'); seen = 0\n\
             for group in f.values():\n\
             \x20   for dataset in group.values():\n\
             \x20       assert dataset.shape == (2,) and dataset.dtype.itemsize == 8\n\
             \x20       assert dataset.attrs['number'] < 100; seen += 1\n\
             assert seen == 10000\n\
             seconds = time.perf_counter() - begun";
        let contestants =
            vec![Contestant::new("h5live", ours), Contestant::measured("h5py", || h5py::run(&path, theirs))];
        contest.hold(5, &Work::Operations(OBJECTS), contestants)?;
    }
    Ok(())
}

/// The indexes of a million chunks of two elements: a name, the version of the format, shape and largest shape, in Python.
const INDEXES: [(&str, &str, &str, &str); 4] = [
    ("version 1 B-tree", "earliest", "(2000000,)", "(None,)"),
    ("extensible array", "latest", "(2000000,)", "(None,)"),
    ("fixed array", "latest", "(2000000,)", "(2000000,)"),
    ("version 2 B-tree", "latest", "(2000000, 1)", "(None, None)"),
];

/// Opening a dataset of a million chunks that h5py wrote and reading one element; then 100,000 small reads of it, in no order.
pub(crate) fn many_chunks(contest: &Contest) -> Outcome {
    for (number, (index, format, shape, max)) in INDEXES.into_iter().enumerate() {
        let path = contest.path(&format!("chunks-{number}.h5"));
        let code = format!(
            "f = h5py.File(path, 'w', libver='{format}'); shape = {shape}\n\
             d = f.create_dataset('data', shape, 'f8', chunks=(2, 1)[:len(shape)], maxshape={max})\n\
             d[...] = np.arange(2000000.0).reshape(shape); f.close(); seconds = 0"
        );
        h5py::run(&path, &code)?;
        println!("  {index}: one element");
        let one = || {
            let dataset = h5live::File::open(&path)?.dataset("data")?;
            assert_eq!(dataset.chunk_index(), Some(index));
            assert_eq!(dataset.read_vec::<f64>(777_777..777_778)?, [777_777.0]);
            Ok(())
        };
        let theirs = "begun = time.perf_counter()\n\
             assert h5py.File(path, 'r')['data'][777777] == 777777\n\
             seconds = time.perf_counter() - begun";
        let contestants =
            vec![Contestant::new("h5live", one), Contestant::measured("h5py", || h5py::run(&path, theirs))];
        contest.hold(5, &Work::Operations(1), contestants)?;
        println!("  {index}: {READS} small reads");
        small_reads(contest, &path)?;
    }
    Ok(())
}

/// 100,000 reads of ten elements of a dataset of 100 MB in one piece.
pub(crate) fn small_reads_contiguous(contest: &Contest) -> Outcome {
    let path = contest.path("small.h5");
    h5py::run(&path, "f = h5py.File(path, 'w'); f['data'] = np.arange(12500000.0); f.close(); seconds = 0")?;
    small_reads(contest, &path)
}

fn small_reads(contest: &Contest, path: &Path) -> Outcome {
    let ours = || {
        let dataset = h5live::File::open(path)?.dataset("data")?;
        let len = dataset.shape()[0] - 10;
        let (mut at, mut out) = (0, [0.0; 10]);
        for _ in 0..READS {
            at = (at * 7 + 12_345) % len;
            dataset.read_into(at..at + 10, &mut out)?;
            assert_eq!(out[9], (at + 9) as f64);
        }
        Ok(())
    };
    let theirs = "d = h5py.File(path, 'r')['data']; size = d.shape[0] - 10; at = 0; out = np.empty((10,) + d.shape[1:])\n\
         begun = time.perf_counter()\n\
         for i in range(100000):\n\
         \x20   at = (at * 7 + 12345) % size\n\
         \x20   d.read_direct(out, np.s_[at:at + 10])\n\
         seconds = time.perf_counter() - begun";
    let contestants = vec![Contestant::new("h5live", ours), Contestant::measured("h5py", || h5py::run(path, theirs))];
    contest.hold(3, &Work::Operations(READS), contestants)
}
