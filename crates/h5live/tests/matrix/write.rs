//! What h5live writes, h5py 3.16, h5py 3.13 and h5dump read.

use std::path::Path;

use h5live::File;
use h5live_testkit::matrix::Matrix;
use h5live_testkit::{Libhdf5, scratch};

use crate::case::{Liveness, make, make_tree};

/// Writes every case and tree into `directory`; the files are still open.
fn write(matrix: &Matrix, directory: &Path, liveness: Liveness) -> Vec<File> {
    let expected = matrix.expected(&[]).unwrap();
    let mut refused = Vec::new();
    let mut files = Vec::new();
    for case in &matrix.cases {
        let file = File::create(case.file(directory)).unwrap();
        refused.extend(make(&file, case, &expected[&case.name], liveness).err().map(|why| (case.name.clone(), why)));
        files.push(file);
    }
    for tree in &matrix.trees {
        match make_tree(&tree.file(directory), tree, liveness) {
            Ok(file) => files.push(file),
            Err(why) => refused.push((tree.name.clone(), why)),
        }
    }
    let refused: Vec<String> = refused.iter().map(|(name, why)| format!("{name}: {why}")).collect();
    assert_eq!(refused, [""; 0]);
    files
}

fn judge(directory: &Path) {
    let matrix = Matrix::load(Libhdf5::V2_0).unwrap();
    assert_eq!(matrix.check(directory, &[]).unwrap(), [], "HDF5 2.0");
    assert_eq!(matrix.dump(directory, &[]).unwrap(), [], "h5dump");
    assert_eq!(Matrix::load(Libhdf5::V1_14).unwrap().check(directory, &[]).unwrap(), [], "HDF5 1.14");
}

#[test]
fn files_written_and_closed() {
    let (matrix, scratch) = (Matrix::load(Libhdf5::V2_0).unwrap(), scratch());
    for file in write(&matrix, scratch.path(), Liveness::Unseen) {
        file.close().unwrap();
    }
    judge(scratch.path());
}

/// Every dataset that can grow grows in uneven steps, each published; the others are overwritten in parts.
fn write_live(liveness: Liveness, watcher: Libhdf5) {
    let (matrix, scratch) = (Matrix::load(watcher).unwrap(), scratch());
    let files = write(&matrix, scratch.path(), liveness);
    assert_eq!(matrix.check(scratch.path(), &[]).unwrap(), [], "{liveness:?}, before closing");
    for file in files {
        file.close().unwrap();
    }
    judge(scratch.path());
}

#[test]
fn files_written_while_readers_look() {
    write_live(Liveness::BeforeData, Libhdf5::V2_0);
}

#[test]
fn files_built_while_readers_look() {
    write_live(Liveness::BeforeAll, Libhdf5::V1_14);
}

/// The judge condemns a file in which h5live wrote one value that is another.
#[test]
fn one_wrong_value_is_found() {
    let (matrix, scratch) = (Matrix::load(Libhdf5::V2_0).unwrap(), scratch());
    let expected = matrix.expected(&[]).unwrap();
    for name in ["contiguous", "chunked_btree", "filtered_extensible"] {
        let case = matrix.cases.iter().find(|case| case.name == name).unwrap();
        let file = File::create(case.file(scratch.path())).unwrap();
        make(&file, case, &expected[name], Liveness::Unseen).unwrap();
        let data = file.dataset("data").unwrap();
        let wrong = data.read_vec::<i32>([3..4, 2..3]).unwrap()[0] ^ 1;
        data.write([3..4, 2..3], &[wrong]).unwrap();
        file.close().unwrap();
        for faults in [matrix.check(scratch.path(), &[name]).unwrap(), matrix.dump(scratch.path(), &[name]).unwrap()] {
            assert_eq!(faults.len(), 1, "{name}: {faults:?}");
        }
    }
}
